"""A DALI line: bus supply, the node's transceiver, and control gear (dali_gear) that answers.

Legs: `tx`, at `tx_low` pulls the bus low, undriven it lets go; `rx`, at `rx_low` while the bus is low. The bus
is a wired AND of the transceiver and every gear; without supply it is low. Frames are taken from the edges as
a receiver of 101 takes them (half bits 333..500 us, two halves 666..1000 us, stop condition 2400 us); what
the node sends outside of that, or sooner after the last edge than the 13.5 ms of priority 1, is a violation.
101 = IEC 62386-101, values as cited by published implementations and makers' notes.

Not modelled: voltages, slopes and currents, the delay of the transceiver, several masters, 24-bit frames (no
gear reads them), gear that lives on the bus supply.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from hw.virtual.chips.base import Handle, PinChip
from hw.virtual.chips.dali_gear import DaliGear

_HALF_US = (333, 500)
_DOUBLE_US = (666, 1000)
_STOP_US = 2400
_FAILURE_US = 500_000
#: Receivers may measure 100 us short.
_SETTLE_US = 13_500 - 100

#: A change of one line driver: (time, pulls low).
Edges = list[tuple[int, bool]]


def manchester(value: int, bits: int, half_us: float, start_us: float) -> Edges:
    """What a transmitter does to the bus for a frame: 1 is low then high, start bit 1."""
    levels: list[int] = []
    for i in range(bits, -1, -1):
        bit = 1 if i == bits else value >> i & 1
        levels += [1 - bit, bit]
    edges: Edges = []
    pulls = False
    for i, level in enumerate([*levels, 1]):
        if pulls != (level == 0):
            pulls = level == 0
            edges.append((round(start_us + i * half_us), pulls))
    return edges


def halves(runs_us: Sequence[int]) -> list[int] | None:
    """Half bits of each run, None when one is out of the receiver's windows."""
    out = []
    for us in runs_us:
        if _HALF_US[0] <= us <= _HALF_US[1]:
            out.append(1)
        elif _DOUBLE_US[0] <= us <= _DOUBLE_US[1]:
            out.append(2)
        else:
            return None
    return out


def frame_of(runs_us: Sequence[int]) -> tuple[int, int] | None:
    """(value, bits) of the times between edges from the first falling to the last rising one."""
    counts = halves(runs_us)
    if counts is None:
        return None
    levels = [i & 1 for i, n in enumerate(counts) for _ in range(n)]
    if len(levels) & 1:
        levels.append(1)
    bits = [b for a, b in zip(levels[::2], levels[1::2], strict=True) if a != b]
    if len(bits) * 2 != len(levels) or not bits or not bits[0]:
        return None
    return sum(b << i for i, b in enumerate(reversed(bits[1:]))), len(bits) - 1


class DaliBus(PinChip):
    """gears: what hangs on the bus.

    `level` is the bus now; `frames` every whole forward frame as (end in us, value), `answers` what a
    receiver at the node's end could read of backward frames (None: garbled). `faults`: each next backward
    frame takes one function Edges -> Edges. `deaf`: so many next forward frames reach no gear.
    """

    def __init__(self, gears: Sequence[DaliGear] = (), *, tx_low: int = 1, rx_low: int = 0) -> None:
        super().__init__()
        self.gears = list(gears)
        self.tx_low = tx_low
        self.rx_low = rx_low
        self.frames: list[tuple[int, int]] = []
        self.answers: list[int | None] = []
        self.faults: list[Callable[[Edges], Edges]] = []
        self.deaf = 0
        self._supply = True
        self._pulls: set[object] = set()
        self.level = 1
        self._edges: list[int] = []
        self._senders: set[object] = set()
        self._torn = False
        self._last_us = -1_000_000
        self._quiet: Handle | None = None

    def reset(self) -> None:
        self._pulls.clear()
        self._edges.clear()
        self.level = 1
        self._last_us = self.port.now_us - 1_000_000
        for gear in self.gears:
            gear.attach(self)
        self.port.set_pin("rx", 1 - self.rx_low)
        self._update()

    # the transceiver

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "tx":
            self.pull(self, level == self.tx_low)

    def floating(self, pin: str) -> None:
        if pin == "tx":
            # A reset or a power cut in the middle of a frame is no wrong use.
            self._torn = self._torn or bool(self._edges)
            self.pull(self, False)

    def pwm_changed(self, pin: str, freq_hz: int, duty_u16: int) -> None:
        if freq_hz:
            self.violate(f"PWM on {pin}: the bus carries frames")

    # the wire

    def supply(self, on: bool) -> None:
        """Switch the bus supply."""
        self._supply = on
        self._torn = True
        self._update()

    def pull(self, who: object, low: bool) -> None:
        """One driver pulls the bus low, or lets go."""
        if low:
            if who is self and self._edges and self not in self._senders and not self._torn:
                self.violate("forward frame into an answer (101)")
            self._pulls.add(who)
            self._senders.add(who)
        else:
            self._pulls.discard(who)
        self._update()

    def _update(self) -> None:
        level = 1 if self._supply and not self._pulls else 0
        if level == self.level:
            return
        self.level = level
        now = self.port.now_us
        self.port.set_pin("rx", self.rx_low ^ level)
        self.port.cancel(self._quiet)
        if not self._edges:
            pause, self._last_us = now - self._last_us, now
            if level:  # the end of a bus failure
                self._senders.clear()
                self._torn = False
                return
            if self in self._senders and pause < _SETTLE_US:
                self.violate(f"forward frame {pause} us after the last edge, 13500 at least (101)")
        self._edges.append(now)
        self._last_us = now
        if level:
            self._quiet = self.port.at(now + _STOP_US, self._stop)
        else:
            self._quiet = self.port.at(now + _FAILURE_US, self._failure)

    def _stop(self) -> None:
        edges, senders = self._edges, self._senders
        torn, self._torn = self._torn, False
        self._edges, self._senders = [], set()
        runs = [b - a for a, b in itertools.pairwise(edges)]
        frame = frame_of(runs)
        if self not in senders:
            if senders:
                self.answers.append(frame[0] if frame and frame[1] == 8 else None)
            return
        if len(senders) > 1 or torn:
            return
        if frame is None:
            self.violate(f"forward frame with edges after {runs} us (101, table 18)")
        elif frame[1] == 16:
            self.frames.append((edges[-1], frame[0]))
            if self.deaf:
                self.deaf -= 1
                return
            for gear in self.gears:
                gear.heard(frame[0], edges[-1])
        elif frame[1] != 24:
            self.violate(f"forward frame of {frame[1]} bits (101)")

    def _failure(self) -> None:
        self._edges.clear()
        self._senders.clear()
        for gear in self.gears:
            gear.bus_failed()

    def answer(self, gear: DaliGear, value: int, start_us: int, half_us: float) -> None:
        """A gear puts a backward frame on the bus."""
        edges = manchester(value, 8, half_us, start_us)
        if self.faults:
            edges = self.faults.pop(0)(edges)
        for t, low in edges:
            self.port.at(t, lambda low=low: self.pull(gear, low))  # type: ignore[misc]
