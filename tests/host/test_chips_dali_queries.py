"""What the DALI gear answers where a value is wanted: 102, 207, D4i's parts. The second half asks by python-dali's
own commands and is skipped by name where it is not installed."""

import importlib
from typing import Any

import pytest

from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.dali_bus import DaliBus, manchester
from hw.virtual.chips.dali_gear import DaliGear, fade_us
from tests.host.sensor_bench import attach


class Master:
    """Frames to the gear with short address 5."""

    def __init__(self, **options: Any) -> None:
        self.gear = DaliGear(5, **options)
        self.bus = DaliBus([self.gear])
        self.port: ManualPort = attach(self.bus)
        self.port.advance(1_000_000)

    def send(self, frame: int) -> int | None:
        self.port.advance(16_000)
        for t, low in manchester(frame, 16, 1e6 / 2400, self.port.now_us):
            self.port.run_until(t)
            self.bus.pin_changed("tx", int(low))
        n = len(self.bus.answers)
        self.port.advance(30_000)
        return self.bus.answers[n] if len(self.bus.answers) > n else None

    def ask(self, op: int, kind: int | None = None) -> int | None:
        if kind is not None:
            self.send(0xC100 | kind)
        return self.send(0x0B00 | op)

    def set(self, op: int, value: int, kind: int | None = None) -> None:
        self.send(0xA300 | value)
        if kind is not None:
            self.send(0xC100 | kind)
        self.send(0x0B00 | op)
        self.send(0x0B00 | op)


def test_queries_of_102_that_want_a_value() -> None:
    m = Master()
    assert [m.ask(op) for op in (0x97, 0x9E, 0x9F, 0xA8)] == [8, 0, 6, 0]
    # No mode of the maker's: NO.
    assert m.ask(0xA6) is None
    # None of 90..A8 but the yes-no ones and the next type is silent.
    silent = {op for op in range(0x90, 0xA9) if m.ask(op) is None}
    assert silent <= {0x92, 0x93, 0x94, 0x95, 0x96, 0x9B, 0xA6, 0xA7}
    assert m.bus.violations == []


def test_extended_fade_time() -> None:
    """102: (base + 1) * 100 ms, 1 s, 10 s, 1 min when the fade time is 0; more than 4F is none."""
    m = Master()
    for value, ms in ((0x10, 100), (0x14, 500), (0x22, 3000), (0x30, 10_000), (0x4F, 960_000), (0x0F, 0)):
        m.set(0x30, value)
        assert m.ask(0xA8) == value
        assert fade_us(0, value) == ms * 1000
    m.set(0x30, 0x12)  # 300 ms
    m.send(0x0A00 | 100)
    m.port.advance(1_000_000)
    m.send(0x0A00 | 200)
    assert m.gear.fading and 100 <= m.gear.level < 200
    m.port.advance(310_000)
    assert not m.gear.fading and m.gear.level == 200
    # A fade time goes before it.
    m.set(0x2E, 4)
    m.send(0x0A00 | 100)
    m.port.advance(1_000_000)
    assert m.gear.fading
    m.set(0x30, 0x50)
    assert m.ask(0xA8) == 0
    # It belongs to the reset state.
    m.set(0x30, 0x21)
    m.set(0x2E, 0)
    m.set(0x20, 0)
    assert m.ask(0xA8) == 0


def test_reset_state_knows_the_extended_fade_time() -> None:
    m = Master()
    m.set(0x20, 0)
    assert m.ask(0x95) == 255
    m.set(0x30, 0x11)
    assert m.ask(0x95) is None
    m.set(0x30, 0)
    assert m.ask(0x95) == 255


def test_constants_of_207() -> None:
    m = Master()
    assert [m.ask(op, 6) for op in (0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xFC, 0xFD, 0xFE, 0xFF)] == [
        *(0x05, 0, 0x06, 0x03, 0, 0x06, 0, 1, 1)
    ]
    m.set(0xE3, 1, 6)
    assert (m.ask(0xEE, 6), m.ask(0xFC, 6)) == (1, 0x16)  # the curve that is not logarithmic
    for value, kept in ((5, 5), (28, 5), (27, 27), (0, 0)):
        m.set(0xE4, value, 6)
        assert m.ask(0xFD, 6) == kept
    m.gear.lamp = "open"
    assert (m.ask(0xF1, 6), m.ask(0xF2, 6), m.ask(0xF3, 6)) == (2, None, 255)
    # Without ENABLE DEVICE TYPE, with another one, and one frame late: silence.
    assert m.ask(0xED) is None and m.ask(0xED, 8) is None
    m.send(0xC106)
    m.ask(0x90)
    assert m.ask(0xED) is None
    assert m.bus.violations == []


def test_versions_of_the_parts_it_declares() -> None:
    m = Master(types=(6, 50, 51, 52))
    assert [m.ask(0xFF, kind) for kind in (6, 50, 51, 52)] == [1, 5, 5, 5]
    assert m.ask(0xED, 51) is None and m.ask(0xFF, 49) is None and m.ask(0xFF) is None
    assert [m.ask(0x99)] + [m.ask(0xA7) for _ in range(6)] == [255, 6, 50, 51, 52, 254, None]
    plain = Master()
    assert [plain.ask(0xFF, kind) for kind in (6, 50, 51, 52)] == [1, None, None, None]


def test_python_dali_reads_them() -> None:
    """Each query of its that wants a number or bits has an answer from a D4i driver that is well."""
    try:
        general, led, address, command = (
            importlib.import_module(f"dali.{n}") for n in ("gear.general", "gear.led", "address", "command")
        )
        frame: Any = importlib.import_module("dali.frame")
    except ModuleNotFoundError:
        pytest.skip("python-dali is not installed")
    m = Master(types=(6, 50, 51, 52))
    where = address.GearShort(5)

    def ask(query: Any) -> Any:
        if query.devicetype:
            m.send(general.EnableDeviceType(query.devicetype).frame.as_integer)
        raw = m.send(query.frame.as_integer)
        return query.response(None if raw is None else frame.BackwardFrame(raw))

    # They want a scene's number, an answer before them, or INITIALISE.
    asked = {"QuerySceneLevel", "QueryNextDeviceType", "QueryShortAddress"}
    for module in (led, general):
        for name, kind in vars(module).items():
            answers = getattr(kind, "response", None)
            if not name.startswith("Query") or name.endswith("Mixin") or name in asked or not answers:
                continue
            if kind.__module__ == module.__name__ and not issubclass(answers, command.YesNoResponse):
                assert ask(kind(where)).raw_value is not None, name
                asked.add(name)
    assert len(asked) >= 30
    assert ask(led.QueryGearType(where)).status == ["LED power supply integrated", "a.c. supply possible"]
    assert ask(led.QueryFeatures(where)).status == [
        *("short circuit detection can be queried", "open circuit detection can be queried")
    ]
    m.set(0x30, 0x23)
    assert ask(general.QueryExtendedFadeTime(where)).raw_value.as_integer == 0x23
    assert ask(general.QueryLightSourceType(where)).raw_value.as_integer == 6
    assert m.bus.violations == []
