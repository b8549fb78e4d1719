"""ADS1115 analogue-to-digital converter on I2C.  DS = TI SBAS444, ADS111x.

Legs: I2C at `address` (0x48..0x4B by ADDR); inputs AIN0..AIN3; `alert` (ALERT/RDY, open drain, the board pulls it
up): comparator with both modes, queue, latch and polarity, or conversion ready: a pulse of 8 us after each
conversion, after a single one until the next. Pointer, configuration, single-shot and continuous conversion,
multiplexer, amplifier and rates are those of DS chapters 7 and 8.

Not modelled: SMBus alert response, general call reset, high-speed mode, noise unless asked for, offset and gain
error, input impedance, the rate's tolerance of 10 per cent (the seed draws it once).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hw.virtual.chips.base import Handle, I2cChip

Source = float | Callable[[int], float]
_RANGE_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
_RATES = (8, 16, 32, 64, 128, 250, 475, 860)
_WAKE_US = 25
#: Positive and negative input by multiplexer setting; None is ground.
_MUX = ((0, 1), (0, 3), (1, 3), (2, 3), (0, None), (1, None), (2, None), (3, None))
_CURRENT_UA = (1, 150)
_READY_US = 8
_WINDOW, _ACTIVE_HIGH, _LATCHING = 0x10, 0x08, 0x04


def _signed(raw: int) -> int:
    return raw - 0x10000 if raw & 0x8000 else raw


class ADS1115(I2cChip):
    """volts: voltage at each input, numbers or functions of the virtual time in us. supply_v is its VDD.

    `stuck` is a conversion that never ends. noise_uv: standard deviation.
    """

    def __init__(
        self,
        address: int = 0x48,
        volts: Sequence[Source] = (0.0, 0.0, 0.0, 0.0),
        *,
        supply_v: float = 3.3,
        noise_uv: float = 0.0,
    ) -> None:
        super().__init__()
        self.address = address
        self.volts: list[Source] = list(volts)
        self.supply_v = supply_v
        self.noise_uv = noise_uv
        self.stuck = False
        self.conversions = 0
        self._pointer = 0
        self._registers = [0, 0x8583, 0x8000, 0x7FFF]
        self._busy_until: int | None = None
        self._next = 0
        self._speed = 1.0
        self._outside = 0
        self._end: Handle | None = None
        self._pulse: Handle | None = None

    def range(self) -> tuple[float, float, float]:
        """Volts at input 0: lowest, highest, resolution at +-4.096 V."""
        return 0.0, self.supply_v, 125e-6

    def set_physical(self, value: float) -> None:
        self.volts[0] = value

    def reset(self) -> None:
        self._pointer = 0
        self._registers = [0, 0x8583, 0x8000, 0x7FFF]
        self._busy_until = None
        self._speed = self.port.random.uniform(0.9, 1.1)
        self.port.draw(_CURRENT_UA[0])
        self._plan()

    def _period_us(self) -> int:
        return round(1e6 / (_RATES[self._registers[1] >> 5 & 7] * self._speed))

    def _code(self) -> int:
        config = self._registers[1]
        volts = []
        for source in _MUX[config >> 12 & 7]:
            value = 0.0 if source is None else self.volts[source]
            value = value(self.port.now_us) if callable(value) else value
            # The protection diodes hold the pin there (DS: absolute maximum ratings).
            volts.append(max(-0.3, min(self.supply_v + 0.3, value)))
        uv = (volts[0] - volts[1]) * 1e6
        if self.noise_uv:
            uv += self.port.random.gauss(0.0, self.noise_uv)
        code = round(uv / 1e6 * 32768 / _RANGE_V[config >> 9 & 7])
        return max(-32768, min(32767, code)) & 0xFFFF

    def _catch_up(self) -> None:
        """Conversions that have ended by now; one ends with the voltage at the time it is asked for."""
        if self.stuck:
            return
        if self._busy_until is not None:
            if self.port.now_us < self._busy_until:
                return
            self._busy_until = None
            self.port.draw(_CURRENT_UA[0])
            self._converted()
        elif not self._registers[1] & 0x100 and self.port.now_us >= self._next:
            self._next = self.port.now_us + self._period_us()
            self._converted()

    def _converted(self) -> None:
        self._registers[0] = self._code()
        self.conversions += 1
        if self._comparing:
            self._compare()

    # ALERT/RDY

    @property
    def _comparing(self) -> bool:
        """COMP_QUE other than 11."""
        return self._registers[1] & 3 != 3

    def _alert(self, active: bool) -> None:
        """Without a comparator nothing drives the leg."""
        high = active == bool(self._registers[1] & _ACTIVE_HIGH)
        self.port.set_pin("alert", 1 if high or not self._comparing else 0)

    def _plan(self) -> None:
        """With the leg in use each conversion ends by itself; otherwise when somebody asks."""
        for handle in (self._end, self._pulse):
            self.port.cancel(handle)
        self._outside = 0
        self._alert(False)
        self._again()

    def _again(self) -> None:
        self._end = None
        running = self._busy_until is not None or not self._registers[1] & 0x100
        if self._comparing and running:
            at = self._next if self._busy_until is None else self._busy_until
            self._end = self.port.at(at, self._ended)

    def _ended(self) -> None:
        self._catch_up()
        if not self.stuck:
            self._again()

    def _compare(self) -> None:
        value, low, high = (_signed(self._registers[i]) for i in (0, 2, 3))
        config = self._registers[1]
        if high < 0 <= low:  # conversion ready (DS: thresholds' most significant bits)
            self._alert(True)
            if not config & 0x100:
                self._pulse = self.port.at(self.port.now_us + _READY_US, lambda: self._alert(False))
            return
        outside = value > high or (bool(config & _WINDOW) and value < low)
        back = not outside if config & _WINDOW else value < low
        self._outside = self._outside + 1 if outside else 0
        if self._outside >= 1 << (config & 3):
            self._alert(True)
        elif back and not config & _LATCHING:
            self._alert(False)

    def write(self, data: bytes) -> bool:
        if not data:
            return True
        self._catch_up()
        if data[0] > 3:
            self.violate(f"pointer 0x{data[0]:02X}: bits 7..2 must be 0 (DS: pointer register)")
            return False
        self._pointer = data[0]
        if len(data) == 1:
            return True
        if len(data) != 3:
            self.violate(f"{len(data) - 1} bytes for a register of 2 (DS: writing to registers)")
            return False
        if self._pointer == 0:
            self.violate("write to the conversion register, which is read-only (DS: conversion register)")
            return True
        value = data[1] << 8 | data[2]
        if self._pointer != 1:
            self._registers[self._pointer] = value
            return True
        before = self._registers[1], self._busy_until
        self._registers[1] = value & 0x7FFF
        if not value & 0x100:
            self._busy_until = None
            self._next = self.port.now_us + self._period_us()
            self.port.draw(_CURRENT_UA[1])
        elif value & 0x8000 and self._busy_until is None:  # OS has no effect during a conversion
            self._busy_until = self.port.now_us + _WAKE_US + self._period_us()
            self.port.draw(_CURRENT_UA[1])
        if before != (self._registers[1], self._busy_until) or not value & 0x100:
            self._plan()
        return True

    def read(self, n: int) -> bytes:
        self._catch_up()
        value = self._registers[self._pointer]
        if self._pointer == 0 and self._registers[1] & _LATCHING and self._comparing:
            self._alert(False)
        if self._pointer == 1:
            idle = self._busy_until is None and bool(value & 0x100)
            value = value & 0x7FFF | (0x8000 if idle else 0)
        # A third byte finds nobody driving the line.
        return value.to_bytes(2, "big")[:n]
