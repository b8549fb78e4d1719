"""A bin on a battery under the real interpreter: what it says, what it never says twice, and what it draws."""

from __future__ import annotations

import datetime as dt
import random
import re
from pathlib import Path
from typing import Any

import cbor2
import pytest

from bench.battery import Wakes
from host_tools import sim
from host_tools.errors import UsageError
from hw.virtual.board import MCU_CURRENT_UA, Board
from hw.virtual.lines import State
from tests.e2e.firmware_world import Yard, answering
from tests.e2e.test_firmware_faults import busy_sticks

BIN: dict[str, Any] = {
    "name": "bin",
    "kind": "bin",
    "profile": "encrypt0",
    "power": "battery",
    "interval_s": 900,
    "distance_m": [[0, 1.0], [23, 0.3], [23.2, 1.15], [47, 0.3], [47.2, 1.15], [71, 0.3]],
    "battery_v": 3.6,
}
SENSOR_UA = 8_000  # A02YYUW while it has its supply
RADIO_UA = 100_000  # more than an SX1262 draws at 14 dBm
BUDGET_S = 2.0
BUDGET_BYTES = 20_000
#: Before it sleeps, a board says what it holds; with the application in its heap there is no room for the list.
TELLS = """
d = machine.deepsleep
def tell(ms):
    if "firmware.app" in sys.modules: print("held firmware.app")
    else: print("held", *sys.modules)
    d(ms)
machine.deepsleep = tell
"""
AWAKE_S = 30  # firmware/wake/node.py


def bound_mah(wakes: int, radio_wakes: int, seconds: float) -> float:
    """What these wakes may draw at the declared currents: the budget's time each, five seconds with the radio, of
    which two transmit or receive at full current; deep sleep between, the radio's own microampere in it."""
    active = MCU_CURRENT_UA["active"]
    mas = wakes * BUDGET_S * (active + SENSOR_UA) + radio_wakes * (5 * active + 2 * RADIO_UA)
    return (mas + seconds * (MCU_CURRENT_UA["deep"] + 1)) / 3.6e6


def sound(yard: Yard) -> None:
    board = yard.board("bin")
    yard.air.assert_no_number_twice("bin")
    assert board.failures == []
    assert len(board.rtc_memory) <= 2048
    for chip in board.chips.values():
        assert chip.violations == []


def clean(board: Board) -> bool:
    words = ("Traceback", "MemoryError", "report:", "task ", "not kept", "needs provisioning", "silent")
    return not any(line.startswith(words) for line in board.console)


def test_wakes_of_half_a_day(tmp_path: Path) -> None:
    """Each under the budget of time, code and charge; numbers run on without a gap and without a second boot."""
    with Yard(tmp_path, BIN) as yard:
        board = yard.board("bin")
        main = yard.folder / "boards/bin/main.py"
        text = main.read_text()
        assert text.count("try:\n") == 1
        main.write_text(text.replace("try:\n", TELLS + "try:\n"))
        wakes = Wakes(yard.world, board)
        yard.run(12 * 3600)
        sound(yard)
        assert clean(board)
        found = yard.decoded("bin")
        tree = yard.folder / "boards/bin"
        held = [line.split()[1:] for line in board.console if line.startswith("held")]
    assert [r.seq for r in found.rows] == list(range(1, len(found.rows) + 1))
    assert [r.type for r in found.rows].count("hello") == 1
    assert {r.state for r in found.rows} == {"authenticated"}

    lives = wakes.whole()
    # The first says hello, each that sends or is about to has the application.
    quiet = [(w, m) for w, m in zip(lives, held, strict=True) if "firmware.app" not in m]
    assert len(quiet) >= 40
    for wake, modules in quiet:
        assert wake.seconds < BUDGET_S
        files = [tree / (m.replace(".", "/") + end) for m in modules for end in (".mpy", "/__init__.mpy")]
        assert sum(f.stat().st_size for f in files if f.is_file()) < BUDGET_BYTES
        assert {"firmware.wake.start", "firmware.board"} <= set(modules)
    loud = [w for w in lives[1:] if w.frames]
    assert len(loud) >= 4
    assert all(w.seconds < 6 for w in loud)

    span = board.charge_ua_us / 3.6e12 - lives[0].charge / 3.6e12
    seconds = 12 * 3600 - lives[0].end_us / 1e6
    bound = bound_mah(len(lives), len(loud), seconds)
    print(f"model: {span * 86400 / seconds:.2f} mAh a day, bound {bound * 86400 / seconds:.2f}")
    assert 0 < span < bound


def test_distances_of_the_wakes_between_ride_in_one_reading(tmp_path: Path) -> None:
    depth = [[0, 1.0], [24, 0.9]]
    with Yard(tmp_path, {**BIN, "distance_m": depth, "profile": "mac0"}) as yard:
        yard.run(5 * 3600)
        sound(yard)
        rows = [r for r in yard.decoded("bin").rows if r.type == "bin"]
    assert len(rows) == 2
    told = rows[1].values["distances_m"]
    # The first wake comes at any moment, the others at this device's place in the interval.
    assert isinstance(told, list) and len(told) in (15, 16)
    # Newest first, a quarter of an hour apart.
    now = float(str(rows[1].values["distance_m"]))
    for age, mm in enumerate(told):
        assert abs(float(str(mm)) - (now + (age + 1) * 0.1 / 96)) < 0.02


@pytest.mark.parametrize("damage", ["lost", "flipped", "short", "stale"])
def test_rtc_memory_that_cannot_be_trusted(tmp_path: Path, damage: str) -> None:
    """An ordinary start: hello, higher numbers, and the readings go on."""
    with Yard(tmp_path, {**BIN, "settings": {"heartbeat_s": 2400}}) as yard:
        board = yard.board("bin")
        yard.run(1800)
        assert board.state is State.SLEEPING
        old = board.rtc_memory
        yard.run(3 * 3600)
        while board.state is not State.SLEEPING:
            yard.run(0.5)
        before = max(yard.air.numbers("bin"))
        assert before > 3
        raw = board.rtc_memory
        board.rtc_memory = {
            "lost": b"",
            "flipped": raw[:40] + bytes([raw[40] ^ 4]) + raw[41:],
            "short": raw[:-7],
            "stale": old,
        }[damage]
        yard.run(3 * 3600)
        sound(yard)
        rows = yard.decoded("bin").rows
    assert [r.type for r in rows].count("hello") == 2
    hello = [r for r in rows if r.type == "hello"][-1]
    # A record that is whole and old is found out when the numbers are read: that start counts, too.
    assert hello.values["boot_count"] == (3 if damage == "stale" else 2)
    assert hello.values["last_seq"] == before
    assert (hello.seq or 0) > before
    assert [r for r in rows if r.type == "bin" and (r.seq or 0) > (hello.seq or 0)]


def test_a_dead_radio_does_not_empty_the_cell(tmp_path: Path) -> None:
    """It sleeps after a bounded time, measures on, and sends when the radio is back."""
    with Yard(tmp_path, {**BIN, "distance_m": [[0, 1.0], [6, 0.3]]}) as yard:
        board = yard.board("bin")
        yard.run(2000)
        switch = busy_sticks(board)
        switch(True)
        wakes = Wakes(yard.world, board)
        before = len(yard.air.sent)
        yard.run(3 * 3600)
        lives = wakes.whole()
        assert len(lives) >= 10
        assert max(w.seconds for w in lives) < AWAKE_S + 15
        assert len(yard.air.sent) == before
        switch(False)
        yard.run(3 * 3600)
        sound(yard)
        rows = yard.decoded("bin").rows
        # In the order they were made; none is lost.
        assert [r.seq for r in rows] == list(range(1, len(rows) + 1))
        assert [r.type for r in rows].count("hello") == 1


def test_who_can_be_of_that_class(tmp_path: Path) -> None:
    lamp = {"name": "lamp", "kind": "lamp"}
    with Yard(tmp_path, BIN, lamp, nodes=False) as yard:
        assert cbor2.loads(yard.cfg("bin")["cfg"])[19] == 1
        assert 19 not in cbor2.loads(yard.cfg("bin", power="mains")["cfg"])
        for name, changes, words in (
            ("lamp", {"power": "battery"}, "a lamp cannot sleep"),
            ("bin", {"parts": {"tilt": "lis3dh"}}, "tilt (lis3dh) does not work"),
            ("bin", {"power": "solar"}, "no power class 'solar'"),
        ):
            with pytest.raises(UsageError, match=re.escape(words)):
                yard.cfg(name, **changes)
        assert yard.cfg("bin", parts={"range": "maxbotix", "tilt": "none"})


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "drift_ppm"), [(1, 20_000), (2, -30_000)])
def test_three_days_with_a_store(tmp_path: Path, seed: int, drift_ppm: int) -> None:
    """Verified, signed, dated as well as the oscillator allows; the store's TIME and acknowledgements arrive."""
    options = sim.Options(seed=seed)
    with (
        answering(tmp_path, BIN, seed=seed) as (taker, sink),
        Yard(tmp_path / "yard", BIN, sink=sink, seed=seed, options=options) as yard,
    ):
        board = yard.board("bin")
        board.options = board.options._replace(sleep_drift_ppm=drift_ppm)
        yard.run(72 * 3600)
        sound(yard)
        assert clean(board)
        rows = [r for r in taker.rows() if r.name == "bin"]
        assert taker.summary()["gaps"] == []
        kept = cbor2.loads(board.rtc_memory[4:])
    assert [r.type for r in rows].count("hello") == 1
    assert [r.seq for r in rows] == list(range(1, len(rows) + 1))
    last = max(r.seq or 0 for r in rows if r.type == "checkpoint")
    assert {r.state for r in rows if (r.seq or 0) < last} == {"signed"}
    dated = [r for r in rows if r.type == "bin" and r.time]
    assert len(dated) >= 20
    for row in dated:
        # Microseconds of both; a reading is seconds old when it is heard, and a sleep may be 5 % off.
        off = abs(dt.datetime.fromisoformat(row.time).timestamp() - row.received_at / 1e6)
        assert off < (130 if row.clock == "confirmed" else 900)
    # What is told as confirmed is at most two minutes off, by what the node itself knows.
    assert {r.clock for r in dated} == {"confirmed", "unconfirmed"}
    assert kept[4][1][0] in (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 3, 4))])
def test_power_cuts_at_random_moments(tmp_path: Path, seed: int) -> None:
    """Some while it writes, some while it sleeps, sends or measures; no number is used twice, none is lost."""
    chance = random.Random(seed)
    options = sim.Options(seed=seed)
    depth = [[n / 2, 1.1 if n % 2 else 0.5] for n in range(200)]
    noisy = {**BIN, "interval_s": 300, "distance_m": depth}
    with (
        answering(tmp_path, noisy, seed=seed) as (taker, sink),
        Yard(tmp_path / "yard", noisy, sink=sink, seed=seed, options=options) as yard,
    ):
        board = yard.board("bin")
        for n in range(8):
            if n % 2:
                yard.cut_as_it_writes("bin", chance.randrange(60), 4500)
            else:
                yard.world.power_cut(board, yard.world.time_s + chance.uniform(0, 2400), 2.0)
                yard.run(2500)
        yard.run(6 * 3600)
        sound(yard)
        rows = [r for r in taker.rows() if r.name == "bin"]
        gaps = taker.summary()["gaps"]
    assert gaps == []
    assert {r.state for r in rows} <= {"signed", "authenticated"}
    boots = [r.values["boot_count"] for r in rows if r.type == "hello"]
    assert boots == sorted(set(boots)) and len(boots) >= 5
