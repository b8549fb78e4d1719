"""Fields that every message type has, the pad of those of fixed length, and types to come. For hosts."""

RESERVED_TYPES = ((7, "gateway"),)

ROWS = (
    (0, "time", "counter", "s", 0, 0, 1073741823, 0, "5518", "timestamp"),
    (1, "time_unconfirmed", "counter", "s", 0, 0, 1073741823, 0, "5518", "timestamp"),
    (2, "supply", "gauge", "V", 3, 0, 500000, 0, "3411/3 3418/1", "supplyVoltage"),
    (3, "alarms", "state", "", 0, 0, 65535, 0, "", ""),
)

PAD_ROW = (23, "pad", "bytes", "", 0, 0, 255, 0, "", "")
