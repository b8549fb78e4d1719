"""BL0942 on the first free UART, behind isolators; plays the role `energy`."""

from machine import UART

from firmware.drivers.bl0942 import BL0942
from firmware.pins import OUT


def part(board):
    bus, tx, rx = board.pins.UART
    use = board.use
    use.unit("bl0942", "uart", bus)
    return BL0942(UART(bus, baudrate=4800, tx=use.take("bl0942", tx, OUT), rx=use.take("bl0942", rx)))
