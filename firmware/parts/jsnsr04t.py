"""JSN-SR04T in the place of an HC-SR04 (hcsr04.py); plays the role `range`."""

from firmware.drivers.hcsr04 import JSNSR04T
from firmware.parts.hcsr04 import on_echo


def part(board):
    return on_echo(board, "jsnsr04t", JSNSR04T)
