"""What each part of firmware/parts is soldered to, how a board takes one reading of it, and what that must be.

A reading is a line of MicroPython that prints numbers of the part `p`; `scale` makes SI units of them. What is
told to a part that drives something is looked up in its model instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hw.virtual.chips import contact
from hw.virtual.chips.a02yyuw import A02YYUW
from hw.virtual.chips.actuator import Actuator
from hw.virtual.chips.ads1115 import ADS1115
from hw.virtual.chips.atecc608 import ATECC608
from hw.virtual.chips.base import Chip, PinChip
from hw.virtual.chips.battery import Battery
from hw.virtual.chips.bl0942 import BL0942
from hw.virtual.chips.cse7766 import CSE7766
from hw.virtual.chips.dali_bus import DaliBus
from hw.virtual.chips.dali_gear import DaliGear
from hw.virtual.chips.ds18b20 import DS18B20
from hw.virtual.chips.ina219 import INA219
from hw.virtual.chips.lamp_0_10v import Lamp010V
from hw.virtual.chips.leak_rope import LeakRope
from hw.virtual.chips.lis3dh import LIS3DH
from hw.virtual.chips.maxbotix import MaxBotix
from hw.virtual.chips.modbus_meter import ModbusMeter
from hw.virtual.chips.pcf8593 import PCF8593
from hw.virtual.chips.photocell import Photocell
from hw.virtual.chips.pulse_energy import PulseEnergy
from hw.virtual.chips.pulse_meter import PulseMeter
from hw.virtual.chips.relay_lamp import RelayLamp
from hw.virtual.chips.tfluna import TFLuna
from hw.virtual.chips.ultrasonic_pulse import JSN_SR04T, UltrasonicPulse
from hw.virtual.chips.vl53l1x import VL53L1X
from hw.virtual.hwboard import HwBoard

METRES, TILT, LUX, PASCAL, OHMS, VOLTS, CELSIUS = 1.23, 0.5236, 20.0, 250_000.0, 60_000.0, 3.9, -10.5
MAINS = (230.0, 0.5, 1.0)
#: Contacts of a board from 1, closed or not, and how many of them each part has.
CLOSED = (True, False, True, False, True)
CONTACTS = {"contacts": 3, "contacts5": 5}


class Loop(PinChip):
    """A pressure sender of 0 to 1 MPa, 4 to 20 mA, through 100 Ohm."""

    def adc_uv(self, pin: str) -> int:
        return round(volts_of(PASCAL) * 1e6)


def volts_of(pascal: float) -> float:
    return (0.004 + 0.016 * pascal / 1e6) * 100


def cell() -> Photocell:
    """As the boards' pages wire it."""
    return Photocell(LUX, across_ohm=100_000)


def adc() -> ADS1115:
    return ADS1115(volts=(volts_of(PASCAL), cell().volt(LUX), 0.0, 0.0))


def rail(board: HwBoard) -> dict[str, Any]:
    """Options of a model that hangs on the switched rail."""
    return {"switched": True, "power_on_level": board.about["sensors"]["power_on_level"]}


def battery(board: HwBoard) -> Battery:
    supply = board.about["supply"]
    return Battery(
        VOLTS,
        upper_ohm=supply["upper_ohm"],
        lower_ohm=supply["lower_ohm"],
        switch_level=supply.get("switch_level"),
    )


@dataclass
class Case:
    """chips: models by their names in the wiring. read: source, in which `p` is the part. wanted: SI units, each
    within `spread`; what is printed times `scale`, or what `driven` says of the first model."""

    chips: Callable[[HwBoard], dict[str, Chip]]
    read: str
    wanted: tuple[float, ...]
    spread: float = 1e-9
    scale: float = 1.0
    driven: Callable[[Any], float] | None = None


# As a kind reads: an echo that is late or missing is asked for again.
RANGE = """
ms = p.start()
mm = None
for i in range(9):
    time.sleep_ms(ms)
    ms = 310
    try:
        mm = p.read_mm()
        if mm:
            break
    except DriverError as e:
        pass
p.stop()
print(mm)
"""
ENERGY = """
for i in range({times}):
    try:
        p.read()
    except DriverError as e:
        pass
    time.sleep(1)
print(p.voltage_mv, p.current_ma, p.power_mw)
"""
MOVE = """
p.pulse(500, time.ticks_ms())
while p.active:
    p.poll(time.ticks_ms())
    time.sleep_ms(10)
print()
"""


def one(name: str, make: Callable[[HwBoard], Chip]) -> Callable[[HwBoard], dict[str, Chip]]:
    return lambda board: {name: make(board)}


def ranging(name: str, make: Callable[[HwBoard], Chip], spread: float = 0.001) -> Case:
    return Case(one(name, make), RANGE, (METRES,), spread, 0.001)


def energy(
    name: str,
    make: Callable[[], Chip],
    spread: float = 0.002,
    wanted: tuple[float, ...] = (230.0, 0.5, 115.0),
    times: int = 2,
) -> Case:
    return Case(one(name, lambda _: make()), ENERGY.format(times=times), wanted, spread, 0.001)


def moving(name: str) -> Case:
    return Case(
        one(name, lambda _: Actuator(limit_s=3700, safe_level=0)),
        MOVE,
        (0.5,),
        0.02,
        driven=lambda model: model.moved_us / 1e6,
    )


CASES: dict[str, Case] = {
    "dimmer": Case(
        one("dimmer", lambda b: Lamp010V(full_level=b.about["lamp"]["dim_full_level"])),
        "p.set(300)\nprint()",
        (3.0,),
        0.001,
        driven=lambda model: model.line_v,
    ),
    # Level 127 of the logarithmic curve would be 3 % of the light.
    "dali": Case(
        one("dali", lambda _: DaliBus([DaliGear(5)], tx_low=0)),
        "time.sleep(1)\np.set(500)\ntime.sleep(2)\nprint()",
        (50.0,),
        0.7,
        driven=lambda model: model.gears[0].light,
    ),
    "relay": Case(
        one("relay", lambda b: RelayLamp(on_level=b.about["lamp"]["relay_on_level"])),
        "p.set(False)\nprint()",
        (0.0,),
        driven=lambda model: float(model.closed),
    ),
    "bl0942": energy("bl0942", lambda: BL0942(load=MAINS)),
    "cse7766": energy("cse7766", lambda: CSE7766(load=MAINS), 0.1),
    # Voltage and current take turns, and interrupts that wait while the light is set come in a bunch: not the
    # first value of each.
    "hlw8012": energy("hlw8012", lambda: PulseEnergy(MAINS), 1.0, times=9),
    "bl0937": energy("bl0937", lambda: PulseEnergy(MAINS, "bl0937"), 1.0, times=9),
    "ina219": energy("ina219", lambda: INA219((12.0, 0.25)), 0.002, (12.0, 0.25, 3.0)),
    # The mean of the voltages, the sum of the currents.
    "modbus_meter": energy(
        "modbus_meter", lambda: ModbusMeter(1, (MAINS,) * 3, direction=True), 0.002, (230.0, 1.5, 345.0)
    ),
    "a02yyuw": ranging("a02yyuw", lambda b: A02YYUW(1, METRES, **rail(b))),
    "hcsr04": ranging("hcsr04", lambda b: UltrasonicPulse(METRES, **rail(b)), 0.02),
    "jsnsr04t": ranging("jsnsr04t", lambda b: UltrasonicPulse(METRES, variant=JSN_SR04T, **rail(b)), 0.02),
    "maxbotix": ranging("maxbotix", lambda b: MaxBotix(1, METRES, **rail(b))),
    "tfluna": ranging("tfluna", lambda b: TFLuna(1, METRES, **rail(b)), 0.011),
    "vl53l1x": ranging("vl53l1x", lambda _: VL53L1X(METRES), 0.005),
    "lis3dh": Case(
        one("lis3dh", lambda _: LIS3DH(acceleration=(0.0, 4.903, 8.493))),
        "time.sleep_ms(p.start())\nprint(p.tilt((0, 0, 1000)))",
        (TILT,),
        0.0175,
        0.017453,
    ),
    "ds18b20": Case(
        one("ds18b20", lambda _: DS18B20(CELSIUS)),
        "time.sleep_ms(p.start())\nprint(*[p.read(rom) for rom in p.scan()])",
        (CELSIUS,),
        scale=0.1,
    ),
    # What it signs is verified in test_parts.py; 0x60 is its family.
    "atecc608": Case(
        one("atecc608", lambda _: ATECC608()), "print(p.info()[2], len(p.sign(bytes(32))))", (0x60, 64)
    ),
    "supply": Case(one("supply", battery), "print(p.read_mv())", (VOLTS,), 0.01, 0.001),
    # Five litres between 10 and 15 s.
    "contact_pulses": Case(
        one("contact_pulses", lambda _: PulseMeter([(10_000_000, 0.0), (15_000_000, 5.0)], bounces=1)),
        "time.sleep_ms(20000 - time.ticks_ms())\nprint(p.update())",
        (0.005,),
        scale=0.001,
    ),
    "pcf8593": Case(
        one("pcf8593", lambda _: PCF8593(PulseMeter([(10_000_000, 0.0), (15_000_000, 5.0)], bounces=1))),
        "p.begin(7)\ntime.sleep_ms(20000 - time.ticks_ms())\nprint(p.update())",
        (0.005,),
        scale=0.001,
    ),
    "leak_rope": Case(
        one("leak_rope", lambda _: wet()), "print(p.read_ohm(), p.read() * 1000)", (OHMS, 1000.0), 600.0
    ),
    "pressure": Case(one("pressure", lambda _: Loop()), "print(p.read_pa())", (PASCAL,), 600.0),
    "pressure_ads1115": Case(one("ads1115", lambda _: adc()), "print(p.read_pa())", (PASCAL,), 60.0),
    "photocell": Case(one("photocell", lambda _: cell()), "print(p.read_lux())", (LUX,), 1.0),
    "photocell_ads1115": Case(one("ads1115", lambda _: adc()), "print(p.read_lux())", (LUX,), 1.0),
    "hatch": moving("hatch"),
    "compactor": moving("compactor"),
}


def wet() -> LeakRope:
    model = LeakRope()
    model.set_physical(OHMS)
    return model


def contacts(board: HwBoard, part: str, taken: set[int]) -> tuple[dict[str, Chip], list[bool | None]]:
    """Those that no other part of the board has, and what the firmware says of all of `part`."""
    chips: dict[str, Chip] = {}
    said: list[bool | None] = []
    for n, closed in enumerate(CLOSED[: CONTACTS[part]], 1):
        pin = board.pins.get(f"CONTACT{n}", -1)
        free = pin >= 0 and pin not in taken
        if free:
            chips[f"contact{n}"] = contact.Contact(closed)
        said.append(closed if free else None)
    return chips, said
