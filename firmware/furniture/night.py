"""One lighting day as a table, and what holds at an instant of it. Pure; times are wire seconds, by level.

The table is made once a day by modules that do not stay in memory (`build`), because a node's heap is full
without them.
"""

from struct import unpack_from

from firmware.protocols.compat import const, forget

# Mode of a row: 0 the program's level, 1 the photocell decides, 2 outside all active periods, 3 no program and so
# the default level.
_SENSOR = const(1)
_OFF = const(2)
_DEFAULT = const(3)

_DAY = const(86400)
_FAR = const(200000)  # longer ago than any hold time
_ROWS = const(17)


def combine(op, level, by):
    """TALQ's EffectOperation of an event's level `by` on the program's, in per cent: 0 Set, 1 Max, 2 Min, 3 Add,
    4 Sub, 5 Mul (rounded down)."""
    return (
        by,
        max(level, by),
        min(level, by),
        min(100, level + by),
        max(0, level - by),
        level * by // 100,
    )[op]


def build(blob, t):
    """The table of the lighting day that holds `t`, of a plan `blob` that `plan.check` accepted.

    In steps, of which each forgets the code of the one before, so that the largest decides how much heap it takes.
    MemoryError where there is less, and the older table goes on.
    """
    try:
        from firmware.furniture.calendar import day

        found, nights = day(blob, t)
        day = drop()
        if nights:
            from firmware.furniture.sun import nights as around

            nights = around(*nights)
            around = drop()
        from firmware.furniture.schedule import table

        return table(found, nights or ())
    finally:
        drop()


def check(blob):
    """WireError, as `plan.check` has it, for a plan that this node does not keep. In two steps, as `build`."""
    try:
        from firmware.furniture.plan import check as first

        zone = first(blob, False)[1]
        first = drop()
        from firmware.furniture.zone import Zone

        Zone(zone)
    finally:
        drop()


def drop():
    """Forget the modules that only the making of a table or the check of a plan needs."""
    for name in ("plan", "packed", "calendar", "zone", "dates", "sun", "schedule"):
        forget("furniture." + name)


class Night:
    """What a table says, with presence and light as they are now. A newer table replaces the older.

    `reason` after `at`: 0 default, 2 sensor, 3 program. Beyond its own day a table goes on as if each day
    were like it, so that a lamp that gets no new one still has nights.
    """

    def __init__(self, table):
        self.reason = 0
        self._dark = True
        self._here = False
        self._left = -_FAR
        self.load(table)

    def load(self, table):
        self._table = table
        self.begin, self.end, self._on, self._off, self._rows = unpack_from(">iiIIB", table)

    def light(self, lux_e2):
        """Take a reading of the photocell in 1/100 lux; None when it says nothing, which counts as dark."""
        if lux_e2 is None or lux_e2 < self._on:
            self._dark = True
        elif lux_e2 > self._off > 0:
            self._dark = False

    def presence(self, t, present):
        """Somebody is there, or not, from `t` on."""
        if present or self._here:
            self._left = t
        self._here = present

    def at(self, t):
        """(level %, ramp s, next): what holds at `t`; it stays so until `next`, or a call of light or presence."""
        shift = 0
        if not self.begin <= t < self.end:
            shift = (t - self.begin) // _DAY * _DAY
            t -= shift
        table = self._table
        since = level = ramp = mode = 0
        until = self.end
        end = _ROWS + 8 * self._rows
        for pos in range(_ROWS, end, 8):
            row = unpack_from(">iBHB", table, pos)
            if row[0] > t:
                until = row[0]
                break
            since, level, ramp, mode = row
        self.reason = 0 if mode == _DEFAULT else 3
        if mode == _SENSOR and not self._dark:
            level = ramp = 0
        elif mode < _OFF:
            for pos in range(end, len(table), 16):
                start, stop, op, operand, hold, rise, fall = unpack_from(">iiBBHHH", table, pos)
                if start > t:
                    until = min(until, start)
                elif t < stop:
                    over = self._left - shift + hold
                    if self._here or over - hold <= t < over:
                        self.reason = 2
                        if not self._here:
                            stop = min(stop, over)
                        return combine(op, level, operand), rise, min(until, stop) + shift
                    if since <= over <= t:
                        ramp = fall
        return level, ramp, until + shift
