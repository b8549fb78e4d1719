"""The binary form of protobuf: its page's own examples, hostile bytes, what a table does not know."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.formats.jsontext import BadRecord
from host_tools.formats.protobuf import (
    MAX_FIELDS,
    Field,
    Table,
    decode,
    delimited,
    encode,
    fields,
    put_varint,
    varint,
)

INNER: Table = {1: Field("a", "int32"), 2: Field("b", "string")}
TABLE: Table = {
    1: Field("count", "uint"),
    2: Field("text", "string"),
    3: Field("inner", "message", INNER),
    4: Field("data", "bytes"),
    5: Field("level", "int32"),
    6: Field("ratio", "float"),
    7: Field("wide", "double"),
    8: Field("at", "time"),
    9: Field("many", "message", INNER, many=True),
    10: Field("flag", "bool"),
}


def test_the_examples_of_the_encoding_page() -> None:
    # protobuf.dev, Encoding: 150 in field 1; "testing" in field 2; the first one inside field 3; -2 as int32.
    assert decode(bytes.fromhex("089601"), TABLE) == {"count": 150}
    assert decode(bytes.fromhex("120774657374696e67"), TABLE) == {"text": "testing"}
    assert decode(bytes.fromhex("1a03089601"), TABLE) == {"inner": {"a": 150}}
    assert decode(bytes.fromhex("28feffffffffffffffff01"), TABLE) == {"level": -2}
    assert put_varint(150) == b"\x96\x01"
    assert varint(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0) == ((1 << 64) - 1, 10)


def test_fixed_sizes_and_times() -> None:
    data = b"\x35" + struct.pack("<f", -3.25) + b"\x39" + struct.pack("<d", 1e-9)
    data += bytes.fromhex("420508ac021001")
    assert decode(data, TABLE) == {"ratio": -3.25, "wide": 1e-9, "at": {"seconds": 300, "nanos": 1}}
    assert decode(encode({"at": {"seconds": -1, "nanos": 5}}, TABLE), TABLE) == {
        "at": {"seconds": -1, "nanos": 5}
    }


def test_what_the_table_does_not_know_is_kept_by_number() -> None:
    data = bytes.fromhex("a20602abcd") + bytes.fromhex("0d01020304") + bytes.fromhex("0801")
    # Field 1 as four fixed bytes is another field than the table's.
    assert decode(data, TABLE) == {"#100": b"\xab\xcd", "#1": b"\x01\x02\x03\x04", "count": 1}


def test_of_a_field_that_comes_twice_the_last_counts_and_messages_are_joined() -> None:
    data = bytes.fromhex("0801") + bytes.fromhex("0802")
    data += bytes.fromhex("1a020801") + bytes.fromhex("1a03120178") + bytes.fromhex("1a020803")
    data += bytes.fromhex("4a020801") + bytes.fromhex("4a00")
    assert decode(data, TABLE) == {"count": 2, "inner": {"a": 3, "b": "x"}, "many": [{"a": 1}, {}]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("08", "truncated"),
        ("0880", "truncated"),
        ("12077465", "truncated"),
        ("35010203", "truncated"),
        ("39010203", "truncated"),
        ("1a0508", "truncated"),
        ("1a020880", "truncated"),  # the inner one is cut, the outer one is whole
        ("12ffffffffffffffffff01", "truncated"),  # 2^64 - 1 bytes are to follow
        ("08ffffffffffffffffff02", "bad_record"),  # 65 bits
        ("0880808080808080808080", "bad_record"),  # eleven bytes
        ("0001", "bad_record"),  # field 0
        ("0b0c", "bad_record"),  # a group
        ("0e00", "bad_record"),  # wire type 6
        ("0f", "bad_record"),  # wire type 7
        ("1201ff", "bad_record"),  # no UTF-8
        ("80808080808080808001" + "00", "bad_record"),  # a field number beyond 29 bits
    ],
)
def test_bad_bytes_have_a_name(data: str, reason: str) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(bytes.fromhex(data), TABLE)
    assert caught.value.reason == reason


def test_a_message_of_endless_fields_is_refused() -> None:
    assert len(list(fields(b"\x08\x01" * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(BadRecord) as caught:
        list(fields(b"\x08\x01" * (MAX_FIELDS + 1)))
    assert caught.value.reason == "too_many"


INNERS = st.fixed_dictionaries(
    {}, optional={"a": st.integers(-(1 << 31), (1 << 31) - 1), "b": st.text(max_size=9)}
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "count": st.integers(0, (1 << 64) - 1),
        "text": st.text(max_size=40),
        "inner": INNERS,
        "data": st.binary(max_size=150),
        "level": st.integers(-(1 << 31), (1 << 31) - 1),
        "ratio": st.floats(width=32, allow_nan=False),
        "wide": st.floats(allow_nan=False),
        "many": st.lists(INNERS, min_size=1, max_size=4),
        "flag": st.booleans(),
    },
)


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_and_no_cut_of_it_passes_for_more(value: dict[str, object]) -> None:
    data = encode(value, TABLE)
    assert decode(data, TABLE) == value
    assert delimited(data)[varint(delimited(data), 0)[1] :] == data
    for end in range(len(data)):
        try:
            cut = decode(data[:end], TABLE)
        except BadRecord as e:
            assert e.reason == "truncated"
        else:
            assert cut.keys() <= value.keys()


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = decode(data, TABLE)
    except BadRecord as e:
        assert e.reason in ("truncated", "bad_record", "too_many")
    else:
        assert all(name.startswith("#") or name in {f.name for f in TABLE.values()} for name in found)
