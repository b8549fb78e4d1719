"""Cabinet: the clock of a whole feeder. Contactor by programme, what goes wrong in the box, energy. Pure."""

from firmware.furniture.alarms import Alarms
from firmware.protocols.compat import const

# Reasons of the state in effect: numbers of the schema's `reason` state (2: the photocell).
DEFAULT = const(0)
OVERRIDE = const(1)
PROGRAM = const(3)
LOCAL = const(4)

# Bits of the field table's `alarms`.
_DOOR = const(0)
_BREAKER = const(1)
_LEAKAGE = const(2)
_WELDED = const(3)
_OPEN = const(4)
_PHOTOCELL = const(5)
_PHASE = const(6)
_SUPPLY_LOW = const(7)
_SUPPLY_HIGH = const(8)
_POWER_LOW = const(9)
_POWER_HIGH = const(10)

_LONGEST_S = const(86400)
# Contact, feedback and meter have settled this long after the coil's command.
_SETTLE_MS = const(2000)
# Clouds and the plan's own offsets keep photocell and almanac apart for less than this.
_AGREE_MS = const(3600000)
_STEP_MS = const(10000)
# An alarm of the supply ends this far inside its bound; a phase is lost below half its lower bound.
_MARGIN_MV = const(7000)
# Watt milliseconds of a watt-hour.
_WH = const(3600000)


class Cabinet(Alarms):
    """default: state without plan and time; may_off: whether a command may darken the feeder; on_s and off_s:
    shortest times that the contactor stays so; idle_w: most that an unlit feeder draws; least_w and most_w:
    bounds of the lit feeder's power, 0 none; low_mv and high_mv: bounds of each phase.

    `watch`, then `step`: `on` for the coil, `want` what it follows as soon as its times allow, and `reason`;
    `power_w` in all. The owner keeps `energy_wh`, `burn_s` and `switches` over a restart. A switch that
    bypasses the contactor without being wired as `local` looks like a welded one.
    """

    def __init__(
        self,
        default=True,
        may_off=True,
        on_s=60,
        off_s=60,
        idle_w=50,
        least_w=0,
        most_w=0,
        low_mv=207000,
        high_mv=253000,
        samples=2,
    ):
        super().__init__(11, samples)
        self._default = default
        self._may_off = may_off
        self._times = (off_s * 1000, on_s * 1000)
        self._idle = idle_w
        self._least = least_w
        self._most = most_w
        self._low = low_mv
        self._high = high_mv
        self.on = self.want = self.power_w = None
        self.reason = DEFAULT
        self.energy_wh = self.burn_s = self.switches = 0
        self._rest = _WH // 2  # so that losing it at each restart is no bias
        self._ms = self._last = self._at = self._agreed = self._ask = self._end = 0

    def override(self, now, on, for_s):
        """Hold the feeder on or off; newer replaces older. None, or: ttl, local_override, below_floor."""
        if not 1 <= for_s <= _LONGEST_S:
            return "ttl"
        if self.reason == LOCAL:
            return "local_override"
        if not on and not self._may_off:
            return "below_floor"
        self._ask = on
        self._end = now + for_s * 1000
        return None

    def resume(self):
        """Back to the programme."""
        self._end = 0

    def step(self, now, plan=None, reason=PROGRAM, local=None):
        """Go on to monotonic `now` (ms). plan: on or off by the programme or the photocell, and which of them
        is the reason; None without plan or time; local: the switch in the box, None in automatic. Returns the
        milliseconds until the next step."""
        ms = now - self._last
        self._last = now
        if self.on:
            self._ms += ms
            self.burn_s += self._ms // 1000
            self._ms %= 1000
        if self.power_w:
            self._rest += self.power_w * ms
            self.energy_wh += self._rest // _WH
            self._rest %= _WH
        wait = _STEP_MS
        if local is not None:
            plan, reason = local, LOCAL
        elif now < self._end:
            plan, reason = self._ask, OVERRIDE
            wait = min(wait, self._end - now)
        elif plan is None:
            plan, reason = self._default, DEFAULT
        self.reason = reason
        self.want = plan = bool(plan)
        if plan != self.on:
            # A person at the switch does not wait, nor does the first state after a start.
            if self.on is not None and local is None:
                left = self._times[self.on] - now + self._at
                if left > 0:
                    return min(wait, left)
            self.on = plan
            self._at = now
            self.switches += plan
        return wait

    def watch(self, now, inputs, watts=None, millivolts=None, closed=None, night=None):
        """One sample. inputs: door open, breaker tripped, earth leakage, photocell dark; watts, millivolts: of
        each phase; closed: the contactor's feedback; night: what the almanac says. None is not known. Returns
        the bits that began or ended with this sample; `mask` tells which."""
        before = self.mask
        for bit in (_DOOR, _BREAKER, _LEAKAGE):
            self.judge(bit, inputs[bit])
        dark = inputs[3]
        apart = None if night is None or dark is None else dark != night
        if not apart:
            self._agreed = now
        self.judge(_PHOTOCELL, apart and now - self._agreed >= _AGREE_MS)
        self.power_w = None if watts is None else sum(watts)
        if millivolts:
            worst = min(millivolts)
            lost = worst * 2 < self._low
            self.judge(_PHASE, lost)
            self.above(_SUPPLY_LOW, None if lost else -worst, -self._low, _MARGIN_MV)
            self.above(_SUPPLY_HIGH, max(millivolts), self._high, _MARGIN_MV)
        if self.on is not None and now - self._at >= _SETTLE_MS:
            self._contact(closed, inputs[_BREAKER])
        return before ^ self.mask

    def _contact(self, closed, breaker):
        power = self.power_w
        live = None if power is None else power > self._idle
        if not self.on:
            self.judge(_WELDED, live if closed is None else closed or bool(live))
            return
        if closed is not None:
            self.judge(_OPEN, not closed)
        elif not breaker and live is not None:
            # A tripped breaker takes the power away, too.
            self.judge(_OPEN, not live)
        if live is not None and closed is not False:
            if self._least and not breaker:
                self.judge(_POWER_LOW, power < self._least)
            if self._most:
                self.judge(_POWER_HIGH, power > self._most)
