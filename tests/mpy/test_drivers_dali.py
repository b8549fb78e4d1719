"""The DALI master and what is built on it, on a bus that is a script: pauses, answers, silence, noise."""

from firmware.drivers import dali_memory, dali_setup
from firmware.drivers.dali import Bus, NoReply
from firmware.drivers.dali_commission import Commission, address_all
from firmware.drivers.dali_gear import Gear
from firmware.drivers.errors import BusError, ChipError, ConfigError
from firmware.protocols.dali import runs
from tests.mpy.support import MICROPYTHON, raises
from tests.mpy.ticks import Micros


class Clock(Micros):
    look_us = 4


class Line:
    """RMT, receiving pin and time_pulse_us in one: `answer` is called with each frame and gives None, a byte,
    or a list of microseconds between edges. `frames` holds (start in us, frame)."""

    def __init__(self, answer=None, us=0, low=0):
        self.clock = Clock(us)
        self.low = low
        self.answer = answer or (lambda frame: None)
        self.frames = []
        self.edges = []
        self.stuck = False
        self.dead = False
        self.slow = 40  # us that a call takes

    def write_pulses(self, durations, start):
        assert start == 1 - self.low
        halves = []
        for i, us in enumerate(durations[:-1]):
            halves += [i & 1] * (2 if us > 600 else 1)
        if len(halves) < 34:
            halves.append(1)
        assert len(halves) == 34 and halves[:2] == [0, 1]
        frame = 0
        for i in range(2, 34, 2):
            assert halves[i] != halves[i + 1]
            frame = frame << 1 | halves[i + 1]
        begin = self.clock.us
        self.frames.append((begin, frame))
        end = begin + 14167
        self.clock.us = end + 2450
        reply = self.answer(frame)
        self.edges = []
        if reply is not None:
            if isinstance(reply, int):
                reply = [n * 417 - (n >> 1) for n in runs(reply, 8)]
                if not len(reply) & 1:
                    reply.pop()
            t = end + 8000
            self.edges = [t]
            for us in reply:
                t += us
                self.edges.append(t)

    def wait_done(self, timeout=0):
        assert timeout >= 17
        return not self.stuck

    def __call__(self):
        high = not self.dead
        for e in self.edges:
            if e <= self.clock.us:
                high = not high
        return 1 - self.low if high else self.low

    def pulse(self, pin, level, timeout):
        assert pin is self
        self.clock.us += self.slow
        for error in (-2, -1):
            start = self.clock.us
            while (self() == level) == (error == -1):
                coming = [e for e in self.edges if e > self.clock.us]
                if not coming or coming[0] > start + timeout:
                    self.clock.us = start + timeout
                    return error
                self.clock.us = coming[0]
        return self.clock.us - start

    def bus(self, hears=True):
        return Bus(self, self if hears else None, self.pulse, 1 - self.low, self.low, self.clock)

    def sent(self):
        return [f for _, f in self.frames]


def test_sends_and_waits_before_the_next_frame_by_priority():
    line = Line()
    bus = line.bus()
    line.clock.us += 1000000
    bus.send(0xFE80)
    assert line.frames == [(line.frames[0][0], 0xFE80)]
    assert line.frames[0][0] < 1000100  # the bus had been quiet
    ends = [line.frames[0][0] + 14167]
    # IEC 62386-101: first of the windows 13.5-14.7, 14.9-16.1, 16.3-17.7, 17.9-19.3, 19.5-21.2 ms.
    for priority, low, high in (
        (1, 13.5, 14.7),
        (2, 14.9, 16.1),
        (3, 16.3, 17.7),
        (4, 17.9, 19.3),
        (5, 19.5, 21.2),
    ):
        bus.send(0xFE00 | priority, priority)
        pause = line.frames[-1][0] - ends[-1]
        assert low * 1000 <= pause <= high * 1000, (priority, pause)
        ends.append(line.frames[-1][0] + 14167)


def test_a_clock_that_has_wrapped_does_not_stop_the_light():
    for ahead in (0x20000000, 0x3FFFFFFF, 0x30000000, 5):
        line = Line(us=0x3FFFFF00)
        bus = line.bus()
        bus.send(1)
        line.clock.us += ahead
        before = line.clock.us
        bus.send(2)
        assert line.frames[-1][0] - before <= 22000


def test_configuration_commands_go_twice_within_100_ms():
    line = Line()
    line.bus().twice(0x0B2E)
    (a, x), (b, y) = line.frames
    assert x == y == 0x0B2E
    assert 13500 <= b - a - 14167 <= 14700 and b + 14167 - a <= 100000


def test_a_stuck_transmitter_is_told():
    line = Line()
    line.stuck = True
    assert raises(BusError, line.bus().send, 0x0B00).args == ("dali", "rmt")


def test_query_of_every_byte():
    for low in (0, 1):
        line = Line(lambda frame: frame & 0xFF, low=low)
        bus = line.bus()
        for value in range(256):
            assert bus.query(0x0B00 | value) == value


def test_no_reply_is_no_value():
    line = Line()
    bus = line.bus()
    e = raises(NoReply, bus.query, 0x0BA0)
    assert isinstance(e, BusError) and e.args == ("dali", "no reply")
    assert bus.ask(0x0B91) is False
    line.answer = lambda frame: 0xFF
    assert bus.query(0x0BA0) == 0xFF and bus.ask(0x0B91) is True


def test_noise_is_an_error_and_the_next_query_works():
    good = [417, 417, 417, 833, 833, 417, 417, 417, 417, 417, 417, 417, 417, 417, 417]
    bad = (
        [417],
        [200] * 17,
        good[:-2],
        good + [417, 417],
        [417] * 41,
        [3000],
        [417, 417, 6000, 417, 417],
        [u * 2 for u in good],
    )
    for edges in bad:
        line = Line(lambda frame, edges=edges: edges)
        bus = line.bus()
        assert raises(BusError, bus.query, 0x0BA0).args == ("dali", "frame"), edges
        assert bus.ask(0x0B91) is True  # several gears at once say yes
        line.answer = lambda frame: 77
        assert bus.query(0x0BA0) == 77
        assert line.frames[-1][0] - line.edges[0] < 200000


def test_a_bus_that_stays_low_is_told_and_does_not_hold_up_long():
    line = Line()
    bus = line.bus()
    line.dead = True
    bus.send(0x0B00)  # a broken receiver does not keep the lamp from its commands
    before = line.clock.us
    assert raises(BusError, bus.query, 0x0BA0).args == ("dali", "low")
    assert raises(BusError, bus.ask, 0x0B91).args == ("dali", "low")
    assert line.clock.us - before < 2 * 120000
    line.dead = False
    assert raises(NoReply, bus.query, 0x0BA0)


def test_without_reply_path_it_only_sends():
    line = Line(lambda frame: 5)
    bus = line.bus(hears=False)
    gear = Gear(bus, 5)
    gear.set(1000)
    assert line.sent() == [0x0AFE]
    for call in (gear.light, gear.status, gear.lamp_failed):
        assert raises(ConfigError, call).args == ("rx",)
    assert len(line.frames) == 1
    assert dali_setup.store(gear, dali_setup.FAILURE, 254) is False
    assert dali_setup.fade(gear, 7) is False
    assert raises(ConfigError, Commission, bus).args == ("rx",)


def test_light():
    line = Line()
    bus = line.bus()
    for target, permille, frame in (
        (5, 500, 0x0AE5),
        (127, 0, 0xFE00),
        (127, 1000, 0xFEFE),
        (64 + 3, 250, 0x86CB),
        (126, 1, 0xFC01),
    ):
        Gear(bus, target).set(permille)
        assert line.sent()[-1] == frame
    Gear(bus, 5, linear=True).set(500)
    assert line.sent()[-1] == 0x0A7F
    for target in (-1, 80, 125, 128):
        assert raises(ConfigError, Gear, bus, target).args == ("target",)
    n = len(line.frames)
    for permille in (-1, 1001):
        assert raises(ConfigError, Gear(bus).set, permille).args == ("permille",)
    assert len(line.frames) == n
    gear = Gear(bus, 5)
    line.answer = {0x0BA0: 229, 0x0B90: 0x86, 0x0B92: 255}.get
    assert gear.light() == 505 and gear.status() == 0x86 and gear.lamp_failed() is True
    line.answer = {0x0BA0: 255}.get
    assert gear.light() is None and gear.lamp_failed() is False
    assert raises(NoReply, gear.status)


def test_several_gears_tell_their_status_as_one():
    """Their answers collide, so each bit is asked for: any answer, also a garbled one, is a yes."""
    garbled = [417, 417, 3000]
    for answers, status in (
        ({}, 0),
        ({0x93: 255}, 4),
        ({0x93: garbled}, 4),
        ({0x93: garbled, 0x92: 255}, 6),
        ({0x92: garbled}, 2),
        ({0xAA: 255, 0x93: garbled}, 5),
    ):
        found = {0xFF90: garbled}
        found.update([(0xFF00 | op, answer) for op, answer in answers.items()])
        line = Line(found.get)
        assert Gear(line.bus()).status() == status
        assert sorted(line.sent()) == [0xFF90, 0xFF92, 0xFF93, 0xFFAA]
    line = Line()
    assert raises(NoReply, Gear(line.bus()).status)
    assert len(line.frames) == 1, "silence is asked once"
    line.dead = True
    assert raises(BusError, Gear(line.bus()).status).args == ("dali", "low")


def test_settings_are_read_back():
    line = Line(lambda frame: {0xA4: 254, 0xA3: 255, 0xA5: 0x47}.get(frame & 0xFF) if frame & 0x100 else None)
    gear = Gear(line.bus(), 5)
    assert dali_setup.store(gear, dali_setup.FAILURE, 254) is True
    assert line.sent() == [0xA3FE, 0x0B2C, 0x0B2C, 0x0BA4]
    assert dali_setup.store(gear, dali_setup.POWER_ON, 255) is True
    assert line.sent()[4:] == [0xA3FF, 0x0B2D, 0x0B2D, 0x0BA3]
    assert dali_setup.fade(gear, 4) is True
    assert line.sent()[8:] == [0xA304, 0x0B2E, 0x0B2E, 0x0BA5]
    assert raises(ChipError, dali_setup.store, gear, dali_setup.FAILURE, 200).args == ("dali", 254)
    line.answer = lambda frame: None
    assert raises(NoReply, dali_setup.store, gear, dali_setup.FAILURE, 254)
    for call in (
        lambda: dali_setup.store(gear, dali_setup.MIN, 256),
        lambda: dali_setup.fade(gear, 16),
        lambda: dali_setup.member(gear, 16),
    ):
        n = len(line.frames)
        raises(ConfigError, call)
        assert len(line.frames) == n


def test_curve_and_groups():
    line = Line({0x0BEE: 1, 0x0BC0: 0x08, 0x0BC1: 0x80}.get)
    gear = Gear(line.bus(), 5)
    assert dali_setup.curve(gear) is True and gear.linear is True
    assert line.sent() == [0xC106, 0x0BEE]
    gear.linear = False
    assert dali_setup.set_curve(gear, True) is True and gear.linear is True
    assert line.sent()[2:] == [0xA301, 0xC106, 0x0BE3, 0x0BE3, 0xC106, 0x0BEE]
    assert dali_setup.groups(gear) == 1 << 3 | 1 << 15
    assert dali_setup.member(gear, 3) is True
    assert line.sent()[-4:] == [0x0B63, 0x0B63, 0x0BC0, 0x0BC1]
    assert raises(ChipError, dali_setup.member, gear, 3, False).args == ("dali", 1)
    assert dali_setup.member(gear, 4, False) is True


class Memory:
    """Answers READ MEMORY LOCATION of short address 5 as a gear does, and keeps the order of frames."""

    def __init__(self, content):
        self.content = content
        self.at = 0
        self.skip = -1

    def __call__(self, frame):
        if frame >> 8 == 0xA3:
            self.at = frame & 0xFF
        elif frame >> 8 in (0xC7, 0xC9):
            self.at += 1
            return frame & 0xFF if frame >> 8 == 0xC7 else None
        elif frame == 0x0BC5:
            at = self.at
            self.at += 2 if at == self.skip else 1
            return self.content[at] if at < len(self.content) else None
        elif frame == 0x0B98:
            return self.at
        return None


def test_bank_is_read_in_order_with_its_latch():
    line = Line(Memory(b"\x0f\0\xff\x01\x03\0\0\0\0\0\x0a\0\0\0\x03\xe8"))
    gear = Gear(line.bus(), 5)
    assert dali_memory.values(gear, 202) == {4: 10000000, 11: 1000000}
    want = [0xC3CA, 0xA300, 0x0BC5, 0x0B81, 0x0B81, 0xA302, 0xC7AA, 0xA303]
    want += [0x0BC5] * 13 + [0x0B98, 0x0B81, 0x0B81, 0xA302, 0xC9FF]
    assert line.sent() == want


def test_bank_without_latch_and_one_that_ends_early():
    line = Line(Memory(b"\x05\0\xff\x01\x32\x5a\x13\x88"))
    assert dali_memory.values(Gear(line.bus(), 5), 207) == {4: 50, 5: 30}
    assert 0xC7AA not in line.sent()


def test_a_lost_location_gives_no_values():
    memory = Memory(b"\x0f\0\xff\x01\x03\0\0\0\0\0\x0a\0\0\0\x03\xe8")
    memory.skip = 6
    line = Line(memory)
    gear = Gear(line.bus(), 5)
    out = {}
    e = raises(BusError, lambda: [0 for _ in dali_memory.steps(gear, 202, out)])
    assert e.args[1] in ("DTR0", "no reply") and out == {}
    memory.skip = 15
    e = raises(BusError, lambda: [0 for _ in dali_memory.steps(gear, 202, out)])
    assert e.args == ("dali", "DTR0") and out == {}
    memory.skip = -1
    assert len(dali_memory.values(gear, 202)) == 2
    assert raises(NoReply, dali_memory.values, Gear(line.bus(), 6), 202)
    assert raises(ConfigError, dali_memory.values, gear, 99).args == ("bank",)


def test_commissioning_of_nobody():
    line = Line()
    assert address_all(line.bus(), (1, 2), clock=line.clock) == []
    want = [0xA100, 0xA5FF, 0xA5FF, 0xA700, 0xA700, 0xB5FF, 0xB3FF, 0xB1FF, 0xA900, 0xA100]
    assert line.sent() == want


def test_commissioning_gives_up_and_ends_in_order():
    line = Line(lambda frame: 255 if frame == 0xA900 else None)
    e = raises(BusError, address_all, line.bus(), (1, 2), False, line.clock)
    assert e.args == ("dali", "search") and line.sent()[-1] == 0xA100
    e = raises(ConfigError, address_all, line.bus(), (), False, line.clock)
    assert e.args == ("free",) and line.sent()[-1] == 0xA100


def test_receiving_allocates_nothing():
    """Between the frame and its answer no collection may start."""
    if not MICROPYTHON:
        return

    class Quiet:
        # A bus on which nothing is allocated: an answer of ten runs, then silence.
        def __init__(self):
            self.n = 0
            self.t = 0
            self.locked = False

        def write_pulses(self, durations, start):
            assert start == 1

        def wait_done(self, timeout=0):
            import micropython

            micropython.heap_lock()
            self.locked = True
            self.n = 0
            return True

        def pulse(self, pin, level, timeout):
            self.n += 1
            if self.n > 18:
                self.t += timeout
                return -1
            self.t += 417
            return 400

        def ticks_us(self):
            return self.t

        def ticks_diff(self, a, b):
            return a - b

        def ticks_add(self, a, b):
            return a + b

        def sleep_us(self, us):
            pass

    import micropython

    q = Quiet()
    bus = Bus(q, q, q.pulse, 1, 0, q)
    try:
        value = bus.query(0x0BA0)
    finally:
        if q.locked:
            micropython.heap_unlock()
    assert q.locked and value == 0xFF
