"""Programs on one virtual board, and what they talk to."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hw.virtual.chips.base import PinChip
from hw.virtual.testing import folder, run_script

#: Prints what each expression gives, or the exception that it raises.
EACH = """
import machine, time
from machine import Pin, ADC, I2C, SoftI2C, UART, Timer, PWM, Signal
def each(*what):
    for w in what:
        try:
            print(eval(w))
        except Exception as e:
            print(type(e).__name__, e)
"""
FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"


def program(main: str, *drivers: str, protocols: Iterable[str] = ()) -> Path:
    """Root folder of a board that runs `main` with these drivers of the firmware, and modules of its protocols."""
    names = ["__init__", "drivers/__init__", "drivers/errors", "protocols/__init__", "protocols/compat"]
    names += [f"drivers/{name}" for name in drivers] + [f"protocols/{name}" for name in protocols]
    texts = {f"firmware/{name}.py": (FIRMWARE / f"{name}.py").read_text(encoding="utf-8") for name in names}
    return folder({"main.py": main, **texts})


def lines(text: str, until_s: float = 60.0, **options: Any) -> list[str]:
    board = run_script(text, until_s, **options)
    assert board.failures == []
    return board.console


class Panel(PinChip):
    """A push button, a lamp on PWM and a light sensor."""

    def __init__(self) -> None:
        super().__init__()
        self.duty: list[tuple[int, int]] = []

    def reset(self) -> None:
        self.port.at(2_000_000, lambda: self.port.set_pin("button", 1))
        self.port.at(2_004_000, lambda: self.port.set_pin("button", 0))

    def pwm_changed(self, pin: str, freq_hz: int, duty_u16: int) -> None:
        self.duty.append((freq_hz, duty_u16))

    def adc_uv(self, pin: str) -> int:
        return 1_550_000
