// What the avatar says, in the list of messages: its text as it is written, how it ended and how long it took.
import { $, el } from "./dom.js";
import { known, t } from "./words.js";

export class Answer {
  #latency = null;
  #shownS = null;
  #heldS = 0;
  #underruns = 0;

  /** `list` is where it is added once there are words. */
  constructor(list) {
    this.list = list;
    this.message = null;
    this.isOver = false;
    this.isHeard = false;
  }

  write(words) {
    this.message ??= addMessage(this.list, "avatar", "");
    this.list.setAttribute("aria-busy", "true"); // read out once, when it is whole
    this.message.firstChild.textContent += words;
    this.#scroll();
  }

  /** All of it is there. */
  done({ text, latency, video_url }) {
    if (!this.message) this.write("");
    this.message.firstChild.textContent = text;
    if (video_url) this.#note(el("a", { href: `${video_url}?download`, textContent: t("chat.download") }));
    this.#latency = latency;
    this.#end();
    this.#showTiming();
  }

  /** Its first picture is seen, so many seconds after the user had ended; for `heldS` of them it waited for more to come. */
  shown(seconds, heldS) {
    this.#shownS ??= seconds;
    this.#heldS = heldS;
    this.#showTiming();
  }

  /** It stood still, because its next media was late. */
  stoodStill() {
    this.#underruns += 1;
    this.#showTiming();
  }

  /** It was played to its end. */
  heard() {
    this.isHeard = true;
  }

  /** It ends here, unless it was heard: somebody stopped it, or it broke off. */
  stop(words = t("chat.stopped")) {
    if (this.message && !this.isHeard && !this.message.classList.contains("stopped")) {
      this.message.classList.add("stopped");
      this.#note(words);
    }
    this.#end();
  }

  #end() {
    this.isOver = true;
    this.list.removeAttribute("aria-busy");
    this.#scroll();
  }

  #note(content) {
    this.message.append(el("footer", {}, content));
  }

  #showTiming() {
    if (!this.#latency || this.#shownS === null) return;
    $(".timing", this.message)?.remove();
    const seconds = { ...this.#latency, held: this.#heldS, shown: this.#shownS };
    const rows = [...Object.entries(seconds).map(([name, value]) => [name, `${value.toFixed(2)} s`]), ["underruns", String(this.#underruns)]];
    const cells = rows.flatMap(([name, value]) => [
      el("dt", { class: name, textContent: known(`timing.${name}`, name) }),
      el("dd", { class: name, textContent: value }),
    ]);
    this.message.append(el("dl", { class: "timing" }, ...cells));
    this.#scroll();
  }

  #scroll() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}

export function addMessage(list, role, words) {
  const message = el("li", { class: `message ${role}` }, el("span", { textContent: words }));
  list.append(message);
  list.scrollTop = list.scrollHeight;
  return message;
}
