"""PHYPayloads taken apart: every field, every refusal by its name, hostile bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.lorawan import phy
from tests.host.lorawan_bench import accept, data_frame, ecb, request

KEY = bytes(range(16))
ADDR = 0x49BE7DF1


def test_a_published_uplink() -> None:
    # lora-packet, README.
    found = phy.parse(bytes.fromhex("40F17DBE4900020001954378762B11FF0D"))
    assert found == phy.Data(
        phy.UNCONFIRMED_UP, ADDR, 0, 2, b"", 1, bytes.fromhex("95437876"), bytes.fromhex("2b11ff0d")
    )
    assert (found.direction, found.confirmed, found.flags) == (phy.UP, False, frozenset())


def test_a_port_without_a_payload_and_none_at_all() -> None:
    found = phy.parse(bytes.fromhex("40F17DBE49000300012A3518AF"))
    assert isinstance(found, phy.Data)
    assert (found.fcnt, found.fport, found.body) == (3, 1, b"")
    found = phy.parse(bytes.fromhex("60f17dbe4920020001f9d65d27"))
    assert isinstance(found, phy.Data)
    assert (found.direction, set(found.flags), found.fport) == (phy.DOWN, {"ack"}, 1)
    # The shortest frame there is: no FOpts, no port (section 4.3).
    found = phy.parse(data_frame(ADDR, 7, KEY))
    assert isinstance(found, phy.Data)
    assert (found.fcnt, found.fopts, found.fport, found.body) == (7, b"", None, b"")


def test_fopts_and_port() -> None:
    found = phy.parse(bytes.fromhex("4004030201030000020305016a3798f5b64dc039"))
    assert isinstance(found, phy.Data)
    assert (found.dev_addr, found.fopts, found.fport, len(found.body)) == (0x01020304, b"\x02\x03\x05", 1, 4)
    found = phy.parse(data_frame(ADDR, 7, KEY, fopts=bytes(15)))
    assert isinstance(found, phy.Data)
    assert (found.fopts, found.fport) == (bytes(15), None)


@pytest.mark.parametrize(
    ("bits", "up", "down"),
    [
        (0b1000, {"adr"}, {"adr"}),
        (0b0100, {"adr_ack_req"}, set()),
        (0b0010, {"ack"}, {"ack"}),
        (0b0001, {"class_b"}, {"f_pending"}),
        (0b1111, {"adr", "adr_ack_req", "ack", "class_b"}, {"adr", "ack", "f_pending"}),
    ],
)
def test_flags(bits: int, up: set[str], down: set[str]) -> None:
    for flags, way in ((up, False), (down, True)):
        found = phy.parse(data_frame(ADDR, 1, KEY, bits=bits, down=way, confirmed=True))
        assert isinstance(found, phy.Data)
        assert (set(found.flags), found.confirmed, found.direction) == (flags, True, int(way))


def test_joins() -> None:
    found = phy.parse(bytes.fromhex("00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913"))
    assert found == phy.JoinRequest(
        bytes.fromhex("70B3D57ED00000DC"),
        bytes.fromhex("00AFEE7CF5ED6F1E"),
        0xCC85,
        bytes.fromhex("587fe913"),
    )
    cf_list = bytes.fromhex("184f84 e85684 b85e84 886684 586e84 00")
    sealed = accept(KEY, 0x010203, 0x13, ADDR, cf_list, settings=0x95, delay=0)
    found = phy.parse(sealed)
    assert found == phy.JoinAccept(sealed[1:])
    clear = phy.accept(ecb(KEY, found.sealed))
    assert clear == phy.Accept(
        0x010203, 0x13, ADDR, 1, 5, True, 1, cf_list, (867100000, 867300000, 867500000, 867700000, 867900000)
    )
    masks = bytes.fromhex("00ff 0000 0000 0000 0100 0000 000000 01")
    clear = phy.accept(ecb(KEY, accept(KEY, 1, 0, ADDR, masks, delay=15)[1:]))
    assert (clear.masks, clear.channels_hz, clear.rx_delay_s) == ((0xFF00, 0, 0, 0, 1, 0), (), 15)


def test_rejoins_of_1_1_by_name() -> None:
    dev_eui, join_eui = bytes(range(8)), bytes(range(8, 16))
    for kind in (0, 2):
        found = phy.parse(b"\xc0" + bytes((kind,)) + b"\x13\0\0" + dev_eui[::-1] + b"\x02\x01" + b"mic4")
        assert found == phy.Rejoin(kind, 0x13, b"", dev_eui, 0x0102, b"mic4")
    found = phy.parse(b"\xc0\x01" + join_eui[::-1] + dev_eui[::-1] + b"\x02\x01" + b"mic4")
    assert found == phy.Rejoin(1, None, join_eui, dev_eui, 0x0102, b"mic4")


def test_proprietary_frames_are_left_alone() -> None:
    assert phy.parse(b"\xe0") == phy.Proprietary(0xE0, b"")
    # Whatever stands in the other bits: their meaning is the owner's.
    assert phy.parse(b"\xff\x0a\x01") == phy.Proprietary(0xFF, b"\x0a\x01")


UPLINK = data_frame(ADDR, 1, KEY, KEY, 10, b"12345")
ASKED = request(KEY, bytes(8), bytes(8), 1)
ACCEPTED = accept(KEY, 1, 2, ADDR)
REFUSED = {
    "nothing": (b"", "truncated"),
    "over the radio's length": (UPLINK + bytes(256 - len(UPLINK)), "too_long"),
    "header only": (UPLINK[:1], "truncated"),
    "no room for FHDR and MIC": (UPLINK[:11], "truncated"),
    "RFU major": (bytes((UPLINK[0] | 1,)) + UPLINK[1:], "lorawan_major"),
    "RFU major of a join": (bytes((3,)) + ASKED[1:], "lorawan_major"),
    "FOpts beyond the frame": (data_frame(ADDR, 1, KEY)[:5] + b"\x01" + bytes(6), "fopts_length"),
    "FOpts into the MIC": (UPLINK[:5] + b"\x0f" + UPLINK[6:], "fopts_length"),
    "port 0 with FOpts": (data_frame(ADDR, 1, KEY, KEY, 0, b"\x02", fopts=b"\x02"), "fopts_port0"),
    "a short join request": (ASKED[:-1], "truncated"),
    "a long join request": (ASKED + b"\0", "lorawan_length"),
    "a short join accept": (ACCEPTED[:-1], "truncated"),
    "a join accept with half a CFList": (ACCEPTED + bytes(8), "lorawan_length"),
    "a rejoin without a type": (b"\xc0", "truncated"),
    "a rejoin of no type": (b"\xc0\x03" + bytes(22), "rejoin_type"),
    "a short rejoin": (b"\xc0\x01" + bytes(21), "truncated"),
    "a long rejoin": (b"\xc0\x00" + bytes(22), "lorawan_length"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_have_names(case: str) -> None:
    data, reason = REFUSED[case]
    with pytest.raises(phy.BadFrame) as caught:
        phy.parse(data)
    assert caught.value.args == (reason,)


def test_rfu_bits_are_ignored() -> None:
    # Section 1.1: a receiver ignores them silently.
    found = phy.parse(bytes((UPLINK[0] | 0b11100,)) + UPLINK[1:])
    assert isinstance(found, phy.Data)
    assert (found.mtype, found.fport) == (phy.UNCONFIRMED_UP, 10)


@given(st.binary(max_size=260))
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = phy.parse(data)
    except phy.BadFrame as e:
        assert e.args[0] in {reason for _, reason in REFUSED.values()}
        return
    assert found.mtype == data[0] >> 5
    if isinstance(found, phy.Data):
        # Nothing is lost and nothing is read twice.
        port = b"" if found.fport is None else bytes((found.fport,))
        assert data[8:] == found.fopts + port + found.body + found.mic
        assert len(found.fopts) == data[5] & 15


@given(
    addr=st.integers(0, 2**32 - 1),
    fcnt=st.integers(0, 2**32 - 1),
    fopts=st.binary(max_size=15),
    port=st.none() | st.integers(1, 255),
    payload=st.binary(max_size=200),
    down=st.booleans(),
    confirmed=st.booleans(),
    bits=st.integers(0, 15),
)
@settings(max_examples=100, deadline=None)
def test_what_is_sent_is_what_is_read(
    addr: int,
    fcnt: int,
    fopts: bytes,
    port: int | None,
    payload: bytes,
    down: bool,
    confirmed: bool,
    bits: int,
) -> None:
    sent = data_frame(
        addr, fcnt, KEY, KEY, port, payload, fopts=fopts, down=down, confirmed=confirmed, bits=bits
    )
    found = phy.parse(sent)
    assert isinstance(found, phy.Data)
    assert (found.dev_addr, found.fcnt, found.fopts, found.fport) == (addr, fcnt & 0xFFFF, fopts, port)
    assert (found.direction, found.confirmed, found.fctrl >> 4) == (down, confirmed, bits)
    assert len(found.body) == (0 if port is None else len(payload))
