"""DS18B20 on a wire of its own, 4.7 kOhm to 3.3 V; plays the role `temperature`."""

import ds18x20
import onewire
from machine import Pin

from firmware.drivers.ds18b20 import DS18B20
from firmware.pins import OUT


def part(board):
    (pin,) = board.pins.ONEWIRE
    return DS18B20(ds18x20.DS18X20(onewire.OneWire(Pin(board.use.take("ds18b20", pin, OUT)))))
