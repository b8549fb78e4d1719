"""One set of vectors through everything that encodes or decodes: MicroPython, the host, Node, QuickJS."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from typing import Any

import pytest

from tests.host import codec_vectors
from tests.host.codec_bench import ROOT, by_host, call, uplink
from tests.host.test_under_micropython import INTERPRETERS

VECTORS = codec_vectors.stored()
GOOD = [v for v in VECTORS if "output" in v]
BAD = [v for v in VECTORS if "reason" in v]
ENGINES = ("node", "quickjs")

#: Runs on the interpreter of the boards: the fields of each vector, encoded and packed.
ENCODER = """
import sys
sys.path.insert(0, ".")
import json
from firmware.protocols import codec, cose, schema

for v in json.load(sys.stdin):
    message = schema.message(v["type"])
    values = codec.blank(message)
    for name in v["fields"]:
        value = v["fields"][name]
        values[schema.index(v["type"], name)] = bytes.fromhex(value) if isinstance(value, str) else value
    buf = bytearray(256)
    payload = bytes(buf[: codec.encode_into(buf, 0, message, values, False, v["room"])])
    body = bytes.fromhex(v["body"]) or payload
    frame = bytes(buf[: cose.pack_into(buf, 0, v["seq"], body, bytes.fromhex(v["tag"]))])
    print(frame.hex())
"""


def test_the_vectors_are_those_of_the_golden_messages() -> None:
    made = codec_vectors.vectors()
    assert [v["name"] for v in made] == [v["name"] for v in VECTORS]
    for mine, kept in zip(made, VECTORS, strict=True):
        # Decimals exactly: 412 tenths are 41.2 in the file, and nothing near it.
        assert mine == kept, kept["name"]
    names = [(v["name"], v["port"]) for v in VECTORS]
    assert len(set(names)) == len(names)
    values = [v["output"]["data"].get("values", {}) for v in GOOD]
    assert any(v.get("power_w") == Decimal("41.2") for v in values)
    assert {v["output"]["data"].get("structure") for v in GOOD} == {"mac0", "sign1", "encrypt0", None}
    assert len(GOOD) > 55 and len(BAD) > 100


@pytest.mark.parametrize("width", INTERPRETERS)
def test_the_encoder_of_the_boards(width: str) -> None:
    wanted = [v for v in GOOD if "encoder" in v]
    done = subprocess.run(
        [INTERPRETERS[width], "-X", "heapsize=2m", "-c", ENCODER],
        input=json.dumps([v["encoder"] for v in wanted]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    assert done.stdout.split() == [v["bytes"] for v in wanted]


def test_the_decoder_of_the_host() -> None:
    for v in VECTORS:
        frame = bytes.fromhex(v["bytes"])
        if v["name"] == "recover":
            continue  # Nothing a reader has keys for: the host takes it apart in the commander only.
        reason, data = by_host(v["port"], frame)
        if "reason" in v:
            assert reason == v["reason"], v["name"]
            continue
        wanted = dict(v["output"]["data"])
        wanted.pop("privacy", None)
        assert (reason, data) == ("", wanted), v["name"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_script(engine: str) -> None:
    found = call([uplink(v["port"], bytes.fromhex(v["bytes"])) for v in VECTORS], engine)
    for v, told in zip(VECTORS, found, strict=True):
        if "output" in v:
            assert told == v["output"], v["name"]
            continue
        assert list(told) == ["errors"], v["name"]
        (error,) = told["errors"]
        assert error.partition(": ")[0] == v["reason"], (v["name"], error)
        assert error.endswith(".") and len(error) > len(v["reason"]) + 10


@pytest.mark.parametrize("engine", ENGINES)
def test_every_step_of_every_field_is_printed_as_it_is(engine: str) -> None:
    """From tenths and thousandths to a number and to text, and back: no digit more, none less."""
    from firmware.protocols import schema
    from tests.host.synth import Device, det

    device = Device("mac0")
    calls, wanted = [], []
    for number in schema.TYPES:
        for key, name, shape, unit, decimals, lo, hi, *_ in schema.rows(number):
            if not decimals or number == 4:
                continue
            tried = {lo, hi, hi // 3, hi // 7, hi - 1, lo + 1, 7, 29, 57, 58, 115, 1009} & set(
                range(lo, hi + 1)
            )
            for value in sorted(tried):
                fields: dict[int, Any] = {key: [value] if shape == "vector" else value}
                calls.append(uplink(10, device.cose(0, 1, det([number, fields]))))
                exact = Decimal(value).scaleb(-decimals)
                wanted.append((codec_vectors.name_of(name, unit), [exact] if shape == "vector" else exact))
    assert len(calls) > 100
    for (name, value), told in zip(wanted, call(calls, engine), strict=True):
        assert told["data"]["values"] == {name: value}


@pytest.mark.parametrize("engine", ENGINES)
def test_normalized(engine: str) -> None:
    """Fields of TheThingsNetwork/lorawan-stack pkg/messageprocessors/normalizedpayload only."""
    data = {"type": "bin", "clock": "confirmed", "time": "2026-11-21T01:48:48Z"}
    wanted: list[tuple[Any, Any]] = [
        (
            {**data, "values": {"supply_v": 3.3, "fill_percent": 4}},
            [{"battery": Decimal("3.3"), "time": data["time"]}],
        ),
        ({**data, "clock": "unconfirmed", "values": {"supply_v": 3}}, [{"battery": 3}]),
        ({**data, "type": "lamp", "values": {"supply_v": 230}}, []),
        ({"type": "leak", "values": {"leak_state": "detected"}}, [{"water": {"leak": True}}]),
        (
            {"type": "site", "values": {"leak_state": "none", "supply_v": 230}},
            [{"water": {"leak": False}}],
        ),
        ({"type": "bin", "values": {"supply_v": 0}}, [{"battery": 0}]),
        ({"type": "bin", "sealed": "00"}, []),
        ({}, []),
    ]
    found = call([("normalizeUplink", {"data": given}) for given, _ in wanted], engine)
    assert found == [{"data": measurements} for _, measurements in wanted]
    (told,) = call([("normalizeUplink", {"data": {"values": {"leak_state": "suspected"}}})], engine)
    assert told == {"data": [], "warnings": ["leak_state: suspected is neither a leak nor none"]}


def test_as_the_things_stack_calls_it() -> None:
    """Decoded, then normalized unless there were errors; errors leave nothing behind."""
    found = call(
        [("uplink", {"bytes": list(bytes.fromhex(v["bytes"])), "fPort": v["port"]}) for v in VECTORS]
    )
    normalized = 0
    for v, told in zip(VECTORS, found, strict=True):
        assert told["decoded"].get("data") == v.get("output", {}).get("data")
        assert (told["normalized"] is None) == ("reason" in v)
        normalized += bool(told["normalized"] and told["normalized"]["data"])
    assert normalized > 5
