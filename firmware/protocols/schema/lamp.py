"""Message type 2, a luminaire."""

LENGTHS = (0, 0)

ROWS = (
    (4, "level", "actuator", "%", 0, 0, 100, 0, "3416/3", "actualLightState"),
    (5, "target", "actuator", "%", 0, 0, 100, 0, "3416/2", "feedbackLightCommand"),
    (6, "reason", "state", "", 0, 0, 4, 0, "", "feedbackLightCommand"),
    (7, "power", "gauge", "W", 1, 0, 65535, 0, "3418/4", "activePower"),
    (8, "energy", "counter", "Wh", 0, 0, 1073741823, 0, "3418/6", "activeEnergy"),
    (9, "burn_time", "counter", "h", 1, 0, 9999999, 0, "3416/15", "operatingHours"),
    (10, "temperature", "gauge", "degC", 1, -400, 1250, 0, "3416/21", "temperature"),
    (11, "commanded", "actuator", "%", 0, 0, 100, 0, "3416/1", "targetLightCommand"),
    (12, "switch_count", "counter", "", 0, 0, 1073741823, 0, "3416/56", "switchOnCounter"),
)

STATES = (("reason", ("default", "override", "sensor", "program", "local")),)

ALARMS = (
    (0, "lamp_failure", "3416/5", "lampFailure"),
    (1, "gear_failure", "3416/7", ""),
    (2, "relay_failure", "3416/9", "relayFailure"),
    (3, "day_burner", "3416/10", "lampUnexpectedOn"),
    (4, "cycling", "3416/11", "cyclingFailure"),
    (5, "gear_silent", "3416/12", "controlGearCommFailure"),
    (6, "power_low", "3418/12", "lampPowerTooLow"),
    (7, "power_high", "3418/15", "lampPowerTooHigh"),
    (8, "supply_low", "3418/21", "supplyVoltageTooLow"),
    (9, "supply_high", "3418/23", "supplyVoltageTooHigh"),
    (10, "tilted", "3429/6", "orientationChanged"),
    (11, "clock_lost", "", "lastSyncError"),
    (12, "program_invalid", "3416/14", "invalidProgram"),
    (13, "temperature_high", "", "highTemperature"),
    (14, "photocell_failure", "", ""),
)
