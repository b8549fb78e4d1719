"""TF-Luna on the first free UART and the switched rail of the sensors; plays the role `range`."""

from firmware.drivers.tfluna import TFLuna
from firmware.parts.a02yyuw import on_uart


def part(board):
    return on_uart(board, "tfluna", TFLuna, 115200)
