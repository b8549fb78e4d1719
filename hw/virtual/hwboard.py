"""What hw/boards/<name> says of a real board, as the virtual one needs it: chip, pins, and where parts
sit."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from .flash import DEFAULT_TABLE, Partition, read_table

BOARDS = Path(__file__).resolve().parents[1] / "boards"


#: Legs of each part's model and the signal it hangs on; `power` is the switched rail of the sensors. The parts
#: of firmware/parts under their names, and four under the names of what they are: lamp, meter, battery, range.
LEGS: dict[str, dict[str, str]] = {
    "lamp": {"dim": "DIM", "relay": "RELAY"},
    "meter": {"pulse": "PULSE"},
    "battery": {"sense": "VBAT", "switch": "VBAT_SWITCH"},
    "range": {"power": "power"},
    "dimmer": {"dim": "DIM"},
    "dali": {"tx": "DALI_TX", "rx": "DALI_RX"},
    "relay": {"relay": "RELAY"},
    "a02yyuw": {"power": "power"},
    "maxbotix": {"power": "power"},
    "tfluna": {"power": "power"},
    "hcsr04": {"trigger": "ECHO_TRIGGER", "echo": "ECHO", "power": "power"},
    "jsnsr04t": {"trigger": "ECHO_TRIGGER", "echo": "ECHO", "power": "power"},
    "hlw8012": {"cf": "METER_CF", "cf1": "METER_CF1", "sel": "METER_SEL"},
    "bl0937": {"cf": "METER_CF", "cf1": "METER_CF1", "sel": "METER_SEL"},
    "modbus_meter": {"de": "RS485_DE"},
    "contact_pulses": {"pulse": "PULSE"},
    "supply": {"sense": "VBAT", "switch": "VBAT_SWITCH"},
    "leak_rope": {"a": "ROPE_A", "b": "ROPE_B", "sense": "ANALOG"},
    "pressure": {"sense": "ANALOG"},
    "photocell": {"sense": "ANALOG"},
    "hatch": {"drive": "OUTPUT1", "interlock": "CONTACT1"},
    "compactor": {"drive": "OUTPUT2", "interlock": "CONTACT2"},
    "contact1": {"contact": "CONTACT1"},
    "contact2": {"contact": "CONTACT2"},
    "contact3": {"contact": "CONTACT3"},
    "contact4": {"contact": "CONTACT4"},
    "contact5": {"contact": "CONTACT5"},
    "ds18b20": {"wire": "ONEWIRE"},
}
ON_UART = ("range", "a02yyuw", "maxbotix", "tfluna", "bl0942", "cse7766", "modbus_meter")
ON_I2C = ("vl53l1x", "lis3dh", "ina219", "ads1115", "atecc608", "pcf8593")
#: Legs that a board may lack: its divider is always connected.
OPTIONAL = ("switch",)


class HwBoard(NamedTuple):
    """mcu: key of board.MCU_PINS. pins: signal name -> GPIO, further uses of header pins among them.
    wiring: part -> {leg or bus: pin or number}, for the parts that the board has pins for (`LEGS`), and radio.
    """

    mcu: str
    flash_size: int
    pins: dict[str, int]
    wiring: dict[str, dict[str, int]]
    table: tuple[Partition, ...]
    about: dict[str, Any]

    @property
    def i2c_pins(self) -> dict[int, tuple[int, int]]:
        """Number that the wiring uses -> (SCL, SDA)."""
        return {0: (self.pins["I2C_SCL"], self.pins["I2C_SDA"])}

    @property
    def uart_pins(self) -> dict[int, tuple[int, int]]:
        """Number that the wiring uses -> the MCU's (TX, RX)."""
        return {1: (self.pins["UART1_TX"], self.pins["UART1_RX"])}

    @property
    def float_levels(self) -> dict[int, int]:
        """Pin -> level while the MCU does not drive it (resistors of the board's page): the sensors are without
        supply, a DALI line is low."""
        rail = self.about["sensors"]
        found = {self.pins[rail["power_pin"]]: 1 - int(rail["power_on_level"])}
        if "DALI_TX" in self.pins:
            found[self.pins["DALI_TX"]] = 0
        return found


def names() -> list[str]:
    """The boards there are."""
    return sorted(p.parent.name for p in BOARDS.glob("*/pins.csv"))


def load(name: str) -> HwBoard:
    """Read one board; ValueError with the known names when there is none."""
    folder = BOARDS / name
    if not (folder / "pins.csv").exists():
        raise ValueError(f"no board {name!r}; there are: {', '.join(names())}")
    about = tomllib.loads((folder / "board.toml").read_text())
    pins: dict[str, int] = {}
    with (folder / "pins.csv").open(newline="") as f:
        for row in csv.reader(line for line in f if line.strip() and not line.startswith("#")):
            pins[row[0].strip()] = int(row[1].strip().removeprefix("GPIO"))
    for signal, leg in about.get("functions", {}).items():
        pins[signal] = pins[leg] if isinstance(leg, str) else leg
    table = folder / "partitions.csv"
    return HwBoard(
        about["mcu"],
        int(about.get("flash_mb", 4)) << 20,
        pins,
        _wiring(pins, about),
        read_table(table) if table.exists() else DEFAULT_TABLE,
        about,
    )


def _wiring(pins: dict[str, int], about: dict[str, Any]) -> dict[str, dict[str, int]]:
    radio = {
        leg: pins["LORA_" + leg.upper()]
        for leg in ("cs", "busy", "dio1", "dio0", "reset")
        if "LORA_" + leg.upper() in pins
    }
    out = {"radio": {"spi": int(about["radio"]["spi"]), **radio}}
    legs_of = pins | {"power": pins[about["sensors"]["power_pin"]]}
    for part in dict.fromkeys((*LEGS, *ON_UART, *ON_I2C)):
        legs = LEGS.get(part, {})
        if all(signal in legs_of or leg in OPTIONAL for leg, signal in legs.items()):
            out[part] = {leg: legs_of[signal] for leg, signal in legs.items() if signal in legs_of}
            out[part] |= {"uart": 1} if part in ON_UART else {"i2c": 0} if part in ON_I2C else {}
    return out
