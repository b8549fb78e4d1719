"""codecs/lanterne.js as a script: its language and size, downlinks, hostile input, the host's verdict on it."""

from __future__ import annotations

import base64
import json
import random
import re
from typing import Any

import pytest

from firmware.protocols import reasons
from tests.host import codec_vectors
from tests.host.codec_bench import SCRIPT, by_host, call, node, uplink

ENGINES = ("node", "quickjs")
TEXT = SCRIPT.read_text(encoding="utf-8")
FRAMES = json.loads((codec_vectors.WIRE / "frames.json").read_text())
DOWN = {"command_light": 12, "command_resume": 12, "command_encrypted": 12}

_ACORN = """
const { parse } = require('acorn');
const given = JSON.parse(require('fs').readFileSync(0));
process.stdout.write(JSON.stringify(given.map((text) => {
  try { parse(text, { ecmaVersion: 5, sourceType: 'script' }); return ''; } catch (e) { return String(e); }
})));
"""


def test_the_language_is_ecmascript_5() -> None:
    later = [
        "let a = 1;",
        "const a = 1;",
        "var f = (x) => x;",
        "var s = `a`;",
        "var [a] = [1];",
        "2 ** 3;",
        "1n;",
    ]
    found = json.loads(node(_ACORN, [TEXT, *later], package="acorn"))
    assert found[0] == ""
    assert all(found[1:]), "the parser lets later language pass"


def test_nothing_of_a_host_and_within_the_limit() -> None:
    """40 960 bytes is the most that The Things Stack takes; neither engine has modules."""
    assert len(TEXT.encode()) <= 40960
    assert TEXT.isascii()
    code = re.sub(r"^\s*//.*$", "", TEXT, flags=re.MULTILINE)
    assert not re.search(r"\b(require|module|exports|Buffer|BigInt|Uint8Array|console|process|eval)\b", code)
    assert re.findall(r"^(?:function|var) (\w+)", code, re.MULTILINE) == [
        "lanterne",
        *("decodeUplink", "normalizeUplink", "encodeDownlink", "decodeDownlink"),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sealed_command_goes_through_and_back(engine: str) -> None:
    calls: list[Any] = []
    wanted = []
    for v in FRAMES:
        if v["name"] not in DOWN:
            continue
        port, frame = DOWN[v["name"]], bytes.fromhex(v["frame"])
        encoded = {"bytes": list(frame), "fPort": port}
        plain = {"hex": v["frame"], "port": port}
        in_base64 = {"base64": base64.b64encode(frame).decode(), "port": port}
        calls += [
            ("encodeDownlink", {"data": plain}),
            ("encodeDownlink", {"data": plain, "fPort": 0}),
            ("encodeDownlink", {"data": {"hex": v["frame"].upper()}, "fPort": port}),
            ("encodeDownlink", {"data": in_base64}),
            ("decodeDownlink", encoded),
        ]
        wanted += [encoded] * 4 + [{"data": plain}]
    assert len(wanted) == 15
    assert call(calls, engine) == wanted


def frame_of(name: str) -> str:
    return str(next(v["frame"] for v in FRAMES if v["name"] == name))


LIGHT = frame_of("command_light")
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("a_command_in_clear", {"data": {"level": 50}}, "not_cose"),
    ("nothing", {"data": {}}, "not_cose"),
    ("no_data", {}, "not_cose"),
    ("data_is_text", {"data": LIGHT}, "not_cose"),
    ("data_is_null", {"data": None}, "not_cose"),
    ("both_forms", {"data": {"hex": LIGHT, "base64": "hEA=", "port": 12}}, "not_cose"),
    ("something_beside", {"data": {"hex": LIGHT, "port": 12, "confirmed": True}}, "not_cose"),
    ("not_hex", {"data": {"hex": "zz", "port": 12}}, "not_text"),
    ("half_a_byte", {"data": {"hex": LIGHT[:-1], "port": 12}}, "not_text"),
    ("empty", {"data": {"hex": "", "port": 12}}, "not_text"),
    ("hex_is_number", {"data": {"hex": 84, "port": 12}}, "not_text"),
    ("base64_of_url", {"data": {"base64": "hE_-", "port": 12}}, "not_text"),
    ("base64_unpadded", {"data": {"base64": "hEA", "port": 12}}, "not_text"),
    ("base64_with_bits_left", {"data": {"base64": "hEB=", "port": 12}}, "not_text"),
    ("base64_padding_alone", {"data": {"base64": "====", "port": 12}}, "not_text"),
    ("no_port", {"data": {"hex": LIGHT}}, "wrong_port"),
    ("port_of_uplinks", {"data": {"hex": LIGHT, "port": 10}}, "wrong_port"),
    ("port_is_text", {"data": {"hex": LIGHT, "port": "12"}}, "wrong_port"),
    ("port_is_a_name", {"data": {"hex": LIGHT, "port": "constructor"}}, "wrong_port"),
    ("port_0", {"data": {"hex": LIGHT}, "fPort": 0}, "wrong_port"),
    ("cut", {"data": {"hex": LIGHT[:-2], "port": 12}}, "truncated"),
    ("no_frame", {"data": {"hex": "01", "port": 12}}, "not_cose"),
    ("with_kid", {"data": {"hex": frame_of("mac0_kid"), "port": 12}}, "bad_header"),
    ("too_long", {"data": {"hex": "00" * 243, "port": 12}}, "too_long"),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_anything_else_is_refused_by_name(engine: str) -> None:
    found = call([("encodeDownlink", given) for _, given, _ in REFUSED], engine)
    for (name, _, reason), told in zip(REFUSED, found, strict=True):
        assert list(told) == ["errors"], name
        assert told["errors"][0].startswith(reason + ": "), (name, told)
    odd: list[Any] = [None, [], {}, {"bytes": None}, {"bytes": "8440"}, {"bytes": [256], "fPort": 10}]
    odd += [{"bytes": [1.5], "fPort": 10}, {"bytes": [-1], "fPort": 10}, {"bytes": ["1"], "fPort": 10}]
    if engine == "node":
        for name in ("decodeUplink", "decodeDownlink"):
            for told in call([(name, given) for given in odd]):
                assert told["errors"][0].startswith("malformed: ")
        for told in call([("encodeDownlink", None), ("normalizeUplink", None)]):
            assert told["errors"][0].startswith("malformed: ")


def test_the_names_are_those_of_the_list() -> None:
    sentences = dict(re.findall(r"^    (\w+): \"([^\"]+\.)\",?$", TEXT, re.MULTILINE))
    used = set(re.findall(r"refuse\(\"(\w+)\"", TEXT)) | {
        "malformed",
        "indefinite",
        "reserved",
        "float_not_allowed",
    }
    assert used <= set(sentences)
    for name in sentences:
        assert reasons.number(name) >= 0


def damaged(count: int, seed: int) -> list[tuple[int, bytes]]:
    """Frames of the vectors with bytes changed, cut out, doubled and put in; and payloads damaged inside."""
    rng = random.Random(seed)
    good = [(v["port"], bytes.fromhex(v["bytes"])) for v in codec_vectors.stored() if v["name"] != "recover"]
    heads = bytes(
        (0, 1, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x20, 0x40, 0x41, 0x58, 0x60, 0x62, 0x80, 0x81, 0x84, 0x9F)
    )
    heads += bytes((0xA0, 0xA1, 0xA2, 0xC0, 0xD1, 0xF4, 0xF6, 0xF7, 0xF8, 0xF9, 0xFB, 0xFF))
    found: list[tuple[int, bytes]] = []
    while len(found) < count:
        port, frame = rng.choice(good)
        work = bytearray(frame)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.randrange(len(work) + 1)
            what = rng.randrange(5)
            if what == 0:
                work[at : at + 1] = bytes((rng.randrange(256),))
            elif what == 1:
                work[at : at + 1] = bytes((rng.choice(heads),))
            elif what == 2:
                del work[at : at + rng.choice((1, 1, 2, 9))]
            elif what == 3:
                work[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 2, 8))))
            else:
                work[at:at] = work[at : at + 12]
        if rng.random() < 0.02:
            work = bytearray(rng.randbytes(rng.randrange(60)))
        port = port if port in (10, 11, 12) and rng.random() < 0.95 else rng.choice((9, 10, 11, 12, 16, 42))
        found.append((port, bytes(work)))
    return found


def compared(count: int, seed: int, engine: str) -> tuple[int, set[str]]:
    """Damaged frames that were taken, and the reasons for the others; both sides agree on each."""
    frames = damaged(count, seed)
    taken, named = 0, set()
    for (port, frame), told in zip(frames, call([uplink(*f) for f in frames], engine), strict=True):
        reason, data = by_host(port, frame)
        where = (port, frame.hex(), told, reason)
        if reason:
            named.add(reason)
            assert list(told) == ["errors"], where
            assert told["errors"][0].partition(":")[0] == reason, where
            continue
        taken += 1
        mine = dict(told["data"])
        mine.pop("privacy", None)
        assert mine == data, where
    return taken, named


def test_damaged_frames_are_refused_as_the_host_refuses_them() -> None:
    taken, named = compared(4000, 1, "node")
    assert taken > 200
    assert len(named) >= 25, sorted(named)


@pytest.mark.slow
def test_the_other_engine_refuses_the_same() -> None:
    assert compared(2000, 2, "quickjs")[0] > 100


@pytest.mark.long
def test_a_hundred_thousand_damaged_frames() -> None:
    for seed in range(10):
        compared(10000, 100 + seed, "node")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_worst_frames_take_no_time(engine: str) -> None:
    """Each within the second after which the engines here stop a call, as network servers do."""
    worst = [
        b"\x84" * 255,
        b"\xa1" * 255,
        b"\x9a\xff\xff\xff\xff" + bytes(250),
        b"\x84\x40\xa1\x06\x43\0\0\0\x58\xe8" + b"\x98\xe6" + bytes(230) + b"\x48" + bytes(8),
        b"\x98\xfb" + b"\x60" * 251,
        bytes(100_000),
    ]
    found = call([uplink(10, frame) for frame in worst], engine)
    assert [list(told) for told in found] == [["errors"]] * len(worst)
