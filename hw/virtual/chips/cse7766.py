"""CSE7766 energy meter with UART.  DS = Chipsea CSE7766 data sheet.

Legs: UART (the MCU's `uart`): 4800 baud, even parity, sends only: 24 bytes 55|Fx|AA 5A, three pairs of
coefficient and cycle (24 bits, big-endian), ADJ, pulses, sum of bytes 2..22. A value is coefficient / cycle.
Each CF pulse is (power coefficient / 1e6) joules. Header F2, and current unfinished, when the cycle of power
would not fit 24 bits (0.31 W with these coefficients). `*_error` are the board's own.

Assumed, as nothing public says: a frame every 60 ms; power is finished 800 ms after power-on, current 500 ms,
voltage 200 ms; no current below 10 mA. Not modelled: noise, creep, negative power (counted as drawn), the CF
pins, ADJ bits 0 and 7. A UART of another rate or parity reads rubbish.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import Handle
from hw.virtual.chips.framing import Frame, FramedUart
from hw.virtual.chips.load import Load, Terminals

_FRAME_US = round(24 * 11 * 1e6 / 4800)
_M24 = 0xFFFFFF
_NO_AMPS = 0.01


class CSE7766(FramedUart):
    """load: see `load.py`. coefficients (V, A, W) as burnt in at the factory; `fault_bits` sets header Fx,
    `calibrated` False header AA. `faults`: functions bytes -> bytes, one per next frame. `pulses0`: the
    counter at power-on (to see it wrap; the part has 0). period_us may be longer than the part's for long
    runs of many boards."""

    def __init__(
        self,
        uart: int = 1,
        load: Load = (230.0, 0.5, 1.0),
        *,
        coefficients: tuple[int, int, int] = (194_400, 16_400, 5_351_000),
        volt_error: float = 0.0,
        amp_error: float = 0.0,
        watt_error: float = 0.0,
        pulses0: int = 0,
        period_us: int = 60_000,
        step_us: int = 1_000_000,
    ) -> None:
        super().__init__()
        if period_us < _FRAME_US:
            raise ValueError(f"a frame takes {_FRAME_US} us")
        self.uart = uart
        self.coefficients = coefficients
        self.volt_error, self.amp_error, self.watt_error = volt_error, amp_error, watt_error
        self.pulses0 = pulses0
        self.period_us = period_us
        self.terminals = Terminals(load, step_us)
        self.faults: list[Callable[[bytes], bytes]] = []
        self.fault_bits = 0
        self.calibrated = True
        self.frames = 0
        self._on_us = 0
        self._next: Handle | None = None

    def range(self, quantity: str = "watts") -> tuple[float, float, float]:
        """Lowest, highest, resolution at the top: W, or V, A. A cycle has whole microseconds."""
        high = {"watts": 2000.0, "volts": 264.0, "amps": 10.0}[quantity]
        low = {"watts": 3.0, "volts": 80.0, "amps": 0.02}[quantity]
        k = self.coefficients[("volts", "amps", "watts").index(quantity)]
        return low, high, high * high / k

    def set_physical(self, value: float, quantity: str = "watts") -> None:
        self.terminals.set(value, quantity)

    def reset(self) -> None:
        self.port.cancel(self._next)
        self._on_us = self.port.now_us
        self.terminals.power_on(self.port)
        self._next = self.port.at(self._on_us + self.period_us, self._send)

    @property
    def frame_format(self) -> Frame:
        return 4800, 8, 0

    def receive(self, data: bytes) -> None:
        self.violate("the part takes no data (DS)")

    @property
    def pulses(self) -> int:
        """The 16-bit counter."""
        self.terminals.touch()
        joules = self.terminals.joules * (1 + self.watt_error)
        return (self.pulses0 + int(joules * 1e6 / self.coefficients[2] + 1e-9)) & 0xFFFF

    @staticmethod
    def _cycle(coefficient: int, value: float) -> int:
        return min(_M24, round(coefficient / value)) if value > 0 else _M24

    def frame(self) -> bytes:
        """What the part would say now."""
        p = self.terminals.touch()
        values = (
            p.volts * (1 + self.volt_error),
            abs(p.amps) * (1 + self.amp_error),
            abs(p.watts) * (1 + self.watt_error),
        )
        age = self.port.now_us - self._on_us
        finished = 0
        for bit, after, ok in (
            (0x40, 200_000, True),
            (0x20, 500_000, values[1] >= _NO_AMPS),
            (0x10, 800_000, self._cycle(self.coefficients[2], values[2]) < _M24),
        ):
            finished |= bit if ok and age >= after else 0
        if not self.calibrated:
            head = 0xAA
        elif self.fault_bits:
            head = 0xF0 | self.fault_bits
        else:
            low = age >= 800_000 and not finished & 0x10
            head = 0xF2 if low else 0x55
        body = bytearray()
        for coefficient, value in zip(self.coefficients, values, strict=True):
            body += coefficient.to_bytes(3, "big") + self._cycle(coefficient, value).to_bytes(3, "big")
        body.append(finished | 0x01)
        body += self.pulses.to_bytes(2, "big")
        return bytes([head, 0x5A]) + bytes(body) + bytes([sum(body) & 0xFF])

    def _send(self) -> None:
        frame = self.frame()
        if self.faults:
            frame = self.faults.pop(0)(frame)
        self.frames += 1
        now = self.port.now_us
        self.port.at(now + _FRAME_US, lambda: self.say(frame))
        self._next = self.port.at(now + self.period_us, self._send)
