// Plays a reply while it is being made: its sentences are streams of MP4 on one time line, appended one after another.

const Source = window.ManagedMediaSource ?? window.MediaSource;

export class ReplyPlayer {
  /** `onShown` is called with the first picture, `onEnded` after the last, `onBlocked` when the browser wants a click. */
  constructor(video, { onShown, onEnded, onBlocked }) {
    this.video = video;
    this.urls = [];
    this.isComplete = false;
    this.isStopped = false;
    this.wake = () => {};
    this.abort = new AbortController();
    const { signal } = this.abort;
    video.addEventListener("playing", onShown, { signal, once: true });
    video.addEventListener("ended", onEnded, { signal });
    this.onBlocked = onBlocked;
    this.onEnded = onEnded;
  }

  static isPossible = (mediaType) => Boolean(Source?.isTypeSupported(mediaType));

  /** The next sentence is to be had at `url`. */
  append(url, mediaType) {
    if (this.isStopped) return;
    this.urls.push(url);
    if (!this.feeding && ReplyPlayer.isPossible(mediaType)) this.feeding = this.feed(mediaType).catch((error) => error.name !== "AbortError" && this.finish());
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
    if (!this.isStopped && source.readyState === "open") source.endOfStream();
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
    if (!this.video.paused || this.isBlocked || this.isHeld) return;
    if (this.video.readyState >= 2) this.play();
    else this.video.addEventListener("canplay", () => this.play(), { once: true, signal: this.abort.signal });
  }

  play() {
    if (this.isStopped || this.isHeld || this.video.ended) return;
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

  begin(mediaType) {
    if (!ReplyPlayer.isPossible(mediaType)) return this.onEnded();
    this.feeding = this.feed(mediaType).catch(() => this.finish());
  }

  push(piece) {
    this.pieces.push(piece);
    this.wake();
  }

  /** No more pieces will come. */
  end() {
    this.isComplete = true;
    this.wake();
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
