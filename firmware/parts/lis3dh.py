"""LIS3DH on the I2C bus, SA0 low; plays the role `tilt`."""

from firmware.drivers.lis3dh import LIS3DH


def part(board):
    return LIS3DH(board.part("bus", "i2c"))
