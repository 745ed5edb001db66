// The marks of Markdown in what an avatar writes, shown as what they mean. Everything is made of text nodes: HTML stays text.
import { el } from "./dom.js";

const FENCE = /^\s*(`{3,}|~{3,})/;
const HEADING = /^#{1,6}[ \t]+(.*?)[ \t]*#*$/;
const QUOTE = /^[ \t]*(?:>[ \t]?)+/;
const ITEM = /^([ \t]*)[-*+][ \t]+(?:\[[ xX]\][ \t]+)?/;
const RULE = /^[ \t]*(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const TABLE_RULE = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const SAFE = /^(?:https?:\/\/|mailto:)/i;
const INLINE = new RegExp(
  [
    /\\(?<escaped>[\\`*_~#[\]()<>!|+.-])/,
    /(?<ticks>`+)(?<code>[^`]+)\k<ticks>/,
    /!\[(?<alt>[^\]]*)\]\([^)\s]*\)/,
    /\[(?<label>[^\]]+)\]\((?<url>[^)\s]+)[^)]*\)/,
    /<(?<link>https?:\/\/[^\s<>]+)>/,
    /\*{3}(?=\S)(?<both>.+?)(?<=\S)\*{3}/,
    /(?<strongMark>\*\*|(?<![\p{L}\p{N}_])__)(?=\S)(?<strong>.+?)(?<=\S)\k<strongMark>/,
    /~~(?=\S)(?<gone>.+?)(?<=\S)~~/,
    /\*(?=[^\s*])(?<em>.+?)(?<=[^\s*])\*(?!\*)/,
    /(?<![\p{L}\p{N}_])_(?=[^\s_])(?<low>.+?)(?<=[^\s_])_(?![\p{L}\p{N}_])/,
  ].map((part) => part.source).join("|"),
  "gu",
);
const UNCLOSED = /\*\*|~~|`+/g; // as long as the rest is still to come, or for good

/** The nodes that show a text; its lines are those of the text, in an element that keeps them. */
export function shown(text) {
  const nodes = [];
  let fence = "";
  for (const line of text.split("\n")) {
    const mark = line.match(FENCE)?.[1];
    if (fence ? mark?.startsWith(fence) : mark) {
      fence = fence ? "" : mark;
      continue;
    }
    if (!fence && (RULE.test(line) || (line.includes("|") && TABLE_RULE.test(line)))) continue;
    if (nodes.length) nodes.push("\n");
    nodes.push(...(fence ? [el("code", { textContent: line })] : block(line)));
  }
  return nodes;
}

/** One line. */
function block(line) {
  const words = line.replace(QUOTE, "");
  const heading = words.match(HEADING);
  if (heading) return [el("strong", {}, ...inline(heading[1]))];
  const item = words.match(ITEM);
  if (item) return [`${item[1]}• `, ...inline(words.slice(item[0].length))];
  const isRow = /^[ \t]*\|.*\|[ \t]*$/.test(words);
  return inline(isRow ? words.trim().slice(1, -1).split("|").map((cell) => cell.trim()).join(" · ") : words);
}

/** What stands in a line. */
function inline(text) {
  const nodes = [];
  let end = 0;
  const rest = (words) => words && nodes.push(words.replace(UNCLOSED, ""));
  for (const found of text.matchAll(INLINE)) {
    rest(text.slice(end, found.index));
    nodes.push(node(found.groups, found[0]));
    end = found.index + found[0].length;
  }
  rest(text.slice(end));
  return nodes;
}

function node({ escaped, code, alt, label, url, link, both, strong, gone, em, low }) {
  if (escaped) return escaped;
  if (code) return el("code", { textContent: code });
  if (both) return el("strong", {}, el("em", {}, ...inline(both)));
  if (strong) return el("strong", {}, ...inline(strong));
  if (em || low) return el("em", {}, ...inline(em ?? low));
  if (gone) return el("s", {}, ...inline(gone));
  if (link) return linked(link, [link]);
  if (label) return linked(url, inline(label));
  return alt ?? "";
}

/** A link, unless it leads to something that is no page. */
function linked(url, children) {
  if (!SAFE.test(url)) return el("span", {}, ...children);
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children);
}
