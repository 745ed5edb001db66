// Home: avatars, services and machine, live.
import { get, path, remove } from "./api.js";
import { avatarFile, allAvatars, allVoices, noAvatars, reportPage } from "./avatars.js";
import { $, confirmed, el, icon, repeatedly } from "./dom.js";
import { t } from "./words.js";

const gallery = $("[data-avatars]");
let shown = "";

function tile(avatar) {
  const forget = el("button", { class: "button danger small", type: "button", title: t("dialog.delete"), "aria-label": t("home.delete_avatar", { name: avatar.name }), onclick: () => deleteAvatar(avatar) }, icon("delete"));
  if (avatar.error) {
    const what = el("div", {}, el("h3", {}, avatar.name), el("p", { class: "help", textContent: avatar.error.message }));
    return el("article", { class: "avatar-tile" }, el("div", { class: "avatar-head" }, what, forget));
  }
  const idle = avatar.files.includes("idle");
  const poster = avatarFile(avatar.name, "thumbnail");
  const face = idle
    ? el("video", { src: avatarFile(avatar.name, "idle"), poster, muted: true, loop: true, playsInline: true, preload: "none" })
    : el("img", { src: poster, alt: "", loading: "lazy" });
  if (idle) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    face.addEventListener("pointerenter", () => !still && face.play().catch(() => {}));
    face.addEventListener("pointerleave", () => face.pause());
  }
  const talk = el("a", { class: "button small primary", href: `/chat?avatar=${encodeURIComponent(avatar.name)}`, "aria-label": t("job.talk", { name: avatar.name }), textContent: t("home.talk_to") });
  const kind = avatar.kind === "photo" ? el("span", { class: "badge", textContent: t("avatar.photo") }) : null;
  const report = avatar.files.includes("report")
    ? el("a", { class: "button small", href: reportPage(avatar.name), "aria-label": t("home.report_of", { name: avatar.name }), textContent: t("home.report") })
    : null;
  const head = el("div", { class: "avatar-head" }, el("div", {}, el("h3", {}, avatar.name), kind), forget);
  return el("article", { class: "avatar-tile" }, face, head, el("div", { class: "actions" }, talk, report));
}

async function deleteAvatar(avatar) {
  if (!(await confirmed(t("home.confirm_delete_avatar", { name: avatar.name })))) return;
  try {
    await remove(path("avatars", avatar.name));
    await offerToDeleteVoice(avatar.voice);
  } catch (error) {
    $("#notice").textContent = error.message;
    $("#notice").hidden = false;
  }
  await showAvatars();
}

async function offerToDeleteVoice(name) {
  const isThere = name && (await allVoices()).some((voice) => voice.name === name);
  if (isThere && (await confirmed(t("home.confirm_delete_voice", { name })))) await remove(path("voices", name));
}

async function showAvatars() {
  let avatars;
  try {
    avatars = await allAvatars();
  } catch (error) {
    if (!shown) gallery.replaceChildren(el("p", { class: "help", textContent: error.message }));
    return;
  }
  const now = JSON.stringify(avatars);
  if (now === shown) return;
  shown = now;
  gallery.setAttribute("aria-busy", "false");
  gallery.replaceChildren(...(avatars.length ? avatars.map(tile) : [noAvatars()]));
  const first = avatars.find((avatar) => avatar.files.includes("idle"));
  if (first) showFace(first);
}

function showFace(avatar) {
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const poster = avatarFile(avatar.name, "thumbnail");
  $("[data-face]").replaceChildren(el("video", { src: avatarFile(avatar.name, "idle"), poster, muted: true, loop: true, playsInline: true, autoplay: !isStill }));
}

function showMachine(hardware) {
  const total = Number(hardware.memory_total_bytes ?? 0);
  const used = total - Number(hardware.memory_available_bytes ?? 0);
  const percent = Math.round(hardware.cpu_percent ?? 0);
  const gigabytes = (bytes) => (bytes / 2 ** 30).toFixed(1);
  $("[data-cpu]").textContent = t("machine.cores", { percent, count: hardware.cpu_count });
  $("[data-cpu-meter]").value = percent;
  $("[data-memory]").textContent = t("machine.gigabytes", { used: gigabytes(used), total: gigabytes(total) });
  $("[data-memory-meter]").value = total ? (100 * used) / total : 0;
  if (hardware.gpus?.length) $("[data-gpus]").replaceChildren(...hardware.gpus.map((gpu) => showGpu(gpu, gigabytes)));
}

function showGpu(gpu, gigabytes) {
  const total = Number(gpu.memory_total_bytes);
  const used = total - Number(gpu.memory_free_bytes ?? 0);
  const meter = el("meter", { min: 0, max: 100, value: total ? (100 * used) / total : 0 });
  return el("div", { class: "meter-row" }, el("span", { textContent: gpu.name }), el("span", { textContent: t("machine.gigabytes", { used: gigabytes(used), total: gigabytes(total) }) }), meter);
}

async function showSystem() {
  const { services } = await get(path("system"));
  for (const [name, service] of Object.entries(services)) {
    const row = $(`[data-service="${name}"]`);
    row.dataset.state = service.state;
    $(".service-state", row).textContent = t(`state.${service.state}`);
    $("small", row).textContent = service.engine ?? " ";
  }
  const machine = Object.values(services).find((service) => service.hardware);
  if (machine) showMachine(machine.hardware);
}

repeatedly(5, () => showSystem().then(() => { $("#notice").hidden = true; }).catch((error) => { $("#notice").textContent = error.message; $("#notice").hidden = false; }));
repeatedly(10, showAvatars);
