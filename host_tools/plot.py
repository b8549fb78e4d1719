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

WIDTH = 1100
_LEFT, _RIGHT, _TOP, _HEIGHT, _GAP = 74, 20, 56, 130, 40
#: Blue, vermilion, green, purple: told apart by the colour-blind (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


@dataclass(frozen=True)
class Curve:
    """Points (Unix seconds, value); a value of None ends a stretch. step: a value holds until the next."""

    name: str
    points: Sequence[tuple[float, float | None]]
    step: bool = False


@dataclass(frozen=True)
class Panel:
    """One diagram. low and high bound the axis at least; marks are (Unix seconds, text) of single events."""

    title: str
    unit: str
    curves: Sequence[Curve]
    low: float = 0.0
    high: float = 0.0
    marks: Sequence[tuple[float, str]] = field(default=())


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
            day = at.hour == 0
            found.append((at.timestamp(), at.strftime("%a %d %b" if day else "%H:%M"), day))
        # By the clock on the wall: days with a change of hours have 23 or 25.
        at = (at.replace(tzinfo=None) + timedelta(hours=step)).replace(tzinfo=zone)
    return found


def _text(x: float, y: float, text: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(text)}</text>'


def _legend(panel: Panel, top: float) -> list[str]:
    out = [_text(_LEFT, top - 8, panel.title, 'class="t"')]
    right = float(WIDTH - _RIGHT)
    for n, curve in reversed(list(enumerate(panel.curves))):
        out.append(
            _text(right, top - 8, curve.name, f'text-anchor="end" style="fill:{COLOURS[n % len(COLOURS)]}"')
        )
        right -= 7.2 * len(curve.name) + 22
    return out


def _panel(panel: Panel, top: float, x: _Axis, begin: float, end: float) -> list[str]:
    bottom = top + _HEIGHT
    low, high = _scale(panel)
    y = _Axis(low, high, bottom, top + 4)
    out = _legend(panel, top)
    for value in nice(low, high):
        out.append(f'<path class="g" d="M{_LEFT} {y(value):.1f}H{WIDTH - _RIGHT}"/>')
        label = f"{value:g}" + (f" {panel.unit}" if panel.unit else "")
        out.append(_text(_LEFT - 6, y(value) + 4, label, 'text-anchor="end"'))
    out.append(f'<rect class="f" x="{_LEFT}" y="{top}" width="{WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT}"/>')
    for n, curve in enumerate(panel.curves):
        inside = [(t, v) for t, v in curve.points if begin <= t <= end]
        path = _path(Curve(curve.name, inside, curve.step), x, y)
        if path:
            out.append(f'<path class="c" stroke="{COLOURS[n % len(COLOURS)]}" d="{path}"/>')
    for t, text in panel.marks:
        if begin <= t <= end:
            out.append(f'<path class="m" d="M{x(t):.1f} {top}V{bottom}"/>')
            out.append(_text(x(t) + 3, top + 12, text, 'class="s"'))
    return out


def draw(
    title: str,
    panels: Sequence[Panel],
    begin: float,
    end: float,
    zone: tzinfo = UTC,
    nights: Sequence[tuple[float, float]] = (),
    note: str = "",
) -> str:
    """The page. begin, end, nights: Unix seconds; local time of `zone` on the axis."""
    height = _TOP + len(panels) * (_HEIGHT + _GAP) + (20 if note else 0)
    x = _Axis(begin, max(end, begin + 1), _LEFT, WIDTH - _RIGHT)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>text{font:12px sans-serif;fill:#333}.h{font-size:17px;font-weight:bold}.t{font-weight:bold}"
        ".s{font-size:10px;fill:#a00}.g{stroke:#ddd}.d{stroke:#bbb}.f{fill:none;stroke:#888}"
        ".c{fill:none;stroke-width:1.6;stroke-linejoin:round}.m{stroke:#a00;stroke-dasharray:3 3}"
        ".n{fill:#1b2a4a;opacity:.08}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(_LEFT, 24, title, 'class="h"'),
    ]
    foot = _TOP + len(panels) * (_HEIGHT + _GAP) - _GAP + 16
    for n, panel in enumerate(panels):
        top = _TOP + n * (_HEIGHT + _GAP)
        for a, b in nights:
            a, b = max(a, begin), min(b, end)
            if b > a:
                shade = f'x="{x(a):.1f}" y="{top}" width="{x(b) - x(a):.1f}" height="{_HEIGHT}"'
                out.append(f'<rect class="n" {shade}/>')
        for t, _, day in _ticks(begin, end, zone):
            kind = "d" if day else "g"
            out.append(f'<path class="{kind}" d="M{x(t):.1f} {top}V{top + _HEIGHT}"/>')
        out += _panel(panel, top, x, begin, end)
    for t, label, _ in _ticks(begin, end, zone):
        # The first and the last would stick out.
        side = "start" if x(t) < _LEFT + 30 else "end" if x(t) > WIDTH - _RIGHT - 30 else "middle"
        out.append(_text(x(t), foot, label, f'text-anchor="{side}"'))
    if note:
        out.append(_text(_LEFT, height - 8, note))
    return "\n".join([*out, "</svg>"]) + "\n"
