// Plays a reply while it is being made: its sentences are streams of MP4 on one time line, appended one after another.
import { Pace } from "./pace.js";

const Source = window.ManagedMediaSource ?? window.MediaSource;
const USUAL_TYPE = 'video/mp4; codecs="avc1.42c01f, mp4a.40.2"';
const LOOK_MS = 20;
const FRAME_S = 0.04;
const pace = new Pace();
const now = () => performance.now() / 1000;

export class ReplyPlayer {
  /** `onShown` is called with the first picture, `onEnded` after the last, `onBlocked` when the browser wants a click,
      `onBroken` when it cannot play what it gets, and `onUnderrun` when it stands still because the next media is late. */
  constructor(video, { onShown, onEnded, onBlocked, onBroken, onUnderrun = () => {} }) {
    this.video = video;
    this.isBegun = false;
    this.isGathering = true; // not enough has come to begin, or to go on after an underrun
    this.gatheringSince = null; // it would have begun then, had its first media been enough
    this.heldS = 0;
    this.urls = [];
    this.isComplete = false;
    this.isStopped = false;
    this.wake = () => {};
    this.abort = new AbortController();
    const { signal } = this.abort;
    video.addEventListener("playing", () => { this.isBegun = true; onShown(); }, { signal, once: true });
    video.addEventListener("waiting", () => this.#starve(), { signal });
    video.addEventListener("ended", onEnded, { signal });
    video.addEventListener("error", onBroken, { signal });
    this.onBroken = onBroken;
    this.onBlocked = onBlocked;
    this.onEnded = onEnded;
    this.onUnderrun = onUnderrun;
    pace.begin();
  }

  /** Whether video of a type, or of the usual one, can be played while it comes. */
  static isPossible = (mediaType = USUAL_TYPE) => Boolean(Source?.isTypeSupported(mediaType));

  /** The next sentence is to be had at `url`. */
  append(url, mediaType) {
    if (this.isStopped) return;
    this.urls.push(url);
    if (!this.feeding && ReplyPlayer.isPossible(mediaType)) this.feeding = this.feed(mediaType).catch((error) => error.name !== "AbortError" && this.onBroken());
    this.wake();
  }

  /** No more sentences will come. `videoUrl` is played where the browser cannot append. */
  complete(videoUrl) {
    this.isComplete = true;
    this.wake();
    if (this.feeding || this.isStopped) return;
    if (!this.urls.length) return this.onEnded();
    this.video.src = videoUrl;
    this.play();
  }

  /** Stop at once; returns how many seconds were heard. */
  stop() {
    const heard = this.feeding || this.video.src ? this.video.currentTime : 0;
    this.finish();
    return heard;
  }

  finish() {
    if (this.isStopped) return;
    this.isStopped = true;
    this.abort.abort();
    this.wake();
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }

  async feed(mediaType) {
    const source = new Source();
    this.video.disableRemotePlayback = true;
    this.video.src = URL.createObjectURL(source);
    await new Promise((resolve) => source.addEventListener("sourceopen", resolve, { once: true }));
    URL.revokeObjectURL(this.video.src);
    const buffer = source.addSourceBuffer(mediaType);
    for await (const block of this.blocks()) {
      if (this.isStopped) return;
      await this.#append(buffer, block);
    }
    if (this.isStopped || source.readyState !== "open") return;
    source.endOfStream();
    if (this.isBegun && this.isGathering && this.#aheadS < FRAME_S) this.onEnded(); // paused at its very end: the browser does not tell
  }

  /** The bytes of the reply, as they come. */
  async *blocks() {
    for (let next = 0; !this.isStopped; next += 1) {
      while (next >= this.urls.length && !this.isComplete && !this.isStopped) await this.news();
      if (next >= this.urls.length) return;
      const reader = (await fetch(this.urls[next], { signal: this.abort.signal })).body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.isStopped) break;
        yield value;
      }
    }
  }

  news = () => new Promise((resolve) => { this.wake = resolve; });

  async #append(buffer, block) {
    buffer.appendBuffer(block);
    await new Promise((resolve, reject) => {
      buffer.addEventListener("updateend", resolve, { once: true });
      buffer.addEventListener("error", reject, { once: true });
    });
    pace.came(this.#end, now());
    if (!this.video.paused || this.isBlocked || this.isHeld) return;
    if (this.video.readyState >= 2) this.play();
    else this.video.addEventListener("canplay", () => this.play(), { once: true, signal: this.abort.signal });
  }

  get #end() {
    const { buffered } = this.video;
    return buffered.length ? buffered.end(buffered.length - 1) : 0;
  }

  get #aheadS() {
    return this.#end - this.video.currentTime;
  }

  /** Media is late. A browser plays on with the next bit of it and stands still again: wait until there is a little more. */
  #starve() {
    if (!this.isBegun || this.isGathering || this.isComplete || this.#aheadS > FRAME_S) return; // or only the decoder is slow
    this.isGathering = true;
    this.video.pause();
    this.onUnderrun();
    this.play();
  }

  /** Whether enough has come to play; else it is looked again. */
  #hasGathered() {
    if (!this.isGathering) return true;
    if (this.#end) this.gatheringSince ??= now();
    this.isGathering = !(this.isComplete || (this.isBegun ? pace.mayGoOn(this.video.currentTime) : pace.mayBegin(now())));
    if (!this.isBegun && this.#end) this.heldS = now() - this.gatheringSince;
    clearTimeout(this.looking);
    if (this.isGathering) this.looking = setTimeout(() => this.play(), LOOK_MS);
    return !this.isGathering;
  }

  play() {
    if (this.isStopped || this.isHeld || this.video.ended || !this.#hasGathered()) return;
    this.video.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      this.isBlocked = true;
      this.onBlocked(() => { this.isBlocked = false; this.play(); });
    });
  }
}

/** Plays a reply that is pushed piece by piece: the initialisation segment, then fragments. */
export class PiecePlayer extends ReplyPlayer {
  pieces = [];
  count = 0;

  begin(mediaType) {
    this.feeding = this.feed(mediaType).catch(() => this.isStopped || this.onBroken());
  }

  push(piece) {
    this.pieces.push(piece);
    this.count += 1;
    this.wake();
  }

  /** No more pieces will come. */
  end() {
    this.isComplete = true;
    this.wake();
    if (this.count < 2) this.onEnded(); // no picture has come
  }

  /** Play no farther, and leave the last picture until `finish`. */
  stopPlaying() {
    this.abort.abort();
    this.isHeld = true;
    this.video.pause();
  }

  /** Wait: the user may have begun to speak. */
  hold() {
    this.isHeld = true;
    this.video.pause();
  }

  resume() {
    this.isHeld = false;
    this.play();
  }

  async *blocks() {
    while (!this.isStopped) {
      while (!this.pieces.length && !this.isComplete && !this.isStopped) await this.news();
      if (!this.pieces.length) return;
      yield this.pieces.shift();
    }
  }
}
