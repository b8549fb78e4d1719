"""Lock of a hatch on output 1, its interlock on contact 1 (closed is safe); plays the role `hatch`."""

from machine import Pin

from firmware.drivers.output import Output
from firmware.pins import OUT


def part(board):
    take = board.use.take
    pin = Pin(take("hatch", board.pins.OUTPUTS[0], OUT), Pin.OUT, value=0)
    interlock = Pin(take("hatch", board.pins.CONTACTS[0]), Pin.IN, Pin.PULL_UP)
    # A little longer than the longest order: its own end comes first.
    return Output(pin, interlock, safe=0, limit_ms=3660000)
