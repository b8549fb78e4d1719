"""A leak meter on a battery under the real interpreter, its counter on the bus: slots, budgets, cuts, charge."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import cbor2
import pytest

from bench.battery import Wakes
from host_tools import sim
from host_tools.errors import UsageError
from hw.virtual.board import Board
from hw.virtual.world import Entry
from tests.e2e.firmware_world import Yard, answering
from tests.e2e.test_firmware_battery import BUDGET_BYTES, BUDGET_S, TELLS, bound_mah, clean
from tools import figures_air

LEAK: dict[str, Any] = {
    "name": "leak",
    "kind": "leak",
    "profile": "encrypt0",
    "power": "battery",
    "interval_s": 14400,
    "parts": {"pulses": "pcf8593"},
    "water": {"file": "none", "start": "2026-11-20T16:00:00"},
    "battery_v": 3.6,
}
START_L = 1000
#: What the counter draws, its contact closed included.
COUNTER_UA = 15


@pytest.fixture(autouse=True)
def no_water_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meter stands until a test lets water flow."""
    still = [(0, float(START_L)), (10**15, float(START_L))]
    monkeypatch.setattr(sim, "water_series", lambda wanted, hours: (still, "none"))


def flow(yard: Yard, litres_per_hour: float) -> None:
    yard.board("leak").chips["pcf8593"].set_physical(litres_per_hour / 1000 / 3600)  # type: ignore[attr-defined]


def passed(yard: Yard) -> int:
    """What the register says: every closure of the contact, whoever saw it."""
    return START_L + int(yard.board("leak").chips["pcf8593"].contact.count)  # type: ignore[attr-defined]


class Register:
    """Lets water flow from now on; what the register showed when each frame went out first, by its number."""

    def __init__(self, yard: Yard, litres_per_hour: float) -> None:
        flow(yard, litres_per_hour)
        self.at: dict[int, int] = {}
        base, begun = passed(yard), yard.world.now_us

        def note(e: Entry) -> None:
            frame = bytes(e.what["payload"])
            litres = base + int((e.t_us - begun) / 3.6e9 * litres_per_hour)
            self.at.setdefault(frame[5] << 8 | frame[6], litres)

        yard.world.observe("transmit", note)

    def assert_told(self, rows: list[Any]) -> None:
        """Every index is the register's, but for what flowed in the seconds until it went out."""
        told = [r for r in rows if r.type == "leak" and "index_m3" in r.values]
        assert told
        for row in told:
            litres = round(float(row.values["index_m3"]) * 1000)
            assert abs(self.at[row.seq] - litres) <= 1, row


def sound(yard: Yard) -> Board:
    board = yard.board("leak")
    yard.air.assert_no_number_twice("leak")
    assert board.failures == []
    for chip in board.chips.values():
        assert chip.violations == []
    return board


def readings(rows: list[Any]) -> list[tuple[int, list[int], list[str]]]:
    """(index in litres, volumes, alarms) of those that have an index."""
    found = []
    for row in rows:
        if row.type == "leak" and "index_m3" in row.values:
            hourly = [int(n) for n in row.values.get("hourly_l_per_h", [])]
            found.append((round(float(row.values["index_m3"]) * 1000), hourly, row.values["alarms"]))
    return found


def test_wakes_of_a_day(tmp_path: Path) -> None:
    """Slots of the same length at the same times; each wake without the radio under the budget of time, code and
    charge, those that write the index included."""
    with Yard(tmp_path, LEAK) as yard:
        main = yard.folder / "boards/leak/main.py"
        text = main.read_text()
        assert text.count("try:\n") == 1
        main.write_text(text.replace("try:\n", TELLS + "try:\n"))
        board = yard.board("leak")
        wakes = Wakes(yard.world, board)
        yard.run(1)
        for litres in (0, 30, 400, 150, 0, 60):
            flow(yard, litres)
            yard.run(4 * 3600)
        sound(yard)
        assert clean(board)
        rows = yard.decoded("leak").rows
        sent = yard.air.of("leak")
        held = [line.split()[1:] for line in board.console if line.startswith("held")]
        true = passed(yard)
        kept = [b for (_, k), b in board.nvs.data.items() if k[:4] == "late" and isinstance(b, bytes)]
        late = int.from_bytes(kept[0][4:8], "big")
        tree = yard.folder / "boards/leak"
    assert {r.state for r in rows} == {"authenticated"}
    assert [r.seq for r in rows] == list(range(1, len(rows) + 1))
    told = readings(rows)
    assert len(told) == 6 and told[-1][0] <= true
    wanted = [[0], [30, 0, 0, 0], [400, 30, 30, 30], [150, 400, 400, 400], [0, 150, 150, 150], [60, 0, 0, 0]]
    for (_, volumes, _), true_volumes in zip(told, wanted, strict=True):
        assert all(abs(a - b) <= 1 for a, b in zip(volumes, true_volumes, strict=True)), (
            volumes,
            true_volumes,
        )
    # What flows shows in no length and in no instant.
    assert len({len(body) for port, _, body in sent[1:] if port == 10}) == 1

    lives = wakes.whole()
    quiet = [(w, m) for w, m in zip(lives, held, strict=True) if "firmware.app" not in m]
    assert len(quiet) == 17
    for wake, modules in quiet:
        assert wake.seconds < BUDGET_S
        files = [tree / (m.replace(".", "/") + end) for m in modules for end in (".mpy", "/__init__.mpy")]
        size = sum(f.stat().st_size for f in files if f.is_file())
        assert size < BUDGET_BYTES
        assert {"firmware.wake.start", "firmware.wake.leak_look", "firmware.board"} <= set(modules)
    # Two hours of 60 litres after the last reading.
    assert abs(late - told[-1][0] - 120) <= 1
    loud = [w for w in lives[1:] if w.frames]
    assert len(loud) == 6 and all(w.seconds < 5 for w in loud)
    span = (board.charge_ua_us - lives[0].charge) / 3.6e12
    seconds = 24 * 3600 - lives[0].end_us / 1e6
    bound = bound_mah(len(lives), len(loud), seconds) + COUNTER_UA * seconds / 3.6e6
    print(f"model: {span * 86400 / seconds:.2f} mAh a day, bound {bound * 86400 / seconds:.2f}")
    assert 0 < span < bound


def test_each_hour_without_a_word_of_the_settings(tmp_path: Path) -> None:
    with Yard(tmp_path, {**LEAK, "interval_s": 900}) as yard:
        yard.run(1)
        register = Register(yard, 120)
        yard.run(7 * 3600)
        sound(yard)
        rows = yard.decoded("leak").rows
        told = readings(rows)
        register.assert_told(rows)
    assert len(told) == 6
    assert all(abs(n - START_L - 120 * h) <= 1 for h, (n, _, _) in enumerate(told, 1))
    assert all(abs(volume - 120) <= 1 for volume in told[-1][1]) and len(told[-1][1]) == 4


def test_water_at_the_rope_between_the_slots(tmp_path: Path) -> None:
    rope = {**LEAK["parts"], "rope": "leak_rope"}
    with Yard(tmp_path, {**LEAK, "interval_s": 1200, "parts": rope}) as yard:
        board = yard.board("leak")
        wakes = Wakes(yard.world, board)
        yard.run(5000)
        board.chips["leak_rope"].set_physical(30_000.0)  # type: ignore[attr-defined]
        yard.run(5 * 3600)
        sound(yard)
        rows = [r for r in yard.decoded("leak").rows if r.type == "leak"]
        sent = [len(body) for port, _, body in yard.air.of("leak") if port == 10]
    wet = [r for r in rows if "probe_wet" in str(r.values["alarms"])]
    assert wet and "index_m3" not in wet[0].values, "the state alone"
    assert len(set(sent[1:])) == 1
    # A look each 20 minutes.
    assert 18 <= len(wakes.whole()) <= 21


@pytest.mark.parametrize("damage", ["lost", "stale", "cut"])
def test_the_index_without_rtc_memory(tmp_path: Path, damage: str) -> None:
    """Board reset, old record, or supply of the board alone gone: no pulse is lost and none counted twice."""
    with Yard(tmp_path, {**LEAK, "interval_s": 3600}) as yard:
        board = yard.board("leak")
        yard.run(1800)
        register = Register(yard, 90)
        old = board.rtc_memory
        yard.run(2 * 3600)
        counter = board.chips["pcf8593"]
        if damage == "cut":
            # The counter has a capacitor of its own.
            counter.reset = lambda: None  # type: ignore[method-assign]
            yard.world.power_cut(board, yard.world.time_s + 100, 60.0)
            yard.run(101)
            # With the board goes what its chips had planned; the water does not stop for that.
            flow(yard, 90)
            yard.run(100)
        else:
            board.rtc_memory = b"" if damage == "lost" else old
        yard.run(6 * 3600)
        sound(yard)
        rows = yard.decoded("leak").rows
        told = readings(rows)
        true = passed(yard)
    assert [r.type for r in rows].count("hello") == 2
    index = [n for n, _, _ in told]
    assert index == sorted(index)
    assert "sensor_failure" not in str([a for _, _, a in told])
    assert len(index) >= 6 and 0 <= true - index[-1] <= 90
    register.assert_told(rows)


def test_the_counter_is_without_supply(tmp_path: Path) -> None:
    """Told by name, the index stands where it was and goes on; and the whole board's supply."""
    with Yard(tmp_path, {**LEAK, "interval_s": 3600}) as yard:
        board = yard.board("leak")
        yard.run(1)
        flow(yard, 60)
        yard.run(2.5 * 3600)
        board.chips["pcf8593"].dip()  # type: ignore[attr-defined]
        yard.run(5 * 3600)
        told = readings(yard.decoded("leak").rows)
        lost = passed(yard) - told[-1][0]
        assert 0 < lost <= 60 + 60
        yard.world.power_cut(board, yard.world.time_s + 10, 5.0)
        yard.run(3 * 3600)
        sound(yard)
        rows = yard.decoded("leak").rows
    told = readings(rows)
    index = [n for n, _, _ in told]
    assert index == sorted(index)
    failures = [r for r in rows if r.type == "leak" and "sensor_failure" in str(r.values["alarms"])]
    assert failures
    assert "sensor_failure" not in told[1][2]


def test_who_can_be_of_that_class(tmp_path: Path) -> None:
    with Yard(tmp_path, LEAK, nodes=False) as yard:
        made = cbor2.loads(yard.cfg("leak")["cfg"])
        assert made[19] == 1 and made[17] == ["pulses", "pcf8593"]
        for changes, words in (
            ({"parts": {}}, "pulses (contact_pulses) does not work on a leak that sleeps"),
            ({"parts": {"pulses": "pcf8593", "contacts": "contacts"}}, "contacts (contacts) does not work"),
        ):
            with pytest.raises(UsageError, match=re.escape(words)):
                yard.cfg("leak", **changes)
        more = {"pulses": "pcf8593", "rope": "leak_rope", "pressure": "pressure_ads1115"}
        assert yard.cfg("leak", parts=more)
        assert yard.cfg("leak", parts={}, power="mains")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_three_days_with_a_store_and_power_cuts(tmp_path: Path, seed: int) -> None:
    """Cut while it writes, sleeps, sends and counts, the counter with it or on its capacitor: the store's index
    never goes back, is never ahead of the register, and misses what no counter saw."""
    chance = random.Random(seed)
    site = {**LEAK, "interval_s": 3600}
    with (
        answering(tmp_path, site, seed=seed) as (taker, sink),
        Yard(tmp_path / "yard", site, sink=sink, seed=seed, options=sim.Options(seed=seed)) as yard,
    ):
        board = yard.board("leak")
        board.options = board.options._replace(sleep_drift_ppm=20_000 * (-1) ** seed)
        counter: Any = board.chips["pcf8593"]
        reset = counter.reset
        yard.run(1)
        for n in range(10):
            flow(yard, chance.choice((0, 2, 40, 300)))
            counter.reset = reset if n % 3 == 2 else lambda: None
            if n % 2:
                yard.cut_as_it_writes("leak", chance.randrange(60), 4500)
            else:
                yard.world.power_cut(board, yard.world.time_s + chance.uniform(0, 3600), 2.0)
                yard.run(3700)
                flow(yard, chance.choice((2, 40, 300)))
                yard.run(1300)
            counter.reset = reset
        flow(yard, 40)
        yard.run(45 * 3600)
        sound(yard)
        rows = [r for r in taker.rows() if r.name == "leak"]
        assert taker.summary()["gaps"] == []
        true = passed(yard)
    assert {r.state for r in rows} <= {"signed", "authenticated"}
    told = readings(sorted(rows, key=lambda r: r.seq or 0))
    index = [n for n, _, _ in told]
    assert index == sorted(index) and index[-1] <= true
    print(f"litres missed by cuts of the counter's supply: {true - index[-1]}")
    assert true - index[-1] <= 40 + 4 * (100 + 300)
    assert [t[1] for t in told][-1] == [40] * 4 or max(told[-1][1]) - min(told[-1][1]) <= 3


@pytest.mark.long
def test_the_page_has_what_they_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    text = figures_air.PAGE.read_text()
    assert figures_air.battery_page(text) == text, "python -m tools.figures_air"
