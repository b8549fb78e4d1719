"""Settings that a DALI gear keeps, written and read back (IEC 62386-102; LED drivers also -207).

The read-back is what makes the last safety net sure: a bus without supply (FAILURE) and a gear that gets its
supply before the node speaks (POWER_ON) must light a lamp. Each returns True when it was read back, False on a
bus without reply path, and raises ChipError with what the gear has instead. Of one gear at a time.
"""

from firmware.drivers.errors import ChipError, ConfigError
from firmware.protocols.dali import command, special

# For `store`: the command, then the query. Levels 1..254; the last two also 0, and 255 for "as it was".
MAX = 0x2AA1
MIN = 0x2BA2
FAILURE = 0x2CA4
POWER_ON = 0x2DA3


def _write(gear, op, value):
    if not 0 <= value <= 255:
        raise ConfigError("value")
    gear.bus.send(special(0xA3, value), 3)
    gear.bus.twice(command(gear.target, op), 1)


def _check(got, value):
    if got != value:
        raise ChipError("dali", got)
    return True


def store(gear, what, level):
    """Write one of the four levels above."""
    _write(gear, what >> 8, level)
    return gear.bus.hears and _check(gear.query(what & 255, 1), level)


def fade(gear, n):
    """Set the fade time: 0 none, 1..15 is 0.5 s * sqrt(2^n), 0.7 to 90.5 s."""
    if not 0 <= n <= 15:
        raise ConfigError("fade")
    _write(gear, 0x2E, n)
    return gear.bus.hears and _check(gear.query(0xA5, 1) >> 4, n)


def curve(gear):
    """Ask an LED driver for its dimming curve and note it in the gear; True when it is linear."""
    gear.bus.send(special(0xC1, 6), 3)
    gear.linear = gear.query(0xEE, 1) == 1
    return gear.linear


def set_curve(gear, linear):
    """Select the dimming curve of an LED driver."""
    bus = gear.bus
    bus.send(special(0xA3, 1 if linear else 0), 3)
    # Holds for the next command; the two frames of a pair are one.
    bus.send(special(0xC1, 6), 1)
    bus.twice(command(gear.target, 0xE3), 1)
    gear.linear = linear
    return bus.hears and _check(curve(gear), linear)


def member(gear, group, joins=True):
    """Put the gear into a group 0..15, or take it out."""
    if not 0 <= group <= 15:
        raise ConfigError("group")
    gear.bus.twice(command(gear.target, (0x60 if joins else 0x70) + group))
    return gear.bus.hears and _check(groups(gear) >> group & 1, 1 if joins else 0)


def groups(gear):
    """The groups a gear is in, one bit each."""
    return gear.query(0xC0, 3) | gear.query(0xC1, 1) << 8
