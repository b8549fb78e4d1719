"""GWMP: published examples, published frames, datagrams, and what writers do that the text does not say."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.formats import gwmp
from host_tools.formats.jsontext import BadRecord
from host_tools.frames import UNKNOWN, Frame, Network, Radio, Record
from tests.formats import wrap_gwmp
from tests.host.test_formats_hex import VECTORS
from tests.host.test_formats_json import FRAME, RADIO

GATEWAY = bytes.fromhex("aaee000000000001")

# Lora-net/packet_forwarder PROTOCOL.TXT and Lora-net/sx1302_hal PROTOCOL.md, section 4.
RXPK = b"""{"rxpk":[
	{
		"time":"2013-03-31T16:21:17.528002Z",
		"tmst":3512348611,
		"chan":2,
		"rfch":0,
		"freq":866.349812,
		"stat":1,
		"modu":"LORA",
		"datr":"SF7BW125",
		"codr":"4/6",
		"rssi":-35,
		"lsnr":5.1,
		"size":32,
		"data":"-DS4CGaDCdG+48eJNM3Vai-zDpsR71Pn9CPA9uCON84"
	},{
		"time":"2013-03-31T16:21:17.530974Z",
		"tmst":3512348514,
		"chan":9,
		"rfch":1,
		"freq":869.1,
		"stat":1,
		"modu":"FSK",
		"datr":50000,
		"rssi":-75,
		"size":16,
		"data":"VEVTVF9QQUNLRVRfMTIzNA=="
	},{
		"time":"2013-03-31T16:21:17.532038Z",
		"tmst":3316387610,
		"chan":0,
		"rfch":0,
		"freq":863.00981,
		"stat":1,
		"modu":"LORA",
		"datr":"SF10BW125",
		"codr":"4/7",
		"rssi":-38,
		"lsnr":5.5,
		"size":32,
		"data":"ysgRl452xNLep9S1NTIg2lomKDxUgn3DJ7DE+b00Ass"
	}
]}
"""
# Section 6 of the same.
TXPK = [
    b"""{"txpk":{
	"imme":true,
	"freq":864.123456,
	"rfch":0,
	"powe":14,
	"modu":"LORA",
	"datr":"SF11BW125",
	"codr":"4/6",
	"ipol":false,
	"size":32,
	"data":"H3P3N2i9qc4yt7rK7ldqoeCVJGBybzPY5h1Dd7P7p8v"
}}
""",
    b"""{"txpk":{
	"imme":true,
	"freq":861.3,
	"rfch":0,
	"powe":12,
	"modu":"FSK",
	"datr":50000,
	"fdev":3000,
	"size":32,
	"data":"H3P3N2i9qc4yt7rK7ldqoeCVJGBybzPY5h1Dd7P7p8v"
}}
""",
]
# Section 4: its date is written in another way than that of rxpk.
STAT = b"""{"stat":{
	"time":"2014-01-12 08:59:28 GMT",
	"lati":46.24000,
	"long":3.25230,
	"alti":145,
	"rxnb":2,
	"rxok":2,
	"rxfw":2,
	"ackr":100.0,
	"dwnb":2,
	"txnb":2
}}
"""
# TheThingsNetwork/lorawan-stack pkg/ttnpb/udp/translation_test.go: what a gateway with two antennas sends.
RSIG = b"""{"rxpk": [{
    "tmst": 879148780,
    "time": "2017-07-04T13:51:17.997099Z",
    "rfch": 0,
    "freq": 868.500000,
    "stat": 1,
    "modu": "LORA",
    "datr": "SF7BW125",
    "codr": "4/5",
    "size": 24,
    "data": "gM+AMQcAvgQBlohnlJqUGOJKTDuTscQD",
    "aesk": 42,
    "rsig": [{
        "ant": 0, "chan": 7, "lsnr": 14.0, "etime": "42QMzOlYSSPMMeqVPrY0fQ==", "rssis": -92, "rssic": -95,
        "rssisd": 0, "ftime": 1255738435, "foff": -8898, "ft2d": -251, "rfbsb": 100, "rs2s1": 97
    }, {
        "ant": 1, "chan": 23, "lsnr": 14.0, "etime": "djGiSzOC+gCT7vRPv7+Asw==", "rssis": -88, "rssic": -93,
        "rssisd": 0, "ftime": 1252538436, "foff": -8898, "ft2d": -187, "rfbsb": 100, "rs2s1": 104
    }]
}]}"""


def one(data: bytes) -> Record:
    (record,) = gwmp.read(io.BytesIO(data), "x")
    assert record.raw == data
    return record


def packet(**changes: Any) -> Record:
    """The record of one packet with some fields changed; None takes one away."""
    made = wrap_gwmp.heard(FRAME, **RADIO) | changes
    return one(json.dumps({"rxpk": [{k: v for k, v in made.items() if v is not None}]}).encode())


def test_the_published_uplinks() -> None:
    record = one(RXPK)
    first, fsk, third = record.frames
    assert record.reason == ""
    assert first.data.hex() == "f834b808668309d1bee3c78934cdd56a2fb30e9b11ef53e7f423c0f6e08e37ce"
    assert first.time_us == 1_364_746_877_528_002
    # 5.1 dB lies between quarters and is named below.
    assert first.radio == Radio(
        866_349_812, 7, 125_000, -140, 20, coding_rate=6, counter_us=3512348611, channel=2, chain=0, crc="ok"
    )
    assert (fsk.data, fsk.time_us) == (b"TEST_PACKET_1234", 1_364_746_877_530_974)
    assert (fsk.radio.freq_hz, fsk.radio.sf, fsk.radio.coding_rate) == (869_100_000, 0, 0)
    assert third.data.hex() == "cac811978e76c4d2dea7d4b5353220da5a26283c54827dc327b0c4f9bd3402cb"
    assert (third.radio.freq_hz, third.radio.sf, third.radio.coding_rate) == (863_009_810, 10, 7)
    assert third.radio.snr_qdb == 22
    assert record.others == ("rxpk.datr", "rxpk.lsnr", "rxpk.modu")


@pytest.mark.parametrize(("text", "sf", "freq_hz"), [(TXPK[0], 11, 864_123_456), (TXPK[1], 0, 861_300_000)])
def test_the_published_downlinks(text: bytes, sf: int, freq_hz: int) -> None:
    record = one(text)
    (frame,) = record.frames
    # The last character of their base64 has bits that belong to no byte.
    assert frame.data.hex() == "1f73f73768bda9ce32b7bacaee576aa1e0952460726f33d8e61d4377b3fba7cb"
    assert (frame.time_us, frame.radio.sf, frame.radio.freq_hz) == (0, sf, freq_hz)
    assert {"txpk.imme", "txpk.powe"} < set(record.others)


def test_the_published_statistics() -> None:
    record = one(STAT)
    assert record == Record(STAT, others=("stat",))
    assert gwmp.sniff(STAT) and gwmp.sniff(RXPK) and gwmp.sniff(TXPK[0])
    assert not gwmp.sniff(b'{"msgtype":"updf"}') and not gwmp.sniff(b"rxpk")
    both = json.dumps({**json.loads(RXPK), **json.loads(STAT)}).encode()
    assert one(both).frames == one(RXPK).frames and "stat" in one(both).others


def test_the_published_uplink_of_two_antennas() -> None:
    record = one(RSIG)
    (frame,) = record.frames
    assert frame.data.hex() == "80cf80310700be040196886794 9a9418e24a4c3b93b1c403".replace(" ", "")
    assert frame.time_us == 1_499_176_277_997_099
    # Both hear 14 dB SNR; the second has more RSSI.
    assert (frame.radio.rssi_qdbm, frame.radio.snr_qdb, frame.radio.channel) == (-93 * 4, 56, 23)
    assert record.others == ("rxpk.aesk", "rxpk.rsig")


def test_the_antenna_that_heard_best_is_told() -> None:
    def of(*entries: Any) -> tuple[int, int, int | None]:
        radio = packet(rssi=None, lsnr=None, chan=None, rsig=list(entries)).frames[0].radio
        return radio.rssi_qdbm, radio.snr_qdb, radio.channel

    strong, clear = {"chan": 1, "lsnr": -2.5, "rssic": -60}, {"chan": 2, "lsnr": 9, "rssic": -90}
    assert of(strong, clear) == of(clear, strong) == of({"chan": 3}, clear, 5) == (-360, 36, 2)
    assert of() == of(7) == of({"lsnr": "x"}) == (UNKNOWN.rssi_qdbm, 0, None)
    # Where the packet itself tells, that holds.
    assert packet(rsig=[clear]).frames[0].radio.snr_qdb == RADIO["snr_qdb"]


def test_other_published_uplinks() -> None:
    # TheThingsNetwork/lorawan-stack pkg/ttnpb/udp/packet_data_test.go and translation_test.go
    record = one(
        b'{"rxpk":[{"tmst":445526776,"chan":0,"rfch":0,"freq":868.099975,"stat":1,"modu":"LRFHSS",'
        b'"datr":"M0CW123","codr":"4/7","lsnr":-12,"hpw":"10","rssi":-112,"size":61,"data":'
        b'"tlJ+3kao1MjU3ol8kuTwhziot4L/wQGMXngnecZaq5dXGpqZFTHWkzg/Hea7Y4NEjZND1gARpWtPdwC1vQ=="}]}'
    )
    radio = record.frames[0].radio
    assert (radio.freq_hz, radio.sf, radio.coding_rate, radio.snr_qdb) == (868_099_975, 0, 0, -48)
    assert record.others == ("rxpk.codr", "rxpk.datr", "rxpk.hpw", "rxpk.modu")
    record = one(
        b'{"rxpk":[{"datr":"SF10BW125","codr":"4/7","data":"QCkuASaAAAAByFaF53Iu+vzmwQ==","size":19}]}'
    )
    assert record.frames[0].data.hex() == "40292e012680000001c85685e7722efafce6c1"
    assert record.frames[0].radio == Radio(sf=10, coding_rate=7)


@pytest.mark.parametrize("vector", VECTORS)
def test_published_frames_come_out_byte_for_byte(vector: str) -> None:
    data = bytes.fromhex(vector)
    wanted = Frame(
        data,
        RADIO["time_us"],
        Radio(868_100_000, 9, 125_000, -320, 21, coding_rate=5, counter_us=77, channel=0, chain=0, crc="ok"),
    )
    record = one(wrap_gwmp.wrap(data, **RADIO))
    assert (record.frames, record.others, record.reason) == ((wanted,), (), "")
    assert one(gwmp.pack(wanted)).frames == (wanted,)
    record = gwmp.record(wrap_gwmp.push_data(data, gateway=GATEWAY, **RADIO))
    assert record.frames == (Frame(data, wanted.time_us, wanted.radio, gateway=GATEWAY),)
    record = gwmp.record(wrap_gwmp.pull_resp(data, freq_hz=869_525_000, sf=12, bw_hz=125_000, counter_us=5))
    radio = Radio(869_525_000, 12, 125_000, coding_rate=5, counter_us=5, chain=0, crc="none")
    assert record.frames == (Frame(data, 0, radio),)
    assert record.others == ("txpk.imme", "txpk.ipol", "txpk.powe")


@pytest.mark.parametrize("text", ["QPF9vg==", "QPF9vg", "QPF9vg=", "QPF9vh=="])
def test_base64_with_and_without_padding(text: str) -> None:
    assert packet(data=text, size=4).frames[0].data.hex() == "40f17dbe"


def test_both_alphabets_of_base64() -> None:
    assert (
        packet(data="+/+/", size=3).frames
        == packet(data="-_-_", size=3).frames
        == packet(data="+_-/", size=3).frames
    )
    assert packet(data="", size=0).frames[0].data == b""


@pytest.mark.parametrize("text", ["Q", "QPF9v", "QP F", "QPF\n", "QPÉ=", 5, None, ["QPF9"], "QP=F"])
def test_what_is_no_base64_is_a_bad_record(text: Any) -> None:
    assert packet(data=text, size=None).reason == "bad_record"


@pytest.mark.parametrize("size", [16, 18, -1, "17", 1e300])
def test_a_frame_of_another_size_than_told_is_cut(size: Any) -> None:
    assert packet(size=size).reason == "truncated"


@pytest.mark.parametrize(("stat", "crc"), [(1, "ok"), (-1, "bad"), (0, "none"), (None, "")])
def test_the_crc_is_told(stat: int | None, crc: str) -> None:
    record = packet(stat=stat)
    assert (record.frames[0].radio.crc, record.others) == (crc, ())
    assert one(gwmp.pack(record.frames[0])).frames == record.frames


@pytest.mark.parametrize(
    "mhz", ["868.1", "868.3", "868.5", "867.1", "869.525", "868.100000", "923.2", "433.175"]
)
def test_a_frequency_is_exact_to_the_hertz(mhz: str) -> None:
    line = json.dumps({"rxpk": [wrap_gwmp.heard(FRAME, **RADIO)]}).replace("868.1", mhz)
    whole, _, part = mhz.partition(".")
    assert one(line.encode()).frames[0].radio.freq_hz == int(whole + part.ljust(6, "0"))


@given(st.integers(1, 0xFFFFFFFF), st.integers(-400, 200))
def test_written_numbers_are_read_back(freq_hz: int, snr_qdb: int) -> None:
    frame = Frame(FRAME, 1, Radio(freq_hz, 7, 125_000, -400, snr_qdb, counter_us=0xFFFFFFFF, coding_rate=8))
    assert one(gwmp.pack(frame)).frames == (frame,)


@pytest.mark.parametrize("bw_hz", [125_000, 250_000, 500_000, 62_500, 31_250, 203_125])
def test_bandwidths(bw_hz: int) -> None:
    frame = Frame(FRAME, 1, Radio(868_100_000, 7, bw_hz))
    assert one(gwmp.pack(frame)).frames[0].radio.bw_hz == bw_hz


@pytest.mark.parametrize(
    ("changes", "others"),
    [
        ({"lsnr": 5.1}, ("rxpk.lsnr",)),
        ({"rssi": -80.3}, ("rxpk.rssi",)),
        ({"rssi": "-80"}, ("rxpk.rssi",)),
        ({"rssi": 1e300}, ("rxpk.rssi",)),
        ({"freq": "868.1"}, ("rxpk.freq",)),
        ({"freq": -1}, ("rxpk.freq",)),
        ({"freq": 5000}, ("rxpk.freq",)),
        ({"tmst": 1 << 32}, ("rxpk.tmst",)),
        ({"tmst": True}, ("rxpk.tmst",)),
        ({"chan": -1}, ("rxpk.chan",)),
        ({"rfch": 0.5}, ("rxpk.rfch",)),
        ({"stat": 2}, ("rxpk.stat",)),
        ({"codr": "OFF"}, ("rxpk.codr",)),
        ({"datr": "SF7"}, ("rxpk.codr", "rxpk.datr", "rxpk.modu")),
        ({"time": 5}, ("rxpk.time",)),
        # v1.6 of the text
        (
            {"rssis": -81, "mid": 3, "foff": -12, "ftime": 5},
            ("rxpk.foff", "rxpk.ftime", "rxpk.mid", "rxpk.rssis"),
        ),
        ({"rssi": None, "rssis": -81}, ()),
        ({"jver": 2, "brd": 0}, ("rxpk.brd", "rxpk.jver")),
    ],
)
def test_what_a_frame_cannot_hold_is_named_and_the_frame_is_kept(
    changes: Any, others: tuple[str, ...]
) -> None:
    record = packet(**changes)
    assert record.frames[0].data == FRAME
    assert record.others == others


def test_time_of_gps() -> None:
    # tmms counts milliseconds since 1980-01-06 without leap seconds; 18 of them by 2017.
    assert packet(time=None, tmms=1_453_647_618_250).frames[0].time_us == RADIO["time_us"] - 1
    assert packet(time=None, tmms=1_453_647_618_250).others == ()
    assert packet(tmms=1_453_647_618_250).others == ("rxpk.tmms",)
    assert packet(time=None, tmms=0).frames[0].time_us == 315_964_800_000_000
    # Before and after the leap second at the end of 2016.
    assert packet(time=None, tmms=1_167_264_016_000).frames[0].time_us == 1_483_228_799_000_000
    assert packet(time=None, tmms=1_167_264_018_000).frames[0].time_us == 1_483_228_800_000_000
    assert packet(time=None).frames[0].time_us == 0


def test_a_time_may_be_written_as_statistics_write_it() -> None:
    assert packet(time="2014-01-12 08:59:28 GMT").frames[0].time_us == 1_389_517_168_000_000
    assert packet(time="2014-01-12T08:59:28").frames[0].time_us == 1_389_517_168_000_000
    assert packet(time="20140112T085928.5Z").frames[0].time_us == 1_389_517_168_500_000
    assert packet(time="2016-12-31T23:59:60Z").frames[0].time_us == 1_483_228_800_000_000


def test_one_bad_packet_of_several() -> None:
    good = wrap_gwmp.heard(FRAME, **RADIO)
    record = one(json.dumps({"rxpk": [good, {"data": "!", "rssi": -5}, good, 7]}).encode())
    assert [f.reason for f in record.frames] == ["", "bad_record", "", "bad_record"]
    assert record.frames[1].data == b'{"data":"!","rssi":-5}'
    assert record.reason == ""
    assert one(b'{"rxpk":{}}').reason == one(b'{"txpk":[{}]}').reason == "bad_record"
    assert one(b'{"rxpk":[' + b"1," * 4096 + b"1]}").reason == "too_many"
    assert one(b'{"rxpk":[]}') == Record(b'{"rxpk":[]}')


def test_what_was_never_on_the_air_as_such_is_left_out() -> None:
    assert gwmp.pack(Frame(FRAME, 5, network=Network(fport=1))) == b""
    assert gwmp.pack(Frame(b"cut", 5, reason="truncated")) == b""


# Datagrams

DATAGRAMS = {
    # PROTOCOL.TXT sections 3 and 5, byte by byte
    "020102 00 aaee000000000001 7b7d": gwmp.Datagram(2, 0x0102, gwmp.PUSH_DATA, GATEWAY, b"{}"),
    "010102 00 aaee000000000001 7b7d": gwmp.Datagram(1, 0x0102, gwmp.PUSH_DATA, GATEWAY, b"{}"),
    "02ffee 01": gwmp.Datagram(2, 0xFFEE, gwmp.PUSH_ACK),
    "020000 02 aaee000000000001": gwmp.Datagram(2, 0, gwmp.PULL_DATA, GATEWAY),
    "020001 04": gwmp.Datagram(2, 1, gwmp.PULL_ACK),
    "020001 03 7b7d": gwmp.Datagram(2, 1, gwmp.PULL_RESP, b"", b"{}"),
    "020001 05 aaee000000000001": gwmp.Datagram(2, 1, gwmp.TX_ACK, GATEWAY),
    "020001 05 aaee000000000001 7b7d": gwmp.Datagram(2, 1, gwmp.TX_ACK, GATEWAY, b"{}"),
}


@pytest.mark.parametrize("text", DATAGRAMS)
def test_datagrams_of_every_kind(text: str) -> None:
    data = bytes.fromhex(text)
    assert gwmp.parse(data) == DATAGRAMS[text]
    assert gwmp.build(DATAGRAMS[text]) == data


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "truncated"),
        ("020001", "truncated"),
        ("020001 00", "truncated"),
        ("020001 00 aaee0000000000", "truncated"),
        ("020001 00 aaee000000000001", "truncated"),
        ("020001 03", "truncated"),
        ("020001 05 aa", "truncated"),
        ("000001 01", "bad_record"),
        ("030001 01", "bad_record"),
        ("020001 06", "bad_record"),
        ("020001 01 00", "bad_record"),
        ("020001 02 aaee000000000001 7b7d", "bad_record"),
    ],
)
def test_datagrams_that_are_none(text: str, reason: str) -> None:
    data = bytes.fromhex(text)
    with pytest.raises(BadRecord) as error:
        gwmp.parse(data)
    assert error.value.reason == reason
    assert gwmp.record(data) == Record(data, reason=reason)


@pytest.mark.parametrize(
    "datagram",
    [
        gwmp.Datagram(2, 1, gwmp.PUSH_DATA, b"", b"{}"),
        gwmp.Datagram(2, 1, gwmp.PUSH_ACK, GATEWAY),
        gwmp.Datagram(2, 1, gwmp.PULL_ACK, b"", b"{}"),
        gwmp.Datagram(2, 1, gwmp.PUSH_DATA, GATEWAY, b"x" * 65507),
        gwmp.Datagram(2, 1, 6),
    ],
)
def test_no_datagram_is_built_that_is_none(datagram: gwmp.Datagram) -> None:
    with pytest.raises(ValueError):
        gwmp.build(datagram)


def test_what_a_server_owes() -> None:
    assert gwmp.build(
        gwmp.answer(DATAGRAMS["020102 00 aaee000000000001 7b7d"]) or gwmp.Datagram(0, 0, 0)
    ) == (b"\x02\x01\x02\x01")
    assert gwmp.answer(DATAGRAMS["020000 02 aaee000000000001"]) == gwmp.Datagram(2, 0, gwmp.PULL_ACK)
    assert gwmp.answer(DATAGRAMS["020001 05 aaee000000000001"]) is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "NONE"),
        (b'{"txpk_ack":{"error":"NONE"}}', "NONE"),
        # The two examples of PROTOCOL.md section 6
        (b'{"txpk_ack":{\n\t"error":"COLLISION_PACKET"\n}}', "COLLISION_PACKET"),
        (b'{"txpk_ack":{\n\t"warn":"TX_POWER",\n    "value":20\n}}', "WARN TX_POWER"),
        (b'{"txpk_ack":{"error":"TX_POWER"}}', "TX_POWER"),
        (b'{"txpk_ack":{"warn":"\\u001b[2J"}}', "WARN ?"),
    ],
)
def test_what_a_gateway_says_of_a_downlink(body: bytes, told: str) -> None:
    datagram = gwmp.Datagram(2, 1, gwmp.TX_ACK, GATEWAY, body)
    assert gwmp.tx_error(datagram) == told
    assert gwmp.record(gwmp.build(datagram)).others == ("tx_ack",)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"x", b'{"txpk_ack":{"error":"\\u001b"}}', b'{"txpk_ack":5}'])
def test_an_acknowledgement_that_is_none(body: bytes) -> None:
    with pytest.raises(BadRecord):
        gwmp.tx_error(gwmp.Datagram(2, 1, gwmp.TX_ACK, GATEWAY, body))


def test_our_own_datagrams_are_read_back() -> None:
    heard = [Frame(bytes.fromhex(v), 5_000_000 + n, Radio(868_300_000, 7)) for n, v in enumerate(VECTORS)]
    data = gwmp.build(gwmp.Datagram(2, 7, gwmp.PUSH_DATA, GATEWAY, gwmp.body(heard)))
    found = gwmp.record(data)
    assert found.raw == data
    assert found.frames == tuple(Frame(f.data, f.time_us, f.radio, gateway=GATEWAY) for f in heard)


@given(st.binary(max_size=60))
def test_any_datagram_makes_a_record(data: bytes) -> None:
    for kind in range(6):
        framed = bytes((2, 0, 0, kind)) + data
        assert gwmp.record(framed).raw == framed
    assert gwmp.record(data).raw == data
