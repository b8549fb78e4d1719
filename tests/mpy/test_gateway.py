"""The gateway's two tasks: what it hears reaches the sink in order and once, what the sink answers goes out."""

from firmware.clock import Clock
from firmware.drivers.errors import BusError
from firmware.protocols import gwrecord, link
from firmware.protocols.cbor import encode
from firmware.roles import gateway as gateway_module
from firmware.roles import modem as modem_module
from firmware.roles.gateway import Gateway
from firmware.roles.modem import Modem
from tests.mpy import fakes
from tests.mpy.support import raises

EUI = bytes(range(8))
K_LINK = bytes(range(16))
ROUTES = {(0xA5, 2): K_LINK}


class Sink:
    """`script`: what each call does, the last one for ever: "down", or a function (number) -> answer."""

    def __init__(self, time):
        self.time = time
        self.script = [lambda number: gwrecord.pack_answer(number, [])]
        self.took = []  # (instant, record) of each call
        self.stored = []
        self.closed = 0
        self.slow_ms = 0

    async def send(self, record):
        self.took.append((self.time.ms, record))
        what = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if self.slow_ms:
            await self.asyncio.sleep_ms(self.slow_ms)
        if what == "down":
            raise OSError(111)
        answer = what(gwrecord.parse(record)[2])
        self.stored.append(record)
        return answer

    async def close(self):
        self.closed += 1


class Site:
    def __init__(self, duty=9):
        self.time = fakes.Time()
        self.asyncio = fakes.on(self.time, modem_module, gateway_module)
        self.wake = fakes.Flag(self.time, True)
        self.clock = Clock(self.time.ticks_ms, self.time.ticks_diff)
        self.radio = fakes.Radio(self.time, self.wake, 9)
        self.modem = Modem(lambda: self.radio, self.wake, self.clock, 9, duty, 255)
        self.sink = Sink(self.time)
        self.sink.asyncio = self.asyncio
        self.device = EUI
        self.routes = ROUTES
        self.freq_khz = 869525
        self.sf = 9
        self.gateway = Gateway(self, self.modem, self.sink, 7)
        self.alive = 0

    def hear(self, at_ms, packet):
        self.radio.hear(at_ms, packet)

    def listen(self, until_ms):
        """The radio's task alone."""

        def alive():
            self.alive += 1

        self.modem.radio = None
        fakes.run(self.gateway.run(alive), until_ms, self.time)

    def forward(self, until_ms):
        """The other task alone."""
        fakes.run(self.gateway.forward(), until_ms, self.time)

    def queued(self):
        return [gwrecord.parse(r[2])[2] for r in self.gateway._queue]

    def numbers(self, records):
        return [gwrecord.parse(r)[2] for r in records]

    def fill(self, count, size=20):
        """Hear so many frames, one each second, each with its own bytes."""
        start = self.time.ms
        for i in range(count):
            self.hear(start + i * 1000, bytes((0xE0, 10, 0xA5, 0, 2, i >> 8, i & 255)) + bytes(size))
        self.listen(start + count * 1000 + 500)


def test_a_frame_reaches_the_sink_as_it_was_heard():
    site = Site()
    site.clock.set(1, 1451260818 + 1000)
    frame = bytes((0xE0, 10, 0xA5, 0, 2, 0, 9)) + b"body"
    site.radio.hear(5000, frame, -97, -22)
    site.listen(6000)
    site.forward(6001)
    fields = gwrecord.parse(site.sink.stored[0])
    end = 5000 + round(fakes.airtime_ms(len(frame), 9))
    assert fields[:3] == (EUI, 7, 1)
    assert fields[3:5] == (1000000 + end - 1000, 1)
    # The monotonic clock began with the board's, 1000 on the fake one.
    assert fields[5] == (end - 1000) * 1000
    assert fields[6:] == (869525000, 9, 125000, -97, -22, frame)
    assert site.gateway.unknown == 0


def test_strangers_and_scraps_are_carried_too_and_counted():
    site = Site()
    packets = (b"x", b"\xe0\x0a\xa5", bytes((0xE0, 10, 0xA6, 0, 2, 0, 0, 1)), bytes(255))
    for i, packet in enumerate(packets):
        site.hear(1000 + i * 3000, packet)
    site.listen(20000)
    site.forward(20001)
    assert [gwrecord.parse(r)[-1] for r in site.sink.stored] == list(packets)
    assert site.gateway.unknown == 4


def test_the_queue_is_bounded_and_the_oldest_go_first():
    site = Site()
    site.fill(70)
    assert site.queued() == list(range(7, 71))
    assert site.gateway.dropped == 6
    site.forward(80000)
    assert site.numbers(site.sink.stored) == list(range(7, 71))
    assert site.gateway._queue == []


def test_a_sink_that_is_down_for_an_hour():
    site = Site()
    site.fill(3)
    site.sink.script = ["down"]
    site.forward(site.time.ms + 3600000)
    assert site.queued() == [1, 2, 3]
    waits = [b[0] - a[0] for a, b in zip(site.sink.took, site.sink.took[1:])]
    assert waits[:7] == [1000, 2000, 4000, 8000, 16000, 32000, 60000]
    assert set(waits[6:]) == {60000}
    assert site.sink.closed == len(site.sink.took)
    site.sink.script = [lambda number: gwrecord.pack_answer(number, [])]
    site.forward(site.time.ms + 61000)
    assert site.numbers(site.sink.stored) == [1, 2, 3]


def test_waits_begin_anew_after_a_delivery():
    site = Site()
    site.fill(2)
    good = site.sink.script[0]
    site.sink.script = ["down", "down", "down", good, "down", good]
    site.forward(site.time.ms + 20000)
    waits = [b[0] - a[0] for a, b in zip(site.sink.took, site.sink.took[1:])]
    assert waits == [1000, 2000, 4000, 0, 1000]


def test_a_record_that_was_dropped_while_it_was_under_way_is_not_counted_as_lost():
    site = Site()
    site.fill(64)
    site.sink.slow_ms = 5000
    # While the first is with a slow peer, more are heard: it is pushed out, and yet arrives.
    site.time.at(site.time.ms + 2500, lambda: site.gateway._hear(_packet(site, b"\xe0new")))
    site.forward(site.time.ms + 5001)
    assert site.numbers(site.sink.stored) == [1]
    assert site.gateway.dropped == 0
    assert site.queued() == list(range(2, 66))


def test_a_record_that_was_dropped_is_not_tried_for_ever():
    site = Site()
    site.fill(64)
    site.sink.script = ["down"]
    site.time.at(site.time.ms + 100, lambda: site.gateway._hear(_packet(site, b"\xe0new")))
    site.forward(site.time.ms + 10000)
    assert site.numbers([r for _, r in site.sink.took])[:2] == [1, 2]
    assert site.gateway.dropped == 1


def _packet(site, data):
    packet = fakes.RxPacket(data)
    packet.ticks_ms = site.time.ticks_ms()
    packet.rssi = -100
    packet.snr = 0
    return packet


def test_only_an_answer_of_its_own_lets_a_record_go():
    whole = gwrecord.pack_answer(1, [(0xA5, 2, 12, b"body", 1)])
    bad = [gwrecord.pack_answer(n, []) for n in (0, 2, 65536)]
    bad += [b"", b"\xff" * 40, encode((2, 1)), encode((1, 1, ())), encode((2, -1, ())), encode((2, 1, 5))]
    bad += [encode((2, 1, ((0xA5, 2, 12, b"", 1),))), encode((2, 1, ((0xA5, 2, 200, b"x", 1),)))]
    bad += [encode((2, 1, ((0xA5, 2, 12, b"x", 2),))), encode((2, 1, ((0xA5, 2, 12),)))]
    bad += [encode((2, 1, ((0xA5, 2, 12, bytes(245), 1),))), encode((2, 1, ((0xA5, 2, 12, b"x", 1),) * 9))]
    bad += [whole[:n] for n in range(len(whole))] + [whole + b"\0"]
    for answer in bad:
        site = Site()
        site.fill(2)
        site.sink.script = [lambda number, said=answer: said, lambda number: gwrecord.pack_answer(number, [])]
        site.forward(site.time.ms + 5000)
        assert site.numbers([r for _, r in site.sink.took]) == [1, 1, 2], answer
        assert site.sink.closed == 1, "the peer is out of step"
        assert site.gateway._queue == [] and site.gateway._plan == []


def test_a_downlink_starts_one_second_after_the_uplinks_end():
    site = Site()
    uplink = bytes((0xE0, 10, 0xA5, 0, 2, 0, 1)) + bytes(20)
    site.listen(30000)  # past the silence of the boot
    site.hear(31000, uplink)
    site.listen(31400)
    site.sink.script = [lambda number: gwrecord.pack_answer(number, [(0xA5, 2, 12, b"body", 1)])]
    site.forward(31450)
    site.listen(40000)
    ((start, _, packet),) = site.radio.sent
    assert start == 31000 + round(fakes.airtime_ms(27, 9)) + 1000
    assert packet[:7] == bytes((0xE0, 0x8C, 0xA5, 0, 2, 0, 1)) and packet[7:11] == b"body"
    assert link.check_down(packet, K_LINK)
    assert site.radio.windows[-1] == (31450, None), "it hears on"


def test_a_downlink_that_is_late_is_not_sent():
    for late, sent in ((900, 1), (990, 1), (1045, 1), (1100, 0), (3600000, 0)):
        site = Site()
        site.listen(30000)
        site.hear(31000, bytes((0xE0, 10, 0xA5, 0, 2, 0, 1)) + bytes(20))
        end = 31000 + round(fakes.airtime_ms(27, 9))
        site.listen(end + 1)
        site.sink.script = [lambda number: gwrecord.pack_answer(number, [(0xA5, 2, 12, b"body", 1)])]
        site.time.ms = end + late
        site.forward(end + late + 1)
        site.listen(end + late + 5000)
        assert (len(site.radio.sent), site.gateway.refused) == (sent, 1 - sent), late


def test_airtime_bounds_downlinks_and_a_boot_begins_with_silence():
    site = Site()
    row = [(0xA5, 2, 12, bytes(100), 0)] * 4
    site.fill(1)
    site.sink.script = [lambda number: gwrecord.pack_answer(number, row)]
    site.forward(site.time.ms + 10)
    site.listen(site.time.ms + 1000)
    assert site.radio.sent == []
    silence = round(fakes.airtime_ms(255, 9)) * 9
    site.listen(silence + 2000)
    assert len(site.radio.sent) == 1 and site.radio.sent[0][0] >= silence
    site = Site()
    site.listen(30000)
    site.fill(1)
    rows = [(0xA5, 2, 12, bytes((i,)) * 100, 0) for i in range(8)]
    site.sink.script = [lambda number: gwrecord.pack_answer(number, rows)] * 3
    begin = site.time.ms
    site.forward(begin + 10)
    site.fill(2)
    site.forward(site.time.ms + 10)
    site.listen(begin + 200000)
    sent = site.radio.sent
    air = fakes.airtime_ms(111, 9)
    for one, other in zip(sent, sent[1:]):
        assert other[0] - one[0] >= 10 * air, "10 % of the time, and no burst"
    assert [p[7] for _, _, p in sent[:8]] == list(range(8)), "in their order"
    assert len(sent) == 11 and len(sent) + site.gateway.refused == 8 * len(site.sink.stored) >= 16
    assert sent[-1][0] - begin <= 65000, "not what nobody waits for any more"


def test_a_window_does_not_wait_for_airtime():
    site = Site()
    site.listen(30000)
    site.fill(1)
    row = [(0xA5, 2, 12, bytes(100), 1)] * 3
    site.sink.script = [lambda number: gwrecord.pack_answer(number, row)]
    site.time.ms -= 1000
    site.forward(site.time.ms + 10)
    site.listen(site.time.ms + 60000)
    assert (len(site.radio.sent), site.gateway.refused) == (1, 2)


def test_answers_that_wait_are_bounded():
    def answer(number):
        return gwrecord.pack_answer(number, [(0xA5, 2, 12, b"x", 0)] * 8)

    site = Site()
    for _ in range(9):
        site.fill(1)
        site.sink.script = [answer]
        site.forward(site.time.ms + 10)
        site.gateway.modem.free_ms = site.time.ms + 30000
    assert len(site.gateway._plan) == 64 and site.gateway.refused == 8


def test_only_a_routed_sender_gets_a_downlink_and_others_of_the_answer_still_do():
    site = Site(duty=0)
    site.listen(3000)
    site.fill(1)
    rows = [(0xA6, 2, 12, b"a", 0), (0xA5, 3, 12, b"b", 0), (0xA5, 2, 12, b"c", 0)]
    site.sink.script = [lambda number: gwrecord.pack_answer(number, rows)]
    site.forward(site.time.ms + 10)
    site.listen(site.time.ms + 2000)
    assert [p[2][7:8] for p in site.radio.sent] == [b"c"]
    assert site.gateway.refused == 2
    assert site.gateway._queue == []


def test_downlinks_go_out_in_the_order_of_their_instants():
    site = Site(duty=0)
    site.listen(3000)
    site.fill(1)
    rows = [(0xA5, 2, 12, b"window", 1), (0xA5, 2, 12, b"now", 0)]
    site.time.ms -= 900
    site.sink.script = [lambda number: gwrecord.pack_answer(number, rows)]
    site.forward(site.time.ms + 10)
    site.listen(site.time.ms + 3000)
    assert [p[2][7:-4] for p in site.radio.sent] == [b"now", b"window"]
    assert [p[2][6] for p in site.radio.sent] == [2, 1], "numbered as they were planned"


def test_a_sink_that_keeps_records_itself_answers_nothing():
    site = Site()
    site.fill(3)
    site.sink.script = [lambda number: None]
    site.forward(site.time.ms + 100)
    assert site.numbers(site.sink.stored) == [1, 2, 3]
    assert site.sink.closed == 0


def test_the_supervisor_hears_of_a_gateway_that_hears_nothing_and_of_a_dead_radio():
    site = Site()
    site.listen(7200000)
    assert site.alive >= 12

    def dead():
        raise BusError("sx1262", "busy")

    site = Site()
    site.modem._open = dead
    raises(BusError, site.listen, 5000)
    assert site.alive == 1
