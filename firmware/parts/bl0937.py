"""BL0937 on three pins, behind isolators that do not invert; plays the role `energy`."""

from machine import Pin

from firmware.drivers.hlw8012 import BL0937_SCALE, HLW8012
from firmware.pins import OUT


def part(board):
    take = board.use.take
    cf, cf1, sel = board.pins.METER
    cf = Pin(take("bl0937", cf), Pin.IN)
    cf1 = Pin(take("bl0937", cf1), Pin.IN)
    return HLW8012(cf, cf1, Pin(take("bl0937", sel, OUT), Pin.OUT, value=0), scale=BL0937_SCALE)
