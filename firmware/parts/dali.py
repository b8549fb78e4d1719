"""All control gear of a DALI line; plays the role `light`.

The transceiver pulls the line low while its input is low or floats, and its output follows the line (board page).
So a node in reset takes the line's voltage away, and the gear goes to its system-failure level: full light. `set`
takes 1/1000 of light, along the logarithmic curve of IEC 62386-102; set `linear` of what is returned for gear
that has the linear one.
"""

from esp32 import RMT
from machine import Pin, time_pulse_us

from firmware.drivers.dali import Bus
from firmware.drivers.dali_gear import Gear
from firmware.pins import OUT


def part(board):
    use = board.use
    tx, rx = board.pins.DALI
    tx = Pin(use.take("dali", tx, OUT), Pin.OUT, value=1)
    rx = Pin(use.take("dali", rx), Pin.IN)
    use.unit("dali", "rmt", 0)
    try:
        rmt = RMT(0, pin=tx, clock_div=80, idle_level=True)
    except TypeError:
        rmt = RMT(pin=tx, resolution_hz=1000000, idle_level=True)
    return Gear(Bus(rmt, rx, time_pulse_us, tx_low=0))
