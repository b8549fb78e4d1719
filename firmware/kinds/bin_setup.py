"""What a bin does once, at its start: opens its parts. Loaded for that, then dropped."""

from firmware.drivers.errors import DriverError
from firmware.protocols.compat import const, forget

_INVALID = const(1 << 13)
# In the state of a `Watch`: fire and temperature_high.
_STATE = const(11)
_HEAT = const(1032)
# Of hello: settings that this board cannot follow.
_CONFIG = const(1 << 4)


def setup(kind, board, e):
    """Fill in `kind` from the settings `e`; returns its supply and copies, its further parts
    (for bin_fit.py) and how a setting is refused.

    What cannot be is named on the console, in hello and in each reading, and left out; the rest goes on.
    """

    def refuse(*why):
        print("config:", *why)
        kind.alarms = _CONFIG
        kind._mask = _INVALID

    def fitted(role, usual=""):
        try:
            return board.part(role, usual)
        except (DriverError, ImportError) as err:
            refuse(role, *err.args)
            return None
        finally:
            forget("parts")

    kind.alarms = kind._mask = 0
    from firmware.kinds.bin_container import container

    kind._copies = board.copies("watch")
    container(kind, e, refuse)
    del container
    watch = kind._watch
    kind._shape = watch.shape if kind._known else None
    kind._rules, kind._s = watch.r, watch.s
    # The rules come back with each measurement.
    del kind._known, kind._watch, watch
    forget("kinds.bin_container", "furniture")
    kind._range = fitted("range", "a02yyuw")
    supply = fitted("supply", "supply")
    found = [fitted(role) for role in ("tilt", "temperature", "hatch", "compactor", "contacts")]
    # Nobody but a thermometer ends a fire.
    if found[1]:
        kind._bits = kind._s[_STATE] & _HEAT
    else:
        kind._s[_STATE] &= ~_HEAT
    # One that would take the temperature of the air reckons with 20 degC until it has it.
    found.append(e.get(16) or getattr(kind._range, "temp_ddegc", None) is not None)
    return supply, kind._copies, found, refuse
