"""Message type 1, the first frame after a boot (TRUST 3)."""

LENGTHS = (0, 0)

ROWS = (
    (4, "boot_count", "counter", "", 0, 0, 1073741823, 0, "", ""),
    (5, "reset_cause", "state", "", 0, 0, 6, 0, "", "deviceReset"),
    (6, "last_seq", "counter", "", 0, 0, 4294901760, 0, "", ""),
    (7, "bundle", "bytes", "", 0, 8, 8, 0, "3410/10", "swVersion"),
    (8, "protection", "state", "", 0, 0, 2, 0, "", ""),
    (9, "clock_generation", "counter", "", 0, 0, 65535, 0, "", ""),
    (10, "overwritten", "counter", "", 0, 0, 1073741823, 0, "", ""),
    (11, "recovered", "state", "", 0, 0, 1, 0, "", ""),
    (12, "plan", "bytes", "", 0, 8, 8, 0, "", ""),
)

STATES = (
    ("reset_cause", ("unknown", "power_on", "hard", "watchdog", "deep_sleep", "soft", "brown_out")),
    ("protection", ("none", "flash_encryption", "secure_element")),
    ("recovered", ("no", "yes")),
)

# Bits of `alarms`: (bit, name, ucifi, talq).
ALARMS = (
    (0, "unlocked_diagnostics", "3410/7", "maintenanceMode"),
    (1, "unlocked_open", "", "maintenanceMode"),
    (2, "tamper", "", "cabinetDoorOpen"),
    (3, "storage_copy_lost", "", "deviceMalfunction"),
    (4, "config_invalid", "", "invalidConfig"),
    (5, "update_refused", "", ""),
)
