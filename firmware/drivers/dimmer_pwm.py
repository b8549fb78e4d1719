"""0-10 V dimming output by PWM: an open collector pulls the 0-10 V line down, its pull-up is the 10 V.

So the hardware's default is full light: pin floating or low, line at 10 V, which is 1000 permille here.
"""

from firmware.drivers.errors import ConfigError


class DimmerPWM:
    """pwm: has `duty_u16`; full: level of its pin that means full light (board file)."""

    def __init__(self, pwm, full=0):
        self._pwm = pwm
        self._full = full
        self.permille = None

    def set(self, permille):
        """Line voltage in 1/1000 of 10 V at once. Raises ConfigError outside 0..1000."""
        if not 0 <= permille <= 1000:
            raise ConfigError("permille")
        up = permille * 65535 // 1000
        self._pwm.duty_u16(up if self._full else 65535 - up)
        self.permille = permille
