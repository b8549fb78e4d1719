"""Keeping a new plan. Loaded for it, then dropped."""

import gc

from firmware.kinds.programme import digest
from firmware.protocols.compat import const

_HASH = const(8)


def take(it, plan):
    """Keep `plan`, which was accepted, for the Programme `it`; "storage" where one by command could not be kept,
    else the hash of what is in force. Of one in the configuration a copy is enough: it comes again with each
    start."""
    given = it._given
    before = None
    if plan is given:
        blob = digest(plan) + plan
    else:
        # It comes after what the configuration brought, also where there was no memory to take that up.
        blob = (digest(given) if given else it._base or bytes(_HASH)) + plan
        before = it._copies.read() or b""
    if not keep(it, blob, before) and before is not None:
        return "storage"
    it._given = b""
    it._again_ms = 0
    return it.hash


def keep(it, blob, before):
    """Make `blob` what holds; false where it could not be kept and `before` holds again. One copy that was
    written is the newest, and without more would hold from the next table on."""
    copies = it._copies
    gc.collect()
    try:
        good = copies.write(blob)
    except MemoryError:
        good = False
    held = blob
    if not good:
        print("plan: storage")
        if before is not None:
            copies.write(before)
        held = copies.read() or b""
    if held != before:
        it._base = held[:_HASH]
        it.hash = digest(held[_HASH:]) if len(held) > _HASH else None
        it.night = None
    return held == blob
