"""CSE7766 and INA219: faults, wraps and wrong use, the models through the unmodified drivers."""

from collections.abc import Callable
from typing import Any

import pytest

from firmware.drivers.cse7766 import CSE7766
from firmware.drivers.errors import BusError, ChipError, NotReady
from hw.virtual.chips import cse7766, ina219
from hw.virtual.chips.shim import Time, Uart
from tests.host.energy_bench import (
    HOUR_US,
    SECOND_US,
    bench_cse7766,
    bench_ina219,
    result,
)
from tests.host.sensor_bench import attach

# CSE7766

#: Published by others for a real plug: 207 V, 0.1053 A, 20.86 W.
PUBLISHED = bytes.fromhex("555A02F7600003AB00401002605D51A65803E9EF710B7A36")


def test_cse7766_published_frame() -> None:
    b = bench_cse7766()
    b.model.faults += [lambda f: PUBLISHED] * 9
    b.port.advance(200_000)
    b.driver.read()
    assert result(b.driver)[:3] == (207_029, 105, 20_862)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (lambda f: f[:9] + bytes([f[9] ^ 4]) + f[10:], "sum"),
        (lambda f: f[:-1] + bytes([f[-1] ^ 0x10]), "sum"),
        (lambda f: b"", "timeout"),
        (lambda f: f[:11], "sum"),
        (lambda f: f[2:], "timeout"),
    ],
    ids=["data", "sum", "silent", "short", "header lost"],
)
def test_cse7766_faults(fault: Callable[[bytes], bytes], word: str) -> None:
    b = bench_cse7766(load=(230.0, 1.0, 0.9))
    b.driver.read()
    good = result(b.driver)[:3]
    b.model.faults += [fault] * 6
    start = b.port.now_us
    with pytest.raises(BusError) as error:
        b.driver.read()
    assert error.value.args == ("cse7766", word)
    assert b.port.now_us - start < 260_000
    assert result(b.driver)[:3] == good
    b.model.faults.clear()
    b.driver.read()
    assert result(b.driver)[:3] == good


def test_cse7766_one_bad_frame_is_passed_over() -> None:
    b = bench_cse7766()
    b.model.faults.append(lambda f: f[:-1] + bytes([f[-1] ^ 1]))
    b.driver.read()
    assert b.driver.power_mw == pytest.approx(115_000, rel=0.001)


def test_cse7766_no_load_is_zero_not_old() -> None:
    """Header F2; and the 256 bytes that waited in the UART are not believed."""
    b = bench_cse7766(load=(230.0, 2.0, 1.0))
    b.driver.read()
    assert b.driver.power_mw == pytest.approx(460_000, rel=0.001)
    b.port.advance(60 * SECOND_US)
    b.model.set_physical(0.0)
    b.driver.read()
    assert result(b.driver)[:3] == (b.driver.voltage_mv, 0, 0)
    assert b.driver.voltage_mv == pytest.approx(230_000, rel=0.002)
    assert b.model.frame()[0] == 0xF2


def test_cse7766_says_that_it_is_at_fault() -> None:
    b = bench_cse7766()
    b.driver.read()
    good = result(b.driver)
    for bits, head in ((1, 0xF1), (4, 0xF4), (8, 0xF8), (0xF, 0xFF)):
        b.model.fault_bits = bits
        with pytest.raises(ChipError) as error:
            b.driver.read()
        assert error.value.args == ("cse7766", head)
    b.model.fault_bits = 0
    b.model.calibrated = False
    with pytest.raises(ChipError) as error:
        b.driver.read()
    assert error.value.args == ("cse7766", 0xAA)
    assert result(b.driver) == good
    b.model.calibrated = True
    b.driver.read()


def test_cse7766_is_not_ready_at_power_on() -> None:
    model = cse7766.CSE7766()
    port = attach(model)
    driver = CSE7766(Uart(port, 1, model), clock=Time(port.clock))
    port.advance(300_000)
    with pytest.raises(NotReady):
        driver.read()
    assert driver.power_mw is None and driver.voltage_mv is not None
    port.advance(SECOND_US)
    driver.read()
    assert driver.power_mw == pytest.approx(115_000, rel=0.001)


def test_cse7766_counter_wraps() -> None:
    b = bench_cse7766(load=(230.0, 8.0, 1.0), pulses0=0xFFF0)
    b.driver.read()
    start = b.port.now_us
    for _ in range(5):
        b.port.advance(90 * SECOND_US)
        b.driver.read()
    wanted = 1840 * (b.port.now_us - start) / HOUR_US * 1000
    assert b.driver.energy_mwh == pytest.approx(wanted, abs=100)


def test_cse7766_wrong_use() -> None:
    b = bench_cse7766()
    b.model.receive(b"x")
    assert len(b.model.violations) == 1
    with pytest.raises(ValueError, match="55000 us"):
        cse7766.CSE7766(period_us=50_000)


# INA219


def test_ina219_power_and_sign() -> None:
    b = bench_ina219(load=(24.0, -1.5))
    b.driver.read()
    assert result(b.driver) == (24_000, -1500, -36_000, None, None)


def test_ina219_chip_arithmetic() -> None:
    """domain: calibration 4096 at 0.1 Ohm is 100 uA per bit, power 20 times that."""
    b = bench_ina219(load=(12.0, 0.5))
    b.bus.writeto_mem(0x40, 5, (4096).to_bytes(2, "big"))
    b.port.advance(2000)
    assert int.from_bytes(b.bus.readfrom_mem(0x40, 4, 2), "big") == 5000
    assert int.from_bytes(b.bus.readfrom_mem(0x40, 3, 2), "big") == 3000
    assert int.from_bytes(b.bus.readfrom_mem(0x40, 1, 2), "big") == 5000
    assert int.from_bytes(b.bus.readfrom_mem(0x40, 2, 2), "big") >> 3 == 3000


def test_ina219_bus_faults() -> None:
    b = bench_ina219()
    b.driver.read()
    good = result(b.driver)

    def fails(*args: Any) -> None:
        with pytest.raises(BusError) as error:
            b.driver.read()
        assert error.value.args == ("ina219", *args)
        assert result(b.driver) == good

    for at in range(3):  # the write, the poll, the result
        b.bus.log.clear()
        b.model.nack = 0
        calls = iter(range(99))
        write = b.model.write
        b.model.write = lambda data, at=at, calls=calls, write=write: (
            False if next(calls) == at else write(data)
        )
        fails(19)
        b.model.write = write
        b.driver.read()
        assert result(b.driver) == good
    b.bus.nack = 1
    fails(19)
    b.driver.read()
    b.bus.stuck = 1
    fails(110)
    b.driver.read()
    b.bus.fault = lambda data: data[:0]  # nobody drives the line
    fails("bus")
    b.bus.fault = None
    b.driver.read()
    b.model.stuck = True
    fails("timeout")
    b.model.stuck = False
    b.driver.read()
    assert result(b.driver) == good
    assert b.model.violations == []


def test_ina219_beyond_the_shunt() -> None:
    b = bench_ina219(load=(12.0, 3.3))
    with pytest.raises(ChipError) as error:
        b.driver.read()
    assert error.value.args == ("ina219", "over")
    b.model.set_physical(3.0)
    b.driver.read()
    assert b.driver.current_ma == 3000


def test_ina219_after_a_dip() -> None:
    """A part that fell back to its reset state between two readings measures right at once."""
    b = bench_ina219(load=(24.0, 2.5))
    b.driver.read()
    b.model.reset()
    b.driver.read()
    assert result(b.driver)[:3] == (24_000, 2500, 60_000)


@pytest.mark.parametrize("average", range(8))
def test_ina219_waits_as_long_as_it_takes(average: int) -> None:
    """domain: 68.1 ms for 128 samples; here of voltage and current."""
    b = bench_ina219(load=lambda us: (12.0, us / 1e6), driver={"average": average})
    b.driver.read()
    typical = 2 * 532 * 2**average
    assert typical <= b.port.now_us <= 1.2 * typical + 4000
    assert b.driver.current_ma * 1000 >= typical - 1000


def test_ina219_another_shunt() -> None:
    b = bench_ina219(load=(12.0, 8.0), shunt_ohm=0.01, shunt_error=0.01, driver={"shunt_uohm": 10_000})
    b.driver.read()
    assert b.driver.current_ma == 8080
    b = bench_ina219(
        load=(12.0, 8.0), shunt_ohm=0.01, shunt_error=0.01, driver={"shunt_uohm": 10_000, "i_ppm": -9901}
    )
    b.driver.read()
    assert b.driver.current_ma == 8000


def test_ina219_model_wrong_use() -> None:
    model = ina219.INA219()
    attach(model)
    for data in (b"\x06", b"\x01\0\0", b"\x00\0"):
        model.write(data)
    assert len(model.violations) == 3
