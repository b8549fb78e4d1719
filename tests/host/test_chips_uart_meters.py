"""Meters on a UART as programs of others treat them: ESPHome's set-up of a BL0942, and rates that differ."""

import pytest

from firmware.drivers.errors import BusError
from hw.virtual.chips.bl0942 import BL0942
from hw.virtual.chips.cse7766 import CSE7766
from hw.virtual.chips.modbus_meter import ModbusMeter
from hw.virtual.testing import run_script
from tests.host.energy_bench import SECOND_US, Bench, bench_bl0942, bench_cse7766, bench_modbus
from tests.host.sensor_bench import attach


def write(reg: int, value: int) -> bytes:
    """A checked write to the part with address 0."""
    body = bytes([0xA8, reg]) + value.to_bytes(3, "little")
    return body + bytes([sum(body) & 0xFF ^ 0xFF])


# ESPHome 2025's order: unlock, soft reset, mode with 800 ms and the clamped sum, lock; then it reads the mode.
SETUP = (write(0x1D, 0x55), write(0x1C, 0x5A5A5A), write(0x19, 0x8F), write(0x1D, 0))


def ask(b: Bench, request: bytes) -> bytes:
    b.bus.write(request)
    b.port.advance(200_000)
    return bytes(b.bus.read() or b"")


@pytest.mark.parametrize("pause_us", [13_500, 1000, 0, None])
def test_bl0942_esphome_setup(pause_us: int | None) -> None:
    """With its pauses, in one run of bytes, and as a single write (None)."""
    b = bench_bl0942(load=(230.0, 8.0, 1.0))
    b.port.advance(600 * SECOND_US)
    assert b.model.count > 0
    if pause_us is None:
        assert ask(b, b"".join(SETUP) + b"\x58\x19")[:3] == b"\x8f\0\0"
    else:
        for frame in SETUP:
            b.bus.write(frame)
            b.port.advance(pause_us)
        assert ask(b, b"\x58\x19")[:3] == b"\x8f\0\0"
    assert b.model.count == 0
    packet = ask(b, b"\x58\xaa")
    assert len(packet) == 23 and (0x58 + sum(packet)) & 0xFF == 0xFF
    b.port.advance(60 * SECOND_US)
    b.driver.read()
    assert b.driver.power_mw == pytest.approx(1_840_000, rel=1e-4) and b.model.count > 0
    assert b.model.violations == []
    # It is locked again.
    b.bus.write(write(0x19, 0x87))
    b.port.advance(100_000)
    assert "protected" in b.model.violations[-1]


def test_bl0942_registers_keep_what_is_written() -> None:
    """DS, register list: defaults, until a soft reset."""
    defaults = {0x12: 0, 0x14: 0x0B, 0x15: 0xFFFF, 0x16: 1, 0x17: 3, 0x18: 0x24, 0x19: 0x87, 0x1A: 2, 0x1D: 0}
    b = bench_bl0942()

    def register(number: int) -> int:
        return int.from_bytes(ask(b, bytes([0x58, number]))[:3], "little")

    assert {r: register(r) for r in defaults} == defaults
    ask(b, write(0x1D, 0x55) + write(0x14, 0x05) + write(0x18, 0x10))
    assert (register(0x14), register(0x18), register(0x1D)) == (5, 0x10, 0x55)
    ask(b, write(0x1C, 0x5A5A5A))
    assert (register(0x14), register(0x18), register(0x1D)) == (0x0B, 0x24, 0x55)
    ask(b, write(0x1C, 0x123456) + write(0x14, 7))
    assert register(0x14) == 7
    assert b.model.violations == []


def test_bl0942_two_requests_at_once_are_answered_in_turn() -> None:
    b = bench_bl0942(load=(230.0, 2.0, 1.0))
    got = ask(b, b"\x58\x08\x58\x19\x58\xaa")
    assert len(got) == 4 + 4 + 23
    assert got[:2] == b"\x20\x4e" and got[4] == 0x87 and got[8] == 0x55


def test_bl0942_at_the_rate_of_its_mode() -> None:
    """MODE bits 8, 9: 19200 and 38400 baud, at once; the UART follows."""
    b = bench_bl0942()
    b.model.configure(4800, 8, None, 1)
    for bits, baud in ((2, 19200), (3, 38400)):
        ask(b, write(0x1D, 0x55) + write(0x19, 0x87 | bits << 8))
        assert ask(b, b"\x58\x19") == b"" and b.model.garbled
        b.model.configure(baud, 8, None, 1)
        assert ask(b, b"\x58\x19")[:2] == bytes([0x87, bits])
    assert b.model.violations == []


def test_an_open_uart_of_another_rate_is_no_wrong_use_but_rubbish() -> None:
    """`UART(1)` and `init(4800)` later: only bytes in between are lost."""
    b = bench_cse7766()
    b.driver.read()
    b.model.configure(115_200, 8, None, 1)
    b.model.configure(4800, 8, 0, 1)
    b.driver.read()
    for other in ((115_200, 8, 0), (4800, 8, None), (9600, 8, 0), (2400, 8, 0)):
        b.model.configure(*other, 1)
        before = b.model.garbled
        with pytest.raises(BusError):
            b.driver.read()
        assert b.model.garbled > before
        b.model.configure(4800, 8, 0, 1)
        b.port.advance(100_000)
        b.driver.read()
    assert b.model.violations == []


def test_requests_at_another_rate_are_not_heard() -> None:
    for b in (bench_bl0942(), bench_modbus()):
        good = b.model.frame_format
        b.driver.read()
        power = b.driver.power_mw
        b.model.configure(19_200, 8, None, 1)
        with pytest.raises(BusError, match="timeout"):
            b.driver.read()
        assert b.model.garbled == (2 if isinstance(b.model, BL0942) else 8)
        b.model.configure(*good, 1)
        b.driver.read()
        assert b.driver.power_mw == power and b.model.violations == []


def test_a_uart_that_is_opened_first_and_set_up_later_on_the_board() -> None:
    """At 115200 baud for a second, as it is without a rate; then as the parts want it."""
    board = run_script(
        """
from machine import UART
import time
plug = UART(1)
meter = UART(2)
time.sleep(1)
print(plug.any() > 0)
plug.init(4800, bits=8, parity=0, stop=1)
meter.init(9600)
plug.read()
time.sleep_ms(130)
print(b"\\x55\\x5a" in plug.read())
meter.write(bytes.fromhex("01040000000271cb"))
time.sleep_ms(100)
print(meter.read()[:3])
""",
        10,
        chips={"plug": CSE7766(1), "meter": ModbusMeter(2)},
        wiring={"plug": {"uart": 1}, "meter": {"uart": 2}},
    )
    assert board.failures == []
    assert board.console == ["True", "True", "b'\\x01\\x04\\x04'"]


@pytest.mark.parametrize("part", [BL0942, CSE7766, ModbusMeter])
def test_uart_of_the_wiring_can_be_set(part: type) -> None:
    """Each answer goes where `uart` says at that time, whatever the constructor was given."""
    model = part(uart=1)
    port = attach(model)
    model.uart = 4
    port.advance(SECOND_US)
    if part is BL0942:
        model.receive(b"\x58\xaa")
    elif part is ModbusMeter:
        model.receive(bytes.fromhex("01040000000271cb"))
    port.advance(SECOND_US)
    assert list(port.uart_out) == [4]
