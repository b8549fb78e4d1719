"""PCF8593 on the I2C bus, or a PCF8583 with A0 high: counts while the board sleeps; plays the role `pulses`."""

from firmware.drivers.pcf8593 import PCF8593


def part(board):
    return PCF8593(board.part("bus", "i2c"))
