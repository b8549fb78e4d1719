"""Fragments of a checkpoint."""

from firmware.protocols import fragment
from firmware.protocols.cbor import WireError
from firmware.protocols.cose import parse
from firmware.protocols.fragment import Joiner, split
from firmware.protocols.seal import Sealer
from tests.mpy.support import raises
from tests.mpy.test_keys import make_record

FRAME = Sealer(make_record()).seal(1, 0x1234AB, b"\x82\x18\x30\x50" + bytes(16))


def test_checkpoint_is_two_fragments_at_the_slowest_rates():
    assert len(FRAME) == 95
    parts = split(FRAME, 0x1234AB, 51)
    assert [len(p) for p in parts] == [51, 50]
    assert parts[0] == b"\x34\xab\x01" + FRAME[:48]
    assert parts[1] == b"\x34\xab\x11" + FRAME[48:]


def test_lengths():
    for size in range(1, 96):
        for room in (4, 5, 10, 17, 51, 115):
            frame = bytes(range(size))
            if (size + room - 4) // (room - 3) > 16:
                assert raises(WireError, split, frame, 1, room).args[0] == "too_long"
                continue
            parts = split(frame, 1, room)
            assert b"".join([p[3:] for p in parts]) == frame
            assert max([len(p) for p in parts]) <= room and len(parts) == fragment.count(size, room)
            assert [p[2] for p in parts] == [i << 4 | len(parts) - 1 for i in range(len(parts))]
    for room in (0, 3):
        assert raises(WireError, split, b"x", 1, room).args[0] == "too_long"


def test_any_order_and_duplicates():
    parts = split(FRAME, 7, 33)
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 1, 3, 3, 0, 2)):
        joiner = Joiner()
        found = [joiner.add(parts[i]) for i in order]
        assert found[-1] == FRAME and not any(found[:-1])
        assert joiner.add(parts[0]) is None, "nothing new to try"


def test_a_forged_fragment_costs_a_resend_only():
    parts = split(FRAME, 7, 51)
    forged = parts[1][:3] + bytes(len(parts[1]) - 3)
    joiner = Joiner()
    assert joiner.add(forged) is None
    bad = joiner.add(parts[0])
    assert bad and bad != FRAME
    assert joiner.add(parts[1]) == FRAME
    # And of another size: the set starts again.
    joiner = Joiner()
    joiner.add(parts[0])
    assert joiner.add(parts[1][:2] + b"\x05xx") is None
    assert joiner.add(parts[1]) is None and joiner.add(parts[0]) == FRAME


def test_memory_is_bounded():
    joiner = Joiner(4)
    for seq in range(100):
        joiner.add(split(FRAME, seq, 51)[0])
    found = [seq for seq in range(100) if joiner.add(split(FRAME, seq, 51)[1])]
    assert found in ([], [96, 97, 98, 99])
    joiner = Joiner(4)
    for seq in range(4):
        joiner.add(split(FRAME, seq, 51)[0])
    assert [seq for seq in range(4) if joiner.add(split(FRAME, seq, 51)[1])] == [0, 1, 2, 3]


def test_dropped_when_done():
    joiner = Joiner()
    parts = split(FRAME, 0x1234AB, 51)
    joiner.add(parts[0])
    assert joiner.add(parts[1]) == FRAME
    joiner.drop(0x1234AB)
    assert joiner.add(parts[1]) is None


def test_bad_fragments_are_named():
    joiner = Joiner()
    for bad in (b"", b"\x00\x01", b"\x00\x01\x00", b"\x00\x01\x21xx"):
        assert raises(WireError, joiner.add, bad).args[0] == "bad_fragment"


def test_no_frame_reads_as_a_fragment_nor_back():
    assert raises(WireError, Joiner().add, FRAME).args[0] == "bad_fragment"
    with_kid = Sealer(make_record()).seal(1, 5, b"x", b"\x01\x02")
    assert raises(WireError, Joiner().add, with_kid).args[0] == "bad_fragment"
    for seq in range(0x8440 - 2, 0x8440 + 3):
        for part in split(FRAME, seq, 51):
            raises(WireError, parse, part)
