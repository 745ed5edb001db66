// Models: what engines load; fetch, verify and remove it.
import { get, path, post, remove } from "./api.js";
import { $, confirmed, el, icon, repeatedly } from "./dom.js";
import { check, send } from "./form.js";
import { JobProgress, cancelButton, follow, isFinal } from "./job-card.js";
import { watchServices } from "./notice.js";
import { t } from "./words.js";

const list = $("[data-models]");
const pulls = new Map(); // by model: the pull that is shown, or the last one
const verified = new Set(); // names of those that were read and found right
let shown = "";

const megabytes = (bytes) => t("models.megabytes", { count: bytes < 1e7 ? (bytes / 1e6).toFixed(1) : Math.round(bytes / 1e6) });

/** The names of some languages, in the reader's, or how many there are. */
function languages(model) {
  if (!model.languages.length) return "";
  if (model.languages.length > 4) return t("models.languages", { count: model.languages.length });
  const names = new Intl.DisplayNames(document.documentElement.lang, { type: "language" });
  return model.languages.map((tag) => names.of(tag)).join(", ");
}

function button(words, model, work, classes = "button small") {
  const element = el("button", { class: classes, type: "button", textContent: t(words), "aria-label": `${t(words)}: ${model.name}` });
  element.addEventListener("click", async () => {
    if (element.getAttribute("aria-disabled") === "true") return;
    element.setAttribute("aria-disabled", "true"); // not `disabled`, which would lose the focus
    tell("");
    await work().catch((error) => tell(error.message));
    element.setAttribute("aria-disabled", "false");
    await show().catch(() => {});
  });
  return element;
}

function tell(text) {
  $("[data-error]").textContent = text;
  $("[data-error]").hidden = !text;
}

async function pull(model) {
  verified.delete(model.name);
  const job = await (await post(path("models", model.name, "pull"))).json();
  attach(model.name, job.id);
}

async function verify(model) {
  const { wrong_files: wrong } = await (await post(path("models", model.name, "verify"))).json();
  verified.delete(model.name);
  if (wrong.length) tell(t("models.wrong", { name: model.name, files: wrong.join(", ") }));
  else verified.add(model.name);
}

async function forget(model) {
  if (!(await confirmed(t("models.confirm_remove", { name: model.name })))) return;
  await remove(path("models", model.name));
  pulls.delete(model.name);
  verified.delete(model.name);
}

/** Follow a job that fetches a model. */
function attach(name, jobId) {
  if (pulls.get(name)?.id === jobId) return;
  const pulling = { id: jobId, job: null, progress: null };
  pulls.set(name, pulling);
  follow(jobId, (job) => {
    pulling.job = job;
    if (pulling.progress) pulling.progress.update(job);
    if (isFinal(job) || !pulling.progress) show().catch(() => {});
  });
}

function actionsOf(model) {
  const { job } = pulls.get(model.name) ?? {};
  const row = el("div", { class: "actions" });
  if (job && !isFinal(job)) {
    row.append(cancelButton(job));
    return row;
  }
  if (model.state !== "whole") row.append(button(model.state === "begun" ? "models.go_on" : model.state === "damaged" ? "models.mend" : "models.pull", model, () => pull(model), "button small primary"));
  if (model.state === "whole") row.append(button("models.verify", model, () => verify(model)));
  if (model.state !== "missing") row.append(button("models.remove", model, () => forget(model), "button small danger"));
  return row;
}

function card(model) {
  const pulling = pulls.get(model.name);
  const state = verified.has(model.name) && model.state === "whole" ? "verified" : model.state;
  const badge = el("span", { class: `badge ${{ whole: "succeeded", damaged: "failed" }[model.state] ?? ""}`, textContent: t(`models.state_${state}`) });
  const recommended = model.is_recommended && model.state === "missing" ? el("span", { class: "badge", textContent: t("models.recommended") }) : null;
  const name = model.homepage ? el("a", { href: model.homepage, rel: "noreferrer", textContent: model.name }) : model.name;
  const size = model.state === "begun" && !model.job_id ? t("models.begun", { begun: megabytes(model.begun_bytes), whole: megabytes(model.size_bytes) }) : megabytes(model.size_bytes);
  const facts = [size, model.licence, languages(model)].filter(Boolean).join(" · ");
  const isPulled = pulling?.job && !isFinal(pulling.job); // its own state is shown then
  const head = el("div", { class: "job-head" }, el("h2", {}, name), el("span", { class: "help", textContent: facts }), recommended, isPulled ? null : badge);
  const body = el("div", {}, head, el("p", { textContent: model.purpose }));
  if (pulling?.job && pulling.job.state !== "succeeded") {
    pulling.progress = new JobProgress(pulling.job);
    body.append(pulling.progress.element);
  }
  body.append(actionsOf(model));
  return el("article", { class: "card job", data: { model: model.name } }, el("div", { class: "job-picture" }, icon("models")), body);
}

async function show() {
  const { models } = await get(path("models"));
  for (const model of models) if (model.job_id) attach(model.name, model.job_id);
  const now = JSON.stringify([models.map((model) => ({ ...model, begun_bytes: model.job_id ? 0 : model.begun_bytes })), [...pulls].map(([name, { job }]) => [name, job?.id, job?.state]), [...verified]]);
  if (now === shown) return;
  shown = now;
  const focused = document.activeElement?.closest("[data-model]")?.dataset.model;
  list.setAttribute("aria-busy", "false");
  list.replaceChildren(...models.map(card));
  if (focused) $(`[data-model="${CSS.escape(focused)}"] .actions button`)?.focus();
}

// Files at hand

const form = $("[data-form]");
const drop = $("[data-import]");
const inputs = [$("#files"), $("#folder")];
const MOST_FILES = 1000;
let chosen = [];

const sizeOf = (files) => files.reduce((sum, file) => sum + file.size, 0);

/** What is to be sent: not what the system has put beside it, such as .DS_Store, nor empty files. */
function choose(files) {
  chosen = [...files].filter((file) => !file.name.startsWith(".") && file.size);
  for (const input of inputs) input.value = "";
  $(".drop-empty", drop).hidden = chosen.length > 0;
  $(".drop-chosen", drop).hidden = !chosen.length;
  $(".drop-name", drop).textContent = chosen.length === 1 ? `${chosen[0].name} · ${megabytes(sizeOf(chosen))}` : t("models.chosen", { count: chosen.length, size: megabytes(sizeOf(chosen)) });
  $("[data-done]").hidden = true;
  inputs[0].dispatchEvent(new Event("input", { bubbles: true })); // what was wrong with the last ones is no more
}

/** The files of what was dropped, also of folders. */
async function filesIn(entry) {
  if (!entry) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => { entry.file(resolve, reject); })];
  const reader = entry.createReader();
  const found = [];
  for (;;) { // it tells some at a time
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) return found;
    for (const one of some) found.push(...await filesIn(one));
  }
}

if (!("webkitdirectory" in inputs[1])) $("[data-folder]", drop).hidden = inputs[1].disabled = true; // phones know no folders
for (const input of inputs) input.addEventListener("change", () => choose(input.files));
$("[data-clear]", drop).addEventListener("click", () => { choose([]); inputs[0].focus(); });
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()); // before the first await
  choose((await Promise.all(entries.map(filesIn))).flat());
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const most = Number(form.dataset.most);
  const well = check(form, [
    ["files", chosen.length > 0, t("models.choose_first")],
    ["files", chosen.length <= MOST_FILES, t("models.too_many_files", { count: chosen.length, most: MOST_FILES })],
    ["files", sizeOf(chosen) <= most, t("models.too_large", { max: `${Math.round(most / 2 ** 20)} MB` })],
  ]);
  if (!well) return;
  const data = new FormData();
  for (const file of chosen) data.append("files", file, file.name);
  const done = await send(form, path("models", "import"), data, "models.checking");
  if (!done) return;
  choose([]);
  $("[data-done]").hidden = false;
  $("[data-done]").textContent = done.models
    .map(({ name, missing_files: missing }) => (missing.length ? t("models.imported_partly", { name, files: missing.join(", ") }) : t("models.imported", { name })))
    .join(" ");
  for (const { name, missing_files: missing } of done.models) if (!missing.length) verified.add(name);
  await show().catch(() => {});
});

repeatedly(6, () => show().catch((error) => {
  if (!shown) list.replaceChildren(el("p", { class: "empty card", textContent: error.message }));
}));
watchServices();
