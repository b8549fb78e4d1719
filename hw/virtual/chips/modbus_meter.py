"""Three-phase energy meter, Modbus RTU slave on RS-485.  DS = Modbus over Serial Line V1.02 (MSL), Modbus
Application Protocol V1.1b3 (MAP), and the register maps of two meters (modbus_maps): Eastron SDM630-Modbus V2 and
Carlo Gavazzi EM340.

Legs: UART (the MCU's `uart`); `de` when the transceiver has a direction pin (`direction`: 1 drives the line,
0 listens). Silence of 3.5 characters ends a request; a wrong CRC, another address, and a request that begins
sooner than 3.5 characters after what was on the line before are met with silence.

Not modelled: writing, unequal phase angles, noise, line polarity, bias and termination, echo, other units on the
line. Assumed: 20 ms to think; energies in whole Wh (SDM630, then as float32 kWh) or 0.1 kWh (EM340), the sum of
what each phase draws or feeds back; a demand period of 60 min (SDM630) or 15 (EM340), from power-on on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from hw.virtual.chips.base import Handle
from hw.virtual.chips.framing import Frame, FramedUart
from hw.virtual.chips.load import Load
from hw.virtual.chips.modbus_maps import IDENTITY, LAYOUTS, Phase, State, Values, sdm630_settings

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3


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


class ModbusMeter(FramedUart):
    """loads: one per phase (`load.py`). `faults`: functions bytes -> bytes, each next answer takes one (b"" is
    no answer); `exceptions`: codes that the next requests are refused with. `requests` were whole, `lost` came too
    soon. import_wh, export_wh: what the counters held before."""

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
        export_wh: float = 0.0,
        serial: int = 12_345_678,
        think_us: int = 20_000,
        step_us: int = 1_000_000,
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS or len(loads) != 3:
            raise ValueError(f"layout one of {', '.join(LAYOUTS)}, three loads")
        self.uart = uart
        self.layout = layout
        self.unit = unit
        self.baud = baud
        self.parity = parity
        self.direction = direction
        self.line_hz = line_hz
        self.import_wh = import_wh
        self.export_wh = export_wh
        self.serial = serial
        self.think_us = think_us
        self.phases = [Phase(load, step_us) for load in loads]
        self.faults: list[Callable[[bytes], bytes]] = []
        self.exceptions: list[int] = []
        self.requests: list[bytes] = []
        self.lost = 0
        # MSL 2.5.1.1: fixed above 19200 baud.
        self._t15 = 750.0 if baud > 19200 else 1.5 * self.char_us
        self._t35 = 1750.0 if baud > 19200 else 3.5 * self.char_us
        self._de = 0
        self._soon = False
        self._rx = bytearray()
        self._quiet_us = 0.0
        self._end: Handle | None = None
        self._answer: Handle | None = None
        self._period: Handle | None = None
        self._sums: dict[str, float] = {}
        self._demand: dict[str, float] = {}
        self._highest: dict[str, float] = {}

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
        for handle in (self._end, self._answer, self._period):
            self.port.cancel(handle)
        self._answer = None
        self._rx.clear()
        self._soon = False
        self._quiet_us = self.port.now_us - self._t35
        for phase in self.phases:
            phase.power_on(self.port)
        self._sums = self._sums_now()
        self._demand = dict.fromkeys(self._sums, 0.0)
        self._highest = dict(self._demand)
        self._plan()

    @property
    def frame_format(self) -> Frame:
        return self.baud, 8, self.parity

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "de":
            self._de = level

    # Registers

    def _sums_now(self) -> dict[str, float]:
        """What demands are the means of."""
        for phase in self.phases:
            phase.touch()
        out = {"W+": sum(p.imported_j for p in self.phases), "W-": sum(p.exported_j for p in self.phases)}
        out["VA"] = sum(p.va_s for p in self.phases)
        return out | {f"A{i}": p.amp_s for i, p in enumerate(self.phases)}

    def _plan(self) -> None:
        seconds = LAYOUTS[self.layout].demand_s
        self._period = self.port.at(self.port.now_us + seconds * 1_000_000, self._period_over)

    def _period_over(self) -> None:
        sums, before = self._sums_now(), self._sums
        seconds = LAYOUTS[self.layout].demand_s
        self._demand = {name: (sums[name] - before[name]) / seconds for name in sums}
        self._highest = {name: max(self._highest[name], value) for name, value in self._demand.items()}
        self._sums = sums
        self._plan()

    def _values(self, function: int) -> Values:
        if self.layout == "sdm630" and function == 3:
            return sdm630_settings(self.unit, self.baud, self.parity, self.serial)
        state = State(
            *(self.phases, self.line_hz, self.import_wh, self.export_wh, self._demand, self._highest)
        )
        return LAYOUTS[self.layout].values(state)

    def _words(self, function: int) -> dict[int, bytes]:
        words: dict[int, bytes] = {}
        for register, (form, value) in self._values(function).items():
            if form == "h":
                words[register] = struct.pack(">h", round(value))
                continue
            raw = struct.pack(">f", value) if form == "f" else struct.pack(">I", round(value) & 0xFFFFFFFF)
            first, second = raw[:2], raw[2:]
            if form == "l":
                first, second = second, first
            words[register], words[register + 1] = first, second
        return words

    # Wire

    def receive(self, data: bytes) -> None:
        if self.direction and not self._de:
            self.violate("DE is low before the last bit has left: the request is cut short")
            return
        super().receive(data)

    def heard(self, data: bytes) -> None:
        now = self.port.now_us
        begin = now - len(data) * self.char_us
        if self._answer is not None:
            self.violate("the master speaks before the meter has answered (MSL 2.4.1)")
            return
        gap = begin - self._quiet_us
        # A microsecond for rounding of the times themselves.
        if self._rx and gap > self._t15 + 1:
            self.violate("a pause of more than 1.5 characters within a frame (MSL 2.5.1.1)")
        elif not self._rx and gap < self._t35 - 1:
            self._soon = True  # for the meter it is the rest of what was there before
        self._rx += data
        self._quiet_us = now
        self.port.cancel(self._end)
        self._end = self.port.at(round(now + self._t35), self._frame)

    def _frame(self) -> None:
        frame, soon = bytes(self._rx), self._soon
        self._rx.clear()
        self._soon = False
        if soon:
            self.lost += 1
            return
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
        _, blocks, most, _ = LAYOUTS[self.layout]
        function = pdu[0]

        def refuse(code: int) -> bytes:
            return bytes([function | 0x80, code])

        if self.exceptions:
            return refuse(self.exceptions.pop(0))
        if function not in blocks:
            return refuse(ILLEGAL_FUNCTION)
        if len(pdu) != 5:
            return refuse(ILLEGAL_VALUE)
        first, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= most:
            return refuse(ILLEGAL_VALUE)
        if not any(low <= first and first + count - 1 <= high for low, high in blocks[function]):
            return refuse(ILLEGAL_ADDRESS)
        words = self._words(function)
        if self.layout == "em340" and first == IDENTITY[0]:
            words[first] = IDENTITY[1].to_bytes(2, "big")
        data = b"".join(words.get(r, b"\0\0") for r in range(first, first + count))
        return bytes([function, len(data)]) + data

    def _drive(self, answer: bytes) -> None:
        if self.direction and self._de:
            self.violate("DE is still high when the meter answers: two drivers on the line")
        end = self.port.now_us + round(len(answer) * self.char_us)
        self._answer = self.port.at(end, lambda: self._sent(answer))

    def _sent(self, answer: bytes) -> None:
        self._answer = None
        self._quiet_us = self.port.now_us
        self.say(answer)
