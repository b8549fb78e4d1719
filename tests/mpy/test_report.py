"""Readings: what is sent, when it is held back, and how well the time is known."""

from firmware.clock import EPOCH_GPS, Clock
from firmware.protocols import codec, cose
from firmware.protocols.cbor import WireError
from firmware.protocols.schema import index
from firmware.roles import report as report_module
from firmware.roles.report import Report
from tests.mpy import fakes
from tests.mpy.support import raises


class Uplink:
    """Keeps what is put into it; `refuses` is the reason for which it takes nothing."""

    def __init__(self, room=100):
        self.room = room
        self.put_ = []
        self.refuses = None

    def payload_room(self):
        return self.room

    def put(self, payload, purpose=0, alarm=False):
        if self.refuses:
            raise WireError(self.refuses)
        self.put_.append((payload, purpose, alarm))


class Site:
    def __init__(self, kind=3, profile="mac0", room=100):
        self.kind = kind
        self.profile = profile
        self.uplink = Uplink(room)
        self.time = fakes.Time()
        self.clock = Clock(self.time.ticks_ms, self.time.ticks_diff)
        self.wake = fakes.Flag(self.time, True)
        self.report = Report(self, self.uplink, self.clock, self.wake)

    def set(self, mtype, **values):
        for name in values:
            self.report.values[index(mtype, name)] = values[name]

    def sent(self):
        return [codec.decode(payload) for payload, _, _ in self.uplink.put_]


def test_a_reading_goes_to_the_uplink_and_wakes_the_radios_task():
    site = Site()
    site.report.open()
    site.wake.clear()
    site.set(3, fill=50, distance=700, supply=3900)
    assert site.report.send()
    assert site.sent() == [(3, {"supply": 3900, "fill": 50, "distance": 700})]
    assert site.wake.state
    site.set(3, fill=None)
    assert site.report.send(True)
    assert site.sent()[1] == (3, {"supply": 3900, "distance": 700})
    assert [p[1:] for p in site.uplink.put_] == [(0, False), (0, True)]


def test_before_hello_a_reading_is_held_and_goes_out_once():
    site = Site()
    site.set(3, fill=1)
    assert not site.report.send()
    site.set(3, fill=2)
    assert not site.report.send()
    assert site.sent() == [] and not site.wake.state
    site.report.open()
    assert site.sent() == [(3, {"fill": 2})]
    site.report.open()
    assert len(site.sent()) == 1
    other = Site()
    other.report.open()
    assert other.sent() == [], "nothing was measured yet"


def test_time_by_its_quality():
    site = Site()
    site.report.open()
    site.set(3, fill=1)
    site.report.send()
    site.clock.set(1, EPOCH_GPS + 100)
    site.report.send()
    site.clock.set(2, EPOCH_GPS + 200)
    site.report.send()
    site.clock.set(3, EPOCH_GPS + 300)
    site.report.send()
    assert [fields for _, fields in site.sent()] == [
        {"fill": 1},
        {"time_unconfirmed": 100, "fill": 1},
        {"time": 200, "fill": 1},
        {"time": 300, "fill": 1},
    ]


def test_a_wrong_date_costs_no_reading():
    site = Site()
    site.report.open()
    site.set(3, fill=1)
    for wire_s in (-1, -1451260818, 1 << 30, 0xFFFFFFFF - EPOCH_GPS):
        site.clock.set(2, EPOCH_GPS + wire_s)
        assert site.report.send()
        assert site.sent()[-1] == (3, {"fill": 1}), wire_s
    site.clock.set(2, EPOCH_GPS + (1 << 30) - 1)
    assert site.report.send()
    assert site.sent()[-1][1]["time"] == (1 << 30) - 1


def test_what_cannot_be_kept_is_counted():
    site = Site()
    site.report.open()
    site.wake.clear()
    site.set(3, fill=1)
    for reason in ("storage", "too_long", "key_exhausted", "busy"):
        site.uplink.refuses = reason
        assert not site.report.send()
    assert site.report.lost == 4 and not site.wake.state


def test_a_value_out_of_range_is_the_kinds_error():
    site = Site()
    site.report.open()
    site.set(3, fill=101)
    assert raises(WireError, site.report.send).args[0] == "out_of_range"


def test_class_1_leaves_in_encrypted_frames_only_and_in_one_length():
    for profile in ("mac0", "sign1"):
        site = Site(4, profile)
        site.report.open()
        site.set(4, index=5, leak_state=0)
        assert raises(WireError, site.report.send).args[0] == "class1_in_clear"
        site.set(4, index=None)
        assert site.report.send(), "the state alone is class 0"
    for room, length in ((33, 26), (97, 64)):
        site = Site(4, "encrypt0", room)
        site.report.open()
        for value in (1, 1000, 100000000):
            site.set(4, index=value, flow=value // 100, hourly=[value // 1000], leak_state=0)
            site.report.send()
        assert {len(p[0]) for p in site.uplink.put_} == {length}
    assert cose.MAX_FRAME == 255


def test_a_kind_leaves_out_what_a_slow_carrier_has_no_room_for():
    site = Site(4, "encrypt0", 26)
    hourly = index(4, "hourly")
    asked = []

    real = report_module.shorten

    def counted(values, spare):
        asked.append(values[hourly])
        return real(values, spare)

    report_module.shorten = counted
    site.set(4, index=1073741823, flow=1000000, hourly=[100000, 100000, 100000, 100000], leak_state=2)
    site.set(4, supply=3900)
    site.report.spare = bytes((hourly,))
    site.report.send()
    site.report.open()
    assert len(asked) == 4 and len(site.uplink.put_[0][0]) == 26
    assert site.sent()[0][1] == {"index": 1073741823, "flow": 1000000, "leak_state": 2, "supply": 3900}
    site.set(4, index=123456, flow=180, hourly=[18, 6, 7, 8])
    site.report.send()
    assert len(site.uplink.put_[1][0]) == 26
    assert site.sent()[1][1]["hourly"] == [18, 6, 7, 8] and len(asked) == 4, "a household's fit"
    room = site.uplink.room
    site.uplink.room = 25
    error = raises(WireError, site.report.send)
    assert error.args == ("too_long",) and asked[-1] is None
    site.uplink.room = room
    site.report.spare = b""
    site.set(4, hourly=[100000] * 4)
    assert raises(WireError, site.report.send).args == ("too_long",)
    report_module.shorten = real
