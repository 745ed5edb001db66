"""A comparison as one HTML page that needs nothing else: figures, plots and pictures, in English and Chinese."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

import cv2
import numpy as np

from portrait.arrays import Frame
from portrait.measuring.comparison import Comparison
from portrait.measuring.plots import Line, plot
from portrait.measuring.report_words import FIGURES, LIP_SYNC, WORDS, Figure, Words
from portrait.measuring.showing import Pair
from portrait.media.video import FRAME_RATE

JPEG_QUALITY = 85
STRIP_MOUTH = 96

STYLE = """
:root{color-scheme:light dark;--page:light-dark(#f6f5f1,#131519);--surface:light-dark(#fff,#1b1e24);
--ink:light-dark(#1c1f21,#eceae4);--soft:light-dark(#5b6064,#a4a8ae);--line:light-dark(#e2dfd6,#2d323a);
--accent:light-dark(#0f6b68,#74d3c8);--tint:light-dark(#e2f0ed,#1c3434);--made:light-dark(#c2571a,#ffab73);
--warn:light-dark(#8a5a00,#f0c063);--warn-tint:light-dark(#fdf2d8,#33290f);
font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"PingFang SC","Hiragino Sans GB","Microsoft YaHei",
"Noto Sans CJK SC","Noto Sans SC",sans-serif;line-height:1.55}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink)}
body:target .en,body:not(:target) .zh{display:none}
main{max-width:1120px;margin:0 auto;padding:28px 20px 64px;display:grid;gap:22px}main>*{min-width:0}
h1,h2,h3{line-height:1.25;margin:0}h1{font-size:1.9rem}h2{font-size:1.2rem;margin-bottom:12px}h3{font-size:1rem}p{margin:0}
header{display:flex;flex-wrap:wrap;gap:10px 16px;align-items:center}header nav{margin-left:auto}
a{color:var(--accent)}.soft{color:var(--soft)}.small{font-size:.875rem}
.kind{background:var(--tint);color:var(--accent);border-radius:99px;padding:3px 12px;font-weight:600;font-size:.9rem}
.warning{background:var(--warn-tint);color:var(--warn);border-radius:10px;padding:10px 14px}
section{background:var(--surface);border:1px solid var(--line);border-radius:16px;padding:20px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:7px 14px 7px 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--soft);font-weight:500;font-size:.875rem}tbody th{font-weight:600}.wide tbody th{min-width:150px}
tr:last-child>*{border-bottom:0}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.better{white-space:nowrap;color:var(--soft)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:20px}
figure{margin:0}figcaption{font-size:.875rem;color:var(--soft);margin-top:6px}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:14px}
polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}.true{stroke:var(--accent)}.made{stroke:var(--made)}
.grid{stroke:var(--line)}.mark{stroke:var(--soft);stroke-dasharray:4 4}
.key{display:flex;gap:18px;margin-bottom:10px;font-size:.9rem}.key b{display:inline-block;width:22px;height:3px;
vertical-align:middle;margin-right:7px}.key .true{background:var(--accent)}.key .made{background:var(--made)}
.moment{display:grid;grid-template-columns:repeat(4,1fr);gap:8px;margin:8px 0 18px;align-items:start}
img{display:block;width:100%;height:auto;border-radius:8px}.strip{width:2400px;max-width:none}
@media(max-width:640px){main{padding:18px 12px 40px}section{padding:14px}.moment{grid-template-columns:1fr 1fr}
.figures thead{display:none}.figures tr{display:grid;grid-template-columns:1fr auto;padding:8px 0;
border-bottom:1px solid var(--line)}.figures tr>*{border:0;padding:0}.figures td.better{text-align:right}
.figures td:last-child{grid-row:2;color:var(--soft);font-size:.875rem;padding-right:12px}}
@media print{section{break-inside:avoid}}
"""


def page(comparison: Comparison) -> str:
    """The whole page. It has no script and loads nothing; #zh at the end of its address shows it in Chinese."""
    parts = [_head(comparison), *_warnings(comparison), _figures(comparison), _plots(comparison)]
    parts += [_moments(comparison), _strip(comparison), _baselines(comparison), _lip_sync(comparison)]
    parts.append(_section("checks", f"<p>{_say(_checks(comparison))}</p>"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Visavis · {WORDS['title'][0]}</title><style>{STYLE}</style></head>"
        f'<body id="zh"><main>{"".join(parts)}</main></body></html>\n'
    )


def _checks(comparison: Comparison) -> Words:
    return WORDS["held-out" if comparison.baselines else "checks-text"]


def _say(words: Words, **values: object) -> str:
    """Both languages; the style sheet shows one."""
    english, chinese = (escape(each.format(**values)) for each in words)
    return f'<span class="en">{english}</span><span class="zh" lang="zh">{chinese}</span>'


def _word(key: str, **values: object) -> str:
    return _say(WORDS[key], **values)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_word(title)}</h2>{body}</section>" if body else ""


def _head(comparison: Comparison) -> str:
    seconds = f"{comparison.frames / FRAME_RATE:.1f}"
    return (
        f"<header><h1>{_word('title')}</h1>"
        f'<span class="kind">{_word(comparison.kind)}</span>'
        '<nav><a class="zh" href="#en">English</a><a class="en" href="#zh" lang="zh">中文</a></nav></header>'
        f'<div><p>{_word(comparison.against)}</p><p class="soft small">'
        f"{_word('frames', count=comparison.frames, seconds=seconds)}</p></div>"
    )


def _warnings(comparison: Comparison) -> Iterable[str]:
    return (f'<p class="warning" role="note">{_word(each)}</p>' for each in comparison.warnings)


def _figures(comparison: Comparison) -> str:
    metrics = comparison.measured.metrics
    return _section("figures", _table({k: FIGURES[k] for k in FIGURES if k in metrics}, metrics))


def _table(figures: dict[str, Figure], values: dict[str, float]) -> str:
    head = "".join(f"<th>{_word(key)}</th>" for key in ("figure", "value", "better", "meaning"))
    rows = (
        f'<tr><th scope="row">{_say(one.label)}</th><td class="number">{values[name]:.{one.digits}f}</td>'
        f'<td class="better">{_word(one.better)}</td><td>{_say(one.meaning)}</td></tr>'
        for name, one in figures.items()
    )
    return f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _plots(comparison: Comparison) -> str:
    series = comparison.measured.series
    drawn = []
    curves = [_over_time(series[f"aperture_{who}"], who) for who in ("true", "made") if f"aperture_{who}" in series]
    drawn.append(_figure(plot(curves, "s"), "plot-aperture"))
    for name, title in (("lmd_iod", "plot-lmd"), ("psnr_mouth", "plot-psnr")):
        if name in series:
            drawn.append(_figure(plot([_over_time(series[name], "made")], "s", zero=name == "lmd_iod"), title))
    if "lag_ms" in series:
        curve = Line(series["lag_ms"], series["lag_correlation"], "made")
        drawn.append(_figure(plot([curve], "ms", zero=True, mark=0.0), "plot-lag"))
    key = "".join(f'<span><b class="{who}"></b>{_word(who)}</span>' for who in ("true", "made"))
    return _section("plots", f'<div class="key">{key}</div><div class="plots">{"".join(drawn)}</div>')


def _over_time(values: list[float], style: str) -> Line:
    return Line([i / FRAME_RATE for i in range(len(values))], values, style)


def _figure(drawing: str, caption: str) -> str:
    return f"<figure>{drawing}<figcaption>{_word(caption)}</figcaption></figure>"


def _moments(comparison: Comparison) -> str:
    return _section("moments", "".join(_moment(name, pair) for name, pair in comparison.showing.moments.items()))


def _moment(name: str, pair: Pair) -> str:
    pictures = (("true", pair.true), ("made", pair.made), ("true", pair.true_mouth), ("made", pair.made_mouth))
    shown = "".join(
        f"<figure>{_image(picture)}<figcaption>{_word(who)}</figcaption></figure>" for who, picture in pictures
    )
    when = _word("at", seconds=f"{pair.index / FRAME_RATE:.2f}")
    return f'<h3>{_word(name)} <span class="soft small">{when}</span></h3><div class="moment">{shown}</div>'


def _strip(comparison: Comparison) -> str:
    pairs = comparison.showing.strip
    if not pairs:
        return ""
    rows = [[pair.true_mouth for pair in pairs], [pair.made_mouth for pair in pairs]]
    small = [
        [cv2.resize(mouth, (STRIP_MOUTH, STRIP_MOUTH), interpolation=cv2.INTER_AREA) for mouth in row] for row in rows
    ]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in small])
    image = _image(sheet, "strip")
    return (
        f"<section><h2>{_word('strip', count=len(pairs))}</h2>"
        f'<div class="scroll">{image}</div><p class="soft small">{_word("strip-help")}</p></section>'
    )


def _image(picture: Frame, style: str = "") -> str:
    height, width = picture.shape[:2]
    coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    data = base64.b64encode(coded.tobytes()).decode()
    kind = f' class="{style}"' if style else ""
    return f'<img{kind} alt="" width="{width}" height="{height}" src="data:image/jpeg;base64,{data}">'


def _baselines(comparison: Comparison) -> str:
    if not comparison.baselines:
        return ""
    rows = {"result": comparison.measured.metrics} | comparison.baselines
    head = "".join(f'<th class="number">{_word(name) if name in WORDS else escape(name)}</th>' for name in rows)
    shown = ((name, figure) for name, figure in FIGURES.items() if name in comparison.measured.metrics)
    body = "".join(
        f'<tr><th scope="row">{_say(figure.label)}</th>{_cells(name, figure.digits, rows.values())}</tr>'
        for name, figure in shown
    )
    table = f'<table class="wide"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>'
    return _section(
        "baselines", f'<p class="soft small">{_word("baselines-help")}</p><div class="scroll">{table}</div>'
    )


def _cells(name: str, digits: int, rows: Iterable[dict[str, float]]) -> str:
    return "".join(f'<td class="number">{row[name]:.{digits}f}</td>' if name in row else "<td></td>" for row in rows)


def _lip_sync(comparison: Comparison) -> str:
    found = comparison.lip_sync
    if "not_measured" in found:
        return _section("lip-sync", f"<p>{_word(str(found['not_measured']))}</p>")
    numbers = {name: float(found[name]) for name in LIP_SYNC}
    return _section("lip-sync", _table(LIP_SYNC, numbers) + f'<p class="soft small">{_word("measured-lse")}</p>')
