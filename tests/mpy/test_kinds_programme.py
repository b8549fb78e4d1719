"""The plan on its board: which one is in force, its table once a lighting day, and PLAN in parts."""

from firmware.clock import EPOCH_GPS, Clock
from firmware.furniture import night as night_module
from firmware.kinds import programme as module
from firmware.kinds.programme import Programme, digest
from firmware.protocols.cbor import encode
from tests.mpy.test_clock import Ticks

DAY = 86400


def plan(level=40, default=100, zone="UTC0"):
    """On all day; `level` from 22:00, full from 05:00; a lighting day from noon to noon."""
    program = [[], [[79200, level, 10], [18000, 100, 0]], [], []]
    return encode([1, zone, 474736, -5542, 12, default, 0, [program], [], 0])


class Copies:
    def __init__(self, blob=None):
        self.blob = blob
        self.writes = 0
        self.fails = False

    def read(self):
        return self.blob

    def write(self, blob):
        self.writes += 1
        if not self.fails:
            self.blob = bytes(blob)
        return not self.fails


def made(given=b"", copies=None, at=20 * 3600):
    clock = Clock(Ticks().ticks_ms, Ticks().ticks_diff)
    clock.set(2, EPOCH_GPS + at)
    p = Programme(given, copies or Copies(), clock)
    p.look(None)
    return p


def test_without_a_plan_or_a_time_nothing_is_said():
    assert made().look(20 * 3600) == (None, 0, 0, None)
    assert made().hash is None
    assert made(plan()).look(None) == (None, 0, 0, None)


def test_the_plan_of_the_configuration_holds():
    copies = Copies()
    p = made(plan(), copies)
    assert p.look(20 * 3600) == (100, 0, 3, 22 * 3600)
    assert p.hash == digest(plan()) and copies.writes == 1
    assert p.look(22 * 3600) == (40, 10, 3, 29 * 3600)
    assert p.look(29 * 3600) == (100, 0, 3, 36 * 3600)
    again = made(plan(), copies)
    assert again.hash == p.hash and copies.writes == 1, "an equal configuration writes nothing"


def test_one_table_a_lighting_day_and_another_when_the_clock_goes_back():
    p = made(plan())
    made_at = []
    real = module.build

    def count(blob, t):
        made_at.append(t)
        return real(blob, t)

    module.build = count
    try:
        for hour in range(12, 84):
            p.look(hour * 3600)
        assert made_at == [12 * 3600, 36 * 3600, 60 * 3600]
        p.look(13 * 3600)
        assert made_at[3:] == [13 * 3600], "by level, whatever the order"
    finally:
        module.build = real


def test_a_new_plan_in_parts():
    copies = Copies()
    p = made(plan(), copies)
    new = plan(level=20)
    for at in range(0, len(new), 30):
        answer = p.execute([at, len(new), new[at : at + 30]])
        assert answer is None or at + 30 >= len(new)
        assert p.execute([at, len(new), new[at : at + 30]]) is None or at + 30 >= len(new)
    assert answer == digest(new) == p.hash
    assert p.look(22 * 3600)[0] == 20
    restarted = made(plan(), copies)
    assert restarted.hash == digest(new), "the configuration has brought nothing new since"
    other = made(plan(level=60), copies)
    assert other.hash == digest(plan(level=60)), "now it has"


def test_a_refused_plan_leaves_the_one_of_before():
    copies = Copies()
    p = made(plan(), copies)
    before = copies.blob
    bad = plan(zone="Mars")
    assert p.execute([0, len(bad), bad]) == "plan_zone"
    for args, reason in (
        ([0, 0, b""], "plan_limit"),
        ([0, 701, b"x"], "plan_limit"),
        ([5, 8, b"abcd"], "plan_limit"),
        ([5, 20, b"abc"], "plan_gap"),
    ):
        assert p.execute(args) == reason
    assert p.execute([0, 20, b"abc"]) is None
    assert p.execute([4, 20, b"abc"]) == "plan_gap"
    assert p.execute([3, 21, b"abc"]) == "plan_gap", "another total is another plan"
    copies.fails = True
    good = plan(level=30)
    assert p.execute([0, len(good), good]) == "storage"
    assert copies.blob == before and p.hash == digest(plan()) and p.look(22 * 3600)[0] == 40


def test_a_bad_plan_in_the_configuration_leaves_the_stored_one():
    copies = Copies()
    made(plan(), copies)
    p = made(plan(zone="Mars"), copies)
    assert p.hash == digest(plan()) and p.look(22 * 3600)[0] == 40
    assert made(plan(zone="Mars")).look(22 * 3600)[0] is None


def test_without_memory_the_table_of_before_goes_on_and_it_is_tried_again():
    p = made(plan())
    assert p.look(22 * 3600)[0] == 40
    real = module.build
    tries = []

    def fails(blob, t):
        tries.append(t)
        raise MemoryError

    module.build = fails
    try:
        assert p.look(DAY + 22 * 3600)[0] == 40, "as if each day were like the last that is known"
        p.look(DAY + 22 * 3600 + 1)
        assert len(tries) == 1
    finally:
        module.build = real


def test_the_modules_of_a_table_do_not_stay():
    import sys

    p = made(plan())
    p.look(22 * 3600)
    for name in ("plan", "schedule", "sun", "zone"):
        assert "firmware.furniture." + name not in sys.modules
        assert not hasattr(sys.modules["firmware.furniture"], name)
    assert night_module.Night is not None
