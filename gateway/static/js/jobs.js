// Jobs: all of them, live.
import { get, path, remove } from "./api.js";
import { avatarFile } from "./avatars.js";
import { $, confirmed, el, icon, repeatedly, templateCopy } from "./dom.js";
import { JobProgress, cancelButton, downloads, isFinal, jobName, jobTitle, length, resumeButton } from "./job-card.js";
import { watchServices } from "./notice.js";
import { t } from "./words.js";

const list = $("[data-jobs]");
const cards = new Map();
const older = el("button", { class: "button", type: "button", textContent: t("jobs.older"), onclick: showMore });
let pageCount = 1;
let isBusy = false;

function actionsOf(job) {
  if (!isFinal(job)) return el("div", { class: "actions" }, link(job, t("job.show")), cancelButton(job));
  const row = job.state === "succeeded" ? resultOf(job) : el("div", { class: "actions" });
  if (job.can_resume) row.append(resumeButton(job, showJob, (error) => cards.get(job.id).progress.refuse(error)));
  row.append(deleteButton(job));
  return row;
}

function resultOf(job) {
  if (job.kind === "model") return el("div", { class: "actions" }, link(job, t("job.show")));
  const row = job.kind === "generation" ? downloads(job.result) : el("div", { class: "actions" }, talkLink(job.result.avatar));
  row.prepend(link(job, t("job.show")));
  return row;
}

function talkLink(name) {
  return el("a", { class: "button small", href: `/chat?avatar=${encodeURIComponent(name)}`, textContent: t("job.talk", { name }) });
}

function deleteButton(job) {
  const words = { "aria-label": t("job.delete", { name: jobName(job) }), title: t("dialog.delete") };
  const button = el("button", { class: "button danger small", type: "button", ...words, onclick: forget }, icon("delete"));
  async function forget() {
    if (!(await confirmed(t(`job.confirm_delete_${job.kind}`, { name: job.subject })))) return;
    button.disabled = true;
    await remove(path("jobs", job.id)).then(() => button.closest("article").remove()).catch(() => { button.disabled = false; });
  }
  return button;
}

function link(job, text) {
  const page = { training: "/train", generation: "/generate", model: "/models" }[job.kind];
  return el("a", { class: "button small primary", href: `${page}?job=${encodeURIComponent(job.id)}`, textContent: text, "aria-label": `${text}: ${jobName(job)}` });
}

/** The face of whom it is about, where there is one. */
function pictureOf(job) {
  const sign = icon({ training: "train", generation: "generate", model: "models" }[job.kind]);
  const frame = el("div", { class: "job-picture" }, sign);
  if (job.kind === "generation" || (job.kind === "training" && job.state === "succeeded")) {
    frame.replaceChildren(el("img", { src: avatarFile(job.subject, "thumbnail"), alt: "", onerror: () => frame.replaceChildren(sign) }));
  }
  return frame;
}

function cardOf(job) {
  const progress = new JobProgress(job);
  const when = new Date(job.created_at * 1000).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  const facts = [when, length(job)].filter(Boolean).join(" · ");
  const head = el("div", { class: "job-head" }, el("h2", { textContent: jobTitle(job) }), el("span", { class: "help", textContent: facts }), progress.state);
  progress.update(job);
  const actions = actionsOf(job);
  const words = job.title ? el("p", { class: "job-words", textContent: job.title }) : null;
  const element = el("article", { class: "card job" }, pictureOf(job), el("div", {}, head, words, progress.element, actions));
  return { element, progress, actions, state: job.state };
}

function showJob(job) {
  const known = cards.get(job.id);
  if (known?.state === job.state) {
    known.progress.update(job);
    return known.element;
  }
  const fresh = cardOf(job);
  const hadFocus = known?.element.contains(document.activeElement);
  known?.element.replaceWith(fresh.element);
  if (hadFocus) $("a, button", fresh.element)?.focus();
  cards.set(job.id, fresh);
  return fresh.element;
}

/** As many pages as are shown, newest first; `next` asks for more. */
async function fetchPages() {
  const found = { jobs: [], missing: [], next: null };
  for (let page = 0; page < pageCount; page += 1) {
    const answer = await get(found.next ? `${path("jobs")}?page_token=${encodeURIComponent(found.next)}` : path("jobs"));
    found.jobs.push(...answer.jobs);
    Object.assign(found, { missing: answer.missing, next: answer.next_page_token });
    if (!found.next) break;
  }
  return found;
}

async function showMore() {
  pageCount += 1;
  await show();
}

async function show() {
  const { jobs, missing, next } = await fetchPages();
  isBusy = jobs.some((job) => !isFinal(job));
  list.setAttribute("aria-busy", "false");
  const elements = jobs.length || missing.length ? jobs.map(showJob) : [templateCopy("no-jobs")];
  if (next) elements.push(older);
  const isSame = elements.length === list.children.length && elements.every((one, index) => list.children[index] === one);
  if (!isSame) list.replaceChildren(...elements);
}

repeatedly(() => (isBusy ? 1.5 : 6), () => show().catch((error) => {
  if (!cards.size) list.replaceChildren(el("p", { class: "empty card", textContent: error.message }));
}));
watchServices();
