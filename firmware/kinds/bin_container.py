"""The container of a bin from its settings, and what was kept of it. Loaded at the start, then dropped."""

import struct

from firmware.furniture.bin import RULES, Watch
from firmware.furniture.bin_check import check
from firmware.protocols.cbor import WireError


def container(kind, e, refuse):
    shape = [e.get(1, 1200), e.get(2, 200)]
    shape += [e[3]] if 3 in e else [e.get(k, 0) for k in (4, 5, 6, 7)] if 4 in e else []
    rules = [e.get(8 + i, RULES[i]) for i in range(6)]
    kind._known = True
    try:
        check(shape, rules)
    except WireError as err:
        refuse(err.args[1])
        # Of a container that cannot be there are distances and fire, but no fill.
        kind._known = err.args[1] == "rules"
        rules = RULES
    # What was kept of another container says nothing about this one. No two that differ in one number share it.
    kind._mark = 0
    for size in shape:
        kind._mark = (kind._mark * 20011 + size) & 0x3FFFFFFF
    kind._base_s = kind._cycles = 0
    s = None
    blob = kind._copies.read()
    if blob and len(blob) > 12:
        mark, base, kind._cycles = struct.unpack(">III", blob[:12])
        if mark == kind._mark:
            kind._base_s = base
            s = blob[12:]
    kind._watch = Watch(shape if kind._known else (1200, 200), rules, s)
