"""Photoresistor as `photocell` has it, at input 1 of an ADS1115; plays the role `photocell`."""

from firmware.drivers.ads1115 import ADS1115, Channel
from firmware.drivers.photocell import Photocell


def part(board):
    return Photocell(Channel(ADS1115(board.part("bus", "i2c")), 1))
