"""ADS1115 16-bit ADC, I2C.  DS = TI SBAS444, ADS111x.

Single-shot conversions at 128 per second on the four inputs against ground; between them it sleeps (0.5 uA).
Not supported: differential inputs, continuous conversion, comparator and ALERT.
"""

import time

from firmware.drivers.errors import BusError, ConfigError
from firmware.protocols.compat import const

_RANGES_MV = (6144, 4096, 2048, 1024, 512, 256)
# 128 per second, slow by 10 per cent at worst (DS: electrical characteristics).
_CONVERSION_MS = const(9)
_TRIES = const(5)


class ADS1115:
    """i2c: bus with `readfrom_mem_into` and `writeto_mem`, up to 400 kHz; address 0x48..0x4B (pin ADDR)."""

    def __init__(self, i2c, address=0x48, clock=time):
        self._i2c = i2c
        self._address = address
        self._clock = clock
        self._buf = bytearray(2)

    def _get(self, register):
        try:
            self._i2c.readfrom_mem_into(self._address, register, self._buf)
        except OSError as e:
            raise BusError("ads1115", e.args[0])
        return self._buf[0] << 8 | self._buf[1]

    def read_uv(self, channel, range_mv=4096):
        """Microvolts at input 0..3; at either end of the range (+-range_mv) the value of that end.

        Blocks 9 ms. Raises BusError when the bus fails, the result does not come or is not ours.
        """
        if not 0 <= channel <= 3:
            raise ConfigError("channel")
        if range_mv not in _RANGES_MV:
            raise ConfigError("range_mv")
        gain = _RANGES_MV.index(range_mv)
        setup = 0xC183 | channel << 12 | gain << 9
        self._buf[0] = setup >> 8
        self._buf[1] = setup & 0xFF
        try:
            self._i2c.writeto_mem(self._address, 1, self._buf)
        except OSError as e:
            raise BusError("ads1115", e.args[0])
        self._clock.sleep_ms(_CONVERSION_MS)
        for _ in range(_TRIES):
            now = self._get(1)
            # Another setup: the supply dipped, or somebody else uses it.
            if (now ^ setup) & 0x7FFF:
                raise BusError("ads1115", "setup")
            if now & 0x8000:
                break
            self._clock.sleep_ms(1)
        else:
            raise BusError("ads1115", "busy")
        code = self._get(0)
        # There is no checksum; the result stands still until the next conversion.
        if self._get(0) != code:
            raise BusError("ads1115", "data")
        if code & 0x8000:
            code -= 0x10000
        return code * 125 >> gain - 1 if gain else code * 375 >> 1


class Channel:
    """One input with the call shape of an ADC pin: `read_uv()`."""

    def __init__(self, adc, channel, range_mv=4096):
        self._adc = adc
        self._channel = channel
        self._range = range_mv

    def read_uv(self):
        """As ADS1115.read_uv."""
        return self._adc.read_uv(self._channel, self._range)
