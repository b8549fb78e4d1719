"""Programs on one virtual board, and what they talk to."""

from typing import Any

from hw.virtual.chips.base import PinChip
from hw.virtual.testing import run_script


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
