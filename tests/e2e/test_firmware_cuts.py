"""Power cuts on the flash model, at a chosen unit of work: no number twice on the air, nothing committed lost."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from host_tools import sim
from hw.virtual.chips.pulse_meter import PulseMeter
from tests.e2e.firmware_world import Yard, answering

LAMP: dict[str, Any] = {"name": "lamp", "kind": "lamp", "profile": "mac0", "interval_s": 12}
SLOW = {**LAMP, "interval_s": 40}
#: Flash and NVS units of a life of 200 frames, from the first start on; the long test finds the true number.
MANY = 4000


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_cuts_in_a_run_of_many_frames(tmp_path: Path, seed: int) -> None:
    """One board through many cuts, some of them while it starts, with a store that asks for what is missing."""
    chance = random.Random(seed)
    options = sim.Options(seed=seed)
    with (
        answering(tmp_path, SLOW, seed=seed) as (taker, sink),
        Yard(tmp_path / "yard", SLOW, sink=sink, seed=seed, options=options) as yard,
    ):
        board = yard.board("lamp")
        for life in range(12):
            # Every third life ends while it starts.
            board.flash.cut_after(chance.randrange(30 if life % 3 == 2 else 200))
            while len(yard.lives) < life + 3:  # the gateway's one, and this board's next
                yard.run(20)
        board.flash.cut_after(None)
        # The store asks again after half an hour.
        yard.run(2.2 * 3600)
        yard.air.assert_no_number_twice("lamp")
        assert board.failures == []
        assert yard.air.of("lamp")[-1][0] != 13, "one cut at a time never leads to recover"
        rows = [r for r in taker.rows() if r.name == "lamp"]
        summary = taker.summary()
    hellos = [r for r in rows if r.type == "hello"]
    assert len(hellos) >= 7, "most lives got as far as to say hello"
    assert summary["gaps"] == [], "what was committed was asked for and sent"
    assert {r.state for r in rows} <= {"signed", "authenticated"}
    last = max(r.seq or 0 for r in rows if r.type == "checkpoint")
    assert [r.seq for r in rows if r.state != "signed" and (r.seq or 0) < last] == []
    # Each hello tells the last number that was committed before: each of those is here.
    heard = {r.seq for r in rows}
    for hello in hellos:
        told = hello.values["last_seq"]
        assert told == 0 or told in heard


@pytest.mark.slow
def test_the_index_of_a_meter_through_cuts(tmp_path: Path) -> None:
    """It never goes back, never runs ahead of the register, and loses what the docstring allows."""
    meter = {
        "name": "leak",
        "kind": "leak",
        "water": {"file": "none", "start": "2016-06-17T16:00:00"},
        "settings": {"litres_per_pulse": 1},
    }
    chance = random.Random(3)
    with Yard(tmp_path, meter) as yard:
        board = yard.board("leak")
        chip = board.chips["meter"]
        assert isinstance(chip, PulseMeter)
        yard.run(10)
        start = struct.unpack(">II", _index(yard))[1] if _index(yard) else 0
        chip.set_physical(1.2 / 3600)  # 20 litres a minute
        told = [start]
        lost = 0
        for _ in range(10):
            board.flash.cut_after(chance.randrange(40))
            lives = len(yard.lives)
            while len(yard.lives) == lives:
                yard.run(60)
                told.append(_told(yard, told))
            # What flowed since the last record, and while there was no supply.
            lost += 100 + 20 + 1
            chip.set_physical(1.2 / 3600)
        board.flash.cut_after(None)
        yard.run(2 * 3600)
        told.append(_told(yard, told))
        assert told == sorted(told)
        assert len(set(told)) > 10
        first = _start(yard)
        assert told[-1] <= first + chip.count
        assert told[-1] >= first + chip.count - lost - 200
        assert board.failures == []


def _index(yard: Yard) -> bytes:
    """What NVS holds of the index, without generation and checksum."""
    for (_, key), value in yard.board("leak").nvs.data.items():
        if key.startswith("index"):
            assert isinstance(value, bytes)
            # What the rules of leaks know follows.
            return value[4:-4][:8]
    return b""


def _told(yard: Yard, told: list[int]) -> int:
    """The index as kept; as before where a cut has lost that copy."""
    found = _index(yard)
    return int(struct.unpack(">II", found)[1]) if len(found) == 8 else told[-1]


def _start(yard: Yard) -> int:
    return int(struct.unpack(">II", _index(yard))[0])


def one_cut(folder: Path, unit: int, frames: int) -> int:
    """A life with a cut at that unit, and the one after it; returns the transmissions before the cut."""
    with Yard(folder, LAMP, seed=unit) as yard:
        board = yard.board("lamp")
        board.flash.cut_after(unit)
        while len(yard.lives) < 2 and len(yard.air.sent) < frames:
            yard.run(60)
        before = len(yard.air.sent)
        board.flash.cut_after(None)
        # 16 frames and their checkpoint, hello again five times among them.
        while len(yard.air.sent) < before + 28:
            yard.run(60)
        yard.air.assert_no_number_twice("lamp")
        assert board.failures == []
        numbers = yard.air.numbers("lamp")
        assert max(numbers[:before], default=0) < min(numbers[before:])
        found = yard.decoded("lamp")
        rows = {r.seq: r for r in found.rows}
        hello = [r for r in found.rows if r.type == "hello"][-1]
        last = int(str(hello.values["last_seq"]))
        # Without a store to ask for them, frames that waited may be missing: one, and one behind a checkpoint.
        assert last in rows or last <= max(numbers[:before], default=0) + 2
        checkpoints = sorted(s for s, r in rows.items() if r.type == "checkpoint" and s)
        assert [s for s in checkpoints if s > (hello.seq or 0)], "a checkpoint of the second life"
        if set(range(1, last + 1)) <= set(rows):
            for seq, row in rows.items():
                assert row.state == "signed" or (seq or 0) > checkpoints[-1], seq
        return before


@pytest.mark.slow
@pytest.mark.parametrize("unit", sorted(random.Random(7).sample(range(300), 6)))
def test_a_cut_at_one_write(tmp_path: Path, unit: int) -> None:
    one_cut(tmp_path, unit, 60)


@pytest.mark.long
@pytest.mark.parametrize("part", range(16))
def test_a_cut_at_every_write_of_200_frames(tmp_path: Path, part: int) -> None:
    cut = 0
    for unit in range(part, MANY, 16):
        if one_cut(tmp_path / str(unit), unit, 200) >= 200:
            break
        cut += 1
    else:
        pytest.fail("200 frames were not reached")
    assert cut > 30
