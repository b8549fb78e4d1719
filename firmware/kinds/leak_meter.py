"""What a leak meter is set to, and the record of its index that outlives the power; awake or asleep.

Record (copies `index`): index at installation, index (>II, litres), state of the rules, and where a counter
counts by itself its reading and the number of its life (>II).
"""

import os
import struct

from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

SIZE = 160
# The fixed length of a slow cell does not hold all: first go the older hours, which were sent before, then the
# supply, the pressure, and the flow, which two readings' index tells as well.
SPARE = b"\x06\x02\x08\x05"
_END = const(152)


def settings(e, refuse):
    """(rules, litres per pulse) of the settings of kinds/leak.py; refuse(name) is told what cannot be."""
    from firmware.furniture.leak import RULES, check

    rules = tuple([e.get(16 + i, RULES[i]) for i in range(len(RULES))])
    try:
        check(rules)
    except WireError as err:
        rules = RULES
        refuse(err.args[1])
    litres = e.get(2, 1)
    if not 1 <= litres <= 1000:
        litres = 1
        refuse("litres")
    return rules, litres


def taken_up(copies, set_l):
    """(index, state of the rules or None, reading, life) of what was kept of this installation."""
    blob = copies.read()
    if blob and len(blob) >= 8:
        found, index = struct.unpack(">II", blob[:8])
        # Another index at installation: the meter was changed, or read anew.
        if found == set_l:
            counter = struct.unpack(">II", blob[_END:SIZE]) if len(blob) >= SIZE else (0, 0)
            return (index, blob[8:_END]) + counter
    return set_l, None, 0, 0


def keep(copies, set_l, index, s, reading, life):
    copies.write(struct.pack(">II", set_l, index) + bytes(s) + struct.pack(">II", reading, life))


def another_life():
    """For a counter that lost its supply. Kept before the counter has it: one that lives another life than the
    record tells begins anew, so that nothing is counted twice."""
    return int.from_bytes(os.urandom(4), "big") >> 2 | 1
