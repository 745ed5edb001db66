// The idle loop, frame by frame: a reply begins on one of its frames and ends on one, so that neither is seen.

const PATIENCE_FRAMES = 10; // a frame that is farther ahead has been missed: waiting for it would take a whole round
const GRACE_MS = 200; // a page that nobody sees is told of no frames

export class IdleLoop {
  constructor(video) {
    this.video = video;
    this.fps = 25; // of the avatar whose loop it is
  }

  get frame() {
    return this.#frameAt(this.video.currentTime);
  }

  get #length() {
    return Math.max(1, Math.round((this.video.duration || 0) * this.fps));
  }

  /** Frames from one on to another. */
  #between(from, to) {
    return (((to - from) % this.#length) + this.#length) % this.#length;
  }

  /** Resolves when the loop has come to the frame before `frame`, on which it then stands. */
  async reach(frame) {
    const ahead = this.#between(this.frame, frame - 1);
    if (ahead > 0 && ahead <= PATIENCE_FRAMES && !this.video.paused) await this.#presented(frame - 1, ahead);
    this.video.pause();
  }

  /** Resolves when a frame that is so many frames ahead is seen, or has been missed. */
  #presented(frame, ahead) {
    const dueMs = (1000 * ahead) / this.fps;
    if (!this.video.requestVideoFrameCallback) return new Promise((resolve) => setTimeout(resolve, dueMs));
    return new Promise((resolve) => {
      const look = (_, { mediaTime }) => {
        const left = this.#between(this.#frameAt(mediaTime), frame);
        if (left > 0 && left <= ahead) this.video.requestVideoFrameCallback(look);
        else resolve();
      };
      this.video.requestVideoFrameCallback(look);
      setTimeout(resolve, dueMs + GRACE_MS);
    });
  }

  /** Go to a frame and stand there, while something else is shown. */
  standOn(frame) {
    this.video.pause();
    if (this.video.duration) this.video.currentTime = ((frame % this.#length) + 0.5) / this.fps; // the middle of a frame is surely that frame
  }

  play() {
    this.video.play().catch(() => {});
  }

  #frameAt(seconds) {
    return Math.floor(seconds * this.fps + 0.01);
  }
}
