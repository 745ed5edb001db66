// Forms: errors beside their field, upload progress, files by choice, drop or microphone.
import { upload } from "./api.js";
import { $, $$, el } from "./dom.js";
import { Recorder, microphoneProblem } from "./recorder.js";
import { t } from "./words.js";

/** Show an error beside the field it names, or above the button when it names none that is here. */
export function showError(form, { message, field }) {
  const place = field && $$("[data-error-for]", form).find((one) => one.dataset.errorFor === field);
  const target = place ?? $("[data-form-error]", form);
  target.textContent = message;
  target.hidden = false;
  const details = target.closest("details");
  if (details) details.open = true;
  const input = field && (form.elements.namedItem(field) ?? $(`[data-drop="${field}"]`, form));
  if (input?.setAttribute) input.setAttribute("aria-invalid", "true");
  if (input?.focus && input.type !== "file") input.focus();
  target.scrollIntoView({ block: "center", behavior: "smooth" });
}

export function clearErrors(form) {
  for (const place of $$("[data-error-for], [data-form-error]", form)) place.hidden = true;
  for (const input of $$("[aria-invalid]", form)) input.removeAttribute("aria-invalid");
}

/** Refuse on the page what the gateway would refuse; returns whether all is well. */
export function check(form, rules) {
  clearErrors(form);
  for (const [field, isWell, message] of rules) {
    if (!isWell) {
      showError(form, { field, message });
      return false;
    }
  }
  return true;
}

/** Send a form with progress; shows what is refused. Returns the answer, or null. */
export async function send(form, url, data) {
  const button = $("[type=submit]", form);
  const box = $("[data-upload]", form);
  const bar = $("progress", box);
  const hasFile = [...data.values()].some((value) => value instanceof Blob && value.size > 500_000);
  button.disabled = true;
  try {
    return await upload(url, data, (share) => {
      box.hidden = !hasFile;
      bar.value = share;
      $("[data-upload-text]", box).textContent = share < 1 ? t("upload.sending", { percent: Math.round(share * 100) }) : t("upload.checking");
    });
  } catch (error) {
    showError(form, error);
    return null;
  } finally {
    button.disabled = false;
    box.hidden = true;
  }
}

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
    this.root.removeAttribute("aria-invalid");
    $(".drop-empty", this.root).hidden = Boolean(file);
    $(".drop-chosen", this.root).hidden = !file;
    const media = $(".drop-media", this.root);
    if (media.firstChild?.src) URL.revokeObjectURL(media.firstChild.src);
    media.replaceChildren();
    if (file) {
      $(".drop-name", this.root).textContent = `${file.name} · ${(file.size / 2 ** 20).toFixed(1)} MB`;
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
