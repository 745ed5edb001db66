// Voices: hear them, try a sentence, add and delete.
import { path, post, remove } from "./api.js";
import { allVoices } from "./avatars.js";
import { $, $$, confirmed, el, icon } from "./dom.js";
import { EngineField, isAble, listEngines } from "./engines.js";
import { FileDrop, check, clearErrors, send } from "./form.js";
import { watchServices } from "./notice.js";
import { slider } from "./slider.js";
import { t } from "./words.js";

const form = $("[data-form]");
const list = $("[data-voice-list]");
const drop = new FileDrop($("[data-drop=audio]"));
const [speaking, learning] = $$("[data-engine=tts]").map((root) => new EngineField(root));
let tries = 0;

function card(voice) {
  const about = voice.error?.message ?? t("voices.about", { seconds: voice.duration_s.toFixed(0), engine: voice.engine, person: voice.consent.given_by });
  const forget = el("button", { class: "button danger small", type: "button", "aria-label": t("voices.delete", { name: voice.name }), onclick: () => deleteVoice(voice) }, icon("delete"));
  const head = el("div", { class: "voice-head" }, el("div", {}, el("h3", { textContent: voice.name }), el("p", { class: "help", textContent: about })), forget);
  if (voice.error) return el("article", { class: "card voice" }, head);
  const audio = el("audio", { controls: true, preload: "none", src: path("voices", voice.name, "audio"), "aria-label": t("voices.listen", { name: voice.name }) });
  const quote = voice.transcript ? el("blockquote", { textContent: voice.transcript, title: voice.transcript }) : null;
  return el("article", { class: "card voice" }, head, audio, quote, tryForm(voice));
}

function tryForm(voice) {
  const input = el("input", { type: "text", value: t("voices.say_example"), "aria-label": t("voices.try"), maxLength: 300 });
  const button = el("button", { class: "button", type: "submit" }, icon("play"), t("voices.say"));
  const error = el("p", { class: "field-error", id: `try-error-${++tries}`, role: "alert", hidden: true });
  const audio = el("audio", { controls: true, hidden: true, "aria-label": t("voices.heard", { name: voice.name }) });
  const rate = slider(t("generate.rate"), { min: 0.5, max: 2, step: 0.05, value: 1 });
  const pitch = slider(t("generate.pitch"), { min: -12, max: 12, step: 0.5, value: 0, isSigned: true });
  const line = el("form", { class: "try" }, input, button, el("div", { class: "columns" }, rate.element, pitch.element));
  line.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.hidden = true;
    input.removeAttribute("aria-invalid");
    try {
      const how = { rate: Number(rate.input.value), pitch_semitones: Number(pitch.input.value) };
      const response = await post(path("speech"), { text: input.value, voice: voice.name, engine: speaking.value, ...how });
      if (audio.src) URL.revokeObjectURL(audio.src);
      audio.src = URL.createObjectURL(await response.blob());
      audio.hidden = false;
      await audio.play().catch(() => {});
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
  return el("div", {}, line, error, audio);
}

async function deleteVoice(voice) {
  if (!(await confirmed(t("voices.confirm_delete", { name: voice.name })))) return;
  await remove(path("voices", voice.name)).catch(() => {});
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
  const none = el("div", { class: "empty card" }, icon("voices"), el("p", { textContent: t("voices.empty") }));
  list.replaceChildren(...(voices.length ? voices.map(card) : [none]));
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
  if (await send(form, path("voices"), data)) {
    form.reset();
    drop.set(null);
    clearErrors(form);
    await show();
  }
});

async function showEngines() {
  const cloning = (await listEngines()).tts?.filter(isAble("cloning"));
  for (const field of [speaking, learning]) field.show(cloning);
}
const load = () => [show(), showEngines()].forEach((work) => work.catch(() => {}));
load();
watchServices(load);
