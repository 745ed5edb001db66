"""Live fragments in a real browser's MediaSource: appended, buffered without a gap, played to the end."""

from __future__ import annotations

import base64
import shutil

import numpy as np
import pytest

from services.common.provenance import metadata
from services.render.video.encoding import SOUND_RATE, Format, LiveMovie, init_segment, media_type

pytestmark = pytest.mark.browser

PLAY = """async ([type, pieces]) => {
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const video = document.body.appendChild(document.createElement('video'));
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise(done => source.addEventListener('sourceopen', done, {once: true}));
  const buffer = source.addSourceBuffer(type);
  for (const piece of pieces) {
    const done = new Promise(resolve => buffer.addEventListener('updateend', resolve, {once: true}));
    buffer.appendBuffer(bytes(piece));
    await done;
  }
  const ranges = [];
  for (let i = 0; i < video.buffered.length; i++) ranges.push([video.buffered.start(i), video.buffered.end(i)]);
  source.endOfStream();
  video.muted = true;
  const ended = new Promise(resolve => { video.onended = resolve; });
  await video.play();
  await ended;
  return {supported: MediaSource.isTypeSupported(type), ranges, width: video.videoWidth, time: video.currentTime,
          frames: video.getVideoPlaybackQuality().totalVideoFrames, error: video.error && video.error.message};
}"""


def test_fragments_play_in_chromium_without_a_gap() -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("no Chromium here")
    video, frame_count = Format(256, 256, 25.0), 45
    movie = LiveMovie(video, metadata("x"))
    movie.hear(0.3 * np.sin(np.arange(frame_count * SOUND_RATE // 25) / 20).astype(np.float32))
    pieces = [init_segment(video, metadata("x"))]
    for index in range(frame_count):
        pieces += [f.data for f in movie.show(np.full((256, 256, 3), 5 * index, np.uint8))]
    pieces += [fragment.data for fragment in movie.close()]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto("about:blank")
        sent = [media_type(pieces[0]), [base64.b64encode(piece).decode() for piece in pieces]]
        seen = page.evaluate(PLAY, sent)
        browser.close()
    assert seen["supported"]
    assert seen["error"] is None
    assert len(seen["ranges"]) == 1
    assert seen["ranges"][0][0] == 0
    assert seen["ranges"][0][1] == pytest.approx(frame_count / 25, abs=0.025)  # an AAC frame
    assert (seen["frames"], seen["width"]) == (frame_count, 256)
