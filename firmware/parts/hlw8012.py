"""HLW8012 or CSE7759 on three pins, behind isolators that do not invert; plays the role `energy`."""

from machine import Pin

from firmware.drivers.hlw8012 import HLW8012
from firmware.pins import OUT


def part(board):
    take = board.use.take
    cf, cf1, sel = board.pins.METER
    cf = Pin(take("hlw8012", cf), Pin.IN)
    cf1 = Pin(take("hlw8012", cf1), Pin.IN)
    return HLW8012(cf, cf1, Pin(take("hlw8012", sel, OUT), Pin.OUT, value=0))
