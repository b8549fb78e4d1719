"""firmware/parts on the boards: every combination of hw/boards/*/board.toml is opened by `Board.part` under the
real interpreter with the models soldered where the board has its pins. One reading of each part comes back in SI
units; a combination that cannot be is refused by name."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import tomllib
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from firmware.drivers.errors import ConfigError
from host_tools.errors import UsageError
from hw.virtual import World, hwboard
from hw.virtual.air import Air
from hw.virtual.board import Board
from hw.virtual.chips.atecc608 import ATECC608
from hw.virtual.chips.base import Chip, I2cChip
from hw.virtual.chips.dali_bus import DaliBus
from hw.virtual.chips.dali_gear import DaliGear
from hw.virtual.chips.sx1262 import SX1262
from hw.virtual.hwboard import HwBoard
from hw.virtual.testing import add_script, folder
from provisioning import parts
from tests.host.parts_bench import CASES, CONTACTS, Case, contacts
from tests.host.test_chips_atecc608 import verify

ROOT = Path(__file__).resolve().parents[2]
BOARDS = hwboard.names()
# The radio of a node is not opened here, so its pins only have to stay untouched.
# Modules from source, but at once; and a boot that is longer than the half second of a DALI bus failure.
COSTS = {"import_source": (0, 0), "boot": (600_000, 600_000)}
RADIO = {"freq_khz": 869525, "sf": 9, "bw": 125, "output_power": 14, "syncword": 0x34}
OPEN = """
import time
from firmware.board import Board
from firmware.drivers.errors import ConfigError, DriverError
board = Board({name!r}, None, "", "", {chosen!r})
opened = {{}}
try:
    for role, usual in {roles!r}:
        opened[role] = board.part(role, usual)
    if {radio}:
        board.radio(lambda _: None, {settings!r})
except ConfigError as e:
    print("refused", *e.args)
"""
READ_CONTACTS = """
for i in range(2):
    for contact in p:
        if contact:
            contact.update()
    time.sleep_ms(40)
print(*[contact and contact.state for contact in p])
"""


def combinations(board: HwBoard, kind: str) -> list[tuple[dict[str, str], str]]:
    return [(row["parts"], row.get("refused", "")) for row in board.about["combinations"][kind]]


@cache
def firmware() -> dict[str, str]:
    found = {}
    for top in ("*.py", "boards/*.py", "drivers/*.py", "parts/*.py", "protocols/*.py"):
        for path in (ROOT / "firmware").glob(top):
            if path.name not in ("app.py", "boot.py", "main.py"):
                found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
    return found


class Trial:
    """One combination on one virtual board, which runs the file `main`."""

    def __init__(self, hw: HwBoard, name: str, kind: str, row: int) -> None:
        self.hw = hw
        self.kind = kind
        self.main = f"{kind}{row}.py"
        self.wanted, self.refused = combinations(hw, kind)[row]
        self.parts = dict(parts.opened(kind, self.wanted))
        self.chips: dict[str, Chip] = {}
        self.wiring: dict[str, dict[str, int]] = {}
        self.contacts: list[bool | None] = []
        if not self.refused:
            self._solder()
        self.program = self._program(name)

    def run(self, root: Path) -> None:
        """Run to the end of the readings, or 60 s, and look at what is there then."""
        with World(3, costs=COSTS) as world:
            board = world.add_board(
                self.main,
                mpy_dir=root,
                boot_file=self.main,
                chips=self.chips,
                wiring=self.wiring,
                mcu=self.hw.mcu,
                heap="400k",
                on_exit="end",
                float_levels=self.hw.float_levels,
            )
            while board.console[-1:] != ["end"] and not board.failures and world.time_s < 60:
                world.run_for(1)
            self._check(board)

    def _solder(self) -> None:
        for part in self.parts.values():
            if part in CASES:
                for chip, model in CASES[part].chips(self.hw).items():
                    self.chips.setdefault(chip, model)
        if self.kind == "gateway":
            self.chips["radio"] = SX1262(Air(1), name=self.main)
        self.wiring = {chip: self.hw.wiring[chip] for chip in self.chips}
        if "contacts" in self.parts:
            taken = {
                pin
                for legs in self.wiring.values()
                for leg, pin in legs.items()
                if leg not in ("uart", "i2c")
            }
            found, self.contacts = contacts(self.hw, self.parts["contacts"], taken)
            self.chips |= found
            self.wiring |= {chip: self.hw.wiring[chip] for chip in found}

    def cases(self) -> list[tuple[str, str, Case]]:
        return [(role, part, CASES[part]) for role, part in self.parts.items() if part in CASES]

    def _program(self, name: str) -> str:
        text = OPEN.format(
            name=name,
            chosen=parts.chosen(self.kind, self.wanted),
            roles=[
                (role, "" if known[0] == "none" else known[0])
                for role, known in parts.roles(self.kind).items()
            ],
            radio=self.kind == "gateway",
            settings=RADIO,
        )
        if not self.refused:
            for role, _, case in self.cases():
                text += f"p = opened[{role!r}]\nprint({role!r}, end=' ')\n{case.read}\n"
            if self.contacts:
                text += f"p = opened['contacts']\nprint('contacts', end=' ')\n{READ_CONTACTS}"
        # Outputs stay as they are until the test has looked.
        return text + "print('end')\ntime.sleep(100000)\n"

    def _check(self, board: Board) -> None:
        assert board.failures == []
        said = [line.split() for line in board.console]
        if self.refused:
            assert board.console == [f"refused {self.refused}", "end"]
            return
        lines = {words[0]: words[1:] for words in said}
        assert "refused" not in lines, board.console
        for role, part, case in self.cases():
            if case.driven:
                got = [case.driven(self.chips[next(iter(case.chips(self.hw)))])]
            else:
                got = [float(word) * case.scale for word in lines[role]]
            assert got == pytest.approx(case.wanted, abs=case.spread), (role, part, board.console)
        assert lines.get("contacts", []) == [str(c) for c in self.contacts]
        assert [v for chip in self.chips.values() for v in chip.violations] == []


@pytest.mark.parametrize("kind", list(parts.PARTS))
@pytest.mark.parametrize("name", BOARDS)
def test_combinations(name: str, kind: str) -> None:
    hw = hwboard.load(name)
    trials = [Trial(hw, name, kind, row) for row in range(len(combinations(hw, kind)))]
    root = folder(firmware() | {trial.main: trial.program for trial in trials})
    for trial in trials:
        trial.run(root)


@pytest.mark.parametrize(
    ("end", "light"),
    [("time.sleep(1)\nmachine.reset()", 100), ("machine.deepsleep(100000)", 100), ("time.sleep(100000)", 0)],
    ids=["resets", "sleeps", "runs"],
)
@pytest.mark.parametrize("name", BOARDS)
def test_a_dali_lamp_fails_on(name: str, end: str, light: float) -> None:
    """It is switched off, then the node resets again and again, or sleeps; only a node that runs has it dark. The
    gear is as it comes from the factory."""
    hw = hwboard.load(name)
    gear = DaliGear(5)
    main = OPEN.format(name=name, chosen=["light", "dali"], roles=[("light", "")], radio=False, settings={})
    main += "import machine\nif machine.reset_cause() == machine.PWRON_RESET:\n"
    main += "    opened['light'].set(0)\n    time.sleep(3)\n    print('dark')\n    time.sleep(1)\n"
    with World(3, costs=COSTS) as world:
        board = world.add_board(
            "b",
            mpy_dir=folder(firmware() | {"main.py": main + end}),
            chips={"dali": DaliBus([gear], tx_low=0)},
            wiring={"dali": hw.wiring["dali"]},
            mcu=hw.mcu,
            heap="400k",
            on_exit="end",
            float_levels=hw.float_levels,
        )
        while board.console != ["dark"]:
            world.run_for(0.5)
            assert world.time_s < 20, board.console
        assert gear.light == 0
        for _ in range(3):
            world.run_for(5)
            assert gear.light == light


def test_every_part_is_in_the_tables() -> None:
    """A module of firmware/parts has a role, is read here, works on some board, and has its papers."""
    modules = {p.stem for p in (ROOT / "firmware/parts").glob("[!_]*.py")}
    assert modules == {"i2c"}.union(parts.APART, *map(parts.names, parts.PARTS))
    used = set()
    for name in BOARDS:
        hw = hwboard.load(name)
        assert set(hw.about["combinations"]) == set(parts.PARTS)
        for kind in parts.PARTS:
            rows = combinations(hw, kind)
            assert rows[0][0] == {}, "the usual parts come first"
            assert kind == "gateway" or any(refused for _, refused in rows)
            for wanted, refused in rows:
                if not refused:
                    used |= {part for _, part in parts.opened(kind, wanted)}
    assert used == modules - {"i2c"} - parts.APART == set(CASES) - parts.APART | set(CONTACTS)
    papers = tomllib.loads((ROOT / "hw/parts.toml").read_text(encoding="utf-8"))
    entries = {part for row in papers.values() for part in row.get("parts", ())}
    assert entries == modules - {"i2c"}
    for row in papers.values():
        assert {"what", "document", "revision", "tried"} <= set(row)
        for key in ("driver", "model"):
            assert key not in row or (ROOT / row[key]).is_file(), row[key]


@pytest.mark.parametrize("name", BOARDS)
def test_the_page_has_the_wiring_of_every_part(name: str) -> None:
    """Each leg of each part that the board can have stands on its page with its pin."""
    hw = hwboard.load(name)
    page = (hwboard.BOARDS / name / "board.md").read_text(encoding="utf-8")
    wired: dict[str, set[tuple[str, str]]] = {}
    for names, signals, pins in re.findall(
        r"^\| (`\w+`.*?) \| (`[A-Z].*?) \| (GPIO.*?) \|", page, re.MULTILINE
    ):
        legs = set(zip(re.findall(r"`(\w+)`", signals), pins.split(", "), strict=True))
        for part in re.findall(r"`(\w+)`", names):
            wired[part] = legs
    for signal, pin in {p for legs in wired.values() for p in legs}:
        assert pin == f"GPIO{hw.pins[signal]}", signal
    # The usual parts and the relay have a table of their own, by function.
    found = {
        part
        for kind in parts.PARTS
        for wanted, refused in combinations(hw, kind)
        for _, part in parts.opened(kind, wanted)
        if not refused
    }
    assert found - {"dimmer", "relay", "a02yyuw", "contact_pulses", "supply"} <= set(wired)
    for part in found & set(wired) & set(hwboard.LEGS):
        assert set(hwboard.LEGS[part].values()) - {"power"} <= {signal for signal, _ in wired[part]}, part


def test_a_kind_has_no_other_parts() -> None:
    assert parts.names("leak").count("i2c") == 1 and "i2c" not in parts.names("gateway")
    assert parts.chosen("bin", {"tilt": "lis3dh", "range": "none"}) == ["range", "none", "tilt", "lis3dh"]
    assert parts.opened("bin", {"supply": "none"}) == [("range", "a02yyuw")]
    for kind, wanted, said in (
        ("lamp", {"range": "a02yyuw"}, "a lamp has no part 'range'"),
        ("lamp", {"light": "lis3dh"}, "no 'lis3dh' as light of a lamp"),
        ("lamp", {"signer": "atecc608"}, "a lamp has no part 'signer'"),
        ("gateway", {"supply": "supply"}, "a gateway has no part 'supply'"),
    ):
        with pytest.raises(UsageError, match=said):
            parts.chosen(kind, wanted)


class Pin:
    """machine.Pin, as far as opening goes."""

    IN, OUT, PULL_UP = 1, 3, 2

    def __init__(self, number: int, *mode: int, value: int = 0) -> None:
        self.number = number


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """firmware.board in this process, on stand-ins for the chip's modules, and its `machine`."""
    before = set(sys.modules)
    machine: Any = types.ModuleType("machine")
    machine.Pin, machine.SPI, machine.reset, machine.reset_cause = Pin, None, None, None
    machine.lightsleep = None
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setitem(sys.modules, "esp32", types.ModuleType("esp32"))
    yield importlib.import_module("firmware.board"), machine
    # What was bound to the stand-ins is of no use to anybody else.
    for name in set(sys.modules) - before:
        if name == "firmware.board" or name.startswith("firmware.parts"):
            del sys.modules[name]


@pytest.mark.parametrize("name", BOARDS)
def test_signer(name: str) -> None:
    """The bus is slow enough that an address of zeros wakes the element; what it signs is verified by another
    program."""
    hw = hwboard.load(name)
    model = ATECC608()
    digest = hashlib.sha256(b"a reading").digest()
    main = OPEN.format(
        name=name, chosen=["signer", "atecc608"], roles=[("signer", "")], radio=False, settings={}
    )
    main += "p = opened['signer']\nprint(p.serial().hex())\nprint(p.public_key().hex())\n"
    main += (
        f"t = time.ticks_ms()\nprint(p.sign({digest!r}).hex())\nprint(time.ticks_ms() - t)\nprint('end')\n"
    )
    with World(3, costs=COSTS) as world:
        board = world.add_board(
            "b",
            mpy_dir=folder(firmware() | {"main.py": main}),
            chips={"signer": model},
            wiring={"signer": hw.wiring["atecc608"]},
            mcu=hw.mcu,
            heap="400k",
            on_exit="end",
            float_levels=hw.float_levels,
        )
        world.run(20)
    assert board.failures == []
    serial, public, signature, took_ms, _ = board.console
    assert serial == model.serial.hex() and int(took_ms) < 200
    verify(bytes.fromhex(public), digest, bytes.fromhex(signature))
    with pytest.raises(InvalidSignature):
        verify(bytes.fromhex(public), hashlib.sha256(b"another").digest(), bytes.fromhex(signature))
    assert model.violations == [] and model.wakes == 3
    assert board.ports["signer"].current_ua == 0  # asleep


def test_one_bus_for_all(boards: Any) -> None:
    """It is opened once, and its pins are its own."""
    module, machine = boards
    made: list[Any] = []

    def i2c(*args: Any, **options: Any) -> Any:
        made.append(types.SimpleNamespace())
        return made[-1]

    machine.I2C = i2c
    board = module.Board(BOARDS[0], None, "", "", ["a", "lis3dh", "b", "ina219"])
    first, second = board.part("a"), board.part("b")
    assert len(made) == 1 and first._i2c is second._i2c is board.buses[0]
    with pytest.raises(ConfigError) as e:
        board.use.take("relay", board.pins.I2C[2])
    assert e.value.args == ("relay", "i2c", board.pins.I2C[2])
    other = module.Board(BOARDS[0], None, "", "")
    other.use.take("relay", other.pins.I2C[1])
    with pytest.raises(ConfigError) as e:
        other.part("tilt", "lis3dh")
    assert e.value.args == ("i2c", "relay", other.pins.I2C[1])


class Deaf(I2cChip):
    """Takes a register number, then does not answer."""

    address = 0x20

    def write(self, data: bytes) -> bool:
        return data != b"\x09"

    def read(self, n: int) -> bytes:
        return b""


def test_a_refused_i2c_read_is_an_error_and_leaves_the_buffer_alone() -> None:
    with World(1) as world:
        board = add_script(
            world,
            "b",
            """
            from machine import I2C, Pin
            bus = I2C(0, scl=Pin(22), sda=Pin(21))
            for size in (1, 4, 40):
                for register in (1, 9):
                    buf = bytearray(b"x" * size)
                    try:
                        bus.readfrom_mem_into(0x20, register, buf)
                    except OSError as e:
                        print(size, register, e.errno, buf == b"x" * size)
            """,
            chips={"x": Deaf()},
            wiring={"x": {"i2c": 0}},
        )
        world.run(10)
    assert board.failures == []
    assert board.console == [f"{n} {r} {e} True" for n in (1, 4, 40) for r, e in ((1, 19), (9, 19))]
