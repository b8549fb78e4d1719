"""Files and messages of ChirpStack: damage costs what it hit, and everything keeps its bytes."""

from __future__ import annotations

import contextlib
import io
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.errors import InputError
from host_tools.formats import chirpstack
from host_tools.frames import Record
from tests.formats import wrap_chirpstack as wrap

PHY = bytes.fromhex("40F17DBE4900020001954378762B11FF0D")


def read(data: bytes) -> list[Record]:
    found = list(chirpstack.read(io.BytesIO(data), "x.pb"))
    assert b"".join(r.raw for r in found) == data
    return found


def test_a_stream_goes_on_after_bad_messages() -> None:
    good = wrap.delimited(wrap.uplink_frame_pb(PHY))
    noise = wrap.delimited(b"\x0b\x0c\x0d")
    empty_frame = wrap.delimited(wrap.uplink_frame_pb(b""))
    records = read(good + noise + empty_frame + b"\x00" + good)
    assert [r.reason for r in records] == ["", "bad_record", "bad_record", "bad_record", ""]
    assert [len(r.frames) for r in records] == [1, 0, 0, 0, 1]
    for cut in range(len(good) + 1, 2 * len(good)):
        records = read((good + good)[:cut])
        assert [(len(r.frames), r.reason) for r in records] == [(1, ""), (0, "truncated")]
    records = read(good + b"\xff" * 11 + good)
    assert [(len(r.frames), r.reason) for r in records] == [(1, ""), (0, "bad_record")]


def test_a_damaged_beginning_hides_nothing() -> None:
    message = wrap.uplink_frame_pb(PHY)
    bad = wrap.delimited(b"\x0b" + message[1:])
    assert chirpstack.sniff(bad + wrap.delimited(message))
    found = read(bad + wrap.delimited(message))
    assert [(len(r.frames), r.reason) for r in found] == [(0, "bad_record"), (1, "")]
    # Of one message alone, cut somewhere behind what tells its kind.
    (record,) = read(message[:-3])
    assert (record.frames, record.reason) == ((), "truncated")


def test_a_message_of_100_megabytes_costs_no_memory_and_only_itself() -> None:
    good = wrap.delimited(wrap.uplink_frame_pb(PHY))

    class Long(io.RawIOBase):
        def __init__(self) -> None:
            self.parts = [good + wrap.varint(100 << 20)] + [bytes(1 << 20)] * 100 + [good]

        def read(self, size: int = -1) -> bytes:
            part = self.parts.pop(0) if self.parts else b""
            if len(part) > size >= 0:
                self.parts.insert(0, part[size:])
            return part[:size] if size >= 0 else part

    tracemalloc.start()
    found = [(len(r.raw), len(r.frames), r.reason) for r in chirpstack.read(Long(), "x")]  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one[1:] for one in found if one[1] or one[2]] == [(1, ""), (0, "too_long"), (1, "")]
    assert sum(one[0] for one in found) == 2 * len(good) + 4 + (100 << 20)
    assert peak < 8 << 20


@pytest.mark.parametrize("data", [b"", b"\n", b"\x0a\x05hello", bytes(70000), b"\xa1\xb2\xc3\xd4" * 99])
def test_what_is_not_chirpstack_at_all(data: bytes) -> None:
    assert not chirpstack.sniff(data[:65536])
    with pytest.raises(InputError, match=r"x\.pb"):
        list(chirpstack.read(io.BytesIO(data), "x.pb"))


def test_a_disk_that_fails_is_an_unreadable_file() -> None:
    class Failing(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match=r"x\.pb"):
        list(chirpstack.read(Failing(), "x.pb"))  # type: ignore[arg-type]


def test_empty_messages_do_not_become_a_record_each() -> None:
    good = wrap.delimited(wrap.uplink_frame_pb(PHY))
    records = read(good + bytes(300000) + good)
    assert len(records) < 20 and [len(r.frames) for r in (records[0], records[-1])] == [1, 1]


def test_a_zero_in_several_bytes_is_passed_over() -> None:
    good = wrap.delimited(wrap.uplink_frame_pb(PHY))
    records = read(good + b"\x80\x80\x00" + b"\x80\x00\x00" + good)
    assert [(len(r.raw), r.reason) for r in records[1:-1]] == [
        (3, "bad_record"),
        (2, "bad_record"),
        (1, "bad_record"),
    ]
    assert [len(r.frames) for r in (records[0], records[-1])] == [1, 1]


def test_a_length_that_looks_like_json() -> None:
    rx = wrap.block(1, b"0102030405060708") + wrap.block(15, wrap.block(1, b"a" * 43))
    data = wrap.delimited(wrap.uplink_frame_pb(bytes(34), rx=rx))
    assert data[:3] == b'{\n"'
    assert [r.frames[0].data for r in read(data * 2)] == [bytes(34)] * 2


def test_a_message_above_a_megabyte_is_not_looked_into() -> None:
    good = wrap.uplink_frame_pb(PHY)
    for extra, reason in ((0, ""), (1, "too_long")):
        filler = (1 << 20) - len(good) - 5 + extra
        data = wrap.delimited(good) + wrap.delimited(good + wrap.block(99, bytes(filler)))
        found = read(data)
        assert [r.reason for r in found if r.frames or r.reason] == ["", reason]


def test_a_payload_that_looks_like_json() -> None:
    message = wrap.uplink_frame_pb(b'{"' + bytes(30))
    assert message[:4] == b'\n {"' and chirpstack.message(message).frames[0].data[:2] == b'{"'


def test_files_and_messages_of_json_come_in_by_the_same_door() -> None:
    text = f"{wrap.uplink_frame(PHY)}\r\n\n{wrap.uplink_event(b'test')}\n" + '{"rxpk": []}\n{"gatewayId'
    records = read(text.encode())
    assert [f.data for r in records for f in r.frames] == [PHY, b"test"]
    assert [r.reason for r in records if r.reason] == ["bad_record", "truncated"]
    for raw in (wrap.uplink_frame(PHY).encode(), wrap.uplink_frame_pb(PHY)):
        record = chirpstack.message(raw)
        assert (record.raw, record.frames[0].data, record.reason) == (raw, PHY, "")
    assert chirpstack.message(b"").reason == "bad_record"
    assert chirpstack.message(b'{"phy').reason == "bad_json"
    assert chirpstack.message(wrap.uplink_frame_pb(PHY)[:-1]).reason == "truncated"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 1 << 30), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, seed: int, near: bool) -> None:
    if near:
        good = bytearray(wrap.delimited(wrap.uplink_event_pb(b"x")) * 3)
        for n, byte in enumerate(data[:4]):
            good[(seed * (n + 1) * 7919) % len(good)] = byte
        data = bytes(good)
    chirpstack.sniff(data)
    with contextlib.suppress(InputError):
        read(data)


def test_damaged_streams_always_come_to_an_end_with_every_byte() -> None:
    rng = random.Random(5)
    whole = wrap.delimited(wrap.uplink_event_pb(b"x")) + wrap.delimited(wrap.uplink_frame_pb(PHY))
    for _ in range(1500):
        data = bytearray(whole * 2)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data))
            piece = rng.choice([b"\x80\x00", b"\x00", b"\xff" * 9 + b"\x01", data[at : at + 30], b""])
            data[at : at + rng.randint(0, 8)] = piece
        with contextlib.suppress(InputError):
            read(bytes(data))
