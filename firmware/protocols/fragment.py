"""Fragments of a checkpoint that one frame cannot carry (TRUST 3).

Fragment = low 16 bits of the checkpoint's number || index << 4 | last index || bytes. No whole frame reads
as a fragment: a COSE frame begins 84 40 A1 or A2, which would be index 10 of a set whose last is 1 or 2.
"""

from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

HEADER = const(3)
_MAX_PARTS = const(16)


def count(length, max_len):
    """Number of fragments of at most `max_len` bytes for a frame; WireError too_long above 16."""
    size = max_len - HEADER
    parts = (length + size - 1) // size if size > 0 else _MAX_PARTS + 1
    if parts > _MAX_PARTS:
        raise WireError("too_long")
    return parts


def piece(frame, seq, index, max_len):
    """Fragment `index` of a frame."""
    size = max_len - HEADER
    head = bytes((seq >> 8 & 255, seq & 255, index << 4 | count(len(frame), max_len) - 1))
    return head + frame[index * size : (index + 1) * size]


def split(frame, seq, max_len):
    """All fragments of a frame, each at most `max_len` bytes. WireError too_long above 16 of them."""
    return [piece(frame, seq, i, max_len) for i in range(count(len(frame), max_len))]


class Joiner:
    """Puts fragments together, in bounded memory: the oldest of more than `slots` sets is dropped.

    Fragments carry no MAC, so a set may hold a forged one. It therefore stays after it is complete, and each
    later fragment that changes it gives another frame to try: a forgery costs one resend, not the checkpoint.
    """

    def __init__(self, slots=4):
        self._slots = slots
        self._sets = []  # [low bits of the number, fragments by index], least recently touched first

    def add(self, fragment):
        """The whole frame when this fragment completes or changes a complete set, else None.

        WireError bad_fragment.
        """
        if len(fragment) <= HEADER or fragment[2] >> 4 > fragment[2] & 15:
            raise WireError("bad_fragment")
        low = fragment[0] << 8 | fragment[1]
        index = fragment[2] >> 4
        size = (fragment[2] & 15) + 1
        parts = None
        for i in range(len(self._sets)):
            if self._sets[i][0] == low:
                parts = self._sets.pop(i)[1]
                break
        if parts is None or len(parts) != size:
            parts = [None] * size
        elif len(self._sets) >= self._slots:
            self._sets.pop(0)
        if len(self._sets) >= self._slots:
            self._sets.pop(0)
        self._sets.append([low, parts])
        part = bytes(fragment[HEADER:])
        if parts[index] == part:
            return None
        parts[index] = part
        return None if None in parts else b"".join(parts)

    def drop(self, seq):
        """Forget the set of checkpoint `seq`: it verified."""
        self._sets = [s for s in self._sets if s[0] != seq & 0xFFFF]
