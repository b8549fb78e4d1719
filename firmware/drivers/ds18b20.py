"""DS18B20 thermometer on 1-Wire, over MicroPython's own `ds18x20`.  DS = Maxim 19-7487.

Its scratchpad has a checksum, but a part that lost its supply says 85.0 degC with a good one, and a data line
shorted to ground reads as zeros, whose checksum is 0: 0.0 degC. Not supported: parasite power, other families,
alarms, resolutions other than 12 bits (the default).
"""

import time

from firmware.drivers.errors import BusError, NotReady
from firmware.protocols.compat import const

_CONVERT_MS = const(750)
# In sixteenths of a degree: the value at power-on, and the least before it to be believed.
_POWER_ON = const(85 * 16)
_NEAR = const(80 * 16)


class DS18B20:
    """ds: a ds18x20.DS18X20 (`scan`, `convert_temp`, `read_temp`, `read_scratch`, and its line `ow`)."""

    def __init__(self, ds, clock=time):
        self._ds = ds
        self._clock = clock
        self._since = None
        self._last = {}

    def scan(self):
        """ROM codes (8 bytes each) of the thermometers on the line. BusError "presence" when nobody is there."""
        line = self._ds.ow
        self._call(line.reset, True)
        # At ground, every bit looks like two devices that differ: a search would block for 3 s.
        if not line.readbit():
            raise BusError("ds18b20", "low")
        return [bytes(rom) for rom in self._call(self._ds.scan) if rom[0] == 0x28 and not line.crc8(rom)]

    def _call(self, function, *args):
        try:
            return function(*args)
        except Exception as e:
            # OneWireError without a presence pulse; a bare Exception("CRC error").
            raise BusError("ds18b20", "presence" if type(e) != Exception else "crc")  # noqa: E721

    def start(self):
        """All thermometers begin to measure; the milliseconds until `read` may be called."""
        self._since = None
        self._call(self._ds.convert_temp)
        self._since = self._clock.ticks_ms()
        return _CONVERT_MS

    def read(self, rom):
        """Tenths of a degree Celsius, -550..1250.

        Raises NotReady before the end of the conversion or without `start`, BusError when nobody answers, the
        checksum is wrong, or the value is the one of a part that has just got its supply ("power-on").
        """
        if self._since is None:
            raise NotReady("ds18b20", "start")
        if 0 <= self._clock.ticks_diff(self._clock.ticks_ms(), self._since) < _CONVERT_MS:
            raise NotReady("ds18b20", "conversion")
        got = self._call(self._ds.read_temp, rom)
        # Exact: the part gives sixteenths.
        t = -2048 if got is None else int(got * 16)
        if not -880 <= t <= 2000:
            raise BusError("ds18b20", "range")
        # The configuration always has its five low bits set (DS: configuration register).
        if t == 0 and self._call(self._ds.read_scratch, rom)[4] & 0x1F != 0x1F:
            raise BusError("ds18b20", "low")
        if t == _POWER_ON and self._last.get(rom, 0) < _NEAR:
            raise BusError("ds18b20", "power-on")
        self._last[rom] = t
        return (t * 10 + 8) // 16
