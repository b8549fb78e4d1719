"""New DALI gear gets its addresses."""

from typing import Any

import pytest

from firmware.drivers import dali_commission
from firmware.drivers.dali_gear import Gear
from firmware.drivers.errors import DriverError
from hw.virtual.chips.dali_gear import DaliGear
from tests.host.dali_bench import Line


def commission(*gears: DaliGear, seed: int = 1, **options: Any) -> tuple[Line, list[int]]:
    line = Line(*gears, seed=seed)
    found = dali_commission.address_all(line.bus, clock=line.clock, **options)
    line.check()
    return line, found


@pytest.mark.parametrize("seed", range(4))
def test_five_new_gears(seed: int) -> None:
    gears = [DaliGear() for _ in range(5)]
    line, found = commission(*gears, seed=seed)
    assert found == [0, 1, 2, 3, 4] and sorted(g.short or 0 for g in gears) == found
    for gear in gears:
        Gear(line.bus, gear.short).set(0)
        assert gear.level == 0
    # In the order of their random addresses, and none takes part any longer.
    assert [g.short for g in sorted(gears, key=lambda g: g.random)] == found
    assert line.bus.ask(0xA900) is False
    print(f"{line.port.now_us / 1e6:.1f} s, {len(line.frames)} frames")


def test_gear_that_has_an_address_keeps_it() -> None:
    gears = [DaliGear(0), DaliGear(), DaliGear(2), DaliGear()]
    _, found = commission(*gears)
    assert found == [1, 3] and sorted(g.short or 0 for g in gears) == [0, 1, 2, 3]
    assert (gears[0].short, gears[2].short) == (0, 2)
    _, found = commission(*gears, everyone=True)
    assert found == [0, 1, 2, 3] and sorted(g.short or 0 for g in gears) == found


def test_extreme_and_equal_random_addresses() -> None:
    gears = [DaliGear(randoms=(0,)), DaliGear(randoms=(0xFFFFFE,)), DaliGear(randoms=(1,))]
    _, found = commission(*gears)
    assert found == [0, 1, 2] and [g.short for g in gears] == [0, 2, 1]
    # Two of the same: both draw again.
    gears = [
        DaliGear(randoms=(0x123456, 7)),
        DaliGear(randoms=(0x123456, 9)),
        DaliGear(randoms=(0x654321, 5)),
    ]
    _, found = commission(*gears)
    assert sorted(g.short if g.short is not None else -1 for g in gears) == found == [0, 1, 2]


def test_too_few_addresses() -> None:
    gears = [DaliGear() for _ in range(3)]
    with pytest.raises(DriverError) as caught:
        commission(*gears, free=[10, 11])
    assert caught.value.args == ("free",)
    assert sorted(g.short if g.short is not None else 99 for g in gears) == [10, 11, 99]


def test_search_survives_noise() -> None:
    gears = [DaliGear() for _ in range(3)]
    line = Line(*gears)
    found: list[int] = []
    free = [4, 5, 6]
    for i, _ in enumerate(dali_commission.Commission(line.bus, free, clock=line.clock).steps(found)):
        if i in (20, 90, 150):
            line.chip.deaf = 1
    assert sorted(g.short if g.short is not None else -1 for g in gears) == found == free
    line.check()


def test_new_gear_answers_nothing_it_should_not() -> None:
    """Outside of INITIALISE, after WITHDRAW and TERMINATE, and for another device type."""
    gear = DaliGear(5)
    line = Line(gear)
    for frame in (0xA900, 0xB90B, 0xBB00, 0x0BEE, 0x0BFF, 0x0BAF, 0x0DC5, 0xCD00):
        assert line.bus.ask(frame) is False, hex(frame)
    line.bus.twice(0xA500)
    line.bus.send(0xAB00, 1)  # random and search address are equal in a new gear
    assert line.bus.ask(0xA900) is False
    line.bus.twice(0xA500)
    assert line.bus.ask(0xA900) is True and line.bus.query(0xBB00) == 0x0B
    line.port.advance(15 * 60 * 1_000_000)
    assert line.bus.ask(0xA900) is False
    line.check()
