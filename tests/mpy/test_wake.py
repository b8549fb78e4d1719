"""A bin on a battery: what rides in RTC memory, what a wake decides, and which numbers go on after it."""

import struct

from firmware import storage
from firmware.clock import EPOCH_GPS, Clock
from firmware.drivers.errors import BusError, NotReady
from firmware.furniture import fire
from firmware.furniture.bin import Watch
from firmware.protocols.cbor import WireError, decode
from firmware.wake import bin_look, bin_setup, node, rtc
from firmware.wake import bin_record as at
from firmware.wake.bin_look import look
from firmware.wake.bin_record import EMPTIED, SAMPLES, TOLD, WATCH
from tests.mpy import fakes
from tests.mpy.support import raises
from tests.mpy.test_counters import HEAD, use
from tests.mpy.test_storage import Flash, copies, on
from tests.mpy.test_uplink import Board

MINUTE = 60000
QUARTER = 15 * MINUTE
RULES = [90, 80, 5, 10, 700, 50]


# What rides in RTC memory


def a_record():
    return rtc.record([5000, 905000, 0], ["board", 7], [b"\x00\xff", -1, [700, 690]], [[1, 2, 3, 4]], {4: 50})


def test_a_record_comes_back_and_is_one_cbor_item():
    raw = bytes(rtc.pack(a_record()))
    assert rtc.unpack(raw) == a_record()
    assert decode(raw, 4, None, 5) == a_record()


def test_any_damage_is_seen():
    raw = bytes(rtc.pack(a_record()))
    for i in range(len(raw)):
        for bit in (1, 16, 128):
            bad = bytearray(raw)
            bad[i] ^= bit
            assert rtc.unpack(bytes(bad)) is None
    for size in range(len(raw)):
        assert rtc.unpack(raw[:size]) is None
    assert rtc.unpack(raw + b"\0") is None


def test_another_layout_is_not_taken_up():
    for items in ([1] + a_record()[1:], [3] + a_record()[1:], a_record()[:5], a_record() + [0]):
        body = bytes(rtc.pack(items))
        # The list's head is that of six elements whatever is packed, so other lengths are no CBOR at all.
        assert rtc.unpack(body) is None


def test_a_record_longer_than_the_memory_is_refused():
    assert len(rtc.pack(rtc.record([0, 0, 0], [bytes(2020)], 0, 0))) <= 2048
    assert raises(WireError, rtc.pack, rtc.record([0, 0, 0], [bytes(2048)], 0, 0)).args[0] == "too_long"


def test_a_record_goes_into_the_room_there_is():
    room = bytearray(64)
    raw = rtc.pack(a_record(), room)
    assert rtc.unpack(bytes(raw)) == a_record() and bytes(raw) == bytes(rtc.pack(a_record()))
    assert room[: len(raw)] == raw
    for size in range(8, len(raw)):
        assert raises(WireError, rtc.pack, a_record(), bytearray(size)).args[0] == "too_long"


def test_how_long_it_slept_is_known_to_five_per_cent():
    assert rtc.slept_ms([1000, 0, 0], 901000) == (855000, 945000)
    assert rtc.slept_ms([1000, 0, 0], 999) is None  # the calendar was set, or began again
    assert rtc.slept_ms([1000, 0, 0], 1 << 40) is None


# One measurement


class Ranger:
    """Says what it has after `silent` questions."""

    def __init__(self, mm=700, silent=0):
        self.mm = mm
        self.silent = silent
        self.asked = 0
        self.on = True

    def start(self):
        return 1000

    def read_mm(self):
        assert self.on
        self.asked += 1
        if self.asked <= self.silent:
            raise NotReady("ranger")
        if isinstance(self.mm, Exception):
            raise self.mm
        return self.mm

    def stop(self):
        self.on = False


class Supply:
    def __init__(self):
        self.mv = 3900

    def read_mv(self):
        if self.mv is None:
            raise BusError("supply", 0)
        return self.mv


class Bin:
    """A record over many wakes, a quarter of an hour apart."""

    def __init__(self, rules=RULES, quiet_ms=4 * 60 * MINUTE):
        self.time = fakes.Time(0)
        fakes.on(self.time, bin_look)
        self.time.sleep_ms = self.nap
        self.start_ms = 1000
        self.fit = ["b", "bin_look", "", QUARTER, "r", "s", [1200, 200], rules, 1, 3300, quiet_ms, 0]
        self.state = [b"", 0, 0, -1, -1, [], -1]
        self.supply = Supply()
        self.at = 0

    def nap(self, ms):
        assert ms > 0, "light sleep without an end"
        self.time.ms += ms

    def wake(self, mm=700, take=True, silent=0):
        """What the wake has to say; `take`: the application stores it."""
        self.at += QUARTER
        self.ranger = Ranger(mm, silent)
        self.ranger.start = lambda: self.start_ms
        begun = self.time.ms
        parts = {"r": self.ranger, "s": self.supply}
        record = rtc.record([0, 0, 0], self.fit, self.state, None)
        found = look(record, parts.get, self.nap, self.at)
        self.took = self.time.ms - begun
        assert not self.ranger.on
        if found and take:
            state, values = self.state, found[1]
            state[TOLD], state[at.MASK] = values[3] & ~EMPTIED, state[at.MASK] & ~EMPTIED
            state[SAMPLES], state[at.SENT] = [], self.at
            if 4 in values:
                state[at.FILL], state[at.CLASS] = values[4], values[7]
        return found


def test_the_first_reading_and_then_silence_until_the_heartbeat():
    site = Bin()
    alarm, found = site.wake(700)
    assert not alarm
    assert [found[k] for k in (2, 3, 4, 5, 6, 7, 10)] == [3900, 0, 50, 700, 100, 2, None]
    assert [site.wake(700 + i % 2) for i in range(15)] == [None] * 15
    _, found = site.wake(702)
    # Newest first, as many as there were wakes.
    assert found[10] == [700 + i % 2 for i in range(15)][::-1]


def test_news_are_another_class_more_than_5_points_and_an_alarm():
    site = Bin()
    site.wake(700)
    assert site.wake(650) is None  # 55 %
    assert site.wake(630)[1][4] == 57
    assert site.wake(540)[1][7] == 3
    alarm, found = site.wake(290)
    assert alarm and found[3] == 1 and found[4] == 91
    # Emptied needs a second look.
    assert site.wake(1190) is None
    alarm, found = site.wake(1190)
    assert alarm and found[3] == 2 and found[7] == 0


def test_an_emptying_that_could_not_be_stored_is_told_later():
    site = Bin()
    site.wake(400)
    site.wake(1190)
    assert site.wake(1190, take=False)[1][3] == 2
    alarm, found = site.wake(1190)
    assert alarm and found[3] == 2
    assert site.wake(1190) is None


def test_supply_low_with_a_margin_and_a_supply_that_cannot_be_read():
    site = Bin()
    site.wake()
    site.supply.mv = 3299
    alarm, found = site.wake()
    assert alarm and found[3] == 256 and found[2] == 3299
    site.supply.mv = 3350
    assert site.wake() is None
    site.supply.mv = None
    assert site.wake() is None
    site.supply.mv = 3400
    alarm, found = site.wake()
    assert not alarm and found[3] == 0


def test_a_dead_sensor_ends_the_wake_early_and_becomes_an_alarm_at_the_sixth():
    site = Bin()
    site.wake()
    for mm in (None, BusError("ranger", "sum"), None, None, None):
        assert site.wake(mm) is None
        assert site.ranger.asked == 1
    alarm, found = site.wake(None)
    assert alarm and found[3] == 128 and found[11] == 1 and 4 not in found
    assert site.wake(0, silent=10000) is None
    assert site.took < 1500


def test_a_wake_takes_the_time_of_three_echoes():
    site = Bin()
    # Ready 550 ms after power, an echo each 300 ms: asked every 20 ms.
    site.wake(700, silent=0)
    assert site.took == 550 + 2 * 60
    assert site.ranger.asked == 3
    site.wake(700, silent=15)
    assert site.took == 550 + 15 * 20 + 2 * 60


def test_a_sensor_that_is_ready_at_once_or_before_the_rest():
    site = Bin()
    site.start_ms = 0
    assert site.wake()[1][5] == 700 and site.took == 2 * 60
    # Reading the supply took longer than the sensor needs.
    site.start_ms = 100
    site.supply.read_mv = lambda: site.nap(150) or 3900
    assert site.wake() is None and site.state[SAMPLES] == [700]


def test_without_a_known_container_there_are_distances_and_no_fill():
    site = Bin(rules=None)
    _, found = site.wake(700)
    assert found[5] == 700 and 4 not in found


class Start:
    """Board, settings and calendar of an ordinary start."""

    board = "b"
    interval_s = 900

    def __init__(self, kept, parts, extra):
        self.kept = kept
        self.parts = parts
        self.extra = extra

    def owner(self):
        return ""

    def phase_ms(self, interval_ms):
        return 7000

    def calendar_ms(self):
        return 5000

    def copies(self, name):
        return self

    def read(self):
        return self.kept

    def part(self, role, name):
        return name


def test_what_it_is_set_to_at_an_ordinary_start():
    watch = Watch([1200, 200], RULES)
    watch.step(0, 700)
    for n in range(2):
        fire.heat(watch.s, RULES, n, 800)
    mark = (1200 * 20011 + 200) & 0x3FFFFFFF
    kept = struct.pack(">III", mark, 3600, 0) + bytes(watch.s)
    start = Start(kept, ["range", "hcsr04"], {})
    record = bin_setup.setup(start, start, start)
    fit, state = record[rtc.FIT], record[rtc.STATE]
    assert [fit[i] for i in (at.RANGE, at.SUPPLY, at.SHAPE, at.RULES)] == [
        "hcsr04",
        "supply",
        [1200, 200],
        RULES,
    ]
    assert [fit[i] for i in (at.MARK, at.LOW_MV, at.QUIET, at.BASE_S)] == [mark, 3300, 14400000, 3600 - 5]
    assert [fit[i] for i in (rtc.OWNER, rtc.INTERVAL)] == ["", QUARTER] and len(fit) == at.BASE_S + 1
    # The level is taken up; a fire is not, there is no thermometer that could end it.
    again = Watch([1200, 200], RULES, state[WATCH])
    assert again.fill == 50 and again.s[11] & 1032 == 0
    assert [state[i] for i in (TOLD, at.MASK, at.FILL, at.CLASS)] == [0, 0, -1, -1]
    assert [state[i] for i in (SAMPLES, at.SENT)] == [[], -1] and len(state) == at.SENT + 1
    for part in ("tilt", "temperature", "hatch", "contacts"):
        start = Start(kept, [part, "x"], {1: 1300})
        record = bin_setup.setup(start, start, start)
        assert record[rtc.STATE][at.MASK] == 8192
        assert Watch([1300, 200], RULES, record[rtc.STATE][WATCH]).fill is None


def test_24_distances_are_kept():
    site = Bin(quiet_ms=40 * 60 * MINUTE)
    site.wake(700)
    for i in range(30):
        assert site.wake(700 + i % 3) is None
    assert site.wake(640)[1][10] == [702, 701, 700] * 8


def test_a_wake_without_an_echo_keeps_its_place_among_the_distances():
    site = Bin()
    site.wake(700)
    for mm in (None, 702, None, BusError("ranger", "sum"), 701):
        assert site.wake(mm) is None
    # A reading that could not be stored is one of them, too.
    assert site.wake(600, take=False)[1][10] == [701, 0, 0, 702]
    assert site.wake(600)[1][10] == [600, 701, 0, 0, 702]
    assert site.wake(540)[1][10] is None


# Numbers


def boot(flash, kept=None):
    on(flash)
    flash.power()
    counters = node.Counters(copies(flash))
    ring = storage.FrameRing("r")
    counters.kept = kept
    assert counters.start(3, ring, HEAD, not flash.files)
    return counters, ring


def slept():
    """A flash, what rode in RTC memory, and the last number of before."""
    flash = Flash()
    counters, ring = boot(flash)
    last = use(counters, ring, 5)[-1]
    return flash, counters.numbers(), last


def test_numbers_go_on_after_a_sleep_without_a_boot_or_a_write():
    flash, kept, last = slept()
    counters, ring = boot(flash, kept)
    assert counters.resumed and counters.boots == 1
    assert flash.writes == 0
    assert use(counters, ring, 2) == [last + 1, last + 2]
    # And again, and over the end of the reserved block.
    counters, ring = boot(flash, counters.numbers())
    found = use(counters, ring, 100)
    assert found == list(range(last + 3, last + 103))
    counters, ring = boot(flash, counters.numbers())
    assert counters.resumed and use(counters, ring, 1) == [last + 103]


def test_without_rtc_memory_numbers_begin_at_the_mark():
    flash, _, last = slept()
    counters, ring = boot(flash)
    assert not counters.resumed and counters.boots == 2
    assert use(counters, ring, 1) == [65]
    assert last < 65


def test_a_record_that_flash_contradicts_is_an_ordinary_start():
    for index, wrong in ((0, 2), (1, 0), (1, 2), (2, 4), (2, 6), (3, 5), (3, 66), (3, 0)):
        flash, kept, last = slept()
        kept[index] = wrong
        counters, ring = boot(flash, kept)
        assert not counters.resumed, (index, wrong)
        assert use(counters, ring, 1)[0] > last


def test_an_old_record_is_never_used_again():
    flash, kept, _ = slept()
    counters, ring = boot(flash, kept)
    seen = use(counters, ring, 3)
    counters, ring = boot(flash, kept)
    assert not counters.resumed
    assert use(counters, ring, 1)[0] > seen[-1]
    # Nor after a power cut, which counts as a boot.
    flash, kept, last = slept()
    boot(flash)
    assert not boot(flash, kept)[0].resumed


def test_one_copy_of_the_mark_lost_is_an_ordinary_start():
    flash, kept, last = slept()
    flash.blobs.clear()
    counters, ring = boot(flash, kept)
    assert not counters.resumed
    assert use(counters, ring, 1)[0] > last


# Queue, references, clock


def test_queue_and_references_go_on_and_grow_older():
    board = Board()
    board.hello()
    board.put(3)
    time = fakes.Time(5000)
    clock = Clock(time.ticks_ms, time.ticks_diff)
    first = node.Uplink(board.sealer, board.counters, board.ring, clock)
    first._queue = [7, 8]
    first._refs = [(5, 0), (6, clock.now_ms())]
    time.ms += 2000
    kept = decode(bytes(rtc.pack(rtc.record(0, 0, 0, first.queues()))), 4, None, 5)[rtc.NODE]
    time.ms += 50000
    clock = Clock(time.ticks_ms, time.ticks_diff)
    second = node.Uplink(board.sealer, board.counters, board.ring, clock)
    second.take_up(kept, (95000, 105000))
    assert second.waits() and second._queue == [7, 8]
    # The most that may have passed: no command counts as fresher than it is.
    assert second.age_ms(6) == 2000 + 105000
    assert second.age_ms(9) == -1
    second.put(b"\x82\x03\xa0")  # no hello is needed


def test_quality_drops_with_what_the_oscillator_may_be_off():
    for slept_s, quality, unsure in (
        (900, 2, 45500),
        (2380, 2, 119500),
        (2400, 1, 120500),
        (14400, 1, 720500),
    ):
        time = fakes.Time(0)
        clock = Clock(time.ticks_ms, time.ticks_diff)
        off = slept_s * 50
        node.set_clock(clock, [2, 1000000, 500], (slept_s * 1000 - off, slept_s * 1000 + off))
        assert (clock.quality, clock.uncertainty_ms) == (quality, unsure)
        assert clock.wire_ms() == 1000000 + slept_s * 1000
    clock = Clock(time.ticks_ms, time.ticks_diff)
    node.set_clock(clock, [0, 0, 0], (0, 1000))
    assert clock.quality == 0 and clock.wire() is None
    node.set_clock(clock, [1, 5000, 9], (1000, 1000))
    assert clock.quality == 1 and clock.wire() == 6
    clock.set(2, EPOCH_GPS + 10)
    assert clock.quality == 2
