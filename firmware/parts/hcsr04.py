"""HC-SR04 on trigger and echo and the switched rail of the sensors; plays the role `range`.

Fed with 5 V its echo comes through a divider (board page).
"""

from machine import Pin, time_pulse_us

from firmware.drivers.hcsr04 import HCSR04
from firmware.pins import OUT


def part(board):
    return on_echo(board, "hcsr04", HCSR04)


def on_echo(board, who, driver):
    """`driver` of a range sensor that answers a trigger with a pulse."""
    take = board.use.take
    trigger, echo = board.pins.ECHO
    trigger = Pin(take(who, trigger, OUT), Pin.OUT, value=0)
    echo = Pin(take(who, echo), Pin.IN)
    pin, on = board.pins.VEXT
    return driver(trigger, echo, time_pulse_us, Pin(take(who, pin, OUT), Pin.OUT, value=not on), on)
