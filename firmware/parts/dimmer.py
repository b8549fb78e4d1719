"""0-10 V dimming by PWM, at full light as the pin's hardware default; plays the role `light`."""

from machine import PWM, Pin

from firmware.drivers.dimmer_pwm import DimmerPWM
from firmware.pins import OUT


def part(board):
    pin, full = board.pins.DIM
    board.use.take("dimmer", pin, OUT)
    return DimmerPWM(PWM(Pin(pin), freq=1000, duty_u16=65535 if full else 0), full)
