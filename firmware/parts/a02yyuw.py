"""A02YYUW on the first free UART and the switched rail of the sensors; plays the role `range`."""

from machine import UART, Pin

from firmware.drivers.a02yyuw import A02YYUW
from firmware.pins import OUT


def part(board):
    bus, tx, rx = board.pins.UART
    use = board.use
    use.unit("a02yyuw", "uart", bus)
    # The sensor's own input stays open: processed values.
    uart = UART(bus, baudrate=9600, tx=use.take("a02yyuw", tx, OUT), rx=use.take("a02yyuw", rx))
    pin, on = board.pins.VEXT
    return A02YYUW(uart, Pin(use.take("a02yyuw", pin, OUT), Pin.OUT, value=not on), on)
