"""Pressure sender of 0 to 1 MPa, 4-20 mA through 100 Ohm at the ADC; plays the role `pressure`."""

from machine import ADC, Pin

from firmware.drivers.pressure import Pressure
from firmware.pins import ANALOG


def part(board):
    (pin,) = board.pins.ANALOG
    return Pressure(ADC(Pin(board.use.take("pressure", pin, ANALOG)), atten=ADC.ATTN_11DB))
