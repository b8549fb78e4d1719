"""INA219 on the I2C bus, shunt of 0.1 Ohm; plays the role `energy` of what a battery or panel feeds."""

from firmware.drivers.ina219 import INA219


def part(board):
    return INA219(board.part("bus", "i2c"))
