"""MAC commands: every one of 1.0.4 in both directions, by name and value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.lorawan import mac

UP, DOWN = 0, 1
FREQ = "b85e84"  # 867.5 MHz
# Bytes, direction, name, fields; the bytes follow from the tables of TS001-1.0.4 sections 5 and 12.
COMMANDS: list[tuple[str, int, str, dict[str, Any]]] = [
    ("02", UP, "LinkCheckReq", {}),
    ("02 14 03", DOWN, "LinkCheckAns", {"margin_db": 20, "gateways": 3}),
    ("02 ff 01", DOWN, "LinkCheckAns", {"margin_db": None, "gateways": 1}),
    (
        "03 52 0402 11",
        DOWN,
        "LinkADRReq",
        {"data_rate": 5, "tx_power": 2, "ch_mask": [2, 9], "ch_mask_cntl": 1, "nb_trans": 1},
    ),
    (
        "03 ff ff00 f0",
        DOWN,
        "LinkADRReq",
        {"data_rate": None, "tx_power": None, "ch_mask": list(range(8)), "ch_mask_cntl": 7, "nb_trans": 0},
    ),
    ("03 05", UP, "LinkADRAns", {"channel_mask_ack": True, "data_rate_ack": False, "power_ack": True}),
    ("04 07", DOWN, "DutyCycleReq", {"max_duty_cycle": 7, "one_in": 128}),
    ("04 f0", DOWN, "DutyCycleReq", {"max_duty_cycle": 0, "one_in": 1}),
    ("04", UP, "DutyCycleAns", {}),
    (
        f"05 d3 {FREQ}",
        DOWN,
        "RXParamSetupReq",
        {"rx1_dr_offset": 5, "rx2_data_rate": 3, "freq_hz": 867500000},
    ),
    (
        "05 06",
        UP,
        "RXParamSetupAns",
        {"channel_ack": False, "rx2_data_rate_ack": True, "rx1_dr_offset_ack": True},
    ),
    ("06", DOWN, "DevStatusReq", {}),
    ("06 42 2f", UP, "DevStatusAns", {"battery": 66, "snr_db": -17}),
    ("06 00 df", UP, "DevStatusAns", {"battery": 0, "snr_db": 31}),
    ("06 ff 20", UP, "DevStatusAns", {"battery": None, "snr_db": -32}),
    (
        f"07 0f {FREQ} 52",
        DOWN,
        "NewChannelReq",
        {"channel": 15, "freq_hz": 867500000, "max_data_rate": 5, "min_data_rate": 2},
    ),
    ("07 02", UP, "NewChannelAns", {"freq_ok": False, "data_rate_ok": True}),
    ("08 05", DOWN, "RXTimingSetupReq", {"delay_s": 5}),
    ("08 f0", DOWN, "RXTimingSetupReq", {"delay_s": 1}),
    ("08", UP, "RXTimingSetupAns", {}),
    (
        "09 25",
        DOWN,
        "TXParamSetupReq",
        {"downlink_dwell_ms": 400, "uplink_dwell_ms": None, "max_eirp_dbm": 16},
    ),
    (
        "09 df",
        DOWN,
        "TXParamSetupReq",
        {"downlink_dwell_ms": None, "uplink_dwell_ms": 400, "max_eirp_dbm": 36},
    ),
    ("09", UP, "TXParamSetupAns", {}),
    (f"0a 04 {FREQ}", DOWN, "DlChannelReq", {"channel": 4, "freq_hz": 867500000}),
    ("0a 02", UP, "DlChannelAns", {"freq_ok": False, "uplink_freq_exists": True}),
    ("0d", UP, "DeviceTimeReq", {}),
    ("0d 70b6e843 80", DOWN, "DeviceTimeAns", {"gps_s": 1139324528, "fraction_ns": 500_000_000}),
    ("0d ffffffff ff", DOWN, "DeviceTimeAns", {"gps_s": 2**32 - 1, "fraction_ns": 996_093_750}),
    ("10 07", UP, "PingSlotInfoReq", {"periodicity": 7, "period_ms": 122_880}),
    ("10", DOWN, "PingSlotInfoAns", {}),
    (f"11 {FREQ} f3", DOWN, "PingSlotChannelReq", {"freq_hz": 867500000, "data_rate": 3}),
    ("11 01", UP, "PingSlotChannelAns", {"freq_ok": True, "data_rate_ok": False}),
    ("12", UP, "BeaconTimingReq", {}),
    ("12 ff42 07", DOWN, "BeaconTimingAns", {"delay": 0x42FF, "channel": 7}),
    ("13 000000", DOWN, "BeaconFreqReq", {"freq_hz": 0}),
    ("13 01", UP, "BeaconFreqAns", {"freq_ok": True}),
]
# Names of tables 14 and 61 (sections 5 and 12).
NAMES = (
    "LinkCheck LinkADR DutyCycle RXParamSetup DevStatus NewChannel RXTimingSetup TXParamSetup DlChannel "
    "DeviceTime PingSlotInfo PingSlotChannel BeaconTiming BeaconFreq"
).split()


@pytest.mark.parametrize(("data", "way", "name", "fields"), COMMANDS)
def test_each_command(data: str, way: int, name: str, fields: dict[str, Any]) -> None:
    found = mac.parse(bytes.fromhex(data), way)
    assert found == [(name, fields)]
    # Cut anywhere it is told to be cut, by its name.
    raw = bytes.fromhex(data)
    for end in range(1, len(raw)):
        fields = {"cid": f"{raw[0]:02x}", "rest": raw[1:end].hex(), "command": name}
        assert mac.parse(raw[:end], way) == [("truncated", fields)]


def test_none_is_missing() -> None:
    tested = {name for _, _, name, _ in COMMANDS}
    assert tested == {name + kind for name in NAMES for kind in ("Req", "Ans")}


def test_a_sequence_in_order() -> None:
    for way in (UP, DOWN):
        mine = [c for c in COMMANDS if c[1] == way]
        data = bytes.fromhex("".join(c[0] for c in mine))
        assert mac.parse(data, way) == [(name, fields) for _, _, name, fields in mine]


@pytest.mark.parametrize(
    ("data", "way", "word", "rest"),
    [
        ("020b01020d", UP, "unknown", {"cid": "0b", "rest": "01020d"}),
        ("0280aabb", UP, "proprietary", {"cid": "80", "rest": "aabb"}),
        ("06ff", DOWN, "proprietary", {"cid": "ff", "rest": ""}),
        ("0600", DOWN, "unknown", {"cid": "00", "rest": ""}),
    ],
)
def test_the_first_unknown_one_ends_the_list(data: str, way: int, word: str, rest: dict[str, str]) -> None:
    found = mac.parse(bytes.fromhex(data), way)
    assert len(found) == 2
    assert found[-1] == (word, rest)


@given(st.binary(max_size=240), st.integers(0, 1))
@settings(max_examples=200, deadline=None)
def test_hostile_bytes(data: bytes, way: int) -> None:
    found = mac.parse(data, way)
    ends = {"unknown", "proprietary", "truncated"}
    assert all(name not in ends for name, _ in found[:-1])
    whole = found[:-1] if found and found[-1][0] in ends else found
    used = sum(1 + mac.TABLE[way][data_cid(name, way)][1] for name, _ in whole)
    rest = 1 + len(found[-1][1]["rest"]) // 2 if len(whole) < len(found) else 0
    assert used + rest == len(data)


def data_cid(name: str, way: int) -> int:
    return next(cid for cid, row in mac.TABLE[way].items() if row[0] == name)
