"""Deterministic CBOR: what is written, what is refused and why, what it allocates."""

from firmware.protocols import cbor
from firmware.protocols.cbor import WireError
from tests.mpy.support import heap_locked, load_json, raises

VECTORS = "tests/vectors/wire/"
FILES = ("hello", "lamp", "bin", "leak", "site", "cabinet", "frames")

# RFC 8949 appendix A, what of it is in the subset, and the steps of integer lengths.
VALUES = (
    ("00", 0),
    ("01", 1),
    ("0a", 10),
    ("17", 23),
    ("1818", 24),
    ("1819", 25),
    ("1864", 100),
    ("18ff", 255),
    ("190100", 256),
    ("1903e8", 1000),
    ("19ffff", 65535),
    ("1a00010000", 65536),
    ("1a000f4240", 1000000),
    ("1a3fffffff", 1073741823),
    ("1a40000000", 1073741824),
    ("1affffffff", 4294967295),
    ("1b0000000100000000", 4294967296),
    ("1b000000e8d4a51000", 1000000000000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("20", -1),
    ("29", -10),
    ("37", -24),
    ("3818", -25),
    ("3863", -100),
    ("3903e7", -1000),
    ("3a3fffffff", -1073741824),
    ("3affffffff", -4294967296),
    ("3bffffffffffffffff", -18446744073709551616),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("40", b""),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("60", ""),
    ("6161", "a"),
    ("6449455446", "IETF"),
    ("62225c", '"\\'),
    ("62c3bc", "\u00fc"),
    ("63e6b0b4", "\u6c34"),
    ("6400e280ae", "\x00\u202e"),  # NUL and right-to-left override are text like any other
    ("80", []),
    ("83010203", [1, 2, 3]),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
    ("a3010120013818f5", {1: 1, -1: 1, -25: True}),
    ("a2012018184100", {1: -1, 24: b"\x00"}),
    ("826161a10161 62", ["a", {1: "b"}]),
)

# Hex, reason. Most of the list of attacks on decoders; each line is one of them.
REFUSED = (
    ("", "truncated"),
    ("18", "truncated"),
    ("1901", "truncated"),
    ("1a010203", "truncated"),
    ("1b01020304050607", "truncated"),
    ("41", "truncated"),
    ("61", "truncated"),
    ("81", "truncated"),
    ("8201", "truncated"),
    ("a1", "truncated"),
    ("a101", "truncated"),
    ("5b7fffffffffffffff", "truncated"),
    ("5bffffffffffffffff", "truncated"),
    ("7b7fffffffffffffff", "truncated"),
    ("9bffffffffffffffff", "truncated"),
    ("bbffffffffffffffff", "truncated"),
    ("5a7fffffff00", "truncated"),
    ("9a7fffffff00", "truncated"),
    ("0000", "trailing"),
    ("8000", "trailing"),
    ("1800", "not_canonical"),
    ("1817", "not_canonical"),
    ("190017", "not_canonical"),
    ("1900ff", "not_canonical"),
    ("1a0000ffff", "not_canonical"),
    ("1b00000000ffffffff", "not_canonical"),
    ("3800", "not_canonical"),
    ("3b00000000ffffffff", "not_canonical"),
    ("580101", "not_canonical"),
    ("780161", "not_canonical"),
    ("980101", "not_canonical"),
    ("b8010101", "not_canonical"),
    ("5900010000", "not_canonical"),
    ("5f4101ff", "indefinite"),
    ("7f6161ff", "indefinite"),
    ("9f01ff", "indefinite"),
    ("bf0101ff", "indefinite"),
    ("ff", "indefinite"),
    ("81ff", "indefinite"),
    ("1c", "reserved"),
    ("1d", "reserved"),
    ("1e", "reserved"),
    ("1f", "reserved"),
    ("3f", "reserved"),
    ("5c", "reserved"),
    ("7d", "reserved"),
    ("9e", "reserved"),
    ("bc", "reserved"),
    ("fc", "reserved"),
    ("fd", "reserved"),
    ("fe", "reserved"),
    ("c074323031332d30332d32315432303a30343a30305a", "tag_not_allowed"),
    ("c11a514b67b0", "tag_not_allowed"),
    ("c249010000000000000000", "tag_not_allowed"),
    ("c349010000000000000000", "tag_not_allowed"),
    ("d8184101", "tag_not_allowed"),
    ("d81c81d81d00", "tag_not_allowed"),
    ("d8236161", "tag_not_allowed"),
    ("d9d9f701", "tag_not_allowed"),
    ("df", "tag_not_allowed"),
    ("f90000", "float_not_allowed"),
    ("f98000", "float_not_allowed"),
    ("f90001", "float_not_allowed"),
    ("f97e00", "float_not_allowed"),
    ("f97c00", "float_not_allowed"),
    ("fa47c35000", "float_not_allowed"),
    ("fb3ff199999999999a", "float_not_allowed"),
    ("e0", "simple_not_allowed"),
    ("f3", "simple_not_allowed"),
    ("f7", "simple_not_allowed"),
    ("f818", "simple_not_allowed"),
    ("f8ff", "simple_not_allowed"),
    ("a201020102", "duplicate_key"),
    ("a302010102 0103", "unsorted"),
    ("a202010101", "unsorted"),
    ("a22001 0001", "unsorted"),
    ("a2190100010101", "unsorted"),
    ("a20101180101", "not_canonical"),
    ("a1616101", "bad_key"),
    ("a1410101", "bad_key"),
    ("a1f401", "bad_key"),
    ("a1f601", "bad_key"),
    ("a18001", "too_deep"),
    ("8181818100", "too_deep"),
    ("a101a101a101a10100", "too_deep"),
    ("61ff", "bad_utf8"),
    ("6180", "bad_utf8"),
    ("61c3", "bad_utf8"),
    ("62c328", "bad_utf8"),
    ("62c080", "bad_utf8"),
    ("62c1bf", "bad_utf8"),
    ("63e08080", "bad_utf8"),
    ("63e09fbf", "bad_utf8"),
    ("63eda080", "bad_utf8"),
    ("63edbfbf", "bad_utf8"),
    ("63e282", "truncated"),
    ("62e282", "bad_utf8"),
    ("64f0808080", "bad_utf8"),
    ("64f08fbfbf", "bad_utf8"),
    ("64f4908080", "bad_utf8"),
    ("64f5808080", "bad_utf8"),
    ("64f8888080", "bad_utf8"),
)


def unhex(text):
    return bytes.fromhex(text.replace(" ", ""))


def same(a, b):
    """Equality that tells True from 1."""
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and len(a) == len(b) and all(k in b and same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


def reason(data, *more):
    return raises(WireError, cbor.decode, data, *more).args[0]


def test_values_both_ways():
    for text, value in VALUES:
        data = unhex(text)
        assert cbor.encode(value) == data, text
        assert same(cbor.decode(data, 0, None, 3), value), text


def test_refused_by_name():
    for text, why in REFUSED:
        found = reason(unhex(text), 0, None, 3)
        assert found == why, (text, found)


def test_part_of_a_buffer():
    data = b"\xff\x82\x01\x41\x55\xff"
    assert cbor.decode(data, 1, 5) == [1, b"\x55"]
    assert cbor.decode(bytearray(data), 1, 5) == [1, b"\x55"]
    assert cbor.decode(memoryview(data), 1, 5) == [1, b"\x55"]
    assert reason(data, 1, 4) == "truncated"
    assert reason(data, 1, 6) == "trailing"
    assert reason(data, 5, 5) == "truncated"


def test_maps_do_not_depend_on_the_order_they_were_made_in():
    keys = [24, -1, 0, 300, -25, 23, 1, 65536, -300]
    expected = "a90000010117171818181819012c19012c1a000100001a00010000202038183818" + "39012b39012b"
    for turn in range(len(keys)):
        made = {k: k for k in keys[turn:] + keys[:turn]}
        assert cbor.encode(made).hex() == expected
    assert cbor.decode(unhex(expected)) == made


def test_not_encodable():
    for value in (1.0, {"a": 1}, {True: 1}, {b"a": 1}, object(), {1, 2}):
        assert raises(WireError, cbor.encode, value).args[0] == "not_encodable"
    for value in (1 << 64, -(1 << 64) - 1):
        assert raises(WireError, cbor.encode, value).args[0] == "out_of_range"
    deep = []
    for _ in range(50):
        deep = [deep]
    assert raises(WireError, cbor.encode, deep).args[0] == "too_deep"
    assert raises(WireError, cbor.put_head, bytearray(9), 0, 0, -1).args[0] == "out_of_range"


def test_depth_and_count_are_bounded():
    for n in (1000, 100000):
        assert reason(b"\x81" * n + b"\x00") == "too_deep"
        assert reason(b"\xa1\x00" * n + b"\x00") == "too_deep"
    assert cbor.decode(b"\x81" * 4 + b"\x00") == [[[[0]]]]
    assert reason(b"\x81" * 4 + b"\x00", 0, None, 3) == "too_deep"
    assert len(cbor.decode(unhex("98ff") + bytes(255))) == 255
    assert reason(unhex("990100") + bytes(256)) == "too_many"
    assert reason(unhex("8400000000"), 0, None, 4, 4) == "too_many"
    assert cbor.decode(unhex("8400000000"), 0, None, 4, 5) == [0] * 4
    assert reason(unhex("a200000101"), 0, None, 4, 4) == "too_many"


def corpus():
    for name in FILES:
        for vector in load_json(VECTORS + name + ".json"):
            yield unhex(vector["frame" if name == "frames" else "hex"])


def check(data):
    """Any bytes: the one error class, or an object whose only encoding they are."""
    try:
        found = cbor.decode(data)
    except WireError as e:
        assert len(e.args) == 1
        return False
    assert cbor.encode(found) == data
    return True


def test_every_truncation_of_every_vector():
    for data in corpus():
        for n in range(len(data)):
            assert reason(data[:n]) == "truncated"
        assert reason(data + b"\x00") == "trailing"


def test_every_bit_flip_of_every_vector():
    kept = 0
    for data in corpus():
        flipped = bytearray(data)
        for i in range(len(data)):
            for bit in range(8):
                flipped[i] ^= 1 << bit
                kept += check(bytes(flipped))
                flipped[i] ^= 1 << bit
    assert kept > 1000  # most flips in a byte string or in a number leave good CBOR


def test_random_bytes():
    state = 20261120
    good = 0
    for _ in range(3000):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        size = state >> 8 & 31
        data = bytearray(size)
        for i in range(size):
            state = (state * 1103515245 + 12345) & 0x3FFFFFFF
            # Half of the bytes are heads of short items, so that some get far.
            data[i] = state >> 12 & 255 if state & 2048 else (state >> 12 & 0xE3)
        good += check(bytes(data))
    assert 20 < good < 2900


def test_writers_say_when_the_buffer_ends():
    for value in (0, 24, 256, 65536, -1, -65537, 1 << 32):
        need = len(cbor.encode(value))
        for size in range(need):
            buf = bytearray(size)
            assert raises(WireError, cbor.put_int, buf, 0, value).args[0] == "too_long"
        assert cbor.put_int(bytearray(need + 3), 3, value) == need + 3
    for size in range(5):
        assert raises(WireError, cbor.put_bytes, bytearray(size), 0, b"abcd").args[0] == "too_long"
        assert raises(WireError, cbor.put_raw, bytearray(size), 2, b"abcd").args[0] == "too_long"


def test_writers_allocate_nothing():
    buf = bytearray(64)
    data = bytes(range(40))

    # A closure over more than five names would allocate for its own call.
    def write():
        pos = cbor.put_int(buf, 0, 0)
        pos = cbor.put_int(buf, pos, 1073741823)
        pos = cbor.put_int(buf, pos, -65536)
        pos = cbor.put_head(buf, pos, 5, 255)
        pos = cbor.put_raw(buf, pos, data)
        return cbor.put_bytes(buf, 55, b"abc")

    assert heap_locked(write) == 59


def test_head_len():
    for value in (0, 23, 24, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32, (1 << 64) - 1):
        assert cbor.head_len(value) == len(cbor.encode(value))
