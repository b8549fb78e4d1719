"""A DALI line on a bench: the model, and the two calls of MicroPython that the driver needs, in one process.

`Rmt` and `Pulse` do what `esp32.RMT` and `machine.time_pulse_us` do on the chip, with time that calls take.
"""

from collections.abc import Callable, Sequence
from typing import Any

from firmware.drivers.dali import Bus
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.dali_bus import DaliBus, Edges
from hw.virtual.chips.dali_gear import DaliGear
from hw.virtual.chips.shim import Time

#: Half a bit, us.
TE = 1e6 / 2400
#: A fault of an answer.
LOST: Callable[[Edges], Edges] = lambda edges: []  # noqa: E731


class Rmt:
    """`esp32.RMT` at 1 us per tick on the model's leg tx."""

    def __init__(self, chip: DaliBus, port: ManualPort, idle: int) -> None:
        self._chip = chip
        self._port = port
        self._idle = idle
        self._end = 0
        self.sent: list[list[int]] = []
        self.stuck = False

    def write_pulses(self, durations: Sequence[int], start: int = 1) -> None:
        assert all(0 < d <= 32767 for d in durations) and len(durations) <= 128
        self._port.advance(max(0, self._end - self._port.now_us))
        self.sent.append(list(durations))
        t, level = self._port.now_us, start
        for us in durations:
            self._port.at(t, lambda level=level: self._chip.pin_changed("tx", level))  # type: ignore[misc]
            t += us
            level = 1 - level
        self._port.at(t, lambda: self._chip.pin_changed("tx", self._idle))
        self._end = t

    def wait_done(self, *, timeout: int = 0) -> bool:
        until = self._port.now_us + timeout * 1000
        if self.stuck or self._end > until:
            self._port.run_until(until)
            return False
        # The task that waits is woken by the transmitter's interrupt.
        self._port.run_until(max(self._end, self._port.now_us) + 30)
        return True


class Rx:
    """The pin, and `time_pulse_us` on it: `entry_us` and `exit_us` are what a call takes around the polling
    loop, drawn between the two; `late` is called with each edge's number and gives the microseconds it is seen
    late (a preemption)."""

    def __init__(self, port: ManualPort) -> None:
        self._port = port
        self.entry_us = (15, 60)
        self.exit_us = (5, 20)
        self.gap: tuple[int, int] | None = None  # (call, us): this call begins so much later
        self.late: dict[int, int] = {}
        self.calls = 0
        self.longest = 0

    def __call__(self) -> int:
        return int(self._port.pins["rx"])

    def pulse(self, pin: Any, level: int, timeout_us: int) -> int:
        assert pin is self
        port = self._port
        port.advance(port.random.randint(*self.entry_us))
        if self.gap is not None and self.gap[0] == self.calls:
            port.advance(self.gap[1])
        self.calls += 1
        for error in (-2, -1):
            start = port.now_us
            while (self() == level) == (error == -1):
                following = port.clock.next_us()
                if following is None or following > start + timeout_us:
                    port.run_until(start + timeout_us)
                    if (self() == level) == (error == -1):
                        return error
                    break
                port.run_until(following)
        port.advance(self.late.pop(self.calls, 0))
        took: int = port.now_us - start
        port.advance(port.random.randint(*self.exit_us))
        return took


class Line:
    """A bus with gears, and a master on it."""

    def __init__(
        self, *gears: DaliGear, tx_low: int = 1, rx_low: int = 0, hears: bool = True, seed: int = 1
    ) -> None:
        self.port = ManualPort(seed)
        self.chip = DaliBus(gears, tx_low=tx_low, rx_low=rx_low)
        self.chip.attach(self.port)
        self.rmt = Rmt(self.chip, self.port, 1 - tx_low)
        self.rx = Rx(self.port)
        self.clock = Time(self.port.clock)
        self.bus = Bus(self.rmt, self.rx if hears else None, self.rx.pulse, tx_low, rx_low, self.clock)
        self.port.advance(1_000_000)

    @property
    def frames(self) -> list[int]:
        """What was on the bus so far."""
        return [value for _, value in self.chip.frames]

    def check(self) -> None:
        assert self.chip.violations == [], self.chip.violations
