"""CSE7766 on the first free UART, behind an isolator; plays the role `energy`."""

from machine import UART

from firmware.drivers.cse7766 import CSE7766
from firmware.pins import OUT


def part(board):
    bus, tx, rx = board.pins.UART
    use = board.use
    use.unit("cse7766", "uart", bus)
    # The part only sends, in even parity; without `tx` the port would take a pin of its own choice.
    tx = use.take("cse7766", tx, OUT)
    return CSE7766(UART(bus, baudrate=4800, bits=8, parity=0, stop=1, tx=tx, rx=use.take("cse7766", rx)))
