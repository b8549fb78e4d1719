"""The Things Stack v3 in JSON: published frames, events, hostile objects, both directions."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.formats import chirpstack, tts
from host_tools.formats.jsontext import BadRecord, loads
from host_tools.frames import UNKNOWN, Frame, Network, Radio
from tests.formats import wrap_tts as wrap

# As published: anthonykirby/lora-packet, brocaar/lorawan phypayload_test.go, TheThingsNetwork/lorawan-stack
# pkg/crypto (a join accept, with its MHDR) and issue 1962 (raw_payload of a gs.up.receive).
PHY = [
    *(
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
    ),
    base64.b64decode("AAEAUAEAy6BYiiAcAAujBAB5X7wJxJ0="),
]
FRM = [b"test", b"", b"hello", bytes.fromhex("020305")]
EUI = bytes(range(1, 9))
RADIO = Radio(868100000, 7, 125000, -35 * 4, 21, coding_rate=5, counter_us=1234, channel=2)
TIME_US = 1662813015_000000
NETWORK = Network(bytes.fromhex("0011223344556677"), 0x49BE7DF1, 2, 1)


def of_json(
    value: dict[str, Any] | str | bytes, *, result: bool = False
) -> tuple[tuple[Frame, ...], set[str]]:
    if isinstance(value, dict):
        value = wrap.line(value, result=result)
    found = loads(value.encode() if isinstance(value, str) else value)
    assert tts.claims(found) and not chirpstack.claims(found)
    frames, others = tts.frames(found)
    return frames, set(others)


def refused(value: dict[str, Any]) -> str:
    with pytest.raises(BadRecord) as caught:
        tts.frames(value)
    return caught.value.reason


@pytest.mark.parametrize("frame", PHY, ids=bytes.hex)
def test_published_frames_at_the_gateway(frame: bytes) -> None:
    wanted = Frame(frame, TIME_US, RADIO, gateway=EUI)
    for value in (
        wrap.event(frame),
        wrap.event(frame, name="ns.up.data.receive"),
        wrap.uplink_message(frame),
    ):
        for result in (False, True):
            frames, others = of_json(value, result=result)
            assert frames == (wanted,)
            assert "rx_metadata.uplink_token" in {name[-24:] for name in others}
    assert of_json(tts.pack(wanted)) == ((wanted,), set())


@pytest.mark.parametrize("payload", FRM, ids=bytes.hex)
def test_published_payloads_at_the_application(payload: bytes) -> None:
    wanted = Frame(payload, TIME_US, RADIO, gateway=EUI, network=NETWORK)
    for result in (False, True):
        frames, others = of_json(wrap.application_up(payload), result=result)
        assert frames == (wanted,)
        path = "result." if result else ""
        up = path + "uplink_message."
        assert others == {
            path + "correlation_ids",
            path + "received_at",
            path + "end_device_ids.device_id",
            path + "end_device_ids.application_ids",
            path + "end_device_ids.join_eui",
            up + "session_key_id",
            up + "received_at",
            up + "consumed_airtime",
            up + "rx_metadata.gateway_ids.gateway_id",
            up + "rx_metadata.uplink_token",
            up + "rx_metadata.received_at",
        }
    assert of_json(tts.pack(wanted)) == ((wanted,), set())


def test_an_event_of_the_application_server_holds_its_message() -> None:
    kind = "type.googleapis.com/ttn.lorawan.v3.ApplicationUp"
    value = {"name": "as.up.data.forward", "time": "2022-09-10T12:30:16Z", "identifiers": []}
    frames, _ = of_json(value | {"data": {"@type": kind, **wrap.application_up(b"test")}})
    assert frames == (Frame(b"test", TIME_US, RADIO, gateway=EUI, network=NETWORK),)
    normalized = wrap.application_up(b"test")
    normalized["uplink_normalized"] = normalized.pop("uplink_message")
    assert of_json(normalized)[0] == frames


def test_each_gateway_is_a_reception_with_the_best_time_told() -> None:
    rx = [wrap.rx_metadata(gateway=f"{n:016x}", rssi_dbm=-100.25 - n, tmst=n) for n in (1, 2, 2, 3, 4)]
    rx[1]["gps_time"] = "2022-09-10T12:30:14.999Z"
    del rx[2]["time"]
    del rx[3]["time"], rx[3]["received_at"]
    rx[4]["time"] = "0001-01-01T00:00:00Z"
    frames, others = of_json(wrap.application_up(b"x", rx=rx))
    assert [int.from_bytes(f.gateway, "big") for f in frames] == [1, 2, 2, 3, 4]
    assert [f.time_us - TIME_US for f in frames[:4]] == [0, -1000, 311_000, 420_000]
    assert frames[4].time_us == 0 and "time" in others
    assert [f.radio.rssi_qdbm for f in frames] == [-405, -409, -409, -413, -417]
    assert "received_at" in others and "uplink_message.received_at" not in others


def test_one_reception_takes_what_the_settings_repeat_and_several_do_not() -> None:
    sent = wrap.settings() | {"time": "2022-09-10T12:30:15.5Z", "timestamp": 99}
    rx = wrap.rx_metadata(time_ns=None)
    del rx["timestamp"], rx["received_at"]
    (frame,), others = of_json(wrap.application_up(b"x", rx=[rx], sent=sent))
    assert (frame.time_us - TIME_US, frame.radio.counter_us) == (500_000, 99)
    assert not {name for name in others if "settings" in name}
    frames, others = of_json(wrap.application_up(b"x", rx=[rx, rx], sent=sent))
    assert [(f.time_us - TIME_US, f.radio.counter_us) for f in frames] == [(420_000, None)] * 2
    assert {"uplink_message.settings.time", "uplink_message.settings.timestamp"} <= others
    (frame,), _ = of_json(wrap.application_up(b"x", rx=[], sent=sent))
    assert (frame.gateway, frame.radio.freq_hz, frame.radio.counter_us) == (b"", 868100000, 99)
    (_,), others = of_json(wrap.application_up(b"x", sent=sent))
    assert "uplink_message.settings.timestamp" in others


def test_the_gateway_of_an_event() -> None:
    one, other = wrap.rx_metadata(), wrap.rx_metadata(gateway="00000000000000aa")
    name = "identifiers.gateway_ids.eui"
    assert name not in of_json(wrap.event(b"x", rx=[other, one]))[1]
    assert name in of_json(wrap.event(b"x", rx=[other]))[1]
    one["gateway_ids"] = {"gateway_id": "g"}
    (frame,), others = of_json(wrap.event(b"x", rx=[one]))
    assert frame.gateway == EUI and name not in others


def test_what_its_servers_leave_out() -> None:
    # Zeros and empty fields: a first frame on port 0 has neither f_cnt nor f_port.
    (frame,), _ = of_json(wrap.application_up(b"", fcnt=0, fport=0))
    assert frame.network == replace(NETWORK, fcnt=0, fport=0) and frame.data == b""
    bare = {"end_device_ids": {"device_id": "a"}, "uplink_message": {"settings": {}}}
    assert of_json(bare)[0] == (Frame(b"", 0, UNKNOWN, network=Network(fcnt=0)),)


def test_older_and_other_places_of_fields() -> None:
    sent = {"data_rate": {"lora": {"bandwidth": 250000, "spreading_factor": 7}}, "data_rate_index": 6}
    rx = wrap.rx_metadata() | {"channel_rssi": -35.5, "snr": 9.2}
    del rx["rssi"]
    rx["gateway_ids"] = {"gateway_id": "packetbroker"}
    rx["packet_broker"] = {"message_id": "x", "forwarder_gateway_eui": "B827EBFFFE8DB887"}
    event = wrap.event(b"x", sent={**sent, "coding_rate": "4/8", "frequency": 868300000}, rx=[rx])
    event["data"]["message"]["crc_status"] = False
    (frame,), others = of_json(event)
    assert frame.radio == Radio(
        868300000, 7, 250000, -142, 37, coding_rate=8, counter_us=1234, channel=2, crc="bad"
    )
    assert frame.gateway.hex() == "b827ebfffe8db887"
    path = "data.message.rx_metadata."
    assert {path + "snr", path + "packet_broker.message_id", path + "gateway_ids.gateway_id"} <= others
    fsk = {"data_rate": {"fsk": {"bit_rate": 50000}}, "frequency": "868800000"}
    (frame,), others = of_json(wrap.event(b"x", sent=fsk))
    assert frame.radio.sf == 0 and "data.message.settings.data_rate.fsk" in others


def test_only_a_downlink_that_is_scheduled_is_a_frame() -> None:
    kind = "type.googleapis.com/ttn.lorawan.v3.DownlinkMessage"
    raw = base64.b64encode(PHY[7]).decode()
    ids = [{"gateway_ids": {"gateway_id": "g", "eui": "0102030405060708"}}]
    value = {"name": "gs.down.send", "time": "2022-09-10T12:30:16Z", "identifiers": ids, "unique_id": "u"}
    sent = wrap.settings(869525000, 9) | {"timestamp": 5001234, "downlink": {"tx_power": 16.15}}
    (frame,), others = of_json(value | {"data": {"@type": kind, "raw_payload": raw, "scheduled": sent}})
    assert (frame.data, frame.gateway, frame.time_us) == (PHY[7], EUI, TIME_US + 1_000_000)
    assert (frame.radio.freq_hz, frame.radio.sf, frame.radio.counter_us) == (869525000, 9, 5001234)
    assert "data.scheduled.downlink" in others
    value["name"] = "ns.down.data.schedule.attempt"
    assert not of_json(value | {"data": {"@type": kind, "raw_payload": raw, "request": {"rx1_delay": 5}}})[0]


IDS = {"device_id": "dev1", "dev_eui": "0011223344556677"}


@pytest.mark.parametrize(
    "what",
    [
        {
            "join_accept": {
                "session_key_id": "AXBSH1Pk6Z0G166RlH16CQ==",
                "received_at": "2022-09-10T12:30:15Z",
            }
        },
        {"location_solved": {"service": "x", "location": {"latitude": 46.2}}},
        {"downlink_ack": {"f_port": 15, "frm_payload": "AQID"}},
        {"downlink_failed": {"downlink": {}, "error": {"code": 5}}},
        {"downlink_queue_invalidated": {"downlinks": [], "last_f_cnt_down": 3}},
        {"service_data": {"service": "x", "data": {"a": 1}}},
    ],
    ids=str,
)
def test_messages_without_a_frame(what: dict[str, Any]) -> None:
    frames, others = of_json({"end_device_ids": IDS, "received_at": "2022-09-10T12:30:15Z", **what})
    assert not frames and set(what) <= others


def test_events_without_a_frame() -> None:
    base = {"time": "2022-09-10T12:30:15Z", "identifiers": [], "unique_id": "u"}
    frames, others = of_json({"name": "gs.gateway.connect", **base})
    assert not frames and "name" in others
    kind = "type.googleapis.com/ttn.lorawan.v3.GatewayStatus"
    frames, others = of_json({"name": "gs.status.receive", "data": {"@type": kind, "ip": ["::1"]}, **base})
    assert not frames and {"name", "data.ip"} <= others


def test_a_payload_that_only_its_application_can_open_is_no_frame() -> None:
    value = wrap.application_up(b"x")
    value["uplink_message"]["app_s_key"] = {"key": "AAAA", "kek_label": "x"}
    assert refused(value) == "no_key"


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        ("frm_payload", "QUJ", None),
        ("frm_payload", "_-8=", None),
        ("frm_payload", "A", "bad_record"),
        ("frm_payload", "Q\x00==", "bad_record"),
        ("frm_payload", 17, "bad_record"),
        ("frm_payload", base64.b64encode(bytes(256)).decode(), "too_long"),
        ("f_port", 256, "bad_record"),
        ("f_port", "ten", "bad_record"),
        ("f_cnt", -1, "bad_record"),
        ("f_cnt", 1 << 32, "bad_record"),
        ("confirmed", "yes", "bad_record"),
        ("settings", 1, "bad_record"),
        ("settings", {"frequency": "868.1"}, "bad_record"),
        ("settings", {"frequency": "18446744073709551615"}, "bad_record"),
        ("settings", {"data_rate": {"lora": {"spreading_factor": 99}}}, "bad_record"),
        ("settings", {"data_rate": {"lora": {"coding_rate": 5}}}, "bad_record"),
        ("settings", {"time": 5}, None),
        ("rx_metadata", "x", "bad_record"),
        ("rx_metadata", [None, 5], "bad_record"),
        ("rx_metadata", [{}] * 1025, "too_many"),
        ("rx_metadata", [{"gateway_ids": {"eui": "xy"}}], "bad_record"),
        ("rx_metadata", [{"gateway_ids": 5}], "bad_record"),
        ("rx_metadata", [{"rssi": "-Infinity"}], "bad_record"),
        ("rx_metadata", [{"snr": {}}], "bad_record"),
        ("rx_metadata", [{"timestamp": 1 << 32}], "bad_record"),
        ("rx_metadata", [{"channel_index": 256}], "bad_record"),
    ],
)
def test_wrong_fields_are_refused_by_name(where: str, value: object, reason: str | None) -> None:
    up = wrap.application_up(b"x")
    up["uplink_message"][where] = value
    if reason is None:
        assert len(tts.frames(up)[0]) == 1
    else:
        assert refused(up) == reason


def test_wrong_messages_are_refused_by_name() -> None:
    assert refused(wrap.event(b"")) == "bad_record"
    assert refused(wrap.application_up(b"x") | {"end_device_ids": []}) == "bad_record"
    assert refused(wrap.application_up(b"x") | {"end_device_ids": {"dev_eui": "00"}}) == "bad_record"
    assert refused(wrap.application_up(b"x") | {"uplink_message": "x"}) == "bad_record"
    assert refused(wrap.event(b"x") | {"data": {"@type": 5}}) == "bad_record"


def test_names_from_outside_cannot_act_and_cannot_grow() -> None:
    value = wrap.application_up(b"x", name="\x1b[2J\x00")
    value |= {"\x1b[31m\x00": 1, "../../etc": 2} | {f"k{n}": n for n in range(1, 999)}
    frames, others = tts.frames(value)
    assert len(frames) == 1 and len(others) <= 32
    assert all(name.isprintable() for name in others)


def test_a_file_of_lines() -> None:
    text = (
        wrap.line(wrap.application_up(b"test"), result=True)
        + "\r\n"
        + wrap.line(wrap.event(PHY[0]))
        + '{"a": 1}\n{"re'
    )
    assert tts.sniff(text.encode()) and not tts.sniff(b'{"rxpk": []}') and not tts.sniff(b"end_device_ids")
    found = list(tts.read(io.BytesIO(text.encode()), "x"))
    assert b"".join(r.raw for r in found) == text.encode()
    assert [f.data for r in found for f in r.frames] == [b"test", PHY[0]]
    assert [r.reason for r in found if r.reason] == ["bad_record", "truncated"]


def test_what_it_does_not_claim() -> None:
    values: tuple[dict[str, Any], ...] = (
        {},
        {"rxpk": []},
        {"msgtype": "updf"},
        {"phyPayload": ""},
        {"name": "lamp", "data": {}},
        {"name": "a.b"},
        {"result": 5},
        {"result": {"rxpk": []}},
        {"raw_payload": "x"},
    )
    assert not any(tts.claims(value) for value in values)


RADIOS = st.builds(
    Radio,
    freq_hz=st.integers(0, 0xFFFFFFFF),
    sf=st.integers(5, 12),
    bw_hz=st.sampled_from((125000, 250000, 500000)),
    rssi_qdbm=st.integers(-600, 80),
    snr_qdb=st.integers(-128, 127),
    coding_rate=st.sampled_from((0, 5, 6, 7, 8)),
    counter_us=st.none() | st.integers(0, 0xFFFFFFFF),
    channel=st.none() | st.integers(0, 255),
)
NETWORKS = st.builds(
    Network,
    dev_eui=st.sampled_from((b"", EUI)),
    dev_addr=st.none() | st.integers(0, 0xFFFFFFFF),
    fcnt=st.integers(0, 0xFFFFFFFF),
    fport=st.integers(0, 255),
    confirmed=st.booleans(),
)


@settings(max_examples=50, deadline=None)
@given(
    st.builds(
        Frame,
        data=st.binary(min_size=1, max_size=255),
        time_us=st.integers(0, 253402300799_999999),
        radio=RADIOS,
        gateway=st.sampled_from((b"", EUI)),
        network=st.none() | NETWORKS,
    ),
    st.sampled_from(("ok", "bad", "")),
)
def test_what_is_written_is_read(frame: Frame, crc: str) -> None:
    if frame.network is None:
        frame = replace(frame, radio=replace(frame.radio, crc=crc))
    assert of_json(tts.pack(frame)) == ((frame,), set())


def test_what_is_no_frame_is_not_written() -> None:
    assert tts.pack(Frame(b"x", 0, UNKNOWN, "truncated")) == b""


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    "result end_device_ids dev_eui dev_addr uplink_message uplink_normalized frm_payload f_port f_cnt rx_metadata "
    "gateway_ids eui packet_broker forwarder_gateway_eui time gps_time received_at timestamp rssi channel_rssi "
    "snr channel_index settings data_rate lora spreading_factor coding_rate frequency raw_payload scheduled data "
    "message @type name identifiers crc_status confirmed app_s_key".split()
)
TYPES = [
    tts._TYPE + name for name in ("ApplicationUp", "UplinkMessage", "GatewayUplinkMessage", "DownlinkMessage")
]
NEAR = st.recursive(
    JUNK | st.sampled_from(["0102030405060708", "QUJD", "4/5", "2022-09-10T12:30:15Z", *TYPES]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, NEAR, max_size=8), st.sampled_from(TYPES))
def test_any_object_is_read_or_refused(value: dict[str, Any], kind: str) -> None:
    for one in (value, {"name": "gs.up.receive", "data": {"@type": kind, **value}}):
        tts.claims(one)
        try:
            frames, others = tts.frames(one)
        except BadRecord as e:
            assert e.reason in ("bad_record", "too_long", "too_many", "no_key")
        else:
            assert all(isinstance(f, Frame) for f in frames) and all(isinstance(name, str) for name in others)
            json.dumps(others)
