"""Message type 4, one household's or building's water: class 1, so of fixed length (TRUST 14)."""

# Payload bytes: the first fits every carrier (LoRa SF12: 51 = 7 link + 18 envelope + 26), the second
# holds a day of hours on most pipes. The carrier chooses, never the values.
LENGTHS = (26, 64)

ROWS = (
    (4, "index", "counter", "m3", 3, 0, 1073741823, 1, "3424/1", ""),
    (5, "flow", "aggregate", "l/h", 1, 0, 1000000, 1, "", "flowRate"),
    (6, "hourly", "vector", "l/h", 0, 0, 100000, 1, "", ""),
    (7, "leak_state", "state", "", 0, 0, 2, 0, "3424/9 3424/10", ""),
    (8, "pressure", "gauge", "Pa", 0, 0, 4000000, 0, "3427/1", ""),
)

STATES = (("leak_state", ("none", "suspected", "detected")),)

ALARMS = (
    (0, "leak_suspected", "3424/9", ""),
    (1, "leak_detected", "3424/10", ""),
    (2, "back_flow", "3424/11", ""),
    (3, "blocked_meter", "3424/12", ""),
    (4, "fraud", "3424/13", ""),
    (5, "flow_high", "", "flowRateTooHigh"),
    (6, "probe_wet", "", ""),
    (7, "probe_broken", "", "functionError"),
    (8, "battery_low", "3411/6", "batteryLevelTooLow"),
    (9, "tamper", "", "deviceMalfunction"),
    (10, "pressure_low", "", ""),
    (11, "pressure_high", "", ""),
    (12, "sensor_failure", "", "functionError"),
    (13, "config_invalid", "", "invalidConfig"),
)
