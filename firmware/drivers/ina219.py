"""INA219 voltage and current of a DC supply, I2C.  DS = TI SBOS448G.

Energy result: `read()` (raises), then voltage_mv, current_ma, power_mw, energy_mwh, frequency_mhz or None.

Each reading is one triggered, averaged conversion, so a part that lost its settings in a dip measures right
again at once. Current is the shunt register (10 uV) over the resistor, which is what the part computes with
its calibration register (4096 at 0.1 Ohm: 100 uA), less the ways to be wrong. Signed: negative charges.
Not supported: calibration, current and power registers, continuous modes, smaller PGA ranges (40..160 mV).
"""

import time

from firmware.drivers.errors import BusError, ChipError, ConfigError
from firmware.protocols.compat import const

# DS table 3: 32 V, +-320 mV, triggered shunt and bus (mode 3); the ADC fields come with `average`.
_CONFIG = const(0x3803)
_POWER_DOWN = const(0x3800)
_FULL = const(32000)


class INA219:
    """i2c: `readfrom_mem_into`, `writeto_mem`. shunt_uohm: the resistor, 100000 is 0.1 Ohm.

    average: 0..7, 2^average samples of 532 us each for voltage and for current. *_ppm: +-300000.
    """

    def __init__(self, i2c, address=0x40, shunt_uohm=100000, average=4, v_ppm=0, i_ppm=0, clock=time):
        if not 0x40 <= address <= 0x4F:
            raise ConfigError("address", address)
        if shunt_uohm <= 0:
            raise ConfigError("shunt_uohm", shunt_uohm)
        if not 0 <= average <= 7:
            raise ConfigError("average", average)
        for ppm in (v_ppm, i_ppm):
            if not -300000 <= ppm <= 300000:
                raise ConfigError("ppm", ppm)
        self._i2c = i2c
        self._address = address
        self._shunt = shunt_uohm
        self._average = average
        self._gain = (v_ppm, i_ppm)
        self._clock = clock
        self._buf = bytearray(2)
        self.voltage_mv = self.current_ma = self.power_mw = self.energy_mwh = self.frequency_mhz = None

    def _get(self, register):
        self._i2c.readfrom_mem_into(self._address, register, self._buf)
        return self._buf[0] << 8 | self._buf[1]

    def _put(self, config):
        self._buf[0] = config >> 8
        self._buf[1] = config & 0xFF
        self._i2c.writeto_mem(self._address, 0, self._buf)

    def read(self):
        """One conversion: 1.1 ms * 2^average. BusError: errno or timeout. ChipError: over, beyond 320 mV."""
        c = self._clock
        a = 8 | self._average
        try:
            self._put(_CONFIG | a << 7 | a << 3)
            # DS, electrical characteristics: at most 586 us per sample, twice.
            ms = (1172 << self._average) // 1000 + 1
            c.sleep_ms(ms)
            start = c.ticks_ms()
            while True:
                bus = self._get(2)
                if bus & 2:  # CNVR
                    break
                if c.ticks_diff(c.ticks_ms(), start) > ms:
                    raise BusError("ina219", "timeout")
                c.sleep_ms(1)
            # 32 V is 8000: more is a line that nobody drives.
            if bus >> 3 > 8000:
                raise BusError("ina219", "bus")
            raw = self._get(1)
            self._put(_POWER_DOWN)
        except OSError as e:
            raise BusError("ina219", e.args[0])
        if raw & 0x8000:
            raw -= 0x10000
        if not -_FULL < raw < _FULL:
            raise ChipError("ina219", "over")
        mv = (bus >> 3) * 4
        mv += mv * self._gain[0] // 1000000
        ua = raw * 10000000 // self._shunt
        ua += ua * self._gain[1] // 1000000
        self.voltage_mv = mv
        self.current_ma = (ua + 500) // 1000
        self.power_mw = (mv * ua + 500000) // 1000000
