"""What a bin does once, at its start: opens its parts. Loaded for that, then dropped."""

from firmware.drivers.errors import DriverError
from firmware.protocols.compat import const, forget

_INVALID = const(1 << 13)
# Of hello: settings that this board cannot follow.
_CONFIG = const(1 << 4)
_ROLES = ("tilt", "temperature", "hatch", "compactor", "contacts")


def setup(kind, board, e):
    """Fill in `kind` from the settings `e`; returns its supply, copies, extras and outputs.

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
    kind._shape, kind._rules, kind._s = watch.shape, watch.r, watch.s
    # The rules come back with each measurement.
    kind._watch = watch = None
    forget("kinds.bin_container", "furniture.bin_check", "furniture.bin", "furniture.geometry")
    kind._range = fitted("range", "a02yyuw")
    supply = fitted("supply", "supply")
    found = [fitted(role) for role in _ROLES]
    more = outs = None
    if found[0] or found[1] or found[4]:
        from firmware.kinds.bin_extras import Extras

        more = Extras(e, found, refuse)
    if found[2] or found[3]:
        from firmware.kinds.bin_outputs import Outputs

        outs = Outputs(e, found, refuse, kind._cycles)
    kind._air = e.get(16, 0)
    kind._low_mv = e.get(15, 3300)
    kind._quiet_ms = e.get(14, 14400) * 1000
    return supply, kind._copies, more, outs
