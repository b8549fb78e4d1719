"""Lighting plans for tests, in the compact form, and what a fresh node makes of them; no test here."""

from firmware.furniture import calendar, night, plan, schedule, sun
from firmware.furniture.dates import days
from firmware.protocols.cbor import encode

PARIS = "CET-1CEST,M3.5.0,M10.5.0/3"
ANGERS = (474736, -5542)
TROMSO = (696492, 189553)
ALL = [[0, 0, 0]]
H = 3600
SUNRISE = 0
SUNSET = 1
SET, MAX, MIN, ADD, SUB, MUL = range(6)


def wire(month, day, hour=0, minute=0, second=0, year=2026):
    """UTC, as everything here is unless it says local."""
    return days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second


def blob(programs, rules=(), default=0, zone=PARIS, place=ANGERS, noon=12, level=100, civil=0):
    found = encode([1, zone, place[0], place[1], noon, level, civil, programs, list(rules), default])
    plan.check(found)
    return found


def prog(fixed=(), periods=(), astro=(), dynamic=()):
    return [list(periods), [list(f) for f in fixed], list(astro), list(dynamic)]


def table(compact, t):
    """As `night.build`, but the modules stay."""
    day, nights = calendar.day(compact, t)
    return schedule.table(day, sun.nights(*nights) if nights else ())


def at(compact, t):
    """(level, ramp, next, reason) that a fresh node finds at `t`."""
    it = night.Night(table(compact, t))
    return it.at(t) + (it.reason,)


def level(compact, t):
    return at(compact, t)[0]


def switches(compact, t):
    """[(instant, level), ...] of the lighting day of `t`, by walking along `next`."""
    it = night.Night(table(compact, t))
    found = []
    t = it.begin
    while t < it.end:
        now = it.at(t)
        if not found or found[-1][1] != now[0]:
            found.append((t, now[0]))
        assert now[2] > t
        t = now[2]
    return found


EVENING = prog([[22 * H, 40, 10], [5 * H, 80, 30]])


def date(month, day, year=0):
    return (year - 2000 if year else 0) * 512 + month * 32 + day
