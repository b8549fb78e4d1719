"""Fragments, resends, what a command may refer to, the recover state."""

from hashlib import sha256

from firmware.protocols import cose
from firmware.protocols.cbor import WireError, decode
from firmware.protocols.fragment import Joiner
from firmware.protocols.opener import Opener
from tests.mpy.support import raises
from tests.mpy.test_uplink import PAYLOAD, Board, committed, leaf


def test_fragments_at_slow_rates():
    board = Board(sf=12)
    board.hello()
    board.put(50)
    sent = board.send()
    parts = [f for f in sent if f[0] == 11]
    assert [len(f[1]) for f in parts] == [51, 50] and parts[0][2] == parts[1][2]
    joiner = Joiner()
    joiner.add(parts[0][1])
    whole = joiner.add(parts[1][1])
    assert whole == board.ring.get(parts[0][2])[1]
    Opener(board.record).open(1, 0, parts[0][2], whole)


def test_fragment_size_is_fixed_when_it_is_made():
    board = Board(sf=12)
    board.hello()
    board.put(50)
    first = [f for f in board.send() if f[0] == 11]
    k = first[0][2]
    board.uplink.radio(7)
    assert board.uplink.want(1, k, []) == "done"
    assert board.send() == first
    board.boot()
    board.uplink.radio(7)
    board.hello()
    board.send()
    assert board.uplink.want(1, k, []) == "done"
    assert board.send() == first


def test_fragments_interrupted_and_slower_rates():
    board = Board(sf=9)
    board.hello()
    board.put(20)
    board.send()
    k = max([s for s, f in committed(board, 60).items() if f[0] == 11])
    board.uplink.radio(12)
    board.uplink.want(1, k, [])
    port, part, seq = board.uplink.next_frame()
    assert (port, seq) == (11, k) and len(part) == 51
    assert board.uplink.next_frame() == (port, part, seq), "not sent yet"
    board.uplink.sent(seq)
    new = board.put()[0]
    assert board.uplink.next_frame()[2] == new, "a new frame goes first"
    board.uplink.sent(new)
    port, part, seq = board.uplink.next_frame()
    assert part[2] == 0x11
    board.uplink.sent(seq)
    assert board.uplink.next_frame() is None


def test_frame_longer_than_the_carrier_is_kept_not_sent():
    board = Board("sign1", sf=9)
    board.hello()
    board.put()
    board.uplink.radio(12)
    assert board.send() == [] and board.ring.get(2)


# Repair


def test_want_resends_verbatim():
    board = Board()
    board.hello()
    board.put(30)
    sent = {f[2]: f for f in board.send()}
    board.boot()
    board.hello()
    board.send()
    assert board.uplink.want(1, 0, [3, 9, 4]) == "done"
    assert board.send() == [sent[3], sent[9], sent[4]]


def test_lost_leaf_and_lost_checkpoint():
    board = Board()
    board.hello()
    for _ in range(20):
        board.put(32)
        board.send()
    oldest = min(s for s in range(1, 2000) if board.ring.get(s) and board.ring.get(s)[0] == 10)
    seq = oldest - 2
    assert board.ring.get(seq) is None
    want = board.ring.leaf(seq)
    assert board.uplink.want(0x10000007, 0, [seq]) == "done"
    _, frame, number = next(f for f in board.send() if f[0] == 12)
    assert number > 640, "a new frame, chained as any other"
    payload = Opener(board.record).open(3, 0, number, frame)
    assert decode(payload) == [0x10000007, 13, seq, want]
    assert want == leaf(board.record, 0, seq, PAYLOAD)
    assert board.uplink.want(1, 0, [5000000]) == "forgotten"
    assert board.uplink.want(1, 5000000, []) == "forgotten"
    checkpoints = [s for s in range(1, oldest) if board.ring.get(s)]
    assert board.uplink.want(1, checkpoints[-1], []) == "done"
    assert board.send()[0][0] == 11
    # The store cannot know which numbers a boot left unused: it is to ask again for what there is.
    assert board.uplink.want(1, 0, [5000000, 640, 5000001]) == "done"
    assert board.send()[0][2] == 640


def test_lost_leaf_does_not_break_later_segments():
    # The chain goes on from the signed head, whatever became of the frames under it.
    board = Board()
    board.hello()
    board.put(60)
    frames = committed(board, board.ring.last[0])
    ks = [s for s in sorted(frames) if frames[s][0] == 11]
    h = decode(cose.parse(frames[ks[0]][1])[3])[1]
    for seq in range(ks[0] + 1, ks[1]):
        h = sha256(h + leaf(board.record, 0, seq, cose.parse(frames[seq][1])[3])).digest()
    assert decode(cose.parse(frames[ks[1]][1])[3])[1] == h[:16]


def test_want_is_bounded():
    board = Board()
    board.hello()
    board.put(80)
    board.send()
    for i in range(4):
        assert board.uplink.want(1, 0, list(range(8 * i + 1, 8 * i + 9))) == "done"
    assert board.uplink.want(1, 0, [41]) == "busy"
    assert board.uplink.want(1, 0, [1]) == "done", "already under way"
    assert len(board.send()) == 32


def test_ck_ack_frees_and_link_ack_does_not_free_a_chain():
    board = Board()
    board.hello()
    board.put(200)
    k = max([s for s in range(1, 130) if board.ring.get(s) and board.ring.get(s)[0] == 11])
    board.uplink.link_ack(150)
    assert board.ring.get(1), "a link acknowledgement frees no frame under checkpoints"
    for seq in range(1, k + 1):
        if board.ring.get(seq) and board.ring.get(seq)[0] == 11:
            assert board.uplink.ck_ack(seq) == "done"
    assert not board.ring.get(1)
    assert board.uplink.ck_ack(k + 1) == "forgotten"


def test_sign1_has_no_checkpoint_and_a_link_ack_frees_it():
    board = Board("sign1")
    board.hello()
    for _ in range(4):
        board.put(25)
        board.send()
    assert {f[0] for f in board.air} == {10} and board.ring.last == (101, 0, b"")
    board.uplink.link_ack(90)
    assert not board.ring.get(1) and board.ring.get(91)


# What a command may refer to


def test_age_of_uplinks_of_this_boot():
    board = Board()
    board.hello()
    board.put(20)
    sent = [f[2] for f in board.send() if f[0] == 10]
    last = board.ring.last[0]
    assert [s for s in range(1, 40) if board.uplink.age_ms(s) >= 0] == list(range(last - 15, last + 1))
    assert board.uplink.age_ms(sent[-1]) >= 0
    board.ticks.ms += 5000
    assert board.uplink.age_ms(last) == 5000
    board.boot()
    assert all(board.uplink.age_ms(s) == -1 for s in range(200))


def test_a_frame_sent_twice_dates_nothing():
    board = Board()
    board.hello()
    board.put(3)
    board.send()
    assert board.uplink.age_ms(2) >= 0
    board.uplink.want(1, 0, [2])
    assert board.uplink.age_ms(2) >= 0
    board.send()
    assert board.uplink.age_ms(2) == -1 and board.uplink.age_ms(3) >= 0


def test_sent_of_something_else_is_ignored():
    board = Board()
    board.hello()
    for seq in (0, 7, 1 << 40):
        board.uplink.sent(seq)
    assert board.uplink.next_frame()[2] == 1 and board.uplink.age_ms(1) == -1
    board.uplink.sent(1, board.clock.now_ms() - 250)
    assert board.uplink.age_ms(1) == 250


# Recover


def test_recover_state_sends_nothing_else():
    board = Board()
    board.hello()
    board.put(5)
    board.flash.blobs.clear()
    board.flash.files = {n: v for n, v in board.flash.files.items() if n.startswith("r/")}
    board.boot()
    assert not board.ready and raises(WireError, board.hello).args[0] == "storage"
    port, frame, seq = board.uplink.next_frame()
    assert (port, seq) == (13, 0) and len(Opener(board.record).open(4, 0, 0, frame)) == 18
    board.uplink.sent(0)
    assert board.uplink.next_frame() is None
    board.ticks.ms += 3600000 + 300000
    assert board.uplink.next_frame()[0] == 13
