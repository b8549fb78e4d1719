"""A lamp fails on: its light, read from the lamp, in every bad state of every board (EMBEDDED 14). And what is
wired to it: contacts, relay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cbor2
import pytest

from hw.virtual import files, hwboard
from hw.virtual.chips.contact import Contact
from hw.virtual.chips.lamp_0_10v import Lamp010V
from hw.virtual.chips.relay_lamp import RelayLamp
from tests.e2e.firmware_world import HELTEC, Yard, answering, write_plan

pytestmark = pytest.mark.slow

BOARDS = hwboard.names()
LAMP: dict[str, Any] = {"kind": "lamp", "profile": "mac0", "interval_s": 600}


def lamps(folder: Path, names: list[str], hw: str = "", level: int = 10) -> Yard:
    """Lamps that their settings hold at a level, `hw` or the board that each is called after."""
    settings = {"default_level": level, "floor": level}
    return Yard(folder, *({**LAMP, "name": n, "hw": hw or n, "settings": settings} for n in names))


class Light:
    """What one lamp gave since the world began."""

    def __init__(self, yard: Yard, name: str) -> None:
        chip = yard.board(name).chips["lamp"]
        assert isinstance(chip, Lamp010V)
        self.chip = chip
        self.levels = [100.0]
        yard.world.observe(
            "actuate", lambda e: self.levels.append(e.what["level"]) if e.board == name else None
        )

    @property
    def now(self) -> float:
        return self.chip.level


def spoil(yard: Yard, board: str, name: str, data: bytes | None) -> None:
    """Replace a file of a board's program, or remove it."""
    path = yard.folder / "boards" / board / name
    path.unlink()
    if data is not None:
        path.write_bytes(data)


def test_without_supply_and_held_in_reset(tmp_path: Path) -> None:
    with lamps(tmp_path, BOARDS) as yard:
        lights = {name: Light(yard, name) for name in BOARDS}
        yard.run(60)
        for light in lights.values():
            assert light.now == pytest.approx(10, abs=1), "else the rest shows nothing"
        for name in BOARDS:
            yard.world.power_cut(name)
        yard.run(3600)
        assert {light.now for light in lights.values()} == {100}


def test_on_within_two_seconds_of_power_up(tmp_path: Path) -> None:
    with lamps(tmp_path, BOARDS, level=100) as yard:
        lights = [Light(yard, name) for name in BOARDS]
        for name in BOARDS:
            yard.world.power_cut(name, 0.5, back_s=10)
        for _ in range(60):
            yard.run(0.25)
            assert [light.now for light in lights] == [100] * len(BOARDS)
        yard.run(600)
        assert [min(light.levels) for light in lights] == [100] * len(BOARDS)
        assert sorted(yard.lives) == sorted(BOARDS * 2)


@pytest.mark.parametrize("hw", BOARDS)
def test_a_crash_loop(tmp_path: Path, hw: str) -> None:
    cases: dict[str, tuple[str, bytes | None]] = {
        "no-app": ("firmware/app.mpy", None),
        "no-bytecode": ("firmware/app.mpy", b"M\x06 not bytecode"),
        "cut-short": ("firmware/app.mpy", b""),
        "no-driver": ("firmware/drivers/dimmer_pwm.mpy", None),
        "no-main": ("main.py", b"raise ValueError"),
        "no-boot": ("boot.py", b"syntax error("),
    }
    if hw != BOARDS[0]:
        cases = {"no-app": cases["no-app"]}
    with lamps(tmp_path, list(cases), hw) as yard:
        lights = {name: Light(yard, name) for name in cases}
        for name, (file, data) in cases.items():
            spoil(yard, name, file, data)
        yard.run(120)
        for name, light in lights.items():
            assert min(light.levels) == light.now == 100, name
            # Six starts a minute at the most; at the prompt there is only one.
            expected = range(1, 2) if name in ("no-main", "no-boot") else range(8, 14)
            assert yard.lives.count(name) in expected, name
        assert yard.air.sent == []


def test_a_program_that_fails_while_the_lamp_is_dimmed(tmp_path: Path) -> None:
    """An exception that nobody foresaw, two minutes after the start: ten seconds, a reset, full light."""
    trap = (
        b"import asyncio, firmware.supervisor\n"
        b"async def watch(self):\n    await asyncio.sleep(120)\n    raise ValueError('nobody foresaw')\n"
        b"firmware.supervisor.Supervisor.watch = watch\n"
    )
    with lamps(tmp_path, ["lamp"], HELTEC) as yard:
        main = (tmp_path / "boards/lamp/main.py").read_bytes()
        spoil(yard, "lamp", "main.py", trap + main)
        light = Light(yard, "lamp")
        yard.run(100)
        assert light.now == pytest.approx(10, abs=1)
        yard.run(60)
        assert yard.lives == ["lamp", "lamp"]
        assert 100 in light.levels[light.levels.index(10) :]


@pytest.mark.parametrize("size", [8192, 0])
def test_a_corrupt_file_system(tmp_path: Path, size: int) -> None:
    """Both superblocks, or all of it: stock MicroPython then never reaches boot.py."""
    with lamps(tmp_path, BOARDS) as yard:
        for name in BOARDS:
            flash = yard.board(name).flash
            part = flash.partition("vfs")
            flash.mem[part.offset : part.offset + (size or part.size)] = b"\x5a" * (size or part.size)
        lights = [Light(yard, name) for name in BOARDS]
        yard.run(60)
        for name, light in zip(BOARDS, lights, strict=True):
            assert min(light.levels) == light.now == 100
            assert "corrupted" in "\n".join(yard.board(name).console)
        assert yard.air.sent == []


def test_keys_or_settings_missing(tmp_path: Path) -> None:
    names = ["key", "cfg", "cfg-key"]
    with lamps(tmp_path, names, HELTEC) as yard:
        lights = [Light(yard, name) for name in names]
        for name in names:
            for lost in name.split("-"):
                del yard.board(name).nvs.data["lanterne", lost]
        yard.run(3 * 3600)
        for name, light in zip(names, lights, strict=True):
            assert min(light.levels) == light.now == 100
            assert yard.board(name).console == ["needs provisioning"]
        assert yard.air.sent == []
        assert sorted(yard.lives) == sorted(names), "no crash loop"


def test_settings_that_no_board_can_follow_use_up_no_numbers(tmp_path: Path) -> None:
    with lamps(tmp_path, ["lamp"], HELTEC) as yard:
        maps = yard.cfg("lamp", hw="no_such_board")
        yard.provision("lamp", maps)
        light = Light(yard, "lamp")
        yard.run(300)
        assert min(light.levels) == light.now == 100
        assert len(yard.lives) > 20
        assert set(yard.board("lamp").nvs.dump()["lanterne"]) == {"cfg", "key"}
        assert yard.board("lamp").nvs.dump()["lanterne"] == maps


def test_a_damaged_lamp_file_stops_nothing(tmp_path: Path) -> None:
    texts = {"empty": b"", "words": b"x y", "pin": b"99 0\n", "bytes": b"\xff\xfe"}
    with lamps(tmp_path, list(texts), HELTEC) as yard:
        lights = {name: Light(yard, name) for name in texts}
        for name, text in texts.items():
            files.write_files(yard.board(name).flash, {"lamp": text})
        yard.run(1)
        assert {light.now for light in lights.values()} == {100}
        yard.run(60)
        for name, light in lights.items():
            assert light.now == pytest.approx(10, abs=1), f"{name}: the program went on"
        assert sorted(yard.lives) == sorted(texts)


def test_a_store_that_cannot_even_be_formatted(tmp_path: Path) -> None:
    """Nothing can be numbered, so nothing is sent but requests to recover; the light is as it should be."""
    with lamps(tmp_path, ["lamp"], HELTEC) as yard:
        flash = yard.board("lamp").flash
        # One block: LittleFS wants two.
        flash.table = tuple(p._replace(size=4096) if p.label == "store" else p for p in flash.table)
        light = Light(yard, "lamp")
        yard.run(60)
        assert light.now == pytest.approx(10, abs=1)
        yard.run(3 * 3600)
        assert {port for port, _, _ in yard.air.of("lamp")} == {13}
        assert yard.lives == ["lamp"]


def plan(folder: Path, name: str, *levels: tuple[str, int], presence: int = 0) -> str:
    """A plan in UTC of levels from a time of day on; with `presence`, which lifts it to so many per cent and holds
    for a minute."""
    control = {
        "period": {"startTime": "12:00:00", "endTime": "12:00:00"},
        "effect": {
            "type": "FixedControlEffect",
            "source": {},
            "operation": "Max",
            "holdTime": 60,
            "command": {"state": {"level": presence}},
        },
    }
    return write_plan(folder, name, levels, activePeriods=[], dynamicControls=[control] if presence else [])


#: What is fitted beyond a plain lamp takes so much of the 64-bit interpreter's heap with a plan in force.
INPUTS_KB, CATEGORY_KB = 154, 158


def test_presence_maintenance_relay_and_decree(tmp_path: Path) -> None:
    """Three lamps that learn the time from their store: both contacts; a discharge lamp on a relay; a car park
    of a shop that closed at three, so that it has to be dark from five, and a plan that says otherwise."""
    both: dict[str, Any] = {**LAMP, "heap_kb": INPUTS_KB, "parts": {"contacts": "contacts"}}
    rows: list[dict[str, Any]] = [
        {
            **both,
            "name": "path",
            "settings": {"local_contact": 1, "presence_contact": 102},
            "plan": plan(tmp_path, "path", ("16:20:00", 30), presence=80),
        },
        {
            **both,
            "name": "yard",
            "parts": {"light": "relay", "contacts": "contacts"},
            "settings": {"local_contact": 1, "cool_s": 180, "warm_up_s": 60},
            "cool_s": 150.0,
            "plan": plan(
                tmp_path, "yard", ("16:20:00", 0), ("16:32:00", 60), ("16:45:00", 0), ("16:46:00", 60)
            ),
        },
        {
            **LAMP,
            "name": "shop",
            "heap_kb": CATEGORY_KB,
            "plan": plan(tmp_path, "shop", ("16:30:00", 70)),
        },
    ]
    with answering(tmp_path, *rows) as (_, sink), Yard(tmp_path / "yard", *rows, sink=sink) as yard:
        relay = yard.board("yard").chips["relay"]
        assert isinstance(relay, RelayLamp)
        # No bench would write this plan with these settings.
        maps = yard.cfg("shop")
        cfg = cbor2.loads(maps["cfg"])
        cfg[11] = {**cfg.get(11, {}), 12: 7, 13: 15 * 60 + 1}
        yard.provision("shop", {**maps, "cfg": cbor2.dumps(cfg, canonical=True)})
        yard.run(10)
        assert relay.closed, "on from power-up until it knows better"
        yard.run(30 * 60 - 10)
        assert not relay.closed
        _at_the_contacts(yard)
        yard.run(40 * 60 - yard.world.time_s)
        assert relay.closed and relay.level == 100, "at twenty to five"
        now = last(yard, "yard")
        assert (now["level_percent"], now["target_percent"]) == (100, 60), "as it is, and as it was told"
        yard.run(47 * 60 - yard.world.time_s)
        assert not relay.closed, "it cools, whatever the plan says"
        assert Light(yard, "shop").now == pytest.approx(70, abs=1)
        yard.run(50 * 60 - yard.world.time_s)
        assert relay.closed and relay.strikes == 3 and relay.failed_strikes == 0
        yard.world.power_cut("yard")
        yard.run(66 * 60 - yard.world.time_s)
        assert relay.closed
        now = last(yard, "shop")
        assert Light(yard, "shop").now == 0 and now["level_percent"] == 0
        assert now["alarms"] == ["program_invalid"] and yard.board("shop").console[-1] == "plan: guard"
        for name, board in yard.world.boards.items():
            assert board.failures == [] and yard.lives.count(name) == 1
            assert not [line for line in board.console if "task" in line or "memory" in line], (
                name,
                board.console,
            )
            assert [v for chip in board.chips.values() for v in chip.violations] == []


def _at_the_contacts(yard: Yard) -> None:
    path = Light(yard, "path")
    chips = yard.board("path").chips
    local, presence = chips["contact1"], chips["contact2"]
    assert isinstance(local, Contact) and isinstance(presence, Contact)
    assert path.now == pytest.approx(30, abs=1)
    presence.open()
    yard.run(1)
    assert path.now > 31
    yard.run(3)
    assert path.now == pytest.approx(80, abs=1)
    presence.close()
    yard.run(56)
    assert path.now == pytest.approx(80, abs=1)
    yard.run(20)
    assert path.now == pytest.approx(30, abs=1)
    local.close()
    yard.run(1)
    assert path.now == 100
    yard.run(180)
    told = last(yard, "path")
    assert (told["reason"], told["level_percent"]) == ("local", 100)
    local.open()
    yard.run(15)
    assert path.now == pytest.approx(30, abs=1)


def last(yard: Yard, name: str) -> dict[str, Any]:
    """The newest reading of a lamp."""
    found = [r for r in yard.decoded(name).rows if r.type == "lamp"]
    return dict(max(found, key=lambda r: r.seq or 0).values)
