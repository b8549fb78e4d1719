"""firmware/pins.py: what a board gives out, and the name of every refusal."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.drivers.errors import ConfigError
from firmware.pins import ANALOG, IN, OUT, Pins
from tools import gen_boards

BOARD = SimpleNamespace(
    SPI=(1, 5, 27, 19),
    RADIO=(18, -1, 26, 23),
    TAKEN=b"\x01\x03",
    STRAPPING=b"\x00\x02",
    ADC1=b"\x20\x24",
    ADC2=b"\x04\x0d",
    INPUT_ONLY=b"\x24\x27",
)


def refused(call: Any, *args: Any) -> tuple[object, ...]:
    with pytest.raises(ConfigError) as e:
        call(*args)
    return e.value.args


def test_a_pin_is_given_once() -> None:
    pins = Pins(BOARD)
    assert pins.take("dimmer", 13, OUT) == 13
    assert refused(pins.take, "relay", 13, OUT) == ("relay", "dimmer", 13)
    # The radio's and the board's own are never free.
    for pin, owner in ((5, "radio"), (26, "radio"), (1, "board")):
        assert refused(pins.take, "relay", pin, OUT) == ("relay", owner, pin)


@pytest.mark.parametrize(
    ("pin", "use", "reason"),
    [
        (-1, IN, "no_pin"),
        (0, IN, "strapping"),
        (36, OUT, "input_only"),
        (39, OUT, "input_only"),
        (14, ANALOG, "no_adc"),
    ],
)
def test_what_a_pin_cannot_do(pin: int, use: int, reason: str) -> None:
    assert refused(Pins(BOARD).take, "part", pin, use) == ("part", reason, pin)


def test_adc2_and_the_network() -> None:
    assert Pins(BOARD).take("probe", 4, ANALOG) == 4
    assert refused(Pins(BOARD, wifi=True).take, "probe", 4, ANALOG) == ("probe", "adc2_wifi", 4)
    assert Pins(BOARD, wifi=True).take("probe", 36, ANALOG) == 36
    assert Pins(BOARD, wifi=True).take("switch", 4, IN) == 4


def test_units_and_shared_buses() -> None:
    pins = Pins(BOARD)
    assert refused(pins.unit, "range", "uart", 0) == ("range", "console", "uart0")
    assert pins.unit("range", "uart", 1) == 1
    assert refused(pins.unit, "energy", "uart", 1) == ("energy", "range", "uart1")
    assert pins.share("tilt", "i2c", 0) and not pins.share("range", "i2c", 0)
    assert refused(pins.share, "tilt", "uart", 1) == ("tilt", "range", "uart1")


@pytest.mark.parametrize("name", gen_boards.names())
def test_real_boards_keep_their_radio(name: str) -> None:
    board = importlib.import_module(f"firmware.boards.{name}")
    for pin in [*board.SPI[1:], *(p for p in board.RADIO if p >= 0)]:
        assert refused(Pins(board).take, "part", pin) == ("part", "radio", pin)
    for pin in board.STRAPPING:
        if pin not in board.SPI:
            assert refused(Pins(board).take, "part", pin)[1] in ("strapping", "board")
