// What is said, in the list of messages: an answer's text as it is written, how it ended and how long it took.
import { $, $$, el } from "./dom.js";
import { shown } from "./marks.js";
import { known, t } from "./words.js";

export class Answer {
  #written = "";
  #latency = null;
  #shownS = null;
  #heldS = 0;
  #underruns = 0;

  /** `list` is where it is added once there are words, `by` who gives it. */
  constructor(list, by = "") {
    this.list = list;
    this.by = by;
    this.message = null;
    this.isOver = false;
    this.isHeard = false;
  }

  write(words) {
    this.message ??= addMessage(this.list, "avatar", "", this.by);
    this.list.setAttribute("aria-busy", "true"); // read out once, when it is whole
    this.#show(this.#written + words);
  }

  /** All of it is there. */
  done({ text, latency, video_url }) {
    if (!this.message) this.write("");
    this.#show(text);
    if (video_url) this.message.append(el("footer", {}, el("a", { href: `${video_url}?download`, textContent: t("chat.download") })));
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
    if (this.message && !this.isHeard && !this.message.classList.contains("stopped")) mark(this.message, words);
    this.#end();
  }

  /** So much was heard of what had been written when it was stopped. */
  part({ text, unheard }) {
    if (!this.message?.classList.contains("stopped")) return;
    this.#show(text);
    grey(this.message, unheard);
    this.#scroll();
  }

  /** As if it had never been. */
  remove() {
    this.message?.remove();
    this.#end();
  }

  #show(text) {
    this.#written = text;
    wordsOf(this.message).replaceChildren(...shown(text));
    this.#scroll();
  }

  #end() {
    this.isOver = true;
    this.list.removeAttribute("aria-busy");
    this.#scroll();
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

const wordsOf = (message) => $("span", message);

/** Say behind the words of an answer how it ended. */
function mark(message, words) {
  message.classList.add("stopped");
  wordsOf(message).after(" ", el("em", { class: "ending", textContent: words }));
}

/** Show behind how an answer ended what was written of it, but not heard. */
function grey(message, unheard) {
  $(".unheard", message)?.remove();
  if (unheard) $(".ending", message).after(" ", el("s", { class: "unheard", title: t("chat.unheard") }, ...shown(unheard)));
}

/** Add something that is said. Who gives an answer is told where it is another than the one before. What a user wrote
 * is shown as it was written, an answer without its marks. */
export function addMessage(list, role, words, by = "") {
  const before = $$(".message.avatar", list).at(-1)?.dataset.by;
  const name = by && by !== before ? [el("strong", { class: "by", textContent: by })] : [];
  const message = el("li", { class: `message ${role}`, data: { by } }, ...name, el("span", {}, ...(role === "avatar" ? shown(words) : [words])));
  list.append(message);
  list.scrollTop = list.scrollHeight;
  return message;
}

/** Add something that was said before, as the gateway tells it. */
export function addStored(list, { role, text, avatar, unheard, is_stopped }) {
  const message = addMessage(list, role === "user" ? "user" : "avatar", text, avatar);
  if (!is_stopped) return;
  mark(message, t("chat.stopped"));
  grey(message, unheard);
}
