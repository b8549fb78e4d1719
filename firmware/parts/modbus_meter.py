"""Three-phase meter (SDM630, unit 1, 9600 8N1) on RS-485; plays the role `energy`."""

from machine import UART, Pin

from firmware.drivers.modbus_meter import ModbusMeter
from firmware.pins import OUT


def part(board):
    use = board.use
    bus = use.unit("modbus_meter", "uart", board.pins.UART[0])
    tx, rx, de = board.pins.RS485
    tx = use.take("modbus_meter", tx, OUT)
    rx = use.take("modbus_meter", rx)
    de = Pin(use.take("modbus_meter", de, OUT), Pin.OUT, value=0)
    return ModbusMeter(UART(bus, baudrate=9600, tx=tx, rx=rx), de=de)
