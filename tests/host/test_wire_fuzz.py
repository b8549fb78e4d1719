"""The strict decoder beside cbor2 on made-up and damaged input, and on the heap of a small board."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocols import cbor, codec, cose, schema
from firmware.protocols.cbor import WireError

ROOT = Path(__file__).resolve().parents[2]
READERS: tuple[Callable[[bytes], Any], ...] = (cbor.decode, codec.decode, cose.parse)
INTEGERS = st.one_of(st.integers(-300, 300), st.integers(-(1 << 64), (1 << 64) - 1))
VALUES = st.recursive(
    st.one_of(INTEGERS, st.booleans(), st.none(), st.binary(max_size=40), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(INTEGERS, inner, max_size=6)),
    max_leaves=12,
)


def bytewise(value: Any) -> bytes:
    """RFC 8949 4.2.1 on top of cbor2, whose own canonical form sorts keys by length first (RFC 7049)."""
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(bytewise(item) for item in value)
    if isinstance(value, dict):
        pairs = sorted((cbor2.dumps(key), bytewise(item)) for key, item in value.items())
        return head(5, len(value)) + b"".join(key + item for key, item in pairs)
    return cbor2.dumps(value)


def head(major: int, count: int) -> bytes:
    number = cbor2.dumps(count)
    return bytes([number[0] | major << 5]) + number[1:]


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_same_bytes_as_cbor2(value: Any) -> None:
    data = bytewise(value)
    assert cbor.encode(value) == data
    try:
        found = cbor.decode(data, max_depth=12)
    except WireError as e:
        assert e.args == ("too_many",)
        assert len(data) > 256
        return
    assert found == value


@given(st.one_of(st.binary(max_size=60), VALUES.map(bytewise)), st.data())
@settings(max_examples=500, deadline=None)
def test_one_error_class_and_never_more_lenient_than_cbor2(data: bytes, more: st.DataObject) -> None:
    if data and more.draw(st.booleans()):
        at = more.draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([more.draw(st.integers(0, 255))]) + data[at + 1 :]
    for call in READERS:
        try:
            found = call(data)
        except WireError as e:
            assert e.args[0] in KNOWN
            continue
        if call is READERS[0]:
            assert cbor2.loads(data) == found
            assert bytewise(found) == data


@st.composite
def readings(draw: st.DrawFn) -> tuple[int, dict[str, Any]]:
    number = draw(st.sampled_from(sorted(schema.TYPES)))
    fields: dict[str, Any] = {}
    for row in schema.rows(number):
        _, name, shape, _, _, lo, hi, *_ = row
        if name == "pad" or shape == "reserved" or not draw(st.booleans()):
            continue
        if shape == "vector":
            fields[name] = draw(st.lists(st.integers(lo, hi), min_size=1, max_size=24))
        elif shape == "bytes":
            fields[name] = draw(st.binary(min_size=lo, max_size=hi))
        else:
            fields[name] = draw(st.integers(lo, hi))
    if "time" in fields:
        fields.pop("time_unconfirmed", None)
    return number, fields


@given(readings())
@settings(max_examples=300, deadline=None)
def test_readings_come_back(reading: tuple[int, dict[str, Any]]) -> None:
    number, fields = reading
    message = schema.message(number)
    values = codec.blank(message)
    for name, value in fields.items():
        values[schema.index(number, name)] = value
    buf = bytearray(200)
    try:
        end = codec.encode_into(buf, 0, message, values)
    except WireError as e:
        assert e.args == ("too_long",)
        assert number == 4
        return
    data = bytes(buf[:end])
    assert codec.decode(data) == (number, fields)
    assert len(data) <= codec.max_len(message)
    if number == 4:
        assert len(data) == 64
    parts = cbor2.loads(data)
    assert parts[0] == number
    assert cbor2.dumps(parts, canonical=True) == data


KNOWN = {
    *(
        "truncated",
        "trailing",
        "not_canonical",
        "indefinite",
        "reserved",
        "tag_not_allowed",
        "float_not_allowed",
    ),
    *(
        "simple_not_allowed",
        "bad_utf8",
        "duplicate_key",
        "unsorted",
        "bad_key",
        "too_deep",
        "too_many",
        "too_long",
    ),
    *("out_of_range", "unknown_type", "unknown_key", "wrong_shape", "bad_pad", "time_twice"),
    *("not_cose", "bad_header", "explicit_alg", "tag_length"),
}

SMALL_HEAP = """
import gc
from firmware.protocols import cbor, codec, cose
state = 1
named = {}
gc.collect()
for turn in range(4000):
    data = bytearray(turn % 256)
    for i in range(len(data)):
        state = (state * 1103515245 + 12345) & 0x3FFFFFFF
        data[i] = state >> 12 & 255
    if turn % 3 == 0 and len(data) > 8:
        data[:8] = b"\\x9b\\xff\\xff\\xff\\xff\\xff\\xff\\xff" if turn % 2 else b"\\x81" * 8
    for call in (cbor.decode, codec.decode, cose.parse):
        try:
            call(data)
        except cbor.WireError as e:
            named[e.args[0]] = 1
for bomb in (b"\\x81" * 4000, b"\\xa1\\x00" * 2000, b"\\x98\\xff" + bytes(4000)):
    try:
        cbor.decode(bomb)
    except cbor.WireError as e:
        named[e.args[0]] = 1
print(len(named))
"""


@pytest.mark.slow
def test_random_input_on_a_heap_of_120_kb() -> None:
    """Sources are compiled on that heap too, so what is left is less than on a board with compiled files."""
    run = subprocess.run(
        [str(Path(sys.executable).with_name("micropython")), "-X", "heapsize=120k", "-c", SMALL_HEAP],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout) >= 12
