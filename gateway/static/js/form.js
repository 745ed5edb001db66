// Forms: errors beside their field, upload progress, files by choice, drop or microphone.
import { upload } from "./api.js";
import { $, $$, el } from "./dom.js";
import { Recorder, microphoneProblem } from "./recorder.js";
import { t } from "./words.js";

/** What a person would change to mend a field: its control, or where there are several of that name, the first. */
function controlOf(form, field) {
  const named = field && form.elements.namedItem(field);
  return named instanceof RadioNodeList ? named[0] : named || null;
}

/** Several controls are one field: what is wrong is said of the group. */
const bearer = (control) => (control.type === "radio" ? control.closest("fieldset") : control);

function describe(element, id, isDescribed) {
  const ids = (element.getAttribute("aria-describedby") ?? "").split(" ").filter((one) => one && one !== id);
  if (isDescribed) ids.push(id);
  if (ids.length) element.setAttribute("aria-describedby", ids.join(" "));
  else element.removeAttribute("aria-describedby");
}

function placeOf(form, field) {
  return field && $$("[data-error-for]", form).find((one) => one.dataset.errorFor === field);
}

function clearError(form, place) {
  place.hidden = true;
  const control = controlOf(form, place.dataset.errorFor);
  if (!control) return;
  describe(bearer(control), place.id, false);
  control.removeAttribute("aria-invalid");
}

/** Say an error beside the field it names, or above the button when it names none that is here; returns where to go. */
function say(form, { message, field }) {
  const own = placeOf(form, field);
  const place = own ?? $("[data-form-error]", form);
  place.textContent = message;
  place.hidden = false;
  const details = place.closest("details");
  if (details) details.open = true;
  const control = own && controlOf(form, field);
  if (!control) return place;
  place.id ||= `${field}-error`;
  describe(bearer(control), place.id, true);
  if (control.type !== "radio") control.setAttribute("aria-invalid", "true");
  control.addEventListener("input", () => clearError(form, place), { once: true });
  return control;
}

/** Say an error where it belongs, and leave the person where they are. */
export const tellError = say;

/** Show errors and go to the first of them. */
function showErrors(form, errors) {
  const [first] = errors.map((error) => say(form, error));
  first.focus({ preventScroll: true });
  (first.closest(".field") ?? first).scrollIntoView({ block: "center", behavior: "smooth" });
}

export const showError = (form, error) => showErrors(form, [error]);

export function clearErrors(form) {
  for (const place of $$("[data-error-for]", form)) clearError(form, place);
  $("[data-form-error]", form).hidden = true;
}

/** Refuse on the page what the gateway would refuse, by rules in the order of the fields; returns whether all is well. */
export function check(form, rules) {
  clearErrors(form);
  const broken = new Map(); // by field: of several complaints the first
  for (const [field, isWell, message] of rules) if (!isWell && !broken.has(field)) broken.set(field, { field, message });
  if (broken.size) showErrors(form, [...broken.values()]);
  return !broken.size;
}

/** Send a form with progress; shows what is refused. Returns the answer, or null. `checking`: what is said when all is sent. */
export async function send(form, url, data, checking = "upload.checking") {
  const button = $("[type=submit]", form);
  const box = $("[data-upload]", form);
  const bar = $("progress", box);
  const hasFile = [...data.values()].some((value) => value instanceof Blob && value.size > 500_000);
  button.disabled = true;
  const late = setTimeout(() => { box.hidden = false; }, 1000); // checking takes its time, however small the file
  try {
    return await upload(url, data, (share) => {
      if (hasFile) box.hidden = false;
      bar.value = share;
      $("[data-upload-text]", box).textContent = share < 1 ? t("upload.sending", { percent: Math.round(share * 100) }) : t(checking);
    });
  } catch (error) {
    showError(form, error);
    return null;
  } finally {
    clearTimeout(late);
    button.disabled = false;
    box.hidden = true;
  }
}

/** Keep what is typed in a field while the tab is open: a page that is loaded again has it still. */
export function keepDraft(field) {
  const key = `visavis.draft:${location.pathname}#${field.name}`;
  try {
    field.value ||= sessionStorage.getItem(key) ?? "";
    field.addEventListener("input", () => sessionStorage.setItem(key, field.value));
  } catch { /* a browser that keeps nothing */ }
}

/** How large a file is, so that none is "0.0 MB". */
const sizeOf = ({ size }) => (size < 2 ** 20 ? `${Math.ceil(size / 2 ** 10)} kB` : `${(size / 2 ** 20).toFixed(1)} MB`);

export const isPhoto = (file) => Boolean(file?.type.startsWith("image/"));

/** A place for one file: choose it, drop it or record it. `file` is what is there now, or null. */
export class FileDrop {
  constructor(root, { onChange = () => {} } = {}) {
    this.root = root;
    this.file = null;
    this.onChange = onChange;
    this.input = $("input[type=file]", root);
    this.input.addEventListener("change", () => this.set(this.input.files[0] ?? null));
    $("[data-clear]", root).addEventListener("click", () => this.set(null));
    root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("over"); });
    root.addEventListener("dragleave", () => root.classList.remove("over"));
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("over");
      this.set(event.dataTransfer.files[0] ?? null);
    });
    const record = $("[data-record]", root);
    if (record) this.#offerRecording(record);
  }

  set(file) {
    this.file = file;
    this.input.value = "";
    this.input.dispatchEvent(new Event("input", { bubbles: true })); // what was wrong with the last one is no more
    $(".drop-empty", this.root).hidden = Boolean(file);
    $(".drop-chosen", this.root).hidden = !file;
    const media = $(".drop-media", this.root);
    if (media.firstChild?.src) URL.revokeObjectURL(media.firstChild.src);
    media.replaceChildren();
    if (file) {
      $(".drop-name", this.root).textContent = `${file.name} · ${sizeOf(file)}`;
      const source = { src: URL.createObjectURL(file), onerror: () => media.replaceChildren() };
      const tag = file.type.startsWith("video/") ? "video" : "audio";
      media.append(isPhoto(file) ? el("img", { ...source, alt: "" }) : el(tag, { ...source, controls: true, preload: "metadata" }));
    }
    this.onChange(file);
  }

  #offerRecording(button) {
    const label = $("span", button);
    const problem = microphoneProblem();
    if (problem) {
      button.disabled = true;
      button.after(el("p", { class: "help", textContent: problem }));
      return;
    }
    let recorder = null;
    let timer = 0;
    button.addEventListener("click", async () => {
      const error = $(`[data-error-for="${this.input.name}"]`, this.root.parentElement);
      error.hidden = true;
      if (recorder) {
        clearInterval(timer);
        const file = await recorder.stop();
        recorder = null;
        button.classList.remove("recording");
        label.textContent = t("microphone.record");
        if (file) this.set(file);
        return;
      }
      try {
        recorder = await Recorder.start();
      } catch (problem) {
        error.textContent = problem.message;
        error.hidden = false;
        return;
      }
      const tick = () => { label.textContent = t("microphone.stop", { seconds: Math.round(recorder?.seconds ?? 0) }); };
      button.classList.add("recording");
      tick();
      timer = setInterval(tick, 500);
    });
  }
}
