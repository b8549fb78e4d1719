"""Pressure sender of 0 to 1 MPa, 4-20 mA through 100 Ohm at input 0 of an ADS1115; plays the role `pressure`."""

from firmware.drivers.ads1115 import ADS1115, Channel
from firmware.drivers.pressure import Pressure


def part(board):
    return Pressure(Channel(ADS1115(board.part("bus", "i2c")), 0))
