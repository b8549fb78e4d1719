"""Sequence numbers: their range, and which of them a frame's 24 bits can mean (TRUST 1)."""

from firmware.protocols.compat import const

# One counter per (device, epoch, direction); above it the device needs a new epoch (TRUST 0).
MAX_SEQ = const(0xFFFF0000)
_TURN = const(1 << 24)


def candidates(piv, highest):
    """The numbers to try for a frame with these low 24 bits, nearest to `highest` first: at most three.

    `highest` is the highest verified number, 0 for none. Nothing outside 1..MAX_SEQ is returned.
    """
    near = highest - highest % _TURN + piv
    if near - highest > _TURN >> 1:
        near -= _TURN
    elif highest - near >= _TURN >> 1:
        near += _TURN
    return [seq for seq in (near, near + _TURN, near - _TURN) if 1 <= seq <= MAX_SEQ]
