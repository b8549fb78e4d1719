"""Which purpose a port carries (TRUST 13). The number is the FPort, the link type and the MQTT level."""

from firmware.protocols.compat import const

READING = const(0)  # readings, events, hello
CHECKPOINT = const(1)
COMMAND = const(2)  # commands and TIME
RESULT = const(3)
RECOVER = const(4)
POSSESSION = const(5)
KEY_STATEMENT = const(6)
GATEWAY_RECORD = const(7)
GROUP = const(8)
RECEIPT = const(9)
UNLOCK = const(10)

UP = const(0)
DOWN = const(1)

FALLBACK = const(32)  # added to the port by a sign1 device under its key record's `fallback`

# Ports 10..15, then the same for direction down; 255: the port does not go that way.
_PURPOSES = b"\x00\x01\x03\x04\xff\x06\xff\xff\x02\x04\x08\xff"
# Ports of purposes 0..10; 0: the purpose never travels over the radio.
_PORTS = b"\x0a\x0b\x0c\x0c\x0d\x00\x0f\x00\x0e\x00\x00"


def purpose(port, direction):
    """The purpose of `port` (10..15, or 42..47 for the fallback profile) in `direction` 0 up, 1 down.

    -1 where that port carries nothing that way.
    """
    if 42 <= port <= 47:
        port -= FALLBACK
    if not 10 <= port <= 15 or not 0 <= direction <= 1:
        return -1
    found = _PURPOSES[port - 10 + 6 * direction]
    return -1 if found == 255 else found


def port(purpose):
    """The port of a purpose, or -1 where it never travels over the radio."""
    return _PORTS[purpose] or -1 if 0 <= purpose <= 10 else -1
