"""Motor of a compactor on output 2, its interlock on contact 2 (closed is safe); plays the role `compactor`."""

from machine import Pin

from firmware.drivers.output import Output
from firmware.pins import OUT


def part(board):
    take = board.use.take
    pin = Pin(take("compactor", board.pins.OUTPUTS[1], OUT), Pin.OUT, value=0)
    interlock = Pin(take("compactor", board.pins.CONTACTS[1]), Pin.IN, Pin.PULL_UP)
    # A little longer than the longest order: its own end comes first.
    return Output(pin, interlock, safe=0, limit_ms=610000)
