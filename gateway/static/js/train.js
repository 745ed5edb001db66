// Train: a form that builds its options from the engine, then the job, live, to the report card.
import { get, path } from "./api.js";
import { avatarFile, listVoices, reportPage } from "./avatars.js";
import { showDevices } from "./device.js";
import { $, $$, el, fillSelect } from "./dom.js";
import { EngineField, isAble, listEngines } from "./engines.js";
import { FileDrop, check, isPhoto, send } from "./form.js";
import { JobProgress, cancelButton, follow, isFinal, jobTitle, metrics, resumeButton } from "./job-card.js";
import { watchServices } from "./notice.js";
import { parameterField, toldParameters } from "./parameters.js";
import { t } from "./words.js";

const form = $("[data-form]");
const panel = $("[data-job-panel]");
const body = $("[data-job-body]", panel);
const drop = new FileDrop($("[data-drop=video]"), { onChange: chosen });
const maxBytes = Number(form.dataset.maxBytes);
const FIRST = ["quality"]; // parameters that everybody should see
const engines = Object.fromEntries(["train", "asr", "tts"].map((service) => [service, new EngineField($(`[data-engine=${service}]`, form))]));

function chosen(file) {
  for (const part of $$("[data-photo]", form)) part.hidden = !isPhoto(file);
  for (const part of $$("[data-film]", form)) part.hidden = isPhoto(file);
  $("[data-first-parameters]").hidden = isPhoto(file); // effort is for learning, and of a photo nothing is learned
  if (file && !form.elements.name.value) form.elements.name.value = file.name.replace(/\.[^.]*$/, "").slice(0, 60);
}

function showParameters() {
  const { engine } = engines.train;
  const parameters = engine?.parameters ?? [];
  const advanced = parameters.filter((one) => !FIRST.includes(one.name));
  $("[data-first-parameters]").replaceChildren(...parameters.filter((one) => FIRST.includes(one.name)).map(parameterField));
  $("[data-parameters]").replaceChildren(...advanced.map(parameterField));
  $("[data-more]").hidden = !engine;
}

async function showEngines() {
  const { train, asr, tts } = await listEngines();
  engines.asr.show(asr);
  engines.tts.show(tts?.filter(isAble("cloning")));
  if (train && engines.train.show(train)) showParameters(); // else what has been filled in stays
}

async function showVoices() {
  const names = (await listVoices()).map((voice) => voice.name);
  fillSelect(form.elements.voice, [["", t("train.voice_none")], ...names.map((name) => [name, name])]);
}

function formData() {
  const data = new FormData();
  for (const name of ["name", "consent", "engine", "asr_engine", "tts_engine", "device"]) data.set(name, form.elements[name].value.trim());
  for (const [name, value] of toldParameters(form)) data.set(name, value);
  if (isPhoto(drop.file)) data.set("voice", form.elements.voice.value);
  data.set("video", drop.file, drop.file.name);
  return data;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const limit = `${Math.floor(maxBytes / 2 ** 20)} MB`;
  const isWell = check(form, [
    ["video", drop.file, t("error.file_missing")],
    ["video", !drop.file || drop.file.size <= maxBytes, t("file.too_large", { max: limit })],
    ["name", form.elements.name.value.trim(), t("error.field_missing")],
    ["consented", form.elements.consented.checked, t("consent.missing")],
    ["consent", form.elements.consent.value.trim(), t("error.field_missing")],
  ]);
  if (!isWell) return;
  const job = await send(form, path("trainings"), formData());
  if (job) show(job);
});

function show(job) {
  history.replaceState(null, "", `?job=${encodeURIComponent(job.id)}`);
  form.hidden = true;
  form.parentElement.classList.add("single");
  panel.hidden = false;
  $("[data-job-title]").textContent = jobTitle(job);
  $("[data-job-title]").focus();
  const progress = new JobProgress(job);
  const preview = el("img", { class: "job-preview", alt: t("job.preview"), hidden: true });
  const caption = el("p", { class: "help", textContent: t("job.preview"), hidden: true });
  const photo = isPhoto(drop.file) ? el("img", { class: "job-preview", src: URL.createObjectURL(drop.file), alt: "" }) : null;
  const lost = el("p", { class: "help", role: "status", textContent: t("job.lost"), hidden: true });
  const actions = el("div", { class: "actions" }, cancelButton(job));
  body.replaceChildren(progress.element, ...(photo ? [photo] : []), preview, caption, lost, actions);
  follow(job.id, (now) => {
    progress.update(now);
    if (now.preview_url && preview.src !== new URL(now.preview_url, location).href) {
      preview.src = now.preview_url;
      preview.hidden = caption.hidden = false;
    }
    if (isFinal(now)) finish(now, actions, progress);
  }, (isLost) => { lost.hidden = !isLost; });
}

function finish(job, actions, progress) {
  const again = el("a", { class: "button", href: "/train", textContent: t("job.again") });
  if (job.state !== "succeeded") {
    const resume = job.can_resume ? [resumeButton(job, show, (error) => progress.refuse(error))] : [];
    actions.replaceChildren(...resume, again);
    return;
  }
  const name = job.result.avatar;
  $("[data-job-title]").textContent = t("job.trained", { name });
  const talk = el("a", { class: "button primary large", href: `/chat?avatar=${encodeURIComponent(name)}`, textContent: t("job.talk", { name }) });
  const next = el("div", { class: "actions" }, talk, again);
  if (job.result.kind === "photo") {
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const poster = avatarFile(name, "thumbnail"); // there at once; the first drawing of the loop takes a while
    const face = el("video", { class: "job-preview face", src: avatarFile(name, "idle"), poster, autoplay: !isStill, loop: true, muted: true, playsInline: true });
    body.replaceChildren(progress.warnings, face, el("p", { class: "help", textContent: t("job.from_photo") }), next);
    return;
  }
  const comparison = el("img", { class: "job-preview", src: avatarFile(name, "comparison"), alt: t("job.comparison") });
  body.replaceChildren(progress.warnings, metrics(job.result.metrics), comparison, el("p", { class: "help", textContent: t("job.comparison") }), next);
  get(path("avatars", name))
    .then((avatar) => avatar.files.includes("report") && talk.after(el("a", { class: "button", href: reportPage(name), textContent: t("home.report") })))
    .catch(() => {}); // the avatar is there; its report can be had from the first page
  comparison.addEventListener("error", () => { comparison.nextSibling.remove(); comparison.remove(); });
}

async function reattach() {
  const id = new URLSearchParams(location.search).get("job");
  if (id) await get(path("jobs", id)).then(show).catch(() => history.replaceState(null, "", "/train"));
}

form.elements.engine.addEventListener("change", showParameters);
const load = () => [showEngines(), showVoices(), showDevices(form, "train")].forEach((work) => work.catch(() => {}));
load();
reattach();
watchServices(load);
