"""HLW8012, CSE7759 and BL0937 energy meters with pulse outputs.  DS = HLW8012 data sheet; BL0937 data sheet.

Energy result: `read()` (raises), then voltage_mv, current_ma, power_mw, energy_mwh, frequency_mhz or None.

CF pulses with power and energy, CF1 with voltage or current as SEL chooses: `read` turns SEL, so each of the
two is new every second to fourth call. Power is the mean since the last call, 0 after `zero_ms` without a
pulse (10 s: below 1 W at 1 mOhm). Interrupts are soft: one lost in a stall lowers that reading by its pulse.
Not supported: machine.Counter/PCNT, a part whose SEL is fixed.
"""

import time

from firmware.drivers.errors import ConfigError, NotReady
from firmware.protocols.compat import const

_MASK = const(0x3FFFFFFF)
# After SEL has changed CF1 is no measurement: RMS conversion (DS) and the pulse that straddles the change.
_SETTLE_MS = const(1000)
# Half a second of voltage at 230 V: some interrupts may share one time behind a stall of the program.
_ENOUGH = const(300)
_SHORT_US = const(500000)

# uW, uA, uV per Hz with 1 mOhm and a divider of 2351 (DS formulas: HLW8012 2.43 V, 3.579 MHz; BL0937 1.218 V).
HLW8012_SCALE = (10343612, 14484, 408637)
BL0937_SCALE = (2025996, 12870, 185979)


class HLW8012:
    """cf, cf1: pins with `irq`; sel: callable pin, its level `sel_volts` chooses voltage.

    scale: uW, uA, uV per Hz. *_ppm: added to it, +-300000. energy_mwh: where an earlier run ended.
    """

    def __init__(
        self,
        cf,
        cf1,
        sel,
        scale=HLW8012_SCALE,
        v_ppm=0,
        i_ppm=0,
        p_ppm=0,
        energy_mwh=0,
        sel_volts=1,
        zero_ms=10000,
        clock=time,
    ):
        s = []
        for k, ppm in zip(scale, (p_ppm, i_ppm, v_ppm)):
            if k <= 0 or not -300000 <= ppm <= 300000:
                raise ConfigError("scale", k, ppm)
            s.append(k * (1000000 + ppm) // 1000000)
        self._scale = s
        self._cf1 = cf1
        self._sel = sel
        self._high = sel_volts
        self._zero = zero_ms
        self._ms = clock.ticks_ms
        self._us = clock.ticks_us
        self._diff = clock.ticks_diff
        self._base = energy_mwh
        self._pulses = 0
        # Power: count and time of the newest pulse, and of the one the next reading starts from (-1: none).
        self._n = self._got = 0
        self._n0 = -1
        self._t = self._t0 = self._ms()
        self.voltage_mv = self.current_ma = self.power_mw = self.frequency_mhz = None
        self.energy_mwh = energy_mwh
        cf.irq(self._on_cf, cf.IRQ_RISING)
        self._amps = True
        self._turn()

    def _on_cf(self, _):
        t = self._ms()
        n = self._n + 1 & _MASK
        # Negative: more than 6.2 days, half of what the ticks count; here and below.
        if self._n0 < 0 or not 0 <= self._diff(t, self._t) <= self._zero:
            # The first after a pause ends no period.
            self._n0 = n
            self._t0 = t
        self._t = t
        self._n = n

    def _on_cf1(self, _):
        # Not later than `zero_ms` either: `read` may come hours later, and microseconds wrap.
        if not 0 <= self._diff(self._ms(), self._at) - _SETTLE_MS <= self._zero:
            return
        t = self._us()
        k = self._k
        if not k:
            self._u0 = t
        self._u = t
        self._k = k = k + 1
        if k >= _ENOUGH:
            self._cf1.irq(None)

    def _turn(self):
        self._amps = not self._amps
        self._cf1.irq(None)
        self._sel(self._high ^ self._amps)
        self._k = self._u0 = self._u = 0
        self._at = self._ms()
        self._cf1.irq(self._on_cf1, self._cf1.IRQ_RISING)

    def _rms(self, now):
        """CF1: take the quantity and choose the other one, when there were pulses or long enough none."""
        over = not 0 <= self._diff(now, self._at) <= self._zero + _SETTLE_MS
        while True:
            k = self._k
            us = self._diff(self._u, self._u0)
            if k == self._k:
                break
        if k < 2 or us <= 0:
            if not over:
                return
            value = 0
        elif over or k >= _ENOUGH or us >= _SHORT_US:
            value = self._scale[1 if self._amps else 2] * (k - 1) * 1000 // us
        else:
            return
        if self._amps:
            self.current_ma = value
        else:
            self.voltage_mv = value
        self._turn()

    def read(self):
        """What the pulses say; waits for nothing. NotReady before the first power, up to `zero_ms`."""
        while True:  # an interrupt between the two
            n = self._n
            t = self._t
            n0 = self._n0
            t0 = self._t0
            if n == self._n:
                break
        now = self._ms()
        self._rms(now)
        self._pulses += n - self._got & _MASK
        self._got = n
        w = self._scale[0]
        self.energy_mwh = self._base + self._pulses * w // 3600000
        idle = self._diff(now, t)
        d = n - n0 & _MASK if n0 >= 0 else 0
        ms = self._diff(t, t0)
        if d and ms > 0:
            self.power_mw = w * d // ms
            self._n0 = n
            self._t0 = t
        else:
            if ms < 0 or not 0 <= idle <= self._zero:
                self._n0 = -1  # the next pulse ends no period, however late it comes
                if not d:
                    self.power_mw = 0
            if self.power_mw is None:
                raise NotReady("hlw8012")
        if idle > 1000 and self.power_mw:
            # Light that went down: no more than one pulse in the time without one.
            self.power_mw = min(self.power_mw, w // idle)
