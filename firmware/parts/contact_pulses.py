"""The pulse contact of a meter, counted by interrupt; plays the role `pulses`."""

from machine import Pin

from firmware.drivers.pulse import PulseCounter


def part(board):
    return PulseCounter(Pin(board.use.take("contact_pulses", board.pins.PULSE), Pin.IN, Pin.PULL_UP))
