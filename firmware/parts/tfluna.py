"""TF-Luna on the first free UART and the switched rail of the sensors; plays the role `range`."""

from machine import UART, Pin

from firmware.drivers.tfluna import TFLuna
from firmware.pins import OUT


def part(board):
    bus, tx, rx = board.pins.UART
    use = board.use
    use.unit("tfluna", "uart", bus)
    # Without `tx` the port would take a pin of its own choice.
    uart = UART(bus, baudrate=115200, tx=use.take("tfluna", tx, OUT), rx=use.take("tfluna", rx))
    pin, on = board.pins.VEXT
    return TFLuna(uart, Pin(use.take("tfluna", pin, OUT), Pin.OUT, value=not on), on)
