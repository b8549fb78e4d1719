"""A bin and a leak meter under the real interpreter, within a node's heap: what happens to them and what is heard
of it, what a dead part and a power cut leave, and that the air tells nothing of what a household uses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_tools import sim
from host_tools.rows import Row
from hw.virtual.chips.actuator import Actuator
from hw.virtual.chips.base import Chip
from hw.virtual.chips.contact import Contact
from hw.virtual.chips.leak_rope import LeakRope, Puddle
from hw.virtual.chips.lis3dh import LIS3DH, G
from hw.virtual.world import STAND_IN_KB
from tests.e2e.firmware_world import BIN, METER, Yard, answering

pytestmark = pytest.mark.slow

HOUR = 3600
LEAK = {**METER, "water": {"file": "water.csv", "start": "2026-11-20T00:00:00"}}
Solder = Callable[[dict[str, Chip]], None]


@pytest.fixture
def solder(monkeypatch: pytest.MonkeyPatch) -> Callable[[Solder], None]:
    """Puts further chips on the boards that are made from then on."""
    furnish = sim.Run._furnish

    def use(more: Solder) -> None:
        def both(self: sim.Run, b: dict[str, Any], hw: Any, chips: dict[str, Any], settings: Any) -> None:
            furnish(self, b, hw, chips, settings)
            more(chips)

        monkeypatch.setattr(sim.Run, "_furnish", both)

    return use


@pytest.fixture
def water(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[float], float], int], None]:
    """The household's meter: litres per hour as a function of the hour."""

    def use(flow: Callable[[float], float], hours: int) -> None:
        litres = itertools.accumulate((flow(h / 4) / 4 for h in range(4 * hours)), initial=1000.0)
        rows = [
            f"2026-11-{20 + m // 1440:02}T{m // 60 % 24:02}:{m % 60:02}:00"
            for m in range(0, 60 * hours + 1, 15)
        ]
        (tmp_path / "data/water").mkdir(parents=True, exist_ok=True)
        text = "".join(f"{t},{x:.2f}\n" for t, x in zip(rows, litres, strict=True))
        (tmp_path / "data/water/water.csv").write_text(text)
        monkeypatch.setenv("LANTERNE_DATA", str(tmp_path / "data"))

    return use


def rows(yard: Yard, name: str) -> list[Row]:
    """A board's readings in the order of their numbers."""
    found = [r for r in yard.decoded(name).rows if r.type == name]
    assert not [r for r in found if r.state == "rejected"]
    return sorted(found, key=lambda r: r.seq or 0)


def alarms(yard: Yard, name: str) -> list[list[str]]:
    found = [r.values.get("alarms") for r in rows(yard, name)]
    return [[str(word) for word in names] if isinstance(names, list) else [] for names in found]


def assert_sound(yard: Yard, name: str, lives: int = 1) -> None:
    board = yard.board(name)
    assert yard.lives.count(name) == lives and board.failures == []
    assert not [line for line in board.console if "task" in line or "emory" in line], board.console
    assert board.heap_peak <= (sim.NODE_HEAP_KB + STAND_IN_KB) * 1024
    for part, chip in board.chips.items():
        assert chip.violations == [], part


# Bin


class Moved(Actuator):
    """A lock, or with `cycle_s` a ram, and its contact: closed half a second after the lock is; open from then on
    while the ram is not at home, where it is again after its cycle."""

    def __init__(self, cycle_s: float = 0) -> None:
        super().__init__(limit_s=3700, safe_level=0)
        self.cycle_us = round(cycle_s * 1e6)
        self.ack = Contact(closed=cycle_s > 0)

    def pin_changed(self, pin: str, level: int) -> None:
        super().pin_changed(pin, level)
        self._follow()

    def interlock(self, safe: bool) -> None:
        super().interlock(safe)
        self._follow()

    def _follow(self) -> None:
        self.port.at(self.port.now_us + 500_000, self._answer)
        if self.cycle_us and self.moving:
            self.port.at(self.port.now_us + self.cycle_us, self.ack.close)

    def _answer(self) -> None:
        if self.cycle_us:
            if self.moving:
                self.ack.open()
        elif self.moving:
            self.ack.close()
        else:
            self.ack.open()


def test_a_day_of_a_bin(tmp_path: Path) -> None:
    """Filled, an obstacle before the sensor, full, emptied, a sensor that dies and one that comes back."""
    path = [[0, 1.1], [4, 0.7], [4.01, 0.05], [6, 0.05], [6.01, 0.69], [9, 0.25], [10, 0.25], [10.01, 1.19]]
    with Yard(tmp_path, {**BIN, "distance_m": path}) as yard:
        yard.run(12 * HOUR)
        chip: Any = yard.board("bin").chips["range"]
        chip.faults = [lambda frame: b""] * 1_000_000
        yard.run(3 * HOUR)
        chip.faults = []
        yard.run(HOUR)
        seen = rows(yard, "bin")
        told = alarms(yard, "bin")
        begun = [set(b) - set(a) for a, b in itertools.pairwise([[], *told])]
        assert [name for names in begun for name in sorted(names)] == [
            "obstructed",
            "full",
            "emptied",
            "sensor_failure",
        ]
        assert told[-1] == []
        values = {name: r.values for r, names in zip(seen, begun, strict=True) for name in names}
        assert "fill_percent" not in values["obstructed"] and values["full"]["fill_percent"] in range(90, 96)
        assert values["emptied"]["fill_percent"] in (0, 1, 2)
        dead = values["sensor_failure"]
        assert dead["fault"] == "no_echo" and dead["quality_percent"] == 0
        assert not {"fill_percent", "distance_m", "fill_class"} & set(dead)
        assert 12 <= len(seen) <= 30, "of 64 measurements"
        # Every measurement that had a distance was heard, in one reading or the next.
        older = [r.values.get("distances_m") for r in seen]
        heard = sum(len(d) for d in older if isinstance(d, list)) + sum(
            "distance_m" in r.values for r in seen
        )
        assert heard >= 40
        assert_sound(yard, "bin")


def test_a_container_that_cannot_be(tmp_path: Path) -> None:
    with Yard(tmp_path, {**BIN, "settings": {"empty_mm": 200, "full_mm": 1200}}) as yard:
        yard.run(5 * HOUR)
        assert "config: shape" in yard.board("bin").console
        seen = rows(yard, "bin")
        assert {str(r.values["alarms"]) for r in seen} == {"['config_invalid']"}
        assert len([r for r in seen if "distance_m" not in r.values]) == 1, (
            "said before the first measurement"
        )
        assert 3 <= len(seen) <= 4
        assert all(abs(float(str(r.values["distance_m"])) - 0.7) < 0.02 for r in seen[1:])
        assert not [r for r in seen if "fill_percent" in r.values]
        assert_sound(yard, "bin")


def test_the_level_outlasts_a_power_cut(tmp_path: Path) -> None:
    """Emptied while the power was off: that is no first measurement."""
    with Yard(tmp_path, {**BIN, "distance_m": [[0, 0.3], [5, 0.3], [5.01, 1.19]]}) as yard:
        yard.run(4.9 * HOUR)
        yard.world.power_cut("bin", 1, back_s=600)
        yard.run(1.5 * HOUR)
        assert ["emptied"] in alarms(yard, "bin")
        assert_sound(yard, "bin", lives=2)


def test_tilt_and_lid(tmp_path: Path, solder: Callable[[Solder], None]) -> None:
    chip = LIS3DH(acceleration=(0.0, 0.0, G))
    lid = Contact(closed=True)
    solder(lambda chips: chips.update(lis3dh=chip, contact3=lid))
    parts = {"tilt": "lis3dh", "contacts": "contacts"}
    settings = {"empty_mm": 1200, "full_mm": 200, "lid_contact": 103}
    with Yard(tmp_path, {**BIN, "parts": parts, "settings": settings}) as yard:
        yard.run(1.5 * HOUR)
        chip.acceleration = (G, 0.0, 0.0)
        yard.run(180)
        chip.acceleration = (0.0, 0.0, G)
        yard.run(HOUR)
        lid.open()
        yard.run(300)
        lid.close()
        yard.run(1800)
        assert [a for a in alarms(yard, "bin") if a] == [["tilted"]], "a lid may be open for some minutes"
        lid.open()
        yard.run(700)
        assert alarms(yard, "bin")[-1] == ["lid_open"]
        lid.close()
        yard.run(1800)
        assert alarms(yard, "bin")[-1] == []
        tilted = next(r for r in rows(yard, "bin") if r.values["alarms"] == ["tilted"])
        assert tilted.values["tilt_deg"] == 90 and "fill_percent" not in tilted.values
        assert_sound(yard, "bin")


def test_lock_and_compactor_over_the_air(tmp_path: Path, solder: Callable[[Solder], None]) -> None:
    """Accepted in the result, acknowledged by a contact in a reading, ended by time and by the interlock."""
    lock, ram = Moved(), Moved(cycle_s=20)
    more = {"hatch": lock, "compactor": ram, "contact4": lock.ack, "contact5": ram.ack}
    more["contact3"] = lid = Contact()
    solder(lambda chips: chips.update(more) if "range" in chips else None)
    settings = {**BIN["settings"], "heartbeat_s": 300, "lid_contact": 3, "compactor_longest_s": 100}
    settings |= {"hatch_contact": 4, "compactor_contact": 5}
    parts = {"hatch": "hatch", "compactor": "compactor", "contacts": "contacts5"}
    board = {**BIN, "parts": parts, "settings": settings, "interval_s": 300}
    with answering(tmp_path, board) as (taker, sink), Yard(tmp_path, board, sink=sink) as yard:
        answers = taker.answers
        assert answers is not None

        def outcomes() -> list[object]:
            return [r.values["outcome"] for r in yard.decoded("bin").rows if r.type == "result"]

        def order(op: str, *args: int) -> object:
            """What the device says; a downlink may miss the window after an uplink, so more than once."""
            before = len(outcomes())
            for _ in range(5):
                answers.queue("bin", op, args)
                for _ in range(32):
                    yard.run(10)
                    if len(outcomes()) > before:
                        return outcomes()[-1]
            return None

        yard.run(900)
        assert order("hatch", 1, 1200) == "done"
        assert lock.moving and lock.ack.closed
        assert order("compact", 60) == "done"
        assert lock.moving, "of each its own"
        yard.run(1500)
        assert not lock.driven and not lock.ack.closed and lock.runs == 1
        assert 1199 <= lock.moved_us / 1e6 <= 1202
        assert not ram.driven and ram.ack.closed and ram.runs == 1
        assert 20 <= ram.moved_us / 1e6 <= 20.5
        # A ram that does not come home is stopped by its time.
        ram.cycle_us = 10**12
        assert order("compact", 40) == "done"
        yard.run(70)
        assert not ram.driven and 60 <= ram.moved_us / 1e6 <= 60.5
        assert order("compact", 60) == "busy", "it is not at home"
        ram.ack.close()
        yard.run(70)
        assert order("compact", 100) == "done"
        assert order("hatch", 1, 1200) == "done"
        assert lock.moving
        lock.interlock(False)
        yard.run(1)
        assert not lock.driven
        assert order("hatch", 1, 60) == "interlock"
        ram.interlock(False)
        ram.ack.close()
        yard.run(70)
        assert order("compact", 60) == "interlock"
        assert order("compact", 101) == "op_args"
        assert (lock.runs, ram.runs) == (2, 3)
        lid.close()
        yard.run(900)
        seen = rows(yard, "bin")
        states = [
            [s for s, _ in itertools.groupby(str(r.values[of]) for r in seen)]
            for of in ("hatch", "compactor")
        ]
        assert states[0] == ["idle", "held", "expired", "held", "interlock"]
        assert states[1] == ["idle", "stuck", "failed", "stuck", "failed"]
        assert seen[-1].values["cycles"] == 1
        assert set(alarms(yard, "bin")[-1]) == {"hatch_failed", "compactor_failed", "lid_open"}
        assert_sound(yard, "bin")


# Leak meter


def test_a_leak_of_eighty_hours_is_suspected_detected_and_over(
    tmp_path: Path, water: Callable[[Callable[[float], float], int], None]
) -> None:
    """Three litres an hour from the sixth to the eighty-second; every hour is heard."""
    water(lambda h: 3 if 6 <= h < 82 else 0, 132)
    with Yard(tmp_path, LEAK, options=sim.Options(seed=1, hours=132)) as yard:
        yard.run(131 * HOUR)
        seen = rows(yard, "leak")
        states = [str(r.values["leak_state"]) for r in seen]
        runs = [(s, len(list(g))) for s, g in itertools.groupby(states)]
        assert [s for s, _ in runs] == ["none", "suspected", "detected", "none"]
        # 24 and 72 hours without a dry one; 72 of them are worn off by three dry ones.
        assert [n for _, n in runs[:3]] in ([29, 48, 7], [30, 48, 7], [29, 48, 8], [30, 48, 6])
        assert [a for a, _ in itertools.groupby(alarms(yard, "leak"))] == [
            [],
            ["leak_suspected"],
            ["leak_detected"],
            [],
        ]
        index = [float(str(r.values["index_m3"])) for r in seen]
        assert index[-1] - index[0] == pytest.approx(0.228, abs=0.002)
        assert_sound(yard, "leak")


def test_the_air_tells_nothing_of_what_is_used(
    tmp_path: Path, water: Callable[[Callable[[float], float], int], None]
) -> None:
    """Nobody at home, a household, a bath that runs over: frames of the same instants and the same lengths."""
    seen = []
    for n, flow in enumerate((lambda h: 0.0, lambda h: 40.0 if h % 24 >= 6 else 0.0, lambda h: 600.0)):
        water(flow, 16)
        with Yard(tmp_path / str(n), LEAK, options=sim.Options(seed=1, hours=16)) as yard:
            yard.run(15.3 * HOUR)
            seen.append([(t / 1e6, len(data)) for t, _, data in yard.air.sent])
            readings = rows(yard, "leak")
            assert len(readings) == 15
            lengths = {len(b) for port, _, b in yard.air.of("leak") if port == 10}
            assert len(lengths) == 2, "hello and readings"
            slots = {(t - 60_000_000) % 3_600_000_000 // 1_000_000 for t, _, data in yard.air.sent[1:]}
            assert max(slots) - min(slots) <= 60, slots
    for other in seen[1:]:
        assert [size for _, size in other] == [size for _, size in seen[0]]
        # Flash and collections of garbage, which the model charges by chance.
        assert max(abs(a[0] - b[0]) for a, b in zip(other, seen[0], strict=True)) < 2


def test_a_power_cut_costs_what_is_promised(
    tmp_path: Path, water: Callable[[Callable[[float], float], int], None]
) -> None:
    """At 2 m3/h one look brings 34 pulses: at most 99 and those are lost, and what flows without power."""
    water(lambda h: 2000.0, 8)
    with Yard(tmp_path, LEAK, options=sim.Options(seed=1, hours=8)) as yard:
        meter: Any = yard.board("leak").chips["meter"]
        boots: list[float] = []
        yard.world.observe("boot", lambda e: boots.append(e.t_us / 1e6))
        without = 0
        for cut in range(4):
            yard.run(4000 + 777 * cut)
            yard.world.power_cut("leak")
            begun = meter.count
            yard.run(20)
            yard.world.power_on("leak")
            without += meter.count - begun
        yard.run(2 * HOUR)
        told = round(float(str(rows(yard, "leak")[-1].values["index_m3"])) * 1000)
        # The hours of a board without time are those since its boot.
        sent_s = yard.air.sent[-1][0] / 1e6
        slot_s = boots[-1] + (sent_s - boots[-1]) // HOUR * HOUR
        lost = 1000 + slot_s * 2000 / HOUR - told - without
        assert -3 <= lost <= 4 * (99 + 34) + 3, lost
        assert lost > 4, "else this shows nothing"
        assert_sound(yard, "leak", lives=5)


def test_water_at_the_rope(
    tmp_path: Path, water: Callable[[Callable[[float], float], int], None], solder: Callable[[Solder], None]
) -> None:
    rope = LeakRope()
    solder(lambda chips: chips.update(leak_rope=rope))
    water(lambda h: 10.0, 8)
    board = {**LEAK, "parts": {"rope": "leak_rope"}, "hw": "heltec_wifi_lora_32_v3"}
    with Yard(tmp_path, board, options=sim.Options(seed=1, hours=8)) as yard:
        yard.run(2.6 * HOUR)
        assert set(map(str, alarms(yard, "leak"))) == {"[]"}
        rope.puddles = [Puddle(1.0, 3.0)]
        yard.run(200)
        wet = rows(yard, "leak")[-1]
        assert wet.values["alarms"] == ["probe_wet"] and "index_m3" not in wet.values
        rope.puddles = []
        rope.break_m = 2.0
        yard.run(1200)
        assert alarms(yard, "leak")[-1] == ["probe_broken"]
        rope.break_m = None
        yard.run(2 * HOUR)
        assert alarms(yard, "leak")[-1] == []
        lengths = {len(b) for port, _, b in yard.air.of("leak") if port == 10}
        assert len(lengths) == 2, "hello and readings, between slots as in them"
        assert_sound(yard, "leak")
