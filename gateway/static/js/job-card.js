// A job as people see it: state, stage, progress, preview, what came of it.
import { get, path, post } from "./api.js";
import { confirmed, el, icon } from "./dom.js";
import { known, t } from "./words.js";

const FINAL = ["succeeded", "failed", "cancelled"];
export const isFinal = (job) => FINAL.includes(job.state);
export const jobTitle = (job) => t(`job.${job.kind}`, { name: job.subject });
/** What tells a job from others of the same title. */
export const jobName = (job) => (job.title ? `${jobTitle(job)}: ${job.title}` : jobTitle(job));

function eta(job) {
  if (job.eta_s === null || job.eta_s === undefined) return "";
  return job.eta_s > 90 ? t("job.eta_minutes", { minutes: Math.round(job.eta_s / 60) }) : t("job.eta_seconds", { seconds: Math.round(job.eta_s) });
}

/** How long a video is, as minutes and seconds. */
export function length(job) {
  if (!job.result?.duration_s) return "";
  const seconds = Math.max(1, Math.round(job.result.duration_s));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function numbers(job) {
  if (job.state === "queued") return job.queue ? t("job.ahead", { count: job.queue }) : job.kind === "generation" ? t("job.waiting_input") : "";
  const parts = [`${Math.round(job.progress * 100)} %`, eta(job)];
  if (job.steps > 1) parts.push(t(job.kind === "model" ? "job.megabytes" : "job.steps", { step: job.step, steps: job.steps }));
  if (job.loss) parts.push(t("job.loss", { loss: job.loss.toPrecision(3) }));
  return parts.filter(Boolean).join(" · ");
}

export function badge(job) {
  return el("span", { class: `badge ${job.state}`, textContent: t(`job.${job.state}`) });
}

export function cancelButton(job) {
  const button = el("button", { class: "button danger small", type: "button" });
  const show = (isStopping) => {
    button.textContent = t(isStopping ? "job.stopping" : "job.cancel");
    button.setAttribute("aria-label", `${button.textContent} ${jobName(job)}`);
    button.setAttribute("aria-disabled", String(isStopping)); // not `disabled`, which would lose the focus
  };
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    if (!(await confirmed(t(job.kind === "model" ? "job.confirm_cancel_model" : "job.confirm_cancel"), t("dialog.cancel_job")))) return;
    show(true); // at once: the job's process may take a while to end
    await post(path("jobs", job.id, "cancel")).catch(() => show(false));
  });
  show(false);
  return button;
}

/** Lets a failed job go on; `onResumed` gets it as it is then, `onRefused` the error. */
export function resumeButton(job, onResumed, onRefused) {
  const words = { textContent: t("job.resume"), "aria-label": `${t("job.resume")}: ${jobName(job)}` };
  const button = el("button", { class: "button primary small", type: "button", ...words });
  button.addEventListener("click", async () => {
    button.disabled = true;
    await post(path("jobs", job.id, "resume")).then((response) => response.json()).then(onResumed, (error) => {
      button.disabled = false;
      onRefused(error);
    });
  });
  return button;
}

/** The state and progress lines, kept in place and updated, so that nothing jumps. */
export class JobProgress {
  constructor(job) {
    this.stage = el("span", { class: "job-stage" });
    this.state = badge(job);
    this.bar = el("progress", { max: 1, value: 0, "aria-label": jobTitle(job) });
    this.numbers = el("p", { class: "job-numbers", role: "status" });
    this.error = el("p", { class: "form-error", role: "alert", hidden: true });
    this.head = el("div", { class: "job-head" }, this.stage, this.state);
    this.warnings = el("div", { class: "warnings", role: "status", hidden: true });
    this.warned = [];
    this.element = el("div", { class: "job-body" }, this.warnings, this.head, this.bar, this.numbers, this.error);
    this.update(job);
  }

  update(job) {
    const named = job.stage ? known(`stage.${job.stage}`, job.stage) : job.state === "running" ? t("job.starting") : "";
    const stage = isFinal(job) ? "" : named;
    this.stage.textContent = stage;
    this.head.hidden = !stage && !this.head.contains(this.state); // the state may have been put elsewhere
    const fresh = badge(job);
    this.state.replaceWith(fresh);
    this.state = fresh;
    this.bar.value = job.progress;
    this.bar.hidden = isFinal(job);
    this.numbers.textContent = isFinal(job) ? "" : numbers(job);
    this.numbers.hidden = isFinal(job);
    this.error.hidden = job.state !== "failed";
    this.error.textContent = job.error?.message ?? "";
    this.warn(job);
  }

  /** What is not as it should be. What is foreseen when the job begins stays until its end tells what came of it. */
  warn(job) {
    const now = (job.warnings ?? []).map((warning) => warning.message);
    const told = isFinal(job) ? now : [...new Set([...this.warned, ...now])];
    if (told.join() === this.warned.join()) return;
    this.warned = told;
    const items = told.map((message) => el("li", { textContent: message }));
    this.warnings.replaceChildren(el("p", { textContent: t("job.warnings") }), el("ul", {}, ...items));
    this.warnings.hidden = !told.length;
  }

  /** Say why something that was asked of the job cannot be done. */
  refuse(error) {
    this.error.hidden = false;
    this.error.textContent = error.message;
  }
}

/** Follow a job's events to its end; `onLost` is called with true and false as the connection goes and comes. */
export function follow(jobId, onJob, onLost = () => {}) {
  const source = new EventSource(path("jobs", jobId, "events"));
  source.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    onLost(false);
    if (isFinal(job)) source.close();
    onJob(job);
  });
  source.addEventListener("error", () => {
    onLost(true);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(jobId, onJob, onLost), 3000);
  });
  return source;
}

export const getJob = (id) => get(path("jobs", id));

export function downloads(result) {
  const link = (url, words) => el("a", { class: "button small", href: `${url}?download` }, icon("download"), t(words));
  const links = [link(result.video_url, "download.video")];
  if (result.subtitles_url) links.push(link(result.subtitles_url, "download.subtitles"));
  return el("div", { class: "actions" }, ...links);
}

const TOLD_METRICS = ["psnr", "ssim", "lmd_px", "aperture_correlation", "sharpness"];

/** The report card: the metrics that we have words for, else whatever numbers there are. */
export function metrics(values = {}) {
  const told = TOLD_METRICS.filter((name) => typeof values[name] === "number");
  const names = told.length ? told : Object.keys(values).filter((name) => typeof values[name] === "number");
  const items = names.map((name) => el("div", {}, el("dt", { textContent: known(`metric.${name}`, name.replaceAll("_", " ")) }), el("dd", { textContent: Number(values[name].toPrecision(4)) })));
  return el("dl", { class: "metrics" }, ...items);
}
