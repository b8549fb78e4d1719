"""LoRaTap headers of both versions: every field there and back, and what no frame can hold by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.formats import loratap
from host_tools.frames import UNKNOWN, Frame, Radio
from tests.formats import wrap_pcap

FRAME = bytes.fromhex("40F17DBE4900020001954378762B11FF0D")
GATEWAY = bytes.fromhex("b827ebfffe87bd11")
FULL = Radio(868300000, 12, 250000, -111 * 4 - 3, -30, 0x12, 7, 3_512_348_611, 5, 1, "ok")


def test_every_field_of_version_1_as_the_page_says() -> None:
    record = wrap_pcap.loratap(
        FRAME, version=1, freq_hz=868300000, sf=12, bw_hz=250000, rssi_dbm=-111.75, snr_db=-7.5, sync=0x12,
        gateway="b827ebfffe87bd11", tmst=3_512_348_611, flags=0x08, coding=7, channel=5, chain=1,
    )  # fmt: skip
    assert loratap.pack(FULL, FRAME, 1, GATEWAY) == record
    assert loratap.parse(record) == loratap.Header(FULL, GATEWAY, (), FRAME)
    assert loratap.unpack(record) == (FULL, FRAME)


def test_version_0_is_the_default_and_says_what_it_cannot_hold() -> None:
    record = loratap.pack(FULL, FRAME, gateway=GATEWAY)
    assert len(record) == 15 + len(FRAME)
    plain = Radio(868300000, 12, 250000, -111 * 4 - 3, -30, 0x12)
    assert loratap.parse(record) == loratap.Header(plain, b"", (), FRAME)
    assert loratap.radio_lost(FULL) == ("coding_rate", "counter_us", "channel", "chain", "crc")
    assert loratap.radio_lost(FULL, 1) == ()
    assert loratap.radio_lost(plain) == ()
    assert {"radio.chain", "gateway"} <= loratap.HOLDS[1] - loratap.HOLDS[0]


@pytest.mark.parametrize(
    ("flags", "crc", "others"),
    [
        (0x00, "", ()),
        (0x08, "ok", ()),
        (0x10, "bad", ()),
        (0x20, "none", ()),
        (0x18, "", ("loratap.flags.crc",)),
        (0x09, "ok", ("loratap.flags.mod_fsk",)),
        (0x0A, "ok", ("loratap.flags.iq_inverted",)),
        (0x24, "none", ("loratap.flags.implicit_hdr",)),
        (0xC8, "ok", ("loratap.flags.padding",)),
    ],
)
def test_flags(flags: int, crc: str, others: tuple[str, ...]) -> None:
    head = loratap.parse(wrap_pcap.loratap(FRAME, version=1, flags=flags))
    assert (head.radio.crc, head.others, head.frame) == (crc, others, FRAME)
    if crc and not others:
        assert loratap.pack(head.radio, FRAME, 1)[27] == flags


def test_what_no_frame_can_hold_is_named() -> None:
    head = loratap.parse(wrap_pcap.loratap(FRAME, version=1, datarate=50000, tag=7))
    assert head.others == ("loratap.datarate", "loratap.tag")
    record = bytearray(wrap_pcap.loratap(FRAME))
    record[11] = 60
    assert loratap.parse(bytes(record)).others == ("loratap.max_rssi",)


def test_unknown_values_stay_unknown() -> None:
    for version in loratap.VERSIONS:
        record = loratap.pack(UNKNOWN, FRAME, version)
        assert loratap.parse(record) == loratap.Header(UNKNOWN, b"", (), FRAME)
    assert loratap.pack(UNKNOWN, b"", 1)[10:13] == b"\xff\xff\xff"
    head = loratap.parse(wrap_pcap.loratap(FRAME, version=1, rssi_dbm=116, snr_db=1))
    assert head.radio.rssi_qdbm == UNKNOWN.rssi_qdbm


def test_a_longer_header_is_skipped_to_its_length() -> None:
    known = wrap_pcap.loratap(b"", version=1, gateway="b827ebfffe87bd11")
    later = known[:2] + bytes((0, 40)) + known[4:] + b"later"
    assert loratap.parse(later + FRAME).others == ("loratap.length",)
    assert loratap.parse(later + FRAME).frame == FRAME
    head = loratap.parse(b"\x02" + later[1:] + FRAME)
    assert (head.others, head.gateway, head.frame) == (("loratap.version", "loratap.length"), GATEWAY, FRAME)
    for bad in (known[:-1], b"\x01" + wrap_pcap.loratap(FRAME)[1:], later[:-1], b""):
        with pytest.raises(loratap.BadHeader):
            loratap.parse(bad)


def test_both_versions_of_one_traffic_give_the_same_frame() -> None:
    for dbm, snr in ((-80, 8), (-130, -5.25), (-100.5, -0.25), (-139, 0)):
        found = [
            loratap.frame_of(wrap_pcap.loratap(FRAME, version=v, rssi_dbm=dbm, snr_db=snr), 5) for v in (0, 1)
        ]
        assert found[0][0].radio.rssi_qdbm == found[1][0].radio.rssi_qdbm == dbm * 4
        radio = replace(found[1][0].radio, coding_rate=0, crc="", channel=None, chain=None)
        assert found[0] == (Frame(FRAME, 5, radio), ())


def test_a_cut_record_is_kept_as_it_came() -> None:
    record = wrap_pcap.loratap(FRAME)
    assert loratap.frame_of(record, 7, cut=True)[0] == Frame(record, 7, reason="truncated")
    assert loratap.frame_of(record[:9], 7, gateway=GATEWAY)[0] == Frame(
        record[:9], 7, reason="truncated", gateway=GATEWAY
    )
    assert loratap.frame_of(record, 7, gateway=GATEWAY)[0].gateway == GATEWAY


words = st.integers(-(1 << 40), 1 << 40)


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Radio, words, words, words, words, words, words, words, st.none() | words, st.none() | words, words,
        st.sampled_from(["", "ok", "bad", "none"]),
    ),
    st.sampled_from(loratap.VERSIONS),
    st.binary(max_size=12),
)  # fmt: skip
def test_any_values_give_a_header_that_is_read(radio: Radio, version: int, gateway: bytes) -> None:
    head = loratap.parse(loratap.pack(radio, FRAME, version, gateway))
    assert head.frame == FRAME
    # What was read once is held from then on.
    assert loratap.radio_lost(head.radio, version) == ()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_frame_or_a_reason(record: bytes) -> None:
    frame, _ = loratap.frame_of(record, 0)
    assert frame.reason == "truncated" or record.endswith(frame.data)
