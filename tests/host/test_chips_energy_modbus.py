"""Modbus meters: faults, exceptions, timing and wrong use, the model through the unmodified driver."""

from collections.abc import Callable

import pytest

from firmware.drivers import modbus_meter as modbus_driver
from firmware.drivers.errors import BusError, ChipError
from hw.virtual.chips import modbus_meter
from tests.host.energy_bench import SECOND_US, Wire, bench_modbus, result
from tests.host.sensor_bench import attach


def test_modbus_published_crc() -> None:
    """MSL 6.2.2: 02 07 has the CRC 41 12 on the line."""
    assert modbus_driver.crc16(b"\x02\x07\x41\x12", 4) == 0
    assert modbus_driver.crc16(b"\x02\x07", 2) == 0x1241


def test_modbus_three_phases() -> None:
    loads = ((231.0, 1.5, 0.9), (229.5, 2.0, -1.0), (0.0, 0.0, 1.0))
    b = bench_modbus(loads=loads, import_wh=12_345_678.0, line_hz=49.98)
    b.driver.read()
    d = b.driver
    assert d.phase_mv == [231_000, 229_500, 0]
    assert d.phase_ma == [1500, 2000, 0]
    assert d.phase_mw == [311_850, -459_000, 0]
    assert (d.voltage_mv, d.current_ma, d.power_mw) == (153_500, 3500, -147_150)
    assert d.frequency_mhz == pytest.approx(49_980, abs=1)
    # A float32 of 12345 kWh has steps of 1 Wh.
    assert d.energy_mwh == pytest.approx(12_345_678_000, abs=1000)
    assert b.model.violations == []


def test_modbus_request_on_the_wire() -> None:
    """Eastron's own example of a request: input registers from 0, here 18 of them."""
    b = bench_modbus()
    b.driver.read()
    assert b.bus.sent[0][:6] == b"\x01\x04\x00\x00\x00\x12"
    assert b.bus.sent[1][:6] == b"\x01\x04\x00\x34\x00\x16"
    assert b.model.requests == b.bus.sent


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (lambda f: f[:20] + bytes([f[20] ^ 1]) + f[21:], "crc"),
        (lambda f: f[:-1] + bytes([f[-1] ^ 0x80]), "crc"),
        (lambda f: b"", "timeout"),
        (lambda f: f[:4], "short"),
        (lambda f: f[:-1], "short"),
        (lambda f: b"\x02" + f[1:], "frame"),
        (lambda f: f[:1] + b"\x03" + f[2:], "frame"),
        (lambda f: f[:2] + b"\x22" + f[3:], "frame"),
        (lambda f: f[:1] + b"\x84\x02" + f[3:5], "crc"),
        (lambda f: b"\xff" + f, "frame"),
    ],
    ids="data crc silent four short unit function count exception noise".split(),
)
def test_modbus_faults(fault: Callable[[bytes], bytes], word: str) -> None:
    b = bench_modbus()
    b.driver.read()
    good = result(b.driver)[:3]
    for second in (False, True):
        b.model.set_physical(50.0, phase=0)
        b.model.faults += [lambda f: f] * second + [fault]
        start = b.port.now_us
        with pytest.raises(BusError) as error:
            b.driver.read()
        assert error.value.args == ("modbus", word)
        assert b.port.now_us - start < 600_000
        assert result(b.driver)[:3] == good  # nothing of a reading that was not whole
        b.model.set_physical(230.0, phase=0)
        b.driver.read()
        assert result(b.driver)[:3] == good
    assert b.model.violations == []


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6])
def test_modbus_exceptions(code: int) -> None:
    b = bench_modbus()
    b.model.exceptions.append(code)
    with pytest.raises(ChipError) as error:
        b.driver.read()
    assert error.value.args == ("modbus", code)
    b.driver.read()
    assert b.driver.power_mw == 690_000
    assert b.model.violations == []


def test_modbus_map_of_another_meter_is_refused_by_it() -> None:
    """Settings past the end; too many registers; registers past the end and between two blocks."""
    for meter, code in (
        ((3, ((38, 2),), b""), 2),
        ((4, ((0, 82),), b""), 3),
        ((4, ((380, 4),), b""), 2),
        ((4, ((106, 4),), b""), 2),
    ):
        b = bench_modbus(driver={"meter": meter})
        with pytest.raises(ChipError) as error:
            b.driver.read()
        assert error.value.args == ("modbus", code)


@pytest.mark.parametrize(("baud", "parity"), [(1200, None), (2400, 0), (9600, 1), (38400, None), (115200, 0)])
def test_modbus_gaps_and_direction(baud: int, parity: int | None) -> None:
    """At each speed: silence before a frame, DE up to the last bit and down before the answer."""
    b = bench_modbus(baud=baud, parity=parity, think_us=2000)
    for _ in range(3):
        b.driver.read()
        assert b.driver.phase_mv == [230_000] * 3
    assert b.model.violations == []
    assert len(b.model.requests) == 6


def test_modbus_late_answer_is_not_taken_for_the_next() -> None:
    b = bench_modbus(driver={"timeout_ms": 10})
    b.model.think_us = 120_000
    b.model.faults += [lambda f: f[:2] + bytes([f[2]]) + b"\x55" * (len(f) - 3)]
    with pytest.raises(BusError):
        b.driver.read()
    b.port.advance(SECOND_US)
    b.model.think_us = 5000
    b.driver.read()
    assert b.driver.voltage_mv == 230_000


def test_modbus_echo_is_thrown_away() -> None:
    """A transceiver whose receiver stays on: the request comes back before the answer."""
    b = bench_modbus()
    write = b.bus.write

    def echoing(data: bytes) -> int:
        n = int(write(data))
        b.port.at(b.port.now_us + 8400, lambda: b.port.uart_send(2, bytes(data)))
        return n

    b.bus.write = echoing
    b.driver.read()
    assert b.driver.power_mw == 690_000


def test_modbus_line_that_never_rests() -> None:
    b = bench_modbus()
    running = True

    def chatter() -> None:
        b.port.uart_send(2, b"\x55" * 4)
        if running:
            b.port.at(b.port.now_us + 4000, chatter)

    chatter()
    with pytest.raises(BusError) as error:
        b.driver.read()
    assert error.value.args == ("modbus", "busy")
    running = False
    b.port.advance(SECOND_US)
    b.driver.read()


def test_modbus_meter_that_was_exchanged() -> None:
    b = bench_modbus(import_wh=5_000_000.0)
    b.driver.read()
    b.model.import_wh = 100_000.0
    b.driver.read()
    assert b.driver.energy_mwh == 5_000_000_000
    b.model.import_wh = 103_000.0
    b.driver.read()
    assert b.driver.energy_mwh == pytest.approx(5_003_000_000, abs=1000)


def test_modbus_model_wrong_use() -> None:
    model = modbus_meter.ModbusMeter(direction=True)
    port = attach(model)
    wire = Wire(port, 2, model, 10e6 / 9600)
    request = bytes.fromhex("010400000002") + b"\x71\xcb"
    port.advance(SECOND_US)
    wire.write(request)
    port.advance(SECOND_US)
    assert "DE is low" in model.violations[-1]
    model.pin_changed("de", 1)
    wire.write(request)
    port.advance(SECOND_US)
    assert "two drivers" in model.violations[-1]
    wire.write(request)
    port.advance(13_000)
    wire.write(request)
    port.advance(SECOND_US)
    assert "before the meter has answered" in model.violations[-2]
    wire.write(request[:7])
    port.advance(9000)
    wire.write(request[7:])
    port.advance(SECOND_US)
    assert any("1.5 characters" in v for v in model.violations)
