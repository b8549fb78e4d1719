"""BL0942 single-phase energy meter with UART.  DS = Belling BL0942 data sheet V1.06 (its UART chapter).

Legs: UART (the MCU's `uart`). 8N1 at 4800 or 9600 baud, 19200 or 38400 when MODE says so; address 0..3. Answers
the whole packet (58|a AA), single registers (58|a reg) and checked writes (A8|a reg low mid high sum). Scales are
those of a board with 1 mOhm and the usual divider: 15873 per volt, 251213 per ampere, 596 per watt; one energy
count is 1638.4 * 256 of the power register times seconds. `volt_error`, `amp_error`, `watt_error` are the board's
own (0.02 = 2 %). A soft reset gives the registers that can be written their defaults and the counter 0; the write
protection and what is on the line behind it stay, as drivers rely on that unlock, reset and set the mode.

Not modelled: SPI, wave samples, fast RMS (equals the RMS), the effect of registers 12..18 and 1A (they keep what
is written), creep, overcurrent and zero-crossing pins, RMS noise, the 400 ms until a change shows.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.framing import Frame, FramedUart
from hw.virtual.chips.load import Load, Terminals

_PER_VOLT, _PER_AMP, _PER_WATT = 15873.0, 251213.0, 596.0
_COUNT = 1638.4 * 256
_READ, _WRITE, _PACKET = 0x58, 0xA8, 0xAA
_MODE, _RESET, _PROTECT = 0x19, 0x1C, 0x1D
#: Registers that can be written and what they hold after a reset (DS, register list).
_DEFAULTS = {0x12: 0, 0x14: 0x0B, 0x15: 0xFFFF, 0x16: 1, 0x17: 3, 0x18: 0x24, _MODE: 0x87, 0x1A: 2}
_RATES = {2: 19200, 3: 38400}
_CLEAR_AFTER_READ = 0x40
_ABSOLUTE = 0x80
_M24 = 0xFFFFFF


class BL0942(FramedUart):
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
        self._free_us = 0

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
        self._written = dict(_DEFAULTS)
        self._unlocked = False
        self._cleared = -float(self.count0)
        self._free_us = 0

    def _soft_reset(self) -> None:
        self._written = dict(_DEFAULTS)
        self._cleared = self._energy_counts()

    @property
    def frame_format(self) -> Frame:
        return _RATES.get(self._mode >> 8 & 3, self.baud), 8, None

    @property
    def _mode(self) -> int:
        return self._written[_MODE]

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
        elif number == _PROTECT:
            value = 0x55 if self._unlocked else 0
        else:
            value = self._written.get(number, 0)
        return max(0, min(_M24, value))

    def _write(self, number: int, value: int) -> None:
        if number == _PROTECT:
            self._unlocked = value == 0x55
        elif not self._unlocked:
            self.violate(f"register 0x{number:02x} written while protected (DS, USR_WRPROT)")
        elif number == _RESET:
            if value == 0x5A5A5A:
                self._soft_reset()
        elif number in self._written:
            self._written[number] = value & (0x3FF if number == _MODE else _M24)

    # Wire

    def heard(self, data: bytes) -> None:
        now = self.port.now_us
        # A pause of 20 ms between bytes resets the interface (DS, UART time-out).
        if now - self._rx_us > 20_000 + len(data) * self.char_us:
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
        # One after the other, however fast it is asked.
        self._free_us = max(self._free_us, self.port.now_us) + round(len(frame) * self.char_us)
        self.port.at(self._free_us, lambda: self.say(frame))
