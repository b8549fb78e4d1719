"""What the generated codecs know of the field table, for tools/gen_codec.py."""

from __future__ import annotations

from functools import cache
from typing import Any

from firmware.protocols import ports, reasons_text, schema
from host_tools.rows import in_words
from tools import gen_wire

PURPOSES = {
    0: "reading",
    1: "checkpoint",
    2: "command",
    3: "result",
    4: "recover",
    6: "key_statement",
    8: "group",
}
#: What a codec can refuse, beside what a network server may hand it.
REFUSALS = (
    "truncated trailing not_canonical indefinite reserved tag_not_allowed float_not_allowed simple_not_allowed "
    "bad_utf8 duplicate_key unsorted bad_key too_deep too_many too_long out_of_range unknown_type unknown_key "
    "wrong_shape bad_pad time_twice not_cose bad_header explicit_alg tag_length wrong_port not_text malformed"
).split()
SHAPES = {"vector": 1, "bytes": 2}

Row = tuple[str, int, int, int, int, int, str, str]


def column(number: int, row: gen_wire.Row) -> str:
    """The name that `lanterne decode` gives a value, with its unit."""
    key, name, shape, *_, lo, _, _, _, _ = row
    if key < 2:
        return name
    value: Any = [lo] if shape == "vector" else bytes(lo) if shape == "bytes" else lo
    return next(iter(in_words(number, {name: value})[0]))


@cache
def table(number: int) -> dict[int, Row]:
    """Rows by key: column, shape of codec.js.in, decimals, least, greatest, privacy class, unit, name."""
    states = {name for name, _ in _module(number).STATES}
    found = {}
    for row in schema.rows(number):
        key, name, shape, unit, decimals, lo, hi, privacy, _, _ = row
        if key == schema.PAD or shape == "reserved":
            continue
        form = 5 if key < 2 else 3 if name == "alarms" else 4 if name in states else SHAPES.get(shape, 0)
        found[key] = (column(number, row), form, decimals, lo, hi, privacy, unit, name)
    return found


def _module(number: int) -> Any:
    return schema.load(schema.TYPES[number][1])


def words() -> dict[str, list[str]]:
    """The words of states and alarms by "type.field"."""
    found = {}
    for number, (kind, _) in schema.TYPES.items():
        module = _module(number)
        for name, states in module.STATES:
            found[f"{kind}.{name}"] = list(states)
        found[f"{kind}.alarms"] = [alarm[1] for alarm in module.ALARMS]
    return found


def by_port(direction: int) -> dict[int, str]:
    """The name of what a port carries in one direction; the fallback profile has no key record yet."""
    found = {port: ports.purpose(port, direction) for port in range(10, 16)}
    return {port: PURPOSES[purpose] for port, purpose in found.items() if purpose >= 0}


def names() -> dict[int, str]:
    return {row[0]: row[1] for row in reasons_text.REASONS}


def refusals() -> dict[str, str]:
    return {name: reasons_text.TEXTS[name][0] for name in REFUSALS}


def link_refusals() -> dict[str, str]:
    return {**refusals(), "link_number": reasons_text.TEXTS["link_number"][0]}
