"""MaxBotix HRXL (TTL) on the first free UART and the switched rail of the sensors; plays the role `range`."""

from machine import UART, Pin

from firmware.drivers.maxbotix import MaxBotix
from firmware.pins import OUT


def part(board):
    bus, tx, rx = board.pins.UART
    use = board.use
    use.unit("maxbotix", "uart", bus)
    # Without `tx` the port would take a pin of its own choice.
    uart = UART(bus, baudrate=9600, tx=use.take("maxbotix", tx, OUT), rx=use.take("maxbotix", rx))
    pin, on = board.pins.VEXT
    return MaxBotix(uart, Pin(use.take("maxbotix", pin, OUT), Pin.OUT, value=not on), on)
