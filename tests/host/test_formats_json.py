"""JSON of a byte stream: every way to write values down, every way to break them, memory, and what is raised."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocols import reasons
from host_tools.formats import jsontext
from host_tools.formats.jsontext import BadRecord, loads, values

FRAME = bytes.fromhex("40F17DBE4900020001954378762B11FF0D")
RADIO = {
    "time_us": 1_769_612_400_250_001,
    "freq_hz": 868_100_000,
    "sf": 9,
    "bw_hz": 125_000,
    "rssi_qdbm": -320,
    "snr_qdb": 21,
    "counter_us": 77,
}
REASONS = (
    "truncated", "bad_json", "bad_record", "too_long", "too_deep", "duplicate_key", "bad_utf8", "out_of_range",
    "too_many",
)  # fmt: skip


class Drip(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = io.BytesIO(data), size

    def read(self, size: int = -1) -> bytes:
        return self._data.read(self._size)


class Long(io.RawIOBase):
    """A stream that is made while it is read: head, `count` times body, tail."""

    def __init__(self, head: bytes, body: bytes, count: int, tail: bytes) -> None:
        self._parts = self._make(head, body, count, tail)

    @staticmethod
    def _make(head: bytes, body: bytes, count: int, tail: bytes) -> Iterator[bytes]:
        if head:
            yield head
        for _ in range(count):
            yield bytes(bytearray(body))  # a new object each time, as a file gives them
        yield tail

    def read(self, size: int = -1) -> bytes:
        return next(self._parts, b"")


def split(data: bytes, size: int = 0) -> list[jsontext.Piece]:
    stream = cast(BinaryIO, Drip(data, size)) if size else io.BytesIO(data)
    found = list(values(stream))
    assert b"".join(raw for raw, _, _ in found) == data
    assert all((value is None) or not reason for _, value, reason in found)
    return found


def told(data: bytes) -> list[Any]:
    """Values and reasons in their order, for any size of what a stream gives at once."""
    found = split(data)
    for size in (1, 2, 3, 7):
        assert split(data, size) == found
    return [
        value if value is not None else reason for _, value, reason in found if value is not None or reason
    ]


A, B, C = {"a": 1}, {"b": [2, {"c": '}\\"'}]}, {"c": {"é": "\n"}}
LINES = [json.dumps(v, ensure_ascii=False).encode() for v in (A, B, C)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n\n \t\r\n", b""])
@pytest.mark.parametrize("shape", ["lines", "array", "pretty", "pretty array"])
def test_every_way_to_write_values_gives_the_same_values(shape: str, end: bytes) -> None:
    pretty = [json.dumps(v, indent=2).encode().replace(b"\n", end or b"\n") for v in (A, B, C)]
    data = {
        "lines": end.join(LINES) + end,
        "array": b"[" + (b"," + end).join(LINES) + b"]" + end,
        "pretty": end.join(pretty),
        "pretty array": b"[" + end + (end + b", ").join(pretty) + end + b"]",
    }[shape]
    assert told(data) == [A, B, C]
    assert told(b"\xef\xbb\xbf" + data) == [A, B, C]


def test_mixed_line_ends_blank_lines_and_record_separators() -> None:
    data = b"\r\n" + LINES[0] + b"\r" + LINES[1] + b"\n\r\n\x1e" + LINES[2] + b"\r\n \n"
    assert told(data) == [A, B, C]
    assert [raw for raw, value, _ in split(data) if value] == [
        b"\r\n" + LINES[0] + b"\r",
        LINES[1] + b"\n",
        b"\r\n\x1e" + LINES[2] + b"\r\n",
    ]


def test_each_line_is_one_piece_with_its_end() -> None:
    assert [raw for raw, _, _ in split(b'{"a":1}\r\n{"a":2} \n{"a":3}')] == [
        b'{"a":1}\r\n',
        b'{"a":2} \n',
        b'{"a":3}',
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":{"b":[{"x":1,"x":1}]}}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
        (b'{"a":1e999}', "out_of_range"),
        (b'{"a":-1e999}', "out_of_range"),
        (b'{"a":1' + b"0" * 309 + b"}", "out_of_range"),
        (b'{"a":0.' + b"3" * 400 + b"}", "bad_json"),
        (b'{"a":0.' + b"3" * 350 + b"}", "out_of_range"),
        (b'{"a":NaN}', "bad_json"),
        (b'{"a":-Infinity}', "bad_json"),
        (b'{"a":"\x00"}', "bad_json"),
        (b'{"a":"\\u0000"}', "bad_json"),
        (b'{"a\\u0000":1}', "bad_json"),
        (b'{"a":"\xff"}', "bad_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "bad_utf8"),
        (b'{"a":"\\ud800"}', "bad_utf8"),
        (b'{"a":"\xc3', "truncated"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "too_deep"),
        (b'{"a":tru}', "bad_json"),
        (b'{"a":01}', "bad_json"),
        (b'{"a":1,}', "bad_json"),
        (b'{"a":1,,"b":{}}', "bad_json"),
        (b'{"a" 1}', "bad_json"),
        (b"{1:2}", "bad_json"),
        (b'{"a":"\t"}', "bad_json"),
        (b'{"a":[1}', "bad_json"),
        (b"{]", "bad_json"),
        (b"hello", "bad_json"),
        (b"}", "bad_json"),
        (b"\x00\x00\x00", "bad_json"),
        (b"3", "bad_json"),
        (b'{"a":', "truncated"),
        (b'{"a":"x', "truncated"),
        (b'{"a":"x\\', "truncated"),
        (b'{"a":[{"b":1},', "truncated"),
    ],
)
def test_one_bad_value_costs_itself_alone(bad: bytes, reason: str) -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        assert told(b'{"ok":1}' + end + bad + end + b'{"ok":2}' + end) == [{"ok": 1}, reason, {"ok": 2}]
    assert told(bad) == [reason]


@pytest.mark.parametrize(
    "bad", ['{"a":1e999}', '{"a":1,"a":2}', '{"a":tru}', '{"a":1,,"b":{}}', "[1]", "3", "x"]
)
def test_one_bad_element_of_an_array_in_one_line_costs_itself_alone(bad: str) -> None:
    found = told(f'[{{"ok":1}},{bad},{{"ok":2}}]'.encode())
    assert found[0] == {"ok": 1} and found[2:] == [{"ok": 2}] and found[1] in REASONS


def test_a_bomb_of_brackets_in_one_line() -> None:
    data = b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b'}{"ok":1}\n'
    found = split(data)
    assert [r for _, _, r in found if r] == ["too_deep"] and found[-1][1] == {"ok": 1}


def test_a_bad_line_keeps_its_end() -> None:
    for end in (b"\r\n", b"\n", b"\r"):
        for bad in (b"x", b'{"a":"', b'{"a":[1}'):
            data = bad + end + b'{"a":1}' + end
            assert [raw for raw, _, _ in split(data)] == [bad + end, b'{"a":1}' + end]


def test_after_very_many_brackets_the_end_of_the_line_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'[{"a":[1}' + b'"[",' * 20 + b'},{"lost":1}\n,{"ok":1}]'
    assert told(data) == ["bad_json", {"lost": 1}, {"ok": 1}]
    monkeypatch.setattr(jsontext, "_PATIENCE", 10)
    assert told(data) == ["bad_json", {"ok": 1}]


def test_what_is_64_deep_is_read() -> None:
    assert len(told(b'{"a":' * 64 + b"1" + b"}" * 64)) == 1
    assert told(b'{"a":' * 64 + b"1" + b"}" * 64)[0] != "too_deep"


def test_bad_element_of_an_array_over_several_lines() -> None:
    data = b'[\n  {\n    "a": oops\n  },\n  {\n    "a": 2\n  },\n  {\n    "a": "x\n  },\n  {\n    "a": 3\n  }\n]\n'
    assert told(data) == ["bad_json", {"a": 2}, "truncated", {"a": 3}]


def test_a_line_cut_where_the_next_could_belong_to_it_takes_only_itself() -> None:
    assert told(b'{"rxpk":[\n{"ok":1}\n{"ok":2}\n') == ["truncated", {"ok": 1}, {"ok": 2}]
    assert told(b'{"rxpk":[\n{"ok":1}') == ["truncated", {"ok": 1}]


def test_an_array_without_its_end_is_told() -> None:
    assert told(b'[{"a":1},{"a":2},') == [{"a": 1}, {"a": 2}, "truncated"]
    assert told(b'[{"a":1},{"a":') == [{"a": 1}, "truncated"]
    assert told(b"[]\n[]") == []


def test_values_at_the_limit_and_one_byte_above_it() -> None:
    for more, wanted in ((0, 1), (1, "too_long")):
        text = b'{"a":"' + b"x" * (jsontext.LIMIT - 8 + more) + b'"}'
        for data in (text + b'\n{"ok":1}\n', b"[" + text + b',{"ok":1}]', text + b'{"ok":1}'):
            found = [v if v is not None else r for _, v, r in split(data) if v is not None or r]
            assert found[1:] == [{"ok": 1}] and (found[0] == wanted if more else len(found[0]) == 1)


@pytest.mark.parametrize(
    ("count", "head", "body", "reason"),
    [
        (1600, b'{"a":"', b"x", "too_long"),
        (160, b'{"a":"', b"\\", "too_long"),
        (160, b'{"a":', b" ", "too_long"),
        (160, b'{"a":', b"9", "bad_json"),
        (160, b"", b"x", "bad_json"),
        (160, b"", b"\0", "bad_json"),
    ],
)
def test_a_line_of_100_mb_takes_little_memory(count: int, head: bytes, body: bytes, reason: str) -> None:
    stream = cast(BinaryIO, Long(head, body * 65536, count, b'\n{"ok":1}\n'))
    tracemalloc.start()
    try:
        size, reasons_seen, last = 0, [], None
        for raw, value, why in values(stream):
            size += len(raw)
            reasons_seen += [why] if why else []
            last = value
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == len(head) + count * 65536 + 10
    assert reasons_seen == [reason] and last == {"ok": 1}
    assert peak < 6 << 20


DENSE = [
    b"[],",
    b"{",
    b'{"a":[',
    b"{\n",
    b'{"a":[\n',
    b'{"a":[\n{},\n',
    b"}\n",
    b'"',
    b'"\n',
    b"\\\n",
    b"[[",
    b",",
]


@pytest.mark.parametrize("body", DENSE)
def test_dense_rubbish_comes_in_pieces_of_bounded_size(body: bytes) -> None:
    data = b'{"a":[' + body * (20_000 // len(body)) + b'\n{"ok":1}\n'
    found = list(values(io.BytesIO(data), 4096))
    assert b"".join(raw for raw, _, _ in found) == data
    assert max(len(raw) for raw, _, _ in found) <= 65536 + 4096


def test_a_bomb_of_unclosed_lines_is_not_looked_through_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each of these lines could be the one whose end is missing: up to 64 levels would be looked through for each.
    data = (b'{"a":[\n' + b"{},\n" * 200) * 100
    looked = 0
    careful = jsontext._Splitter._careful

    def counted(self: jsontext._Splitter, off: int) -> int:
        nonlocal looked
        try:
            return careful(self, off)
        except jsontext._Stopped as stop:
            looked += stop.off - off
            raise

    monkeypatch.setattr(jsontext._Splitter, "_careful", counted)
    assert b"".join(raw for raw, _, _ in values(io.BytesIO(data))) == data
    assert looked < 3 * len(data)


def test_small_numbers_and_big_exponents_cost_nothing() -> None:
    assert loads(b'{"a":1e-999999999,"b":1.50,"c":5E-324}')["a"] == 0
    assert str(loads(b"868.099975")) == "868.099975"


@pytest.mark.parametrize("raw", [b"", b"{}{}", b'{"a":1}x', b"\xef\xbb\xbf{}"])
def test_a_message_is_one_value(raw: bytes) -> None:
    with pytest.raises(BadRecord) as error:
        loads(raw)
    assert error.value.reason == "bad_json"


def test_every_reason_given_here_has_its_place_in_the_list() -> None:
    missing = []
    for name in REASONS:
        try:
            reasons.number(name)
        except KeyError:
            missing.append(name)
    assert missing == []


def test_a_value_of_a_live_stream_is_there_as_soon_as_its_line_is() -> None:
    class Live(io.RawIOBase):
        given = 0

        def read1(self, size: int = -1) -> bytes:
            self.given += 1
            return [b'{"a":\n1', b"}\n", b'{"b":2}\r\n', b""][self.given - 1]

    live = Live()
    found = values(cast(BinaryIO, live))
    assert (next(found)[0], live.given) == (b'{"a":\n1}\n', 2)
    assert (next(found)[0], live.given) == (b'{"b":2}\r\n', 3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12) | st.sampled_from(["40F1", "QPE=", "SF7BW125", "4/5", "LORA", "::1", "1-2", "updf"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            "rxpk txpk stat msgtype upinfo MHdr Mhdr DevAddr MIC FCtrl FCnt FOpts FPort FRMPayload JoinEui DevEui "
            "DevNonce DR DRs region Freq rssi snr xtime gpstime rxtime data size datr codr freq tmst time tmms "
            "lsnr rsig rssic chan pdu ncrc router".split()
        ),
        inner,
        max_size=10,
    ),
    max_leaves=24,
)  # fmt: skip


def as_read(value: Any) -> Any:
    """A value of the standard reader as ours gives it."""
    if isinstance(value, dict):
        return {k: as_read(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_read(v) for v in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


PLAIN = st.text().filter(lambda text: "\0" not in text and not re.search("[\ud800-\udfff]", text))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.dictionaries(PLAIN, JSON.filter(lambda v: "\\u0000" not in json.dumps(v))), max_size=5),
    st.sampled_from([None, 1, "\t"]),
    st.sampled_from(["\n", "\r\n", "", ","]),
    st.booleans(),
)
def test_what_the_standard_reader_reads(made: list[Any], indent: Any, between: str, plain: bool) -> None:
    text = between.join(json.dumps(v, indent=indent, ensure_ascii=plain) for v in made)
    data = (f"[{text}]" if between == "," else text).encode(errors="replace")
    found = split(data)
    wanted = json.loads("[" + ",".join(json.dumps(v) for v in made) + "]")
    assert [value for _, value, reason in found if value is not None or reason] == as_read(wanted)
    assert split(data, 3) == found
