"""Photocell: light-dependent resistor or phototransistor in a divider on an ADC, to lux by a table.

Light raises or lowers the voltage, as the table says. A resistor across the cell makes darkness differ from a
broken wire; beyond low_uv..high_uv the wiring is at fault.
"""

import time

from firmware.drivers.errors import ChipError, ConfigError

# 15 kOhm at 10 lux, gamma 0.7 (data sheets of CdS cells), from 3.3 V; 100 kOhm across the cell, 10 kOhm to ground.
# A shorted cell is no brighter than the day; a broken one reads 0, below darkness.
_TABLE = (
    300000, 0, 624000, 1, 793000, 2, 1115000, 5, 1432000, 10, 1788000, 20,
    2079000, 35, 2255000, 50, 2409000, 70, 2557000, 100, 2794000, 200,
)  # fmt: skip


class Photocell:
    """adc: `read_uv`; table: microvolts and lux in turn, microvolts rising, at least two pairs.

    Table and limits are those of the boards' pages where none are given; ConfigError("table") for impossible ones.
    dark_high: darkness is the high voltage (the cell lies at ground), so that a broken cell reads above high_uv.
    """

    def __init__(self, adc, table=_TABLE, low_uv=200000, high_uv=3400000, dark_high=False, clock=time):
        for i in range(2, len(table), 2):
            if table[i] <= table[i - 2]:
                raise ConfigError("table")
        if len(table) < 4 or len(table) & 1 or not low_uv < high_uv:
            raise ConfigError("table")
        self._adc = adc
        self._table = table
        self.most = max(table[1], table[-1])  # lux that it can tell
        self._low = low_uv
        self._high = high_uv
        self._dark_high = dark_high
        self._clock = clock

    def read_lux(self):
        """Lux, mean over 10 ms (one period of lamps on the mains); the table's ends are the ends.

        Raises ChipError("photocell", "open" or "short").
        """
        uv = 0
        for _ in range(5):
            uv += self._adc.read_uv()
            self._clock.sleep_ms(2)
        uv //= 5
        if not self._low <= uv <= self._high:
            raise ChipError("photocell", "open" if (uv > self._high) == self._dark_high else "short")
        t = self._table
        if uv <= t[0]:
            return t[1]
        for i in range(2, len(t), 2):
            if uv <= t[i]:
                return t[i - 1] + (t[i + 1] - t[i - 1]) * (uv - t[i - 2]) // (t[i] - t[i - 2])
        return t[-1]
