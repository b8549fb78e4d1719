"""What a packet comment tells of a frame where the packet itself has no room for it: JSON after a fixed prefix.

{"radio": {...}, "network": {...}, "gateway": hex, "reason": name}, each only where it differs from what the packet
gives; the names inside are those of host_tools/frames.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace

from host_tools.frames import UNKNOWN, Frame, Network, Radio

PREFIX = "lanterne-frame/1 "
_LONGEST = 4096
_REASON = re.compile(r"[a-z][a-z0-9_]{1,39}")

Check = Callable[[object], object]


def _integer(low: int, high: int) -> Check:
    def check(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError
        return value

    return check


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _text(*allowed: str) -> Check:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError
        return value

    return check


def _hex(value: object) -> bytes:
    if not isinstance(value, str) or len(value) not in (0, 16):
        raise ValueError
    return bytes.fromhex(value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


_WORD, _SIGNED = _integer(0, 0xFFFFFFFF), _integer(-(1 << 31), (1 << 31) - 1)
_RADIO: dict[str, Check] = {
    "freq_hz": _integer(0, 1 << 40),
    "sf": _SIGNED,
    "bw_hz": _SIGNED,
    "rssi_qdbm": _SIGNED,
    "snr_qdb": _SIGNED,
    "sync_word": _SIGNED,
    "coding_rate": _SIGNED,
    "counter_us": _optional(_integer(0, (1 << 64) - 1)),
    "channel": _optional(_SIGNED),
    "chain": _optional(_SIGNED),
    "crc": _text("ok", "bad", "none", ""),
}
_NETWORK: dict[str, Check] = {
    "dev_eui": _hex,
    "dev_addr": _optional(_WORD),
    "fcnt": _optional(_WORD),
    "fport": _integer(0, 255),
    "confirmed": _truth,
}


def tell(frame: Frame, plain: Frame) -> str:
    """The comment that makes `frame` of what a reader finds without it; "" where that is the same."""
    told: dict[str, object] = {}
    if frame.reason:
        told["reason"] = frame.reason
        plain = Frame(frame.data, frame.time_us, UNKNOWN, frame.reason, plain.gateway)
    radio = {
        f.name: getattr(frame.radio, f.name)
        for f in fields(Radio)
        if getattr(frame.radio, f.name) != getattr(plain.radio, f.name)
    }
    if radio:
        told["radio"] = radio
    if frame.gateway != plain.gateway:
        told["gateway"] = frame.gateway.hex()
    if frame.network is not None:
        there = frame.network
        told["network"] = {
            "dev_eui": there.dev_eui.hex(),
            "dev_addr": there.dev_addr,
            "fcnt": there.fcnt,
            "fport": there.fport,
            "confirmed": there.confirmed,
        }
    return PREFIX + json.dumps(told, separators=(",", ":")) if told else ""


def parse(text: bytes) -> dict[str, dict[str, object]]:
    """What a comment tells, checked, without its prefix; ValueError for anything that `tell` does not write."""
    if len(text) > _LONGEST:
        raise ValueError
    try:
        told = json.loads(text)
    except RecursionError:
        raise ValueError from None
    if not isinstance(told, dict) or told.keys() - {"radio", "network", "gateway", "reason"}:
        raise ValueError
    checked: dict[str, dict[str, object]] = {"plain": {}}
    for part, checks in (("radio", _RADIO), ("network", _NETWORK)):
        if part in told:
            values = told[part]
            if not isinstance(values, dict) or values.keys() - checks.keys():
                raise ValueError
            checked[part] = {name: checks[name](value) for name, value in values.items()}
    if "gateway" in told:
        checked["plain"]["gateway"] = _hex(told["gateway"])
    if "reason" in told:
        if not isinstance(told["reason"], str) or not _REASON.fullmatch(told["reason"]):
            raise ValueError
        checked["plain"]["reason"] = told["reason"]
    return checked


def apply(told: dict[str, dict[str, object]], frame: Frame) -> Frame:
    """The frame with what was told of it; where a reason was told, `frame` has the whole packet as its data."""
    return replace(
        frame,
        radio=replace(frame.radio, **told.get("radio", {})),  # type: ignore[arg-type]
        network=Network(**told["network"]) if "network" in told else frame.network,  # type: ignore[arg-type]
        **told["plain"],  # type: ignore[arg-type]
    )
