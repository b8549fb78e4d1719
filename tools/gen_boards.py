"""Pin constants of the boards: hw/boards/<name>/{pins.csv,board.toml} -> firmware/boards/<name>.py.

usage: python -m tools.gen_boards [--check]

`--check` writes nothing and fails when a file is missing, stale or left over. The pin rules of the
microcontroller (no pin twice, strapping, USB, flash pins) are checked before anything is written.
"""

from __future__ import annotations

import csv
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BOARDS = ROOT / "hw/boards"
OUT = ROOT / "firmware/boards"

#: ESP32-S3 datasheet: 2.3.4 ADC channels, 2.6 strapping pins, 2.2 pins of the in-package flash and PSRAM.
#: GPIO19 and GPIO20 are the USB pins; there are no input-only pins.
ESP32S3: dict[str, frozenset[int]] = {
    "exists": frozenset([*range(22), *range(26, 49)]),
    "strapping": frozenset([0, 3, 45, 46]),
    "memory": frozenset(range(26, 33)),
    "usb": frozenset([19, 20]),
    "adc1": frozenset(range(1, 11)),
    "adc2": frozenset(range(11, 21)),
    "rtc": frozenset(range(22)),
}
#: ESP32 datasheet: 2.2 pins (GPIO6 to 11 and, in the PICO-D4, 16 and 17 are the flash's), 2.4 strapping pins,
#: 4.1.2 ADC channels; GPIO34 to 39 are inputs without pulls.
ESP32: dict[str, frozenset[int]] = {
    "exists": frozenset([*range(6), *range(6, 20), 21, 22, 23, 25, 26, 27, *range(32, 40)]),
    "strapping": frozenset([0, 2, 5, 12, 15]),
    "memory": frozenset([*range(6, 12), 16, 17]),
    "usb": frozenset(),
    "adc1": frozenset(range(32, 40)),
    "adc2": frozenset([0, 2, 4, 12, 13, 14, 15, 25, 26, 27]),
    "rtc": frozenset([0, 2, 4, 12, 13, 14, 15, 25, 26, 27, *range(32, 40)]),
    "input_only": frozenset(range(34, 40)),
}
MCUS = {"esp32s3": ESP32S3, "esp32": ESP32}

#: What furniture asks of a board (firmware/parts), and the signals that make it up; a board may lack some.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "DALI": ("DALI_TX", "DALI_RX"),
    "ECHO": ("ECHO_TRIGGER", "ECHO"),
    "METER": ("METER_CF", "METER_CF1", "METER_SEL"),
    "RS485": ("UART1_TX", "UART1_RX", "RS485_DE"),
    "ROPE": ("ROPE_A", "ROPE_B", "ANALOG"),
    "ONEWIRE": ("ONEWIRE",),
    "ANALOG": ("ANALOG",),
    "CONTACTS": ("CONTACT1", "CONTACT2", "CONTACT3", "CONTACT4", "CONTACT5"),
    "OUTPUTS": ("OUTPUT1", "OUTPUT2"),
}

#: A board's own part sits on a strapping pin on purpose; ours may not.
STRAPPING_ALLOWED = {"BUTTON", "LORA_MISO", "LORA_SCK", "SD_MOSI", "SD_MISO"}


class BoardError(ValueError):
    """The description of a board contradicts itself or its microcontroller; one line says how."""


def read_pins(path: Path) -> dict[str, int]:
    """The `NAME,GPIOn` rows of a pins.csv, in file order."""
    pins: dict[str, int] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not row or row[0].startswith("#"):
                continue
            where = f"{path}:{number}"
            if len(row) != 2 or not row[1].startswith("GPIO") or not row[1][4:].isdigit():
                raise BoardError(f"{where}: want NAME,GPIOn")
            if row[0] in pins:
                raise BoardError(f"{where}: {row[0]} is there twice")
            pins[row[0]] = int(row[1][4:])
    return pins


def functions(name: str, pins: dict[str, int], board: dict[str, Any]) -> dict[str, int]:
    """Further uses of header pins, which a board's parts may have in the place of the first (board.toml)."""
    mcu = MCUS[board["mcu"]]
    known = {signal for signals in FUNCTIONS.values() for signal in signals}
    found = {}
    for signal, leg in board.get("functions", {}).items():
        gpio = pins.get(leg) if isinstance(leg, str) else leg
        if signal not in known:
            raise BoardError(f"{name}: nothing asks for {signal}")
        if signal in pins:
            raise BoardError(f"{name}: {signal} is in pins.csv, too")
        if gpio is None or gpio not in mcu["exists"] - mcu["memory"] - mcu["strapping"] - mcu["usb"]:
            raise BoardError(f"{name}: {signal} on {leg}, which is no pin for it")
        if signal == "ANALOG" and gpio not in mcu["adc1"]:
            raise BoardError(f"{name}: ANALOG is not on ADC1 (ADC2 stops with Wi-Fi)")
        found[signal] = gpio
    return found


def check_pins(name: str, pins: dict[str, int], board: dict[str, Any]) -> None:
    """Raise BoardError for a pin that is used twice or that the microcontroller cannot give."""
    mcu = MCUS.get(board["mcu"])
    if mcu is None:
        raise BoardError(f"{name}: unknown microcontroller {board['mcu']}")
    owner: dict[int, str] = {}
    for leg, gpio in pins.items():
        if gpio not in mcu["exists"]:
            raise BoardError(f"{name}: {leg} on GPIO{gpio}, which does not exist")
        if gpio in mcu["memory"]:
            raise BoardError(f"{name}: {leg} on GPIO{gpio}, which the flash uses")
        if gpio in mcu["strapping"] and leg not in STRAPPING_ALLOWED:
            raise BoardError(f"{name}: {leg} on GPIO{gpio}, a strapping pin")
        if gpio in owner:
            raise BoardError(f"{name}: GPIO{gpio} is both {owner[gpio]} and {leg}")
        owner[gpio] = leg
    if "VBAT" in pins and pins["VBAT"] not in mcu["adc1"]:
        raise BoardError(f"{name}: VBAT is not on ADC1 (ADC2 stops with Wi-Fi)")
    for kind, rows in board["combinations"].items():
        for row in rows:
            if not isinstance(row.get("parts"), dict):
                raise BoardError(f"{name}: a combination of {kind} names no parts")
    supply = board["supply"]
    if supply["numerator"] * supply["lower_ohm"] != supply["denominator"] * (
        supply["upper_ohm"] + supply["lower_ohm"]
    ):
        raise BoardError(f"{name}: the ratio of the supply divider is not that of its resistors")
    if "lamp" not in board:
        raise BoardError(f"{name}: no hardware default of the lamp outputs is stated")


def rows(pins: dict[str, int], board: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(constant, its value as source, what it is) in the order they are written."""
    radio, supply, lamp = board["radio"], board["supply"], board["lamp"]
    mcu = MCUS[board["mcu"]]

    def legs(*names: str) -> str:
        return ", ".join(str(pins[n]) for n in names)

    switch = pins.get("VBAT_SWITCH", -1)
    irq = "LORA_DIO1" if "LORA_BUSY" in pins else "LORA_DIO0"
    radio_legs = f"{legs('LORA_CS')}, {pins.get('LORA_BUSY', -1)}, {legs(irq, 'LORA_RESET')}"
    found = [
        ("SPI", f"({radio['spi']}, {legs('LORA_SCK', 'LORA_MOSI', 'LORA_MISO')})", "id, sck, mosi, miso"),
        ("RADIO", f"({radio_legs})", "cs, busy or -1, dio1 or dio0, reset"),
        ("TCXO_MV", str(radio["tcxo_mv"]), "supplied by DIO3, 0 = crystal"),
        ("DIO2_SWITCH", str(bool(radio["dio2_rf_switch"])), "DIO2 drives the antenna switch"),
        ("GAIN_DDBI", str(radio["antenna_gain_ddbi"]), "antenna gain in 0.1 dBi, for the ERP limit"),
        ("UART", f"(1, {legs('UART1_TX', 'UART1_RX')})", "id, tx, rx"),
        *(
            (function, str(tuple(pins.get(s, -1) for s in signals)), ", ".join(signals).lower())
            for function, signals in FUNCTIONS.items()
        ),
        ("I2C", f"(0, {legs('I2C_SCL', 'I2C_SDA')})", "id, scl, sda"),
        ("PULSE", legs("PULSE"), "contact to ground"),
        ("DIM", f"({legs('DIM')}, {lamp['dim_full_level']})", "pin, level of full light"),
        ("RELAY", f"({legs('RELAY')}, {lamp['relay_on_level']})", "pin, level of mains on"),
        (
            "SUPPLY",
            f"({legs('VBAT')}, {supply['numerator']}, {supply['denominator']}, {switch}, "
            f"{supply.get('switch_level', 0)})",
            "ADC pin, divider ratio, switch pin or -1, its on level",
        ),
        ("LED", f"({pins.get('LED', -1)}, {board.get('led', {}).get('on_level', 1)})", "pin or -1, on level"),
        ("BUTTON", str(pins.get("BUTTON", -1)), "pin or -1; low while pressed; strapping pin"),
    ]
    sensors = board["sensors"]
    power = f"({legs(sensors['power_pin'])}, {sensors['power_on_level']})"
    found.append(("VEXT", power, "pin, level that feeds the sensors"))
    used = sorted(gpio for leg, gpio in pins.items() if leg.startswith(("CONSOLE_", "OLED_", "SD_")))
    found.append(("TAKEN", bytes_source(used), "pins of the board's own parts"))
    found.append(("STRAPPING", bytes_source(sorted(mcu["strapping"])), "pins read at reset"))
    found.append(("ADC1", bytes_source(sorted(mcu["adc1"])), "pins with an ADC that Wi-Fi leaves alone"))
    found.append(("ADC2", bytes_source(sorted(mcu["adc2"])), "pins whose ADC stops with Wi-Fi"))
    found.append(("INPUT_ONLY", bytes_source(sorted(mcu.get("input_only", ()))), "pins without an output"))
    return found


def bytes_source(values: list[int]) -> str:
    """A bytes literal all in hexadecimal: pin numbers are not letters."""
    return 'b"' + "".join(f"\\x{v:02x}" for v in values) + '"'


def render(name: str) -> str:
    """Source of firmware/boards/<name>.py. Raises BoardError."""
    folder = BOARDS / name
    pins = read_pins(folder / "pins.csv")
    board = tomllib.loads((folder / "board.toml").read_text(encoding="utf-8"))
    check_pins(name, pins, board)
    pins |= functions(name, pins, board)
    lines = [f'"""{board["title"]}. Generated by tools/gen_boards.py from hw/boards/{name}."""', ""]
    for constant, value, meaning in rows(pins, board):
        lines.append(f"{constant} = {value}  # {meaning}")
    return "\n".join(lines) + "\n"


def names() -> list[str]:
    return sorted(p.parent.name for p in BOARDS.glob("*/pins.csv"))


def main(argv: list[str]) -> int:
    check = argv == ["--check"]
    if argv and not check:
        print(__doc__, file=sys.stderr)
        return 2
    stale = 0
    wanted = {OUT / f"{name}.py": render(name) for name in names()}
    for path, text in wanted.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if check:
            print(f"{path.relative_to(ROOT)} is stale: run python -m tools.gen_boards")
        else:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))
    for path in sorted(OUT.glob("*.py")):
        if path not in wanted and path.name != "__init__.py":
            stale += 1
            print(f"{path.relative_to(ROOT)} has no board under hw/boards")
    return 1 if check and stale else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (BoardError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
