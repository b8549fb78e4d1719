"""What every kind looks at when its board wakes."""

import sys

from firmware.drivers.errors import DriverError
from firmware.protocols.compat import const, forget

_LOW = const(1 << 8)
_MARGIN_MV = const(100)


def low_supply(supply, mask, low_mv):
    """(mV or None, mask with or without the alarm `battery_low`); it ends 100 mV above, and stands while the
    supply cannot be read."""
    mv = None
    low = mask & _LOW
    try:
        if supply:
            mv = supply.read_mv()
            low = _LOW if mv < low_mv + (_MARGIN_MV if low else 0) else 0
    except DriverError:
        pass
    return mv, mask & ~_LOW | low


def forget_drivers():
    """Before the application is loaded: all but their errors, which it knows, too."""
    name = "firmware.drivers.errors"
    errors = sys.modules[name]
    forget("drivers")
    sys.modules[name] = errors
