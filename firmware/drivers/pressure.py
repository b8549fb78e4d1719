"""Pressure sender with an analogue output: 0.5-4.5 V behind a divider, or 4-20 mA through a shunt.

Beyond the span by more than NAMUR NE 43 allows (3.6 and 21 mA, and the same fractions for 0.5-4.5 V: 0.4 and
4.75 V) the wiring is at fault. The input has a pull-down (the shunt is one), so a broken wire reads low; on a
voltage sender a signal shorted to ground reads the same.
"""

from firmware.drivers.errors import ChipError


class Pressure:
    """adc: `read_uv`, whose range reaches beyond 1.07 times the span (else a short is not seen).

    low_uv, high_uv: microvolts at the ADC for low_pa and high_pa (0.5 V and 4.5 V times the divider, or 4 and
    20 mA times the shunt); those of the wiring pages are 0 to 1 MPa as 4-20 mA through 100 Ohm. pull_up: the input
    has a pull-up instead, so broken and short change places.
    """

    def __init__(self, adc, low_uv=400000, high_uv=2000000, high_pa=1000000, low_pa=0, pull_up=False):
        span = high_uv - low_uv
        self._adc = adc
        self._low = low_uv
        self._span = span
        self._pa = low_pa
        self._scale = high_pa - low_pa
        self._least = low_uv - span // 40
        self._most = high_uv + span // 16
        self._pull_up = pull_up

    def read_pa(self):
        """Pascal, mean of 8 readings; up to 2.5 % below and 6 % above the span it is extrapolated.

        Raises ChipError("pressure", "open" or "short"); what the ADC raises goes through.
        """
        uv = 0
        for _ in range(8):
            uv += self._adc.read_uv()
        uv //= 8
        if uv < self._least:
            raise ChipError("pressure", "short" if self._pull_up else "open")
        if uv > self._most:
            raise ChipError("pressure", "open" if self._pull_up else "short")
        return self._pa + (uv - self._low) * self._scale // self._span
