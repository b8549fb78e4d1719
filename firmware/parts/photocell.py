"""Photoresistor from 3.3 V to the ADC, across it 100 kOhm, and 10 kOhm to ground; plays the role `photocell`."""

from machine import ADC, Pin

from firmware.drivers.photocell import Photocell
from firmware.pins import ANALOG


def part(board):
    (pin,) = board.pins.ANALOG
    return Photocell(ADC(Pin(board.use.take("photocell", pin, ANALOG)), atten=ADC.ATTN_11DB))
