"""Sealing, opening, number spaces. Vectors: cbor2, hashlib and pyca/cryptography on CPython; TRUST 0."""

from binascii import unhexlify

from firmware.protocols import cose
from firmware.protocols.cbor import WireError, encode
from firmware.protocols.codec import blank, encode_into
from firmware.protocols.opener import Opener
from firmware.protocols.schema import message
from firmware.protocols.seal import Sealer, nonce
from firmware.protocols.seqspace import MAX_SEQ, candidates
from tests.mpy.support import MICROPYTHON, heap_locked, raises
from tests.mpy.test_keys import DEVICE, TENANT, make_record

PAYLOAD = unhexlify("841a01ab3f80183f1901961880")
HEAD = unhexlify("aaa9402664f1a41f40ebbc52c9993eb6")
MAC0 = "8440a106430111eb4d841a01ab3f80183f1901961880485b840f8664979eb6"

# (profile, epoch, purpose, direction, number, payload, frame)
VECTORS = (
    ("mac0", 3, 0, 0, 70123, PAYLOAD, MAC0),
    (
        "mac0",
        3,
        3,
        0,
        70124,
        encode((0x10000001, 0, 0x10000001)),
        "8440a106430111ec4c831a10000001001a10000001485310dbdd27cb394b",
    ),
    ("mac0", 300, 0, 0, MAX_SEQ, PAYLOAD, "8440a10643ff00004d841a01ab3f80183f19019618804833e43c55e49bd40c"),
    ("encrypt0", 3, 0, 0, 70123, PAYLOAD, "8340a106430111eb55cc1fd3105d3619f5a6ac293e5935624c80c878fcc6"),
    ("encrypt0", 300, 0, 0, MAX_SEQ, PAYLOAD, "8340a10643ff000055d1dc42b3682cd179a2458652c038ef866cfe19b30a"),
    (
        "mac0",
        3,
        1,
        0,
        70125,
        encode((48, HEAD)),
        "8440a106430111ed5482183050aaa9402664f1a41f40ebbc52c9993eb6584091847eafbc41cc571c96f16163db95486d"
        "c5a70aff579033d810a3d1866cad8bd13b848d678478e0c5c4d1f36e7dcaa3be3b8ec298371327f4f3e362edaa170d",
    ),
    (
        "sign1",
        3,
        0,
        0,
        70123,
        PAYLOAD,
        "8440a106430111eb4d841a01ab3f80183f19019618805840eb93625e5e9e823e9cd1733c13e34e350f5c749dfa5949e9"
        "e3151b815afbe5de7747d8964170cc8d78381371439fbacdc97e44bb99dc60382b55daae6ec1c60a",
    ),
    (
        "mac0",
        3,
        2,
        1,
        0x10000001,
        encode((70123, 600, 2, 75, 3600, 10)),
        "8440a1064300000150861a000111eb19025802184b190e100a48b5afc3bb5209e3b2",
    ),
    (
        "encrypt0",
        3,
        2,
        1,
        0x10000001,
        encode((70123, 600, 2, 75, 3600, 10)),
        "8340a10643000001581885b024dbfd46a88b808a5b695c3662b7e4ea3f666ea1d6d8",
    ),
    (
        "mac0",
        3,
        4,
        0,
        0,
        encode((bytes(range(16)),)),
        "8440a10643000000528150000102030405060708090a0b0c0d0e0f489bd251101d625752",
    ),
    (
        "mac0",
        3,
        4,
        1,
        0,
        encode((bytes(range(16)), 7, 1500000000)),
        "8440a1064300000058188350000102030405060708090a0b0c0d0e0f071a59682f0048f5fd5f6dffc2d63b",
    ),
)


def test_vectors_both_ways():
    for profile, epoch, purpose, direction, seq, payload, frame in VECTORS:
        record = make_record(profile, epoch)
        frame = unhexlify(frame)
        assert Sealer(record, direction).seal(purpose, seq, payload) == frame
        assert Opener(record).open(purpose, direction, seq, frame) == payload


def test_the_vector_of_trust_0():
    aad = cose.ext_aad(4, 17, 0, TENANT, DEVICE, 3, 0, 70123)
    assert aad == unhexlify("89010411004800112233445566774870b3d57ed000123403001a000111eb")
    record = make_record()
    assert nonce(record, 70123) == unhexlify("0370b3d57ed0001234000111eb")
    sealer = Sealer(record)
    assert sealer.seal(0, 70123, PAYLOAD)[-8:] == unhexlify("5b840f8664979eb6")
    want = unhexlify("41e18769589f4ef793197ebdf984dee306ce894ba2379d39637672eb4f436879")
    assert sealer.leaf(0, 70123, PAYLOAD) == want


def test_leaf_is_over_plaintext():
    leaf = Sealer(make_record("encrypt0")).leaf(0, 70123, PAYLOAD)
    assert leaf == unhexlify("6b368e0b54932f918eebcf32e284a835461338e4c0324a0329c8b208e8926297")
    leaf = Sealer(make_record("mac0", 300)).leaf(0, MAX_SEQ, PAYLOAD)
    assert leaf == unhexlify("ad51b1a472ccc92d2f8899070e79d60a15327db08d724531398c973716f1819e")


def refused(record, purpose, direction, seq, frame):
    return raises(WireError, Opener(record).open, purpose, direction, seq, frame).args[0]


def test_every_flipped_bit_is_refused():
    for profile, epoch, purpose, direction, seq, _, frame in VECTORS[:1] + VECTORS[3:4] + VECTORS[7:9]:
        opener = Opener(make_record(profile, epoch))
        frame = unhexlify(frame)
        for bit in range(len(frame) * 8):
            bad = bytearray(frame)
            bad[bit // 8] ^= 1 << bit % 8
            raises(WireError, opener.open, purpose, direction, seq, bytes(bad))


def test_frame_moved_elsewhere_is_refused():
    record = make_record()
    frame = unhexlify(MAC0)
    assert refused(record, 3, 0, 70123, frame) == "bad_tag"
    assert refused(record, 0, 1, 70123, frame) == "bad_tag"
    assert refused(record, 0, 0, 70123 + (1 << 24), frame) == "bad_tag"
    assert refused(record, 0, 0, 70124, frame) == "bad_tag"
    for name, value in (("tenant", bytes(8)), ("device", bytes(8)), ("epoch", 4)):
        other = dict(record)
        other[name] = value
        assert refused(other, 0, 0, 70123, frame) == "bad_tag"


def test_structure_is_the_records_never_the_frames():
    mac = unhexlify(MAC0)
    sign = unhexlify(VECTORS[6][6])
    enc = unhexlify(VECTORS[3][6])
    for profile, frames in (("mac0", (sign, enc)), ("encrypt0", (sign, mac)), ("sign1", (mac, enc))):
        for frame in frames:
            assert refused(make_record(profile), 0, 0, 70123, frame) == "wrong_structure"
    assert refused(make_record(), 8, 1, 70123, mac) == "wrong_purpose"


def test_public_key_bytes_used_as_mac_key():
    # A frame tagged with HMAC under the public key must not pass on a sign1 device.
    record = make_record("mac0")
    record["keys"]["mac-up"] = record["public_key"]
    frame = Sealer(record).seal(0, 5, PAYLOAD)
    assert refused(make_record("sign1"), 0, 0, 5, frame) == "wrong_structure"


def test_key_id_must_be_the_records():
    record = make_record()
    frame = Sealer(record).seal(0, 5, PAYLOAD, b"\x12\x34")
    assert len(frame) == len(Sealer(record).seal(0, 5, PAYLOAD)) + 4
    assert refused(record, 0, 0, 5, frame) == "bad_header"
    record["kid"] = b"\x12\x34"
    assert Opener(record).open(0, 0, 5, frame) == PAYLOAD


def test_numbers_out_of_range_are_refused():
    sealer = Sealer(make_record())
    for seq in (0, -1, MAX_SEQ + 1, 1 << 32):
        assert raises(WireError, sealer.seal, 0, seq, b"").args[0] == "seq_range"
        assert refused(make_record(), 0, 0, seq, unhexlify(MAC0)) == "seq_range"
    assert raises(WireError, sealer.seal, 4, 1 << 32, b"").args[0] == "seq_range"


def test_overhead_and_longest_payload():
    for profile, envelope, change in (("mac0", 18, 24), ("encrypt0", 17, 16), ("sign1", 75, 24)):
        sealer = Sealer(make_record(profile))
        assert len(sealer.seal(0, 1, bytes(change - 1))) == change - 1 + envelope
        assert len(sealer.seal(0, 1, bytes(change))) == change + envelope + 1
        longest = 255 - envelope - 1
        assert len(sealer.seal(0, 1, bytes(longest))) == 255
        for size in (longest + 1, 300):
            assert raises(WireError, sealer.seal, 0, 1, bytes(size)).args[0] == "too_long"


def test_missing_key_is_named():
    record = make_record()
    del record["keys"]["mac-up"], record["keys"]["leaf"]
    assert raises(WireError, Sealer(record).seal, 0, 1, b"").args[0] == "no_key"
    assert raises(WireError, Sealer(record).leaf, 0, 1, b"").args[0] == "no_key"
    assert refused(record, 0, 0, 70123, unhexlify(MAC0)) == "no_key"


# Number spaces


def test_candidates_nearest_first():
    turn = 1 << 24
    assert candidates(5, 0) == [5, 5 + turn]
    assert candidates(0, 0) == [turn]
    assert candidates(100, 90) == [100, 100 + turn]
    assert candidates(100, 3 * turn + 90) == [3 * turn + 100, 4 * turn + 100, 2 * turn + 100]
    assert candidates(0xFFFF00, 0xFF0000) == [0xFFFF00, 0xFFFF00 + turn]
    assert candidates(0, MAX_SEQ)[0] == 0xFF000000
    assert MAX_SEQ in candidates(MAX_SEQ & 0xFFFFFF, MAX_SEQ - 1000)


def test_piv_wrap_at_2_24():
    turn = 1 << 24
    assert candidates(3, turn - 2)[0] == turn + 3
    assert candidates(turn - 2, turn + 3)[0] == turn - 2
    # Half a turn either way: later numbers are likelier than earlier ones.
    assert candidates(turn // 2 + 7, turn + 7)[0] == turn + turn // 2 + 7
    record = make_record()
    sealer = Sealer(record)
    opener = Opener(record)
    for seq in (turn - 2, turn - 1, turn, turn + 1, 2 * turn + 5):
        frame = sealer.seal(0, seq, PAYLOAD)
        for highest in (seq - 60000, seq - 1, seq, seq + 60000):
            opened = []
            for trial in candidates(seq & 0xFFFFFF, highest):
                try:
                    opener.open(0, 0, trial, frame)
                    opened.append(trial)
                except WireError:
                    pass
            assert opened == [seq]


def test_candidates_stay_in_range():
    for highest in (0, 1, 1 << 23, 1 << 24, MAX_SEQ, MAX_SEQ - (1 << 24)):
        for piv in (0, 1, 0xFFFF, 1 << 23, (1 << 24) - 1):
            found = candidates(piv, highest)
            assert 1 <= len(found) <= 3 and len(set(found)) == len(found)
            for seq in found:
                assert 1 <= seq <= MAX_SEQ and seq & 0xFFFFFF == piv


# Memory


ROWS = message(5)
# The budget case: a lamp, bin and leak reading of 22 bytes.
VALUES = blank(ROWS)
VALUES[0] = 28000128
VALUES[4] = 75
VALUES[5] = 412
VALUES[6] = 63
VALUES[7] = 128
BUF = bytearray(64)
VIEW = memoryview(BUF)
WORK = bytearray(128)
READING = bytes(22)
TAG = bytes(8)
AAD = cose.ext_aad(4, 17, 0, TENANT, DEVICE, 3, 0, 70123)
ENDS = [0, 0, 0, 0]


def _structures():
    # Of module variables: a call of a closure with many cells would allocate.
    ENDS[0] = encode_into(BUF, 0, ROWS, VALUES)
    ENDS[1] = cose.ext_aad_into(WORK, 0, 4, 17, 0, TENANT, DEVICE, 3, 0, 70123)
    ENDS[2] = cose.to_be_maced_into(WORK, 0, AAD, READING)
    ENDS[3] = cose.pack_into(WORK, 0, 70123, READING, TAG)


def test_payload_and_cose_structure_allocate_nothing():
    heap_locked(_structures)
    assert ENDS == [22, 30, 9 + 30 + 23, 40]


def test_whole_mac0_frame_allocates_at_most_1_kb():
    sealer = Sealer(make_record())

    def run():
        return sealer.seal(0, 70123, VIEW[: encode_into(BUF, 0, ROWS, VALUES)])

    assert len(run()) == 40
    if not MICROPYTHON:
        return
    import gc

    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        run()
        used = gc.mem_alloc() - before
    finally:
        gc.enable()
    assert 0 < used <= 1024, used
