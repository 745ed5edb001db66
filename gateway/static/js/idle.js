// The idle loop, frame by frame: a reply begins on one of its frames and ends on one, so that neither is seen.

const FPS = 25;
const PATIENCE_FRAMES = 10; // a frame that is farther ahead has been missed: waiting for it would take a whole round

export class IdleLoop {
  constructor(video) {
    this.video = video;
  }

  get frame() {
    return Math.floor(this.video.currentTime * FPS + 0.01);
  }

  get #length() {
    return Math.max(1, Math.round((this.video.duration || 0) * FPS));
  }

  /** Resolves when the loop has come to a frame, on which it then stands. */
  async reach(frame) {
    const ahead = (((frame - 1 - this.frame) % this.#length) + this.#length) % this.#length;
    if (ahead <= PATIENCE_FRAMES && !this.video.paused) await new Promise((resolve) => setTimeout(resolve, (1000 * ahead) / FPS));
    this.video.pause();
  }

  /** Go to a frame and stand there, while something else is shown. */
  standOn(frame) {
    this.video.pause();
    if (this.video.duration) this.video.currentTime = ((frame % this.#length) + 0.5) / FPS; // the middle of a frame is surely that frame
  }

  play() {
    this.video.play().catch(() => {});
  }
}
