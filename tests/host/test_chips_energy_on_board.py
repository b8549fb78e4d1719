"""The energy drivers under the real interpreter, on a virtual board with the models: real UART times and
settings, I2C, soft interrupts of the pulse outputs, the direction pin of RS-485."""

from typing import Any

from hw.virtual import World
from hw.virtual.chips.bl0942 import BL0942
from hw.virtual.chips.cse7766 import CSE7766
from hw.virtual.chips.ina219 import INA219
from hw.virtual.chips.modbus_meter import ModbusMeter
from hw.virtual.chips.pulse_energy import PulseEnergy
from tests.host.virtual_bench import program

SHOW = """
def show(d):
    print(d.voltage_mv, d.current_ma, d.power_mw, d.energy_mwh, d.frequency_mhz)
"""


def run(
    text: str, drivers: tuple[str, ...], chips: dict[str, Any], wiring: dict[str, Any], seconds: float
) -> Any:
    root = program(SHOW + text, *drivers)
    with World(1) as world:
        board = world.add_board(
            "a", mpy_dir=root, chips=chips, wiring=wiring, mcu="esp32s3", on_exit="end", heap="300k"
        )
        world.run(seconds)
    assert board.failures == [], board.console
    assert all(chip.violations == [] for chip in chips.values())
    return [tuple(None if x == "None" else int(x) for x in line.split()) for line in board.console]


def test_serial_and_i2c() -> None:
    """A lamp's meter on UART 1, the cabinet's on UART 2 with its direction pin, the supply on I2C."""
    lines = run(
        """
from machine import I2C, Pin, UART
from firmware.drivers.bl0942 import BL0942
from firmware.drivers.ina219 import INA219
from firmware.drivers.modbus_meter import ModbusMeter
import time
lamp = BL0942(UART(1, 4800, tx=17, rx=18))
cabinet = ModbusMeter(UART(2, 9600, tx=5, rx=6), de=Pin(7, Pin.OUT, value=0))
supply = INA219(I2C(0, scl=Pin(41), sda=Pin(42)))
for _ in range(2):
    for d in (lamp, cabinet, supply):
        d.read()
        show(d)
    time.sleep(60)
""",
        ("bl0942", "modbus_meter", "ina219"),
        {
            "lamp": BL0942(load=(230.0, 8.0, 1.0)),
            "cabinet": ModbusMeter(2, ((231.0, 2.0, 0.5),) * 3, direction=True, import_wh=1234.0),
            "supply": INA219((12.0, 0.25)),
        },
        {"lamp": {"uart": 1}, "cabinet": {"uart": 2, "de": 7}, "supply": {"i2c": 0}},
        130,
    )
    assert [line[:3] for line in lines[:3]] == [
        (230_000, 8000, 1_840_000),
        (231_000, 6000, 693_000),
        (12_000, 250, 3000),
    ]
    assert [line[:3] for line in lines[3:]] == [line[:3] for line in lines[:3]]
    assert abs(lines[3][3] - 1_840_000 / 60) < 400
    assert abs(lines[4][3] - lines[1][3] - 693_000 / 60) < 1100
    assert [line[4] for line in lines[3:]] == [50_000, 50_000, None]


def test_pulses_and_stream() -> None:
    lines = run(
        """
from machine import Pin, UART
from firmware.drivers.cse7766 import CSE7766
from firmware.drivers.hlw8012 import HLW8012
import time
uart = UART(1, 4800, bits=8, parity=0, stop=1, tx=17, rx=18)
plug = CSE7766(uart)
lamp = HLW8012(Pin(4, Pin.IN), Pin(5, Pin.IN), Pin(6, Pin.OUT, value=0))
time.sleep(2)
for _ in range(6):
    time.sleep(1)
    lamp.read()
plug.read()
show(lamp)
show(plug)
""",
        ("cse7766", "hlw8012"),
        {"plug": CSE7766(load=(230.0, 1.0, 0.9)), "lamp": PulseEnergy((230.0, 0.5, 1.0))},
        {"plug": {"uart": 1}, "lamp": {"cf": 4, "cf1": 5, "sel": 6}},
        12,
    )
    lamp, plug = lines
    for got, wanted in zip(lamp[:3] + plug[:3], (230_000, 500, 115_000, 230_000, 1000, 207_000), strict=True):
        assert abs(got - wanted) <= wanted * 0.005 + 1
