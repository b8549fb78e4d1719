"""INA219 zero-drift bidirectional current and power monitor, I2C.  DS = TI SBOS448G.

Legs: I2C at `address` (0x40..0x4F). Registers 0 to 5 of DS 8.6 with their pointer, reset, all ADC settings
with their times, triggered and continuous modes, CNVR and OVF, PGA limits, the calibrated current and power.
The load is (bus volts, amps); amps are signed. A conversion sees its end, not the mean over its time.

Not modelled: ADC noise, offset and gain errors except `shunt_error` (the resistor's), SMBus time-out and
alert address, high-speed mode, the 40 us of recovery from power-down.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import I2cChip

_DEFAULT = 0x399F
# DS table 5, typical times in us by the four bits of an ADC field; 8 and above average 2^(n-8) samples.
_SINGLE_US = (84, 148, 276, 532)
_SAMPLE_US = (532, 1060, 2130, 4260, 8510, 17020, 34050, 68100)
# Bits left by a single conversion of 9 to 12 bits.
_STEP = (8, 4, 2, 1)
Source = tuple[float, float] | Callable[[int], tuple[float, float]]


class INA219(I2cChip):
    """load: (volts, amps) or a function of the virtual time in us. `faults`: functions that get the two bytes
    of the next register read and give what is sent; `nack` next transactions are refused, `stuck` conversions
    never end."""

    def __init__(
        self,
        load: Source = (12.0, 0.5),
        *,
        address: int = 0x40,
        shunt_ohm: float = 0.1,
        shunt_error: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0x40 <= address <= 0x4F:
            raise ValueError("address 0x40..0x4f (DS table 1)")
        self.address = address
        self.load = load
        self.shunt_ohm = shunt_ohm
        self.shunt_error = shunt_error
        self.faults: list[Callable[[bytes], bytes]] = []
        self.nack = 0
        self.stuck = False

    def range(self, quantity: str = "amps") -> tuple[float, float, float]:
        """Lowest, highest, resolution: A (of the shunt's +-320 mV), or V."""
        if quantity == "volts":
            return 0.0, 26.0, 0.004
        top = 0.3199 / self.shunt_ohm
        return -top, top, 1e-5 / self.shunt_ohm

    def set_physical(self, value: float, quantity: str = "amps") -> None:
        volts, amps = self._load()
        self.load = (value, amps) if quantity == "volts" else (volts, value)

    def _load(self) -> tuple[float, float]:
        return self.load(self.port.now_us) if callable(self.load) else self.load

    def reset(self) -> None:
        self._pointer = 0
        self._calibration = 0
        self._shunt = self._bus = self._current = self._power = 0
        self._ready = self._overflow = False
        self._set_config(_DEFAULT)

    # Conversions

    def _set_config(self, value: int) -> None:
        self._config = value & 0x7FFF & ~0x4000
        mode = value & 7
        if mode not in (0, 4):
            self._ready = False
        self._since_us = self.port.now_us
        self._triggered = mode in (1, 2, 3)
        self._running = mode not in (0, 4)

    @staticmethod
    def _time(field: int) -> int:
        return _SAMPLE_US[field & 7] if field & 8 else _SINGLE_US[field & 3]

    @staticmethod
    def _step(field: int) -> int:
        return 1 if field & 8 else _STEP[field & 3]

    def _convert(self) -> None:
        """Bring the registers to what the conversions finished by now left in them."""
        shunt_field, bus_field = self._config >> 3 & 15, self._config >> 7 & 15
        mode = self._config & 3
        period = (self._time(shunt_field) if mode & 1 else 0) + (self._time(bus_field) if mode & 2 else 0)
        now = self.port.now_us
        if not self._running or self.stuck or now - self._since_us < period:
            return
        self._since_us += (now - self._since_us) // period * period
        volts, amps = self._load()
        if mode & 1:
            full = 4000 << (self._config >> 11 & 3)
            step = self._step(shunt_field)
            raw = round(amps * self.shunt_ohm * (1 + self.shunt_error) / 1e-5)
            self._shunt = max(-full, min(full, raw)) // step * step
        if mode & 2:
            top = 32.0 if self._config & 0x2000 else 16.0
            step = self._step(bus_field)
            self._bus = round(max(0.0, min(top, volts)) / 0.004) // step * step
        product = self._shunt * self._calibration
        self._current = -(-product >> 12) if product < 0 else product >> 12
        self._power = abs(self._current) * self._bus // 5000
        self._overflow = abs(self._current) > 0x7FFF or self._power > 0xFFFF
        self._ready = True
        if self._triggered:
            self._running = False

    # Bus

    def write(self, data: bytes) -> bool:
        if self.nack:
            self.nack -= 1
            return False
        if not data:
            return True
        self._convert()
        if data[0] > 5:
            self.violate(f"register pointer {data[0]} (DS table 2 ends at 5)")
            return True
        self._pointer = data[0]
        if len(data) == 1:
            return True
        if len(data) != 3:
            self.violate(f"{len(data) - 1} bytes written to a register of 16 bits (DS 8.5)")
            return True
        value = data[1] << 8 | data[2]
        if self._pointer == 0:
            if value & 0x8000:
                pointer = self._pointer
                self.reset()
                self._pointer = pointer
            else:
                self._set_config(value)
        elif self._pointer == 5:
            self._calibration = value & 0xFFFE  # bit 0 cannot be written (DS 8.6.3.5)
        else:
            self.violate(f"register {self._pointer} is read-only (DS table 2)")
        return True

    def read(self, n: int) -> bytes:
        self._convert()
        if self._pointer == 3:
            self._ready = False
        value = (
            self._config,
            self._shunt,
            self._bus << 3 | self._ready << 1 | self._overflow,
            self._power,
            self._current,
            self._calibration,
        )[self._pointer]
        out = (value & 0xFFFF).to_bytes(2, "big")
        if self.faults:
            out = self.faults.pop(0)(out)
        return (out * n)[:n]
