"""docs/wire-format.md and .cddl: fresh, true to the firmware, and their worked example verifies."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from pathlib import Path
from typing import Any

import cbor2
import pytest

from firmware.protocols import ports, reasons, schema
from firmware.roles import commands
from host_tools import commander
from tools import gen_wire

PAGE = gen_wire.MARKDOWN.read_text(encoding="utf-8")


def test_pages_are_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gen_wire.main(["--check"]) == 0
    stale = tmp_path / "wire-format.md"
    stale.write_text(PAGE + " ")
    monkeypatch.setattr(gen_wire, "ROOT", tmp_path)
    monkeypatch.setattr(gen_wire, "MARKDOWN", stale)
    assert gen_wire.main(["--check"]) == 1
    monkeypatch.setattr(gen_wire, "CDDL", tmp_path / "docs/wire-format.cddl")
    assert gen_wire.main([]) == 0
    assert stale.read_text() == PAGE
    assert gen_wire.main(["--check"]) == 0
    assert gen_wire.main(["--nonsense"]) == 2


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.search(r"@[A-Z_]+@", PAGE)
    for number in schema.TYPES:
        for row in schema.rows(number):
            assert f"`{row[1]}`" in PAGE


def test_worked_example_verifies() -> None:
    given = dict(
        re.findall(
            r"^\| (K_dev|K_mac-up|ext_aad|MAC_structure|frame) \| `([0-9a-f]+)` \|$", PAGE, re.MULTILINE
        )
    )
    parts = re.findall(r"^\| `((?:[0-9a-f]{2})+)` \| ", PAGE, re.MULTILINE)
    assert "".join(parts) == given["frame"]
    frame = bytes.fromhex(given["frame"])
    assert len(frame) == 40
    protected, header, payload, tag = cbor2.loads(frame)
    assert (protected, dict(header)) == (b"", {6: (70123).to_bytes(3, "big")})
    to_mac = cbor2.dumps(["MAC0", b"", bytes.fromhex(given["ext_aad"]), payload])
    assert to_mac.hex() == given["MAC_structure"]
    assert hmac.new(bytes.fromhex(given["K_mac-up"]), to_mac, hashlib.sha256).digest()[:8] == tag
    vectors = json.loads((gen_wire.ROOT / "tests/vectors/wire/frames.json").read_text())
    (golden,) = [v for v in vectors if v["name"] == "mac0_site"]
    assert golden["frame"] == given["frame"]
    assert golden["key"] == given["K_mac-up"]


def test_operations_are_those_of_the_firmware() -> None:
    for number, name, arguments in gen_wire.OPS:
        assert getattr(commands, name) == number
        if name != "WANT":
            # The third of PLAN is bytes.
            numbers = [hi for _, _, hi in arguments if hi or name != "PLAN"]
            assert commands._ARGS[number] == tuple(numbers)
    assert {op for op, _, _ in gen_wire.OPS} == {*commands._ARGS, commands.WANT}
    assert {name.lower(): count for name, count in gen_wire.OPTIONAL.items()} == commander._OPTIONAL
    for name, (number, highest) in commander.OPS.items():
        if name in commander._OPTIONAL:
            assert highest == commands._ARGS[number]


def test_outcome_of_a_lost_frame() -> None:
    assert reasons.number("leaf") == 13  # stands in the prose and in the CDDL


@pytest.mark.parametrize("number", [n for n, _ in gen_wire.PURPOSES])
def test_ports_both_ways(number: int) -> None:
    port = ports.port(number)
    ways = [d for d in (ports.UP, ports.DOWN) if ports.purpose(port, d) == number]
    assert bool(ways) is (port > 0)
    for way in ways:
        assert ports.purpose(port + ports.FALLBACK, way) == number


def test_ports_of_nothing() -> None:
    assert [ports.purpose(p, d) for p in (-1, 0, 9, 16, 41, 48, 255) for d in (0, 1)] == [-1] * 14
    assert [ports.purpose(10, d) for d in (-1, 2)] == [-1, -1]
    assert [ports.port(p) for p in (-1, 11, 255)] == [-1] * 3
    # Port 12 is the only one whose purpose depends on the way.
    both = [p for p in range(10, 16) if -1 not in (ports.purpose(p, 0), ports.purpose(p, 1))]
    assert both == [12, 13]
    assert (ports.purpose(12, 1), ports.purpose(12, 0)) == (ports.COMMAND, ports.RESULT)


def names_in(schemas: Any) -> set[str]:
    """Every property name and every word of an enumeration in a tree of JSON schemas."""
    found: set[str] = set()
    if isinstance(schemas, dict):
        found.update(schemas.get("properties", {}))
        found.update(word for word in schemas.get("enum", []) if isinstance(word, str))
        for value in schemas.values():
            found |= names_in(value)
    elif isinstance(schemas, list):
        for value in schemas:
            found |= names_in(value)
    return found


def test_talq_names_exist() -> None:
    top = os.environ.get("LANTERNE_DATA")
    if not top:
        pytest.skip("LANTERNE_DATA is not set: no talq")
    model = json.loads((Path(top) / "talq/talq-data-model-2.7.1.json").read_text(encoding="utf-8"))
    known = names_in(model["components"]["schemas"])
    for number, (_, module) in schema.TYPES.items():
        used = {row[9] for row in schema.rows(number)} | {row[3] for row in schema.load(module).ALARMS}
        assert used - {""} <= known, module


def test_ucifi_ids_have_their_form() -> None:
    for number, (_, module) in schema.TYPES.items():
        used = [row[8] for row in schema.rows(number)] + [row[2] for row in schema.load(module).ALARMS]
        for text in used:
            assert re.fullmatch(r"(|5518|3\d{3}/\d{1,4}( 3\d{3}/\d{1,4})*)", text), text
