"""The I2C bus of the board's header, which several parts share: they open it as the role `bus`.

100 kHz: the secure element is woken by an address of zeros, and only at that speed is its low level long
enough. Pull-ups of 4.7 kOhm belong on the wires.
"""

from machine import I2C, Pin

from firmware.pins import OUT


def part(board):
    bus, scl, sda = board.pins.I2C
    use = board.use
    if use.share("i2c", "i2c", bus):
        scl = Pin(use.take("i2c", scl, OUT))
        board.buses[bus] = I2C(bus, scl=scl, sda=Pin(use.take("i2c", sda, OUT)), freq=100000)
    return board.buses[bus]
