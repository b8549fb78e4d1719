"""Times of quality 1: none before the last that was kept, no great step on one word (EMBEDDED 10)."""

from firmware.clock import EPOCH_GPS, Clock
from firmware.protocols.cbor import WireError
from tests.mpy.support import raises
from tests.mpy.test_counters import boot, provisioned
from tests.mpy.ticks import Ticks

NOON = EPOCH_GPS + 27000000


def on_board(flash):
    """(counters, clock, ticks) after a start, wired as the application does."""
    ticks = Ticks(0)
    clock = Clock(ticks.ticks_ms, ticks.ticks_diff)
    counters = boot(flash)[0]
    clock.floor_s = counters.time_s
    counters.clock = clock
    return counters, clock, ticks


def test_the_time_is_kept_every_15_minutes_and_little_is_written():
    flash = provisioned()
    counters, clock, ticks = on_board(flash)
    flash.writes = 0
    counters.keep_time()
    assert flash.writes == 0, "none is known"
    clock.set(2, NOON)
    for _ in range(24 * 60):
        ticks.ms += 60000
        counters.keep_time()
    # Each: a blob, a file opened anew, a file written.
    assert flash.writes == 3 * 24 * 4
    counters, clock, _ = on_board(flash)
    assert 0 <= 27000000 + 86400 - clock.floor_s < 900


def test_a_first_time_before_the_last_that_was_kept_is_refused():
    flash = provisioned()
    counters, clock, _ = on_board(flash)
    clock.set(2, NOON)
    counters.accept(1 << 28 | 1)
    counters, clock, _ = on_board(flash)
    assert counters.time_s == 27000000, "with each command, too"
    assert raises(WireError, clock.set, 1, NOON - 1).args[0] == "time_too_old"
    assert clock.quality == 0
    clock.set(1, NOON + 1)
    assert clock.quality == 1
    # What a commune says is obeyed, and is the new floor.
    clock.set(2, NOON - 86400)
    counters.keep_time()
    assert on_board(flash)[1].floor_s == 27000000 - 86400


def test_what_nobody_confirmed_is_no_floor():
    flash = provisioned()
    counters, clock, _ = on_board(flash)
    clock.set(1, NOON + 86400 * 3650)
    counters.keep_time()
    counters.accept(1 << 28 | 1)
    assert on_board(flash)[1].floor_s == 0


def test_numbers_of_an_older_bundle_are_taken_up():
    flash = provisioned()
    counters = boot(flash)[0]
    for _ in range(3):
        counters.take()
    kept = counters._copies.read()
    counters._copies.write(kept[:-4])
    counters, _, ready = boot(flash)
    assert ready and counters.time_s == 0 and counters.boots == 3
    assert counters.take() == 129


def test_a_great_step_needs_two_sources():
    ticks = Ticks(0)
    clock = Clock(ticks.ticks_ms, ticks.ticks_diff)
    clock.set(1, NOON)
    clock.set(1, NOON + 300)
    for _ in range(3):
        assert raises(WireError, clock.set, 1, NOON + 900, 0, 0, 7).args[0] == "time_too_old"
    assert raises(WireError, clock.set, 1, NOON + 9000, 0, 0, 8).args[0] == "time_too_old", (
        "they do not agree"
    )
    assert clock.wire() == 27000300
    clock.set(1, NOON + 9060, 0, 0, 7)
    assert clock.wire() == 27009060
    raises(WireError, clock.set, 1, NOON, 0, 0, 7)
    clock.set(2, NOON)
    assert clock.wire() == 27000000
