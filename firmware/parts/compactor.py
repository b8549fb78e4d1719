"""Motor of a compactor on output 2, its interlock on contact 2 (closed is safe); plays the role `compactor`."""

from firmware.parts.hatch import output


def part(board):
    return output(board, "compactor", 1, 610000)
