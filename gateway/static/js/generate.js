// Generate: an avatar, a text or a recording, then the video as soon as it is ready.
import { get, path } from "./api.js";
import { STANDARD_VOICE, avatarFile, fillPicker, listVoices, voiceOptions } from "./avatars.js";
import { showDevices } from "./device.js";
import { $, $$, el, fillSelect } from "./dom.js";
import { EngineField, isAble, listEngines } from "./engines.js";
import { FileDrop, check, keepDraft, send } from "./form.js";
import { JobProgress, cancelButton, downloads, follow, isFinal } from "./job-card.js";
import { watchServices } from "./notice.js";
import { parameterField, toldParameters } from "./parameters.js";
import { tell } from "./slider.js";
import { OTHER, fillSpoken, languageName, understood } from "./spoken.js";
import { t } from "./words.js";

const form = $("[data-form]");
const frame = $("[data-result]");
const body = $("[data-job-body]");
const drop = new FileDrop($("[data-drop=audio]"));
const tabs = $$("[role=tab]");
const MAX_CHARACTERS = 5000;
let avatars = [];
let heads = []; // the engines that show them
let voices = [];
let followed = ""; // the job that is shown
let ownSubtitles = ""; // what was asked for here; of a video that was found again nobody knows whether they are burned in
const speaking = new EngineField($("[data-engine=tts]", form));
const hearing = new EngineField($("[data-engine=asr]", form));

const fromText = () => $("#tab-text").getAttribute("aria-selected") === "true";
const chosen = () => form.elements.avatar?.value ?? "";

function choose(tab) {
  for (const one of tabs) {
    const isChosen = one === tab;
    one.setAttribute("aria-selected", String(isChosen));
    one.tabIndex = isChosen ? 0 : -1;
    $(`#${one.getAttribute("aria-controls")}`).hidden = !isChosen;
  }
  showSubtitles();
}

/** Subtitles of a recording are what is heard in it: there are none in a language that is not understood. */
function showSubtitles() {
  const { subtitles, spoken } = form.elements;
  const isHeard = fromText() || spoken.value !== OTHER;
  for (const option of subtitles.options) option.disabled = !isHeard && option.value !== "none";
  if (!isHeard) subtitles.value = "none";
  const help = $("[data-not-heard]");
  help.hidden = isHeard;
  help.textContent = isHeard ? "" : t("generate.not_heard", understood(hearing.engine));
}

/** What may be spoken in a recording: the page's language at first, if it is heard. */
function showSpoken() {
  fillSpoken(form.elements.spoken, hearing.engine);
  showSubtitles();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const other = tabs[1 - tabs.indexOf(tab)];
    choose(other);
    other.focus();
  });
}

for (const input of $$("input[type=range]", form)) tell(input, $(`output[for=${input.id}]`));

function count() {
  $("[data-count]").textContent = t("generate.characters", { count: form.elements.text.value.length, max: MAX_CHARACTERS });
}

/** The voices to choose from: the avatar's own at first, and whichever was `before` when there is still such a one. */
function showVoices(before = null) {
  const own = avatars.find((avatar) => avatar.name === chosen())?.voice ?? "";
  const options = voiceOptions(voices, own);
  fillSelect(form.elements.voice, options, options.some(([name]) => name === before) ? before : own || STANDARD_VOICE);
}

function showLanguages() {
  const tags = speaking.engine?.languages ?? [];
  fillSelect(form.elements.language, [["", t("generate.language_auto")], ...tags.map((tag) => [tag, languageName(tag)])]);
}

async function load() {
  const before = avatars.length ? form.elements.voice.value : null;
  avatars = await fillPicker($("[data-avatar-picker]"));
  voices = await listVoices().catch(() => []);
  showVoices(before);
  const engines = await listEngines();
  speaking.show(engines.tts);
  hearing.show(engines.asr);
  heads = engines.render ?? [];
  showExpression();
  showParameters();
  showLanguages();
  showSpoken();
}

/** Whether the chosen avatar's engine can be told how lively to be; if not, the sliders stand at "as recorded". */
function showExpression() {
  const { name, engine } = avatars.find((avatar) => avatar.name === chosen()) ?? {};
  const told = heads.find((one) => one.name === engine);
  const isDeaf = Boolean(told) && !isAble("expression")(told);
  for (const slider of [form.elements.mouth_amplitude, form.elements.head_motion]) {
    slider.disabled = isDeaf;
    if (isDeaf) slider.value = 1;
    slider.dispatchEvent(new Event("input"));
  }
  $("[data-no-expression]").textContent = isDeaf ? t("generate.no_expression", { name, engine }) : "";
}

/** What the chosen avatar's engine can be told; what has been filled in stays while it is the same. */
function showParameters() {
  const { engine } = avatars.find((avatar) => avatar.name === chosen()) ?? {};
  const parameters = heads.find((one) => one.name === engine)?.parameters ?? [];
  const box = $("[data-more]", form);
  if (box.dataset.shown === JSON.stringify(parameters)) return;
  box.dataset.shown = JSON.stringify(parameters);
  $("[data-parameters]", box).replaceChildren(...parameters.map(parameterField));
  box.hidden = !parameters.length;
}

function formData() {
  const data = new FormData();
  for (const [name, value] of toldParameters(form)) data.set(name, value);
  data.set("avatar", chosen());
  for (const name of ["subtitles", "mouth_amplitude", "head_motion", "device"]) data.set(name, form.elements[name].value);
  if (!fromText()) {
    data.set("audio", drop.file, drop.file.name);
    data.set("asr_engine", hearing.value);
    if (form.elements.spoken.value !== OTHER) data.set("language", form.elements.spoken.value);
    return data;
  }
  for (const name of ["text", "voice", "language", "rate", "pitch_semitones", "tts_engine"]) data.set(name, form.elements[name].value);
  return data;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const isWell = check(form, [
    ["avatar", chosen(), t("error.avatar_missing")],
    ["text", !fromText() || form.elements.text.value.trim(), t("error.text_empty")],
    ["audio", fromText() || drop.file, t("error.file_missing")],
  ]);
  if (!isWell) return;
  const asked = form.elements.subtitles.value;
  const job = await send(form, path("generations"), formData());
  if (!job) return;
  ownSubtitles = asked;
  show(job);
});

function show(job) {
  followed = job.id;
  history.replaceState(null, "", `?job=${encodeURIComponent(job.id)}`);
  const progress = new JobProgress(job);
  const actions = el("div", { class: "actions" }, cancelButton(job));
  frame.replaceChildren(el("img", { src: avatarFile(job.subject, "thumbnail"), alt: "" }));
  body.replaceChildren(progress.element, actions);
  frame.scrollIntoView({ block: "nearest", behavior: "smooth" });
  follow(job.id, (now) => {
    if (now.id !== followed) return; // another was asked for meanwhile
    progress.update(now);
    if (isFinal(now)) finish(now, actions);
  });
}

function finish(job, actions) {
  actions.remove();
  if (job.state !== "succeeded") return;
  const video = el("video", { src: job.result.video_url, controls: true, playsInline: true });
  if (job.result.subtitles_url && ownSubtitles !== "burn") {
    video.append(el("track", { kind: "captions", src: job.result.subtitles_url, label: t("generate.subtitles"), default: ownSubtitles === "vtt" }));
  }
  frame.replaceChildren(video);
  body.replaceChildren(downloads(job.result));
  video.play().catch(() => {}); // the browser may want a click first; the controls are there
  $("#result-title").focus();
}

async function reattach() {
  const id = new URLSearchParams(location.search).get("job");
  if (id) await get(path("jobs", id)).then(show).catch(() => history.replaceState(null, "", "/generate"));
}

form.addEventListener("change", (event) => event.target.name === "avatar" && (showVoices(), showExpression(), showParameters()));
form.elements.spoken.addEventListener("change", showSubtitles);
speaking.select.addEventListener("change", showLanguages);
hearing.select.addEventListener("change", showSpoken);
form.elements.text.addEventListener("input", count);
keepDraft(form.elements.text);
const reload = () => load().catch((error) => $("[data-avatar-picker]").replaceChildren(el("p", { class: "help", textContent: error.message })));
count();
reload();
reattach();
const devices = () => showDevices(form, "render").catch(() => {});
devices();
watchServices(() => { reload(); devices(); });
