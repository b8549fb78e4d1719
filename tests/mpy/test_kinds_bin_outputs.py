"""Bin on its board: lock and compactor."""

from firmware.drivers.errors import NotReady
from firmware.drivers.output import DONE, LIMIT
from firmware.drivers.output import INTERLOCK as BROKEN
from firmware.roles.commands import COMPACT, HATCH
from tests.mpy import fakes
from tests.mpy.bins import (
    COMPACTOR_FAILED,
    CYCLES,
    EMPTIED,
    EXPIRED,
    FAILED,
    FILL,
    HATCH_FAILED,
    HELD,
    IDLE,
    INTERLOCK,
    INVALID,
    LID_OPEN,
    LOCK,
    MINUTE,
    RAM,
    STUCK,
    Bins,
    Chip,
    Moved,
    with_both,
    with_lock,
    with_ram,
)
from tests.mpy.site import HOUR
from tests.mpy.support import raises


def test_a_lock_is_accepted_now_and_acknowledged_by_its_contact():
    site, lock = with_lock()
    answers = []
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))
    site.at(14 * MINUTE, lambda: answers.append(lock.pin.level))
    site.run(20 * MINUTE)
    assert answers == [None, 1]
    assert lock.pin.level == 0 and lock.runs == 1
    assert site.told(LOCK, FILL) == [[0, 0, IDLE, 50], [5, 0, HELD, None], [15, 0, EXPIRED, None]]
    first = site.report.sent[1][0]
    assert 5 * MINUTE + 700 <= first <= 5 * MINUTE + 900
    assert not site.report.sent[2][2], "as ordered: no alarm"


def test_a_lock_that_is_ordered_again_and_again_holds_and_ends_in_time():
    """The output's own limit, 3660 s, counts from the last order; its end is the order's."""
    site, lock = with_lock()
    answers = []
    for n in range(5):
        site.at((5 + 50 * n) * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 3600])))
    site.run(5 * HOUR)
    assert answers == [None] * 5 and lock.runs == 1
    assert site.told(LOCK)[1:] == [[5, 0, HELD], [240, 0, HELD], [265, 0, EXPIRED]]
    assert lock.pin.level == 0


def test_a_hold_begins_anew_and_still_ends_without_its_owner():
    time = fakes.Time(0)
    lock = Moved(time, limit_ms=1000)
    out = lock.output
    for now in (0, 999, 1998):
        out.hold(now)
        assert out.poll(now) == 1000 and lock.pin.level
    assert out.poll(2998) == 0 and out.why == LIMIT and not lock.pin.level
    out.hold(3000)
    lock.safe.level = 1
    assert raises(NotReady, out.hold, 3500).args == ("output", "interlock")
    assert not lock.pin.level and out.why == BROKEN
    lock.safe.level = 0
    out.pulse(500, 4000)
    assert raises(NotReady, out.hold, 4100).args == ("output", "active")
    assert out.poll(4500) == 0 and out.why == DONE, "a pulse keeps its time"


def test_an_interlock_that_opened_for_a_moment_ends_the_order_also_beside_a_new_one():
    site, lock = with_lock()
    answers = []
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))

    def blink():
        lock.safe.level = 1
        lock.output.poll(0)  # its interrupt
        lock.safe.level = 0
        answers.append(site.kind.execute(HATCH, [1, 600]))

    site.at(6 * MINUTE + 30, blink)
    site.at(7 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))
    site.run(8 * MINUTE)
    assert answers == [None, "busy", None]
    assert site.told(LOCK)[1:] == [[5, 0, HELD], [6, HATCH_FAILED, INTERLOCK], [7, 0, HELD]]
    assert lock.runs == 2 and lock.pin.level == 1


def test_a_lock_is_released_by_a_command():
    site, lock = with_lock()
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 3600]))
    site.at(8 * MINUTE, lambda: site.kind.execute(HATCH, [0, 0]))
    site.run(10 * MINUTE)
    assert lock.pin.level == 0
    assert [row[2] for row in site.told(LOCK)] == [IDLE, HELD, IDLE]


def test_a_lock_that_does_not_answer_has_failed_and_one_that_is_forced_too():
    site, lock = with_lock()
    lock.stuck = False
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 600]))
    site.run(6 * MINUTE)
    assert site.told(LOCK)[1:] == [[5, HATCH_FAILED, FAILED]] and lock.pin.level == 0
    assert site.report.sent[1][2] and 5000 <= site.report.sent[1][0] - 5 * MINUTE <= 5300
    site, lock = with_lock()
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 600]))
    site.at(7 * MINUTE, lambda: setattr(lock, "stuck", False))
    site.run(8 * MINUTE)
    assert site.told(LOCK)[1:] == [[5, 0, HELD], [7, HATCH_FAILED, FAILED]] and lock.pin.level == 0


def test_a_lock_that_does_not_open_is_stuck_until_it_does():
    site, lock = with_lock()
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 60]))
    site.at(5 * MINUTE + 30000, lambda: setattr(lock, "stuck", True))
    answers = []
    site.at(8 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 60])))
    site.at(9 * MINUTE, lambda: setattr(lock, "stuck", None))
    site.run(16 * MINUTE)
    assert answers == ["busy"]
    assert site.told(LOCK)[1:] == [[5, 0, HELD], [6, HATCH_FAILED, STUCK], [15, 0, EXPIRED]]


def test_the_interlock_refuses_and_ends():
    site, lock = with_lock()
    answers = []
    lock.safe.level = 1
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))
    site.at(6 * MINUTE, lambda: setattr(lock.safe, "level", 0))
    site.at(7 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))
    site.at(8 * MINUTE, lambda: setattr(lock.safe, "level", 1))
    site.run(9 * MINUTE)
    assert answers == ["interlock", None]
    told = [row for row in site.told(LOCK)[1:] if row[2] != IDLE]
    assert told == [[7, 0, HELD], [8, HATCH_FAILED, INTERLOCK]]
    assert lock.pin.level == 0 and lock.runs == 1


def test_a_contact_that_shakes_at_rest_does_not_fill_the_air():
    site, lock = with_lock()
    for minute in range(5, 180):
        site.at(minute * MINUTE, lambda minute=minute: setattr(lock, "stuck", bool(minute & 1)))
    site.run(3 * HOUR)
    assert len(site.report.sent) <= 1 + 2 * 12


def test_an_emptying_is_not_told_again_by_what_a_lock_says():
    site, _ = with_lock()
    site.fills((40, 85), (70, 4))
    site.at(91 * MINUTE, lambda: site.kind.execute(HATCH, [1, 600]))
    site.run(110 * MINUTE)
    assert site.told(LOCK)[2:] == [[90, EMPTIED, IDLE], [91, 0, HELD], [101, 0, EXPIRED]]


def test_the_ram_runs_once_and_is_counted():
    kept = {}
    site, ram = with_ram(kept=kept)
    answers = []
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(COMPACT, [60])))
    site.at(5 * MINUTE + 10000, lambda: answers.append(site.kind.execute(COMPACT, [60])))
    site.run(16 * MINUTE)
    assert answers == [None, "busy"] and ram.runs == 1 and ram.pin.level == 0
    assert site.told(RAM, CYCLES)[1:] == [[5, 0, IDLE, 1]]
    assert 20000 <= site.report.sent[1][0] - 5 * MINUTE <= 20400
    site.run(5 * HOUR)
    after, _ = with_ram(kept=kept)
    after.run(MINUTE)
    assert after.told(RAM, CYCLES) == [[0, 0, IDLE, 1]]


def test_the_ram_is_stopped_by_time_and_by_command():
    for order, ms in (([10], 10000), ([60], 10000)):
        site, ram = with_ram()
        site.at(5 * MINUTE, lambda site=site, order=order: site.kind.execute(COMPACT, order))
        if order == [60]:
            site.at(5 * MINUTE + ms, lambda site=site: site.kind.execute(COMPACT, [0]))
        levels = []
        for after in (ms - 200, ms + 200):
            site.at(5 * MINUTE + after, lambda ram=ram, levels=levels: levels.append(ram.pin.level))
        site.run(6 * MINUTE)
        assert levels == [1, 0] and ram.runs == 1
        wanted = [COMPACTOR_FAILED, FAILED] if order == [10] else [0, IDLE]
        assert site.told(RAM)[-1][1:] == wanted


def test_no_level_is_taken_while_the_ram_moves():
    site, ram = with_ram()
    site.at(15 * MINUTE - 5000, lambda: site.kind.execute(COMPACT, [60]))
    starts = []
    site.at(15 * MINUTE + 10000, lambda: starts.append(site.ranger.starts))
    site.run(17 * MINUTE)
    assert starts == [1] and site.ranger.starts == 2


def test_an_order_during_a_burst_is_watched():
    site, ram = with_ram(phase_ms=0)
    site.at(15 * MINUTE + 1500, lambda: site.kind.execute(COMPACT, [1]))
    levels = []
    site.at(15 * MINUTE + 2200, lambda: levels.append(ram.pin.level))
    site.at(15 * MINUTE + 2800, lambda: levels.append(ram.pin.level))
    site.run(16 * MINUTE)
    assert levels == [1, 0]


def test_no_order_in_a_fire_but_the_end_of_one():
    time = fakes.Time(0)
    lock = Moved(time)
    chip = Chip(200)
    parts = {"hatch": lock.output, "contacts": [lock], "temperature": chip}
    site = Bins({22: 1}, parts, time=time)
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 3600]))
    site.at(10 * MINUTE, lambda: setattr(chip, "value", 800))
    answers = []
    site.at(20 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 60])))
    site.at(21 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [0, 0])))
    site.run(25 * MINUTE)
    assert answers == ["interlock", None] and lock.pin.level == 0


def test_orders_that_no_part_can_carry_out():
    site = Bins()
    assert site.kind.OPS == (HATCH, COMPACT) and not site.kind.LISTEN
    for op, args in ((HATCH, [1, 60]), (HATCH, [0, 0]), (COMPACT, [60])):
        assert site.kind.execute(op, args) == "op_refused"
    site, _ = with_lock({23: 600})
    assert site.kind.execute(COMPACT, [60]) == "op_refused"
    assert site.kind.execute(HATCH, [1, 601]) == "op_args"
    assert site.kind.execute(HATCH, [1, 0]) == "op_args"


# Both on one board


def test_lock_and_ram_are_ordered_acknowledged_and_ended_apart():
    site, lock, ram, _ = with_both()
    answers = []
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 120])))
    site.at(6 * MINUTE, lambda: answers.append(site.kind.execute(COMPACT, [60])))
    site.at(6 * MINUTE + 10000, lambda: answers.append((lock.pin.level, ram.pin.level)))
    site.run(9 * MINUTE)
    assert answers == [None, None, (1, 1)] and site.kind.alarms == 0
    assert (lock.runs, ram.runs, lock.pin.level, ram.pin.level) == (1, 1, 0, 0)
    assert site.told(LOCK, RAM, CYCLES)[1:] == [
        [5, 0, HELD, IDLE, 0],
        [6, 0, HELD, IDLE, 1],
        [7, 0, EXPIRED, IDLE, 1],
    ]


def test_the_interlock_of_one_drops_its_own_output_and_no_other():
    site, lock, ram, _ = with_both()
    answers = []
    levels = []
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 600])))
    site.at(6 * MINUTE, lambda: answers.append(site.kind.execute(COMPACT, [60])))
    site.at(6 * MINUTE + 5000, lambda: setattr(ram.safe, "level", 1))
    site.at(6 * MINUTE + 5300, lambda: levels.append((lock.pin.level, ram.pin.level)))
    site.at(7 * MINUTE, lambda: answers.append(site.kind.execute(COMPACT, [60])))
    site.at(8 * MINUTE, lambda: setattr(ram.safe, "level", 0))
    site.at(8 * MINUTE, lambda: setattr(lock.safe, "level", 1))
    site.at(8 * MINUTE + 600, lambda: levels.append((lock.pin.level, ram.pin.level)))
    site.at(9 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 60])))
    site.at(9 * MINUTE, lambda: answers.append(site.kind.execute(COMPACT, [60])))
    site.run(10 * MINUTE)
    assert answers == [None, None, "interlock", "interlock", None]
    assert levels == [(1, 0), (0, 0)], "and it does not go on when it is safe again"
    assert (lock.runs, ram.runs) == (1, 2)
    rows = site.told(LOCK, RAM)
    assert [6, COMPACTOR_FAILED, HELD, INTERLOCK] in rows
    assert [8, HATCH_FAILED | COMPACTOR_FAILED, INTERLOCK, INTERLOCK] in rows
    assert rows[-1] == [9, HATCH_FAILED, INTERLOCK, IDLE]


def test_a_lid_beside_lock_and_ram():
    site, lock, _, lid = with_both()
    site.at(4 * MINUTE + 30000, lambda: setattr(lid, "state", True))
    site.at(5 * MINUTE, lambda: site.kind.execute(HATCH, [1, 3600]))
    site.run(16 * MINUTE)
    assert site.told(LOCK)[1:] == [[5, 0, HELD], [15, LID_OPEN, HELD]]
    assert lock.pin.level == 1


def test_one_contact_answers_for_one_part():
    """Named twice it is refused to the second, which is obeyed no more; the first goes on."""
    site, _, ram, _ = with_both({24: 4})
    assert site.kind.alarms == 16
    site.at(5 * MINUTE, lambda: answers.append(site.kind.execute(HATCH, [1, 60])))
    answers = [site.kind.execute(COMPACT, [60])]
    site.run(5 * MINUTE + 30000)
    assert answers == ["op_refused", None] and ram.runs == 0
    assert site.told(LOCK, RAM) == [[0, INVALID, IDLE, None], [5, INVALID, HELD, None]]
