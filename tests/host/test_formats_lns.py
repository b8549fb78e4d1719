"""Basics Station messages: PHYPayloads put together again, EUIs in every text, data rates, published examples."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.formats import lns
from host_tools.formats.jsontext import BadRecord
from host_tools.frames import UNKNOWN, Frame, Network, Radio, Record
from tests.formats import wrap_lns
from tests.host.test_formats_hex import VECTORS
from tests.host.test_formats_json import FRAME, RADIO

HEARD = Radio(868_100_000, 9, 125_000, -320, 21, counter_us=77)
UPDF: dict[str, Any] = {
    "msgtype": "updf", "MHdr": 64, "DevAddr": -10, "FCtrl": 0x82, "FCnt": 400, "FOpts": "0102", "FPort": 1,
    "FRMPayload": "04030201", "MIC": -20,
}  # fmt: skip


def read(*messages: Any) -> list[Record]:
    data = b"".join(json.dumps(m).encode() + b"\n" for m in messages)
    found = list(lns.read(io.BytesIO(data), "x"))
    assert b"".join(r.raw for r in found) == data
    return found


def one(message: Any) -> Record:
    (record,) = read(message)
    return record


def updf(**changes: Any) -> Record:
    return one({k: v for k, v in (UPDF | changes).items() if v is not None})


@pytest.mark.parametrize("vector", VECTORS)
def test_published_frames_come_out_byte_for_byte(vector: str) -> None:
    data = bytes.fromhex(vector)
    wanted = Frame(data, RADIO["time_us"], HEARD)
    (record,) = lns.read(io.BytesIO(wrap_lns.wrap(data, **RADIO)), "x")
    assert record.frames == (wanted,)
    assert record.reason == ""
    assert [name.partition(".")[2] for name in record.others] == ["RefTime", "fts", "rctx"]
    assert lns.sniff(record.raw)
    (again,) = lns.read(io.BytesIO(lns.pack(wanted)), "x")
    assert again.frames == (wanted,)


@given(st.binary(max_size=60), st.integers(0, 7))
def test_every_frame_has_a_message_that_gives_it_back(data: bytes, mtype: int) -> None:
    # The sizes and the header at which a station takes a frame apart come often.
    for frame in (data, bytes((mtype << 5,)) + data, bytes((mtype << 5,)) + data[:22].ljust(22, b"\7")):
        (record,) = lns.read(io.BytesIO(lns.pack(Frame(frame, 1, HEARD))), "x")
        assert record.frames == (Frame(frame, 1, HEARD),)


@pytest.mark.parametrize(
    ("head", "kind"),
    [(0x00, "jreq"), (0x20, "jacc"), (0x40, "updf"), (0x60, "dndf"), (0x80, "updf"), (0xA0, "dndf"),
     (0xC0, "rejoin"), (0xE0, "propdf"), (0x41, "propdf"), (0x44, "propdf")],
)  # fmt: skip
def test_a_frame_goes_into_the_message_that_a_station_sends(head: int, kind: str) -> None:
    # lorabasics/basicstation src/lora.c, s2e_parse_lora_frame
    made = lns.message(Frame(bytes((head,)) + bytes(22), 0))
    assert made["msgtype"] == kind
    assert one({**made, "x": 1}).others[0] == f"{kind}.x"


# Published examples


def test_data_frames_of_the_gateway_bridge() -> None:
    # chirpstack/chirpstack-gateway-bridge internal/backend/basicstation/structs/uplink_data_frame_test.go, but
    # with the length of FOpts in FCtrl, as a station tells it: there FCtrl is 0x80 and contradicts the options.
    wanted = {
        (-1, ""): "40f6ffffff8290010102ecffffff",
        (1, ""): "40f6ffffff829001010201ecffffff",
        (1, "04030201"): "40f6ffffff82900101020104030201ecffffff",
    }
    for (port, payload), text in wanted.items():
        record = updf(FPort=port, FRMPayload=payload)
        assert (record.frames[0].data.hex(), record.others) == (text, ())


def test_options_whose_length_is_left_out() -> None:
    # As TheThingsNetwork/lorawan-stack writes FCtrl (lbslns/upstream.go): without it port and payload would shift.
    record = updf(FCtrl=0x80)
    assert record.frames[0].data.hex() == "40f6ffffff82900101020104030201ecffffff"
    assert record.others == ("updf.FCtrl",)
    assert updf(FCtrl=0x81).reason == updf(FCtrl=0x83).reason == "bad_record"
    assert updf(FCtrl=0x80, FOpts="00" * 16).reason == "bad_record"


def test_join_request_and_proprietary_frame_of_the_gateway_bridge() -> None:
    # the same, join_request_test.go, radio_meta_data_test.go and uplink_proprietary_test.go
    info = {"rctx": 1, "xtime": 2, "gpstime": 5_000_000, "rssi": 120, "snr": 5.5}
    record = one(
        {"msgtype": "jreq", "MHdr": 0, "JoinEui": "202:304:506:708", "DevEui": "302:304:506:708", "DevNonce": 20,
         "MIC": -10, "DR": 5, "Freq": 868100000, "upinfo": info}
    )  # fmt: skip
    radio = Radio(868_100_000, 7, 125_000, 480, 22, counter_us=2)
    time_us = 315_964_805_000_000
    assert record.frames == (
        Frame(
            bytes.fromhex("0008070605040302020807060504030203 1400f6ffffff".replace(" ", "")), time_us, radio
        ),
    )
    assert record.others == ("upinfo.rctx",)
    record = one({"msgtype": "propdf", "FRMPayload": "01020304", "DR": 5, "Freq": 868100000, "upinfo": info})
    assert record.frames == (Frame(bytes((1, 2, 3, 4)), time_us, radio),)
    record = one({"msgtype": "propdf", "FRMPayload": "E001", "DR": 7, "Freq": 868800000, "upinfo": info})
    assert (record.frames[0].radio.sf, record.frames[0].radio.bw_hz) == (0, UNKNOWN.bw_hz)
    assert record.others == ("propdf.DR", "upinfo.rctx")


@pytest.mark.parametrize("rctx", ["rctx", "rtcx"])
def test_messages_of_the_things_stack(rctx: str) -> None:
    # TheThingsNetwork/lorawan-stack pkg/gatewayserver/io/semtechws/lbslns/upstream_test.go, now and as it was
    info = f'"upinfo":{{"rxtime":1548059982,"{rctx}":0,"xtime":12666373963464220,"gpstime":0,'
    info += '"rssi":89,"snr":9.25}}'
    join = (
        '{"msgtype":"jreq","MHdr":0,"JoinEui":"2222:2222:2222:2222","DevEui":"1111:1111:1111:1111",'
        '"DevNonce":18000,"MIC":12345678,"RefTime":0,"DR":1,"Freq":868300000,' + info
    )
    data = (
        '{"msgtype":"updf","MHdr":64,"DevAddr":287454020,"FCtrl":48,"Fcnt":25,"FOpts":"FD","FPort":0,'
        '"FRMPayload":"5fcc","MIC":12345678,"RefTime":0,"DR":1,"Freq":868300000,' + info
    )
    first, second = lns.read(io.BytesIO(f"{join}\n{data}\n".encode()), "x")
    counter = 12666373963464220 & 0xFFFFFFFF
    radio = Radio(868_300_000, 11, 125_000, 356, 37, counter_us=counter)
    assert first.frames[0].data.hex() == "00" + "22" * 8 + "11" * 8 + "5046" + "4e61bc00"
    assert (
        second.frames[0].data.hex() == "40" + "44332211" + "31" + "1900" + "fd" + "00" + "5fcc" + "4e61bc00"
    )
    assert first.frames[0].radio == second.frames[0].radio == radio
    assert first.frames[0].time_us == 1_548_059_982_000_000
    # The quirk in its name does not hide the field; the upper half of xtime is the station's own.
    assert first.others == ("jreq.RefTime", "upinfo.rctx", "upinfo.xtime")
    assert second.others == ("updf.FCtrl", "updf.RefTime", "upinfo.rctx", "upinfo.xtime")
    # The test's payload in base64 is none of a station: FRMPayload is hexadecimal.
    assert updf(FRMPayload="Ymxhamthc25kJ3M=").reason == "bad_record"


@pytest.mark.parametrize(
    "message",
    [
        {"msgtype": "dntxed", "diid": 35, "DevEui": "1111:1111:1111:1111", "rctx": 0, "xtime": 1552906698},
        {"msgtype": "timesync", "txtime": 123.456},
        {
            "msgtype": "dnmsg",
            "DevEui": "::1",
            "dC": 0,
            "diid": 1,
            "pdu": "60f17dbe4920020001f9d65d27",
            "RxDelay": 1,
        },
        {"msgtype": "version", "station": "2.0.6", "protocol": 2, "features": "rmtsh"},
        {"router": "b827:ebff:fe01:203"},
        {"router": 1, "muxs": "::0", "uri": "wss://x"},
    ],
)
def test_messages_without_a_frame(message: Any) -> None:
    record = one(message)
    assert (record.frames, record.reason) == ((), "")
    assert record.others == (message.get("msgtype", "router"),)


def test_what_a_server_told_to_send_is_a_frame_where_that_is_wanted() -> None:
    reader = lns.Reader(sent=True, gateway=bytes(8))
    value = {"msgtype": "dnmsg", "pdu": "60f17dbe4920020001f9d65d27", "RxDelay": 1}
    found, others = reader.frames(value)
    assert found == (Frame(bytes.fromhex("60f17dbe4920020001f9d65d27"), 0, gateway=bytes(8)),)
    assert others == ("dnmsg.RxDelay",)


# Fields


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("::0", 0),
        ("::1", 1),
        ("1::", 1 << 48),
        ("::a:b", 0xA000B),
        ("f::1", 0xF << 48 | 1),
        ("f:a123:f8:100", 0x000FA12300F80100),
        ("2222:2222:2222:2222", 0x2222222222222222),
        ("00-11-22-33-44-55-66-77", 0x0011223344556677),
        ("00:11:22:33:44:55:66:77", 0x0011223344556677),
        ("0102030405060708", 0x0102030405060708),
        ("AABBCCDDEEFF0011", 0xAABBCCDDEEFF0011),
        (5, 5),
    ],
)
def test_euis(text: Any, number: int) -> None:
    assert lns.eui(text) == number


@pytest.mark.parametrize(
    "text",
    ["", ":", "1", "1:2:3", "1:2:3:4:5", "1::2::3", "::1:2:3:4:5", "12345::", "g::", "00-11", -1, 1 << 64, None,
     1.5, "00-11-22-33-44-55-66-7", "٣::", "1:2:3:4\n"],
)  # fmt: skip
def test_what_is_no_eui(text: Any) -> None:
    with pytest.raises(BadRecord):
        lns.eui(text)


@pytest.mark.parametrize("name", ["MHdr", "DevAddr", "FCtrl", "FCnt", "MIC"])
@pytest.mark.parametrize("value", [None, "1", 1 << 33, -(1 << 33), 1.5, True, []])
def test_a_part_that_is_missing_or_no_number_is_a_bad_record(name: str, value: Any) -> None:
    record = updf(**{name: value})
    assert (record.frames, record.reason) == ((), "bad_record")


@pytest.mark.parametrize(
    "changes",
    [{"FPort": 256}, {"FPort": -2}, {"FPort": "1"}, {"FPort": -1}, {"FOpts": "0"}, {"FOpts": "01 02"},
     {"FRMPayload": 5}, {"FRMPayload": "0x04"}, {"FCnt": 65536}, {"MHdr": 256}, {"Fcnt": 1}],
)  # fmt: skip
def test_parts_that_make_no_frame(changes: dict[str, Any]) -> None:
    record = updf(**changes)
    assert record.frames == () and record.reason in ("bad_record", "duplicate_key")


def test_the_counter_is_the_low_half_of_xtime() -> None:
    for xtime in (0xFFFFFFFF, 0x0055000012345678, 0x005500009ABCDEF0, -1):
        assert updf(upinfo={"xtime": xtime}).frames[0].radio.counter_us == xtime % (1 << 32)
    assert updf(upinfo={"xtime": 1 << 63}).frames[0].radio.counter_us is None


def test_parts_that_may_be_missing() -> None:
    assert updf(FPort=None, FRMPayload=None).frames == updf(FPort=-1, FRMPayload="").frames
    assert updf(FOpts=None, FCtrl=0x80).frames[0].data.hex() == "40f6ffffff8090010104030201ecffffff"
    # Unsigned, as some simulators write them.
    assert updf(DevAddr=0xFFFFFFF6, MIC=0xFFFFFFEC).frames == updf().frames
    assert updf(Mhdr=64, MHdr=None, Fcnt=400, FCnt=None).frames == updf().frames
    assert updf().frames[0].radio == UNKNOWN


def test_times() -> None:
    def of(**info: Any) -> tuple[int, tuple[str, ...]]:
        record = updf(upinfo=info)
        return record.frames[0].time_us, record.others

    assert of(rxtime=1769612400.250001) == (1_769_612_400_250_001, ())
    assert of(rxtime=1769612400.250001, gpstime=0) == (1_769_612_400_250_001, ())
    assert of(gpstime=1_453_647_618_250_001) == (1_769_612_400_250_001, ())
    # What GPS says is exact, rxtime is when the station's computer came to it.
    assert of(rxtime=1769612400.3, gpstime=1_453_647_618_250_001) == (
        1_769_612_400_250_001,
        ("upinfo.rxtime",),
    )
    assert of(rxtime=0.000001) == (1, ())
    assert of(rxtime=4_294_967_296) == (4_294_967_296_000_000, ())
    assert of(rxtime=-5) == of(rxtime=1e300) == of(rxtime="x") == (0, ("upinfo.rxtime",))
    assert of(gpstime=-5) == (0, ("upinfo.gpstime",))


ROUTER = {"msgtype": "router_config", "NetID": [1], "JoinEui": [[0, 1]]}


def test_the_data_rates_are_of_the_configuration_in_the_stream() -> None:
    # DR 8 of US915, of the table that a server sends, and of a region without a table
    rates = [
        [10, 125, 0],
        [9, 125, 0],
        [8, 125, 0],
        [7, 125, 0],
        [8, 500, 0],
        [-1, 0, 0],
        [-1, 0, 0],
        [-1, 0, 0],
    ]
    rates += [[12, 500, 1]]
    message = UPDF | {"DR": 8}

    def heard(*before: Any) -> tuple[int, int]:
        radio = read(*before, message)[-1].frames[0].radio
        return radio.sf, radio.bw_hz

    assert heard() == (0, UNKNOWN.bw_hz)
    assert heard(ROUTER | {"region": "US902"}) == heard(ROUTER | {"DRs": rates}) == (12, 500_000)
    assert heard(ROUTER | {"region": "EU863"}) == (0, UNKNOWN.bw_hz)
    assert heard(ROUTER | {"region": "US902"}, ROUTER | {"region": "EU863"}) == (0, UNKNOWN.bw_hz)
    # One stream teaches nothing to the next, and rubbish in it nothing at all.
    assert heard() == (0, UNKNOWN.bw_hz)
    assert heard(ROUTER | {"DRs": [5, [], ["a", "b"], [[], {}]], "region": 5}) == (0, UNKNOWN.bw_hz)


@pytest.mark.parametrize(
    ("region", "rate", "sf", "bw_hz"),
    [("EU863", 0, 12, 125_000), ("EU863", 5, 7, 125_000), ("EU863", 6, 7, 250_000), ("US902", 0, 10, 125_000),
     ("US902", 4, 8, 500_000), ("US902", 13, 7, 500_000), ("AU915", 0, 12, 125_000), ("AU915", 6, 8, 500_000),
     ("KR920", 5, 7, 125_000)],
)  # fmt: skip
def test_data_rates_of_regions(region: str, rate: int, sf: int, bw_hz: int) -> None:
    assert lns.region_rates(region)[rate] == (sf, bw_hz)


def test_what_no_frame_holds_is_named() -> None:
    record = updf(DR=16, Freq=0, RefTime=0.0, upinfo={"rssi": -80.1, "snr": "x", "xtime": 1 << 40, "fts": -1})
    assert record.others == (
        "updf.DR",
        "updf.Freq",
        "updf.RefTime",
        "upinfo.fts",
        "upinfo.rssi",
        "upinfo.snr",
        "upinfo.xtime",
    )
    assert record.frames[0].radio == Radio(rssi_qdbm=-320, counter_us=0)
    assert updf(upinfo=[1]).frames[0].data == updf().frames[0].data


def test_what_was_never_on_the_air_as_such_is_left_out() -> None:
    assert lns.pack(Frame(FRAME, 5, network=Network(fport=1))) == b""
    assert lns.pack(Frame(b"cut", 5, reason="truncated")) == b""


def test_a_station_that_is_known_is_named() -> None:
    found, _ = lns.Reader(gateway=b"\1" * 8).frames(UPDF)
    assert found[0].gateway == b"\1" * 8
    assert lns.claims(UPDF) and not lns.claims({"rxpk": []}) and not lns.claims({"router": 1, "x": 2})
