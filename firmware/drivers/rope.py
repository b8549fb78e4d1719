"""Conductive leak rope: two bare conductors, bridged by a resistor at the far end; water bridges them earlier.

Wiring: pin `a` - series resistor - conductor 1 (and the ADC); conductor 2 - pin `b`. Both pins are low except
for two measurements of opposite direction per reading, as long as each other, so that no charge is left to
eat the conductors (electrolysis). The end resistor makes a broken rope differ from a dry one.
"""

import time

from firmware.drivers.errors import BusError, ConfigError
from firmware.protocols.compat import const

DRY = const(0)
WET = const(1)
BROKEN = const(2)
SHORT = const(3)
OPEN = const(0x3FFFFFFF)


def resistance(mv, supply_mv, series_ohm):
    """Ohms of the rope from the voltage across it, or OPEN (no current flows)."""
    return series_ohm * mv // (supply_mv - mv) if mv < supply_mv - supply_mv // 100 else OPEN


class Rope:
    """adc: `read_uv`, right up to adc_end_mv; a, b: callable output pins; ohms of the series and end resistor and
    of the rope at its wet threshold.

    Raises ConfigError("wet_ohm") unless short_ohm < wet_ohm < 3/4 of end_ohm: the rope's and the resistors'
    tolerance must not look like water.
    """

    def __init__(
        self,
        adc,
        a,
        b,
        series_ohm,
        end_ohm,
        wet_ohm,
        short_ohm=500,
        supply_mv=3300,
        adc_end_mv=3000,
        settle_ms=20,
        clock=time,
    ):
        if not 0 < short_ohm < wet_ohm < end_ohm * 3 // 4:
            raise ConfigError("wet_ohm")
        self._adc = adc
        self._a = a
        self._b = b
        self._series = series_ohm
        self._end = end_ohm
        self._wet = wet_ohm
        self._short = short_ohm
        self._supply = supply_mv
        self._most = adc_end_mv
        self._settle = settle_ms
        self._clock = clock
        a(0)
        b(0)

    def _drive(self, pin):
        pin(1)
        try:
            self._clock.sleep_ms(self._settle)
            return self._adc.read_uv() // 1000
        finally:
            pin(0)

    def read_ohm(self):
        """Ohms between the conductors, or OPEN. Blocks for twice settle_ms.

        Raises BusError when the two directions contradict each other: a pin or the ADC does not do its work.
        """
        forth = self._drive(self._a)
        back = self._drive(self._b)
        # Over the rope one way and over the series resistor the other, so they add up to the supply. An ADC
        # that ends below it (3.1 V on the ESP32-S3) and the supply's tolerance are in the 15 per cent.
        if abs(forth + back - self._supply) * 20 > self._supply * 3:
            raise BusError("rope", forth + back)
        if forth < self._most and back < self._most:
            # Half the difference is free of the offset that a galvanic cell of wet copper adds to both.
            across = (forth - back + self._supply) // 2
        else:
            across = forth if forth < back else self._supply - back
        return resistance(max(0, across), self._supply, self._series)

    def read(self):
        """DRY, WET, BROKEN or SHORT (worn through or crushed: no water conducts that well)."""
        ohm = self.read_ohm()
        if ohm < self._short:
            return SHORT
        if ohm < self._wet:
            return WET
        return BROKEN if ohm > self._end * 2 else DRY
