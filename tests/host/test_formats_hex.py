"""Hex lines: every way to write one, times, ends of lines, rubbish and long lines."""

from __future__ import annotations

import io
import tracemalloc
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.formats import hexlines
from host_tools.frames import Frame, Network, Record
from tests.formats import wrap_hex
from tests.host.test_formats_json import FRAME, Drip, Long

TIME_US = 1_769_612_400_250_001

# reference/lora.md 3.9
VECTORS = [
    "40F17DBE4900020001954378762B11FF0D",
    "40F17DBE49000300012A3518AF",
    "60f17dbe4920020001f9d65d27",
    "400403020180010001a694642615d6c3b582",
    "4004030201030000020305016a3798f5b64dc039",
    "40040302010000000069369eee6aa508",
    "00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913",
    "20493eeb51fba2116f810edb3742975142",
    "20c9fbb259e11649096a568a9e3b7117c3",
]


def read(data: bytes) -> list[Record]:
    found = list(hexlines.read(io.BytesIO(data), "x"))
    assert b"".join(r.raw for r in found) == data
    return found


@pytest.mark.parametrize("style", range(7))
@pytest.mark.parametrize("vector", VECTORS)
def test_published_frames_in_every_style(vector: str, style: int) -> None:
    data = bytes.fromhex(vector)
    line = wrap_hex.wrap(data, time_us=TIME_US, style=style)
    (record,) = read(line)
    (frame,) = record.frames
    assert frame.data == data
    assert frame.time_us == (TIME_US if style in (0, 1, 3, 4) else 0)
    assert record.reason == "" and record.others == (("comment",) if style == 4 else ())
    assert hexlines.sniff(line)
    assert read(hexlines.pack(frame))[0].frames == record.frames


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_blank_lines_and_comments_may_be_mixed(end: bytes) -> None:
    data = b"# head" + end + end + b"40F1\n\r\n \t40f2" + end + b"\r\n40F3 # third\r40F4"
    found = read(data)
    assert [f.data.hex() for r in found for f in r.frames] == ["40f1", "40f2", "40f3", "40f4"]
    assert [r.reason for r in found] == [""] * len(found)
    assert found[0] == Record(b"# head" + end, others=("comment",))


def test_the_size_of_what_a_stream_gives_at_once_decides_nothing() -> None:
    data = b"40F1\r\n\r40F2\r\n# x\r\r\n40F3\r"
    for size in range(1, 9):
        assert list(hexlines.read(cast(BinaryIO, Drip(data, size)), "x")) == read(data)


@pytest.mark.parametrize(
    ("told", "time_us"),
    [
        (b"2026-01-28T15:00:00Z", 1_769_612_400_000_000),
        (b"2026-01-28 15:00:00.5", 1_769_612_400_500_000),
        (b"2026-01-28T15:00:00+01:00", 1_769_608_800_000_000),
        (b"20260128T150000Z", 1_769_612_400_000_000),
        (b"1769612400", 1_769_612_400_000_000),
        (b"1769612400.123456789", 1_769_612_400_123_457),
        (b"0.5", 500_000),
        (b"4294967296.0", 4_294_967_296_000_000),
        (b"1970-01-01T00:00:01Z", 1_000_000),
        (b"2106-02-07T06:28:16Z", 4_294_967_296_000_000),
    ],
)
def test_times(told: bytes, time_us: int) -> None:
    for gap in (b" ", b"\t", b", ", b";"):
        (record,) = read(told + gap + b"40F1\n")
        assert (record.frames, record.others) == ((Frame(b"\x40\xf1", time_us),), ())


@pytest.mark.parametrize(
    "told", [b"-1.0", b"99999999999999999999.0", b"1969-12-31T23:59:59Z", b"2026-13-01T00:00"]
)
def test_a_time_that_no_frame_can_have_is_named(told: bytes) -> None:
    (record,) = read(told + b" 40F1\n")
    assert (record.frames, record.others) == ((Frame(b"\x40\xf1", 0),), ("time",))


def test_digits_in_groups_are_no_time() -> None:
    assert read(b"12 40 F1\n")[0].frames[0].data == bytes.fromhex("1240F1")
    assert read(b"1769612400\n")[0].frames[0].data == bytes.fromhex("1769612400")
    assert read(b"0x\n")[0].frames[0].data == b""


@pytest.mark.parametrize(
    "bad",
    [
        b"40F",
        b"40F1 xyz",
        b"hello",
        b"\x0040F1",
        b"40F1\x00",
        b"\xff\xfe",
        b"0x0x40",
        b"{}",
        b"40=F1",
        b"\x1b[2J",
    ],
)
def test_one_bad_line_costs_itself_alone(bad: bytes) -> None:
    found = read(b"40F1\n" + bad + b"\n40F2\n")
    assert [r.reason for r in found] == ["", "bad_record", ""]
    assert not hexlines.sniff(bad + b"\n40F1\n")


def test_sniffing_looks_past_comments_and_not_at_a_line_that_is_cut() -> None:
    assert hexlines.sniff(b"\xef\xbb\xbf# x\r\n\r\n40F1\n")
    assert not hexlines.sniff(b"") and not hexlines.sniff(b"# only\n")
    assert hexlines.sniff(b"40F1\n" + b"4" * 70_001)


def test_a_line_of_100_mb_takes_little_memory() -> None:
    stream = cast(BinaryIO, Long(b"", b"40F1" * 16384, 1600, b"\r\n40F1\r\n"))
    tracemalloc.start()
    try:
        size = 0
        seen: list[str | bytes] = []
        for record in hexlines.read(stream, "x"):
            size += len(record.raw)
            seen += [record.reason] if record.reason else [f.data for f in record.frames]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 1600 * 65536 + 8
    assert seen == ["too_long", b"\x40\xf1"]
    assert peak < 6 << 20


def test_what_was_never_on_the_air_as_such_is_left_out() -> None:
    assert hexlines.pack(Frame(FRAME, 5, network=Network(fport=1))) == b""
    assert hexlines.pack(Frame(b"cut", 5, reason="truncated")) == b""


@given(st.binary(max_size=255), st.integers(0, 253_402_300_799_999_999))
def test_what_is_written_is_read_back(data: bytes, time_us: int) -> None:
    assert read(hexlines.pack(Frame(data, time_us)))[0].frames == (Frame(data, time_us),)
