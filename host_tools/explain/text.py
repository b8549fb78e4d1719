"""An explained frame for a terminal: offset, bytes, and the tree beside them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from textwrap import wrap

from host_tools.explain.tree import Explained, Fact, Node, Part
from host_tools.output import printable, say

WIDTH = 100  # where there is no terminal
_WIDE = 120
_LABEL = 12


def lines(found: Explained, width: int = WIDTH) -> Iterator[str]:
    for part in found.parts:
        yield say(f"{part.title}, {len(part.data)} bytes", f"{part.title}, {len(part.data)} octets")
        for node in part.nodes:
            yield from _node(part, node, 0, width)
        yield ""
    for fact in found.facts:
        yield from _fact(fact, width)


def _node(part: Part, node: Node, depth: int, width: int) -> Iterator[str]:
    step = 16 if width >= _WIDE else 8
    raw = part.data[node.at : node.at + node.own]
    rows = [raw[i : i + step].hex(" ") for i in range(0, len(raw), step)]
    offsets = [f"{node.at + i:04x}" for i in range(0, len(raw), step)] or [f"{node.at:04x}"]
    indent = "  " * depth
    label = node.name + (f"  {node.text}" if node.text else "")
    if node.error:
        label += f"  <-- {node.error}"
    room = max(width - 1 - len(indent) - (3 * step - 1) - 9, 20)
    label_rows = wrap(printable(label), room, subsequent_indent="  ") or [""]
    for offset, row, text in zip_longest(offsets, rows, label_rows, fillvalue=""):
        mark = "!" if node.error else " "
        line = f"{mark}{offset:4}  {row:{3 * step - 1}}  {indent}{text}"
        yield line.rstrip()
    for child in node.children:
        yield from _node(part, child, depth + 1, width)


def _label(key: str) -> str:
    words = {
        "received": say("received", "reçu"),
        "device": say("device", "équipement"),
        "lorawan": "LoRaWAN",
        "sessions": "sessions",
        "tried": say("tried", "essayé"),
        "verdict": "verdict",
        "key": say("key", "clé"),
        "covered_by": say("covered by", "couvert par"),
        "segment": "segment",
        "leaf": say("leaf", "feuille"),
        "conflict": say("conflict", "conflit"),
        "value": say("value", "valeur"),
    }
    return words.get(key.partition("_")[0] if key.startswith("received") else key.partition(" ")[0], key)


def _fact(fact: Fact, width: int) -> Iterator[str]:
    label = _label(fact.key)
    for text in (fact.text, *fact.more):
        for row in wrap(printable(text), max(width - 1 - _LABEL, 20)) or [""]:
            yield f"{label:{_LABEL}}{row}".rstrip()
            label = ""
