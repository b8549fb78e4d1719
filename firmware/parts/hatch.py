"""Lock of a hatch on output 1, its interlock on contact 1 (closed is safe); plays the role `hatch`."""

from machine import Pin

from firmware.drivers.output import Output
from firmware.pins import OUT


def part(board):
    return output(board, "hatch", 0, 3660000)


def output(board, who, i, limit_ms):
    """Output and interlock of index `i`."""
    take = board.use.take
    pin = Pin(take(who, board.pins.OUTPUTS[i], OUT), Pin.OUT, value=0)
    interlock = Pin(take(who, board.pins.CONTACTS[i]), Pin.IN, Pin.PULL_UP)
    # The limit is a little longer than the longest order: its own end comes first.
    return Output(pin, interlock, safe=0, limit_ms=limit_ms)
