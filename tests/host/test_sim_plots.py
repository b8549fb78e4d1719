"""The picture of a run from made-up rows: what is a gap, whose hour is whose, nights, local time, a new meter."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from host_tools import output, sim_plots
from host_tools.errors import InputError
from host_tools.rows import Row
from host_tools.schedule.zone import Zone
from host_tools.sim_plots import Local, Picture, Place, Truth

SVG = "{http://www.w3.org/2000/svg}"
BEGIN = datetime(2026, 11, 30, 11, tzinfo=UTC)
START = BEGIN.timestamp()
ANGERS = (47.4736, -0.5542)
CET = "CET-1CEST,M3.5.0,M10.5.0/3"
SCENARIO: dict[str, Any] = {
    "title": "Two boards & more",
    "start_utc": "2026-11-30T11:00:00Z",
    "board": [
        {"name": "gateway", "kind": "gateway"},
        {"name": "lamp-1", "kind": "lamp", "interval_s": 600},
        {"name": "leak-1", "kind": "leak"},
    ],
}


def row(name: str, after_s: float, clock: str = "confirmed", state: str = "signed", **values: Any) -> Row:
    at = BEGIN + timedelta(seconds=after_s)
    told = at.strftime("%Y-%m-%dT%H:%M:%SZ") if clock else ""
    kind = name.split("-")[0]
    us = int(at.timestamp() * 1e6)
    return Row("", name, kind, 1, 1, 0, kind, state, "", us, told, clock, values, 1, "", "")


def page(rows: list[Row], truth: Truth | None = None, place: Place | None = None) -> ET.Element:
    picture = Picture(SCENARIO, rows, truth or Truth(), 24, "synthetic", place or Place())
    return ET.fromstring(picture.page())


def curves(root: ET.Element) -> list[str]:
    return [e.attrib["d"] for e in root.iter(SVG + "path") if e.attrib.get("class") == "c"]


def texts(root: ET.Element) -> list[str]:
    return [e.text or "" for e in root.iter(SVG + "text")]


@pytest.fixture
def french() -> Iterator[None]:
    output.set_language("fr")
    yield
    output.set_language("en")


def test_a_board_that_was_silent_leaves_a_gap() -> None:
    found = [row("lamp-1", 600.0 * n, level_percent=40) for n in (1, 2, 3, 20, 21)]
    (path,) = curves(page(found))
    assert path.count("M") == 2
    (path,) = curves(page(found[:3]))
    assert path.count("M") == 1


def test_what_was_refused_is_not_drawn_and_alarms_are_marked_once() -> None:
    found = [row("lamp-1", 600, state="rejected", level_percent=3)]
    assert curves(page(found)) == []
    found = [row("lamp-1", 600.0 * n, level_percent=5, alarms=["day_burner"]) for n in (1, 2, 3)]
    found.append(row("lamp-1", 2400, level_percent=5))
    found.append(row("lamp-1", 3000, level_percent=5, alarms=["day_burner", "cycling"]))
    shown = texts(page(found))
    assert (shown.count("day_burner"), shown.count("cycling")) == (2, 1)


def test_the_true_level_holds_to_the_end() -> None:
    truth = Truth(outputs={"lamp-1": [(0, {"level": 100, "power_w": 60}), (3_600_000_000, {"level": 0})]})
    light, drawn = curves(page([], truth))
    assert light.split("L")[-1].startswith("1080.0 ")
    assert drawn.count("L") == 2


def test_a_reading_holds_the_hours_before_its_own() -> None:
    # Sent seven minutes after 13:00: the newest is that from 12:00 to 13:00.
    rows = [
        row("leak-1", 2 * 3600 + 420, hourly_l_per_h=[7, 12]),
        row("leak-1", 420, clock="unconfirmed", hourly_l_per_h=[99]),
    ]
    assert sim_plots.hourly(rows) == {int(START) + 3600: 7.0, int(START): 12.0}
    told, true = curves(page(rows, Truth(index={"leak-1": lambda t: t / 3.6e8})))[::-1]
    assert told.count("M") == 1 and true.count("L") == 24 * 2 - 1


def test_the_meter_that_was_changed_goes_on() -> None:
    hour = 3_600_000_000
    index = sim_plots.index_of([(0, 10.0), (hour, 20.0), (30 * hour, 2.0), (31 * hour, 5.0)])
    assert [index(-hour), index(0), index(hour // 2), index(hour)] == [10, 10, 15, 20]
    assert index(30 * hour) == 20
    assert index(31 * hour) == 23 == index(99 * hour)


def test_nights_are_those_of_the_sun() -> None:
    found = sim_plots.nights(START, START + 2 * 86400, *ANGERS)
    inside = [n for n in found if n[1] > START and n[0] < START + 2 * 86400]
    assert len(inside) == 2
    for sunset, sunrise in inside:
        assert 14.5 * 3600 < sunrise - sunset < 16 * 3600
    # Longyearbyen in December: one night without a gap.
    polar = sim_plots.nights(START, START + 2 * 86400, 78.2, 15.6)
    assert all(a[1] >= b[0] - 60 for a, b in pairwise(polar))
    assert polar[0][0] <= START and polar[-1][1] >= START + 2 * 86400
    root = page([], place=Place(Local(Zone(CET)), ANGERS))
    assert len([e for e in root.iter(SVG + "rect") if e.attrib.get("class") == "n"]) == 2


def test_labels_are_local_also_when_the_clocks_change() -> None:
    paris, local = ZoneInfo("Europe/Paris"), Local(Zone(CET))
    for hour in range(30):
        t = datetime(2026, 10, 24, 20, 30, tzinfo=UTC).timestamp() + hour * 3600
        assert datetime.fromtimestamp(t, local).replace(tzinfo=None) == datetime.fromtimestamp(
            t, paris
        ).replace(tzinfo=None)
    for day, hour in ((24, 12), (25, 0), (25, 1), (25, 4), (26, 0)):
        wall = datetime(2026, 10, day, hour)
        assert wall.replace(tzinfo=local).timestamp() == wall.replace(tzinfo=paris).timestamp()
    assert "Tue 01 Dec" in texts(page([], place=Place(local, ANGERS)))


def test_the_note_names_the_water_and_the_language_is_that_of_the_reader(french: None) -> None:
    shown = texts(page([row("lamp-1", 600, level_percent=40)], place=Place(position=ANGERS)))
    assert "lamp-1: niveau" in shown and "leak-1: débit" in shown
    assert any("Eau : synthetic" in t for t in shown)
    assert any("nuit à 47,4736° N 0,5542° O" in t and "lun. 30 nov. 2026" in t for t in shown)


def test_a_plan_that_cannot_be_read_is_told_before_the_run(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    with pytest.raises(InputError, match="plan_format"):
        sim_plots.place({"board": [{"plan": str(plan)}]})
    assert sim_plots.place(SCENARIO) == Place()
