"""A DALI-2 / D4i LED driver with its lamp: IEC 62386-102:2014 and -207:2009, DiiA parts 251 to 253.

It hears whole frames from its bus (dali_bus) and answers 5.5 to 10.5 ms after the frame's last edge, by its
own clock. Settings, groups and addresses outlast a loss of mains. `light` is what the lamp gives in per cent,
`power_w` what the driver draws, both at this instant, fading included; each change is emitted as `actuate`.

Not modelled: CONTINUOUS UP and DOWN, DAPC SEQUENCE, operating modes other than 0, the blinking of IDENTIFY, 207's
reference measurement, the effect of its fast fade time, heat, inrush, constant light output; power is a straight
line over the light from `standby_w`. What it answers is in dali_queries. Assumed: 0.6 s from mains to the power-on
level; changes without fade are instant; fades are even in levels.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from hw.virtual.chips import dali_queries
from hw.virtual.chips.base import Handle
from hw.virtual.chips.dali_memory import Bank, default_banks
from hw.virtual.chips.dali_queries import LED, MASK, YES

if TYPE_CHECKING:
    from hw.virtual.chips.dali_bus import DaliBus

_TWICE_US = 100_000
_START_US = 600_000
_INITIALISED_US = 15 * 60 * 1_000_000
_SETTLE_US = (5_500, 10_500)
#: Commands that count only when they come twice (102, 207).
_TWICE = frozenset((*range(0x20, 0x82), *range(0xE0, 0xE5)))
_TWICE_SPECIAL = frozenset((0xA5, 0xA7))
#: What leaves memory writing enabled (102).
_WRITING_SPECIAL = frozenset((0xA3, 0xC3, 0xC5, 0xC7, 0xC9))
_WRITING = frozenset((0x81, 0x98, 0x9C, 0x9D))


#: Units of the extended fade time by its multiplier (102).
_EXTENDED_US = (0, 100_000, 1_000_000, 10_000_000, 60_000_000)


def fade_us(n: int, extended: int = 0) -> int:
    """Fade time n = 1..15 of 102; with 0 the extended one: multiplier << 4 | base."""
    if n:
        return round(500_000 * math.sqrt(2**n))
    return ((extended & 15) + 1) * _EXTENDED_US[extended >> 4]


class DaliGear:
    """short: 0..63 or None. physical_min: lowest level that gives light. half_us: half a bit by its clock.
    types: device types (6 LED; 50, 51, 52 the parts of D4i). randoms: its next random addresses.

    Faults: `lamp` "ok", "open" or "short"; `failed`; `mute` (never answers); `mains(False)`.
    """

    def __init__(
        self,
        short: int | None = None,
        *,
        rated_w: float = 60.0,
        standby_w: float = 0.4,
        physical_min: int = 1,
        half_us: float = 1e6 / 2400,
        types: tuple[int, ...] = (LED,),
        randoms: tuple[int, ...] = (),
        banks: dict[int, Bank] | None = None,
    ) -> None:
        self.short = short
        self.rated_w = rated_w
        self.standby_w = standby_w
        self.physical_min = physical_min
        self.half_us = half_us
        self.types = types
        self.randoms = list(randoms)
        self.banks = default_banks() if banks is None else banks
        self.lamp = "ok"
        self.failed = False
        self.mute = False
        self.starts = 0
        self.lamp_starts = 0
        self.operating_s = 0.0
        self.last_active = 254
        self.fed = False
        self._on_s = 0.0
        self._energy_j = 0.0
        self._since_us = 0
        self._bus: DaliBus | None = None
        self._reset_variables()
        self._fresh = self._settings()
        self._volatile()

    def _reset_variables(self) -> None:
        """Reset values of 102. The short address is no part of it."""
        self.power_on_level = self.failure_level = self.max_level = 254
        self.min_level = self.physical_min
        self.fade_time = 0
        self.fade_rate = 7
        self.extended_fade = self.fast_fade = 0
        self.scenes = [MASK] * 16
        self.groups: set[int] = set()
        self.random = self.search = 0xFFFFFF
        self.linear = False

    def _settings(self) -> tuple[object, ...]:
        return (
            *(self.power_on_level, self.failure_level, self.max_level, self.min_level, self.fade_time),
            *(self.fade_rate, tuple(self.scenes), frozenset(self.groups), self.random),
            *(self.extended_fade, self.fast_fade),
        )

    def _volatile(self) -> None:
        self._from = self._target = 0
        self._begin_us = self._end_us = 0
        self.dtr = [0, 0, 0]
        self.power_cycle_seen = True
        self.limit_error = False
        self.write_enabled = False
        self._type = 0
        self._pending: tuple[int, int] | None = None
        self._commanded = False
        self._initialised_until = -1
        self._withdrawn = False
        self.next_types: list[int] = []
        self._start: Handle | None = None
        self._fade_end: Handle | None = None

    # mains, bus, light

    def attach(self, bus: DaliBus) -> None:
        """On this bus, with mains from now on; called again it is an interruption of mains."""
        self._bus = bus
        self.mains(False)
        self.mains(True)

    @property
    def bus(self) -> DaliBus:
        assert self._bus is not None, "gear on no bus"
        return self._bus

    @property
    def now_us(self) -> int:
        return self.bus.port.now_us

    def mains(self, on: bool) -> None:
        """Supply of the driver; then the level comes back as POWER ON LEVEL says."""
        self._account()
        self.bus.port.cancel(self._start)
        self.bus.port.cancel(self._fade_end)
        self.fed = on
        self._volatile()
        for bank in self.banks.values():
            bank.power_on()
        if on:
            self.starts += 1
            self._start = self.bus.port.at(self.now_us + _START_US, self._started)
        self._tell()

    def _started(self) -> None:
        if not self._commanded:
            self._go(self.last_active if self.power_on_level == MASK else self.power_on_level)

    def bus_failed(self) -> None:
        """The bus has been low for 500 ms."""
        if self.fed and self.failure_level != MASK:
            self._commanded = True
            self._go(self.failure_level)

    def _level_at(self, t_us: int) -> int:
        if t_us >= self._end_us:
            return self._target
        a, b = (max(x, self.min_level) for x in (self._from, self._target))
        return round(a + (b - a) * (t_us - self._begin_us) / (self._end_us - self._begin_us))

    def _light_at(self, t_us: int) -> float:
        n = self._level_at(t_us)
        if not self.fed or self.failed or self.lamp != "ok" or not n:
            return 0.0
        return n / 2.54 if self.linear else float(10 ** ((n - 1) * 3 / 253 - 1))

    @property
    def level(self) -> int:
        """Arc power level now."""
        return self._level_at(self.now_us)

    @property
    def fading(self) -> bool:
        return self.now_us < self._end_us

    @property
    def light(self) -> float:
        """Per cent of full light."""
        return self._light_at(self.now_us)

    def _power(self, light: float) -> float:
        return self.standby_w + (self.rated_w - self.standby_w) * light / 100 if self.fed else 0.0

    @property
    def power_w(self) -> float:
        return self._power(self.light)

    @property
    def energy_wh(self) -> float:
        """Drawn so far."""
        self._account()
        return self._energy_j / 3600

    @property
    def on_s(self) -> float:
        """Seconds of light so far."""
        self._account()
        return self._on_s

    def _account(self) -> None:
        begin, now = self._since_us, self.now_us
        self._since_us = now
        if now <= begin or not self.fed:
            return
        self.operating_s += (now - begin) / 1e6
        end = min(max(self._end_us, begin), now)
        # A fade in a hundred pieces.
        times = [begin + (end - begin) * i // 100 for i in range(100)] if end > begin else []
        for a, b in itertools.pairwise([*times, end, now]):
            light = self._light_at((a + b) // 2)
            self._energy_j += self._power(light) * (b - a) / 1e6
            self._on_s += (b - a) / 1e6 if light else 0.0

    def _go(self, level: int, us: int = 0) -> None:
        """To a level within the limits; 0 is off."""
        self._account()
        was = self.level
        if level:
            limited = min(max(level, self.min_level), self.max_level)
            self.limit_error = limited != level
            level = self.last_active = limited
        self._from, self._target = was, level
        self._begin_us = self.now_us
        self._end_us = self.now_us + (us if level != was else 0)
        self.lamp_starts += bool(level and not was and self.lamp == "ok")
        self.bus.port.cancel(self._fade_end)
        if self.fading:
            self._fade_end = self.bus.port.at(self._end_us, self._tell)
        self._tell()

    def _tell(self) -> None:
        self.bus.port.emit(
            "actuate",
            gear=self.bus.gears.index(self),
            level=round(self.light, 2),
            power_w=round(self.power_w, 3),
            fed=self.fed,
        )

    # frames

    def heard(self, frame: int, end_us: int) -> None:
        """A forward frame of 16 bits whose last edge was at `end_us`."""
        if not self.fed:
            return
        first, second = frame >> 8, frame & 0xFF
        is_special = 0xA0 <= first < 0xFC
        before, self._pending = self._pending, None
        config = first in _TWICE_SPECIAL if is_special else first & 1 and second in _TWICE
        if config and not (before and before[0] == frame and end_us - before[1] <= _TWICE_US):
            self._pending = (frame, end_us)
            return
        if first not in _WRITING_SPECIAL if is_special else not first & 1 or second not in _WRITING:
            self.write_enabled = False
        kind, self._type = self._type, 0
        answer = None
        if is_special:
            answer = self._special(first, second)
        elif not self._addressed(first):
            return
        elif not first & 1:
            self._direct(second)
        elif second >= 0xE0:
            answer = dali_queries.extended(self, kind, second) if kind in self.types else None
            if kind == LED and kind in self.types:
                self._led(second)
        else:
            answer = self._command(second)
        if answer is not None and not self.mute:
            settle = self.bus.port.random.randrange(*_SETTLE_US)
            self.bus.answer(self, answer, end_us + settle, self.half_us)

    def _addressed(self, first: int) -> bool:
        if first < 0x80:
            return self.short == first >> 1
        if first < 0xA0:
            return first >> 1 & 15 in self.groups
        return self.short is None or first >= 0xFE

    def _level_command(self, level: int, us: int = 0) -> None:
        self._commanded = True
        self.power_cycle_seen = False
        self._go(level, us)

    def _direct(self, level: int) -> None:
        if level != MASK:
            self._level_command(level, fade_us(self.fade_time, self.extended_fade))
        else:
            self._level_command(self.level)

    def _command(self, op: int) -> int | None:
        if op < 0x20:
            self._light_command(op)
            return None
        if op < 0x82:
            self._configure(op)
            return None
        if op == 0xC5:
            return self._read_memory()
        if op != 0xA7:
            self.next_types = []
        return dali_queries.answer(self, op)

    def _light_command(self, op: int) -> None:
        now = self.level
        if op in (1, 2) and now:
            # 200 ms at the fade rate.
            steps = max(1, round(0.2 * 506 / math.sqrt(2**self.fade_rate)))
            to = min(now + steps, self.max_level) if op == 1 else max(now - steps, self.min_level)
            self._level_command(to, 200_000)
        elif op in (3, 8) and now:
            self._level_command(min(now + 1, self.max_level))
        elif op in (4, 7) and now > self.min_level:
            self._level_command(now - 1)
        elif op in (0, 7):
            self._level_command(0)
        elif op == 5:
            self._level_command(self.max_level)
        elif op in (6, 8):
            self._level_command(self.min_level)
        elif op == 0x0A:
            self._level_command(self.last_active, fade_us(self.fade_time, self.extended_fade))
        elif op >= 0x10 and self.scenes[op & 15] != MASK:
            self._level_command(self.scenes[op & 15], fade_us(self.fade_time, self.extended_fade))

    def _configure(self, op: int) -> None:
        value = self.dtr[0]
        if op == 0x20:
            self._reset_variables()
            self._level_command(254)
        elif op == 0x21:
            self.dtr[0] = self.level
        elif op == 0x2A:
            self.max_level = 254 if value == MASK else max(min(value, 254), self.min_level)
            self._relimit()
        elif op == 0x2B:
            self.min_level = min(max(value, self.physical_min), self.max_level)
            self._relimit()
        elif op == 0x2C:
            self.failure_level = value
        elif op == 0x2D:
            self.power_on_level = value
        elif op == 0x2E:
            self.fade_time = min(value, 15)
        elif op == 0x2F:
            self.fade_rate = min(max(value, 1), 15)
        elif op == 0x30:
            self.extended_fade = value if value <= 0x4F else 0
        elif op < 0x80:
            index = op & 15
            match op >> 4:
                case 4:
                    self.scenes[index] = value
                case 5:
                    self.scenes[index] = MASK
                case 6:
                    self.groups.add(index)
                case 7:
                    self.groups.discard(index)
        elif op == 0x80:
            self._set_short(value)
        elif op == 0x81:
            self.write_enabled = True

    def _relimit(self) -> None:
        if self._target and not self.min_level <= self._target <= self.max_level:
            self._go(min(max(self._target, self.min_level), self.max_level))

    def _set_short(self, code: int) -> None:
        if code == MASK:
            self.short = None
        elif code & 0x81 == 1:
            self.short = code >> 1

    @property
    def reset_state(self) -> bool:
        """All that a reset sets is as a reset sets it."""
        return self._settings() == self._fresh

    def _led(self, op: int) -> None:
        """What counts only when it comes twice (207), after ENABLE DEVICE TYPE 6."""
        value = self.dtr[0]
        if op == 0xE3 and value < 2:
            self._account()
            self.linear = value == 1
            self._tell()
        elif op == 0xE4 and (value == 0 or dali_queries.MIN_FAST_FADE <= value <= 27):
            self.fast_fade = value

    def _special(self, op: int, data: int) -> int | None:
        if op in (0xA3, 0xC3, 0xC5):
            self.dtr[(0xA3, 0xC3, 0xC5).index(op)] = data
        elif op == 0xC1:
            self._type = data
        elif op in (0xC7, 0xC9):
            written = self._write_memory(data)
            return written if op == 0xC7 else None
        elif op == 0xA1:
            self._initialised_until = -1
        elif op == 0xA5:
            self._initialise(data)
        elif self.now_us < self._initialised_until:
            return self._addressing(op, data)
        return None

    # addressing

    def _initialise(self, data: int) -> None:
        if (
            data == 0
            or (data == MASK and self.short is None)
            or (data & 0x81 == 1 and data >> 1 == self.short)
        ):
            self._initialised_until = self.now_us + _INITIALISED_US
            self._withdrawn = False

    def _addressing(self, op: int, data: int) -> int | None:
        selected = self.random == self.search
        if op == 0xA7:
            self.random = self.randoms.pop(0) if self.randoms else self.bus.port.random.randrange(0xFFFFFF)
        elif op == 0xA9:
            return YES if not self._withdrawn and self.random <= self.search else None
        elif op == 0xAB:
            self._withdrawn = self._withdrawn or selected
        elif op in (0xB1, 0xB3, 0xB5):
            shift = 8 * (0xB5 - op >> 1)
            self.search = self.search & ~(255 << shift) | data << shift
        elif op == 0xB7 and selected:
            self._set_short(data)
        elif op == 0xB9:
            return YES if self.short is not None and data == self.short << 1 | 1 else None
        elif op == 0xBB and selected:
            return MASK if self.short is None else self.short << 1 | 1
        return None

    # memory

    def _step(self) -> int:
        at = self.dtr[0]
        self.dtr[0] = min(at + 1, 255)
        return at

    def _read_memory(self) -> int | None:
        bank = self.banks.get(self.dtr[1])
        return bank.read(self, self._step()) if bank else None

    def _write_memory(self, value: int) -> int | None:
        bank = self.banks.get(self.dtr[1])
        if not self.write_enabled or bank is None:
            return None
        return value if bank.write(self, self._step(), value) else None
