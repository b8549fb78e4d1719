"""What a cabinet does once, at its start: opens its parts. Loaded for that, then dropped."""

import struct

from firmware.drivers.contact import numbered
from firmware.drivers.errors import DriverError
from firmware.furniture.cabinet import Cabinet
from firmware.protocols.compat import const, forget

# Of hello: settings that this board cannot follow.
_CONFIG = const(1 << 4)
# Settings 1 to 11, 18 and 19: names, least, most, and what holds where none or a wrong one is given.
_NAMES = "default_on may_off on_s off_s idle_w least_w most_w low_v high_v dark_lux light_lux meter_s phases"
_LEAST = b"\0\0\0\0\0\0\0\1\1\0\1\1\1"
# A contactor that stays for longer would sit out a command of ten minutes.
_MOST = (1, 1, 600, 600, 1000000, 1000000, 1000000, 500, 500, 100000, 100000, 3600, 3)
_USUAL = b"\x01\x01\x3c\x3c\x32\x00\x00\xcf\xfd\x23\x46\x3c\x03"
_INPUTS = b"\x65\x02\x00\x03\x00\x00"


def checked(e, refuse):
    """The 13 settings in the order of `_NAMES`; one that cannot be is refused by name and the usual one holds."""
    names = _NAMES.split()
    given = list(_USUAL)
    for i in range(13):
        n = e.get(i + 1 if i < 11 else i + 7, given[i])
        if _LEAST[i] <= n <= _MOST[i]:
            given[i] = n
        else:
            refuse(names[i], n)
    # Lower bounds below their upper ones; most_w may be none.
    for i in (5, 7, 9):
        if given[i] >= given[i + 1] and (i > 5 or given[6]):
            refuse(names[i], names[i + 1])
            given[i : i + 2] = list(_USUAL[i : i + 2])
    return given


def setup(board, e, copies, programme):
    """(alarms of hello, contactor, Cabinet, Wh before this start, meter, Sky, [contact, level for yes, ...], s
    between readings, phases). What cannot be is named on the console and in hello, and left out."""
    alarms = []

    def refuse(*why):
        print("config:", *why)
        alarms.append(_CONFIG)

    found = []
    # The contactor first; contacts last, they get what is free by then.
    for role, usual in (
        ("contactor", "relay"),
        ("energy", "modbus_meter"),
        ("photocell", ""),
        ("contacts", "contacts"),
    ):
        part = None
        try:
            part = board.part(role, usual)
        except (DriverError, ImportError) as error:
            refuse(role, *error.args)
        found.append(part)
        forget("parts")
    out, meter, cell, contacts = found
    given = checked(e, refuse)
    cabinet = Cabinet(
        given[0] > 0, given[1] > 0, *given[2:7], low_mv=given[7] * 1000, high_mv=given[8] * 1000
    )
    blob = copies.read()
    base_wh = 0
    if blob and len(blob) == 12:
        cabinet.burn_s, cabinet.switches, base_wh = struct.unpack(">III", blob)
    sky = None
    if cell:
        from firmware.kinds.cabinet_sky import Sky

        sky = Sky(cell, given[9], given[10], programme)
    wired = [None, True] * 6
    # Those that the settings name come first; of the usual ones only what is there and free.
    for usual in (0, 1):
        for i in range(6):
            if usual != (12 + i in e):
                n = e.get(12 + i, _INPUTS[i])
                wired[2 * i : 2 * i + 2] = numbered(contacts, n, _nobody if usual else refuse)
    return (_CONFIG if alarms else 0), out, cabinet, base_wh, meter, sky, wired, given[11], given[12]


def _nobody(*why):
    pass
