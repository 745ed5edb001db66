// Where a job shall run: a choice where there is one, else a fact.
import { get, path } from "./api.js";
import { $, el, fillSelect } from "./dom.js";
import { isFinal } from "./job-card.js";
import { t } from "./words.js";

const gigabytes = (bytes) => (bytes / 2 ** 30).toFixed(1);

/** A device in words: what it is, and what of it is free. */
function inWords(device, hardware) {
  const gpu = hardware.gpus.find((one) => one.device === device);
  const name = gpu ? t("device.gpu", { number: device.split(":")[1], name: gpu.name }) : device === "cpu" ? t("device.cpu", { count: hardware.cpu_count }) : device;
  const [free, total] = gpu ? [gpu.memory_free_bytes, gpu.memory_total_bytes] : [hardware.memory_available_bytes, hardware.memory_total_bytes];
  return `${name} · ${t("device.free", { free: gigabytes(free), total: gigabytes(total) })}`;
}

/** Offer the devices that a service's jobs can run on; what was chosen stays. */
export async function showDevices(form, service) {
  const [{ services }, { jobs }] = await Promise.all([get(path("system")), get(path("jobs"))]);
  const { devices, hardware } = services[service];
  if (!devices?.length) return;
  const kind = service === "train" ? "training" : "generation";
  const busy = new Set(jobs.filter((job) => job.kind === kind && !isFinal(job)).map((job) => job.device));
  const words = (device) => inWords(device, hardware) + (busy.has(device) ? ` · ${t("device.busy")}` : "");
  const isChoice = devices.length > 1;
  const fact = $("[data-device-fact]", form);
  $("[data-device-field]", form).hidden = !isChoice;
  fact.hidden = isChoice;
  if (isChoice) fillSelect(form.elements.device, [["", t("device.any")], ...devices.map((device) => [device, words(device)])]);
  else fact.replaceChildren(el("strong", { textContent: t("device.title") }), ` ${words(devices[0])}`);
}
