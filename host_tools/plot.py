"""Curves over time as one SVG page that any browser opens: no library, no script, nothing fetched.

Panels stand below each other over one time axis; nights are shaded where they are given. What has no value at
some time is a gap, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape

from host_tools.output import language

WIDTH = 1100
_LEFT, _RIGHT, _TOP, _HEIGHT, _GAP = 74, 20, 56, 130, 40
#: Blue, vermilion, green, purple: told apart by the colour-blind (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
#: Width of a character of a label and of a mark, a little more than the browsers' own fonts have.
_CHARACTER, _SMALL = 6.8, 5.8
_DAYS = {
    "en": "Mon Tue Wed Thu Fri Sat Sun".split(),
    "fr": "lun. mar. mer. jeu. ven. sam. dim.".split(),
}
_MONTHS = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(),
    "fr": "janv. févr. mars avril mai juin juil. août sept. oct. nov. déc.".split(),
}


def number(value: float) -> str:
    """A value for people; with a comma in French."""
    text = f"{value:g}"
    return text.replace(".", ",") if language() == "fr" else text


def day(at: datetime) -> str:
    """Day of the week and date, without the year."""
    return f"{_DAYS[language()][at.weekday()]} {at.day:02} {_MONTHS[language()][at.month - 1]}"


@dataclass(frozen=True)
class Curve:
    """Points (Unix seconds, value); a value of None ends a stretch. step: a value holds until the next."""

    name: str
    points: Sequence[tuple[float, float | None]]
    step: bool = False


@dataclass(frozen=True)
class Panel:
    """One diagram. low and high bound the axis at least; marks are (Unix seconds, text) of single events; words
    stand for the values 0, 1 .. of states."""

    title: str
    unit: str
    curves: Sequence[Curve]
    low: float = 0.0
    high: float = 0.0
    marks: Sequence[tuple[float, str]] = field(default=())
    words: Sequence[str] = ()


def nice(low: float, high: float, count: int = 4) -> list[float]:
    """Round values for an axis from `low` to `high`, about `count` of them."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * f for f in (1, 2, 2.5, 5, 10) if unit * f >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _scale(panel: Panel) -> tuple[float, float]:
    values = [v for c in panel.curves for _, v in c.points if v is not None]
    low, high = min([panel.low, *values]), max([panel.high, *values])
    return (low, high) if high > low else (low, low + 1)


def _path(curve: Curve, x: _Axis, y: _Axis) -> str:
    parts: list[str] = []
    pen = "M"
    last = 0.0
    for t, value in curve.points:
        if value is None:
            pen = "M"
            continue
        if curve.step and pen == "L":
            parts.append(f"L{x(t):.1f} {last:.1f}")
        last = y(value)
        parts.append(f"{pen}{x(t):.1f} {last:.1f}")
        pen = "L"
    return "".join(parts)


class _Axis:
    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start = low, start
        self._factor = (end - start) / (high - low)

    def __call__(self, value: float) -> float:
        return self._start + (value - self._low) * self._factor


def _ticks(begin: float, end: float, zone: tzinfo) -> list[tuple[float, str, bool]]:
    """(time, label, whether a day begins) in local time: hours for a night, days for a week."""
    hours = (end - begin) / 3600
    step = next((h for h in (1, 2, 3, 6, 12) if hours / h <= 14), 24)
    at = datetime.fromtimestamp(begin, zone).replace(minute=0, second=0, microsecond=0, hour=0)
    found = []
    while at.timestamp() <= end:
        if at.timestamp() >= begin:
            midnight = at.hour == 0
            found.append((at.timestamp(), day(at) if midnight else f"{at:%H:%M}", midnight))
        # By the clock on the wall: days with a change of hours have 23 or 25.
        at = (at.replace(tzinfo=None) + timedelta(hours=step)).replace(tzinfo=zone)
    return found


def _labels(ticks: Sequence[tuple[float, str, bool]], x: _Axis) -> list[tuple[float, str, str]]:
    """(x, text, anchor) of the labels that have room; days come before hours. The last would stick out of the page
    in the middle of its tick."""
    taken: list[tuple[float, float]] = []
    found = []
    for t, text, _ in sorted(ticks, key=lambda tick: not tick[2]):
        at, width = x(t), _CHARACTER * len(text)
        side = "end" if at + width / 2 > WIDTH - _RIGHT / 2 else "middle"
        left = at - (width if side == "end" else width / 2)
        if all(left > b + 6 or left + width < a - 6 for a, b in taken):
            taken.append((left, left + width))
            found.append((at, text, side))
    return sorted(found)


def _text(x: float, y: float, text: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(text)}</text>'


def _stroke(n: int, count: int) -> str:
    """The first of two curves lies broad and pale under the other: where they agree both are seen."""
    broad = ' style="stroke-width:5;stroke-opacity:.4"' if n == 0 and count == 2 else ""
    return f'stroke="{COLOURS[n % len(COLOURS)]}"{broad}'


def _legend(panel: Panel, top: float) -> list[str]:
    out = [_text(_LEFT, top - 8, panel.title, 'class="t"')]
    right = float(WIDTH - _RIGHT)
    count = len(panel.curves)
    for n, curve in reversed(list(enumerate(panel.curves))):
        right -= _CHARACTER * len(curve.name)
        out.append(_text(right, top - 8, curve.name))
        out.append(f'<path class="k" {_stroke(n, count)} d="M{right - 28:.1f} {top - 12}h22"/>')
        right -= 28 + 20
    return out


def _marks(panel: Panel, top: float, x: _Axis, begin: float, end: float) -> list[str]:
    """Lines with their texts, one below the other where they would touch."""
    out = []
    rows: list[float] = []
    for t, text in sorted(m for m in panel.marks if begin <= m[0] <= end):
        at, width = x(t), _SMALL * len(text) + 6
        left = at + 3 if at + 3 + width < WIDTH - _RIGHT else at - 3 - width
        row = next((n for n, right in enumerate(rows) if right < left), len(rows))
        rows[row : row + 1] = [left + width]
        out.append(f'<path class="m" d="M{at:.1f} {top}V{top + _HEIGHT}"/>')
        out.append(_text(left, top + 12 + 12 * min(row, _HEIGHT // 12 - 1), text, 'class="s"'))
    return out


def _panel(panel: Panel, top: float, x: _Axis, begin: float, end: float) -> list[str]:
    bottom = top + _HEIGHT
    low, high = _scale(panel)
    y = _Axis(low, high, bottom, top + 4)
    out = _legend(panel, top)
    for value in range(len(panel.words)) if panel.words else nice(low, high):
        out.append(f'<path class="g" d="M{_LEFT} {y(value):.1f}H{WIDTH - _RIGHT}"/>')
        label = panel.words[int(value)] if panel.words else f"{number(value)} {panel.unit}".rstrip()
        out.append(_text(_LEFT - 6, y(value) + 4, label, 'text-anchor="end"'))
    out.append(f'<rect class="f" x="{_LEFT}" y="{top}" width="{WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT}"/>')
    for n, curve in enumerate(panel.curves):
        inside = [(t, v) for t, v in curve.points if begin <= t <= end]
        path = _path(Curve(curve.name, inside, curve.step), x, y)
        if path:
            out.append(f'<path class="c" {_stroke(n, len(panel.curves))} d="{path}"/>')
    return out + _marks(panel, top, x, begin, end)


def draw(
    title: str,
    panels: Sequence[Panel],
    begin: float,
    end: float,
    zone: tzinfo = UTC,
    nights: Sequence[tuple[float, float]] = (),
    note: str = "",
) -> str:
    """The page. begin, end, nights: Unix seconds; local time of `zone` on the axis; each line of `note` below."""
    notes = note.splitlines()
    height = _TOP + len(panels) * (_HEIGHT + _GAP) + 18 * len(notes)
    x = _Axis(begin, max(end, begin + 1), _LEFT, WIDTH - _RIGHT)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>text{font:12px sans-serif;fill:#333}.h{font-size:17px;font-weight:bold}.t{font-weight:bold}"
        ".s{font-size:10px;fill:#a00}.g{stroke:#ddd}.d{stroke:#bbb}.f{fill:none;stroke:#888}"
        ".c,.k{fill:none;stroke-width:1.6;stroke-linejoin:round}.m{stroke:#a00;stroke-dasharray:3 3}"
        ".n{fill:#1b2a4a;opacity:.08}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(_LEFT, 24, title, 'class="h"'),
    ]
    ticks = _ticks(begin, end, zone)
    foot = _TOP + len(panels) * (_HEIGHT + _GAP) - _GAP + 16
    for n, panel in enumerate(panels):
        top = _TOP + n * (_HEIGHT + _GAP)
        for a, b in nights:
            a, b = max(a, begin), min(b, end)
            if b > a:
                shade = f'x="{x(a):.1f}" y="{top}" width="{x(b) - x(a):.1f}" height="{_HEIGHT}"'
                out.append(f'<rect class="n" {shade}/>')
        for t, _, midnight in ticks:
            kind = "d" if midnight else "g"
            out.append(f'<path class="{kind}" d="M{x(t):.1f} {top}V{top + _HEIGHT}"/>')
        out += _panel(panel, top, x, begin, end)
    for at, label, side in _labels(ticks, x):
        out.append(_text(at, foot, label, f'text-anchor="{side}"'))
    for n, line in enumerate(notes):
        out.append(_text(_LEFT, height - 8 - 18 * (len(notes) - 1 - n), line))
    return "\n".join([*out, "</svg>"]) + "\n"
