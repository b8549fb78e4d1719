"""Leak rope between two pins, 220 kOhm in series and at its end; plays the role `rope`."""

from machine import ADC, Pin

from firmware.drivers.rope import Rope
from firmware.pins import ANALOG, OUT


def part(board):
    take = board.use.take
    a, b, sense = board.pins.ROPE
    a = Pin(take("leak_rope", a, OUT), Pin.OUT, value=0)
    b = Pin(take("leak_rope", b, OUT), Pin.OUT, value=0)
    adc = ADC(Pin(take("leak_rope", sense, ANALOG)), atten=ADC.ATTN_11DB)
    # Wet below 100 kOhm: 25 cm of tap water on a thin rope, against its dry end of 220 kOhm.
    return Rope(adc, a, b, 220000, 220000, 100000)
