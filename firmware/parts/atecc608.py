"""ATECC608 on the I2C bus; plays the role `signer`."""

from firmware.drivers.atecc608 import ATECC608


def part(board):
    return ATECC608(board.part("bus", "i2c"))
