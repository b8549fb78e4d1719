"""What goes over the wires of a virtual board's I2C bus beside the bytes: low levels, which wake a secure
element."""

from typing import Any

import pytest

from hw.virtual import World, requests
from hw.virtual.chips.atecc608 import ATECC608
from hw.virtual.chips.base import I2cChip
from tests.host.virtual_bench import program

START = """
import time
from machine import I2C, Pin
from firmware.drivers.atecc608 import ATECC608
from firmware.drivers.errors import DriverError
bus = I2C(0, scl=Pin(42), sda=Pin(41), freq={freq})
element = ATECC608(bus)
def tried(call, *a):
    try:
        return call(*a)
    except OSError as e:
        return e.errno
    except DriverError as e:
        return e.args
"""


class Quiet(I2cChip):
    """Acknowledges and gives what is in `gives`."""

    address = 0x55

    def __init__(self, gives: bytes = b"") -> None:
        super().__init__()
        self.gives = gives

    def read(self, n: int) -> bytes:
        return self.gives[:n]


def run(text: str, other: I2cChip | None = None, freq: int = 100_000) -> tuple[list[str], ATECC608, Any]:
    element = ATECC608()
    other = other or Quiet()
    with World(5) as world:
        board = world.add_board(
            "b",
            mpy_dir=program(START.format(freq=freq) + text, "atecc608"),
            chips={"element": element, "other": other},
            wiring={"element": {"i2c": 0}, "other": {"i2c": 0}},
            mcu="esp32s3",
            on_exit="end",
            heap="200k",
        )
        world.run(30)
    assert board.failures == [] and element.violations == [], board.console
    return board.console, element, board


def test_an_address_of_zeros_wakes_the_element() -> None:
    said, element, board = run(
        "print(tried(bus.writeto, 0, b'\\0'))\ntime.sleep_ms(2)\nprint(bus.readfrom(0x60, 4))"
    )
    assert said == ["19", repr(bytes.fromhex("04113343"))]
    assert element.wakes == 1 and board.ports["element"].current_ua == 0  # its watchdog


@pytest.mark.parametrize(
    ("freq", "wakes"), [(50_000, True), (133_000, True), (134_000, False), (400_000, False)]
)
def test_only_on_a_slow_bus(freq: int, wakes: bool) -> None:
    """Eight bits last 60 us at 133 kHz."""
    said, element, _ = run("print(tried(element.serial))", freq=freq)
    assert said == [repr(element.serial) if wakes else "('atecc608', 'busy')"]
    assert bool(element.wakes) == wakes


@pytest.mark.parametrize(
    ("text", "gives", "wakes"),
    [
        ("bus.writeto(0x55, b'\\x55\\xff')", b"", 0),
        ("bus.writeto(0x55, b'\\x83')", b"", 0),  # five
        ("bus.writeto(0x55, b'\\x80')", b"", 1),  # seven, and the acknowledgement
        ("bus.writeto(0x55, b'\\xf1\\x0f')", b"", 0),  # the acknowledgement and four
        ("bus.writeto(0x55, b'\\xf8\\x1f')", b"", 1),  # three before it and three behind
        ("bus.readfrom(0x55, 2)", b"\xff\xff", 0),
        ("bus.readfrom(0x55, 2)", b"\xff\x00", 1),
        ("bus.readfrom_mem(0x55, 0xff, 1)", b"\x00", 1),
        ("tried(bus.writeto, 0x21, b'\\0')", b"", 0),  # nobody: the byte is not sent
        ("tried(bus.writeto, 0x40, b'\\0')", b"", 1),
    ],
)
def test_the_bytes_of_others_wake_it_too(text: str, gives: bytes, wakes: int) -> None:
    _, element, _ = run(text, Quiet(gives))
    assert element.wakes == wakes


def test_it_signs_on_a_busy_bus() -> None:
    """Woken by others at any time before: its watchdog would end the signature."""
    said, _, _ = run(
        """
for ms in (0, 1, 100, 700, 1200, 1250, 1280, 1297, 1298, 1299, 1300):
    bus.writeto(0x55, b"\\0\\0")
    time.sleep_ms(ms)
    print(tried(lambda: len(element.sign(bytes(32)))))
"""
    )
    assert said == ["64"] * 11


def test_low_levels_counted_in_bits() -> None:
    """Address and direction, then each byte with its acknowledgement; a refused address ends it."""
    count = requests._low_bits
    assert count(0x00, b"", 19) == 8
    assert count(0x01, b"", 19) == 7
    assert count(0xC0, b"\x00", 19) == 6
    assert count(0xC0, b"\x00", 0) == 16
    assert count(0xFF, b"\xff", 0) == 1
