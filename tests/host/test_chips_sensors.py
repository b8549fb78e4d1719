"""Three sensor models through their unmodified drivers: faults, wrong use. Sweeps: test_sensor_sweep.py."""

import contextlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.drivers import a02yyuw as range_driver
from firmware.drivers.battery import Supply
from firmware.drivers.dimmer_pwm import DimmerPWM
from firmware.drivers.errors import BusError, NotReady
from firmware.drivers.pulse import PulseCounter
from hw.virtual.chips.a02yyuw import A02YYUW
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.battery import Battery
from hw.virtual.chips.lamp_0_10v import Lamp010V
from hw.virtual.chips.pulse_meter import PulseMeter, clean, pulses, read_csv
from hw.virtual.chips.shim import Adc, InPin, OutPin, Pwm, Time, Uart
from tests.host.sensor_bench import Sensor, attach

HOUR_US = 3_600_000_000


def ultrasonic() -> Sensor:
    model = A02YYUW()
    port = attach(model)
    driver = range_driver.A02YYUW(Uart(port))

    def measure() -> float:
        port.advance(driver.start() * 1000)
        return float(driver.read_mm()) / 1000

    port.advance(1_000_000)
    return Sensor(model, port, measure, 0.0005)


def battery() -> Sensor:
    model = Battery(switch_level=0)
    port = attach(model)
    switch = OutPin(lambda level: model.pin_changed("switch", level))
    driver = Supply(Adc(model, "sense"), 49, 10, switch, 0, clock=Time(port.clock))
    # The ADC's millivolt, times the divider.
    return Sensor(model, port, lambda: driver.read_mv() / 1000, 0.0055)


def meter() -> Sensor:
    model = PulseMeter(bounces=1)
    port = attach(model)
    driver = PulseCounter(InPin(port, "pulse", 1), clock=Time(port.clock))

    def measure() -> float:
        """Flow in m3/s over an hour."""
        before = driver.update()
        port.advance(HOUR_US)
        return float(driver.update() - before) / 1000 / 3600

    return Sensor(model, port, measure, 0.001 / 3600)


SENSORS = {"a02yyuw": ultrasonic, "battery": battery, "pulse_meter": meter}


# Ultrasonic


def ranging(**options: Any) -> tuple[A02YYUW, ManualPort, Uart, Any]:
    model = A02YYUW(**options)
    port = attach(model)
    uart = Uart(port)
    return model, port, uart, range_driver.A02YYUW(uart)


def test_range_frame_on_the_wire() -> None:
    """DFRobot's example: 1.953 m is FF 07 A1 A7, 4.17 ms after the measurement."""
    model, port, uart, _ = ranging(distance_m=1.953)
    port.advance(500_000 + 4166)
    assert uart.any() == 0
    port.advance(2)
    assert uart.read() == b"\xff\x07\xa1\xa7"
    assert model.frames == 1
    assert port.current_ua == 8000


def test_range_out_of_range_is_no_distance() -> None:
    for metres in (0.0, 0.029, 4.501, 9.0):
        _, port, _, driver = ranging(distance_m=metres)
        port.advance(1_000_000)
        assert driver.read_mm() is None, metres
    model, _, _, _ = ranging(distance_m=0.02)
    assert model.reading() == 0
    model.set_physical(5.0)
    assert model.reading() == 0xFFFD


def test_range_rates() -> None:
    model, port, _, _ = ranging()
    port.advance(30_500_000)
    assert 110 <= model.frames <= 200  # 100 to 300 ms
    model.pin_changed("rx", 0)
    port.advance(1_000_000)
    before = model.frames
    port.advance(10_000_000)
    assert model.frames - before == 100


def test_range_power_switch() -> None:
    model = A02YYUW(switched=True)
    port = attach(model)
    driver = range_driver.A02YYUW(Uart(port), OutPin(lambda level: model.pin_changed("power", level)))
    port.advance(2_000_000)
    assert model.frames == 0 and port.current_ua == 0
    port.advance(driver.start() * 1000)
    assert driver.read_mm() == 1000
    driver.stop()
    port.advance(300_000)
    frames = model.frames
    port.advance(5_000_000)
    assert model.frames == frames and port.current_ua == 0
    port.advance(driver.start() * 1000)
    assert driver.read_mm() == 1000
    assert model.violations == []


@pytest.mark.parametrize(
    "fault",
    [
        lambda f: f[:3],
        lambda f: b"",
        lambda f: bytes([f[0], f[1] ^ 1]) + f[2:],
        lambda f: f[:3] + bytes([f[3] ^ 0x80]),
        lambda f: bytes([0x7F]) + f[1:],
        lambda f: f[1:],
        lambda f: b"\xff" + f,
    ],
    ids=["short", "missing", "bit in data", "bit in sum", "bit in header", "header lost", "header twice"],
)
def test_range_damaged_frame(fault: Callable[[bytes], bytes]) -> None:
    """Never a wrong distance; the next frame is read."""
    model, port, _, driver = ranging(distance_m=2.345)
    model.pin_changed("rx", 0)
    model.faults.append(fault)
    port.advance(550_000)
    with contextlib.suppress(BusError, NotReady):
        assert driver.read_mm() == 2345
    port.advance(200_000)
    assert driver.read_mm() == 2345


def test_range_every_bit_flip() -> None:
    for bit in range(32):
        model, port, _, driver = ranging(distance_m=2.345)
        model.faults.append(lambda f, bit=bit: (int.from_bytes(f, "big") ^ 1 << bit).to_bytes(4, "big"))  # type: ignore[misc]
        port.advance(520_000)
        with pytest.raises((BusError, NotReady)):
            driver.read_mm()


def test_range_full_buffer_does_not_answer_old() -> None:
    """What waited in the UART is thrown away by `start`: the reading is of now."""
    model, port, uart, driver = ranging(distance_m=1.0)
    port.advance(60_000_000)
    assert uart.any() == 256
    model.set_physical(3.0)
    port.advance(driver.start() * 1000)
    assert driver.read_mm() == 3000


def test_range_wrong_use() -> None:
    """A byte to it is one; a UART that is first set up otherwise is not, but reads rubbish."""
    model, port, uart, _ = ranging()
    model.configure(115200, 8, None, 1)
    model.receive(b"x")
    port.advance(1_000_000)
    assert model.violations == [] and model.garbled > 4
    assert b"\xff\x03\xe8" not in (uart.read() or b"")
    model.configure(9600, 8, None, 1)
    port.advance(1_000_000)
    assert b"\xff\x03\xe8" in (uart.read() or b"")
    model.receive(b"x")
    assert len(model.violations) == 1


def test_range_noise_comes_from_the_seed() -> None:
    def run(seed: int) -> list[int]:
        model = A02YYUW(distance_m=1.0, noise_m=0.005)
        port = ManualPort(seed)
        model.attach(port)
        return [model.reading() for _ in range(50)]

    assert run(1) == run(1) != run(2)
    assert 980 <= min(run(1)) < max(run(1)) <= 1020


def test_range_follows_a_function_of_time() -> None:
    _, port, _, driver = ranging(distance_m=lambda us: 1.0 + us / 1e8)
    port.advance(50_000_000)
    port.advance(driver.start() * 1000)
    # The frame read is 0 to 300 ms old: 3 mm.
    assert 1500 <= driver.read_mm() <= 1503


# Pulses

SERIES = [(0, 100.0), (HOUR_US, 100.0), (2 * HOUR_US, 104.0), (3 * HOUR_US, 105.5), (4 * HOUR_US, 106.0)]


def test_pulses_lie_where_the_index_passes_a_litre() -> None:
    assert [t for t, _ in pulses(clean(SERIES), 1)] == [
        HOUR_US + HOUR_US // 4,
        HOUR_US + HOUR_US // 2,
        HOUR_US + 3 * HOUR_US // 4,
        2 * HOUR_US,
        2 * HOUR_US + 2 * HOUR_US // 3,
        4 * HOUR_US,
    ]
    assert len(list(pulses(clean(SERIES), 0.5))) == 12
    assert len(list(pulses(clean(SERIES), 10))) == 0


def counting(series: list[tuple[int, float]], **options: Any) -> tuple[PulseMeter, ManualPort, Any, InPin]:
    model = PulseMeter(series, **options)
    port = attach(model)
    pin = InPin(port, "pulse", 1)
    return model, port, PulseCounter(pin, clock=Time(port.clock)), pin


@pytest.mark.parametrize("bounces", [0, 1, 5])
def test_pulse_count_is_the_index_difference(bounces: int) -> None:
    model, port, driver, _ = counting(SERIES, bounces=bounces)
    for at, litres in SERIES[1:]:
        port.run_until(at)
        assert driver.update() == int(litres) - 100 == model.count


def test_pulse_contact_times() -> None:
    model, port, _, _ = counting([(0, 0.0), (10_000_000, 100.0)])
    port.run_until(11_000_000)
    closed = [(b[0] - a[0]) for a, b in itertools.pairwise(port.pin_log) if a[2] == 0 and b[2] == 1]
    assert len(closed) == 100
    assert all(50_000 <= us <= 50_002 for us in closed)  # half of a step of 100 ms
    assert model.count == 100


def test_pulse_lost_interrupts_are_made_good() -> None:
    model, port, driver, pin = counting([(0, 0.0), (HOUR_US, 60.0)])
    pin.lose_edges = 1
    port.run_until(60_100_000)  # within the first closure
    assert driver.count == 0
    assert driver.update() == 1
    port.run_until(HOUR_US)
    assert driver.update() == model.count == 60


def test_pulse_series_that_do_not_fit() -> None:
    hour = HOUR_US
    series = clean(
        [
            (0, 10.0),
            (hour, 11.0),
            (hour, 12.0),  # the same time twice
            (2 * hour, 11.5),  # a slip, made good an hour later
            (3 * hour, 13.0),
            (9 * hour, 19.0),  # six hours missing
            (10 * hour, 2.0),  # a new meter
            (11 * hour, 3.0),
        ]
    )
    assert [len(p) for p in series.parts] == [4, 2]
    assert [f.split(": ")[1] for f in series.findings] == ["repeat", "slip", "gap", "decrease"]
    assert "3600 s: repeat: 11 l and 12 l" in series.findings[0]
    # 2 l, 1 l, 6 l of the old meter and 1 l of the new one; nothing for the change.
    assert len(list(pulses(series, 1))) == 2 + 1 + 6 + 1


def test_pulse_series_out_of_order_or_empty() -> None:
    assert clean([]).parts == []
    assert clean([(5, 1.0)]).parts == [[(5, 1.0)]]
    assert clean(list(reversed(SERIES))).parts == [SERIES]
    model, port, driver, _ = counting([])
    port.advance(HOUR_US)
    assert (model.count, driver.update()) == (0, 0)
    with pytest.raises(ValueError, match="above 0"):
        PulseMeter(SERIES, litres_per_pulse=0)


def test_pulse_csv(tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"
    path.write_text("time_local,index_l\n2016-03-01T00:04:27,3.22738E5\n2016-03-01T01:04:27,322740\n")
    assert read_csv(path, "2016-03-01T00:04:27") == [(0, 322738.0), (HOUR_US, 322740.0)]
    for bad in (
        "2016-03-01T02:00:00\n",
        "yesterday,5\n",
        "2016-03-01T02:00:00,wet\n",
        "2016-03-01T02:00:00,nan\n",
    ):
        path.write_text("time_local,index_l\n" + bad)
        with pytest.raises(ValueError, match=r"meter\.csv:2: no reading"):
            read_csv(path, "2016-03-01T00:00:00")


@pytest.mark.parametrize("number", range(1, 13))
def test_pulse_real_meters(number: int) -> None:
    """Three days of each household: as many pulses as the index rises, and the driver counts them all."""
    top = os.environ.get("LANTERNE_DATA")
    path = Path(top or "") / "water" / f"meter-{number:02}.csv"
    if not top or not path.exists():
        pytest.skip("LANTERNE_DATA has no water meters")
    readings = read_csv(path, "2016-06-01T00:00:00")
    days = [r for r in readings if 0 <= r[0] <= 72 * HOUR_US]
    assert len(days) >= 40
    model, port, driver, _ = counting(days, bounces=2)
    port.run_until(73 * HOUR_US)
    rise = sum(int(part[-1][1]) - int(part[0][1]) for part in model.series.parts)
    assert driver.update() == model.count == rise > 0
    # The whole year is sorted out without an error, and what was wrong is named.
    year = clean(readings)
    assert any("repeat" in f for f in year.findings)
    assert all(b[1] >= a[1] and b[0] > a[0] for p in year.parts for a, b in itertools.pairwise(p))


# Lamp


def lamp(**options: Any) -> tuple[Lamp010V, ManualPort, Any]:
    model = Lamp010V(**options)
    port = attach(model)
    return model, port, DimmerPWM(Pwm(model, "dim"))


def test_lamp_is_on_without_a_program() -> None:
    model, port, _ = lamp()
    assert (model.level, model.line_v, model.fed) == (100.0, 10.0, True)
    port.advance(HOUR_US)
    assert model.energy_wh == pytest.approx(60)
    # In reset the pins float again.
    model.pin_changed("dim", 1)
    assert model.level == 0
    model.floating("dim")
    assert model.level == 100


@pytest.mark.parametrize(
    ("permille", "level"), [(1000, 100), (550, 55), (500, 50), (100, 10), (80, 10), (40, 0), (0, 0)]
)
def test_lamp_follows_the_line(permille: int, level: float) -> None:
    model, _, driver = lamp()
    driver.set(permille)
    assert model.line_v == pytest.approx(permille / 100, abs=0.001)
    assert model.level == pytest.approx(level, abs=0.05)
    assert model.power_w == pytest.approx(0.5 + 59.5 * level / 100, abs=0.05)


def test_lamp_switches_with_hysteresis() -> None:
    model, _, driver = lamp()
    driver.set(40)
    assert not model.lit
    driver.set(60)
    assert not model.lit
    driver.set(80)
    assert model.lit and model.level == 10


def test_lamp_energy_of_a_night() -> None:
    """Four hours full, six at half, by hand: 4 x 60 + 6 x 30.25 Wh."""
    model, port, driver = lamp()
    driver.set(1000)
    port.advance(4 * HOUR_US)
    driver.set(500)
    port.advance(6 * HOUR_US)
    assert model.energy_wh == pytest.approx(240 + 181.5, abs=0.1)
    assert [e[1] for e in port.events] == ["actuate"]
    assert port.events[0][2]["level"] == pytest.approx(50, abs=0.01)


def test_lamp_relay() -> None:
    model, port, _ = lamp()
    model.pin_changed("relay", 1)
    assert (model.level, model.power_w) == (0.0, 0.0)
    port.advance(HOUR_US)
    assert model.energy_wh == 0
    model.floating("relay")
    assert model.level == 100


def test_lamp_on_a_board_with_the_other_sense() -> None:
    model = Lamp010V(full_level=1, relay_on_level=1)
    port = attach(model)
    assert model.level == 100
    DimmerPWM(Pwm(model, "dim"), full=1).set(300)
    assert model.level == pytest.approx(30, abs=0.05)
    model.pwm_changed("dim", 0, 0)
    assert model.level == 100
    assert port.events[-1][2]["level"] == 100


def test_lamp_wrong_use() -> None:
    model, _, _ = lamp()
    model.pwm_changed("relay", 1000, 1000)
    model.pwm_changed("dim", 50, 1000)
    assert ["chatter" in v or "flickers" in v for v in model.violations] == [True, True]
    assert len(model.violations) == 2


# Supply


def test_supply_faults() -> None:
    model = Battery(3.9)
    port = attach(model)
    adc = Adc(model, "sense")
    driver = Supply(adc, 49, 10, clock=Time(port.clock))
    adc.fault = lambda uv: 0
    with pytest.raises(BusError):
        driver.read_mv()
    adc.fault = None
    assert driver.read_mv() == pytest.approx(3900, abs=5)
    assert model.adc_uv("switch") == 0  # not the measuring leg


def test_supply_saturates_and_switches() -> None:
    model = Battery(20.0, upper_ohm=100_000, lower_ohm=100_000, switch_level=0)
    attach(model)
    assert model.adc_uv("sense") == 0
    model.pin_changed("switch", 0)
    assert model.adc_uv("sense") == 3_100_000
    model.pin_changed("switch", 1)
    assert model.adc_uv("sense") == 0


def test_supply_noise_and_time() -> None:
    model = Battery(lambda us: 4.0 - us / 1e9, noise_uv=500)
    port = attach(model)
    readings = {model.adc_uv("sense") for _ in range(20)}
    assert len(readings) > 5
    port.advance(500_000_000)
    assert model.adc_uv("sense") == pytest.approx(3.5e6 / 4.9, abs=3000)
