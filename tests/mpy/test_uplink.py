"""Frames, chain, checkpoints, fragments, resends, power cuts. The verifier here uses hashlib only."""

import os
from hashlib import sha256

from firmware import storage
from firmware.clock import Clock
from firmware.counters import Counters, Recover
from firmware.protocols import chain, codec, cose
from firmware.protocols.airtime import time_on_air_us
from firmware.protocols.cbor import WireError, decode, encode
from firmware.protocols.opener import Opener
from firmware.protocols.seal import Sealer
from firmware.roles.uplink import Uplink, start_head
from tests.mpy.support import MICROPYTHON, raises
from tests.mpy.test_keys import make_record
from tests.mpy.test_storage import Flash, copies, on
from tests.mpy.ticks import Ticks

BUNDLE = b"bundle00"
PAYLOAD = encode((3, {4: 50, 5: 1200}))


class Board:
    """A flash and what runs on it after a power-up; `air` keeps what was ever transmitted."""

    def __init__(self, profile="mac0", sf=7, room=0, flash=None):
        self.record = make_record(profile)
        self.sf = sf
        self.room = room
        self.flash = flash or Flash()
        self.air = []
        self.boot(fresh=flash is None)

    def boot(self, fresh=False):
        on(self.flash)
        self.flash.power()
        self.ticks = Ticks(123456)
        self.clock = Clock(self.ticks.ticks_ms, self.ticks.ticks_diff)
        self.counters = Counters(copies(self.flash))
        self.ring = storage.FrameRing("r")
        self.ready = self.counters.start(self.record["epoch"], self.ring, start_head(self.record), fresh)
        self.sealer = Sealer(self.record)
        self.recover = Recover(self.sealer, Opener(self.record), bytes)
        self.uplink = Uplink(
            self.sealer, self.counters, self.ring, self.clock, self.sf, self.room, self.recover
        )
        return self

    def hello(self):
        return self.uplink.hello(1, BUNDLE, 0)

    def send(self, limit=1000):
        """Transmit what waits; returns it."""
        found = []
        while len(found) < limit:
            frame = self.uplink.next_frame()
            if frame is None:
                break
            found.append(frame)
            self.ticks.ms += 100
            self.uplink.sent(frame[2])
        self.air.extend(found)
        return found

    def put(self, count=1):
        return [self.uplink.put(PAYLOAD) for _ in range(count)]


def hmac(key, message):
    key = key + bytes(64 - len(key))
    inner = sha256(bytes([b ^ 0x36 for b in key]) + message).digest()
    return sha256(bytes([b ^ 0x5C for b in key]) + inner).digest()


def bstr(data):
    return (bytes((0x40 | len(data),)) if len(data) < 24 else bytes((0x58, len(data)))) + data


def leaf(record, purpose, seq, payload):
    """The leaf by TRUST 0, written out; mac0."""
    number = seq.to_bytes(4, "big")
    head = (
        bytes((seq,))
        if seq < 24
        else b"\x18" + number[3:]
        if seq < 256
        else b"\x19" + number[2:]
        if seq < 65536
        else b"\x1a" + number
    )
    aad = b"\x89\x01\x04\x11" + bytes((purpose,)) + bstr(record["tenant"]) + bstr(record["device"])
    aad += bytes((record["epoch"], 0)) + head
    r = hmac(record["keys"]["leaf"], number)[:16]
    return sha256(b"\x84\x63LL1" + bstr(aad) + bstr(payload) + bstr(r)).digest()


def head0(record):
    inner = sha256(record["public_key"]).digest()
    text = b"\x85\x63LC1" + bstr(record["tenant"]) + bstr(record["device"]) + bytes((record["epoch"],))
    return sha256(text + bstr(inner)).digest()[:16]


def verify_chain(record, frames):
    """Follow {number: (port, frame)} of an epoch, port 0 for one of which only the leaf is left.

    Returns (segments, frames after the last checkpoint).
    """
    h = head0(record)
    covered = segments = 0
    last = 0
    for seq in sorted(frames):
        port, frame = frames[seq]
        if port:
            _, piv, _, payload, _ = cose.parse(frame)
            assert piv == seq & 0xFFFFFF
        if port == 11:
            n, head = decode(payload)
            assert seq == last + 1, "not directly after the last covered frame"
            assert n == covered and 1 <= n <= 255 and head == h[:16]
            h = head
            covered = 0
            segments += 1
        else:
            found = leaf(record, 3 if port == 12 else 0, seq, payload) if port else frame
            h = sha256(h + found).digest()
            covered += 1
        last = seq
    return segments, covered


def committed(board, highest):
    frames = {}
    for seq in range(1, highest + 1):
        found = board.ring.get(seq)
        if found:
            frames[seq] = found[:2]
        elif board.ring.leaf(seq):
            frames[seq] = (0, board.ring.leaf(seq))
    return frames


# Frames


def test_hello_is_the_first_frame_after_boot():
    board = Board()
    assert raises(WireError, board.put).args[0] == "busy"
    assert board.hello() == 1
    board.put(3)
    assert [f[0] for f in board.send()] == [10, 10, 10, 10]
    board.boot()
    assert board.uplink.next_frame() is None
    assert board.hello() == 65
    _, frame, seq = board.send()[0]
    payload = Opener(board.record).open(0, 0, seq, frame)
    assert codec.decode(payload) == (
        1,
        {
            "boot_count": 2,
            "reset_cause": 1,
            "last_seq": 4,
            "bundle": BUNDLE,
            "protection": 0,
            "clock_generation": 0,
            "overwritten": 0,
            "recovered": 0,
        },
    )


def test_hello_fits_the_slowest_rate():
    board = Board(sf=12)
    board.counters._next = board.counters._mark = 0xFFF00000
    board.uplink.previous = 0xFFEFFFFF
    board.counters.boots = 100000
    seq = board.hello()
    found = codec.decode(Opener(board.record).open(0, 0, seq, board.send()[0][1]))[1]
    assert found["last_seq"] == 0xFFEFFFFF and "bundle" not in found


def test_frames_verify_and_numbers_rise():
    for profile in ("mac0", "encrypt0", "sign1"):
        board = Board(profile)
        board.hello()
        board.put(5)
        opener = Opener(board.record)
        sent = board.send()
        assert [f[2] for f in sent] == [1, 2, 3, 4, 5, 6]
        for port, frame, seq in sent[1:]:
            assert port == 10 and opener.open(0, 0, seq, frame) == PAYLOAD


def test_result_frames_use_their_port():
    board = Board()
    board.hello()
    seq = board.uplink.put(b"\x83\x01\x00\x01", 3)
    port, frame, number = board.send()[-1]
    assert (port, number) == (12, seq)
    assert Opener(board.record).open(3, 0, seq, frame) == b"\x83\x01\x00\x01"


def test_record_is_committed_before_it_can_be_transmitted():
    board = Board()
    board.hello()
    board.put()
    sent = board.send()
    board.boot()
    for port, frame, seq in sent:
        assert board.ring.get(seq) == (port, frame, 0)


def test_commit_that_fails_sends_nothing():
    board = Board()
    board.hello()
    board.send()
    board.flash.broken = ("file",)
    assert raises(WireError, board.put).args[0] == "storage"
    assert board.uplink.next_frame() is None
    board.flash.broken = ()
    assert board.put() == [3], "number 2 is used up"
    assert verify_chain(board.record, committed(board, 3)) == (0, 2)


def test_too_long_is_refused_before_a_number_is_used():
    board = Board(sf=12)
    board.hello()
    assert raises(WireError, board.uplink.put, bytes(33)).args[0] == "too_long"
    assert board.uplink.put(bytes(32)) == 2


def test_steady_state_keeps_no_memory_on_real_files():
    path = (os.getenv("TMPDIR") or "/tmp") + "/lanterne-uplink"
    nvs = Flash()
    storage.os = os
    storage.open = open
    try:
        os.mkdir(path)
    except OSError:
        pass
    try:
        record = make_record()
        ticks = Ticks()
        clock = Clock(ticks.ticks_ms, ticks.ticks_diff)
        counters = Counters(storage.TwoCopies(nvs, "ctr", path + "/x"))
        ring = storage.FrameRing(path)
        assert counters.start(3, ring, start_head(record), True)
        uplink = Uplink(Sealer(record), counters, ring, clock)
        uplink.hello(1, BUNDLE, 0)

        def cycle(count):
            for i in range(count):
                ticks.ms += 600000
                uplink.put(PAYLOAD)
                while True:
                    frame = uplink.next_frame()
                    if frame is None:
                        break
                    uplink.sent(frame[2])
                if i % 8 == 0:
                    uplink.want(1, 0, [ring.last[0] - 5])

        cycle(700)
        held = 0
        if MICROPYTHON:
            import gc

            gc.collect()
            held = gc.mem_alloc()
        cycle(200)
        if MICROPYTHON:
            gc.collect()
            # A number for a new file, and two checkpoints' numbers, in lists that grow by doubling.
            assert gc.mem_alloc() - held < 512, gc.mem_alloc() - held
    finally:
        for name in os.listdir(path):
            os.remove(path + "/" + name)
        os.rmdir(path)


def test_queue_is_bounded_and_nothing_is_lost():
    board = Board()
    board.hello()
    board.put(100)
    sent = board.send()
    assert len(sent) == 32 and sent[-1][2] == board.ring.last[0]
    missing = [s for s in range(1, board.ring.last[0]) if s not in [f[2] for f in sent]]
    assert board.uplink.want(1, 0, missing[:8]) == "done"
    assert [f[2] for f in board.send()] == missing[:8]


# Checkpoints


def airtime(frames, sf):
    return sum([time_on_air_us(len(f) + 7, sf) for _, f, _ in frames])


def test_checkpoint_follows_its_last_frame_and_covers_n():
    board = Board()
    board.hello()
    board.put(60)
    frames = committed(board, board.ring.last[0])
    segments, rest = verify_chain(board.record, frames)
    assert 2 <= segments <= 3 and rest < 30
    for seq, (port, frame) in frames.items():
        if port == 11:
            payload = Opener(board.record).open(1, 0, seq, frame)
            assert len(frame) in (94, 95) and decode(payload)[0] >= 16


def test_n_wrong_by_one_gives_another_head():
    board = Board()
    board.hello()
    board.put(25)
    frames = committed(board, board.ring.last[0])
    k = next(s for s in frames if frames[s][0] == 11)
    n, head = decode(cose.parse(frames[k][1])[3])
    h = head0(board.record)
    heads = []
    for seq in range(k - n, k):
        h = sha256(h + leaf(board.record, 0, seq, cose.parse(frames[seq][1])[3])).digest()
        heads.append(h[:16])
    assert heads[-1] == head and head not in heads[:-1]
    h = sha256(h + leaf(board.record, 0, k + 1, PAYLOAD)).digest()
    assert h[:16] != head


def policy(sf, room, count, interval_s, alarm_every=0):
    """(n of each checkpoint, checkpoint airtime, all airtime) of a run."""
    board = Board(sf=sf, room=room)
    board.hello()
    checkpoints = total = 0
    ns = []
    for i in range(count):
        board.ticks.ms += interval_s * 1000
        board.uplink.put(PAYLOAD, 0, bool(alarm_every and i % alarm_every == 0))
        for frame in board.send():
            air = airtime([frame], sf)
            total += air
            if frame[0] == 11:
                checkpoints += air
                if frame[1][0] == 0x84:
                    ns.append(decode(cose.parse(frame[1])[3])[0])
                elif frame[1][2] >> 4 == 0:
                    ns.append(decode(cose.parse(board.ring.get(frame[2])[1])[3])[0])
    return ns, checkpoints, total


def test_checkpoints_take_at_most_a_tenth_of_the_airtime():
    for sf in (7, 9, 10, 12):
        for interval_s, alarm in ((600, 0), (600, 3), (6171, 0)):
            ns, checkpoints, total = policy(sf, 0, 300, interval_s, alarm)
            assert checkpoints * 10 <= total, (sf, interval_s)
            assert len(ns) >= 4 and max(ns) <= 255


def test_n_48_or_16():
    ns, _, _ = policy(12, 0, 200, 60)
    assert set(ns) == {48}
    ns, _, _ = policy(9, 0, 200, 60)
    assert min(ns) >= 16 and max(ns) <= 24, ns


def test_24_and_6_hours():
    # 40 frames a day at SF12, where 48 would take longer; 12 in 6 h at SF9 do not pay for a signature.
    ns, _, _ = policy(12, 0, 200, 2160)
    assert max(ns) <= 41 and min(ns) >= 39, ns
    board = Board(sf=9)
    board.hello()
    board.put(2)
    board.uplink._saved_us = 10000000
    board.ticks.ms += 6 * 3600000 - 1000
    board.put()
    assert board.ring.last[1] == 4
    board.ticks.ms += 1000
    board.put()
    assert board.ring.last[1] == 0


def test_checkpoint_at_once_after_an_alarm_when_airtime_allows():
    board = Board(sf=9)
    board.hello()
    board.uplink.put(PAYLOAD, 0, True)
    assert board.ring.last[1] == 2, "no airtime earned yet"
    board.uplink._saved_us = 10000000
    board.uplink.put(PAYLOAD, 0, True)
    assert board.ring.last[1] == 0


def test_no_segment_is_longer_than_255():
    board = Board(sf=9)
    board.hello()
    board.uplink._price_us = lambda: 1 << 29
    board.put(300)
    found = verify_chain(board.record, committed(board, board.ring.last[0]))
    assert found == (1, 46)


def test_no_segment_is_longer_even_without_memory_to_sign():
    board = Board(sf=9)
    board.hello()
    board.uplink._price_us = lambda: 1 << 29
    board.put(253)
    seal = board.sealer.seal

    def short_of_memory(purpose, seq, payload):
        if purpose == 1:
            raise MemoryError
        return seal(purpose, seq, payload)

    board.sealer.seal = short_of_memory
    board.put()
    for _ in range(4):
        assert raises(WireError, board.put).args[0] == "no_memory"
    assert board.ring.last[:2] == (255, 255)
    board.sealer.seal = seal
    board.put()
    assert board.ring.last[1] == 1


def test_switched_feeder_signs_last_nights_frames():
    # Twelve frames a night at SF9 never reach 6 h or 16, yet no segment grows for ever.
    board = Board(sf=9)
    for _ in range(12):
        board.hello()
        for _ in range(12):
            board.ticks.ms += 1800000
            board.put()
        board.send()
        board.boot()
    segments, rest = verify_chain(board.record, committed(board, 2000))
    assert segments >= 5 and rest <= 40


def test_heap_exhaustion_while_signing_sends_nothing_unsigned():
    board = Board()
    board.hello()
    board.send()
    seal = board.sealer.seal

    def short_of_memory(purpose, seq, payload):
        if purpose == 1:
            raise MemoryError
        return seal(purpose, seq, payload)

    board.sealer.seal = short_of_memory
    tries = board.counters.take()
    # A signature for which there is no memory restarts nobody: the frames go on, and it is tried again later.
    board.put(40)
    n = board.ring.last[1]
    assert n == 41 and {f[0] for f in board.send()} == {10}
    assert board.counters.take() - tries - 41 <= 4, "not with each frame"
    board.sealer.seal = seal
    before = 0
    while board.ring.last[1] and before < 20:
        board.put()
        before += 1
    assert board.ring.last[1] == 0
    segments, rest = verify_chain(board.record, committed(board, board.ring.last[0]))
    assert (segments, rest) == (1, 0)


def test_a_message_is_signed_once_and_its_bytes_sent_again():
    board = Board("sign1")
    board.hello()
    board.put(2)
    first = board.send()
    board.sealer.seal = None
    assert board.uplink.want(1, 0, [1, 2, 3]) == "done"
    assert board.send() == first


def test_chain_functions_agree_with_this_files_verifier():
    record = make_record()
    assert (
        start_head(record)
        == head0(record)
        == chain.head0(record["tenant"], record["device"], 3, record["public_key"])
    )
    assert Sealer(record).leaf(0, 300, PAYLOAD) == leaf(record, 0, 300, PAYLOAD)
    assert start_head(make_record("sign1")) == b""
