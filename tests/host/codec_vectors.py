"""The vectors of codecs/: frames as a LoRaWAN FRMPayload, and what a codec has to say of them.

usage: python -m tests.host.codec_vectors        writes tests/vectors/codec/uplinks.json

Payloads are the golden ones of tests/vectors/wire; tests/host/synth.py and cbor2 make frames of them. Nothing of
tools/gen_codec.py, of the codecs or of the host's decoder is used: names, units, words and decimals come from the
field table by rules that are written down here once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import cbor2

from firmware.protocols import schema
from tests.host.synth import Device, det

ROOT = Path(__file__).resolve().parents[2]
WIRE = ROOT / "tests/vectors/wire"
PATH = ROOT / "tests/vectors/codec/uplinks.json"
SUFFIXES = {
    "%": "percent",
    "l/h": "l_per_h",
    "%/d": "percent_per_d",
    "degC": "degc",
    "V": "v",
    "W": "w",
    "Wh": "wh",
}
# 2026-01-01T00:00:00Z is second 0 of wire time; no leap second has been announced since.
DAY_0 = (2026, 1, 1)
Vector = dict[str, Any]


def name_of(field: str, unit: str) -> str:
    return field + ("_" + SUFFIXES.get(unit, unit.lower()) if unit else "")


def exact(value: int, decimals: int) -> Any:
    return Decimal(value).scaleb(-decimals) if value % 10**decimals else value // 10**decimals


def utc(seconds: int) -> str:
    import datetime as dt

    at = dt.datetime(*DAY_0, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def said(number: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The part of the answer that a message's fields make."""
    kind, module_name = schema.TYPES[number]
    module = schema.load(module_name)
    states = dict(module.STATES)
    alarms = {row[0]: row[1] for row in module.ALARMS}
    found: dict[str, Any] = {"type": kind, "values": {}, "privacy": 0}
    habits = []
    for _, name, shape, unit, decimals, _, _, privacy, _, _ in schema.rows(number):
        if name not in fields:
            continue
        value = fields[name]
        if name.startswith("time"):
            found["time"] = utc(value)
            found["clock"] = "confirmed" if name == "time" else "unconfirmed"
            continue
        if name == "alarms":
            value = [alarms.get(bit, f"bit_{bit}") for bit in range(16) if value & 1 << bit]
        elif name in states:
            value = states[name][value]
        elif shape == "vector":
            value = [exact(item, decimals) for item in value]
        elif shape != "bytes":
            value = exact(value, decimals)
        found["values"][name_of(name, unit)] = value
        if privacy:
            found["privacy"] = 1
            habits.append(name_of(name, unit))
    return {"data": found, "habits": habits}


def answer(data: dict[str, Any], warnings: list[str]) -> dict[str, Any]:
    return {"data": data, "warnings": warnings} if warnings else {"data": data}


def readings() -> Iterator[Vector]:
    """Every golden message in each of the three structures, in turn."""
    devices = [Device(profile, n) for n, profile in enumerate(("mac0", "sign1", "mac0", "encrypt0"), 1)]
    count = 0
    for _, module in schema.TYPES.values():
        for v in json.loads((WIRE / f"{module}.json").read_text()):
            device = devices[count % len(devices)]
            count += 1
            seq = 70000 + 997 * count
            payload = bytes.fromhex(v["hex"])
            frame = device.cose(0, seq, payload)
            head = {
                "trust": "unverified",
                "purpose": "reading",
                "structure": device.profile,
                "piv": seq & 0xFFFFFF,
            }
            # What the encoder of the firmware is given for the same bytes.
            made = {"type": v["type"], "fields": v["fields"], "room": v.get("room", 255), "seq": seq}
            parts = cbor2.loads(frame)
            if device.profile == "encrypt0":
                out = answer(
                    {**head, "sealed": parts[2].hex()}, ["sealed: only the owner's keys open this content"]
                )
                made |= {"body": parts[2].hex(), "tag": ""}
            else:
                told = said(v["type"], v["fields"])
                habits = ", ".join(told["habits"])
                warning = f"privacy: {habits}: tells about people's habits, readable on this server"
                out = answer({**head, **told["data"]}, [warning] if habits else [])
                made |= {"body": "", "tag": parts[3].hex()}
            yield {"name": v["name"], "port": 10, "bytes": frame.hex(), "output": out, "encoder": made}


def others() -> Iterator[Vector]:
    """Checkpoints, their parts, results and recover."""
    device = Device("mac0", 7)
    device.seq, device.n = 70170, 48
    number = device.seq + 1
    payload = device.checkpoint_payload()
    whole = device.cose(1, number, payload)
    head = {"trust": "unverified", "purpose": "checkpoint"}
    values: dict[str, Any] = {"covers": 48, "head": payload[-16:].hex()}
    data = {**head, "structure": "sign1", "piv": number, "type": "checkpoint", "values": values}
    yield {"name": "checkpoint", "port": 11, "bytes": whole.hex(), "output": {"data": data}}
    device.n = 3
    for link in device.fragments():
        body = link[7:]
        part = {"number": body[0] << 8 | body[1], "index": body[2] >> 4, "last": body[2] & 15}
        data = {**head, "type": "fragment", "values": {**part, "part": body[3:].hex()}}
        yield {
            "name": f"fragment_{part['index']}",
            "port": 11,
            "bytes": body.hex(),
            "output": {"data": data},
        }
    cseq = 1 << 28 | 7
    results = {
        "result_done": ([cseq, 0, cseq], "result", {"cseq": cseq, "outcome": "done", "last_cseq": cseq}),
        "result_refused": (
            [cseq, 10, cseq - 1],
            "result",
            {"cseq": cseq, "outcome": "below_floor", "last_cseq": cseq - 1},
        ),
        "result_unknown": ([9, 31, 8], "result", {"cseq": 9, "outcome": "reason_31", "last_cseq": 8}),
        "result_plan": (
            [cseq, 0, cseq, bytes(range(8))],
            "result",
            {"cseq": cseq, "outcome": "done", "last_cseq": cseq, "plan": "0001020304050607"},
        ),
        "result_leaf": (
            [cseq, 13, 70123, bytes(range(32))],
            "leaf",
            {"cseq": cseq, "of_seq": 70123, "leaf": bytes(range(32)).hex()},
        ),
    }
    for name, (items, kind, values) in results.items():
        data = {"trust": "unverified", "purpose": "result", "structure": "mac0", "piv": 70124}
        data |= {"type": kind, "values": values}
        frame = device.cose(3, 70124, det(items))
        yield {"name": name, "port": 12, "bytes": frame.hex(), "output": {"data": data}}
    nonce = bytes(range(16))
    frame = device.cose(4, 0, det([nonce]), "mac0")
    data = {"trust": "unverified", "purpose": "recover", "structure": "mac0", "piv": 0, "type": "recover"}
    data["values"] = {"nonce": nonce.hex()}
    yield {"name": "recover", "port": 13, "bytes": frame.hex(), "output": {"data": data}}


def refused() -> Iterator[Vector]:
    """Golden payloads that must be refused, sealed as if they were none; and frames that are none."""
    device = Device("mac0", 1)
    for v in json.loads((WIRE / "refused.json").read_text()):
        frame = device.cose(0, 70123, bytes.fromhex(v["hex"]))
        yield {"name": v["name"], "port": 10, "bytes": frame.hex(), "reason": v["reason"]}
    good = device.cose(0, 70123, device.reading(1))
    piv, tag, body = {6: b"\0\1\2"}, bytes(8), det([3, {7: 0}])
    frames: dict[str, tuple[bytes, str, int]] = {
        "nothing": (b"", "truncated", 10),
        "a_byte_less": (good[:-1], "truncated", 10),
        "a_byte_more": (good + b"\0", "trailing", 10),
        "another_port": (good, "wrong_port", 1),
        "port_of_downlinks": (good, "wrong_port", 14),
        "fallback_port": (good, "wrong_port", 42),
        "a_number": (det(5), "not_cose", 10),
        "two_parts": (det([b"", piv]), "not_cose", 10),
        "five_parts": (det([b"", piv, body, tag, tag]), "not_cose", 10),
        "tagged": (b"\xd1" + good, "tag_not_allowed", 10),
        "payload_is_text": (det([b"", piv, "x" * 9, tag]), "not_cose", 10),
        "tag_is_number": (det([b"", piv, body, 1]), "not_cose", 10),
        "alg_protected": (det([det({1: 4}), piv, body, tag]), "explicit_alg", 10),
        "alg_unprotected": (det([b"", {1: 4, **piv}, body, tag]), "explicit_alg", 10),
        "alg_null": (det([b"", {1: None, **piv}, body, tag]), "explicit_alg", 10),
        "protected_other": (det([det({3: 4}), piv, body, tag]), "bad_header", 10),
        "protected_junk": (det([b"\xff", piv, body, tag]), "bad_header", 10),
        "no_piv": (det([b"", {}, body, tag]), "bad_header", 10),
        "piv_of_two": (det([b"", {6: b"\0\1"}, body, tag]), "bad_header", 10),
        "iv": (det([b"", {5: b"\0\1\2"}, body, tag]), "bad_header", 10),
        "kid": (det([b"", {4: b"\1\7", **piv}, body, tag]), "bad_header", 10),
        "kid_null": (det([b"", {4: None, **piv}, body, tag]), "bad_header", 10),
        "kid_empty": (det([b"", {4: b"", **piv}, body, tag]), "bad_header", 10),
        "tag_of_seven": (det([b"", piv, body, tag[:7]]), "tag_length", 10),
        "tag_of_sixteen": (det([b"", piv, body, tag * 2]), "tag_length", 10),
        "sealed_of_seven": (det([b"", piv, tag[:7]]), "tag_length", 10),
        "of_255_bytes": (det([b"", piv, bytes(236), tag]), "trailing", 10),
        "of_256_bytes": (det([b"", piv, bytes(237), tag]), "too_long", 10),
        "alg_deep": (det([det({1: [[[4]]]}), piv, body, tag]), "explicit_alg", 10),
        "alg_too_deep": (det([det({1: [[[[4]]]]}), piv, body, tag]), "bad_header", 10),
        "both_times_0": (det([b"", piv, det([2, {0: 0, 1: 0}]), tag]), "time_twice", 10),
        "both_times_null": (det([b"", piv, det([2, {0: None, 1: 5}]), tag]), "time_twice", 10),
        "two_bytes_for_80": (det([b"", piv, b"\x82\2\xa1\4\x19\0\x50", tag]), "not_canonical", 10),
        "four_bytes_for_80": (det([b"", piv, b"\x82\2\xa1\4\x1a\0\0\0\x50", tag]), "not_canonical", 10),
        "eight_for_32_bits": (
            det([b"", piv, b"\x82\2\xa1\4\x1b\0\0\0\0\xff\xff\xff\xff", tag]),
            "not_canonical",
            10,
        ),
        "eight_for_33_bits": (
            det([b"", piv, b"\x82\2\xa1\4\x1b\0\0\0\1\0\0\0\0", tag]),
            "out_of_range",
            10,
        ),
        "nested": (det([b"", {6: [[b"\0\1\2"]]}, body, tag]), "too_deep", 10),
        "too_many": (det([[0] * 20, piv, body, tag]), "too_many", 10),
        "text_broken": (b"\x84\x62\xc0\x80" + det(piv) + det(body) + det(tag), "bad_utf8", 10),
        "text_of_three": (b"\x84\x63\xe0\x80\x80" + det(piv) + det(body) + det(tag), "bad_utf8", 10),
        "text_of_four": (b"\x84\x64\xf0\x80\x80\x80" + det(piv) + det(body) + det(tag), "bad_utf8", 10),
        "text_beyond": (b"\x84\x64\xf4\x90\x80\x80" + det(piv) + det(body) + det(tag), "bad_utf8", 10),
        "text_f5": (b"\x84\x64\xf5\x80\x80\x80" + det(piv) + det(body) + det(tag), "bad_utf8", 10),
        "text_cut": (b"\x84\x62\xe2\x82" + det(piv) + det(body) + det(tag), "bad_utf8", 10),
        "text_surrogate": (b"\x84\x63\xed\xa0\x80" + det(piv) + det(body) + det(tag), "bad_utf8", 10),
        "text_whole": (det(["é€😀", piv, body, tag]), "not_cose", 10),
        "undefined": (b"\x84\xf7" + det(piv) + det(body) + det(tag), "simple_not_allowed", 10),
        "reserved_length": (b"\x84\x5c" + det(piv) + det(body) + det(tag), "reserved", 10),
        "covers_nothing": (device.cose(1, 5, det([0, bytes(16)])), "out_of_range", 11),
        "covers_256": (device.cose(1, 5, det([256, bytes(16)])), "out_of_range", 11),
        "head_of_15": (device.cose(1, 5, det([1, bytes(15)])), "wrong_shape", 11),
        "part_after_the_last": (b"\0\5\x21\0", "trailing", 11),
        "part_of_nothing": (b"\0\5\x00", "trailing", 11),
        "result_of_two": (device.cose(3, 5, det([1, 2])), "wrong_shape", 12),
        "result_of_five": (device.cose(3, 5, det([1, 2, 3, 4, 5])), "too_many", 12),
        "result_negative": (device.cose(3, 5, det([1, -2, 3])), "wrong_shape", 12),
        "result_leaf_short": (device.cose(3, 5, det([1, 13, 3, bytes(31)])), "wrong_shape", 12),
        "result_leaf_of_0": (device.cose(3, 5, det([1, 13, 0, bytes(32)])), "out_of_range", 12),
        "result_of_text": (device.cose(3, 5, det(["a", 1, 1])), "wrong_shape", 12),
    }
    for name, (frame, reason, port) in frames.items():
        yield {"name": "frame_" + name, "port": port, "bytes": frame.hex(), "reason": reason}


def vectors() -> list[Vector]:
    return [*readings(), *others(), *refused()]


def text() -> str:
    # The float nearest to a decimal of this size is printed as that decimal; a test reads it back exactly.
    lines = [json.dumps(v, default=float, ensure_ascii=False) for v in vectors()]
    return "[\n" + ",\n".join("  " + line for line in lines) + "\n]\n"


def stored() -> list[Vector]:
    """The vectors as they lie in the tree, decimals as they stand."""
    found: list[Vector] = json.loads(PATH.read_text(encoding="utf-8"), parse_float=Decimal)
    return found


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
