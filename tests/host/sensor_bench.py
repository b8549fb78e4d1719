"""A model with its driver, for the files that read sensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hw.virtual.chips.base import Chip, ManualPort
from hw.virtual.chips.shim import OutPin

#: In the models' time.
SECOND = 1_000_000


@dataclass
class Sensor:
    """A model with its driver: `measure` gives SI units, within `spread`, the driver's own unit."""

    model: Any
    port: ManualPort
    measure: Callable[[], float]
    spread: float


def attach(model: Chip) -> ManualPort:
    port = ManualPort(7)
    model.attach(port)
    return port


def leg(model: Chip, name: str) -> OutPin:
    """An output of the MCU on the model's leg."""
    return OutPin(lambda level: model.pin_changed(name, level))
