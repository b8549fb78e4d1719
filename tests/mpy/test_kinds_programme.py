"""The plan on its board: which one is in force, its table once a lighting day, and PLAN in parts."""

from firmware.clock import EPOCH_GPS, Clock
from firmware.furniture import night as night_module
from firmware.kinds import programme as module
from firmware.kinds.programme import Programme, digest
from firmware.protocols.cbor import encode
from firmware.storage import TwoCopies
from tests.mpy.test_storage import Flash, PowerCut, on
from tests.mpy.ticks import Ticks

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


def test_a_plan_by_command_comes_after_what_the_configuration_brought():
    copies = Copies()
    real = Programme._check
    tries = []

    def fails(self, blob):
        tries.append(blob)
        if len(tries) == 1:
            raise MemoryError
        real(self, blob)

    Programme._check = fails
    try:
        p = made(plan(level=60), copies)
        assert tries == [plan(level=60)] and p.hash is None
        new = plan(level=20)
        assert p.execute([0, len(new), new]) == digest(new)
        p._clock._ticks_ms = Ticks(3600000).ticks_ms
        assert p.look(22 * 3600)[0] == 20 and len(tries) == 2, "an hour later, too"
    finally:
        Programme._check = real
    assert made(plan(level=60), copies).hash == digest(new), "and after a start"
    assert made(plan(level=70), copies).hash == digest(plan(level=70)), "until it brings another"


def stored_on(flash):
    return made(b"", TwoCopies(flash, "plan", "s/plan", 720))


def agree(p):
    """The level of 22:00 tonight and of the table of the next day; the hash is of that plan, too."""
    level = p.look(22 * 3600)[0]
    assert p.look(DAY + 22 * 3600)[0] == level
    assert p.hash == digest(plan(level=level)) == digest(p.stored())
    return level


def test_a_copy_that_cannot_be_written_leaves_one_plan_and_says_which():
    for broken in (("file",), ("nvs",), ("nvs", "file")):
        flash = on(Flash())
        p = stored_on(flash)
        old, new = plan(level=40), plan(level=20)
        assert p.execute([0, len(old), old]) == digest(old) and agree(p) == 40
        flash.broken = broken
        assert p.execute([0, len(new), new]) == "storage", broken
        assert agree(p) == 40
        flash.broken = ()
        assert agree(stored_on(flash)) == 40, "after a start as well"
        assert p.execute([0, len(new), new]) == digest(new)
        assert agree(p) == agree(stored_on(flash)) == 20


def test_where_nothing_can_be_put_back_what_is_there_holds():
    flash = on(Flash())
    p = stored_on(flash)
    old, new = plan(level=40), plan(level=20)
    p.execute([0, len(old), old])
    write = flash.set_blob

    def once(key, value):
        flash.set_blob = write
        flash.broken = ("nvs", "file")
        write_back = flash.broken
        flash.broken = ()
        write(key, value)
        flash.broken = write_back

    flash.set_blob = once
    assert p.execute([0, len(new), new]) == digest(new), "one copy has it, and says so"
    assert agree(p) == 20
    flash.broken = ()
    assert agree(stored_on(flash)) == 20


def test_a_plan_of_the_configuration_needs_one_copy():
    flash = on(Flash())
    flash.broken = ("file",)
    p = made(plan(), TwoCopies(flash, "plan", "s/plan", 720))
    assert agree(p) == 40


def test_a_cut_at_every_write_of_a_plan_leaves_one_that_its_hash_names():
    old, new = plan(level=40), plan(level=20)
    first = on(Flash())
    stored_on(first).execute([0, len(old), old])
    for broken in ((), ("file",)):
        for keep in (0, 2, 4):
            for cut in range(4):
                flash = on(Flash())
                flash.files.update(first.files)
                flash.blobs.update(first.blobs)
                p = stored_on(flash)
                flash.power(cut, keep)
                flash.broken = broken
                try:
                    p.execute([0, len(new), new])
                except PowerCut:
                    pass
                flash.power()
                again = stored_on(flash)
                assert again.hash in (digest(old), digest(new)) and again.hash == digest(again.stored())


def test_a_copy_that_goes_later_takes_its_hash_along():
    flash = on(Flash())
    p = stored_on(flash)
    for level in (40, 20):
        new = plan(level=level)
        p.execute([0, len(new), new])
    assert agree(p) == 20
    flash.blobs.clear()
    newest = sorted(flash.files)[0]
    for name in list(flash.files):
        if plan(level=20) in flash.files[name]:
            newest = name
    flash.files[newest] = b"rotten"
    p.look(2 * DAY + 22 * 3600)
    assert agree(p) == 40


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
    for name in ("plan", "packed", "schedule", "sun", "zone"):
        assert "firmware.furniture." + name not in sys.modules
        assert not hasattr(sys.modules["firmware.furniture"], name)
    assert night_module.Night is not None
