"""Message type 5, one board that is lamp, bin and public water meter."""

LENGTHS = (0, 0)

ROWS = (
    (4, "level", "actuator", "%", 0, 0, 100, 0, "3416/3", "actualLightState"),
    (5, "power", "gauge", "W", 1, 0, 65535, 0, "3418/4", "activePower"),
    (6, "fill", "gauge", "%", 0, 0, 100, 0, "3435/2", "fillingPercentage"),
    # Class 0 here: a fountain or a watering valve, no household behind it.
    (7, "flow", "aggregate", "l/h", 1, 0, 1000000, 0, "", "flowRate"),
    (8, "leak_state", "state", "", 0, 0, 2, 0, "3424/9 3424/10", ""),
)

STATES = (("leak_state", ("none", "suspected", "detected")),)

ALARMS = (
    (0, "lamp_failure", "3416/5", "lampFailure"),
    (1, "day_burner", "3416/10", "lampUnexpectedOn"),
    (2, "full", "3435/5", "containerFull"),
    (3, "fire", "3435/22", "fireDetected"),
    (4, "tilted", "3429/6", "orientationChanged"),
    (5, "leak_suspected", "3424/9", ""),
    (6, "leak_detected", "3424/10", ""),
    (7, "supply_low", "3418/21", "supplyVoltageTooLow"),
    (8, "clock_lost", "", "lastSyncError"),
    (9, "sensor_failure", "", "functionError"),
)
