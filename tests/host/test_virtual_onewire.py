"""1-Wire on a virtual board: the stand-ins of MicroPython's `onewire` and `ds18x20`, the slots on the wire and
their faults; our driver on them. (The thermometer's model by itself: test_chips_ds18b20.py.)"""

import os
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from hw.virtual import World
from hw.virtual.board import Board
from hw.virtual.chips.ds18b20 import DS18B20
from hw.virtual.testing import add_script
from tests.host.virtual_bench import program

ROOT = Path(__file__).resolve().parents[2]
INTERPRETERS: dict[str, str | None] = {"64": None}
if os.environ.get("LANTERNE_MPY32"):
    INTERPRETERS["32"] = str(ROOT / os.environ["LANTERNE_MPY32"])

START = """
import time, onewire, ds18x20
from machine import Pin
wire = onewire.OneWire(Pin(4))
ds = ds18x20.DS18X20(wire)
def timed(call, *a):
    t = time.ticks_us()
    r = call(*a)
    return r, time.ticks_diff(time.ticks_us(), t)
from firmware.drivers.ds18b20 import DS18B20
from firmware.drivers.errors import DriverError
d = DS18B20(ds)
def tried(call, *a):
    try:
        return timed(call, *a)
    except DriverError as e:
        return e.args
"""


def run(text: str, *models: DS18B20, low: bool = False, interpreter: str | None = None) -> Board:
    """The program after START, on a board with the models on GPIO 4; low: the wire is at ground."""
    names = [f"t{i}" for i in range(len(models))]
    with World(2) as world:
        board = world.add_board(
            "b",
            mpy_dir=program(START + dedent(text), "ds18b20"),
            chips=dict(zip(names, models, strict=True)),
            wiring={name: {"wire": 4} for name in names},
            on_exit="end",
            heap="200k",
            interpreter=interpreter,
        )
        if low:
            world.set_input(board, 4, 0)
        world.run(60)
    assert board.failures == [], board.console
    return board


@pytest.mark.parametrize("bits", INTERPRETERS)
def test_search_finds_each_and_reads_it(bits: str) -> None:
    models = [DS18B20(10.0625 + n, serial=0x123456 * (n + 1)) for n in range(5)]
    other = DS18B20(2.5625, serial=77, family=0x10)
    board = run(
        """
        roms = ds.scan()
        ds.convert_temp()
        time.sleep_ms(750)
        for rom in roms:
            print(rom.hex(), ds.read_temp(rom))
        print(wire.scan() == roms, ds18x20.DS18X20(onewire.OneWire(Pin(5))).scan())
        """,
        *models,
        other,
        interpreter=INTERPRETERS[bits],
    )
    *rows, last = board.console
    # That of a DS18S20 (its data sheet: temperature register): 20.5 without the half, a quarter less, and 4/16.
    wanted = {m.rom.hex(): m.celsius for m in models} | {other.rom.hex(): 20.0}
    assert {rom: float(t) for rom, t in (row.split() for row in rows)} == wanted
    # At each fork the devices with a 1 come first.
    assert [row.split()[0] for row in rows] == sorted(
        wanted, key=lambda rom: [-(byte >> i & 1) for byte in bytes.fromhex(rom) for i in range(8)]
    )
    assert last == "True []"
    assert [m.violations for m in (*models, other)] == [[]] * 6


def test_slots_take_their_time() -> None:
    """As in MicroPython's C module: 960 us a reset, 50 a read slot, 70 a write slot, and some for the call."""
    board = run(
        """
        print(*timed(wire.reset))
        print(timed(wire.writebyte, wire.SKIP_ROM)[1], timed(wire.writebyte, 0x44)[1])
        t = time.ticks_us()
        print(*timed(wire.readbit))
        while not wire.readbit():
            pass
        print(time.ticks_diff(time.ticks_us(), t) // 1000)
        wire.reset(True)
        wire.write(b"\\xcc\\xbe")
        print(*timed(wire.readbyte))
        wire.reset(True)
        for i in range(8):
            wire.writebit(0x33 >> i & 1)  # read ROM
        rom = bytearray(8)
        wire.readinto(rom)
        print(rom[0], wire.crc8(rom))
        """,
        model := DS18B20(25.0625),
    )
    reset, writes, bit, busy_ms, byte, rom = (line.split() for line in board.console)
    assert reset[0] == "True" and 960 <= int(reset[1]) < 1000
    assert all(560 <= int(us) < 600 for us in writes)
    assert bit[0] == "0" and 50 <= int(bit[1]) < 90
    assert 749 <= int(busy_ms[0]) <= 751
    assert byte[0] == str(0x91) and 400 <= int(byte[1]) < 440
    assert rom == ["40", "0"]
    assert model.violations == [] and model.conversions == 1


def test_faults_of_the_line() -> None:
    """Nobody there, damaged bits, a resolution that was written, a conversion that has not ended."""
    model = DS18B20(20.3)

    def after(board: Board) -> list[str]:
        assert model.violations == []
        return board.console

    text = f"""
        def any_tried(call, *a):
            try:
                return call(*a)
            except Exception as e:
                return type(e).__name__, e.args
        rom = {model.rom!r}
        print(wire.reset(), wire.scan(), any_tried(wire.reset, True), any_tried(ds.convert_temp), wire.readbyte())
        print(any_tried(ds.read_temp, rom))
        """
    model.present = False
    nobody = "('OneWireError', ())"
    assert after(run(text, model)) == [f"False [] {nobody} {nobody} 255", nobody]
    model.present = True
    model.flip = {3}
    assert after(run(text, model)) == [
        f"True [{bytearray(model.rom)!r}] True None 0",
        "('Exception', ('CRC error',))",
    ]
    text = f"""
        rom = {model.rom!r}
        ds.write_scratch(rom, b"\\x4b\\x46\\x1f")  # 9 bits
        ds.convert_temp()
        time.sleep_ms(80)
        print(ds.read_temp(rom))
        ds.convert_temp()
        time.sleep_ms(94)
        print(ds.read_temp(rom), ds.read_scratch(rom)[4])
        """
    assert after(run(text, model)) == ["85.0", "20.5 31"]


def test_our_driver() -> None:
    model = DS18B20(-10.125)
    board = run(
        f"""
        rom = d.scan()[0]
        time.sleep_ms(d.start())
        print(rom == {model.rom!r}, d.read(rom))
        """,
        model,
    )
    assert board.console == ["True -101"] and model.violations == []
    model.present = False
    assert run("print(tried(d.scan), tried(d.start))", model).console == [
        "('ds18b20', 'presence') ('ds18b20', 'presence')"
    ]


def test_a_wire_at_ground_does_not_hold_the_board() -> None:
    """MicroPython's search takes each bit for a fork, 255 times; our driver looks first."""
    board = run(
        f"""
        found, us = timed(wire.scan)
        print(len(found), us > 3000000)
        t = time.ticks_ms()
        print(tried(d.scan), time.ticks_ms() - t < 5)
        print(tried(d.start)[0], time.sleep_ms(750), tried(d.read, {(model := DS18B20(21.0)).rom!r}))
        """,
        model,
        low=True,
    )
    assert board.console == [
        "255 True",
        "('ds18b20', 'low') True",
        "750 None ('ds18b20', 'low')",
    ]


def test_they_are_modules_of_the_image() -> None:
    """Frozen on the chip: no cost of loading their files, and nothing of them in the heap before they are asked
    for."""
    seen: list[Any] = []
    with World(1) as world:
        world.observe("import", lambda e: seen.append(e.what[0]))
        board = add_script(
            world,
            "b",
            """
            import sys
            print([m for m in ("onewire", "_onewire", "ds18x20") if m in sys.modules])
            import ds18x20, onewire
            print(onewire.OneWire.SEARCH_ROM, onewire.OneWire.MATCH_ROM, onewire.OneWire.SKIP_ROM)
            """,
        )
        world.run(10)
    assert board.console == ["[]", "240 85 204"]
    assert not {"onewire", "_onewire", "ds18x20"} & set(seen)


@pytest.mark.parametrize("level", [0, 1])
def test_who_else_is_on_the_pin(level: int) -> None:
    """Without a device the pull-up has the line, and what holds it low looks like somebody there."""
    assert run("print(wire.reset(), wire.readbit())", low=level == 0).console == [f"{not level} {level}"]
