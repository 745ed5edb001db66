// Films the chat page's stage from inside it, for test_browser_live.py. Pictures are SIDE x SIDE grey levels, times seconds.
(() => {
  const SIDE = 96;
  const FPS = 25;
  const EVERY_MS = 40;
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const pen = canvas.getContext("2d", { willReadFrequently: true });

  function picture(video) {
    pen.drawImage(video, 0, 0, SIDE, SIDE);
    const { data } = pen.getImageData(0, 0, SIDE, SIDE);
    return Float32Array.from({ length: SIDE * SIDE }, (_, at) => (data[4 * at] + data[4 * at + 1] + data[4 * at + 2]) / 3);
  }

  const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const apart = (a, b) => mean(a.map((value, at) => Math.abs(value - b[at])));
  const heard = (target, event) => new Promise((resolve) => target.addEventListener(event, resolve, { once: true }));

  const film = window.film = {
    seams: [], // [into or out of the reply, the last picture before it, the first one after it, the loop's of the two]
    means: [], // of what was seen, every EVERY_MS
    gaps: 0, // how often there was nothing to be seen
  };

  /** Every picture of a loop, whole or to its `seconds`. */
  film.study = async (url) => {
    const video = Object.assign(document.createElement("video"), { muted: true, src: url });
    await heard(video, "loadeddata");
    const frames = [];
    for (let frame = 0; frame < Math.round(video.duration * FPS); frame += 1) {
      video.currentTime = (frame + 0.5) / FPS;
      await heard(video, "seeked");
      frames.push(picture(video));
    }
    return frames;
  };

  /** The loop's own steps, and of each seam its step and the frame on which the loop was seen to stand, in grey levels and frames. */
  film.measure = async (url) => {
    const frames = await film.study(url);
    const steps = frames.map((each, at) => apart(each, frames[(at + 1) % frames.length]));
    const find = (seen) => frames.reduce((best, each, at) => (apart(seen, each) < apart(seen, frames[best]) ? at : best), 0);
    const seams = film.seams.map(([kind, before, after, loop]) => ({ kind, step: apart(before, after), loop_frame: find(loop) }));
    return { steps, seams, means: film.means, gaps: film.gaps };
  };

  addEventListener("DOMContentLoaded", () => {
    const stage = document.querySelector(".stage");
    const [idle, reply] = ["idle", "reply"].map((name) => document.querySelector(`[data-${name}]`));

    let last = null; // picture of the reply
    let first = null;
    const follow = () => {
      last = picture(reply);
      first ??= last;
      reply.requestVideoFrameCallback(follow);
    };
    reply.requestVideoFrameCallback(follow);
    reply.addEventListener("emptied", () => { first = null; });

    let speaks = false;
    new MutationObserver(() => {
      if (stage.classList.contains("speaking") === speaks) return;
      speaks = !speaks;
      const loop = picture(idle);
      film.seams.push(speaks ? ["into", loop, first ?? picture(reply), loop] : ["out", last, loop, loop]);
    }).observe(stage, { attributeFilter: ["class"] });

    setInterval(() => {
      const share = Number(getComputedStyle(reply).opacity);
      if (idle.readyState < 2) return;
      if (share > 0 && reply.readyState < 2) film.gaps += 1;
      else film.means.push((1 - share) * mean(picture(idle)) + (share && share * mean(picture(reply))));
    }, EVERY_MS);
  });
})();
