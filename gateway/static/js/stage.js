// The stage: the avatar's idle loop, and over it the reply while there is one.
import { avatarFile } from "./avatars.js";
import { Caption } from "./caption.js";
import { $ } from "./dom.js";
import { t } from "./words.js";

const LOOP_FPS = 25;
const FADE_MS = 200; // a little more than the style sheet's fade between loop and reply
const SEEK_MS = 250; // a loop that cannot be sought is better shown where it is than not at all

export class Stage {
  constructor(root) {
    this.root = root;
    this.idle = $("[data-idle]", root);
    this.video = $("[data-reply]", root);
    this.caption = new Caption($("[data-caption]", root), this.video);
    this.avatar = null;
  }

  /** Whose loop is shown. A reply that is playing goes on. */
  show(avatar) {
    if (avatar.name === this.avatar) return;
    this.avatar = avatar.name;
    this.idle.poster = avatarFile(avatar.name, "thumbnail");
    this.idle.src = avatar.files.includes("idle") ? avatarFile(avatar.name, "idle") : "";
    this.#play();
  }

  say(state) {
    $("[data-state]", this.root).textContent = t(`chat.${state}`);
  }

  /** The reply is seen and heard. */
  speak() {
    this.root.classList.add("speaking");
    this.caption.show();
    this.say("speaking");
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => this.idle.pause(), FADE_MS); // nobody sees it
  }

  /** The reply waits behind the loop: its last frame, mouth open, would not look as if somebody listened. */
  listen() {
    this.root.classList.remove("speaking");
    this.caption.hide();
    this.#play();
  }

  /** The reply has ended on the frame before this one of the loop: bring the loop there, so that nothing jumps. */
  async land(frame, avatar) {
    const { idle } = this;
    if (avatar !== this.avatar || !(frame >= 0) || !(idle.duration > 0)) return;
    const sought = new Promise((resolve) => idle.addEventListener("seeked", resolve, { once: true }));
    idle.currentTime = ((frame + 0.5) / LOOP_FPS) % idle.duration;
    await Promise.race([sought, new Promise((resolve) => setTimeout(resolve, SEEK_MS))]);
  }

  /** There is no reply. */
  rest() {
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
    this.idle.play().catch(() => {});
  }
}
