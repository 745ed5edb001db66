// The caption: the sentence that is being spoken, lit word by word as the voice comes to it.
import { el } from "./dom.js";
import { pieces } from "./phrases.js";

const EARLY_S = 0.05; // a word lights up a little before it is heard rather than after

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

  /** The next words of a sentence, with their times. One that is not written in it is passed over. */
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
