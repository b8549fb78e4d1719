"""Memory banks of DALI gear through the bus (DiiA parts 251 to 253)."""

import itertools
from typing import Any

import pytest

from firmware.drivers import dali_memory
from firmware.drivers.dali import NoReply
from firmware.drivers.dali_gear import Gear
from firmware.drivers.errors import BusError
from hw.virtual.chips.dali_gear import DaliGear
from hw.virtual.chips.dali_memory import Bank
from tests.host.dali_bench import LOST, Line

ENERGY = b"\x0f\x00\xff\x01\x03\0\0\0\0\0\x0a\0\0\0\x03\xe8"


def remember(**banks: Any) -> tuple[Line, Gear, DaliGear]:
    gear = DaliGear(5, banks={int(k[1:]): v for k, v in banks.items()})
    line = Line(gear, DaliGear(6))
    return line, Gear(line.bus, 5), gear


def test_bank_fixtures_through_the_bus() -> None:
    """Published contents with what they mean."""
    b205 = bytes.fromhex("1c00ff01 00000e10 00000a 08fc 32 5a 01 01 010a 000b 0002 0006 0002 5a 55")
    b206 = bytes.fromhex("2000ff01 00012c 0001f4 000003e8 00000bb8 0258 02bc 000c 000f 0017 012d 0043 a0")
    line, lamp, _ = remember(
        b202=Bank(ENERGY, latch=True),
        b203=Bank(bytes.fromhex("0f00ff01 ff0000000003e8 fe000003e8"), latch=True),
        b205=Bank(b205, lock=True, latch=True),
        b206=Bank(b206, lock=True, latch=True),
        b207=Bank(bytes.fromhex("0700ff01 325a1388"), lock=True),
    )
    assert dali_memory.values(lamp, 202) == {4: 10_000_000, 0x0B: 1_000_000}
    assert dali_memory.values(lamp, 203) == {4: 100_000, 0x0B: 10_000}
    got = dali_memory.values(lamp, 205)
    assert (got[4], got[8], got[0x0B], got[0x0D], got[0x0E], got[0x1B], got[0x1C]) == (
        3600,
        10,
        2300,
        50,
        90,
        30,
        85,
    )
    got = dali_memory.values(lamp, 206)
    assert (got[4], got[7], got[0x0A], got[0x0E], got[0x12], got[0x14], got[0x20]) == (
        300,
        500,
        1000,
        3000,
        600,
        700,
        100,
    )
    assert dali_memory.values(lamp, 207) == {4: 50, 5: 30, 6: 5000}
    with pytest.raises(NoReply):
        dali_memory.values(lamp, 204)
    line.check()


def test_mask_and_tmask_are_no_values() -> None:
    line, lamp, _ = remember(b202=Bank(bytes.fromhex("0f00ff01 aa00000000000a 00fffffffe"), latch=True))
    assert dali_memory.values(lamp, 202) == {4: None, 0x0B: None}
    line.check()


def test_the_latch_keeps_a_value_whole() -> None:
    """Power that carries into the next byte while it is read."""
    count = itertools.count(0x00FFFB00, 0x101)
    live = lambda gear: {0x0C: next(count).to_bytes(4, "big")}  # noqa: E731
    line, lamp, gear = remember(b202=Bank(ENERGY, latch=True, live=live))
    power = dali_memory.values(lamp, 202)[0x0B] // 1000
    assert power - 0x00FFFB00 in range(0, 0x1000, 0x101)
    assert gear.banks[202].content[2] == 0xFF  # let go
    line.check()


def test_live_values() -> None:
    gear = DaliGear(5, rated_w=50.0, standby_w=1.0, types=(6, 50, 51, 52))
    line = Line(gear)
    lamp = Gear(line.bus, 5)
    lamp.set(500)
    line.port.advance(3_600_000_000)
    got = dali_memory.values(lamp, 202)
    assert got[0x0B] == pytest.approx(gear.power_w * 1000, abs=60)
    assert got[4] == pytest.approx(gear.energy_wh * 1000, rel=0.01)
    got = dali_memory.values(lamp, 206)
    assert got[0x0E] == pytest.approx(3601, abs=3) and got[7] == 1 and got[0x16] == 0
    gear.lamp = "open"
    assert dali_memory.values(lamp, 206)[0x1A] == 1
    line.check()


def test_a_frame_lost_while_a_bank_is_read_gives_nothing_or_the_truth() -> None:
    """Power changes all the time, so that a lost latch would show."""
    count = itertools.count(0x00FFFF00, 0x101)
    line, lamp, _ = remember(
        b202=Bank(ENERGY, latch=True, live=lambda gear: {0x0C: next(count).to_bytes(4, "big")})
    )
    raised = 0
    for n, fault in itertools.product(range(1, 45), ("answer", "frame")):
        out: dict[int, Any] = {}
        frames = len(line.frames)
        try:
            for _ in dali_memory.steps(lamp, 202, out):
                # Counted in exchanges: each frame and each answer of the whole reading is lost once.
                if fault == "answer" and len(line.frames) - frames == n:
                    line.chip.faults.append(LOST)
                elif fault == "frame" and len(line.frames) - frames == n:
                    line.chip.deaf = 1
        except BusError:
            raised += 1
            assert out == {}
        else:
            assert out[4] == 10_000_000 and (out[0x0B] // 1000 - 0x00FFFF00) % 0x101 == 0
        line.chip.faults.clear()
        line.chip.deaf = 0
    assert raised >= 20
    assert dali_memory.values(lamp, 202)[4] == 10_000_000
    line.check()
