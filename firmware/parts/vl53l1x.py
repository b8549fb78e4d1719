"""VL53L1X on the I2C bus, always fed (9 uA while it does not range); plays the role `range`.

Long distance: it is dark in a closed container.
"""

from firmware.drivers.vl53l1x import VL53L1X


def part(board):
    return VL53L1X(board.part("bus", "i2c"), long=True, budget_ms=100)
