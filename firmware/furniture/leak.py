"""Leak meter: hourly volumes, flow and the rules for leaks over a meter's index. Pure; litres, milliseconds.

What one household uses is class 1 (TRUST 14): it is told in hourly sums at fixed slots, never on change.
The defaults and what they cost in false alarms: docs/guides/leak.md.
"""

from array import array

from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

NONE = const(0)
SUSPECTED = const(1)
DETECTED = const(2)

# Bits of `rules`: what says so. Bits of `alarms` are those of the field table.
CONTINUOUS = const(1)
NIGHT = const(2)
CUSUM = const(4)
_BACK = const(4)
_BLOCKED = const(8)
_HIGH = const(32)

# 0, 1 hours without a dry one until suspected, until detected; 2, 3 first hour and hours of the night; 4, 5
# margin of the night line in 0.1 l/h and in % of it; 6 nights above it; 7, 8 slack and limit of CUSUM in
# 0.1 l/h; 9, 10 high flow in l/h and its hours; 11 dry hours of a blocked meter; 12 litres of back flow;
# 13 most litres in an hour. A number that is never reached turns a rule off.
RULES = (24, 72, 2, 3, 20, 20, 3, 30, 200, 400, 2, 336, 10, 10000)

HOURS = const(4)
_NIGHTS = const(10)  # that the night line remembers (LeakDB's reference)
_MOST_L = const(100000)  # of an hour, in the field table
_SHORT_MS = const(1500000)
_LONG_MS = const(5400000)
_SWAP_L = const(1000)  # a greater fall is another meter or a register begun anew
_IN_USE_H = const(24)  # hours with water before a dry meter can be called blocked

# Words of the state behind the nights' minima.
_N = const(10)  # nights remembered, up to 10
_AT = const(11)  # where the next one goes
_MEAN = const(12)  # usual night flow, 1/16 of 0.1 l/h
_SUM = const(13)  # of CUSUM
_OVER = const(14)  # nights above the line
_WET = const(15)  # hours without a dry one
_DRY = const(16)
_USED = const(17)  # hours with water, up to _IN_USE_H
_RUN = const(18)  # hours of high flow
_BEHIND = const(19)  # litres below the highest index
_MS = const(20)  # since the last closed hour
_RULES = const(21)
_ALARMS = const(22)
_COUNT = const(23)  # hours of this night, which follow
_WORDS = const(36)


def check(rules):
    """WireError("config", "leak") for rules that make no sense."""
    ok = len(rules) == 14
    for i, n in enumerate(rules):
        ok = ok and isinstance(n, int) and (i not in (2, 5)) <= n <= 100000
    if not ok or rules[1] < rules[0] or rules[2] > 23 or rules[3] > 12:
        raise WireError("config", "leak")


def night_line(values, n=4, least=92):
    """Lowest sum of `n` values in a row; -1 where fewer than `least` are known. Negative values are unknown."""
    low = -1
    known = 0
    for i in range(len(values)):
        part = values[i : i + n]
        known += part[0] >= 0
        if len(part) == n and min(part) >= 0 and (low < 0 or sum(part) < low):
            low = sum(part)
    return low if known >= least else -1


def above(low, usual, percent, margin=0):
    """Whether a night's minimum stands out of the `usual` ones, by more than the share and the margin."""
    base = min(usual)
    return (low - base) * 100 > max(percent * base, margin * 100)


def cusum(total, x, mean, slack):
    """One step of the upper cumulative sum."""
    return max(0, total + x - mean - slack)


class Leak:
    """`hour(index_l, ms, of_day)` once an hour; `hourly` holds the last four volumes, newest first, `flow_dlh`
    the mean flow of the last hour in 0.1 l/h, None where none is known.

    `state` sums the rules up, `rules` has the bits of those that say so, `alarms` the field table's bits.
    `kept`: the bytes of `s`, which a node that sleeps between hours stores; others are not taken up.
    """

    def __init__(self, index_l=0, rules=RULES, kept=None):
        self.index_l = index_l
        self.hourly = []
        self.flow_dlh = None
        self.r = rules
        self.s = s = array("i", kept if kept and len(kept) == 4 * _WORDS else bytes(4 * _WORDS))
        self.rules = s[_RULES]
        self.alarms = s[_ALARMS]
        self.state = self.alarms & 3

    def hour(self, index_l, ms=3600000, of_day=-1):
        """Close an hour at meter index `index_l`, `ms` after the last one; `of_day` is the local hour in its
        middle, -1 where nobody knows the time: then the rules of the night rest.

        A reading within 25 minutes of the last (a repeated one) waits for the next. After more than 90 the
        volume is known and its hours are not. A volume that no meter passes, or a fall of the index
        by more than 1 m3, is a new start of the register: no volume is made up.
        """
        s = self.s
        r = self.r
        ms += s[_MS]
        s[_MS] = ms if 0 <= ms < _SHORT_MS else 0
        if ms < _SHORT_MS:
            return
        used = index_l - self.index_l
        self.index_l = index_l
        hours = (ms + 1800000) // 3600000
        known = ms <= _LONG_MS
        self.flow_dlh = None
        if used < -_SWAP_L or used > r[13] * max(hours, 1):
            self.hourly = []
            s[_BEHIND] = 0
            return
        # What went back was counted before: the register passes it a second time.
        behind = max(0, s[_BEHIND] - used)
        used = max(0, used - s[_BEHIND])
        s[_BEHIND] = behind
        self.flow_dlh = flow = min(used * 36000000 // ms, 10 * _MOST_L)
        self.hourly = ([min(used, _MOST_L)] + self.hourly)[:HOURS] if known else []
        self._wet(used, hours, known)
        s[_RUN] = min(s[_RUN] + 1, 1000) if known and flow >= r[9] * 10 else 0
        self._night(flow, of_day, known)
        wet = s[_WET]
        rules = s[_RULES] & ~CONTINUOUS
        if wet >= r[0] or (wet and s[_RULES] & CONTINUOUS):
            rules |= CONTINUOUS
        alarms = SUSPECTED if rules else 0
        if wet >= r[1] or (wet and self.state == DETECTED):
            alarms = DETECTED
        self.state = alarms
        if s[_RUN] >= r[10] or (flow >= r[9] * 5 and s[_ALARMS] & _HIGH):
            alarms |= _HIGH
        if behind >= r[12] or (behind and s[_ALARMS] & _BACK):
            alarms |= _BACK
        if s[_DRY] >= r[11]:
            alarms |= _BLOCKED
        s[_ALARMS] = self.alarms = alarms
        s[_RULES] = self.rules = rules

    def _wet(self, used, hours, known):
        s = self.s
        if used:
            s[_DRY] = 0
            if known:
                s[_WET] = min(s[_WET] + 1, self.r[1])
                s[_USED] = min(s[_USED] + 1, _IN_USE_H)
        else:
            # A leak that drips below a litre an hour has dry hours, too: an episode survives single ones.
            s[_WET] = max(0, s[_WET] - 24 * hours) if s[_RULES] & CONTINUOUS else 0
            if s[_USED] == _IN_USE_H:
                s[_DRY] = min(s[_DRY] + hours, 30000)

    def _night(self, flow, of_day, known):
        s = self.s
        r = self.r
        n = s[_COUNT]
        if of_day >= 0 and (of_day - r[2]) % 24 < r[3]:
            if known and n < r[3]:
                s[_COUNT] = n + 1
                s[_COUNT + 1 + n] = flow
            return
        s[_COUNT] = 0
        night = s[_COUNT + 1 : _COUNT + 1 + n]
        low = night_line(night, 1, r[3] - 1)
        if low < 0:
            return
        out = s[_N] == _NIGHTS and above(low, s[:_NIGHTS], r[5], r[4])
        s[_OVER] = min(s[_OVER] + 1, 1000) if out else 0
        # One night of bath or irrigation may bring a third of the way at most.
        x = sum(night) // n
        usual = s[_MEAN] // 16
        share = s[_N] + 1
        if share > _NIGHTS:
            share = 16
            x = min(x, usual + r[7] + r[8] // 3)
            s[_SUM] = min(cusum(s[_SUM], x, usual, r[7]), 2 * r[8])
        # Four times slower in suspicion: a small leak is found before it is usual, a new habit ends as one.
        s[_MEAN] += (x * 16 - s[_MEAN]) // (share * 4 if s[_SUM] else share)
        if not out:
            s[s[_AT]] = low
            s[_AT] = (s[_AT] + 1) % _NIGHTS
            s[_N] = min(s[_N] + 1, _NIGHTS)
        rules = s[_RULES] & CUSUM if s[_SUM] else 0
        if s[_SUM] > r[8]:
            rules = CUSUM
        if s[_OVER] >= r[6]:
            rules |= NIGHT
        s[_RULES] = s[_RULES] & CONTINUOUS | rules
