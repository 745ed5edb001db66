"""Parts of the chat page alone in a real Chromium: when a reply begins and goes on, and what the microphone keeps."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.provenance import metadata
from services.render.video.encoding import SOUND_RATE, Format, LiveMovie, init_segment, media_type

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

SCRIPTS = Path(__file__).resolve().parents[2] / "gateway" / "static" / "js"
SITE = "http://localhost"
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """An empty page of a site that has our scripts."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium here: apt-get install chromium")

    def serve(route: Any) -> None:
        name = route.request.url.rpartition("/")[2].partition("?")[0]
        if name.endswith(".js"):
            route.fulfill(path=SCRIPTS / name, content_type="text/javascript")
        else:
            words = '<script type="application/json" id="words">{}</script>'
            route.fulfill(body=f"<title>empty</title>{words}", content_type="text/html")

    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        page.route(f"{SITE}/**", serve)
        page.goto(f"{SITE}/")
        yield page
        browser.close()


PIECES = """async (texts) => {
  const { pieces } = await import("/static/js/phrases.js");
  return texts.map((text) => pieces(text).map(([from, to]) => text.slice(from, to)));
}"""
CAPTIONS = [
    ["Yes."],
    [
        "You can train an avatar of yourself from a minute of video; ",
        "it takes about half an hour on two processors, or 3.5 minutes ",
        "on a graphics card, and then it speaks whatever you write.",
    ],
    [
        "我是一个数字人，住在你自己的电脑里，可以听懂你说的话，",
        "也可以用自己的声音回答你的问题，",
        "还能根据一分钟的视频训练出你的形象。",
    ],
    ["我们用GPU训练模型（大约3.5小时），", "然后就可以和数字人“面对面”交谈了"],
    ["x" * 90],
]


def test_a_caption_is_broken_where_a_reader_would_pause(page: Any) -> None:
    assert page.evaluate(PIECES, ["".join(pieces) for pieces in CAPTIONS]) == CAPTIONS


WITHOUT_SEGMENTER = """async (texts) => {
  const { Segmenter } = Intl;
  delete Intl.Segmenter;
  const { pieces } = await import("/static/js/phrases.js?without");
  Intl.Segmenter = Segmenter;
  return texts.map((text) => pieces(text).map(([from, to]) => text.slice(from, to)));
}"""


def test_a_browser_that_knows_no_words_breaks_captions_between_characters(page: Any) -> None:
    texts = ["".join(pieces) for pieces in CAPTIONS]
    broken = page.evaluate(WITHOUT_SEGMENTER, texts)
    assert ["".join(pieces) for pieces in broken] == texts
    assert broken[:2] == CAPTIONS[:2], "spaces part words, too"
    assert all(len(pieces) > 1 for pieces in broken[2:4])
    assert max(len(piece) for pieces in broken[2:4] for piece in pieces) <= 32
    assert broken[4] == CAPTIONS[4]


SHOWN = """async (text) => {
  const { shown } = await import("/static/js/marks.js");
  const element = document.createElement("span");
  element.append(...shown(text));
  return element.innerHTML;
}"""


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**Yes**, *really* `x = 1`.", "<strong>Yes</strong>, <em>really</em> <code>x = 1</code>."),
        ("__是的__，*真的*。", "<strong>是的</strong>，<em>真的</em>。"),
        ("**重点：**看这里", "<strong>重点：</strong>看这里"),
        (
            "# Title\n\n- one\n  * **two**\n1. three",
            "<strong>Title</strong>\n\n• one\n  • <strong>two</strong>\n1. three",
        ),
        ("*随时*听您说，_low_ and snake_case_", "<em>随时</em>听您说，<em>low</em> and snake_case_"),
        ("***both***", "<strong><em>both</em></strong>"),
        ("```py\na*b*c\n```\nend", "<code>a*b*c</code>\nend"),
        ("> quoted ~~gone~~", "quoted <s>gone</s>"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |\n---\nend", "a · b\n1 · 2\nend"),
        ("2 * 3 * 4, snake_case_name, a**b", "2 * 3 * 4, snake_case_name, ab"),
        ("**not clo", "not clo"),
        ("`not clo", "not clo"),
        ("\\*no mark\\*", "*no mark*"),
        ("![a cat](http://x/cat.png)", "a cat"),
        ("[here](javascript:alert(1))", "<span>here</span>)"),
        ("<script>alert(1)</script>&amp;", "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"),
        (
            '[**docs**](https://example.org/a_b_c "t")',
            '<a href="https://example.org/a_b_c" target="_blank" rel="noopener noreferrer"><strong>docs</strong></a>',
        ),
    ],
)
def test_an_answer_is_shown_without_its_marks_and_runs_nothing(page: Any, text: str, html: str) -> None:
    assert page.evaluate(SHOWN, text) == html


ANSWERED = """async () => {
  const { Answer, addMessage } = await import("/static/js/answer.js");
  const list = document.createElement("ol");
  const answer = new Answer(list);
  for (const words of ["It is **ve", "ry", "** `ea", "sy`."]) answer.write(words);
  const written = list.innerHTML;
  answer.done({ text: "It is **very** `easy`.", latency: {} });
  addMessage(list, "user", "What is **this**?");
  return [written, ...[...list.children].map((message) => message.querySelector("span").innerHTML)];
}"""


def test_marks_may_come_in_pieces_and_what_a_user_writes_stays_as_it_is(page: Any) -> None:
    written, answer, question = page.evaluate(ANSWERED)
    assert "It is <strong>very</strong> <code>easy</code>." in written
    assert answer == "It is <strong>very</strong> <code>easy</code>."
    assert question == "What is **this**?"


BEGIN = """async (replies) => {
  const { Pace } = await import("/static/js/pace.js");
  const pace = new Pace();
  return replies.map((reply) => {
    const fragments = [...reply];
    pace.begin();
    let begun = null;
    let end = 0;
    for (let at = 0; at <= 10; at += 0.01) {
      while (fragments.length && fragments[0][0] <= at + 1e-6) pace.came(end += fragments.shift()[1], at);
      if (begun === null && pace.mayBegin(at)) begun = at;
    }
    return begun;
  });
}"""


def at_pace(share: float, count: int = 12) -> list[tuple[float, float]]:
    """Fragments as they come, in such a share of the time in which they play: when, and how long each is."""
    lengths = [0.12, 0.2, *[0.4] * (count - 2)]
    return [(share * sum(lengths[1 : number + 1]), length) for number, length in enumerate(lengths)]


def test_a_reply_begins_at_once_where_fragments_come_fast_and_waits_where_they_came_late(page: Any) -> None:
    fast, slow = at_pace(0.3), at_pace(1.2)
    begun = page.evaluate(BEGIN, [fast, slow, fast, slow, fast, fast, fast, fast])
    assert begun[0] == begun[1] == 0, "nothing was known of the way"
    assert 0 < begun[2] <= 0.2, "enough was in hand before the time was up"
    assert begun[3] == pytest.approx(0.5, abs=0.02)
    assert begun[7] == 0, "what was long ago is forgotten"


def test_a_hold_is_as_long_as_the_last_reply_would_have_needed(page: Any) -> None:
    late = [(0, 0.12), (0.3, 0.2), (0.32, 0.4), (0.4, 0.4)]  # the second misses its moment by .18 s
    begun = page.evaluate(BEGIN, [late, [(0, 0.3), (0.35, 0.1), (0.4, 0.4)]])
    assert begun == [0, pytest.approx(0.18, abs=0.02)]


CONVERT = """async ([from, to, hertz, seconds, block]) => {
  const { Resampler } = await import("/static/js/resampler.js");
  const resampler = new Resampler(from, to);
  const made = [];
  const tone = (at) => Math.sin(2 * Math.PI * hertz * at / from);
  for (let at = 0; at < from * seconds; at += block) {
    made.push(...resampler.convert(Float32Array.from({ length: block }, (_, i) => tone(at + i))));
  }
  return made;
}"""


def level(samples: list[float]) -> float:
    """Of what is in the middle, in dB of a full sine."""
    middle = np.array(samples[len(samples) // 4 : -len(samples) // 4])
    return float(20 * np.log10(max(1e-9, np.sqrt(2 * np.mean(middle**2)))))


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_the_microphone_keeps_what_16_khz_can_carry_and_folds_nothing_back(page: Any, rate: int) -> None:
    for hertz in (100, 1000, 4000, 6500):
        kept = page.evaluate(CONVERT, [rate, 16_000, hertz, 0.5, 128])
        assert len(kept) == pytest.approx(8000, abs=40)
        assert level(kept) == pytest.approx(0, abs=0.1), hertz
        spectrum = np.abs(np.fft.rfft(np.array(kept[2000:6000]) * np.hanning(4000)))
        assert np.argmax(spectrum) == hertz // 4, "the same tone, in bins of 4 Hz"
    for hertz in (8500, 9500, 15_000, 20_000):
        assert level(page.evaluate(CONVERT, [rate, 16_000, hertz, 0.5, 128])) < -60, hertz


def test_blocks_leave_no_seams(page: Any) -> None:
    whole = page.evaluate(CONVERT, [44_100, 16_000, 700, 0.5, 22_050])
    parts = page.evaluate(CONVERT, [44_100, 16_000, 700, 0.5, 147])
    assert len(whole) == len(parts)
    np.testing.assert_allclose(whole, parts, atol=1e-6)


def test_a_microphone_of_8_khz_is_heard(page: Any) -> None:
    assert level(page.evaluate(CONVERT, [8000, 16_000, 1000, 0.5, 128])) == pytest.approx(0, abs=0.1)


@pytest.fixture(scope="module")
def pieces() -> list[str]:
    """A reply of 3 s: the initialisation segment and its fragments."""
    video = Format(128, 128, 25.0)
    movie = LiveMovie(video, metadata("x"))
    movie.hear(np.zeros(3 * SOUND_RATE, np.float32))
    found = [init_segment(video, metadata("x"))]
    for index in range(75):
        found += [one.data for one in movie.show(np.full((128, 128, 3), 3 * index, np.uint8))]
    found += [one.data for one in movie.close()]
    return [media_type(found[0]), *(base64.b64encode(piece).decode() for piece in found)]


STAND_STILL = """async ([[type, ...pieces], early]) => {
  const { PiecePlayer } = await import("/static/js/player.js");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const video = document.body.appendChild(Object.assign(document.createElement("video"), { muted: true }));
  const seen = { underruns: 0, shown: 0, ended: 0 };
  const still = new Promise((resolve) => { seen.stood = () => { seen.underruns += 1; resolve(); }; });
  const over = new Promise((resolve) => { seen.end = () => { seen.ended += 1; resolve(); }; });
  const player = new PiecePlayer(video, {
    onShown: () => { seen.shown += 1; },
    onUnderrun: seen.stood,
    onEnded: seen.end,
    onBroken: () => {},
    onBlocked: () => {},
  });
  player.begin(type);
  for (const piece of pieces.slice(0, early)) player.push(bytes(piece));
  await still;
  seen.stoodAt = video.currentTime;
  const later = pieces.slice(early);
  if (later.length) {
    player.push(bytes(later.shift()));
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    seen.wentOnTooSoon = !video.paused;
    for (const piece of later) player.push(bytes(piece));
  }
  player.end();
  await over;
  seen.endedAt = video.currentTime;
  return seen;
}"""


def test_a_reply_that_ran_dry_goes_on_when_a_little_more_is_there(page: Any, pieces: list[str]) -> None:
    seen = page.evaluate(STAND_STILL, [pieces, 4])
    assert (seen["underruns"], seen["shown"], seen["ended"]) == (1, 1, 1)
    assert seen["stoodAt"] == pytest.approx(0.72, abs=0.06)
    assert not seen["wentOnTooSoon"], "one fragment is .4 s"
    assert seen["endedAt"] == pytest.approx(3.0, abs=0.06)


def test_a_reply_that_ran_dry_at_its_very_end_is_over(page: Any, pieces: list[str]) -> None:
    seen = page.evaluate(STAND_STILL, [pieces, len(pieces) - 1])
    assert seen["ended"] == 1
    assert seen["endedAt"] == pytest.approx(3.0, abs=0.06)
