"""What two three-phase meters say of their terminals, register by register.  SDM630 = Eastron SDM630-Modbus
protocol V2 (float32, high word first), EM340 = Carlo Gavazzi EM300/ET300 communication protocol, table 2.4-1
(int32, low word first).

Phases are 120 degrees apart, waves are sines (no harmonics: distortion 0), currents lag. Totals of VA and power
factor are those of the summed P and Q. Registers between those of a map read 0.

Not modelled: demand of the neutral (0), resettable counters that nobody can reset, EM340's second grouping (F6..),
its version and serial number.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from hw.virtual.chips.base import Port
from hw.virtual.chips.load import Terminals

#: Register: (form, value in the map's unit). f float32, l int32 with the low word first, h int16, L uint32.
Values = dict[int, tuple[str, float]]


class Phase(Terminals):
    """Terminals that add up reactive and apparent energy and charge, too (VAs, VAs, As)."""

    va_s = var_s = amp_s = 0.0

    def power_on(self, port: Port) -> None:
        self.va_s = self.var_s = self.amp_s = 0.0
        super().power_on(port)

    def touch(self) -> Phasor:  # type: ignore[override]
        assert self._port is not None
        p, s = Phasor(*self.point), (self._port.now_us - self._since_us) / 1e6
        self.va_s += p.va * s
        self.var_s += p.var * s
        self.amp_s += abs(p.amps) * s
        return Phasor(*super().touch())

    @property
    def exported_j(self) -> float:
        return self.joules - self.imported_j


class Phasor(NamedTuple):
    """One phase at one instant; a negative power factor feeds back."""

    volts: float
    amps: float
    pf: float

    @property
    def watts(self) -> float:
        return self.volts * self.amps * self.pf

    @property
    def va(self) -> float:
        return self.volts * abs(self.amps)

    @property
    def var(self) -> float:
        return math.sqrt(max(0.0, self.va**2 - self.watts**2))

    @property
    def degrees(self) -> float:
        return math.degrees(math.atan2(self.var, self.watts))


@dataclass
class State:
    """Everything the maps are made of. Demands are means of the last whole period, and the greatest of them."""

    phases: list[Phase]
    line_hz: float
    import_wh: float
    export_wh: float
    demand: dict[str, float]
    highest: dict[str, float]

    def __post_init__(self) -> None:
        self.at = [phase.touch() for phase in self.phases]
        self.watts = sum(p.watts for p in self.at)
        self.var = sum(p.var for p in self.at)
        self.va = math.hypot(self.watts, self.var)
        self.pf = self.watts / self.va if self.va else 1.0
        volts = [cmath.rect(p.volts, math.radians(-120 * i)) for i, p in enumerate(self.at)]
        self.between = [abs(volts[i] - volts[(i + 1) % 3]) for i in range(3)]
        amps = [cmath.rect(abs(p.amps), math.radians(-120 * i - p.degrees)) for i, p in enumerate(self.at)]
        self.neutral = abs(sum(amps))

    def wh(self, i: int | None = None, *, export: bool = False) -> float:
        """Whole Wh of one phase or of all; what was there before is shared among the phases alike."""
        before = (self.export_wh if export else self.import_wh) / (1 if i is None else 3)
        of = self.phases if i is None else [self.phases[i]]
        return int(before + sum(p.exported_j if export else p.imported_j for p in of) / 3600 + 1e-9)

    def varh(self, i: int | None = None) -> float:
        return sum(p.var_s for p in (self.phases if i is None else [self.phases[i]])) / 3600


def sdm630(s: State) -> Values:
    """Input registers."""
    out: dict[int, float] = {}
    for i, p in enumerate(s.at):
        for base, value in (
            *((0x00, p.volts), (0x06, abs(p.amps)), (0x0C, p.watts), (0x12, p.va), (0x18, p.var)),
            *((0x1E, p.pf), (0x24, p.degrees), (0xC8, s.between[i])),
            *((0x102, s.demand[f"A{i}"]), (0x108, s.highest[f"A{i}"])),
            *((0x15A, s.wh(i) / 1000), (0x160, s.wh(i, export=True) / 1000)),
            *((0x166, (s.wh(i) + s.wh(i, export=True)) / 1000), (0x16C, s.varh(i) / 1000)),
            (0x178, s.varh(i) / 1000),
        ):
            out[base + 2 * i] = value
    amps = sum(abs(p.amps) for p in s.at)
    out |= {0x2A: sum(p.volts for p in s.at) / 3, 0x2E: amps / 3, 0x30: amps, 0x34: s.watts, 0x38: s.va}
    out |= {0x3C: s.var, 0x3E: s.pf, 0x42: math.degrees(math.atan2(s.var, s.watts)), 0x46: s.line_hz}
    out |= {0x48: s.wh() / 1000, 0x4A: s.wh(export=True) / 1000, 0x4C: s.varh() / 1000}
    out |= {0x50: sum(p.va_s for p in s.phases) / 3.6e6, 0x52: sum(p.amp_s for p in s.phases) / 3600}
    for base, name in ((0x54, "W+"), (0x58, "W+"), (0x5C, "W-"), (0x64, "VA")):
        out |= {base: s.demand[name], base + 2: s.highest[name]}
    out |= {0xCE: sum(s.between) / 3, 0xE0: s.neutral, 0xFE: s.pf}
    out |= {0x156: (s.wh() + s.wh(export=True)) / 1000, 0x158: s.varh() / 1000}
    return {register: ("f", value) for register, value in out.items()}


def em340(s: State) -> Values:
    """Both functions alike."""
    out: Values = {}
    for i, p in enumerate(s.at):
        for base, value in (
            *((0x00, p.volts * 10), (0x06, s.between[i] * 10), (0x0C, abs(p.amps) * 1000)),
            *((0x12, p.watts * 10), (0x18, p.va * 10), (0x1E, p.var * 10), (0x40, s.wh(i) // 100)),
        ):
            out[base + 2 * i] = "l", value
        out[0x2E + i] = "h", p.pf * 1000
    totals = {0x24: sum(p.volts for p in s.at) / 3, 0x26: sum(s.between) / 3, 0x28: s.watts}
    totals |= {0x2A: s.va, 0x2C: s.var, 0x38: s.demand["W+"], 0x3A: s.highest["W+"]}
    out |= {register: ("l", value * 10) for register, value in totals.items()}
    out |= {0x31: ("h", s.pf * 1000), 0x32: ("h", 0), 0x33: ("h", s.line_hz * 10)}
    for register in (0x34, 0x3C):
        out |= {register: ("l", s.wh() // 100), register + 2: ("l", s.varh() // 100)}
    out[0x4E] = "l", s.wh(export=True) // 100
    return out


class Layout(NamedTuple):
    """blocks: per function the first and the last register of each; most: registers per request."""

    values: Callable[[State], Values]
    blocks: dict[int, tuple[tuple[int, int], ...]]
    most: int
    demand_s: int


LAYOUTS = {
    "sdm630": Layout(
        sdm630,
        {4: ((0x00, 0x6B), (0xC8, 0x10D), (0x14E, 0x17D)), 3: ((0x00, 0x25), (0xFC00, 0xFC01))},
        80,
        3600,
    ),
    "em340": Layout(em340, {3: ((0x00, 0x53),), 4: ((0x00, 0x53),)}, 50, 900),
}
#: EM340-DIN AV2 3 X S1, alone in register 0B, which V L3-L1 has for its high word.
IDENTITY = (0x0B, 341)
_RATES = (2400, 4800, 9600, 19200, 38400)
_PARITY = {None: 0, 0: 1, 1: 2}


def sdm630_settings(unit: int, baud: int, parity: int | None, serial: int) -> Values:
    """Holding registers as after delivery: demand period in minutes, 3 phases 4 wires, N1 E1 O1, unit, rate."""
    settings: Values = {0x02: ("f", 60), 0x0A: ("f", 3), 0x0C: ("f", 100), 0x12: ("f", _PARITY[parity])}
    settings |= {0x14: ("f", unit), 0xFC00: ("L", serial)}
    if baud in _RATES:
        settings[0x1C] = "f", _RATES.index(baud)
    return settings
