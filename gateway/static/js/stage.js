// The stage: the avatar's idle loop, and over it the reply while there is one.
import { avatarFile } from "./avatars.js";
import { Caption } from "./caption.js";
import { $ } from "./dom.js";
import { IdleLoop } from "./idle.js";
import { known, t } from "./words.js";

const FADE_MS = 200; // a little more than the style sheet's fade between loop and reply

export class Stage {
  constructor(root) {
    this.root = root;
    this.idle = $("[data-idle]", root);
    this.loop = new IdleLoop(this.idle);
    this.video = $("[data-reply]", root);
    this.backdrop = $("[data-backdrop]", root);
    this.backdrop.onload = () => this.#fit(this.backdrop.naturalWidth / this.backdrop.naturalHeight);
    this.idle.onloadedmetadata = () => this.#fit(this.idle.videoWidth / this.idle.videoHeight);
    this.caption = new Caption($("[data-caption]", root), this.video);
    this.avatar = null;
    this.isCovered = false; // the loop, by the reply
    this.next = null; // the loop's frame that follows the reply, once it is known
  }

  /** Whose loop is shown. A reply that is playing goes on. */
  show(avatar) {
    if (avatar.name === this.avatar) return;
    this.avatar = avatar.name;
    this.loop.fps = avatar.fps || this.loop.fps;
    this.idle.poster = this.backdrop.src = avatarFile(avatar.name, "thumbnail");
    this.idle.src = avatar.files.includes("idle") ? avatarFile(avatar.name, "idle") : "";
    this.#play();
  }

  /** Take the picture's shape, so that nothing is left beside it where there is room. */
  #fit(aspect) {
    if (aspect) this.root.style.setProperty("--aspect", aspect);
  }

  say(state) {
    $("[data-state]", this.root).textContent = t(`chat.${state}`);
  }

  /** A clip of the reply is being made: the loop plays on, and the pill says how far it is. */
  render({ stage, progress, eta_s: etaS }) {
    const words = { stage: known(`clip.${stage}`, stage), percent: Math.round(100 * progress), seconds: Math.ceil(etaS ?? 0) };
    $("[data-state]", this.root).textContent = t(etaS === null ? "chat.rendering" : "chat.rendering_eta", words);
    this.loop.play();
  }

  /** The reply is seen and heard. */
  speak() {
    this.root.classList.add("speaking");
    this.caption.show();
    this.say("speaking");
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => this.#cover(), FADE_MS);
  }

  /** After the reply the loop goes on with a frame. */
  goOnAt(frame) {
    this.next = frame;
    if (this.isCovered) this.loop.standOn(frame);
  }

  /** Nobody sees the loop: it stops, and is free to go elsewhere. */
  #cover() {
    this.isCovered = true;
    this.idle.pause();
    if (this.next !== null) this.loop.standOn(this.next);
  }

  /** The reply waits behind the loop: its last frame, mouth open, would not look as if somebody listened. */
  listen() {
    this.root.classList.remove("speaking");
    this.caption.hide();
    this.#play();
  }

  /** There is no reply. */
  rest() {
    this.next = null;
    this.listen();
    this.caption.reset();
    this.offerPlay(null);
  }

  /** The browser wants a click before it lets a reply be heard. */
  offerPlay(play) {
    const button = $("[data-play]", this.root);
    button.hidden = !play;
    button.onclick = () => { button.hidden = true; play(); };
  }

  #play() {
    clearTimeout(this.hiding);
    this.isCovered = false;
    this.loop.play();
  }
}
