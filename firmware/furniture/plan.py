"""The compact lighting plan: what a node accepts. Loaded when a plan arrives, dropped afterwards.

The form, deterministic CBOR of at most 700 bytes, is that of docs/decisions/0013: [1, time zone, latitude,
longitude (1/10000 degree), day offset 0 or 12, default %, sun 0 official 1 civil, [program...], [rule...],
default program or -1].
"""

from firmware.furniture.dates import civil, days
from firmware.protocols.cbor import WireError, decode
from firmware.protocols.compat import const

SIZE = const(700)
_PROGRAMS = const(8)
_RULES = const(24)
_FIXED = const(12)
# Periods, astronomical and dynamic controls of a program, each.
_FEW = const(4)
_DATES = const(8)

_DAY = const(86400)
# Fields of rows, from 0 to: level, kind of period, 1/100 lux, seconds, offset in minutes (a capital may be
# negative), operation, second of the day (a capital may be -1: always), yes or no.
_MOST = {"l": 100, "k": 3, "x": 20000000, "r": 65535, "m": 720, "o": 5, "s": 86399, "b": 1}
_PERIODS = "kss", "kMM", "kxx", "kMMmmxx"


def _refuse(part):
    part = "plan_" + part
    raise WireError(part)


def _int(value, least, most, part):
    if type(value) is not int or not least <= value <= most:
        _refuse(part)


def _row(row, fields):
    if not isinstance(row, list) or len(row) != len(fields):
        _refuse("program")
    for n, value in enumerate(row):
        field = fields[n]
        most = _MOST[field.lower()]
        _int(value, 0 if field > "a" else -1 if field == "S" else -most, most, "program")


def _rows(rows, most, part="program"):
    if not isinstance(rows, list):
        _refuse(part)
    if len(rows) > most:
        _refuse("limit")
    return rows


def _program(program, noon):
    if len(_rows(program, 4)) != 4:
        _refuse("program")
    lux = []
    for row in _rows(program[0], _FEW):
        if not _rows(row, 7):
            _refuse("program")
        _int(row[0], 0, 3, "program")
        _row(row, _PERIODS[row[0]])
        if row[0] > 1:
            # One photocell, one pair of thresholds: two pairs could contradict each other.
            lux = lux or row[-2:]
            if row[-2] > row[-1] or lux != row[-2:]:
                _refuse("program")
    last = -1
    for row in _rows(program[1], _FIXED):
        _row(row, "slr")
        at = (row[0] - noon) % _DAY
        if at <= last:
            _refuse("program")
        last = at
    for row in _rows(program[2], _FEW):
        _row(row, "Mbolr")
    for row in _rows(program[3], _FEW):
        _row(row, "SSolrrr")
        if (row[0] ^ row[1]) < 0:
            _refuse("program")


def _date(value, most=51199):
    # With its year, or of every year: 2024 stands for that, it has a 29 February.
    _int(value, 33, most, "calendar")
    date = (2000 + (value >> 9 or 24), value >> 5 & 15, value & 31)
    if not 1 <= date[1] <= 12 or civil(days(*date)) != date:
        _refuse("calendar")


def _rule(rule, count):
    if len(_rows(rule, 4, "calendar")) != 4:
        _refuse("calendar")
    program, start, end, cond = rule
    _int(program, 0, count - 1, "calendar")
    _date(start)
    _date(end)
    if start > end > 511:
        _refuse("calendar")
    if not isinstance(cond, list):
        _int(cond, 0, 0, "calendar")
        return
    if len(cond) == 2:
        _int(cond[0], 1, 1, "calendar")
        for row in _rows(cond[1], _DATES, "calendar"):
            if len(_rows(row, 2, "calendar")) != 2:
                _refuse("calendar")
            _int(row[0], 1, 511, "calendar")
            _int(row[1], row[0], 511 if row[0] > 31 else 31, "calendar")
            if row[0] > 31:
                _date(row[0], 511)
                _date(row[1], 511)
    elif len(cond) == 3:
        _int(cond[0], 2, 2, "calendar")
        _int(cond[1], 1, 127, "calendar")
        _int(cond[2], 1, 63, "calendar")
    else:
        _refuse("calendar")


def check(blob, zoned=True):
    """The decoded plan. WireError: plan_format, plan_zone (left to the caller where `zoned` is false),
    plan_position, plan_program, plan_calendar, or plan_limit where it has more of something than this node
    keeps."""
    if len(blob) > SIZE:
        _refuse("limit")
    try:
        plan = decode(blob, 0, None, 6, SIZE)
        version, zone, lat, lon, noon, default, sun, programs, rules, fallback = plan
    except (WireError, TypeError, ValueError):
        raise WireError("plan_format")
    _int(version, 1, 1, "format")
    _int(noon, 0, 12, "format")
    _int(default, 0, 100, "format")
    _int(sun, 0, 1, "format")
    if noon % 12:
        _refuse("format")
    if zoned:
        from firmware.furniture.zone import Zone

        Zone(zone)
    _int(lat, -899000, 899000, "position")
    _int(lon, -1800000, 1800000, "position")
    for program in _rows(programs, _PROGRAMS):
        _program(program, noon * 3600)
    for rule in _rows(rules, _RULES, "calendar"):
        _rule(rule, len(programs))
    _int(fallback, -1, len(programs) - 1, "calendar")
    return plan
