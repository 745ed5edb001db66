// What is said in a recording: heard by the recogniser, corrected by hand.
import { get, path, post } from "./api.js";
import { el } from "./dom.js";
import { OTHER, fillSpoken, understood } from "./spoken.js";
import { t } from "./words.js";

/** Has a recording written down into a text field, in the language that is chosen beside it. */
export class Hearing {
  #turn = 0;
  #other = ""; // what stood in the field before somebody let it be written down anew

  /** `ask` gets the language and returns what was heard: its `text`. The button `swap` is for the caller to place. */
  constructor({ select, button, status, field, ask }) {
    Object.assign(this, { select, button, status, field, ask, engine: null, heard: "" });
    this.swap = el("button", { class: "button small swap", type: "button", textContent: t("voices.put_back"), hidden: true });
    this.swap.addEventListener("click", () => this.#write(this.#other));
    button.addEventListener("click", () => this.hear());
    select.addEventListener("change", () => this.#tell());
  }

  /** The engine that hears; null where none is there. */
  use(engine) {
    this.engine = engine;
    if (engine) fillSpoken(this.select, engine, true); // in a wrong language Whisper translates, and that nobody said
    this.#tell();
  }

  get language() {
    return this.select.value;
  }

  get can() {
    return Boolean(this.engine) && this.language !== OTHER;
  }

  #tell() {
    this.button.disabled = !this.can;
    this.status.textContent = this.engine && !this.can ? t("voices.not_heard", understood(this.engine)) : "";
  }

  /** The recording is another: what was heard in the last one goes, what somebody wrote stays. */
  forget() {
    this.#turn += 1;
    if (this.field.value === this.heard) this.field.value = "";
    this.swap.hidden = true;
    this.#tell();
  }

  /** Put a text in place of what stands in the field, which can be put back: neither of the two is ever lost. */
  #write(text) {
    const before = this.field.value;
    if (before === text) return;
    this.field.value = text;
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    if (!before.trim()) return;
    this.#other = before;
    this.swap.hidden = false;
  }

  async hear() {
    const turn = ++this.#turn;
    this.button.disabled = true;
    this.status.textContent = t("voices.hearing");
    let told = "";
    try {
      const { text } = await this.ask(this.language);
      if (turn !== this.#turn) return;
      if (text) {
        this.heard = text;
        this.#write(text);
      } else told = t("voices.heard_nothing");
    } catch (error) {
      told = error.message;
    }
    if (turn !== this.#turn) return;
    this.#tell();
    this.status.textContent = told;
  }
}

/** Hear a file that is not kept yet, in the words as they are said: a voice is learnt from those. */
export async function heardIn(file, language) {
  const data = new FormData();
  data.set("audio", file, file.name);
  data.set("language", language);
  data.set("form", "spoken");
  return (await post(path("transcriptions"), data)).json();
}

/** What a file would make a voice suffer from, as an element. */
export async function judged(file) {
  const data = new FormData();
  data.set("audio", file, file.name);
  const report = await (await post(path("voices", "check"), data)).json();
  return warningsOf(report) ?? el("p", { class: "help", textContent: t("voices.fine", { seconds: report.speech_s.toFixed(0) }) });
}

/** What a report warns of, as an element; null where it warns of nothing. */
export function warningsOf(report) {
  if (!report?.warnings.length) return null;
  const items = report.warnings.map((warning) => el("li", { textContent: warning.message }));
  return el("div", { class: "warnings" }, el("p", { textContent: t("voices.warnings") }), el("ul", {}, ...items));
}

/** The recogniser that hears what names none; null while there is none. */
export async function recogniser() {
  const [engine] = (await get(path("engines"))).asr ?? [];
  return engine && engine.state !== "missing" ? engine : null;
}
