"""Photoresistor as `photocell` has it, at input 1 of an ADS1115; plays the role `photocell`."""

from firmware.drivers.ads1115 import ADS1115, Channel
from firmware.drivers.photocell import Photocell

# Microvolts and lux: 15 kOhm at 10 lux, gamma 0.7 (data sheets of CdS cells), 100 kOhm across the cell, 10 kOhm to
# ground, 3.3 V. A shorted cell is no brighter than the day; a broken one reads 0, below darkness.
_TABLE = (
    300000,
    0,
    624000,
    1,
    793000,
    2,
    1115000,
    5,
    1432000,
    10,
    1788000,
    20,
    2079000,
    35,
    2255000,
    50,
    2409000,
    70,
    2557000,
    100,
    2794000,
    200,
)


def part(board):
    return Photocell(Channel(ADS1115(board.part("bus", "i2c")), 1), _TABLE, 200000, 3400000)
