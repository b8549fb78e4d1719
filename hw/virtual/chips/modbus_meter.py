"""Three-phase energy meter, Modbus RTU slave on RS-485.  DS = Modbus over Serial Line V1.02 (MSL), Modbus
Application Protocol V1.1b3 (MAP), and the register maps of two meters: Eastron SDM630-Modbus V2 (float32,
input registers) and Carlo Gavazzi EM340 (int32, low word first, functions 3 and 4 alike).

Legs: UART (the MCU's `uart`); `de` when the transceiver has a direction pin (`direction`: 1 drives the line,
0 listens). Silence of 3.5 characters ends a request; a wrong CRC or another address is met with silence.

Not modelled: writing, the other maps' registers than those below (they read 0), unequal phase angles, noise,
line polarity, bias and termination, echo, other units on the line. Assumed: 20 ms to think; the import total
in whole Wh (SDM630, then as float32 kWh) or 0.1 kWh (EM340), the sum of what each phase draws.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from hw.virtual.chips.base import Handle, UartChip
from hw.virtual.chips.load import Load, Terminals

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
#: Layout: functions, last register, most registers per request.
_LAYOUTS = {"sdm630": ((4,), 381, 80), "em340": ((3, 4), 0x0FFF, 50)}
_BITS = {None: 10, 0: 11, 1: 11}


def _crc(data: bytes) -> bytes:
    """MSL 6.2.2, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            low = crc & 1
            crc >>= 1
            if low:
                crc ^= 0xA001
    return crc.to_bytes(2, "little")


class ModbusMeter(UartChip):
    """loads: one per phase (`load.py`). `faults`: functions bytes -> bytes, each next answer takes one (b"" is
    no answer); `exceptions`: codes that the next requests are refused with."""

    def __init__(
        self,
        uart: int = 2,
        loads: Sequence[Load] = ((230.0, 1.0, 1.0),) * 3,
        *,
        layout: str = "sdm630",
        unit: int = 1,
        baud: int = 9600,
        parity: int | None = None,
        direction: bool = False,
        line_hz: float = 50.0,
        import_wh: float = 0.0,
        think_us: int = 20_000,
        step_us: int = 1_000_000,
    ) -> None:
        super().__init__()
        if layout not in _LAYOUTS or len(loads) != 3:
            raise ValueError(f"layout one of {', '.join(_LAYOUTS)}, three loads")
        self.uart = uart
        self.layout = layout
        self.unit = unit
        self.baud = baud
        self.parity = parity
        self.direction = direction
        self.line_hz = line_hz
        self.import_wh = import_wh
        self.think_us = think_us
        self.phases = [Terminals(load, step_us) for load in loads]
        self.faults: list[Callable[[bytes], bytes]] = []
        self.exceptions: list[int] = []
        self.requests: list[bytes] = []
        self._char_us = _BITS[parity] * 1e6 / baud
        # MSL 2.5.1.1: fixed above 19200 baud.
        self._t15 = 750.0 if baud > 19200 else 1.5 * self._char_us
        self._t35 = 1750.0 if baud > 19200 else 3.5 * self._char_us
        self._de = 0
        self._rx = bytearray()
        self._quiet_us = 0.0
        self._end: Handle | None = None
        self._answer: Handle | None = None

    def range(self, quantity: str = "watts") -> tuple[float, float, float]:
        """Lowest, highest, resolution of one phase: W (signed), or V, A."""
        fine = self.layout == "sdm630"
        return {
            "watts": (-20_000.0, 20_000.0, 0.002 if fine else 0.1),
            "volts": (100.0, 289.0, 0.0001 if fine else 0.1),
            "amps": (0.0, 100.0, 0.0001 if fine else 0.001),
        }[quantity]

    def set_physical(self, value: float, quantity: str = "watts", phase: int = 0) -> None:
        if quantity == "watts":
            p = self.phases[phase].touch()
            self.phases[phase].set(-1.0 if value < 0 else 1.0, "pf")
            self.phases[phase].set(abs(value) / p.volts, "amps")
        else:
            self.phases[phase].set(value, quantity)

    def reset(self) -> None:
        for handle in (self._end, self._answer):
            self.port.cancel(handle)
        self._answer = None
        self._rx.clear()
        self._quiet_us = self.port.now_us - self._t35
        for phase in self.phases:
            phase.power_on(self.port)

    def configure(self, baud: int, bits: int, parity: int | None, stop: int) -> None:
        if (baud, bits, parity) != (self.baud, 8, self.parity):
            self.violate(
                f"UART at {baud} {bits} {parity} {stop}, the meter is set to {self.baud} 8 {self.parity}"
            )

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "de":
            self._de = level

    # Registers

    def _values(self) -> dict[int, tuple[str, float]]:
        """Register: (form, value in the map's unit)."""
        points = [phase.touch() for phase in self.phases]
        watts = sum(p.watts for p in points)
        wh = self.import_wh + sum(t.imported_j for t in self.phases) / 3600 + 1e-9
        out: dict[int, tuple[str, float]] = {}
        if self.layout == "sdm630":
            for i, p in enumerate(points):
                out[2 * i] = "f", p.volts
                out[6 + 2 * i] = "f", abs(p.amps)
                out[12 + 2 * i] = "f", p.watts
                out[18 + 2 * i] = "f", p.volts * abs(p.amps)
            out[42] = "f", sum(p.volts for p in points) / 3
            out[48] = "f", sum(abs(p.amps) for p in points)
            out[52] = "f", watts
            out[70] = "f", self.line_hz
            out[72] = "f", int(wh) / 1000
            return out
        for i, p in enumerate(points):
            out[2 * i] = "l", p.volts * 10
            out[12 + 2 * i] = "l", abs(p.amps) * 1000
            out[18 + 2 * i] = "l", p.watts * 10
        out[40] = "l", watts * 10
        out[51] = "h", self.line_hz * 10
        out[52] = "l", int(wh / 100)
        return out

    def _words(self) -> dict[int, bytes]:
        words: dict[int, bytes] = {}
        for register, (form, value) in self._values().items():
            if form == "f":
                raw = struct.pack(">f", value)
                words[register], words[register + 1] = raw[:2], raw[2:]
            elif form == "l":
                raw = struct.pack(">i", round(value))
                words[register], words[register + 1] = raw[2:], raw[:2]
            else:
                words[register] = struct.pack(">h", round(value))
        return words

    # Wire

    def receive(self, data: bytes) -> None:
        now = self.port.now_us
        begin = now - len(data) * self._char_us
        if self.direction and not self._de:
            self.violate("DE is low before the last bit has left: the request is cut short")
            return
        if self._answer is not None:
            self.violate("the master speaks before the meter has answered (MSL 2.4.1)")
            return
        gap = begin - self._quiet_us
        # A microsecond for rounding of the times themselves.
        if self._rx and gap > self._t15 + 1:
            self.violate("a pause of more than 1.5 characters within a frame (MSL 2.5.1.1)")
        elif not self._rx and gap < self._t35 - 1:
            self.violate(f"{gap:.0f} us of silence before a frame, wants {self._t35:.0f} (MSL 2.5.1.1)")
        self._rx += data
        self._quiet_us = now
        self.port.cancel(self._end)
        self._end = self.port.at(round(now + self._t35), self._frame)

    def _frame(self) -> None:
        frame = bytes(self._rx)
        self._rx.clear()
        self.requests.append(frame)
        if len(frame) < 4 or _crc(frame[:-2]) != frame[-2:] or frame[0] != self.unit:
            return
        body = self._reply(frame[1:-2])
        answer = bytes([self.unit]) + body
        answer += _crc(answer)
        if self.faults:
            answer = self.faults.pop(0)(answer)
        if answer:
            at = self.port.now_us + self.think_us
            self._answer = self.port.at(at, lambda: self._drive(answer))

    def _reply(self, pdu: bytes) -> bytes:
        functions, last, most = _LAYOUTS[self.layout]
        function = pdu[0]

        def refuse(code: int) -> bytes:
            return bytes([function | 0x80, code])

        if self.exceptions:
            return refuse(self.exceptions.pop(0))
        if function not in functions:
            return refuse(ILLEGAL_FUNCTION)
        if len(pdu) != 5:
            return refuse(ILLEGAL_VALUE)
        first, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= most:
            return refuse(ILLEGAL_VALUE)
        if first + count - 1 > last:
            return refuse(ILLEGAL_ADDRESS)
        words = self._words()
        data = b"".join(words.get(r, b"\0\0") for r in range(first, first + count))
        return bytes([function, len(data)]) + data

    def _drive(self, answer: bytes) -> None:
        if self.direction and self._de:
            self.violate("DE is still high when the meter answers: two drivers on the line")
        end = self.port.now_us + round(len(answer) * self._char_us)
        self._answer = self.port.at(end, lambda: self._sent(answer))

    def _sent(self, answer: bytes) -> None:
        self._answer = None
        self._quiet_us = self.port.now_us
        self.port.uart_send(self.uart, answer)
