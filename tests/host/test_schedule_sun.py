"""Sunrise and sunset against the US Naval Observatory's tables, against astral, and at the edges of polar day."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from host_tools.schedule import sun
from tests.conftest import package

CITIES = {
    "Angers": (47.4736, -0.5542),
    "Lille": (50.6292, 3.0573),
    "Perpignan": (42.6887, 2.8948),
    "Brest": (48.3904, -4.4861),
}
PHENOMENA = {
    "Rise": ("rise", 90.833),
    "Set": ("set", 90.833),
    "Begin Civil Twilight": ("rise", 96.0),
    "End Civil Twilight": ("set", 96.0),
}
NEVER = {
    "Object continuously above the Horizon": (90.833, True),
    "Object continuously below the Horizon": (90.833, False),
    "Object continuously above the Twilight Limit": (96.0, True),
    "Object continuously below the Twilight Limit": (96.0, False),
}
YEAR = [date(2026, 1, 1) + timedelta(k) for k in range(365)]


def test_the_observatory_agrees_within_a_minute(data: Path) -> None:
    """Its times are rounded to a minute, so that 30 s of each difference may be its own."""
    events = 0
    for place in json.loads((data / "sun/usno-2026.json").read_text())["locations"]:
        lat, lon = place["lat"], place["lng"]
        for day, phenomena in place["days"].items():
            for entry in phenomena:
                if entry["time"] is None or entry["phen"] not in PHENOMENA:
                    continue
                which, zenith = PHENOMENA[entry["phen"]]
                told = datetime.fromisoformat(f"{day}T{entry['time']}:00+00:00").timestamp()
                # The tables go by the UTC date, ours by the date at the longitude.
                near = [sun.day(date.fromisoformat(day) + timedelta(k), lat, lon, zenith) for k in (-1, 0, 1)]
                ours = [getattr(s, which) for s in near if getattr(s, which) is not None]
                assert min(abs(t - told) for t in ours) <= 60, (place["name"], day, entry)
                events += 1
    assert events > 300


def test_what_does_not_happen(data: Path) -> None:
    found = 0
    for place in json.loads((data / "sun/usno-2026.json").read_text())["locations"]:
        for day, phenomena in place["days"].items():
            for entry in phenomena:
                if entry["phen"] in NEVER:
                    zenith, up = NEVER[entry["phen"]]
                    s = sun.day(date.fromisoformat(day), place["lat"], place["lng"], zenith)
                    assert (s.up_noon, s.up_before, s.up_after).count(up) >= 2, (place["name"], day)
                    found += 1
    assert found > 20


@pytest.mark.parametrize("city", CITIES)
def test_astral_agrees_within_a_minute(city: str) -> None:
    astral, events = package("astral"), package("astral.sun")
    lat, lon = CITIES[city]
    place = astral.Observer(lat, lon)
    for on in YEAR:
        ours = sun.day(on, lat, lon)
        for event, theirs in ((ours.rise, events.sunrise), (ours.set, events.sunset)):
            assert event is not None
            assert abs(theirs(place, on, tzinfo=UTC).timestamp() - event) <= 60, on


# NOAA's closed formula in double precision, UTC 2026.
TABLE = {
    (47.4736, -0.5542): {
        "03-20": ("06:05:24", "18:14:46"),
        "06-21": ("04:05:00", "20:03:05"),
        "12-21": ("07:46:59", "16:13:36"),
    },
    (46.9896, 3.1590): {
        "03-20": ("05:50:37", "17:59:51"),
        "06-21": ("03:52:17", "19:46:05"),
        "12-21": ("07:30:08", "16:00:44"),
    },
    (48.3904, -4.4861): {
        "03-20": ("06:21:03", "18:30:36"),
        "06-21": ("04:16:31", "20:23:02"),
        "12-21": ("08:06:35", "16:25:28"),
    },
    (48.5734, 7.7521): {
        "03-20": ("05:32:09", "17:41:37"),
        "06-21": ("03:26:41", "19:34:56"),
        "12-21": ("07:18:24", "15:35:42"),
    },
}


@pytest.mark.parametrize("place", TABLE)
def test_the_formula_of_the_lamp_agrees_within_seconds(place: tuple[float, float]) -> None:
    for day, times in TABLE[place].items():
        s = sun.day(date.fromisoformat(f"2026-{day}"), *place)
        for event, told in zip((s.rise, s.set), times, strict=True):
            assert event is not None
            assert abs(event - datetime.fromisoformat(f"2026-{day}T{told}+00:00").timestamp()) <= 3


def test_nights_join_at_the_edges_of_polar_day_and_night() -> None:
    """What one day says of the midnight after it, the next says of the midnight before it."""
    for lat, lon in ((69.6492, 18.9553), (78.22334, 15.64689), (66.6, 25.7), (-70.0, -68.0)):
        for on in YEAR:
            today, tomorrow = sun.day(on, lat, lon), sun.day(on + timedelta(1), lat, lon)
            assert today.up_after == tomorrow.up_before, (lat, on)
            assert (today.set is None) == (today.up_noon == today.up_after)
            if today.set is not None:
                assert today.noon < today.set <= today.noon + 43300
                assert abs(sun.height(today.set, lat, lon) + 0.833) < 0.005
