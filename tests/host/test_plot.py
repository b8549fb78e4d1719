"""Curves as people see them: scales, steps, gaps, local time; the page is well-formed and fetches nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from host_tools.plot import Curve, Panel, draw, nice

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
