"""A node's radio task: what it sends and when, when it listens, and what it makes of what it hears."""

from firmware.clock import EPOCH_GPS, Clock
from firmware.counters import Recover
from firmware.drivers.errors import BusError, ChipError
from firmware.protocols import link
from firmware.protocols.cbor import decode, encode
from firmware.protocols.opener import Opener
from firmware.protocols.seal import Sealer
from firmware.roles import modem as modem_module
from firmware.roles import node as node_module
from firmware.roles.commands import TIME, Commands
from firmware.roles.modem import Modem
from firmware.roles.node import Node
from firmware.roles.uplink import Uplink
from tests.mpy import fakes
from tests.mpy.support import raises
from tests.mpy.test_uplink import PAYLOAD, Board

TAG, ADDRESS = 0xA5, 0x0102
DUTY = 99


class Site:
    """A node of the device of test_keys on a fake radio, its hello queued; its commander has id 1."""

    def __init__(self, profile="mac0", listen=False, sf=9, board=None, hello=True):
        self.board = board or Board(profile, sf=sf)
        self.tag = TAG
        self.address = ADDRESS
        self.sf = sf
        self.time = fakes.Time()
        self.asyncio = fakes.on(self.time, modem_module, node_module)
        self.wake = fakes.Flag(self.time, True)
        self.clock = Clock(self.time.ticks_ms, self.time.ticks_diff)
        self.opened = 0
        self.dead = 0
        self.alive_at = []
        record = self.board.record
        self.recover = Recover(self.board.sealer, Opener(record), lambda n: bytes((128,)) * n)
        self.uplink = Uplink(
            self.board.sealer, self.board.counters, self.board.ring, self.clock, sf, recover=self.recover
        )
        self.commands = Commands(
            Opener(record), self.board.counters, self.uplink, self.clock, None, (), (1,), self.answered
        )
        self.recovered = []
        self.radio = fakes.Radio(self.time, self.wake, sf)
        self.modem = Modem(self.open, self.wake, self.clock, sf, DUTY, 64)
        self.node = Node(self, self.modem, self.uplink, self.commands, record["keys"]["link"], listen)
        self.host = Sealer(record, 1)
        if hello:
            self.uplink.hello(1, bytes(8), 0)

    def open(self):
        self.opened += 1
        if self.opened <= self.dead:
            raise BusError("sx1262", "busy")
        return self.radio

    def answered(self, frame):
        self.recovered.append(self.recover.answer(frame))

    def alive(self):
        self.alive_at.append(self.time.ms)

    def run(self, until_s):
        return fakes.run(self.node.run(self.alive), int(until_s * 1000), self.time)

    def put(self):
        seq = self.uplink.put(PAYLOAD)
        self.wake.set()
        return seq

    def time_command(self, ref, cseq=1, k_link=None, address=ADDRESS):
        body = self.host.seal(2, 1 << 28 | cseq, encode([ref, 120, TIME, EPOCH_GPS + 28000000, 0]))
        return link.pack_down(12, TAG, address, 7, body, k_link or self.board.record["keys"]["link"])

    def answer(self, frame, after_ms=1000):
        """Let a downlink follow the next transmission, that long after its end."""

        def sent(end_ms):
            self.radio.on_send = None
            self.radio.hear(end_ms + after_ms, frame)

        self.radio.on_send = sent

    def seqs(self):
        return [p[2][5] << 8 | p[2][6] for p in self.radio.sent]


def test_a_queued_frame_goes_out_as_it_was_sealed_and_the_radio_sleeps():
    site = Site()
    site.run(300)
    start, end, packet = site.radio.sent[0]
    frame = site.board.ring.get(1)[1]
    assert packet == bytes((0xE0, 10, TAG, 1, 2, 0, 1)) + frame
    assert len(site.radio.sent) == 1
    assert site.radio.sleeps == 2 and len(site.radio.windows) == 1
    opened, window = site.radio.windows[0]
    assert opened == end + 970


def test_the_window_takes_in_a_header_at_every_spreading_factor():
    # 8 symbols of preamble, 4.25 of sync word and delimiter, 8 of header; the gateway may be 100 ms late.
    for sf in (7, 8, 9, 10, 11, 12):
        for late in (-25, 0, 100):
            site = Site(sf=sf)
            site.answer(site.time_command(1), 1000 + late)
            site.run(600)
            assert site.clock.quality == 2, (sf, late)
            assert site.node.refused == 0


def test_an_answer_outside_the_window_is_not_heard():
    site = Site()
    site.answer(site.time_command(1), 1300)
    site.run(300)
    assert site.clock.quality == 0 and site.radio.sleeps == 2


def test_the_window_is_timed_from_the_end_of_transmission_not_from_when_it_was_noticed():
    """A flash erase or a signature of another task may hold the interrupt's reader up."""
    site = Site()
    waits = []

    async def slow(timeout_ms):
        waits.append(timeout_ms)
        await Modem.wait(site.modem, timeout_ms)
        if site.radio.sent and not site.radio.windows:
            site.time.ms += 400

    site.modem.wait = slow
    site.run(300)
    assert site.radio.windows[0][0] == site.radio.sent[0][1] + 970
    assert site.uplink.age_ms(1) == site.clock.now_ms() - (site.radio.sent[0][1] - 1000)


def test_a_frame_queued_while_the_window_is_open_goes_out_when_the_law_allows():
    site = Site()

    def queue():
        assert site.radio.windows and site.radio.poll_recv() is True
        site.put()

    def sent(end_ms):
        site.radio.on_send = None
        site.time.at(end_ms + 1050, queue)

    site.radio.on_send = sent
    site.run(600)
    assert site.seqs() == [1, 2]
    (start, end, _), (again, _, _) = site.radio.sent
    assert again - end >= DUTY * (end - start)
    assert again - end < DUTY * (end - start) + 2 * DUTY + 100, "no later than it may"


def test_a_listening_node_sends_what_is_queued_and_goes_on_listening():
    site = Site("sign1", listen=True)
    for s in (200, 400, 401):
        site.time.at(s * 1000, site.put)
    site.radio.hear(150000, site.time_command(1))
    site.run(3000)
    assert site.seqs() == [1, 2, 3, 4]
    assert site.clock.quality == 2, "heard far from any window"
    assert site.radio.windows == [(1000, None)]
    assert site.radio.sleeps == 0


def test_a_boot_begins_with_the_silence_after_a_longest_frame():
    """Whatever resets the board, and however often: of any hour it sends no more than its share."""
    board = Board()
    starts = []
    offset = 0
    for _ in range(40):
        site = Site(board=board)
        site.run(30)
        starts += [(offset + start, offset + end) for start, end, _ in site.radio.sent]
        offset += 30000
        board.boot()
    assert starts == [], "in 30 s at SF9 nothing may follow a frame that might have been sent before"
    site = Site(board=board)
    site.run(300)
    assert site.radio.sent[0][0] >= 1000 + DUTY * fakes.airtime_ms(64, 9)
    assert site.radio.sent[0][0] < 1100 + DUTY * (fakes.airtime_ms(64, 9) + 1)


def test_airtime_is_charged_before_the_frame_starts():
    site = Site()
    site.radio.fails = ChipError("sx1262", "tx")
    assert raises(ChipError, site.run, 300)
    start, end, packet = site.radio.sent[0]
    # As the supervisor does.
    site.run(300 + 300)
    assert site.opened == 2
    again = site.radio.sent[1]
    assert again[2] == packet, "sealed once, sent again as it is"
    assert again[0] - end >= DUTY * (end - start)
    assert site.seqs() == [1, 1]


def test_a_dead_radio_does_not_starve_the_watchdog():
    site = Site()
    site.dead = 5
    for _ in range(5):
        raises(BusError, site.run, 300)
    assert len(site.alive_at) == 5
    site.run(400)
    assert site.seqs() == [1]


def test_a_radio_that_stopped_receiving_is_opened_again():
    site = Site(listen=True)
    site.time.at(120000, site.radio.sleep)
    site.time.at(125000, site.put)
    assert raises(OSError, site.run, 700)
    assert site.time.ms == 125000, "before anything is sent"
    site.run(700)
    assert site.opened == 2 and site.seqs() == [1, 2]
    quiet = Site(listen=True)
    quiet.time.at(120000, quiet.radio.sleep)
    assert raises(OSError, quiet.run, 1000)
    assert quiet.time.ms <= 720000, "noticed at the next look"


def test_the_supervisor_hears_every_ten_minutes():
    for listen in (False, True):
        site = Site(listen=listen)
        site.run(7200)
        gaps = [b - a for a, b in zip(site.alive_at, site.alive_at[1:])]
        assert max(gaps) <= 600000 and site.alive_at[0] == 1000


def test_what_is_not_ours_is_dropped_and_what_is_forged_is_counted():
    site = Site("mac0", listen=True)
    k_link = site.board.record["keys"]["link"]
    good = site.time_command(1)
    at = 100000
    for packet, refused in (
        (site.time_command(1, address=ADDRESS + 1), 0),
        (bytes((0xE0, 10, TAG, 1, 2, 0, 1)) + site.board.ring.get(1)[1], 0),  # our own uplink
        (b"\x40" + good[1:], 1),
        (good[:9], 1),
        (b"\xe0", 1),
        (site.time_command(1, k_link=bytes(16)), 1),
        (good[:-1] + bytes((good[-1] ^ 1,)), 1),
        (good[:12] + bytes((good[12] ^ 1,)) + good[13:], 1),
        (link.pack_down(12, TAG, ADDRESS, 1, b"\x84", k_link), 1),
        (link.pack_down(11, TAG, ADDRESS, 1, b"x", k_link), 1),
        (link.pack_down(13, TAG, ADDRESS, 1, b"\x84\x40\xa0\x40\x40", k_link), 1),
        (link.pack_down(99, TAG, ADDRESS, 1, b"x", k_link), 1),
    ):
        before = site.node.refused
        site.radio.hear(at, packet)
        at += 4000
        site.run(at // 1000)
        assert site.node.refused - before == refused, packet
        assert site.clock.quality == 0
    assert site.uplink.next_frame() is None, "none of it is answered"
    site.radio.hear(at, good)
    site.run(at // 1000 + 10)
    assert site.clock.quality == 2


def test_a_downlink_that_was_executed_is_stale_the_second_time():
    site = Site(listen=True)
    command = site.time_command(1)
    site.radio.hear(120000, command)
    site.radio.hear(125000, command)
    site.run(400)
    assert site.clock.quality == 2
    assert site.commands.done == 1 and site.commands.refused == 1
    assert site.seqs() == [1, 2], "the second is answered: stale"


# Keys without numbers


def test_without_numbers_only_requests_to_recover_go_out():
    board = Board()
    board.flash.blobs.clear()
    for name in list(board.flash.files):
        if not name.startswith("r/"):
            del board.flash.files[name]
    board.boot()
    assert not board.ready
    site = Site(board=board, hello=False)
    site.run(4 * 3600)
    ports = [p[2][1] for p in site.radio.sent]
    assert ports == [13] * len(ports) and 3 <= len(ports) <= 4
    starts = [p[0] for p in site.radio.sent]
    # Half of the jitter's five minutes, then an hour and as much again: when due, within the time of a look.
    assert 0 <= starts[0] - 1000 - 150586 <= 5001
    assert all(3600000 <= b - a <= 3600000 + 300000 + 5001 for a, b in zip(starts, starts[1:]))
    nonces = []
    for _, _, packet in site.radio.sent:
        assert packet[5:7] == b"\0\0"
        nonces.append(decode(Opener(board.record).open(4, 0, 0, packet[7:]))[0])
    assert all(len(n) == 16 for n in nonces)


def test_an_answer_to_recover_in_the_window_after_the_request():
    board = Board()
    board.flash.blobs.clear()
    for name in list(board.flash.files):
        if not name.startswith("r/"):
            del board.flash.files[name]
    board.boot()
    site = Site(board=board, hello=False)
    record = board.record
    nonce = bytes((128,)) * 16
    frame = Sealer(record, 1).seal(4, 0, encode((nonce, 4, EPOCH_GPS)))
    site.answer(link.pack_down(13, TAG, ADDRESS, 1, frame, record["keys"]["link"]))
    site.run(300)
    assert site.recovered == [(4, EPOCH_GPS)]


def test_an_authentic_downlink_is_an_answer_and_a_forged_one_is_not():
    site = Site(listen=True)
    good = site.time_command(1)
    site.radio.hear(150000, good[:-1] + bytes((good[-1] ^ 1,)))
    site.run(160)
    assert site.node.refused == 1 and not site.node.answered
    site.radio.hear(170000, good)
    site.run(180)
    assert site.node.answered


def test_a_stored_frame_goes_out_again_as_it_was():
    site = Site(listen=True)
    site.run(120)
    sent = list(site.radio.sent)
    assert len(sent) == 1
    seq = site.uplink.previous or 1
    site.uplink.again(seq)
    site.uplink.again(seq)
    site.run(600)
    assert [s[2] for s in site.radio.sent] == [sent[0][2]] * 2
