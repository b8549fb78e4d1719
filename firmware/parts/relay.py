"""Relay or contactor whose closed contact carries the load; plays the roles `light`, `light-switch` and
`contactor`."""

from machine import Pin

from firmware.drivers.relay import Relay
from firmware.pins import OUT


def part(board):
    pin, on = board.pins.RELAY
    return Relay(Pin(board.use.take("relay", pin, OUT), Pin.OUT, value=on), on)
