"""ChirpStack v4 in JSON and protobuf: published frames, its own classes, hostile messages, both directions."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.formats import chirpstack
from host_tools.formats.jsontext import BadRecord, loads
from host_tools.frames import UNKNOWN, Frame, Network, Radio, Record
from tests.conftest import package
from tests.formats import wrap_chirpstack as wrap

# PHYPayloads and FRMPayloads as published: anthonykirby/lora-packet, brocaar/lorawan phypayload_test.go,
# TheThingsNetwork/lorawan-stack pkg/crypto (a join accept, with its MHDR).
PHY = [
    bytes.fromhex(text)
    for text in (
        "40F17DBE4900020001954378762B11FF0D",
        "40F17DBE49000300012A3518AF",
        "60f17dbe4920020001f9d65d27",
        "400403020180010001a694642615d6c3b582",
        "4004030201030000020305016a3798f5b64dc039",
        "40040302010000000069369eee6aa508",
        "00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913",
        "20493eeb51fba2116f810edb3742975142",
        "20c9fbb259e11649096a568a9e3b7117c3",
    )
]
FRM = [b"test", b"", b"hello", bytes.fromhex("020305")]
EUI = bytes(range(1, 9))
RADIO = Radio(868100000, 7, 125000, -35 * 4, 21, coding_rate=5, counter_us=1234, channel=2, crc="ok")
TIME_US = 1662813015_000000
NETWORK = Network(bytes.fromhex("0011223344556677"), 0x49BE7DF1, 2, 1)
EVENT_OTHERS = {
    "deduplicationId",
    "time",
    "adr",
    "dr",
    "deviceInfo.tenantName",
    "deviceInfo.deviceName",
    "rxInfo.uplinkId",
    "rxInfo.metadata",
}


def of_json(text: str | bytes) -> tuple[tuple[Frame, ...], set[str]]:
    value = loads(text.encode() if isinstance(text, str) else text)
    assert chirpstack.claims(value)
    frames, others = chirpstack.frames(value)
    return frames, set(others)


def read(data: bytes) -> list[Record]:
    found = list(chirpstack.read(io.BytesIO(data), "x.pb"))
    assert b"".join(r.raw for r in found) == data
    return found


def refused(value: Any) -> str:
    with pytest.raises(BadRecord) as caught:
        chirpstack.frames(value)
    return caught.value.reason


@pytest.mark.parametrize("frame", PHY, ids=bytes.hex)
def test_published_frames_at_the_gateway(frame: bytes) -> None:
    wanted = Frame(frame, TIME_US, RADIO, gateway=EUI)
    assert of_json(wrap.uplink_frame(frame)) == ((wanted,), {"rxInfo.uplinkId", "rxInfo.metadata"})
    message = wrap.uplink_frame_pb(frame)
    assert chirpstack.frames_protobuf(message) == ((wanted,), ("rxInfo.metadata", "rxInfo.uplinkId"))
    assert chirpstack.sniff(message) and chirpstack.sniff(wrap.delimited(message) * 2)
    assert [r.frames for r in read(message)] == [(wanted,)]
    # And written: whole, in both forms.
    assert of_json(chirpstack.pack(wanted)) == ((wanted,), set())
    assert chirpstack.frames_protobuf(chirpstack.pack_protobuf(wanted)) == ((wanted,), ())


@pytest.mark.parametrize("payload", FRM, ids=bytes.hex)
def test_published_payloads_at_the_application(payload: bytes) -> None:
    wanted = Frame(payload, TIME_US, RADIO, gateway=EUI, network=NETWORK)
    more = {"deviceInfo.tenantId", "deviceInfo.tags"}
    assert of_json(wrap.uplink_event(payload)) == ((wanted,), EVENT_OTHERS | more)
    message = wrap.uplink_event_pb(payload)
    frames, others = chirpstack.frames_protobuf(message)
    assert (frames, set(others)) == ((wanted,), EVENT_OTHERS)
    assert of_json(chirpstack.pack(wanted)) == ((wanted,), set())
    assert chirpstack.frames_protobuf(chirpstack.pack_protobuf(wanted)) == ((wanted,), ())


def test_what_a_forwarder_makes_of_a_published_packet() -> None:
    # chirpstack-mqtt-forwarder, tests/semtech_udp_test.rs at commit 08ece1cd0532: the rxpk of its PUSH_DATA and
    # the UplinkFrame that it expects; 5.1 dB lies between two quarters.
    message = wrap.uplink_frame_pb(b"\1\2\3", rx=wrap.rx_info_pb(snr_db=5.1))
    frames, others = chirpstack.frames_protobuf(message)
    wanted = Radio(868100000, 7, 125000, -140, 20, coding_rate=5, counter_us=1234, channel=2, crc="ok")
    assert frames == (Frame(b"\1\2\3", TIME_US, wanted, gateway=EUI),)
    assert "rxInfo.snr" in others


def test_each_gateway_is_a_reception_and_none_is_taken_for_another() -> None:
    rx = [wrap.rx_info(gateway=f"{n:016x}", rssi_dbm=-100 - n, tmst=n) for n in (1, 2, 2)]
    rx[1].pop("gwTime")
    rx[1]["nsTime"] = "2022-09-10T12:30:15.25Z"
    rx[2].pop("gwTime")
    frames, others = of_json(wrap.uplink_event(b"x", rx=rx))
    assert [int.from_bytes(f.gateway, "big") for f in frames] == [1, 2, 2]
    assert [f.radio.rssi_qdbm for f in frames] == [-404, -408, -408]
    assert [f.time_us - TIME_US for f in frames] == [0, 250_000, 1_000_000]
    assert "time" not in others
    alone, _ = of_json(wrap.uplink_event(b"x", rx=[]))
    assert [(f.gateway, f.time_us, f.radio.freq_hz) for f in alone] == [(b"", TIME_US + 1_000_000, 868100000)]
    one = json.loads(wrap.uplink_frame(b"x")) | {"rxInfo": rx}
    assert len(chirpstack.frames(one)[0]) == 3
    whole = wrap.block(1, b"x") + wrap.block(2, wrap.tx_info_pb()) + wrap.block(3, wrap.rx_info_pb()) * 2
    assert len(chirpstack.frames_protobuf(whole)[0]) == 2


def test_names_of_the_proto_file_text_numbers_and_url_safe_base64() -> None:
    rx = {"gateway_id": "01020304050607FF", "rf_chain": "1", "crc_status": 1, "rssi": "-35", "snr": "-7.5"}
    tx = {"frequency": "868300000", "modulation": {"lora": {"spreading_factor": 9, "code_rate": "2"}}}
    event = {
        "device_info": {"dev_eui": "0011223344556677"},
        "f_cnt": "4294967295",
        "data": "-_8",
        "rx_info": [rx],
    }
    frames, others = of_json(json.dumps({**event, "tx_info": tx, "time": None, "object": {"a": 1}}))
    radio = Radio(868300000, 9, 125000, -140, -30, coding_rate=6, chain=1, crc="bad")
    network = Network(bytes.fromhex("0011223344556677"), None, 0xFFFFFFFF, 0)
    assert frames == (Frame(b"\xfb\xff", 0, radio, "", bytes.fromhex("01020304050607ff"), network),)
    assert others == {"object"}
    assert refused({**event, "fCnt": 1}) == "bad_record"


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("2106-02-07T06:28:16.000000999Z", 4294967296_000000),
        ("2022-09-10T14:30:15.123456789+02:00", TIME_US + 123456),
        ({"seconds": "1662813015", "nanos": 5000}, TIME_US + 5),
        ("0001-01-01T00:00:00Z", None),
        ("9999-99-99T00:00:00Z", None),
        ({"seconds": -5}, None),
        ("yesterday", None),
        (["2022"], None),
    ],
)
def test_clocks(told: object, wanted: int | None) -> None:
    rx = wrap.rx_info() | {"gwTime": told}
    (frame,), others = of_json(wrap.uplink_frame(b"x", rx=rx))
    assert frame.time_us == (wanted or 0)
    assert ("time" in others) == (wanted is None)


def test_gps_time_where_no_other_is_told() -> None:
    # 18 leap seconds since 2017; 17 in 2016 (IERS bulletin C).
    rx = {"timeSinceGpsEpoch": "1346848233.5s"}
    (frame,), _ = of_json(wrap.uplink_frame(b"x", rx=rx))
    assert frame.time_us == TIME_US + 500_000
    message = wrap.block(1, b"0102030405060708") + wrap.block(4, wrap.timestamp(1346848233_500000000))
    (frame,), _ = chirpstack.frames_protobuf(wrap.uplink_frame_pb(b"x", rx=message))
    assert frame.time_us == TIME_US + 500_000


def test_other_modulations_and_contexts_are_named() -> None:
    tx = {"frequency": 868800000, "modulation": {"fsk": {"datarate": 50000}}}
    (frame,), others = of_json(
        wrap.uplink_frame(b"x", tx=tx, rx=wrap.rx_info() | {"context": "AAAAAAAAAAA="})
    )
    assert (frame.radio.sf, frame.radio.counter_us, frame.radio.freq_hz) == (0, None, 868800000)
    assert {"txInfo.modulation.fsk", "rxInfo.context"} <= others
    lora = {"spreadingFactor": 7, "codeRate": "CR_LI_4_5"}
    (frame,), others = of_json(wrap.uplink_frame(b"x", tx={"modulation": {"lora": lora}}))
    assert frame.radio.coding_rate == 0 and "txInfo.modulation.lora.codeRate" in others
    fsk = wrap.number(1, 868800000) + wrap.block(2, wrap.block(4, wrap.number(2, 50000)))
    assert "txInfo.modulation.fsk" in chirpstack.frames_protobuf(wrap.uplink_frame_pb(b"x", tx=fsk))[1]


DEVICE = {"devEui": "0011223344556677", "deviceName": "n"}
NO_FRAME = [
    {"deduplicationId": "a", "time": "2022-09-10T12:30:15Z", "deviceInfo": DEVICE, "devAddr": "01020304"},
    {"deduplicationId": "a", "deviceInfo": DEVICE, "queueItemId": "b", "acknowledged": True, "fCntDown": 3},
    {"downlinkId": 5, "deviceInfo": DEVICE, "fCntDown": 3, "gatewayId": "0102030405060708", "txInfo": {}},
    {"time": "2022-09-10T12:30:15Z", "deviceInfo": DEVICE, "level": "ERROR", "description": "x"},
    {"deviceInfo": DEVICE, "margin": 7, "batteryLevel": 99.5},
    {"deviceInfo": DEVICE, "location": {"latitude": 46.2}},
    {"deviceInfo": DEVICE, "integrationName": "loracloud", "eventType": "x", "object": {}},
    {"gatewayId": "0102030405060708", "time": "2022-09-10T12:30:15Z", "rxPacketsReceived": 4},
    {"gatewayId": "0102030405060708", "downlinkId": 5, "items": [{"status": "OK"}]},
    {"gatewayId": "0102030405060708", "state": "ONLINE"},
]


@pytest.mark.parametrize("value", NO_FRAME, ids=str)
def test_events_without_a_frame(value: dict[str, object]) -> None:
    assert chirpstack.claims(value)
    frames, others = chirpstack.frames(value)
    assert not frames and set(others) == {name for name, told in value.items() if told}


def test_events_without_a_frame_in_protobuf() -> None:
    device = wrap.block(7, b"n") + wrap.block(8, b"0011223344556677")
    base = wrap.block(1, b"u" * 36) + wrap.block(2, wrap.timestamp(10**18)) + wrap.block(3, device)
    join = base + wrap.block(4, b"01020304")
    ack = base + wrap.block(4, b"q" * 36) + wrap.number(5, 1) + wrap.number(6, 3)
    tx_ack = wrap.number(1, 5) + wrap.block(3, device) + wrap.block(4, b"q" * 36) + wrap.number(5, 3)
    tx_ack += wrap.block(6, b"0102030405060708") + wrap.block(7, wrap.tx_info_pb())
    log = wrap.block(1, wrap.timestamp(10**18)) + wrap.block(2, device) + wrap.number(3, 2)
    status = base + wrap.number(5, 7) + wrap.number(7, 1) + b"\x45\x00\x00\xc7\x42"
    stats = wrap.block(2, wrap.timestamp(10**18)) + wrap.number(5, 4) + wrap.block(17, b"0102030405060708")
    messages = [join, ack, tx_ack, log, status, stats, wrap.uplink_frame_pb(b"x")]
    records = read(b"".join(wrap.delimited(m) for m in messages))
    assert [(len(r.frames), r.reason) for r in records] == [(0, "")] * 6 + [(1, "")]
    assert all(r.others for r in records)


def test_an_uplink_event_of_few_fields_is_told_from_others_in_protobuf() -> None:
    base = wrap.block(3, wrap.block(8, b"0011223344556677"))
    address = wrap.block(4, b"49be7df1")
    few = {
        base + wrap.block(10, b"x"): Network(NETWORK.dev_eui, None, 0, 0),
        base + address + wrap.number(7, 9): replace(NETWORK, fcnt=9, fport=0),
        base + address + wrap.number(8, 9): replace(NETWORK, fcnt=0, fport=9),
        base + address + wrap.block(12, b""): replace(NETWORK, fcnt=0, fport=0),
        base + address + wrap.block(13, b""): replace(NETWORK, fcnt=0, fport=0),
    }
    for message, network in few.items():
        (frame,), _ = chirpstack.frames_protobuf(message)
        assert frame.network == network
    assert not chirpstack.frames_protobuf(base + address)[0]


def test_a_downlink_is_one_frame_whatever_its_windows() -> None:
    item = {"phyPayload": base64.b64encode(PHY[7]).decode(), "txInfo": wrap.tx_info(sf=9)}
    later = {"phyPayload": item["phyPayload"], "txInfo": wrap.tx_info(869525000, 12)}
    value = {"downlinkId": 5, "gatewayId": "0102030405060708", "items": [item, later]}
    (frame,), others = of_json(json.dumps(value))
    assert (frame.data, frame.gateway, frame.radio.sf, frame.time_us) == (PHY[7], EUI, 9, 0)
    one = wrap.block(1, PHY[7]) + wrap.block(3, wrap.number(1, 868100000) + wrap.number(2, 14))
    message = wrap.number(3, 5) + wrap.block(5, one) * 2 + wrap.block(7, b"0102030405060708")
    (frame,), others = chirpstack.frames_protobuf(message)[0], set(chirpstack.frames_protobuf(message)[1])
    assert (frame.data, frame.gateway, frame.radio.freq_hz) == (PHY[7], EUI, 868100000)
    assert others == {"downlinkId", "items.txInfo.power"}


def test_a_gateways_own_event_holds_its_uplink() -> None:
    message = wrap.block(1, wrap.uplink_frame_pb(PHY[0]))
    assert chirpstack.frames_protobuf(message)[0][0].data == PHY[0]
    assert of_json(json.dumps({"uplinkFrame": json.loads(wrap.uplink_frame(PHY[0]))}))[0][0].data == PHY[0]


def test_a_payload_that_only_its_application_can_open_is_no_frame() -> None:
    value = json.loads(wrap.uplink_event(b"x"))
    assert chirpstack.frames(value | {"joinServerContext": {}})[0]
    assert refused(value | {"joinServerContext": {"sessionKeyId": "ab"}}) == "no_key"


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        ("phyPayload", "", "bad_record"),
        ("phyPayload", None, "bad_record"),
        ("phyPayload", "A", "bad_record"),
        ("phyPayload", "QUJ\n", "bad_record"),
        ("phyPayload", "Q=Q=", "bad_record"),
        ("phyPayload", 5, "bad_record"),
        ("phyPayload", ["QUJD"], "bad_record"),
        ("phyPayload", base64.b64encode(bytes(256)).decode(), "too_long"),
        ("txInfo", [], "bad_record"),
        ("txInfo", {"frequency": -1}, "bad_record"),
        ("txInfo", {"frequency": 1 << 32}, "bad_record"),
        ("txInfo", {"frequency": 868.1}, "bad_record"),
        ("txInfo", {"frequency": True}, "bad_record"),
        ("txInfo", {"modulation": {"lora": {"spreadingFactor": 13}}}, "bad_record"),
        ("txInfo", {"modulation": {"lora": 7}}, "bad_record"),
        ("rxInfo", "x", "bad_record"),
        ("rxInfo", [5], "bad_record"),
        ("rxInfo", [{}] * 1025, "too_many"),
        ("rxInfo", {"gatewayId": "0102"}, "bad_record"),
        ("rxInfo", {"gatewayId": "010203040506070g"}, "bad_record"),
        ("rxInfo", {"gatewayId": "0102030405060708\x00"}, "bad_record"),
        ("rxInfo", {"rssi": "loud"}, "bad_record"),
        ("rxInfo", {"rssi": 10**400}, "bad_record"),
        ("rxInfo", {"snr": "NaN"}, "bad_record"),
        ("rxInfo", {"snr": "1e99"}, "bad_record"),
        ("rxInfo", {"channel": -1}, "bad_record"),
        ("rxInfo", {"crcStatus": []}, "bad_record"),
    ],
)
def test_wrong_fields_are_refused_by_name(where: str, value: object, reason: str) -> None:
    assert refused(json.loads(wrap.uplink_frame(b"x")) | {where: value}) == reason


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("fPort", 256),
        ("fCnt", 1 << 32),
        ("devAddr", "0102030"),
        ("deviceInfo", {"devEui": "0102"}),
        ("confirmed", 1),
        ("data", "*"),
        ("deviceInfo", "x"),
    ],
)
def test_wrong_fields_of_an_event_are_refused(where: str, value: object) -> None:
    assert refused(json.loads(wrap.uplink_event(b"x")) | {where: value}) == "bad_record"


def test_names_from_outside_cannot_act_and_cannot_grow() -> None:
    value: dict[str, Any] = json.loads(wrap.uplink_event(b"x", name="\x1b[2Jlamp\x00"))
    frames, others = chirpstack.frames(
        value | {"\x1b[31m\x00": 1, "../../etc": 2} | {f"k{n}": n for n in range(1, 999)}
    )
    assert len(frames) == 1 and len(others) <= 32
    assert all(name.isprintable() for name in others)


def test_what_it_does_not_claim() -> None:
    values: tuple[dict[str, Any], ...] = (
        {},
        {"rxpk": []},
        {"msgtype": "updf", "phyPayload": ""},
        {"end_device_ids": {}},
        {"gatewayId": "x"},
    )
    assert not any(chirpstack.claims(value) for value in values)


def test_of_rssi_only_whole_decibels_are_written_and_a_record_that_is_no_frame_not_at_all() -> None:
    frame = Frame(b"x", TIME_US, replace(RADIO, rssi_qdbm=-35 * 4 - 1))
    assert of_json(chirpstack.pack(frame))[0][0].radio.rssi_qdbm == -140
    assert json.loads(chirpstack.pack(frame))["rxInfo"]["rssi"] == -35
    bad = Frame(b"x", 0, UNKNOWN, "truncated")
    assert chirpstack.pack(bad) == chirpstack.pack_protobuf(bad) == b""


RADIOS = st.builds(
    Radio,
    freq_hz=st.integers(0, 0xFFFFFFFF),
    sf=st.integers(5, 12),
    bw_hz=st.sampled_from((125000, 250000, 500000)),
    rssi_qdbm=st.integers(-150, 20).map(lambda n: n * 4),
    snr_qdb=st.integers(-128, 127),
    coding_rate=st.sampled_from((0, 5, 6, 7, 8)),
    counter_us=st.none() | st.integers(0, 0xFFFFFFFF),
    channel=st.none() | st.integers(0, 255),
    chain=st.none() | st.integers(0, 255),
    crc=st.sampled_from(("", "ok", "bad", "none")),
)
NETWORKS = st.builds(
    Network,
    dev_eui=st.sampled_from((b"", EUI)),
    dev_addr=st.none() | st.integers(0, 0xFFFFFFFF),
    fcnt=st.integers(0, 0xFFFFFFFF),
    fport=st.integers(0, 255),
    confirmed=st.booleans(),
)
FRAMES = st.builds(
    Frame,
    data=st.binary(min_size=1, max_size=255),
    time_us=st.integers(0, 253402300799_999999),
    radio=RADIOS,
    gateway=st.sampled_from((b"", EUI)),
    network=st.none() | NETWORKS,
)


@settings(max_examples=60, deadline=None)
@given(FRAMES)
def test_what_is_written_is_read(frame: Frame) -> None:
    assert of_json(chirpstack.pack(frame)) == ((frame,), set())
    named = (frame.network is None and (frame.gateway or frame.radio.freq_hz)) or (
        frame.network is not None and frame.network.dev_eui
    )
    if named:
        # Without an EUI or a frequency nothing in protobuf says what a message is.
        assert chirpstack.frames_protobuf(chirpstack.pack_protobuf(frame)) == ((frame,), ())


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    "phyPayload txInfo rxInfo frequency modulation lora spreadingFactor codeRate gatewayId gwTime nsTime time "
    "rssi snr context channel rfChain crcStatus deviceInfo devEui devAddr fCnt fPort data confirmed items "
    "uplinkFrame seconds timeSinceGpsEpoch phy_payload rx_info joinServerContext downlinkId".split()
)
NEAR = st.recursive(
    JUNK | st.sampled_from(("0102030405060708", "QUJD", "1.5s", "2022-09-10T12:30:15Z")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, NEAR, max_size=8))
def test_any_object_is_read_or_refused(value: dict[str, Any]) -> None:
    chirpstack.claims(value)
    try:
        frames, others = chirpstack.frames(value)
    except BadRecord as e:
        assert e.reason in ("bad_record", "too_long", "too_many", "no_key")
    else:
        assert all(isinstance(f, Frame) for f in frames) and all(isinstance(name, str) for name in others)


def test_the_projects_own_classes_agree() -> None:
    gw, integration = package("chirpstack_api.gw"), package("chirpstack_api.integration")
    as_json = package("google.protobuf.json_format")
    frame = Frame(PHY[0], TIME_US, RADIO, gateway=EUI)
    told = Frame(b"test", TIME_US, RADIO, gateway=EUI, network=NETWORK)
    for kind, wanted in ((gw.UplinkFrame, frame), (integration.UplinkEvent, told)):
        # What we write they read, field by field.
        theirs = kind.FromString(chirpstack.pack_protobuf(wanted))
        assert as_json.Parse(chirpstack.pack(wanted), kind()) == theirs
        rx = theirs.rx_info if wanted is frame else theirs.rx_info[0]
        assert (rx.gateway_id, rx.rssi, rx.snr, rx.channel) == ("0102030405060708", -35, 5.25, 2)
        assert (rx.context, rx.crc_status) == (bytes((0, 0, 4, 210)), gw.CRC_OK)
        assert rx.gw_time.ToMicroseconds() == TIME_US
        lora = theirs.tx_info.modulation.lora
        assert (theirs.tx_info.frequency, lora.spreading_factor, lora.bandwidth) == (868100000, 7, 125000)
        assert lora.code_rate == gw.CR_4_5
        assert (theirs.phy_payload if wanted is frame else theirs.data) == wanted.data
    assert (theirs.device_info.dev_eui, theirs.dev_addr) == ("0011223344556677", "49be7df1")
    assert (theirs.f_cnt, theirs.f_port, theirs.confirmed) == (2, 1, False)
    # What they write we read, in their three forms.
    for kind, message, wanted in (
        (gw.UplinkFrame, wrap.uplink_frame_pb(PHY[0]), frame),
        (integration.UplinkEvent, wrap.uplink_event_pb(b"test"), told),
    ):
        theirs = kind.FromString(message)
        assert theirs.ByteSize() == len(message)
        assert chirpstack.frames_protobuf(theirs.SerializeToString())[0] == (wanted,)
        for plain in (False, True):
            text = as_json.MessageToJson(theirs, preserving_proto_field_name=plain)
            assert of_json(text)[0] == (wanted,)
