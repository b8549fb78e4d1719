"""BL0942 single-phase energy meter with UART.  DS = Belling BL0942 data sheet V1.06 (its UART chapter).

Legs: UART (the MCU's `uart`). 4800 or 9600 baud 8N1, address 0..3. Answers the whole packet (58|a AA), single
registers (58|a reg) and checked writes (A8|a reg low mid high sum). Scales are those of a board with 1 mOhm
and the usual divider: 15873 per volt, 251213 per ampere, 596 per watt; one energy count is 1638.4 * 256 of
the power register times seconds. `volt_error`, `amp_error`, `watt_error` are the board's own (0.02 = 2 %).

Not modelled: SPI, wave samples, fast RMS (equals the RMS), creep, overcurrent and zero-crossing pins, the
temperature function, RMS noise, an update later than at once (400 ms on the part).
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import UartChip
from hw.virtual.chips.load import Load, Terminals

_PER_VOLT, _PER_AMP, _PER_WATT = 15873.0, 251213.0, 596.0
_COUNT = 1638.4 * 256
_READ, _WRITE, _PACKET = 0x58, 0xA8, 0xAA
_MODE, _RESET, _PROTECT = 0x19, 0x1C, 0x1D
_MODE_DEFAULT = 0x87
_CLEAR_AFTER_READ = 0x40
_ABSOLUTE = 0x80
_M24 = 0xFFFFFF


class BL0942(UartChip):
    """load: see `load.py`. `faults`: functions bytes -> bytes, each next answer takes one and sends what it
    gives. `count0` is what the energy counter holds at power-on (to see it wrap; the part has 0)."""

    def __init__(
        self,
        uart: int = 1,
        load: Load = (230.0, 0.5, 1.0),
        *,
        address: int = 0,
        baud: int = 4800,
        line_hz: float = 50.0,
        volt_error: float = 0.0,
        amp_error: float = 0.0,
        watt_error: float = 0.0,
        count0: int = 0,
        step_us: int = 1_000_000,
    ) -> None:
        super().__init__()
        if not 0 <= address <= 3 or baud not in (4800, 9600):
            raise ValueError("address 0..3, 4800 or 9600 baud")
        self.uart = uart
        self.address = address
        self.baud = baud
        self.line_hz = line_hz
        self.volt_error, self.amp_error, self.watt_error = volt_error, amp_error, watt_error
        self.count0 = count0
        self.terminals = Terminals(load, step_us)
        self.faults: list[Callable[[bytes], bytes]] = []
        self.answers = 0
        self._rx = bytearray()
        self._rx_us = 0

    def range(self, quantity: str = "watts") -> tuple[float, float, float]:
        """Lowest, highest, resolution (of the register): W, or V, A."""
        return {
            "watts": (0.0, 2000.0, 1 / _PER_WATT),
            "volts": (80.0, 264.0, 1 / _PER_VOLT),
            "amps": (0.0, 10.0, 1 / _PER_AMP),
        }[quantity]

    def set_physical(self, value: float, quantity: str = "watts") -> None:
        self.terminals.set(value, quantity)

    def reset(self) -> None:
        self.terminals.power_on(self.port)
        self._rx.clear()
        self._mode = _MODE_DEFAULT
        self._unlocked = False
        self._cleared = -float(self.count0)

    def configure(self, baud: int, bits: int, parity: int | None, stop: int) -> None:
        if (baud, bits, parity) != (self.baud, 8, None):
            self.violate(f"UART at {baud} {bits} {parity} {stop}, the part talks {self.baud} 8N1 (DS, UART)")

    # Registers

    @property
    def count(self) -> int:
        """The 24-bit energy counter."""
        return int(self._energy_counts() - self._cleared) & _M24

    def _energy_counts(self) -> float:
        self.terminals.touch()
        if self._mode & _ABSOLUTE:
            joules = self.terminals.joules
        else:
            joules = 2 * self.terminals.imported_j - self.terminals.joules
        # A hair more than nothing: a whole count is one although 0.1 W * 10 s is 0.999.. in floats.
        return joules * _PER_WATT * (1 + self.watt_error) / _COUNT + 1e-9

    def _register(self, number: int) -> int:
        p = self.terminals.touch()
        amps = round(abs(p.amps) * _PER_AMP * (1 + self.amp_error))
        if number in (3, 5):
            value = amps
        elif number == 4:
            value = round(p.volts * _PER_VOLT * (1 + self.volt_error))
        elif number == 6:
            value = round(p.watts * _PER_WATT * (1 + self.watt_error))
            return max(-(1 << 23), min((1 << 23) - 1, value)) & _M24
        elif number == 7:
            value = self.count
            if self._mode & _CLEAR_AFTER_READ:
                self._cleared = self._energy_counts()
        elif number == 8:
            value = min(0xFFFF, round(1e6 / self.line_hz)) if self.line_hz else 0
        elif number == _MODE:
            value = self._mode
        else:
            value = 0
        return max(0, min(_M24, value))

    def _write(self, number: int, value: int) -> None:
        if number == _PROTECT:
            self._unlocked = value == 0x55
        elif not self._unlocked:
            self.violate(f"register 0x{number:02x} written while protected (DS, USR_WRPROT)")
        elif number == _RESET:
            if value == 0x5A5A5A:
                self.reset()
        elif number == _MODE:
            self._mode = value & 0x3FF

    # Wire

    def receive(self, data: bytes) -> None:
        now = self.port.now_us
        # A pause of 20 ms between bytes resets the interface (DS, UART time-out).
        if now - self._rx_us > 20_000 + len(data) * 10_000_000 // self.baud:
            self._rx.clear()
        self._rx_us = now
        self._rx += data
        while self._rx:
            head = self._rx[0]
            if head == _READ | self.address:
                if len(self._rx) < 2:
                    return
                number = self._rx[1]
                del self._rx[:2]
                self._answer(head, number)
            elif head == _WRITE | self.address:
                if len(self._rx) < 6:
                    return
                frame = bytes(self._rx[:6])
                del self._rx[:6]
                if (sum(frame[:5]) & 0xFF) ^ 0xFF == frame[5]:
                    self._write(frame[1], int.from_bytes(frame[2:5], "little"))
                else:
                    self.violate("write with a wrong checksum (DS, UART)")
            else:
                del self._rx[0]  # for another part on the line

    def _answer(self, head: int, number: int) -> None:
        if number == _PACKET:
            body = b"\x55" + b"".join(self._register(r).to_bytes(3, "little") for r in (3, 4, 5, 6, 7))
            body += self._register(8).to_bytes(2, "little") + bytes(4)
            total = head + sum(body)
        else:
            body = self._register(number).to_bytes(3, "little")
            total = head + number + sum(body)
        frame = body + bytes([total & 0xFF ^ 0xFF])
        if self.faults:
            frame = self.faults.pop(0)(frame)
        self.answers += 1
        at = self.port.now_us + len(frame) * 10_000_000 // self.baud
        self.port.at(at, lambda: self.port.uart_send(self.uart, frame))
