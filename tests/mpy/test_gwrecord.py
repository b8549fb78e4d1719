"""Gateway records and answers. Vectors: cbor2."""

from binascii import unhexlify

from firmware.protocols import gwrecord
from firmware.protocols.cbor import WireError, encode
from tests.mpy.support import raises

EUI = unhexlify("0102030405060708")
FRAME = unhexlify("e08cff1234beef626f6479")
FIELDS = (EUI, 3, 70000, 12345678901, 2, 4294967295, 869525000, 9, 125000, -97, -22, FRAME)
RECORD = unhexlify(
    "8d01480102030405060708031a000111701b00000002dfdc1c35021affffffff1a33d3e608091a0001e8483860354be08cff1234"
    "beef626f6479"
)
DOWN = [[255, 4660, 12, b"cmd", 1], [255, 4661, 13, b"x", 0]]
ANSWER = unhexlify("83021a00011170828518ff1912340c43636d64018518ff1912350d417800")


def test_record():
    assert gwrecord.pack(*FIELDS) == RECORD
    assert gwrecord.parse(RECORD) == FIELDS


def test_record_of_a_received_bytearray():
    fields = FIELDS[:-1] + (bytearray(FRAME),)
    assert gwrecord.pack(*fields) == RECORD


def test_answer():
    assert gwrecord.pack_answer(70000, DOWN) == ANSWER
    assert gwrecord.parse_answer(ANSWER) == (70000, DOWN)
    assert gwrecord.parse_answer(gwrecord.pack_answer(1, [])) == (1, [])


def test_prefix():
    assert gwrecord.prefixed(bytes(300)) == b"\x01\x2c" + bytes(300)


def test_truncated_and_trailing():
    for data, parse in ((RECORD, gwrecord.parse), (ANSWER, gwrecord.parse_answer)):
        for end in range(len(data)):
            raises(WireError, parse, data[:end])
        assert raises(WireError, parse, data + b"\0").args[0] == "trailing"


def test_any_byte_changed_is_a_record_or_one_error():
    for data, parse in ((RECORD, gwrecord.parse), (ANSWER, gwrecord.parse_answer)):
        for i in range(len(data)):
            for mask in (1, 0x20, 0x40, 0x80, 0xFF):
                bad = bytearray(data)
                bad[i] ^= mask
                try:
                    parse(bytes(bad))
                except WireError:
                    pass


def test_fields_out_of_range():
    for at, value in (
        (1, -1),
        (2, 1 << 32),
        (3, -5),
        (4, 4),
        (5, 1 << 32),
        (6, 0),
        (7, 4),
        (7, 13),
        (8, 0),
        (9, -300),
        (10, 500),
    ):
        fields = list(FIELDS)
        fields[at] = value
        assert raises(WireError, gwrecord.pack, *fields).args[0] == "out_of_range"
        assert raises(WireError, gwrecord.parse, encode([1] + fields)).args[0] == "out_of_range"
    for at, value in ((0, EUI[1:]), (0, 5), (11, b""), (11, bytes(256)), (1, True), (3, None), (9, b"")):
        fields = list(FIELDS)
        fields[at] = value
        assert raises(WireError, gwrecord.pack, *fields).args[0] == "wrong_shape"
        assert raises(WireError, gwrecord.parse, encode([1] + fields)).args[0] == "wrong_shape"
    for data in (encode([2] + list(FIELDS)), encode([1, EUI]), encode(1), encode({1: 2})):
        assert raises(WireError, gwrecord.parse, data).args[0] == "wrong_shape"


def test_answers_out_of_range():
    good = DOWN[0]
    for at, value in ((0, 256), (1, 65536), (2, 128), (4, 2), (0, -1)):
        row = list(good)
        row[at] = value
        assert raises(WireError, gwrecord.parse_answer, encode([2, 1, [row]])).args[0] == "out_of_range"
        assert raises(WireError, gwrecord.pack_answer, 1, [row]).args[0] == "out_of_range"
    for row in (good[:4], good + [0], [255, 1, 12, b"", 0], [255, 1, 12, bytes(245), 0], 5, [1, 1, 1, 1, 1]):
        assert raises(WireError, gwrecord.parse_answer, encode([2, 1, [row]])).args[0] == "wrong_shape"
    assert raises(WireError, gwrecord.pack_answer, 1, [good] * 9).args[0] == "too_many"
    for data in (encode([1, 1, []]), encode([2, 1, b""]), encode([2, 1]), encode([2, True, []])):
        assert raises(WireError, gwrecord.parse_answer, data).args[0] == "wrong_shape"
