// Jobs: all of them, live.
import { get, path } from "./api.js";
import { $, el, repeatedly, templateCopy } from "./dom.js";
import { JobProgress, cancelButton, downloads, isFinal, jobTitle } from "./job-card.js";
import { watchServices } from "./notice.js";
import { t } from "./words.js";

const list = $("[data-jobs]");
const cards = new Map();
let isBusy = false;

function actionsOf(job) {
  if (!isFinal(job)) return el("div", { class: "actions" }, link(job, t("job.show")), cancelButton(job));
  if (job.state !== "succeeded") return null;
  if (job.kind === "generation") {
    const row = downloads(job.result);
    row.prepend(link(job, t("job.show")));
    return row;
  }
  const talk = el("a", { class: "button small", href: `/chat?avatar=${encodeURIComponent(job.result.avatar)}`, textContent: t("job.talk", { name: job.result.avatar }) });
  return el("div", { class: "actions" }, link(job, t("job.show")), talk);
}

function link(job, text) {
  const page = job.kind === "training" ? "/train" : "/generate";
  return el("a", { class: "button small primary", href: `${page}?job=${encodeURIComponent(job.id)}`, textContent: text });
}

function cardOf(job) {
  const progress = new JobProgress(job);
  const when = new Date(job.created_at * 1000).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  const head = el("div", { class: "job-head" }, el("h2", { textContent: jobTitle(job) }), el("span", { class: "help", textContent: when }), progress.state);
  progress.update(job);
  const actions = actionsOf(job);
  const element = el("article", { class: "card job" }, head, progress.element, actions);
  return { element, progress, actions, state: job.state };
}

function showJob(job) {
  const known = cards.get(job.id);
  if (known?.state === job.state) {
    known.progress.update(job);
    return known.element;
  }
  const fresh = cardOf(job);
  known?.element.replaceWith(fresh.element);
  cards.set(job.id, fresh);
  return fresh.element;
}

async function show() {
  const { jobs, missing } = await get(path("jobs"));
  isBusy = jobs.some((job) => !isFinal(job));
  list.setAttribute("aria-busy", "false");
  const elements = jobs.length || missing.length ? jobs.map(showJob) : [templateCopy("no-jobs")];
  const isSame = elements.length === list.children.length && elements.every((one, index) => list.children[index] === one);
  if (!isSame) list.replaceChildren(...elements);
}

repeatedly(() => (isBusy ? 1.5 : 6), () => show().catch((error) => {
  if (!cards.size) list.replaceChildren(el("p", { class: "empty card", textContent: error.message }));
}));
watchServices();
