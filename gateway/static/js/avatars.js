// Avatars as cards, and choosing one of them.
import { get, path } from "./api.js";
import { $, el, icon } from "./dom.js";
import { t } from "./words.js";

export const avatarFile = (name, kind) => path("avatars", name, kind);
export const reportPage = (name) => `${avatarFile(name, "report")}#${document.documentElement.lang.slice(0, 2)}`;
/** Also those that are damaged, which have an `error` and can only be deleted. */
export const allAvatars = async () => (await get(path("avatars"))).avatars;
export const allVoices = async () => (await get(path("voices"))).voices;
export const listAvatars = async () => (await allAvatars()).filter((avatar) => !avatar.error);
export const listVoices = async () => (await allVoices()).filter((voice) => !voice.error);

export function noAvatars() {
  const train = el("a", { class: "button primary small", href: "/train", textContent: t("home.start_train") });
  return el("div", { class: "empty" }, icon("train"), el("p", { textContent: t("avatar.none") }), train);
}

/** Fill the picker; the avatar that was chosen before, is named in the address, or comes first, is chosen. */
export async function fillPicker(picker) {
  const avatars = await listAvatars();
  const before = $("input:checked", picker)?.value;
  const wanted = avatars.some((avatar) => avatar.name === before) ? before : new URLSearchParams(location.search).get("avatar");
  const cards = avatars.map((avatar, index) => {
    const checked = wanted ? avatar.name === wanted : index === 0;
    const input = el("input", { type: "radio", name: "avatar", value: avatar.name, checked });
    const picture = el("img", { src: avatarFile(avatar.name, "thumbnail"), alt: "", loading: "lazy" });
    return el("label", { class: "avatar-card" }, picture, el("span", { textContent: avatar.name }), input);
  });
  picker.replaceChildren(...(cards.length ? cards : [noAvatars()]));
  picker.setAttribute("aria-busy", "false");
  return avatars;
}

/** The engine's voice, whichever the avatar has. */
export const STANDARD_VOICE = ":standard";

/** Options for choosing a voice: the avatar's own, the engine's, then the registered ones. */
export function voiceOptions(voices, ownVoice) {
  const names = voices.map((voice) => voice.name).filter((name) => name !== ownVoice);
  const own = ownVoice ? [[ownVoice, t("generate.voice_own")]] : [];
  return [...own, [STANDARD_VOICE, t("generate.voice_default")], ...names.map((name) => [name, name])];
}
