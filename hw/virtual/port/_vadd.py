# What the chip's os and micropython have and the host's have not; loaded when it is asked for.


def uname():
    from collections import namedtuple

    names = "sysname", "nodename", "release", "version", "machine"
    return namedtuple("uname", names)("esp32", "esp32", "1.25.0", "v1.25.0", "virtual board with ESP32")


def alloc_emergency_exception_buf(n):
    pass
