"""JSON of every kind in one file, all formats over any bytes, and what hostile names and clocks come to."""

from __future__ import annotations

import io
import json
import re
import time
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.errors import InputError
from host_tools.formats import gwmp, hexlines, jsonlines, lns
from host_tools.frames import Record
from tests.formats import wrap_chirpstack, wrap_gwmp, wrap_hex, wrap_lns, wrap_tts
from tests.host.test_formats_json import FRAME, JSON, RADIO, REASONS, Drip


def recorded(data: bytes) -> list[Record]:
    found = list(jsonlines.read(io.BytesIO(data), "x"))
    assert b"".join(r.raw for r in found) == data
    return found


def test_one_file_may_hold_every_kind() -> None:
    data = (
        wrap_gwmp.wrap(FRAME, **RADIO)
        + b'{"stat":{"rxnb":1}}\n'
        + wrap_lns.wrap(FRAME, **RADIO)
        + b'{"x":1}\n'
    )
    found = recorded(data)
    assert [len(r.frames) for r in found] == [1, 0, 1, 0]
    assert found[0].frames[0].data == found[2].frames[0].data == FRAME
    assert [r.reason for r in found] == ["", "", "", "bad_record"]
    assert found[1].others == ("stat",)
    assert jsonlines.sniff(data) and not jsonlines.sniff(b"40F1") and not jsonlines.sniff(b"")


def test_servers_speak_in_the_same_file() -> None:
    lines = [
        wrap_tts.line(wrap_tts.uplink_message(FRAME)).encode().rstrip() + b"\n",
        wrap_chirpstack.uplink_frame(FRAME).encode().rstrip() + b"\n",
        wrap_gwmp.wrap(FRAME, **RADIO),
        wrap_lns.wrap(FRAME, **RADIO),
    ]
    for order in (lines, lines[::-1]):
        for data in (b"".join(order), b"[" + b",".join(order) + b"]"):
            found = [r for r in recorded(data) if r.frames or r.reason]
            assert [[f.data for f in r.frames] for r in found] == [[FRAME]] * 4


def test_a_live_message_is_read_as_a_line_of_a_file_is() -> None:
    line = wrap_gwmp.wrap(FRAME, **RADIO)
    assert jsonlines.message(line) == recorded(line)[0]
    assert jsonlines.message(b"[]").reason == "bad_record"
    assert jsonlines.message(b"{").reason == "bad_json"


def test_what_a_name_could_do_to_a_terminal_stays_in_the_record() -> None:
    evil = {f"\x1b[2J{n}": n for n in range(50)} | {"a" * 5000: 1, "../x": 2, "ok_name": 3}
    packet = wrap_gwmp.heard(FRAME, **RADIO) | evil
    (record,) = recorded(json.dumps({"rxpk": [packet], "\x1b]0;x\x07": 1}).encode())
    assert record.frames[0].data == FRAME
    assert record.others == ("?", "rxpk.?", "rxpk.ok_name")
    many = {f"n{n}": n for n in range(1000)}
    (record,) = recorded(json.dumps({"rxpk": [wrap_gwmp.heard(FRAME, **RADIO) | many]}).encode())
    assert len(record.others) <= 32 and "rxpk.?" in record.others
    (record,) = recorded(json.dumps({"msgtype": "\x1b[31m"}).encode())
    assert record.others == ("?",)


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1970-01-01T00:00:00.000001Z", 1),
        ("2106-02-07T06:28:16.000000Z", 4_294_967_296_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_clocks_far_from_today_are_kept(text: str, time_us: int) -> None:
    line = wrap_gwmp.wrap(FRAME, **RADIO).replace(b"2026-01-28T15:00:00.250001Z", text.encode())
    (record,) = recorded(line)
    assert (record.frames[0].time_us, record.others) == (time_us, ())
    (again,) = recorded(gwmp.pack(record.frames[0]))
    assert again.frames == record.frames


@pytest.mark.parametrize(
    "text", ["1969-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "now", ""]
)
def test_a_time_that_is_none_is_named(text: str) -> None:
    line = wrap_gwmp.wrap(FRAME, **RADIO).replace(b"2026-01-28T15:00:00.250001Z", text.encode())
    (record,) = recorded(line)
    assert (record.frames[0].time_us, record.others) == (0, ("rxpk.time",))


def test_a_stream_that_fails_is_the_only_error() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    for fmt in (jsonlines, gwmp, lns, hexlines):
        with pytest.raises(InputError):
            list(fmt.read(cast(BinaryIO, Broken()), "x"))


WRAPPED = [wrap_gwmp.wrap(FRAME, **RADIO), wrap_lns.wrap(FRAME, **RADIO), wrap_hex.wrap(FRAME, time_us=5)]
WORDS = [b'"rxpk"', b'"msgtype":"updf"', b"null", b"1e999", b"\xff", b"\n", b"\r", b"\\"]
PIECES = st.sampled_from([*(bytes((c,)) for c in b'{}[],:" '), *WORDS, *WRAPPED])
BYTES = st.binary(max_size=200) | st.lists(PIECES, max_size=12).map(b"".join)


@settings(max_examples=80, deadline=None)
@given(BYTES, st.integers(1, 40))
def test_any_bytes_are_records_that_joined_are_those_bytes(data: bytes, size: int) -> None:
    for fmt in (jsonlines, gwmp, lns, hexlines):
        found = list(fmt.read(io.BytesIO(data), "x"))
        assert b"".join(r.raw for r in found) == data
        assert list(fmt.read(cast(BinaryIO, Drip(data, size)), "x")) == found
        assert all(r.reason in ("", *REASONS) for r in found)
        assert all(re.fullmatch(r"[A-Za-z0-9_.?-]{1,64}", name) for r in found for name in r.others)
        fmt.sniff(data)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(["rxpk", "txpk", "msgtype", "upinfo", "DRs", "region"]), JSON), JSON)
def test_any_object_makes_a_record(value: dict[str, Any], packet: Any) -> None:
    for made in (
        value,
        {"rxpk": [packet, packet]},
        {"txpk": packet},
        {**value, "msgtype": "updf"},
        {**value, "msgtype": "jreq", "upinfo": packet},
        {**value, "msgtype": "router_config"},
        {
            "msgtype": "updf",
            "MHdr": 64,
            "DevAddr": 1,
            "FCtrl": 0,
            "FCnt": 0,
            "MIC": 0,
            "upinfo": packet,
            "DR": packet,
        },
        {
            "rxpk": [
                {
                    "data": "QPE=",
                    "rsig": packet,
                    "datr": packet,
                    "time": packet,
                    "freq": packet,
                    "stat": packet,
                }
            ]
        },
    ):
        text = json.dumps(made).encode()
        for fmt in (jsonlines, gwmp, lns):
            assert b"".join(r.raw for r in fmt.read(io.BytesIO(text), "x")) == text


@pytest.mark.parametrize("fmt", [jsonlines, gwmp, lns, hexlines])
def test_sniffing_takes_time_in_proportion(fmt: Any) -> None:
    def cost(head: bytes) -> float:
        start = time.process_time()
        assert not fmt.sniff(head)
        return time.process_time() - start

    for rubbish in (b" ", b"[ ", b"\n", b'"stat" ', b"4 ", b"4" * 9 + b" ", b"#\n", b"{ "):
        # Half a second would be ten thousand looks at each byte.
        assert cost((rubbish * 65536)[:65535] + b"!") < 0.5
