"""What a chip model is, and what it sees of the board it is soldered to.

A model is plain Python that knows its datasheet and nothing of MicroPython: it is told what happens on its
bus, answers, and asks its `Port` to call it again at a later virtual instant. All times are integer
microseconds of virtual time, all levels 0 or 1. A model never sleeps, never reads the host's clock and takes
randomness only from `port.random`, so that the same seed gives the same bytes.

A model that talks to other boards (a radio on the air) sets `shared = True`: its calls are then made in the
one global order of virtual time. A model without it is served at once, concurrently with other boards.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any, Protocol


class Handle:
    """A call that was asked for with `Port.at`; `alive` is false once it ran or was cancelled."""

    __slots__ = ("alive", "fn", "t_us")

    def __init__(self, t_us: int, fn: Callable[[], None]) -> None:
        self.t_us = t_us
        self.fn = fn
        self.alive = True


class Port(Protocol):
    """The board as one chip sees it."""

    random: random.Random

    @property
    def now_us(self) -> int:
        """Virtual time of the call being served, microseconds."""

    def at(self, t_us: int, fn: Callable[[], None], local: bool = False) -> Handle:
        """Call `fn` at `t_us` (not before now: an earlier time counts as now); equal times in order asked.

        `local` is a promise of a *shared* chip that `fn` changes nothing the air could notice (BUSY that
        falls): such a call need not wait for the other boards. It has no effect for other chips.
        """

    def cancel(self, handle: Handle | None) -> None:
        """Take a call back; one that ran already, or None, is no error."""

    def set_pin(self, pin: str | int, level: int) -> None:
        """Drive an MCU input: by the chip's own pin name (resolved by the wiring; a name that is not wired
        is ignored, as an unconnected leg is) or by MCU number. An edge may raise the MCU's interrupt."""

    def uart_send(self, uart_id: int, data: bytes) -> None:
        """Bytes that arrive now in the RX buffer of the MCU's UART."""

    def emit(self, event: str, **fields: Any) -> None:
        """Tell the observers of the run something (`transmit`, `actuate`, ...); no effect on the board."""

    def draw(self, current_ua: int) -> None:
        """The chip draws this current from now on (microampere), for the charge account."""

    def violation(self, text: str) -> None:
        """The chip was used against its datasheet: the run ends and fails."""


class Chip:
    """One part. Subclasses override what they have; `reset` is the power-on state and is called by `attach`.

    `name` is set by the board to the part's name in the scenario. `violations` collects wrong uses.
    """

    #: Calls touch state common to several boards (the air): serve them in global order of time.
    shared = False
    #: Shared chips: nothing another board does from now on changes this chip's pins sooner than this
    #: (a packet needs its preamble). A true lower bound: boards run further apart, nothing else changes.
    latency_us = 0

    def __init__(self) -> None:
        self.name = type(self).__name__.lower()
        self.port: Port = ManualPort()
        self.violations: list[str] = []

    def attach(self, port: Port) -> None:
        """Solder the chip to a board; called once, before the first `reset`."""
        self.port = port
        self.reset()

    def reset(self) -> None:
        """Power-on state (power-on or brown-out of the board; not a reset of the MCU alone)."""

    @property
    def receptive(self) -> bool:
        """Whether an *other* board can change this chip's pins now (a radio in receive mode). Only asked of
        shared chips; False lets its board sleep without asking the others, so be exact, never optimistic."""
        return self.shared

    def pin_changed(self, pin: str, level: int) -> None:
        """An MCU output that is wired to the chip's leg `pin` changed (not the SPI chip select)."""

    def floating(self, pin: str) -> None:
        """The MCU lets go of the leg `pin` (reset, deep sleep, no power) and the board pulls it nowhere. By
        default it reads as low."""
        self.pin_changed(pin, 0)

    def violate(self, rule: str) -> None:
        """Record a wrong use: say which rule of which section of the datasheet."""
        text = f"{self.name} at {self.port.now_us} us: {rule}"
        self.violations.append(text)
        self.port.violation(text)


class SpiChip(Chip):
    """On an SPI bus; the wiring's `cs` leg (active low) selects it."""

    def select(self, active: bool) -> None:
        """Chip select went low (`active`) or high."""

    def transfer(self, mosi: bytes) -> bytes:
        """Bytes clocked while selected; returns as many bytes of MISO. One call per call of the firmware:
        a command may come in several."""
        return bytes(len(mosi))

    def touches_shared(self, mosi: bytes) -> bool:
        """Whether this transfer needs the global order. A model that knows better than "always" may say so
        (a register read that depends only on this chip's own past)."""
        return self.shared

    def select_touches_shared(self, active: bool) -> bool:
        """The same for the edge of chip select: False where it executes nothing the air could notice."""
        return self.shared


class I2cChip(Chip):
    """On an I2C bus at the 7-bit `address`."""

    address = 0
    #: Told, as of a leg `sda`, when the MCU drives that pin by hand.
    sees_sda = False

    def sda_low(self, us: float) -> None:
        """In a transaction, anybody's, SDA was low for so long at most."""

    def write(self, data: bytes) -> bool:
        """A write transaction (or the write part before a repeated start); False is NACK. Empty: a probe."""
        return True

    def read(self, n: int) -> bytes:
        """A read transaction of n bytes."""
        return bytes(n)

    def stop(self) -> None:
        """STOP condition after a transaction."""


class UartChip(Chip):
    """On an MCU UART: the wiring's `uart` sets the attribute of this name, which says where `uart_send` goes."""

    uart = 1

    def configure(self, baud: int, bits: int, parity: int | None, stop: int) -> None:
        """The MCU set up its UART (parity: None, 0 even, 1 odd)."""

    def receive(self, data: bytes) -> None:
        """Bytes the MCU sent, called when the last of them has left the wire."""


class PinChip(Chip):
    """Directly on MCU pins: switches, lamps, pulse outputs, analogue sources.

    `pin_changed` tells of digital outputs. Analogue inputs ask `adc_uv`.
    """

    def pwm_changed(self, pin: str, freq_hz: int, duty_u16: int) -> None:
        """The PWM on the leg `pin` changed; duty 0..65535, 0 Hz is off."""

    def dac_changed(self, pin: str, level_u8: int) -> None:
        """The DAC on the leg `pin` gives level/255 of the supply."""

    def adc_uv(self, pin: str) -> int:
        """Voltage on the leg `pin` now, microvolt."""
        return 0


class ManualClock:
    """A virtual clock that somebody turns by hand; several `ManualPort`s may share one."""

    def __init__(self, start_us: int = 0) -> None:
        self.now_us = start_us
        self._queue: list[tuple[int, int, Handle]] = []
        self._count = itertools.count()

    def at(self, t_us: int, fn: Callable[[], None]) -> Handle:
        handle = Handle(max(t_us, self.now_us), fn)
        heapq.heappush(self._queue, (handle.t_us, next(self._count), handle))
        return handle

    def next_us(self) -> int | None:
        """Time of the next call, or None."""
        while self._queue and not self._queue[0][2].alive:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def run_until(self, t_us: int) -> None:
        """Make every call up to and including `t_us`, then stand at `t_us`."""
        while (first := self.next_us()) is not None and first <= t_us:
            handle = heapq.heappop(self._queue)[2]
            self.now_us = max(self.now_us, handle.t_us)
            handle.alive = False
            handle.fn()
        self.now_us = max(self.now_us, t_us)

    def advance(self, us: int) -> None:
        self.run_until(self.now_us + us)


class ManualPort:
    """A `Port` without a board: turn the clock yourself and look at what the chip did.

    `pins` holds the last level the chip drove per leg (names as it says them), `pin_log` every change as
    (time, leg, level), `uart_out` what it sent per UART, `events` what it emitted. `on_pin` is called with
    (leg, level) at each change, so that a driver's interrupt handler can be attached.
    """

    def __init__(self, seed: int = 0, clock: ManualClock | None = None) -> None:
        self.random = random.Random(seed)
        self.clock = clock or ManualClock()
        self.pins: dict[str | int, int] = {}
        self.pin_log: list[tuple[int, str | int, int]] = []
        self.uart_out: dict[int, bytearray] = {}
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        self.current_ua = 0
        self.violations: list[str] = []
        self.on_pin: Callable[[str | int, int], None] | None = None

    @property
    def now_us(self) -> int:
        return self.clock.now_us

    def at(self, t_us: int, fn: Callable[[], None], local: bool = False) -> Handle:
        return self.clock.at(t_us, fn)

    def cancel(self, handle: Handle | None) -> None:
        if handle is not None:
            handle.alive = False

    def set_pin(self, pin: str | int, level: int) -> None:
        level = 1 if level else 0
        if self.pins.get(pin) == level:
            return
        self.pins[pin] = level
        self.pin_log.append((self.now_us, pin, level))
        if self.on_pin is not None:
            self.on_pin(pin, level)

    def uart_send(self, uart_id: int, data: bytes) -> None:
        self.uart_out.setdefault(uart_id, bytearray()).extend(data)

    def emit(self, event: str, **fields: Any) -> None:
        self.events.append((self.now_us, event, fields))

    def draw(self, current_ua: int) -> None:
        self.current_ua = current_ua

    def violation(self, text: str) -> None:
        self.violations.append(text)

    def run_until(self, t_us: int) -> None:
        """Turn the (possibly shared) clock to `t_us`, making all calls due."""
        self.clock.run_until(t_us)

    def advance(self, us: int) -> None:
        self.clock.advance(us)
