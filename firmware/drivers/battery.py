"""Supply voltage by ADC behind a divider, whose switch saves its current on some boards."""

import time

from firmware.drivers.errors import BusError


class Supply:
    """adc: `read_uv` (calibrated microvolts); ratio of the divider as numerator/denominator (board file).

    switch: callable pin that connects the divider at level `on`, or None. A result outside low..high mV is
    not believed.
    """

    def __init__(
        self, adc, numerator=1, denominator=1, switch=None, on=1, low_mv=1500, high_mv=30000, clock=time
    ):
        self._adc = adc
        self._num = numerator
        self._den = denominator * 1000
        self._switch = switch
        self._on = on
        self._low = low_mv
        self._high = high_mv
        self._clock = clock
        if switch:
            switch(not on)

    def read_mv(self):
        """Millivolts, mean of 8 readings. Blocks 10 ms with a switch. Raises BusError outside the limits."""
        if self._switch:
            self._switch(self._on)
            self._clock.sleep_ms(10)  # 80 kOhm of divider into 22 nF at the pin are five time constants
        uv = 0
        for _ in range(8):
            uv += self._adc.read_uv()
        if self._switch:
            self._switch(not self._on)
        mv = uv // 8 * self._num // self._den
        if not self._low <= mv <= self._high:
            raise BusError("supply", mv)
        return mv
