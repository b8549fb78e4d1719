"""Luminaire: what a level becomes at the output, what that should draw, and what has been used so far."""

from firmware.protocols.compat import const

# Centiwatt milliseconds of a watt-hour: small integers up to 1 kW over 10 s.
_WH = const(360000000)


def line(table, x, scale=1):
    """`scale` times the value at `x` of the flat table x0, y0, x1, y1 ..; straight between, level outside."""
    i = 0
    while i < len(table) - 2 and x >= table[i + 2]:
        i += 2
    y = table[i + 1] * scale
    if x > table[i] and i < len(table) - 2:
        y += (table[i + 3] * scale - y) * (x - table[i]) // (table[i + 2] - table[i])
    return y


def valid(table, most):
    """Whether `line` may have this table: pairs, x rising from 0 or more, each y 1..`most`."""
    last = -1
    for i in range(0, len(table) & ~1, 2):
        if table[i] <= last or not 0 < table[i + 1] <= most:
            return False
        last = table[i]
    return not len(table) & 1


class Luminaire:
    """full: what full light is in % of what it can (TALQ virtualLightOutput); least: lowest % that its driver
    can; clo: flat table hours, %, hours, % .. of constant light output. Anything that is not 1..100 % counts
    as if not given.

    After `step`: `output` in 1/1000; `light` the same without the virtual level, which is what power follows.
    The owner keeps `burn_s`, `energy_wh` and `switches` over a restart.
    """

    def __init__(self, full=100, least=0, clo=()):
        self._full = full if 0 < full <= 100 else 100
        self._least = least * 10 if 0 < least <= 100 else 0
        self._clo = clo if clo and valid(clo, 100) else (0, 100)
        self.burn_s = self.energy_wh = self.switches = 0
        self._rest = _WH // 2  # so that losing it at each restart is no bias
        self._last = self._ms = 0
        # Lit since power-on, by the hardware's default.
        self.output = self.light = 1000
        self._dark = True

    def step(self, now, level, power_mw=None):
        """`level` % holds from monotonic `now` (ms) on; until now `power_mw` was drawn, None: not measured."""
        ms = now - self._last
        self._last = now
        if self.output:
            self._ms += ms
            self.burn_s += self._ms // 1000
            self._ms %= 1000
        if power_mw and power_mw > 0:
            self._rest += (power_mw + 5) // 10 * ms
            self.energy_wh += self._rest // _WH
            self._rest %= _WH
        if level and self._dark:
            self.switches += 1
        self._dark = not level
        # Command, virtual level, CLO, in this order; then what the driver can.
        clo = line(self._clo, self.burn_s // 3600, 10)
        self.output = max((level * self._full * clo + 5000) // 10000, self._least) if level else 0
        self.light = min(1000, self.output * 100 // self._full)
