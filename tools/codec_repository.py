"""The files of a LoRaWAN device repository, for tools/gen_codec.py.

Laid out as schema.json and README.md of TheThingsNetwork/lorawan-devices ask. The frames of the executable
examples are made here, and what they say is put into words by the host's own decoder, never by the JavaScript that
they are examples for.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from firmware.protocols import cbor, codec, cose, ports, schema
from host_tools.rows import in_words, wire_utc
from tools import gen_wire
from tools.codec_table import refusals, table

#: Kind -> name, description, class C, sensors as the repository calls them, a reading and another one.
DEVICES: dict[str, tuple[str, str, bool, list[str], list[tuple[str, dict[str, Any]]]]] = {
    "lamp": (
        "Luminaire controller",
        "Dims and meters one street light",
        True,
        ["energy", "light", "power", "temperature"],
        [
            ("Evening, 75 % by the programme", {"level": 75, "target": 80, "reason": 3, "power": 412}),
            ("Frost, tilted, no trusted clock", {"level": 100, "temperature": -55, "alarms": 1 << 10}),
        ],
    ),
    "bin": (
        "Waste container sensor",
        "Fill level, temperature and tilt of one waste container",
        False,
        ["distance", "level", "temperature", "tilt"],
        [
            ("Three quarters full", {"supply": 3312, "fill": 63, "distance": 742, "fill_class": 3}),
            ("Six distances of one measurement", {"distances": [1200, 1198, 1201, 1201, 1340, 742]}),
        ],
    ),
    "leak": (
        "Water leak sensor",
        "Meter reading, flow and leak of one building",
        False,
        ["pressure", "pulse count", "water"],
        [("A leak", {"supply": 3601, "leak_state": 2, "pressure": 412000, "alarms": 2})],
    ),
    "site": (
        "Combined lamp, container and water board",
        "One board that is lamp, container sensor and public water meter",
        True,
        ["level", "light", "power", "water"],
        [("Lamp on, container at 63 %", {"level": 75, "power": 412, "fill": 63, "flow": 128})],
    ),
    "cabinet": (
        "Lighting cabinet controller",
        "Contactor, meter and faults of one feeder",
        True,
        ["energy", "light", "power", "voltage"],
        [("Closed at dusk", {"contactor": 1, "target": 1, "reason": 3, "power": 4321, "voltage_l1": 2301})],
    ),
}
HELLO = {"boot_count": 12, "reset_cause": 1, "last_seq": 70122, "bundle": bytes.fromhex("0123456789abcdef")}
SEQ = 70123
TIME = 28000128
#: A command as the commander seals it: only the shape matters to a codec.
COMMAND = [17, 600, 2, 50, 3600, 0]


def payload_of(kind: str, fields: Mapping[str, Any]) -> bytes:
    number = next(n for n, (name, _) in schema.TYPES.items() if name == kind)
    message = schema.message(number)
    values = codec.blank(message)
    for name, value in fields.items():
        values[schema.index(number, name)] = value
    buf = bytearray(256)
    return bytes(buf[: codec.encode_into(buf, 0, message, values, False, 51)])


def sealed(payload: bytes, purpose: int = 0, direction: int = 0) -> bytes:
    """A frame of `mac0` under the keys of the worked example of docs/wire-format.md."""
    aad = cose.ext_aad(
        cose.ALG_HMAC, cose.MAC0, purpose, gen_wire.TENANT, gen_wire.DEVICE, gen_wire.EPOCH, direction, SEQ
    )
    key = gen_wire.hkdf("mac-down" if direction else "mac-up", 32)
    tag = hmac.digest(key, cose.to_be_maced(aad, payload), "sha256")[:8]
    buf = bytearray(300)
    return bytes(buf[: cose.pack_into(buf, 0, SEQ, payload, tag)])


def decoded(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What decodeUplink gives for `sealed(payload_of(...))`, in the words of the host's decoder."""
    number, found = codec.decode(payload_of(kind, fields))
    data: dict[str, Any] = {
        "trust": "unverified",
        "purpose": "reading",
        "structure": "mac0",
        "piv": SEQ & 0xFFFFFF,
        "type": kind,
        "values": in_words(number, found)[0],
        "privacy": max(
            (row[5] for key, row in table(number).items() if _named(number, key) in found), default=0
        ),
    }
    for name, clock in (("time", "confirmed"), ("time_unconfirmed", "unconfirmed")):
        if name in found:
            data |= {"time": wire_utc(found[name]), "clock": clock}
    return data


def _named(number: int, key: int) -> str:
    return next(str(row[1]) for row in schema.rows(number) if row[0] == key)


def uplink(description: str, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    data = decoded(kind, fields)
    output: dict[str, Any] = {"data": data}
    if data["privacy"]:
        number = next(n for n, (name, _) in schema.TYPES.items() if name == kind)
        habits = [r[0] for k, r in table(number).items() if r[5] and _named(number, k) in fields]
        output["warnings"] = [
            f"privacy: {', '.join(habits)}: tells about people's habits, readable on this server"
        ]
    example = {
        "description": description,
        "input": {"fPort": ports.port(0), "bytes": list(sealed(payload_of(kind, fields)))},
        "output": output,
    }
    normal: dict[str, Any] = {}
    if kind in ("bin", "leak") and "supply" in fields:
        normal["battery"] = data["values"]["supply_v"]
    if fields.get("leak_state") in (0, 2):
        normal["water"] = {"leak": fields["leak_state"] == 2}
    if normal:
        example["normalizedOutput"] = {"data": [{**normal, "time": data["time"]}]}
    return example


def codec_file(kind: str) -> dict[str, Any]:
    script = {"fileName": "lanterne.js"}
    readings = DEVICES[kind][4]
    ups = [uplink(readings[0][0], kind, {"time": TIME, **readings[0][1]})]
    ups += [uplink(text, kind, {"time_unconfirmed": TIME, **fields}) for text, fields in readings[1:]]
    ups.append(uplink("The first frame after a boot", "hello", HELLO))
    ups.append(encrypted())
    broken = list(sealed(payload_of(kind, readings[0][1])))[:-1]
    ups.append(_refused("A byte is missing", broken, "truncated"))
    frame = sealed(bytes(cbor.encode(COMMAND)), 2, 1)
    down = {"hex": frame.hex(), "port": ports.port(2)}
    onward = {"bytes": list(frame), "fPort": ports.port(2)}
    sent = [
        {"description": "A sealed command, passed on", "input": {"data": down}, "output": onward},
        {
            "description": "A command in clear is for the commander, not for a codec",
            "input": {"data": {"level": 50}},
            "output": {
                "errors": [
                    f"not_cose: {refusals()['not_cose']} Give the frame that the commander sealed: "
                    "{hex or base64, port}."
                ]
            },
        },
    ]
    back = [
        {
            "description": "The same, back",
            "input": {"fPort": onward["fPort"], "bytes": onward["bytes"]},
            "output": {"data": down},
        }
    ]
    return {
        "uplinkDecoder": {**script, "examples": ups},
        "downlinkEncoder": {**script, "examples": sent},
        "downlinkDecoder": {**script, "examples": back},
    }


def _refused(description: str, frame: list[int], reason: str) -> dict[str, Any]:
    return {
        "description": description,
        "input": {"fPort": ports.port(0), "bytes": frame},
        "output": {"errors": [f"{reason}: {refusals()[reason]}"]},
    }


def encrypted() -> dict[str, Any]:
    body = bytes(range(32))
    buf = bytearray(64)
    frame = buf[: cose.pack_into(buf, 0, SEQ, body, b"")]
    data = {
        "trust": "unverified",
        "purpose": "reading",
        "structure": "encrypt0",
        "piv": SEQ,
        "sealed": body.hex(),
    }
    warning = "sealed: only the owner's keys open this content"
    return {
        "description": "A sealed frame",
        "input": {"fPort": ports.port(0), "bytes": list(frame)},
        "output": {"data": data, "warnings": [warning]},
    }


def device_file(kind: str) -> dict[str, Any]:
    name, description, class_c, sensors, _ = DEVICES[kind]
    profile = {
        "id": f"eu868-class-{'c' if class_c else 'a'}",
        "lorawanCertified": False,
        "codec": f"{kind}-codec",
    }
    return {
        "name": name,
        "description": description,
        "firmwareVersions": [{"version": "0.1", "numeric": 1, "profiles": {"EU863-870": profile}}],
        "sensors": sensors,
        "keyProvisioning": ["custom"],
        "keyProgramming": ["serial"],
        "firmwareProgramming": ["serial"],
    }


def profile_file(class_c: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "macVersion": "1.0.4",
        "regionalParametersVersion": "RP002-1.0.1",
        "supportsJoin": True,
        "maxEIRP": 16,
        "supports32bitFCnt": True,
        "supportsClassB": False,
        "supportsClassC": class_c,
    }
    return {**found, "classCTimeout": 60} if class_c else found


def repository(script: str) -> Iterator[tuple[str, str]]:
    """Files of codecs/device-repository: path below it, text; `script` is the codec's."""
    files: dict[str, Any] = {
        "index": {"vendors": [{"id": "lanterne", "name": "Lanterne"}]},
        "lanterne/index": {
            "endDevices": list(DEVICES),
            "profileIDs": {
                str(n): {"id": device_profile(kind), "codec": f"{kind}-codec"}
                for n, kind in enumerate(DEVICES, 1)
            },
        },
        "lanterne/eu868-class-a": profile_file(False),
        "lanterne/eu868-class-c": profile_file(True),
    }
    for kind in DEVICES:
        files[f"lanterne/{kind}"] = device_file(kind)
        files[f"lanterne/{kind}-codec"] = codec_file(kind)
    for name, value in files.items():
        head = "# Generated by tools/gen_codec.py from firmware/protocols/schema: do not edit.\n"
        yield f"vendor/{name}.yaml", head + "\n".join(yaml(value)) + "\n"
    yield "vendor/lanterne/lanterne.js", script


def device_profile(kind: str) -> str:
    return str(device_file(kind)["firmwareVersions"][0]["profiles"]["EU863-870"]["id"])


def yaml(value: Any, indent: int = 0) -> Iterator[str]:
    """A mapping as YAML 1.2 blocks; lists of scalars in one line, which are JSON as scalars are."""
    room = " " * indent
    for key, item in value.items():
        label = f"{room}{key if str(key).isidentifier() else scalar(key)}:"
        if isinstance(item, dict) and item:
            yield label
            yield from yaml(item, indent + 2)
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            yield label
            for entry in item:
                first, *rest = yaml(entry, indent + 4)
                yield f"{room}  - {first.lstrip()}"
                yield from rest
        elif isinstance(item, list):
            yield f"{label} [{', '.join(scalar(i) for i in item)}]"
        else:
            yield f"{label} {scalar(item) if item != {} else '{}'}"


def scalar(value: Any) -> str:
    # A decimal keeps the digits that the host prints.
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
