"""Message type 6, a lighting cabinet: one feeder's contactor, its meter and what goes wrong in the box."""

LENGTHS = (0, 0)

# Keys 9 to 11 and 15 to 17: phases L1 to L3. TALQ has power and energy in kW and kWh.
ROWS = (
    (4, "contactor", "state", "", 0, 0, 1, 0, "", "actualState"),
    (5, "target", "state", "", 0, 0, 1, 0, "", "feedbackCommand"),
    (6, "reason", "state", "", 0, 0, 4, 0, "", "feedbackCommand"),
    (7, "local", "state", "", 0, 0, 2, 0, "", "localOverride"),
    (8, "power", "gauge", "W", 0, 0, 1000000, 0, "3422/8", "totalPower"),
    (9, "power_l1", "gauge", "W", 0, 0, 400000, 0, "3421/16", "phase1ActivePower"),
    (10, "power_l2", "gauge", "W", 0, 0, 400000, 0, "3421/16", "phase2ActivePower"),
    (11, "power_l3", "gauge", "W", 0, 0, 400000, 0, "3421/16", "phase3ActivePower"),
    (12, "energy", "counter", "Wh", 0, 0, 1073741823, 0, "3422/17", "totalActiveEnergy"),
    (13, "burn_time", "counter", "h", 1, 0, 9999999, 0, "", ""),
    (14, "switches", "counter", "", 0, 0, 1073741823, 0, "", ""),
    (15, "voltage_l1", "gauge", "V", 1, 0, 5000, 0, "3421/1", "phase1Voltage"),
    (16, "voltage_l2", "gauge", "V", 1, 0, 5000, 0, "3421/1", "phase2Voltage"),
    (17, "voltage_l3", "gauge", "V", 1, 0, 5000, 0, "3421/1", "phase3Voltage"),
    (18, "photocell", "state", "", 0, 0, 1, 0, "3419/3", "photocellOutput"),
)

STATES = (
    ("contactor", ("off", "on")),
    ("target", ("off", "on")),
    ("reason", ("default", "override", "sensor", "program", "local")),
    ("local", ("none", "off", "on")),
    ("photocell", ("light", "dark")),
)

ALARMS = (
    (0, "door_open", "", "cabinetDoorOpen"),
    (1, "breaker_tripped", "", "circuitBreakerTripped"),
    (2, "earth_leakage", "", "leakageDetected"),
    (3, "contactor_welded", "", "switchingErrorOff"),
    (4, "contactor_open", "", "switchingErrorOn"),
    (5, "photocell_disagrees", "", ""),
    (6, "phase_lost", "3422/35", "supplyLoss"),
    (7, "supply_low", "3421/3", "supplyVoltageTooLow"),
    (8, "supply_high", "3421/5", "supplyVoltageTooHigh"),
    (9, "power_low", "", "totalPowerTooLow"),
    (10, "power_high", "", "totalPowerTooHigh"),
    (11, "clock_lost", "", "lastSyncError"),
    (12, "program_invalid", "", "invalidProgram"),
)
