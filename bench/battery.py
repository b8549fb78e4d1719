"""Charge of bin and leak meter on a battery: per wake without and with the radio, per day, and years on a 19 Ah
cell. *Model*.

python -m bench battery

Four days (SF9, 14 dBm, encrypt0) on the virtual board, with a gateway and a store that answers. Bin at default
settings: a measurement each 15 min, a heartbeat of 4 h; it fills in two days and is emptied. Leak meter: the
water of a household (synthetic), counted by a PCF8593; a reading each hour, the default, or each four, or each
hour and a look at a leak rope each 15 min. Currents are the declared ones (hw/virtual/board.py, the chip models),
times those of hw/virtual/costs.py; nothing was measured on hardware, and the cell's own discharge, its resistance
and the board's regulator are not in it. The peer is the same bin awake all day.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from host_tools import sim
from hw.virtual.lines import State

if TYPE_CHECKING:
    from hw.virtual.board import Board
    from hw.virtual.world import World

DAYS = 4
CELL_AH = 19
MARGINS = (10, 50)
HELTEC = "heltec_wifi_lora_32_v3"
_WATER = {"file": "synthetic", "start": "2016-11-28T12:00:00", "synthetic": "week-water-synthetic.csv"}
_LEAK = {"kind": "leak", "water": _WATER, "parts": {"pulses": "pcf8593"}, "interval_s": 3600}
#: What a board of each case is beside its place and power class.
CASES: dict[str, dict[str, Any]] = {
    "bin": {"kind": "bin"},
    "leak": _LEAK,
    "leak, 4 hours in a reading": {**_LEAK, "interval_s": 14400},
    "leak and rope": {**_LEAK, "parts": {"pulses": "pcf8593", "rope": "leak_rope"}, "interval_s": 900},
}


@dataclass
class Wake:
    """From the start of a life (its boot included) to its end: microseconds, microampere microseconds, whether
    the application was loaded, frames it sent."""

    start_us: int
    charge: int
    end_us: int = 0
    application: bool = False
    frames: int = 0

    @property
    def seconds(self) -> float:
        return (self.end_us - self.start_us) / 1e6

    @property
    def mas(self) -> float:
        """Charge, mA s."""
        return self.charge / 1e9


class Wakes:
    """The lives of one board, from deep sleep to deep sleep, as its charge account has them."""

    def __init__(self, world: World, board: Board) -> None:
        self.lives: list[Wake] = []
        self._world = world
        self._board = board
        start, stop, size = board.start, board.stop, board.module_size

        def started(cause: int) -> None:
            board.account()
            self.lives.append(Wake(world.now_us, board.charge_ua_us))
            start(cause)

        def stopped(state: State) -> None:
            stop(state)
            if self.lives and not self.lives[-1].end_us:
                self.lives[-1].end_us = world.now_us
                self.lives[-1].charge = board.charge_ua_us - self.lives[-1].charge

        def sized(name: str, told: int) -> tuple[int, bool]:
            self.lives[-1].application |= name == "firmware.app"
            return size(name, told)

        # The instance's own methods are covered; the class and the firmware stay as they are.
        for name, new in (("start", started), ("stop", stopped), ("module_size", sized)):
            setattr(board, name, new)
        self._sent: list[int] = []
        world.observe("transmit", lambda e: self._sent.append(e.t_us) if e.board == board.name else None)

    def whole(self) -> list[Wake]:
        """Those that ended, with the frames that each sent."""
        found = [w for w in self.lives if w.end_us]
        for wake in found:
            wake.frames = sum(wake.start_us <= t < wake.end_us for t in self._sent)
        return found


def scenario(days: float, power: str, case: str = "bin") -> dict[str, Any]:
    """A gateway and a board; a bin fills in two days and is emptied then."""
    own = dict(CASES[case])
    if own["kind"] == "bin":
        own["distance_m"] = depth = []
        for n in range(0, int(days) + 2, 2):
            depth += [[24.0 * n, 1.15], [24.0 * n + 47.9, 0.30]]
    return {
        "title": "battery",
        "start_utc": "2026-11-20T16:00:00Z",
        "hours": 24 * days,
        "cell": {"freq_khz": 869525, "sf": 9, "power_dbm": 14},
        "board": [
            {"name": "gateway", "kind": "gateway", "hw": HELTEC, "at": [0, 0]},
            {"name": "node", "hw": HELTEC, "at": [100, 0], "power": power, **own},
        ],
    }


class Day(sim.Run):
    """Some days of one board; `wakes` and `board` are there after `execute`."""

    wakes: Wakes
    board: Board

    def __init__(
        self, power: str, folder: Path, days: float = DAYS, seed: int = 1, case: str = "bin"
    ) -> None:
        options = sim.Options(seed=seed, on_world=self._watch)
        super().__init__(scenario(days, power, case), folder, options)
        self.days = days

    def _watch(self, world: World) -> None:
        self.board = world.boards["node"]
        self.wakes = Wakes(world, self.board)

    @property
    def mah_a_day(self) -> float:
        """Without the first life, which waits up to five minutes for the moment of its hello."""
        lives = self.wakes.lives
        first = lives[0] if lives[0].end_us else Wake(0, 0)
        charge = self.board.charge_ua_us - (first.charge if first.end_us else 0)
        return charge / 3.6e12 / (self.days - first.end_us / 86.4e9)


def once(
    power: str, folder: Path, days: float = DAYS, seed: int = 1, case: str = "bin"
) -> tuple[Day, sim.Result]:
    day = Day(power, folder, days, seed, case)
    folder.mkdir(parents=True, exist_ok=True)
    result = day.execute()
    if result.failures:
        raise RuntimeError(f"{power}: {result.failures}")
    return day, result


def years(mah_a_day: float, margin: int) -> float:
    """On the cell, of which `margin` per cent are not counted on."""
    return CELL_AH * 1000 * (100 - margin) / 100 / mah_a_day / 365.25


def _about(name: str, wakes: list[Wake]) -> str:
    if not wakes:
        return f"{name:24}    0 wakes"
    mean = sum(w.mas for w in wakes) / len(wakes)
    longest = max(w.seconds for w in wakes)
    return (
        f"{name:24} {len(wakes):4} wakes  {mean:7.1f} mA s each, {max(w.mas for w in wakes):7.1f} at most; "
        f"{sum(w.seconds for w in wakes) / len(wakes):5.2f} s awake, {longest:5.2f} at most"
    )


class Kind(NamedTuple):
    """What one case draws: wakes after the first, with and without the radio, and the readings of all days."""

    quiet: list[Wake]  # without the application
    silent: list[Wake]  # with the application, without a frame
    loud: list[Wake]
    readings: int
    mah_a_day: float

    @property
    def uah_a_reading(self) -> float:
        """All that the board draws, shared by its readings."""
        return self.mah_a_day * DAYS * 1000 / self.readings


def measured(case: str) -> Kind:
    with tempfile.TemporaryDirectory() as folder:
        day, result = once("battery", Path(folder) / "run", case=case)
    lives = day.wakes.whole()[1:]
    return Kind(
        [w for w in lives if not w.application],
        [w for w in lives if w.application and not w.frames],
        [w for w in lives if w.frames],
        sum(r.type == CASES[case]["kind"] for r in result.rows),
        day.mah_a_day,
    )


def table() -> list[list[str]]:
    """The rows of docs/guides/air.md."""

    def mas(wakes: list[Wake]) -> str:
        return f"{sum(w.mas for w in wakes) / len(wakes):.0f}" if wakes else "-"

    rows = []
    for case in CASES:
        k = measured(case)
        awake = max((w.seconds for w in k.quiet), default=0.0)
        cells = [case, f"{(len(k.quiet) + len(k.silent) + len(k.loud)) / DAYS:.0f}", mas(k.quiet)]
        cells += [f"{awake:.1f}" if k.quiet else "-", mas(k.loud), f"{k.readings / DAYS:.0f}"]
        cells += [f"{k.uah_a_reading:.0f}", f"{k.mah_a_day:.2f}"]
        rows.append(cells + [f"{years(k.mah_a_day, m):.0f}" for m in MARGINS])
    return rows


HEAD = ["kind", "wakes a day", "mA s without the radio", "s awake at most", "mA s with it", "readings a day"]
HEAD += ["uAh per reading", "mAh a day", *(f"years at {m} % margin" for m in MARGINS)]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        awake, others = once("mains", Path(folder) / "mains")
    print(f"model, {DAYS} days; awake all day: {len(others.rows)} frames")
    for case in CASES:
        k = measured(case)
        print(f"{case}: {k.readings} readings, {k.uah_a_reading:.0f} uAh each, all counted")
        print(_about("  without the radio", k.quiet))
        print(_about("  application, no frame", k.silent))
        print(_about("  with the radio", k.loud))
        _day("  a day", k.mah_a_day)
        if case == "bin":
            _day("  awake all day", awake.mah_a_day)
            print(f"  ratio {awake.mah_a_day / k.mah_a_day:.0f} x")
    print("self-discharge of the cell is not in it")
    return 0


def _day(name: str, mah: float) -> None:
    spans = ", ".join(f"{years(mah, m):.1f} years at {m} % margin" for m in MARGINS)
    print(f"{name:16} {mah:8.2f} mAh a day; on {CELL_AH} Ah: {spans}")
