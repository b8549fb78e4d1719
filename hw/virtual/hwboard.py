"""What hw/boards/<name> says of a real board, as the virtual one needs it: chip, pins, and where parts
sit."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from .flash import DEFAULT_TABLE, Partition, read_table

BOARDS = Path(__file__).resolve().parents[1] / "boards"


class HwBoard(NamedTuple):
    """mcu: key of board.MCU_PINS. pins: signal name -> GPIO. wiring: part -> {leg or bus: pin or number}.

    Parts: radio (SX1262), lamp, range (UART sensor), meter (pulse), battery; those the board has pins for.
    """

    mcu: str
    flash_size: int
    pins: dict[str, int]
    wiring: dict[str, dict[str, int]]
    table: tuple[Partition, ...]
    about: dict[str, Any]


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
    for part, legs in {
        "lamp": {"dim": "DIM", "relay": "RELAY"},
        "meter": {"pulse": "PULSE"},
        "battery": {"sense": "VBAT", "switch": "VBAT_SWITCH"},
        "range": {"power": about.get("sensors", {}).get("power_pin", "")},
    }.items():
        out[part] = {leg: pins[signal] for leg, signal in legs.items() if signal in pins}
    out["range"]["uart"] = 1
    return out
