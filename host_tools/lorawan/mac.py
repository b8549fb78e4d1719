"""MAC commands of LoRaWAN 1.0.4, both directions, as names and values: TS001-1.0.4 sections 5 and 12.

Field names carry their unit: _hz, _s, _ms, _ns, _db, _dbm. Data rates, powers and channels are indexes of the
regional plan (RP002). None means "keep what you have", "no limit" or "not known", as the field says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]
Command = tuple[str, Fields]
# Table 48 of section 5.8.
_EIRP_DBM = (8, 10, 12, 13, 14, 16, 18, 20, 21, 24, 26, 27, 29, 30, 33, 36)
_DWELL_MS = 400
_PROPRIETARY = 0x80


def _none(_: bytes) -> Fields:
    return {}


def _hz(three: bytes) -> int:
    return int.from_bytes(three, "little") * 100


def _bits(*names: str) -> Callable[[bytes], Fields]:
    """Yes or no for each bit, lowest first."""
    return lambda b: {name: bool(b[0] >> i & 1) for i, name in enumerate(names)}


def _unless(value: int, special: int) -> int | None:
    return None if value == special else value


def _link_check_ans(b: bytes) -> Fields:
    # 255 is reserved for the margin.
    return {"margin_db": _unless(b[0], 255), "gateways": b[1]}


def _link_adr_req(b: bytes) -> Fields:
    """data_rate, tx_power: None leaves them. nb_trans: 0 asks for the default, 1."""
    mask = b[1] | b[2] << 8
    return {
        "data_rate": _unless(b[0] >> 4, 15),
        "tx_power": _unless(b[0] & 15, 15),
        "ch_mask": [i for i in range(16) if mask >> i & 1],
        "ch_mask_cntl": b[3] >> 4 & 7,
        "nb_trans": b[3] & 15,
    }


def _duty_cycle_req(b: bytes) -> Fields:
    """At most one part in `one_in` of the time, over all sub-bands; 1 is no limit but the region's."""
    return {"max_duty_cycle": b[0] & 15, "one_in": 1 << (b[0] & 15)}


def _rx_param_setup_req(b: bytes) -> Fields:
    return {"rx1_dr_offset": b[0] >> 4 & 7, "rx2_data_rate": b[0] & 15, "freq_hz": _hz(b[1:4])}


def _dev_status_ans(b: bytes) -> Fields:
    """battery: 1 to 254 of 254, 0 mains, None not measured. snr_db: of the last DevStatusReq, -32 to 31."""
    return {"battery": _unless(b[0], 255), "snr_db": ((b[1] & 63) ^ 32) - 32}


def _new_channel_req(b: bytes) -> Fields:
    """freq_hz: 0 takes the channel away."""
    return {"channel": b[0], "freq_hz": _hz(b[1:4]), "max_data_rate": b[4] >> 4, "min_data_rate": b[4] & 15}


def _rx_timing_setup_req(b: bytes) -> Fields:
    return {"delay_s": b[0] & 15 or 1}


def _tx_param_setup_req(b: bytes) -> Fields:
    return {
        "downlink_dwell_ms": _DWELL_MS if b[0] >> 5 & 1 else None,
        "uplink_dwell_ms": _DWELL_MS if b[0] >> 4 & 1 else None,
        "max_eirp_dbm": _EIRP_DBM[b[0] & 15],
    }


def _dl_channel_req(b: bytes) -> Fields:
    return {"channel": b[0], "freq_hz": _hz(b[1:4])}


def _device_time_ans(b: bytes) -> Fields:
    """GPS time at the end of the uplink. A 256th of a second is exactly 3 906 250 ns."""
    return {"gps_s": int.from_bytes(b[:4], "little"), "fraction_ns": b[4] * 3_906_250}


def _ping_slot_info_req(b: bytes) -> Fields:
    """A slot each 0.96 s x 2^periodicity."""
    return {"periodicity": b[0] & 7, "period_ms": 960 << (b[0] & 7)}


def _ping_slot_channel_req(b: bytes) -> Fields:
    """freq_hz: 0 goes back to the plan's own."""
    return {"freq_hz": _hz(b[:3]), "data_rate": b[3] & 15}


def _beacon_timing_ans(b: bytes) -> Fields:
    """Deprecated since 1.0.3: a delay in steps of 30 ms and a beacon channel."""
    return {"delay": int.from_bytes(b[:2], "little"), "channel": b[2]}


def _beacon_freq_req(b: bytes) -> Fields:
    """freq_hz: 0 goes back to the plan's own."""
    return {"freq_hz": _hz(b)}


_Row = tuple[str, int, Callable[[bytes], Fields]]
# CID: name, bytes after the CID, reader. What a device sends:
_UP: dict[int, _Row] = {
    0x02: ("LinkCheckReq", 0, _none),
    0x03: ("LinkADRAns", 1, _bits("channel_mask_ack", "data_rate_ack", "power_ack")),
    0x04: ("DutyCycleAns", 0, _none),
    0x05: ("RXParamSetupAns", 1, _bits("channel_ack", "rx2_data_rate_ack", "rx1_dr_offset_ack")),
    0x06: ("DevStatusAns", 2, _dev_status_ans),
    0x07: ("NewChannelAns", 1, _bits("freq_ok", "data_rate_ok")),
    0x08: ("RXTimingSetupAns", 0, _none),
    0x09: ("TXParamSetupAns", 0, _none),
    0x0A: ("DlChannelAns", 1, _bits("freq_ok", "uplink_freq_exists")),
    0x0D: ("DeviceTimeReq", 0, _none),
    0x10: ("PingSlotInfoReq", 1, _ping_slot_info_req),
    0x11: ("PingSlotChannelAns", 1, _bits("freq_ok", "data_rate_ok")),
    0x12: ("BeaconTimingReq", 0, _none),
    0x13: ("BeaconFreqAns", 1, _bits("freq_ok")),
}
# And a network server.
_DOWN: dict[int, _Row] = {
    0x02: ("LinkCheckAns", 2, _link_check_ans),
    0x03: ("LinkADRReq", 4, _link_adr_req),
    0x04: ("DutyCycleReq", 1, _duty_cycle_req),
    0x05: ("RXParamSetupReq", 4, _rx_param_setup_req),
    0x06: ("DevStatusReq", 0, _none),
    0x07: ("NewChannelReq", 5, _new_channel_req),
    0x08: ("RXTimingSetupReq", 1, _rx_timing_setup_req),
    0x09: ("TXParamSetupReq", 1, _tx_param_setup_req),
    0x0A: ("DlChannelReq", 4, _dl_channel_req),
    0x0D: ("DeviceTimeAns", 5, _device_time_ans),
    0x10: ("PingSlotInfoAns", 0, _none),
    0x11: ("PingSlotChannelReq", 4, _ping_slot_channel_req),
    0x12: ("BeaconTimingAns", 3, _beacon_timing_ans),
    0x13: ("BeaconFreqReq", 3, _beacon_freq_req),
}
TABLE = (_UP, _DOWN)


def parse(data: bytes, direction: int) -> list[Command]:
    """The commands of FOpts or of a port 0 payload in clear; direction: 0 from the device, 1 to it.

    A command tells no length, so the first one that is unknown or cut ends the list (section 5) with one of
    ("unknown", ..), ("proprietary", ..) and ("truncated", ..); its fields are the CID and the rest, both hex.
    """
    table = TABLE[direction]
    found: list[Command] = []
    at = 0
    while at < len(data):
        row = table.get(data[at])
        end = at + 1 + (row[1] if row else 0)
        if row is None or end > len(data):
            word = "truncated" if row else "proprietary" if data[at] >= _PROPRIETARY else "unknown"
            fields = {"cid": f"{data[at]:02x}", "rest": data[at + 1 :].hex()}
            if row:
                fields["command"] = row[0]
            found.append((word, fields))
            break
        found.append((row[0], row[2](data[at + 1 : end])))
        at = end
    return found
