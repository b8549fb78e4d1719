"""Curves as people see them: scales, steps, gaps, local time; the page is well-formed and fetches nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from host_tools import output
from host_tools.plot import Curve, Panel, draw, nice, number

BEGIN = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
NS = "{http://www.w3.org/2000/svg}"


def page(*curves: Curve, **how: object) -> ET.Element:
    panel = Panel("Lamp <1>", "%", curves, 0, 100)
    return ET.fromstring(draw("A & B", [panel], BEGIN, BEGIN + 86400, **how))  # type: ignore[arg-type]


def paths(root: ET.Element) -> list[str]:
    return [e.attrib["d"] for e in root.iter(NS + "path") if e.attrib.get("class") == "c"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 25, 50, 75, 100]),
        (0, 7, [0, 2, 4, 6]),
        (-3, 1, [-3, -2, -1, 0, 1]),
        (0.02, 0.09, [0.02, 0.04, 0.06, 0.08]),
        (5, 5, [5]),
    ],
)
def test_round_values_on_the_axis(low: float, high: float, ticks: list[float]) -> None:
    assert nice(low, high) == pytest.approx(ticks)


def test_a_step_holds_until_the_next_and_a_line_does_not() -> None:
    points = [(BEGIN, 100.0), (BEGIN + 43200, 40.0)]
    (step,) = paths(page(Curve("a", points, step=True)))
    (line,) = paths(page(Curve("a", points)))
    corner = re.findall(r"([ML])([\d.]+) ([\d.]+)", step)
    assert [c[0] for c in corner] == ["M", "L", "L"]
    assert corner[0][2] == corner[1][2] and corner[1][1] == corner[2][1]
    assert float(corner[2][2]) > float(corner[0][2]), "less is lower on the page"
    assert len(re.findall("[ML]", line)) == 2


def test_what_was_not_measured_is_a_gap() -> None:
    points = [(BEGIN + 3600 * h, None if h == 2 else float(h)) for h in range(5)]
    (path,) = paths(page(Curve("a", points)))
    assert re.findall("[ML]", path) == ["M", "L", "M", "L"]
    assert paths(page(Curve("a", [(BEGIN, None)]))) == []


def test_points_outside_the_time_are_left_out() -> None:
    (path,) = paths(
        page(Curve("a", [(BEGIN - 1, 1.0), (BEGIN, 1.0), (BEGIN + 1, 1.0), (BEGIN + 90000, 1.0)]))
    )
    assert len(re.findall("[ML]", path)) == 2


def test_text_is_escaped_and_time_is_local() -> None:
    root = page(zone=ZoneInfo("Europe/Paris"), nights=[(BEGIN - 100, BEGIN + 3600)], note="synthetic")
    texts = [e.text for e in root.iter(NS + "text")]
    assert "A & B" in texts and "Lamp <1>" in texts and "synthetic" in texts
    assert "Tue 24 Nov" in texts, "a local midnight, one hour before that of UTC"
    assert len([e for e in root.iter(NS + "rect") if e.attrib.get("class") == "n"]) == 1
    assert "http" not in draw("t", [], BEGIN, BEGIN).replace("http://www.w3.org/2000/svg", "")


@pytest.fixture
def french() -> Iterator[None]:
    output.set_language("fr")
    yield
    output.set_language("en")


def boxes(root: ET.Element, size: float) -> list[tuple[float, float, float, str]]:
    """(y, left, right, text) of every text, by the width that a character has at the least."""
    found = []
    for e in root.iter(NS + "text"):
        text, x = e.text or "", float(e.attrib["x"])
        side = e.attrib.get("text-anchor", "start")
        left = x - {"start": 0, "middle": size * len(text) / 2, "end": size * len(text)}[side]
        found.append((float(e.attrib["y"]), left, left + size * len(text), text))
    return found


def overlaps(root: ET.Element) -> list[tuple[str, str]]:
    rows = sorted(boxes(root, 5.5))
    return [
        (a[3], b[3])
        for n, a in enumerate(rows)
        for b in rows[n + 1 :]
        if b[0] - a[0] < 9 and a[1] < b[2] and b[1] < a[2]
    ]


@pytest.mark.parametrize("hours", [1, 7, 14, 24, 30, 40, 72, 100, 168, 200, 336])
@pytest.mark.parametrize("start", [0, 11, 12, 23])
def test_labels_keep_apart(hours: int, start: int) -> None:
    """Noon to noon of a week ends in a day's label beside an hour's."""
    begin = BEGIN + start * 3600
    root = ET.fromstring(
        draw("t", [Panel("p", "%", [])], begin, begin + hours * 3600, ZoneInfo("Europe/Paris"))
    )
    assert overlaps(root) == []
    times = [b for b in boxes(root, 5.5) if re.fullmatch(r"\d\d:00|\w{3} \d\d \w{3}", b[3])]
    assert (1 <= len(times) <= 16 and hours < 3) or len(times) >= 4
    assert all(left >= 0 and right <= 1100 for _, left, right, _ in times)
    days = {t for _, _, _, t in times if " " in t}
    assert len(days) >= min((start + hours) // 24, 6), "days have room before hours"


def test_marks_keep_apart() -> None:
    marks = [(BEGIN + 60 * n, f"alarm_number_{n}") for n in range(8)] + [(BEGIN + 86400, "at_the_end")]
    root = ET.fromstring(draw("t", [Panel("p", "%", [], 0, 1, marks)], BEGIN, BEGIN + 86400))
    assert overlaps(root) == []
    found = [b for b in boxes(root, 5.5) if "_" in b[3]]
    assert len(found) == 9 and all(right <= 1100 for _, _, right, _ in found)


def test_states_have_words_and_agreeing_curves_are_both_seen() -> None:
    points = [(BEGIN, 0.0), (BEGIN + 9, 1.0)]
    panel = Panel("p", "", [Curve("true", points), Curve("told", points)], 0, 1, (), ("off", "on"))
    root = ET.fromstring(draw("t", [panel], BEGIN, BEGIN + 86400))
    texts = [e.text for e in root.iter(NS + "text")]
    assert "off" in texts and "on" in texts and "0.5" not in texts
    styles = [e.attrib.get("style", "") for e in root.iter(NS + "path") if e.attrib.get("class") == "c"]
    assert "stroke-opacity" in styles[0] and styles[1] == ""


def test_french_numbers_and_days(french: None) -> None:
    root = page(Curve("a", [(BEGIN, 0.3)]), zone=ZoneInfo("Europe/Paris"))
    assert "mar. 24 nov." in [e.text for e in root.iter(NS + "text")]
    assert number(0.25) == "0,25" and number(40) == "40"
    small = ET.fromstring(
        draw("t", [Panel("p", "l/h", [Curve("a", [(BEGIN, 1.0)])], 0, 1)], BEGIN, BEGIN + 9)
    )
    assert "0,25 l/h" in [e.text for e in small.iter(NS + "text")]
