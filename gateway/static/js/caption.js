// The caption: the sentence that is being spoken, lit word by word as the voice comes to it.
import { el } from "./dom.js";

const COLUMNS = 64; // of one piece of caption, two lines of a phone; a Chinese character takes two
const EARLY_S = 0.05; // a word lights up a little before it is heard rather than after
const WIDE = /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60]/;
/** Where a long sentence may be broken: after a space, or after a wide character that no punctuation follows. */
const UNITS = /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60][\u3001\u3002\uff0c\uff01\uff1f\uff1b\uff1a\u201d\u2019\u300d]*\s*|[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60]+\s*|\s+/g;

const columns = (text) => [...text].reduce((sum, letter) => sum + (WIDE.test(letter) ? 2 : 1), 0);

/** The pieces in which a sentence is shown, as [from, to]; about equally long, so that no word is left alone. */
export function pieces(text) {
  const limit = columns(text) / Math.ceil(columns(text) / COLUMNS);
  const found = [];
  let from = 0;
  let to = 0;
  for (const [unit] of text.matchAll(UNITS)) {
    if (to > from && columns(text.slice(from, to) + unit.trimEnd()) > Math.min(COLUMNS, limit + 8)) {
      found.push([from, to]);
      from = to;
    }
    to += unit.length;
  }
  return [...found, [from, text.length]];
}

export class Caption {
  #sentences = [];
  #frame = 0;
  #shown = "";

  constructor(root, video) {
    this.root = root;
    this.video = video;
    this.parts = ["said", "now", "to-come"].map((name) => el("span", { class: name }));
  }

  /** Another reply begins. */
  reset() {
    this.hide();
    this.#sentences = [];
  }

  sentence({ text, start_s }) {
    this.#sentences.push({ text, startS: start_s, words: [], end: 0, pieces: pieces(text) });
  }

  /** The next words of a sentence, with their times. One that is not written in it, such as a number read out, is passed over. */
  words({ index, words }) {
    const sentence = this.#sentences[index];
    for (const { text, start_s } of sentence ? words : []) {
      const at = sentence.text.indexOf(text, sentence.end);
      if (at < 0) continue;
      sentence.end = at + text.length;
      sentence.words.push({ at, end: sentence.end, startS: start_s });
    }
  }

  /** Follow the video until `hide`. */
  show() {
    cancelAnimationFrame(this.#frame);
    this.#light();
    this.#frame = requestAnimationFrame(() => this.show());
  }

  hide() {
    cancelAnimationFrame(this.#frame);
    this.#shown = "";
    this.root.replaceChildren();
  }

  #light() {
    const now = this.video.currentTime + EARLY_S;
    const sentence = this.#sentences.findLast((one) => one.startS <= now);
    if (!sentence) return;
    const { text, words } = sentence;
    const number = words.findLastIndex((word) => word.startS <= now);
    const lit = words.length ? (words[number]?.at ?? 0) : text.length; // a voice that does not know its words shows all
    const end = words.length ? (words[number + 1]?.at ?? words[number]?.end ?? 0) : text.length;
    const [from, to] = sentence.pieces.find((piece) => lit < piece[1]) ?? [0, text.length];
    const parts = [text.slice(from, lit), text.slice(Math.max(from, lit), Math.min(end, to)), text.slice(Math.min(end, to), to)];
    if (parts.join("\n") === this.#shown) return;
    this.#shown = parts.join("\n");
    this.parts.forEach((part, index) => { part.textContent = parts[index]; });
    if (!this.root.firstChild) this.root.append(...this.parts);
  }
}
