"""What a board's pins, buses, UARTs and console are connected to, and what happens on them."""

from __future__ import annotations

import enum
import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .chips.base import Chip, Handle, I2cChip, PinChip, SpiChip, UartChip

if TYPE_CHECKING:
    from .board import Board
    from .world import World

NEVER = 1 << 62
IRQ_QUEUE = 8  # MicroPython's schedule queue on ESP32
CONSOLE_BYTES = 259  # measured on stock 1.25: what waits beyond is lost

#: Pins that exist, and those that can drive, per chip.
MCU_PINS = {
    "esp32": (0xFF_0EEF_F03F, 0x03_0EEF_F03F),
    "esp32s3": (0x1_FFFF_FC3F_FFFF, 0x1_FFFF_FC3F_FFFF),
}

Event = tuple[int, int, Handle]


class State(enum.Enum):
    """What the scheduler may expect of a board."""

    OFF = "off"
    RUNNING = "running"  # the interpreter computes; it can act from `bound` on
    ASKED = "asked"  # a message waits for its turn in the global order
    WAITING = "waiting"  # until `until`, or earlier if something happens
    SLEEPING = "sleeping"  # deep sleep: there is no process
    REPL = "repl"  # main.py has been left: stock MicroPython would sit at its prompt


class BoardPort:
    """The board as one chip sees it (chips.base.Port)."""

    def __init__(self, board: Lines, chip: Chip, legs: Mapping[str, int]) -> None:
        self.board = board
        self.chip = chip
        self.legs = dict(legs)
        self.random = random.Random(f"{board.world.seed}/{board.name}/{chip.name}")
        self.current_ua = 0

    @property
    def now_us(self) -> int:
        return self.board.world.now_us

    def at(self, t_us: int, fn: Callable[[], None], local: bool = False) -> Handle:
        handle = Handle(max(t_us, self.now_us), fn)
        shared = self.chip.shared and not local
        queue = self.board.shared_queue if shared else self.board.local_queue
        heapq.heappush(queue, (handle.t_us, next(self.board.counter), handle))
        self.board.me.moves()
        return handle

    def cancel(self, handle: Handle | None) -> None:
        if handle is not None:
            handle.alive = False
            self.board.me.moves()

    def set_pin(self, pin: str | int, level: int) -> None:
        number = self.legs.get(pin) if isinstance(pin, str) else pin
        if number is not None:
            self.board.drive(number, level)

    def uart_send(self, uart_id: int, data: bytes) -> None:
        # The wiring says where a part is, whatever it was made with.
        wired = getattr(self.chip, "uart", uart_id) if isinstance(self.chip, UartChip) else uart_id
        for number in self.board.uarts_of(wired):
            self.board.uart_receive(number, data)

    def emit(self, event: str, **fields: Any) -> None:
        self.board.emitted(self.chip, event, fields)

    def draw(self, current_ua: int) -> None:
        self.board.account()
        self.current_ua = current_ua

    def violation(self, text: str) -> None:
        self.board.world.violated(self.board.me, text)


class Uart:
    """One UART of the MCU. pins: its TX and RX, None where the program did not say."""

    def __init__(self) -> None:
        self.baud = 115200
        self.pins: tuple[int | None, int | None] = (None, None)
        self.rx = bytearray()
        self.size = 256
        self.lost = 0
        self.busy_until = 0  # g


class Lines:
    """The electrical side of a board. Levels are 0 or 1, pins MCU numbers."""

    def __init__(
        self,
        world: World,
        name: str,
        chips: Mapping[str, Chip],
        wiring: Mapping[str, Mapping[str, int]],
        mcu: str,
        float_levels: Mapping[int, int],
    ) -> None:
        self.world = world
        self.name = name
        self.chips = dict(chips)
        self.mcu = mcu
        self.counter = itertools.count()
        self.local_queue: list[Event] = []
        self.shared_queue: list[Event] = []
        self.state = State.OFF
        self.mode = 0  # of the wait, see ipc
        self.wake_reason = 0
        self.levels_in: dict[int, int] = {}  # driven from outside
        self.pulls: dict[int, int] = {}  # 1 down, 2 up
        self.levels_out: dict[int, int] = {}  # driven by the MCU
        self.open_drain: set[int] = set()  # of those: 1 lets go, and something pulls up
        self.holds: set[int] = set()
        self.triggers: dict[int, int] = {}
        self.irqs = bytearray()
        self.irqs_lost = 0
        self.float_levels = dict(float_levels)
        self.pwm: dict[int, tuple[int, int]] = {}
        self.waves: dict[int, list[Handle]] = {}
        self.uarts: dict[int, Uart] = {}
        self.wake_pins = [0, 0]
        self.wake_any = [0, 0]
        self.deep_hold = False
        self.console_in = bytearray()
        self.console_lost = 0
        self.kbd = True
        self.ctrl_c = False
        self.console: list[str] = []
        self.console_taps: list[Callable[[bytes], None]] = []
        self._line = b""
        self._printed_bytes = 0
        self._cuts: dict[str, int] = {}
        self._wire(wiring)

    def account(self) -> None:
        """Bring the charge account up to now."""
        raise NotImplementedError

    @property
    def me(self) -> Board:
        """The board these lines belong to."""
        raise NotImplementedError

    # wiring

    def _wire(self, wiring: Mapping[str, Mapping[str, int]]) -> None:
        self.spi: list[tuple[int, int, SpiChip]] = []  # (bus, cs pin, chip)
        self.i2c: list[tuple[int, I2cChip]] = []
        #: By the wiring's numbers: (SCL, SDA) and the MCU's (TX, RX). They count where the program names pins too.
        self.i2c_pins: dict[int, tuple[int, int]] = {}
        self.uart_pins: dict[int, tuple[int, int]] = {}
        #: Wiring's numbers of buses on which something holds a line low: ETIMEDOUT.
        self.stuck_i2c: set[int] = set()
        self.uart_chips: dict[int, list[UartChip]] = {}
        self.out_legs: dict[int, list[tuple[Chip, str]]] = {}
        self.adc_legs: dict[int, tuple[PinChip, str]] = {}
        self.ports: dict[str, BoardPort] = {}
        self.selected: set[int] = set()
        self.shared_chips = [c for c in self.chips.values() if c.shared]
        for part in wiring:
            if part not in self.chips:
                raise ValueError(f"board {self.name}: wiring of {part!r}, which is no chip of the board")
        for part, chip in self.chips.items():
            legs = dict(wiring.get(part, {}))
            bus = legs.pop("spi", None)
            i2c = legs.pop("i2c", None)
            uart = legs.pop("uart", None)
            if isinstance(chip, SpiChip):
                if "cs" not in legs:
                    raise ValueError(f"board {self.name}: {part} has no cs in its wiring")
                self.spi.append((255 if bus is None else bus, legs["cs"], chip))
            if isinstance(chip, I2cChip):
                if i2c is None:
                    raise ValueError(f"board {self.name}: {part} is on no i2c bus")
                self.i2c.append((i2c, chip))
                if "scl" in legs and "sda" in legs:
                    self._bus_pins(self.i2c_pins, i2c, legs.pop("scl"), legs["sda"])
                if not chip.sees_sda:
                    legs.pop("sda", None)
            if isinstance(chip, UartChip):
                if uart is None:
                    raise ValueError(f"board {self.name}: {part} is on no uart")
                self.uart_chips.setdefault(uart, []).append(chip)
                chip.uart = uart
                if "uart_tx" in legs and "uart_rx" in legs:
                    self._bus_pins(self.uart_pins, uart, legs.pop("uart_tx"), legs.pop("uart_rx"))
            for leg, number in legs.items():
                if not MCU_PINS[self.mcu][0] >> number & 1:
                    raise ValueError(f"board {self.name}: {part}.{leg} is wired to pin {number}: no such pin")
                self.out_legs.setdefault(number, []).append((chip, leg))
                if isinstance(chip, PinChip):
                    self.adc_legs[number] = (chip, leg)
                if leg in ("cs", "reset"):
                    # Both have pull-ups in every part we know: a floating line is inactive.
                    self.float_levels.setdefault(number, 1)
            chip.name = part
            self.ports[part] = BoardPort(self, chip, legs)

    def _bus_pins(self, known: dict[int, tuple[int, int]], number: int, a: int, b: int) -> None:
        if known.setdefault(number, (a, b)) != (a, b):
            raise ValueError(f"board {self.name}: bus {number} on pins {known[number]} and {(a, b)}")

    def attach(self) -> None:
        """Solder the chips: called once by the world when the board gets power for the first time."""
        for part, chip in self.chips.items():
            chip.attach(self.ports[part])
        self._float_pins(everything=True)

    def _float_pins(self, everything: bool) -> None:
        """The MCU lets go of its pins (reset, deep sleep, no power), except those that are held."""
        for wave in self.waves.values():
            for handle in wave:
                handle.alive = False
        self.waves.clear()
        for pin in list(self.out_legs) if everything else list(self.levels_out):
            if pin in self.holds and not everything:
                continue
            level = self.float_levels.get(pin, 0)
            was = self.levels_out.pop(pin, level)
            if pin not in self.float_levels:
                self._let_go(pin)
            elif everything or was != level:
                self._tell(pin, level)
        for pin in list(self.pwm):
            del self.pwm[pin]
            self._tell_pwm(pin, 0, 0)
        self.open_drain &= self.holds
        self.triggers.clear()
        self.pulls.clear()
        self.irqs.clear()
        for uart in self.uarts.values():
            uart.rx.clear()

    # pins and interrupts

    def pins(self) -> int:
        mask = 0
        for pin, pull in self.pulls.items():
            if pull & 2 and pin not in self.levels_in:
                mask |= 1 << pin
        for pin, level in self.levels_in.items():
            if level:
                mask |= 1 << pin
        for pin in self.open_drain:
            if self.levels_out.get(pin) and self.levels_in.get(pin, 1):
                mask |= 1 << pin
            else:
                mask &= ~(1 << pin)
        return mask

    def level(self, pin: int) -> int:
        """The level on a pin now, whoever drives it."""
        if pin in self.levels_out and pin not in self.open_drain:
            return self.levels_out[pin]
        return self.pins() >> pin & 1

    def drive(self, pin: int, level: int) -> None:
        """Something outside drives an input of the MCU now."""
        level = 1 if level else 0
        old = self.pins() >> pin & 1
        self.levels_in[pin] = level
        if level == old or (level and self.pins() >> pin & 1 == old):
            return
        if self.triggers.get(pin, 0) & (1 if level else 2):
            if len(self.irqs) < IRQ_QUEUE:
                self.irqs.append(pin)
            else:
                self.irqs_lost += 1
            if self.state is State.WAITING and self.mode in (1, 2):
                self.world.wake(self.me)
        if self.state in (State.WAITING, State.SLEEPING):
            if self.mode == 3:
                self.check_wake()
            elif self.mode == 16 + pin:
                self.world.wake(self.me)

    def output(self, pin: int, level: int) -> None:
        """The MCU drives a pin."""
        if pin in self.holds:
            return
        was = self.levels_out.get(pin, self.float_levels.get(pin, 0))
        self.levels_out[pin] = level
        if was != level:
            self._tell(pin, level)

    def wave(self, pin: int, durations_us: list[int], level: int, idle: int) -> None:
        """The MCU's pulse generator drives a pin: from now on `level`, the other one after each duration,
        `idle` after the last."""
        t = self.world.now_us
        levels = [level ^ (i & 1) for i in range(len(durations_us))]
        handles = self.waves[pin] = []
        for us, each in zip([0, *durations_us], [*levels, idle], strict=True):
            t += us
            handle = Handle(t, lambda each=each: self.output(pin, each))  # type: ignore[misc]
            heapq.heappush(self.local_queue, (t, next(self.counter), handle))
            handles.append(handle)
        self.me.moves()

    def release(self, pin: int) -> None:
        """The MCU lets go of one pin."""
        was = self.levels_out.pop(pin)
        if pin not in self.float_levels:
            self._let_go(pin)
        elif was != self.float_levels[pin]:
            self._tell(pin, 1 - was)

    def set_pwm(self, pin: int, freq: int, duty: int) -> None:
        if self.pwm.get(pin, (0, 0)) == (freq, duty):
            return
        if freq:
            self.pwm[pin] = (freq, duty)
        else:
            self.pwm.pop(pin, None)
        self._tell_pwm(pin, freq, duty)

    def set_dac(self, pin: int, level: int) -> None:
        for chip, leg in self.out_legs.get(pin, ()):
            if isinstance(chip, PinChip):
                chip.dac_changed(leg, level)
        self.world.log(self.me, "dac", (pin, level))

    def check_wake(self) -> None:
        """Light and deep sleep end by a configured wake pin."""
        levels = self.pins()
        for which, reason in ((0, 2), (1, 3)):
            mask = self.wake_pins[which]
            high = levels & mask
            if mask and (high if self.wake_any[which] == 1 else not high):
                self.wake_reason = reason
                self.world.wake(self.me)
                return

    def _tell(self, pin: int, level: int) -> None:
        for chip, leg in self.out_legs.get(pin, ()):
            if leg == "cs" and isinstance(chip, SpiChip):
                chip.select(not level)
            else:
                chip.pin_changed(leg, level)
        if level:
            self.selected.discard(pin)
        else:
            self.selected.add(pin)
        self.world.log(self.me, "pin", (pin, level))

    def _let_go(self, pin: int) -> None:
        for chip, leg in self.out_legs.get(pin, ()):
            chip.floating(leg)
        self.world.log(self.me, "pin", (pin, None))

    def _tell_pwm(self, pin: int, freq: int, duty: int) -> None:
        for chip, leg in self.out_legs.get(pin, ()):
            if isinstance(chip, PinChip):
                chip.pwm_changed(leg, freq, duty)
        self.world.log(self.me, "pwm", (pin, freq, duty))

    def emitted(self, chip: Chip, event: str, fields: dict[str, Any]) -> None:
        self.world.log(self.me, event, {"chip": chip.name, **fields})
        left = self._cuts.get(event)
        if left is not None:
            self._cuts[event] = left - 1
            if left <= 0:
                del self._cuts[event]
                self.world.cut_soon(self.me)

    def cut_on(self, event: str, skip: int = 0) -> None:
        """Cut the power at the (skip + 1)-th coming event that a chip emits under this name."""
        self._cuts[event] = skip

    # buses

    def i2c_bus(self, number: int, scl: int, sda: int) -> int | None:
        """The wiring's number of the bus that the MCU drives with its I2C `number` (3: in software) on these pins
        (63: the program did not say), None where there is nothing.

        The pins decide. A bus whose pins the wiring does not name is where the program first looks for it: under
        its number, or, if it is the only one, under any.
        """
        wired = {n for n, _ in self.i2c}
        if number == 3:
            number = 128 | scl
        if scl == 63 or sda == 63:
            return number if number in wired else None
        for known, pins in self.i2c_pins.items():
            if pins == (scl, sda):
                return known
        free = wired - set(self.i2c_pins)
        if number not in free and len(free) != 1:
            return None
        found = number if number in free else free.pop()
        self.i2c_pins[found] = (scl, sda)
        return found

    def _joined(self, wired: int, number: int, side: int) -> bool:
        """Whether TX (side 0) or RX (1) of the MCU's UART is what the wiring calls UART `wired`."""
        pin = self.uart(number).pins[side]
        if pin is None or wired not in self.uart_pins:
            return wired == number
        return self.uart_pins[wired][side] == pin

    def uarts_of(self, wired: int) -> list[int]:
        """UARTs of the MCU that hear what a part on the wiring's UART `wired` says."""
        if wired not in self.uart_pins:
            return [wired]
        return [n for n in sorted({*self.uarts, wired}) if self._joined(wired, n, 1)]

    def uart_hears(self, number: int) -> list[UartChip]:
        """The parts that hear the MCU's UART `number`."""
        return [
            c for wired, chips in self.uart_chips.items() if self._joined(wired, number, 0) for c in chips
        ]

    # UART and console

    def uart(self, number: int) -> Uart:
        return self.uarts.setdefault(number, Uart())

    def uart_receive(self, number: int, data: bytes) -> None:
        uart = self.uart(number)
        room = max(0, uart.size - len(uart.rx))
        uart.lost += max(0, len(data) - room)
        uart.rx += data[:room]
        if room and self.state is State.WAITING and self.mode == 2:
            self.world.wake(self.me)

    def console_write(self, data: bytes) -> None:
        """Bytes that arrive now on the board's console; Ctrl-C interrupts unless the firmware turned it
        off."""
        for byte in data:
            if byte == 3 and self.kbd:
                self.ctrl_c = True
                self.console_in.clear()
            elif len(self.console_in) < CONSOLE_BYTES:
                self.console_in.append(byte)
            else:
                self.console_lost += 1
        if self.state is State.WAITING and (self.mode == 2 or (self.ctrl_c and self.mode)):
            self.world.wake(self.me)

    def printed(self, data: bytes) -> None:
        """The board wrote to its console."""
        if not data:
            return
        self._printed_bytes += len(data)
        for tap in self.console_taps:
            tap(data)
        self._line += data
        *lines, self._line = self._line.split(b"\n")
        for raw in lines:
            text = raw.rstrip(b"\r").decode("utf-8", "replace")
            self.console.append(text)
            self.world.log(self.me, "console", text)
