"""The figures of the guides: the tools count right on cases worked out by hand, and the pages are fresh."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from firmware.furniture import leak
from hw.virtual.bin_sim import DAY_S, EFFECTS, BinSim, Burst, Container
from tools import figures_air, figures_bin, figures_water
from tools.figures_water import Row, found, put, read_series, said, starts, table, tally


def household(days: int = 90, litres: int = 10) -> list[Row]:
    """Water from 7 to 22 o'clock, none at night."""
    rows, index = [Row(0, 1000, 23)], 1000
    for h in range(24 * days):
        index += litres if 7 <= h % 24 < 22 else 0
        rows.append(Row((h + 1) * 3600, index, h % 24))
    return rows


def test_tables_go_between_their_marks_and_nowhere_else() -> None:
    text = "a\n<!-- one: how -->\nold\n<!-- end of one -->\nb\n"
    new = put(text, "one", table(("x",), [("1",)]))
    assert new == "a\n<!-- one: how -->\n\n| x |\n| --- |\n| 1 |\n\n<!-- end of one -->\nb\n"
    assert put(new, "one", table(("x",), [("1",)])) == new
    with pytest.raises(KeyError):
        put(text, "two", "")


def test_local_time_of_the_series_is_made_true(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(
        "time_local,index_l\n2016-03-27T01:30:00,1\n2016-03-27T03:30:00,2\n"
        "2016-10-30T01:30:00,3\n2016-10-30T02:30:00,1e3\n2016-10-30T02:30:00,5\n2016-10-30T03:30:00,6\n"
    )
    rows = read_series(path)
    steps = [b.t_s - a.t_s for a, b in pairwise(rows)]
    assert [steps[0], *steps[2:]] == [3600, 3600, 3600, 3600]
    assert [r.index_l for r in rows] == [1, 2, 3, 1000, 5, 6]
    # The hour in the middle of what the row closes, by the node's own offset: it knows no summer time.
    assert [r.of_day for r in (*rows[:2], *rows[3:])] == [1, 2, 1, 2, 3]


def test_alarms_are_counted_once_an_episode_with_their_hours() -> None:
    rows = household(20)
    running = [Row(r.t_s, r.index_l + max(0, min(n - 100, 100)), r.of_day) for n, r in enumerate(rows)]
    quiet, wet = tally(rows), tally(running)
    assert all(t.begins == 0 and t.hours == 0 for t in quiet.values())
    assert wet["continuous flow"].begins == wet["leak suspected"].begins == wet["leak detected"].begins == 1
    assert 70 <= wet["continuous flow"].hours <= 110
    assert wet["blocked meter"].begins == 0
    assert quiet["CUSUM"].years == pytest.approx(20 / 365.25)


def test_hours_to_a_leak_are_those_of_the_rule() -> None:
    rows = household()
    assert len(starts(rows, 8)) == 8 and len({t % DAY_S for t in starts(rows, 8)}) > 3
    hours = found(rows, 2, ("continuous flow", "leak detected", "flow high"), count=4)
    # The hours before a leak may have had water: up to 15 of the 24 are there already.
    assert all(h is not None and 9 <= h <= 24 for h in hours["continuous flow"])
    assert all(h is not None and 57 <= h <= 72 for h in hours["leak detected"])
    assert hours["flow high"] == [None] * 4
    late = found(rows, 2, ("continuous flow",), pulse_l=100, count=4)
    assert late["continuous flow"] == [None] * 4, "hundred litres a pulse show no small leak"


def test_starts_in_an_alarm_that_stands_are_left_out() -> None:
    rows = [Row(r.t_s, r.index_l + n, r.of_day) for n, r in enumerate(household())]
    assert found(rows, 5, ("continuous flow",), count=4) == {"continuous flow": []}
    assert said([]) == "no start left"


def test_what_is_said_of_the_hours() -> None:
    assert said([10.0, 20.0, 30.0, 40.0]) == "20/40 h, 100 %"
    assert said([10.0, None, None, None]) == "-/- h, 25 %"


def test_the_choice_is_marked() -> None:
    assert figures_water.changed() == leak.RULES
    assert figures_water.changed(_0=99)[0] == 99


def test_simulated_containers_are_the_same_twice_and_differ_by_seed() -> None:
    one = list(BinSim(1).bursts(10))
    assert one == list(BinSim(1).bursts(10)) != list(BinSim(2).bursts(10))
    assert len(one) == 240
    with pytest.raises(ValueError, match="gremlins"):
        BinSim(1, effects=frozenset(("gremlins",)))


def test_simulated_contents_fill_settle_and_are_emptied() -> None:
    bursts = list(BinSim(3, busy_days=3, every_days=2, effects=frozenset()).bursts(30))
    visits = [b for b in bursts if b.emptied]
    assert 14 <= len(visits) <= 15
    assert all(b.fill < 10 for b in visits)
    assert all(b.samples.count(None) == 0 and max(x or 0 for x in b.samples) < 1250 for b in bursts)
    falls = [a.fill - b.fill for a, b in pairwise(bursts) if not b.emptied]
    assert 0 < max(falls) < 3, "settling takes some points at most"


def test_a_simulated_container_has_the_volume_of_a_cone() -> None:
    """Height 700, radius 180 to 230: half the height is 43.93 % of the volume."""
    c = Container(empty_mm=1000, full_mm=300, bottom_mm=360, top_mm=460)
    assert c.share_below(350) == pytest.approx(0.4393, abs=1e-4)
    assert c.height_of(0.4393) == pytest.approx(350, abs=1)


def test_every_effect_shows_in_what_the_sensor_says() -> None:
    plain = [b.samples for b in BinSim(11, effects=frozenset()).bursts(30)]
    for effect in EFFECTS:
        assert [b.samples for b in BinSim(11, effects=frozenset((effect,))).bursts(30)] != plain, effect


def burst(t: int, fill: float, **truth: object) -> Burst:
    kept = {"emptied": False, "dropped": 0.0, "obstructed": False, "air_c": 20.0, **truth}
    return Burst(t * 3600, [700] * 7, 0, False, fill, **kept)  # type: ignore[arg-type]


def test_the_judge_of_a_container_counts_right() -> None:
    told = {3: figures_bin.EMPTIED, 5: figures_bin.EMPTIED, 7: figures_bin.FULL, 8: figures_bin.OBSTRUCTED}
    bursts = [
        burst(1, 80),
        burst(2, 2, emptied=True, dropped=78.0),
        burst(3, 2),
        burst(4, 3),
        burst(5, 3),
        burst(6, 95),
        burst(7, 95),
        burst(8, 20, obstructed=True),
        burst(9, 2, emptied=True, dropped=50.0),
    ]
    score = figures_bin.Score()
    figures_bin.judge(bursts, lambda b: (50, 2, told.get(b.t_s // 3600, 0)), score)
    assert (score.emptied, score.told, score.false) == (2, 1, 1)
    assert (score.full, score.full_missed, score.full_false) == (2, 1, 0)
    assert (score.blocked, score.blocked_told, score.blocked_false) == (1, 1, 0)
    assert (score.levels, score.exact, score.within) == (9, 0, 2)


def test_the_figures_of_the_air_guide_are_fresh() -> None:
    text = figures_air.PAGE.read_text()
    assert figures_air.page(text) == text, "python -m tools.figures_air"


def test_bytes_on_the_air_are_those_of_the_envelope() -> None:
    """18 bytes around 23 of payload as mac0, 17 around 15 as encrypt0, 75 as sign1; one more above that."""
    for kind, profile, around in (("bin", "mac0", 19), ("bin", "encrypt0", 18), ("lamp", "sign1", 76)):
        found = figures_air.cost(kind, profile)
        assert found is not None and found.frame - found.payload - 7 == around
    assert figures_air.cost("leak", "mac0") is None


@pytest.mark.slow
def test_the_figures_of_the_leak_guide_are_fresh(data: Path) -> None:
    text = figures_water.PAGE.read_text()
    assert figures_water.page(text, data / "water") == text, "python -m tools.figures_water"


@pytest.mark.slow
def test_the_figures_of_the_bin_guide_are_fresh() -> None:
    text = figures_bin.PAGE.read_text()
    assert figures_bin.page(text) == text, "python -m tools.figures_bin"
