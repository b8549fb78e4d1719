"""The supply voltage behind the board's divider; plays the role `supply`."""

from machine import ADC, Pin

from firmware.drivers.battery import Supply
from firmware.pins import ANALOG, OUT


def part(board):
    pin, numerator, denominator, switch, on = board.pins.SUPPLY
    use = board.use
    gate = Pin(use.take("supply", switch, OUT), Pin.OUT, value=not on) if switch >= 0 else None
    adc = ADC(Pin(use.take("supply", pin, ANALOG)), atten=ADC.ATTN_11DB)
    return Supply(adc, numerator, denominator, gate, on)
