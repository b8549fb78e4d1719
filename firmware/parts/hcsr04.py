"""HC-SR04 on trigger and echo and the switched rail of the sensors; plays the role `range`.

Fed with 5 V its echo comes through a divider (board page).
"""

from machine import Pin, time_pulse_us

from firmware.drivers.hcsr04 import HCSR04
from firmware.pins import OUT


def part(board):
    take = board.use.take
    trigger, echo = board.pins.ECHO
    trigger = Pin(take("hcsr04", trigger, OUT), Pin.OUT, value=0)
    echo = Pin(take("hcsr04", echo), Pin.IN)
    pin, on = board.pins.VEXT
    return HCSR04(trigger, echo, time_pulse_us, Pin(take("hcsr04", pin, OUT), Pin.OUT, value=not on), on)
