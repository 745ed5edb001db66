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
    if (!this.feeding && ReplyPlayer.isPossible(mediaType)) this.feeding = this.#feed(mediaType).catch((error) => error.name !== "AbortError" && this.finish());
    this.wake();
  }

  /** No more sentences will come. `videoUrl` is played where the browser cannot append. */
  complete(videoUrl) {
    this.isComplete = true;
    this.wake();
    if (this.feeding || this.isStopped) return;
    if (!this.urls.length) return this.onEnded();
    this.video.src = videoUrl;
    this.#play();
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

  async #feed(mediaType) {
    const source = new Source();
    this.video.disableRemotePlayback = true;
    this.video.src = URL.createObjectURL(source);
    await new Promise((resolve) => source.addEventListener("sourceopen", resolve, { once: true }));
    URL.revokeObjectURL(this.video.src);
    const buffer = source.addSourceBuffer(mediaType);
    for (let next = 0; !this.isStopped; next += 1) {
      while (next >= this.urls.length && !this.isComplete && !this.isStopped) await new Promise((resolve) => { this.wake = resolve; });
      if (next >= this.urls.length) break;
      await this.#appendSentence(buffer, this.urls[next]);
    }
    if (!this.isStopped && source.readyState === "open") source.endOfStream();
  }

  async #appendSentence(buffer, url) {
    const response = await fetch(url, { signal: this.abort.signal });
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.isStopped) return;
      buffer.appendBuffer(value);
      await new Promise((resolve, reject) => {
        buffer.addEventListener("updateend", resolve, { once: true });
        buffer.addEventListener("error", reject, { once: true });
      });
      if (this.video.paused && !this.isBlocked && this.video.readyState >= 2) this.#play();
      else if (this.video.paused && !this.isBlocked) this.video.addEventListener("canplay", () => this.#play(), { once: true, signal: this.abort.signal });
    }
  }

  #play() {
    if (this.isStopped || this.video.ended) return;
    this.video.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      this.isBlocked = true;
      this.onBlocked(() => { this.isBlocked = false; this.#play(); });
    });
  }
}
