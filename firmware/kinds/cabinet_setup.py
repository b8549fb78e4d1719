"""What a cabinet does once, at its start: opens its parts. Loaded for that, then dropped."""

import struct

from firmware.drivers.errors import DriverError
from firmware.furniture.cabinet import Cabinet
from firmware.protocols.compat import const, forget

# Of hello: settings that this board cannot follow.
_CONFIG = const(1 << 4)
# Settings 1 to 9 and 12 to 17 where none are given.
_USUAL = b"\x01\x01\x3c\x3c\x32\x00\x00\xcf\xfd"
_INPUTS = b"\x65\x02\x00\x03\x00\x00"


def setup(board, e, copies, programme):
    """(alarms of hello, contactor, Cabinet, Wh before this start, meter, Sky, [contact, level for yes, ...]).
    What cannot be is named on the console and in hello, and left out."""
    alarms = 0
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
            print("config:", role, *error.args)
            alarms = _CONFIG
        found.append(part)
        forget("parts")
    out, meter, cell, contacts = found
    given = [e.get(i + 1, _USUAL[i]) for i in range(9)]
    given[7] *= 1000
    given[8] *= 1000
    cabinet = Cabinet(*given)
    blob = copies.read()
    base_wh = 0
    if blob and len(blob) == 12:
        cabinet.burn_s, cabinet.switches, base_wh = struct.unpack(">III", blob)
    sky = None
    if cell:
        from firmware.kinds.cabinet_sky import Sky

        sky = Sky(cell, programme, e.get(10, 35), e.get(11, 70))
    wired = []
    for i in range(6):
        n = e.get(12 + i, _INPUTS[i])
        contact = None
        if contacts and 0 < n % 100 <= len(contacts):
            contact = contacts[n % 100 - 1]
        if n and not contact and 12 + i in e:
            print("config: contacts no_pin", n)
            alarms = _CONFIG
        wired += [contact, n < 100]
    return alarms, out, cabinet, base_wh, meter, sky, wired
