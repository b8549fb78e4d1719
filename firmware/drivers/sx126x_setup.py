"""Opens and sets an SX1262: what a radio needs once. DS as in sx126x.py, which loads this when it is asked to; it
may be forgotten afterwards."""

from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.drivers.sx126x import SX1262
from firmware.protocols.compat import const

# DS table 12-1: registers.
_REG_SYNC = const(0x0740)
_REG_GAIN = const(0x08AC)
_REG_CLAMP = const(0x08D8)
_REG_OCP = const(0x08E7)

# Longest BUSY: cold start 3.5 ms (DS table 8-2), calibration 3.5 ms typical and 18 ms seen (micropython-lib);
# the start of the TCXO comes on top.
_BUSY_US = const(30000)
# DS 9.2.1: image calibration bands in steps of 4 MHz; also the frequencies this driver takes.
_BANDS = b"\x6b\x6f\x75\x81\xc1\xc5\xd7\xdb\xe1\xe9"
_RAMP_US = (10, 20, 40, 80, 200, 800, 1700, 3400)
_TCXO = b"\x10\x11\x12\x16\x18\x1b\x1e\x21"
_LIMITS = (
    ("sf", 5, 12),
    ("coding_rate", 5, 8),
    ("preamble_len", 6, 65535),
    ("output_power", -9, 22),
    ("syncword", 0, 65535),
)


class Setup(SX1262):
    """Functions that take any SX1262, in a class of its family for its private names; nobody makes one."""

    def begin(self: "SX1262", reset, switch, tcxo_mv, start_us):
        """Reset and calibrate; raises as SX1262."""
        clock = self._clock
        self._timeout_us = _BUSY_US
        self._band = -1
        self._c = {
            "freq_khz": 868100,
            "sf": 7,
            "bw": 125,
            "coding_rate": 5,
            "preamble_len": 8,
            "output_power": 14,
            "syncword": 0x12,
            "crc_en": True,
            "implicit_header": False,
            "invert_iq_rx": False,
            "invert_iq_tx": False,
            "pa_ramp_us": 40,
            "rx_boost": False,
        }
        self._cs(1)
        if reset:
            reset(0)
            clock.sleep_ms(1)  # DS 8.1: 100 us
            reset(1)
            clock.sleep_ms(5)
        else:
            self._xfer(b"\x80\x00")
        if self._mode() != 2:
            raise BusError("sx1262", "mode")
        self._xfer(b"\x96\x01")  # DC-DC
        if switch:
            self._xfer(b"\x9d\x01")
        if tcxo_mv:
            Setup._tcxo(self, tcxo_mv, start_us)
        # Without its TCXO the chip could not start: the error of the power-on is to be expected (DS 13.3.6).
        self._xfer(b"\x07\x00\x00")
        Setup.blocks(self)
        self._xfer(b"\x8a\x01")  # LoRa
        self._xfer(b"\x8f\x00\x00")
        # All that is used, and the ends of operations on DIO1.
        self._xfer(b"\x08\x03\xe3\x02\xa3\x00\x00\x00\x00")
        # DS 15.2: raise the clamp of the PA.
        self._bits(_REG_CLAMP, 0x1E, True)

    def _tcxo(self: "SX1262", millivolts, start_us):
        i = 0
        while i < 8 and _TCXO[i] * 100 < millivolts:
            i += 1
        if i == 8 or millivolts < 1600:
            raise ConfigError("dio3_tcxo_millivolts")
        self._timeout_us = _BUSY_US + start_us
        self._set(">BI", 0x97, i << 24 | (start_us * 64 + 999) // 1000)

    def blocks(self: "SX1262"):
        """`calibrate`."""
        self._xfer(b"\x80\x00")
        self._xfer(b"\x89\x7f")
        v = self._xfer(b"\x17", None, self._v[3])
        if v[1] or v[2]:
            raise ChipError("sx1262", v[1] << 8 | v[2])

    def image(self: "SX1262"):
        """`calibrate_image`."""
        self._set("BBB", 0x98, _BANDS[self._band], _BANDS[self._band + 1])

    def change(self: "SX1262", lora_cfg):
        """`configure`."""
        if self._tx is not False or self._rx is not False:
            raise NotReady("sx1262", "configure")
        c = dict(self._c)
        for k in lora_cfg:
            if k not in c:
                raise ConfigError(k)
            c[k] = lora_cfg[k]
        for k, low, high in _LIMITS:
            if not low <= c[k] <= high:
                raise ConfigError(k)
        bw = 3
        while str(c["bw"]) != ("62.5", "125", "250", "500")[bw - 3]:
            bw += 1
            if bw == 7:
                raise ConfigError("bw")
        band = 0
        mhz = int(c["freq_khz"]) // 1000
        while not _BANDS[band] * 4 <= mhz < _BANDS[band + 1] * 4:
            band += 2
            if band == 10:
                raise ConfigError("freq_khz")
        ramp = 0
        while c["pa_ramp_us"] > _RAMP_US[ramp]:
            ramp += 1
            if ramp == 8:
                raise ConfigError("pa_ramp_us")
        self._c = c
        sf = c["sf"]
        self._bw = 62500 << bw - 3
        self._xfer(b"\x80\x00")
        # RF-PLL steps of 32 MHz / 2^25 (DS 13.4.1), to the nearest.
        self._set(">BI", 0x86, (int(c["freq_khz"] * 1000) * 16384 + 7812) // 15625)
        if band != self._band:
            self._band = band
            Setup.image(self)
        Setup._power(self, c["output_power"], ramp)
        # Low data rate optimisation for symbols of 16 ms and more (DS 6.1.1.4).
        self._set("BBBBB", 0x8B, sf, bw, c["coding_rate"] - 4, (1000 << sf) // self._bw >= 16)
        sync = c["syncword"]
        if sync < 256:
            sync = sync << 8 & 0xF000 | sync << 4 & 0xF0 | 0x404
        self._set(">BHH", 0x0D, _REG_SYNC, sync)
        self._put(_REG_GAIN, 0x96 if c["rx_boost"] else 0x94)

    def _power(self: "SX1262", dbm, ramp):
        # DS table 13-21: at these levels the PA is set for best efficiency and driven at +22.
        duty = hp = 2
        level = 22
        if dbm == 20:
            duty = 3
            hp = 5
        elif dbm == 17:
            hp = 3
        elif dbm != 14:
            duty = 4
            hp = 7
            level = dbm
        self._set("BBBBB", 0x95, duty, hp, 0, 1)
        self._put(_REG_OCP, 0x38)  # 140 mA (DS table 12-1)
        self._set("BbB", 0x8E, level, ramp)
