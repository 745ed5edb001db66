// Where a sentence may be broken into pieces of a caption: after punctuation, before a word that links, never within a word.
const COLUMNS = 64; // of one piece of caption, two lines of a phone; a Chinese character takes two
const SHORT = 24; // a piece below this is one that flits by
const WIDE = /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60]/;
const OPENING = /^[([{\u201c\u2018\u300a\u300c\u300e\u3010\uff08]$/;
const PAUSE = /[.,;:!?\u2026\u3002\uff0c\uff1b\uff1a\uff01\uff1f]["')\u201d\u2019\u300d\uff09]*\s*$/;
const LINKING = new Set("and but or so because although while when where if until since before that which who in on at to for from with by about into of over under between through \u548c \u4f46 \u4f46\u662f \u6216 \u6216\u8005 \u800c \u800c\u4e14 \u56e0\u4e3a \u6240\u4ee5 \u5982\u679c \u5728 \u4ece \u4e5f \u5c31 \u53c8".split(" "));
const LEANING = new Set("a an the my your his its our their this these no every of to in on at for with and or is are".split(" "));
const WORDS = /\s+|[\p{L}\p{N}][\p{L}\p{N}\p{M}'\u2019-]*|./gsu;
const words = Intl.Segmenter ? new Intl.Segmenter(undefined, { granularity: "word" }) : { segment: byCharacters };

const columns = (text) => [...text].reduce((sum, letter) => sum + (WIDE.test(letter) ? 2 : 1), 0);

/** Words where spaces part them, else characters: for browsers that know no more (Firefox before 125). */
function byCharacters(text) {
  const found = [];
  for (const [run] of text.matchAll(WORDS)) {
    const parts = WIDE.test(run) ? [...run] : [run];
    for (const segment of parts) found.push({ segment, isWordLike: /[\p{L}\p{N}]/u.test(segment) });
  }
  return found;
}

/** Where a text may be broken: words with the punctuation and the space after them. */
function units(text) {
  const found = [];
  let open = "";
  for (const { segment, isWordLike } of words.segment(text)) {
    if (OPENING.test(segment)) open += segment;
    else if (isWordLike || !found.length) {
      found.push(open + segment);
      open = "";
    } else {
      found[found.length - 1] += open + segment;
      open = "";
    }
  }
  if (open) found.push(open);
  return found;
}

/** What a break between two of them costs, in columns that a piece may rather lack of being long enough. */
function cost(before, after) {
  const word = (unit) => unit.trim().toLowerCase().replace(/[^\p{L}\p{N}'.]/gu, "");
  if (PAUSE.test(before)) return 0;
  if (LEANING.has(word(before)) || /\d$/.test(word(before)) || /^[\u7684\u4e86\u7740\u8fc7\u5417\u5462\u5427\u4eec]/.test(after)) return 60;
  if (!/\s$/.test(before) && !WIDE.test(before.at(-1)) && !WIDE.test(after[0])) return 90;
  return LINKING.has(word(after)) ? 6 : 20;
}

/** The pieces in which a sentence is shown, as [from, to]: few, and broken where a reader would pause. */
export function pieces(text) {
  const parts = units(text);
  const ends = [0];
  for (const part of parts) ends.push(ends.at(-1) + part.length);
  const best = [{ cost: 0, from: 0 }];
  for (let to = 1; to <= parts.length; to += 1) {
    best.push({ cost: Infinity, from: to - 1 });
    for (let from = to - 1; from >= 0; from -= 1) {
      const width = columns(text.slice(ends[from], ends[to]).trimEnd());
      if (width > COLUMNS && from < to - 1) break;
      const broken = to < parts.length ? cost(parts[to - 1], parts[to]) : 0;
      const total = best[from].cost + SHORT / 2 + broken + Math.max(0, SHORT - width);
      if (total < best[to].cost) best[to] = { cost: total, from };
    }
  }
  const found = [];
  for (let to = parts.length; to > 0; to = best[to].from) found.unshift([ends[best[to].from], ends[to]]);
  return found.length ? found : [[0, text.length]];
}
