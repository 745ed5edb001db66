// Voices: hear them, try a sentence, add, correct, take elsewhere and delete.
import { patch, path, post, remove } from "./api.js";
import { allVoices } from "./avatars.js";
import { $, $$, confirmed, el, icon } from "./dom.js";
import { EngineField, isAble, listEngines } from "./engines.js";
import { FileDrop, check, clearErrors, send, tellError } from "./form.js";
import { watchServices } from "./notice.js";
import { slider } from "./slider.js";
import { Hearing, heardIn, judged, recogniser, warningsOf } from "./transcript.js";
import { t } from "./words.js";

const SOON_BYTES = 50 * 2 ** 20; // what is larger is heard when somebody asks, and judged when the voice is made
const ALL = "*";

const form = $("[data-form]");
const bringing = $("[data-import]");
const list = $("[data-voice-list]");
const judgement = $("[data-judged]");
const drop = new FileDrop($("[data-drop=audio]"), { onChange: chosen });
const archive = new FileDrop($("[data-drop=archive]"));
const [speaking, learning] = $$("[data-engine=tts]").map((root) => new EngineField(root));
const hearings = new Set(); // those of the voices that are shown
let asr = null;
let tries = 0;

const hearing = new Hearing({
  select: $("#spoken"), button: $("[data-hear] button"), status: $("[data-hear] [role=status]"), field: form.elements.transcript,
  ask: (language) => heardIn(drop.file, language),
});
$("[data-hear]").append(hearing.swap);

/** A recording that is there is judged, and written down, before anything is kept. */
async function chosen(file) {
  hearing.forget();
  judgement.hidden = true;
  $("[data-hear]").hidden = !file || !asr;
  if (!file || file.size > SOON_BYTES) return;
  judgement.replaceChildren(el("p", { class: "help", textContent: t("voices.checking") }));
  judgement.hidden = false;
  try {
    const told = await judged(file);
    if (drop.file !== file) return;
    judgement.replaceChildren(told);
    writeDown(); // only now: that a file cannot be read is told once
  } catch (error) {
    if (drop.file !== file) return;
    judgement.hidden = true;
    tellError(form, { message: error.message, field: "audio" });
  }
}

function writeDown() {
  const isSoon = drop.file && drop.file.size <= SOON_BYTES;
  if (isSoon && hearing.can && !form.elements.transcript.value.trim()) hearing.hear();
}

function card(voice) {
  const about = voice.error?.message ?? t("voices.about", { seconds: voice.duration_s.toFixed(0), engine: voice.engine, person: voice.consent.given_by });
  const problem = el("p", { class: "field-error", role: "alert", hidden: true });
  const forget = el("button", { class: "button danger small", type: "button", "aria-label": t("voices.delete", { name: voice.name }), onclick: () => deleteVoice(voice, problem) }, icon("delete"));
  const take = voice.error ? null : el("a", { class: "button small", href: path("voices", voice.name, "archive"), download: "", "aria-label": t("voices.export", { name: voice.name }), title: t("voices.export", { name: voice.name }) }, icon("download"));
  const actions = el("div", { class: "voice-actions" }, take, forget);
  const head = el("div", { class: "voice-head" }, el("div", {}, el("h3", { textContent: voice.name }), el("p", { class: "help", textContent: about })), actions);
  if (voice.error) return el("article", { class: "card voice" }, head, problem);
  const audio = el("audio", { controls: true, preload: "none", src: path("voices", voice.name, "audio"), "aria-label": t("voices.listen", { name: voice.name }) });
  return el("article", { class: "card voice" }, head, problem, warningsOf(voice.report), audio, transcriptOf(voice), tryForm(voice));
}

/** What a voice's recording says: to be heard, corrected, kept, and had with its times. */
function transcriptOf(voice) {
  const label = t("voices.transcript_of", { name: voice.name });
  const text = el("textarea", { rows: 3, maxLength: 60000, value: voice.transcript, "aria-label": label });
  const quote = el("span", { class: "quote", textContent: voice.transcript });
  const select = el("select", { "aria-label": t("generate.spoken") });
  const listen = el("button", { class: "button small", type: "button", textContent: t("voices.hear") });
  const keep = el("button", { class: "button small", type: "button", textContent: t("voices.save"), disabled: true });
  const times = el("a", { class: "button small", download: "" }, icon("download"), t("voices.subtitles"));
  const status = el("p", { class: "help", role: "status" });
  const ask = async (language) => (await post(path("voices", voice.name, "transcription"), { language })).json();
  const own = new Hearing({ select, button: listen, status, field: text, ask });
  const point = () => {
    times.href = `${path("voices", voice.name, "subtitles")}?language=${encodeURIComponent(own.language)}`;
    times.hidden = !own.can;
  };
  select.addEventListener("change", point);
  text.addEventListener("input", () => { keep.disabled = text.value.trim() === voice.transcript; });
  keep.addEventListener("click", async () => {
    keep.disabled = true;
    try {
      Object.assign(voice, await patch(path("voices", voice.name), { transcript: text.value.trim() }));
      quote.textContent = voice.transcript;
      status.textContent = t("voices.saved");
    } catch (problem) {
      status.textContent = problem.message;
      keep.disabled = false;
    }
  });
  const use = () => { own.use(asr); point(); };
  hearings.add(use);
  use();
  const controls = el("div", { class: "hear" }, select, el("div", { class: "actions" }, listen, keep, times), status, own.swap);
  return el("details", { class: "transcript" }, el("summary", {}, t("voices.transcript"), quote), text, controls);
}

function tryForm(voice) {
  const input = el("input", { type: "text", value: t("voices.say_example"), "aria-label": t("voices.try"), maxLength: 300 });
  const button = el("button", { class: "button", type: "submit" }, icon("play"), t("voices.say"));
  const error = el("p", { class: "field-error", id: `try-error-${++tries}`, role: "alert", hidden: true });
  const said = new Said(voice);
  const rate = slider(t("generate.rate"), { min: 0.5, max: 2, step: 0.05, value: 1 });
  const pitch = slider(t("generate.pitch"), { min: -12, max: 12, step: 0.5, value: 0, isSigned: true });
  const volume = slider(t("voices.volume"), { min: -24, max: 12, step: 1, value: 0, isSigned: true });
  const line = el("form", { class: "try" }, input, button, el("div", { class: "columns" }, rate.element, pitch.element, volume.element));
  line.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.hidden = true;
    input.removeAttribute("aria-invalid");
    const how = { rate: Number(rate.input.value), pitch_semitones: Number(pitch.input.value), volume_db: Number(volume.input.value) };
    try {
      await said.say({ text: input.value, voice: voice.name, ...how }, chosenEngines());
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
      if (problem.field === "text") input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", error.id);
      input.focus();
    } finally {
      button.disabled = false;
    }
  });
  return el("div", {}, line, error, said.element);
}

/** The engines that shall say a sentence: the chosen one, or all that are ready. */
const chosenEngines = () => (speaking.select.value === ALL ? speaking.ready : [speaking.engine ?? { name: "", is_default: true }]);

/** A sentence as engines have said it, one beneath the other; what was said otherwise goes. */
class Said {
  constructor(voice) {
    this.voice = voice;
    this.element = el("ul", { class: "said" });
    this.manner = "";
    this.rows = new Map();
  }

  async say(request, engines) {
    const manner = JSON.stringify(request);
    if (manner !== this.manner) this.#clear();
    this.manner = manner;
    const problems = [];
    for (const engine of engines) { // one after the other: they share the machine
      try {
        const response = await post(path("speech"), { ...request, engine: engine.is_default ? "" : engine.name });
        this.#show(engine.name, await response.blob());
      } catch (problem) {
        if (engines.length === 1) throw problem;
        this.#row(engine.name, el("p", { class: "field-error", textContent: problem.message }));
        problems.push(problem);
      }
    }
    if (problems.length === engines.length) {
      if (problems.every(({ message }) => message === problems[0].message)) this.#clear(); // it is told once
      throw problems[0];
    }
    if (engines.length === 1) await $("audio", this.rows.get(engines[0].name)).play().catch(() => {});
  }

  #clear() {
    for (const audio of $$("audio", this.element)) URL.revokeObjectURL(audio.src);
    this.element.replaceChildren();
    this.rows.clear();
  }

  #show(name, blob) {
    const label = name ? t("voices.spoken_by", { name: this.voice.name, engine: name }) : t("voices.heard", { name: this.voice.name });
    this.#row(name, el("audio", { controls: true, src: URL.createObjectURL(blob), "aria-label": label }));
  }

  #row(name, content) {
    const row = el("li", {}, el("span", { class: "label", textContent: name }), content);
    const before = this.rows.get(name);
    if (before) {
      URL.revokeObjectURL($("audio", before)?.src);
      before.replaceWith(row);
    } else this.element.append(row);
    this.rows.set(name, row);
  }
}

async function deleteVoice(voice, problem) {
  if (!(await confirmed(t("voices.confirm_delete", { name: voice.name })))) return;
  problem.hidden = true;
  try {
    await remove(path("voices", voice.name));
  } catch (error) {
    if (error.status !== 404) { // it is still there
      problem.textContent = error.message;
      problem.hidden = false;
      return;
    }
  }
  await show();
}

async function show() {
  let voices;
  try {
    voices = await allVoices();
  } catch (error) {
    list.replaceChildren(el("p", { class: "empty card", textContent: error.message }));
    return;
  }
  list.setAttribute("aria-busy", "false");
  hearings.clear();
  const none = el("div", { class: "empty card" }, icon("voices"), el("p", { textContent: t("voices.empty") }));
  list.replaceChildren(...(voices.length ? voices.map(card) : [none]));
}

/** Bring a voice that is new before somebody who sent it from the foot of the page. */
function reveal({ name }) {
  const heading = $$("h3", list).find((one) => one.textContent === name);
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  heading.closest("article").scrollIntoView({ block: "center", behavior: "smooth" });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const isWell = check(form, [
    ["audio", drop.file, t("error.file_missing")],
    ["name", form.elements.name.value.trim(), t("error.field_missing")],
    ["consented", form.elements.consented.checked, t("consent.missing")],
    ["consent", form.elements.consent.value.trim(), t("error.field_missing")],
  ]);
  if (!isWell) return;
  const data = new FormData(form);
  data.set("audio", drop.file, drop.file.name);
  const voice = await send(form, path("voices"), data);
  if (voice) {
    form.reset();
    drop.set(null);
    clearErrors(form);
    await show();
    reveal(voice);
  }
});

bringing.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!check(bringing, [["archive", archive.file, t("error.file_missing")]])) return;
  const data = new FormData(bringing);
  data.set("archive", archive.file, archive.file.name);
  const voice = await send(bringing, path("voices", "import"), data);
  if (voice) {
    bringing.reset();
    archive.set(null);
    clearErrors(bringing);
    await show();
    reveal(voice);
  }
});

async function showEngines() {
  const cloning = (await listEngines()).tts?.filter(isAble("cloning"));
  for (const field of [speaking, learning]) field.show(cloning);
  if (speaking.ready.length > 1 && !$(`option[value="${ALL}"]`, speaking.select)) {
    speaking.select.append(el("option", { value: ALL, textContent: t("voices.side_by_side") }));
  }
}

async function showRecogniser() {
  const before = asr;
  asr = await recogniser();
  hearing.use(asr);
  $("[data-hear]").hidden = !drop.file || !asr;
  for (const use of hearings) use();
  if (!before) writeDown(); // a recording that was there before anybody who could hear it
}

const load = () => [show(), showEngines(), showRecogniser()].forEach((work) => work.catch(() => {}));
load();
watchServices(load);
