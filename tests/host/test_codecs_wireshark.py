"""codecs/lanterne.lua in tshark: values and refusals equal the host's over both carriers, whatever comes."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from firmware.protocols import reasons, schema
from host_tools import rows, verdict
from tests.conftest import peer
from tests.formats import wrap_pcap
from tests.host import codec_vectors, synth
from tests.host.codec_bench import ROOT
from tests.host.lorawan_bench import data_frame
from tests.host.test_codecs_script import damaged

LUA = ROOT / "codecs/lanterne.lua"
VECTORS = codec_vectors.stored()
NWK, APP, ADDR = bytes(range(16)), bytes(range(16, 32)), 0x260B1234
STRUCTURES = {16: "encrypt0", 17: "mac0", 18: "sign1"}
Tree = dict[str, list[Any]]


def pairs(found: list[tuple[str, Any]]) -> Tree:
    """An object of tshark's JSON, in which a name may stand more than once."""
    out: Tree = {}
    for name, value in found:
        out.setdefault(name, []).append(value)
    return out


def flat(tree: Any, out: Tree) -> Tree:
    for name, values in tree.items():
        for value in values:
            if isinstance(value, dict):
                flat(value, out)
            out.setdefault(name, []).append(value)
    return out


def tshark(folder: Path, capture: Path, *options: str) -> str:
    settings = folder / ".config" / "wireshark"
    settings.mkdir(parents=True, exist_ok=True)
    for name, addr in (("encryption", f"{ADDR:08x}"), ("session", f"{ADDR:08x}")):
        # Version 4.0 has its own table and bytes as on the air.
        wire = bytes.fromhex(addr)[::-1].hex() if name == "encryption" else addr
        more = ',"0000000000000000"' if name == "encryption" else ""
        (settings / f"{name}_keys_lorawan").write_text(f'"{wire}","{NWK.hex()}","{APP.hex()}"{more}\n')
    done = subprocess.run(
        [peer("tshark"), "-r", str(capture), "-X", f"lua_script:{LUA}", *options],
        env=os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / ".config")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "lua" not in done.stderr.lower(), done.stderr
    assert "Lua Error" not in done.stdout
    return done.stdout


def seen(folder: Path, capture: Path) -> list[Tree]:
    """The fields of each frame, nested ones beside the others."""
    text = tshark(folder, capture, "-T", "json")
    assert "_ws.lua.error" not in text
    found = json.loads(text, object_pairs_hook=pairs)
    return [flat(frame["_source"][0]["layers"][0], {}) for frame in found]


def by_host(parsed: verdict.Parsed) -> tuple[str, Tree]:
    """(reason, fields as the dissector names them) of a frame that the host has taken apart."""
    if parsed.reason:
        return parsed.reason, {}
    if parsed.part is not None:
        return "", {
            "lanterne.type": ["fragment"],
            "lanterne.fragment.index": [str(parsed.part[1])],
            "lanterne.fragment.last": [str(parsed.part[2])],
            "lanterne.fragment.part": [parsed.body.hex(":")],
        }
    found: Tree = {"lanterne.structure": [STRUCTURES[parsed.kind]], "lanterne.piv": [str(parsed.piv)]}
    if parsed.kind == 16:
        return "", {**found, "lanterne.sealed": [parsed.body.hex(":")]}
    content = verdict.read(parsed.purpose, parsed.body)
    if content.reason:
        return content.reason, {}
    found["lanterne.type"] = [content.type]
    if content.number:
        return "", found | fields_of(content)
    for name, value in content.fields.items():
        told = str(reasons.name(value)) if name == "outcome" else value
        found["lanterne." + name] = [told.hex(":") if isinstance(told, bytes) else str(told)]
    return "", found


def fields_of(content: verdict.Content) -> Tree:
    found: Tree = {}
    words, raw = rows.in_words(content.number, content.fields)
    for (name, value), (field, scaled, _) in zip(words.items(), raw, strict=True):
        label = f"lanterne.{content.type}.{name}"
        if field == "alarms":
            found[label] = [f"0x{scaled:04x}"]
            if value:
                found["lanterne.alarm"] = list(value)  # type: ignore[arg-type]
        elif isinstance(scaled, bytes):
            found[label] = [scaled.hex(":")]
        elif isinstance(value, str):
            found[label] = [str(scaled)]
        else:
            found[label] = [Decimal(v) for v in (value if isinstance(value, list) else [value])]
    for name, clock in (("time", "confirmed"), ("time_unconfirmed", "unconfirmed")):
        if name in content.fields:
            found["lanterne.clock"] = [clock]
            found["lanterne.time"] = [rows.wire_utc(content.fields[name])]
    return found


def same(told: Tree, wanted: Tree) -> None:
    for name, values in wanted.items():
        mine = told.get(name, [])
        if name == "lanterne.time":
            import datetime as dt

            mine = [dt.datetime.strptime(v[:-14], "%b %d, %Y %H:%M:%S").isoformat() + "Z" for v in mine]
        elif values and isinstance(values[0], Decimal):
            mine = [Decimal(v) for v in mine]
        assert mine == values, (name, mine, values)
    kinds = tuple(f"lanterne.{name}." for name, _ in schema.TYPES.values())
    assert {n for n in told if n.startswith(kinds)} == {n for n in wanted if n.startswith(kinds)}


def as_link(port: int, body: bytes) -> bytes:
    """A link frame whose number is that of the body, where it has one."""
    parsed = verdict.message(port, 0, body, None)
    number = parsed.part[0] if parsed.part else parsed.piv & 0xFFFF
    return struct.pack(">BBBHH", 0xE0, port, 0x77, 1, number) + body


def check(told: Tree, parsed: verdict.Parsed) -> str:
    reason, wanted = by_host(parsed)
    assert told["lanterne.trust"] == ["unverified"]
    assert told.get("lanterne.reason", []) == ([reason] if reason else []), told
    if not reason:
        same(told, wanted)
    return reason


def test_link_frames(tmp_path: Path) -> None:
    frames = [as_link(v["port"], bytes.fromhex(v["bytes"])) for v in VECTORS if v["port"] in (10, 11, 12)]
    frames = [frame for frame in frames if len(frame) > 7]
    found = seen(tmp_path, synth.capture(tmp_path / "c.pcap", frames))
    assert len(found) == len(frames)
    named = set()
    for frame, told in zip(frames, found, strict=True):
        assert told["lanterne.port"] == [str(frame[1])] and told["lanterne.down"] == ["0"]
        assert told["lanterne.tag"] == ["0x77"] and told["lanterne.address"] == ["1"]
        named.add(check(told, verdict.parse(frame)))
    assert len(named) > 20


def test_over_lorawan(tmp_path: Path) -> None:
    sent = [v for v in VECTORS if v["port"] in (10, 11, 12) and 8 < len(v["bytes"]) < 444]
    sent = [v for v in sent if v["bytes"][2:4] == "40" or v["name"].startswith("fragment")]
    sent = [v for v in sent if v["bytes"][:4] in ("8440", "8340") or v["port"] == 11]
    frames = [
        data_frame(ADDR, n, NWK, APP, v["port"], bytes.fromhex(v["bytes"])) for n, v in enumerate(sent, 1)
    ]
    # Of somebody else: another session, a port that is not ours, bytes that are no frame of ours.
    others = [
        data_frame(ADDR + 1, 1, NWK, APP, 10, bytes.fromhex(sent[0]["bytes"])),
        data_frame(ADDR, 900, NWK, APP, 1, bytes.fromhex(sent[0]["bytes"])),
        data_frame(ADDR, 901, NWK, APP, 10, b"\1\2\3\4\5"),
        data_frame(ADDR, 902, NWK, APP, None),
    ]
    found = seen(tmp_path, synth.capture(tmp_path / "c.pcap", frames + others))
    assert len(sent) > 80
    for v, told in zip(sent, found, strict=False):
        check(told, verdict.message(v["port"], 0, bytes.fromhex(v["bytes"]), None))
        assert told["lorawan.fport"] == [f"0x{v['port']:02x}"]
    for told in found[len(sent) :]:
        # Version 4.0 reads a port where a frame has none, and then runs out of bytes.
        assert {name for name in told if name.startswith("lanterne")} <= {"lanterne.malformed"}
        assert "lorawan.mhdr.mtype" in told


def test_a_downlink(tmp_path: Path) -> None:
    golden = {
        v["name"]: bytes.fromhex(v["frame"])
        for v in json.loads((codec_vectors.WIRE / "frames.json").read_text())
    }
    link = [
        struct.pack(">BBBHH", 0xE0, 0x8C, 0x77, 1, 5) + golden[name] + bytes.fromhex("01020304")
        for name in ("command_light", "command_resume", "command_encrypted")
    ]
    radio = [data_frame(ADDR, 5, NWK, APP, 12, golden["command_light"], down=True)]
    found = seen(tmp_path, synth.capture(tmp_path / "c.pcap", link + radio))
    for told in found:
        assert told["lanterne.down"] == ["1"] and told["lanterne.purpose"] == ["command"]
        assert "lanterne.reason" not in told
    for told in (found[0], found[3]):
        assert told["lanterne.command.op"] == ["LIGHT"]
        assert told["lanterne.command.ref"] == ["70120"] and told["lanterne.command.ttl"] == ["600"]
        assert told["lanterne.command.argument"] == ["50", "7200", "10"]
    assert found[0]["lanterne.link_mac"] == ["01:02:03:04"]
    assert found[1]["lanterne.command.op"] == ["RESUME"]
    assert "lanterne.sealed" in found[2] and "lanterne.command.op" not in found[2]


def test_version_1_of_loratap_and_other_sync_words(tmp_path: Path) -> None:
    """tshark 4.0 takes 15 bytes for the header of any version; here both carriers come out right."""
    v = next(v for v in VECTORS if v["name"] == "site_budget")
    body = bytes.fromhex(v["bytes"])
    both = (as_link(10, body), data_frame(ADDR, 3, NWK, APP, 10, body))
    taps = [wrap_pcap.loratap(frame, version=1) for frame in both]
    taps += [wrap_pcap.loratap(as_link(10, body), sync=word) for word in (0x12, 0)]
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 270)
    capture = tmp_path / "c.pcap"
    capture.write_bytes(head + b"".join(struct.pack("<IIII", 1, 0, len(t), len(t)) + t for t in taps))
    found = seen(tmp_path, capture)
    for told in found:
        same(told, by_host(verdict.message(10, 0, body, None))[1])
    assert found[1]["lorawan.fport"] == ["0x0a"]


def test_display_filters(tmp_path: Path) -> None:
    frames = [
        as_link(v["port"], bytes.fromhex(v["bytes"])) for v in VECTORS if v["port"] == 10 and v["bytes"]
    ]
    capture = synth.capture(tmp_path / "c.pcap", frames)
    wanted = sum(
        v["output"]["data"].get("values", {}).get("power_w", 0) > 40 for v in VECTORS if "output" in v
    )
    lines = tshark(
        tmp_path,
        capture,
        *("-Y", "lanterne.lamp.power_w > 40 or lanterne.site.power_w > 40 or lanterne.cabinet.power_w > 40"),
        *("-T", "fields", "-e", "lanterne.type", "-e", "lanterne.structure"),
    ).splitlines()
    assert len(lines) == wanted > 3


def test_hostile_frames(tmp_path: Path) -> None:
    """Damaged bodies, cut and foreign link frames: a reason or another dissector, never an error of Lua."""
    frames = []
    for port, body in damaged(1500, 3):
        frame = as_link(port, body)[:255]
        frames.append(frame if frame[1] in (10, 11, 12) else b"\xe0\x0a" + frame[2:])
    whole = frames[0]
    frames += [whole[:n] for n in range(len(whole))] + [
        b"\xe0" + bytes((n, 1, 0, 1, 0, 1)) for n in range(256)
    ]
    frames += [b"\xe0\x0a\1\0\1\0\1" + b"\x84" * 248, b"\xe0\x8c\1\0\1\0\1" + b"\x9b" + b"\xff" * 240]
    frames += [bytes((kind,)) + bytes(40) for kind in range(0, 256, 7)]
    capture = synth.capture(tmp_path / "c.pcap", [frame for frame in frames if frame])
    frames = [frame for frame in frames if frame]
    found = seen(tmp_path, capture)
    assert len(found) == len(frames)
    named = set()
    for frame, told in zip(frames, found, strict=True):
        parsed = verdict.parse(frame)
        if parsed.address is None or parsed.reason == "wrong_port" or parsed.direction:
            continue
        if len(frame) > 7 and frame[1] in (10, 11, 12):
            named.add(check(told, parsed))
    assert len(named) > 20
    tshark(tmp_path, capture, "-V")


@pytest.mark.slow
def test_damaged_downlinks_upset_nothing(tmp_path: Path) -> None:
    frames = []
    for n, (_, body) in enumerate(damaged(600, 4)):
        frames.append((struct.pack(">BBBHH", 0xE0, 0x80 | 12 + n % 3, 1, 0, 1) + body)[:251] + bytes(4))
    capture = synth.capture(tmp_path / "c.pcap", frames)
    for told in seen(tmp_path, capture):
        assert told["lanterne.down"] == ["1"] and told["lanterne.trust"] == ["unverified"]
    tshark(tmp_path, capture, "-V")
