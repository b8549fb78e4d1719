"""Message type 3, a waste container."""

LENGTHS = (0, 0)

ROWS = (
    (4, "fill", "gauge", "%", 0, 0, 100, 0, "3435/2", "fillingPercentage"),
    (5, "distance", "gauge", "m", 3, 0, 20000, 0, "", ""),
    (6, "quality", "gauge", "%", 0, 0, 100, 0, "3435/6049", ""),
    (7, "fill_class", "state", "", 0, 0, 4, 0, "", ""),
    (8, "temperature", "gauge", "degC", 1, -400, 1250, 0, "3303/5700", "temperature"),
    (9, "tilt", "gauge", "deg", 0, 0, 180, 0, "3429/1", "orientation"),
    (10, "distances", "vector", "m", 3, 0, 20000, 0, "", ""),
    (11, "fault", "state", "", 0, 0, 4, 0, "", ""),
    (12, "fill_speed", "gauge", "%/d", 1, 0, 2000, 0, "3435/8", ""),
    (13, "full_in", "gauge", "h", 0, 0, 24000, 0, "3435/10", ""),
    (14, "hatch", "state", "", 0, 0, 6, 0, "", ""),
    (15, "compactor", "state", "", 0, 0, 6, 0, "", ""),
    (16, "cycles", "counter", "", 0, 0, 1073741823, 0, "", ""),
)

_OUTPUT = ("idle", "moving", "held", "expired", "failed", "interlock", "stuck")

STATES = (
    ("fill_class", ("empty", "quarter", "half", "three_quarters", "full")),
    ("fault", ("none", "no_echo", "scattered", "beyond", "frozen")),
    ("hatch", _OUTPUT),
    ("compactor", _OUTPUT),
)

ALARMS = (
    (0, "full", "3435/5", "containerFull"),
    (1, "emptied", "", "lastCollectionDate"),
    (2, "obstructed", "", ""),
    (3, "fire", "3435/22", "fireDetected"),
    (4, "tilted", "3435/13", "orientationChanged"),
    (5, "lid_open", "3435/21", "containerTampered"),
    (6, "moved", "3435/12", "locationUpdated"),
    (7, "sensor_failure", "", "functionError"),
    (8, "battery_low", "3411/6", "batteryLevelTooLow"),
    (9, "water_inside", "3435/23", ""),
    (10, "temperature_high", "", "temperatureTooHigh"),
    (11, "hatch_failed", "", "deviceMalfunction"),
    (12, "compactor_failed", "", "deviceMalfunction"),
    (13, "config_invalid", "", "invalidConfig"),
)
