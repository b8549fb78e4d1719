"""CBOR item by item, as strictly as firmware/protocols/cbor.py reads it, with the place where it fails."""

from __future__ import annotations

from typing import Any

from firmware.protocols import cbor
from firmware.protocols.cbor import WireError
from host_tools.explain.tree import Node
from host_tools.output import counted, say

# Head bytes 0xE0 to 0xFF of RFC 8949 section 3.3 that stand for themselves.
_SIMPLE = {0xF4: ("false", False), 0xF5: ("true", True), 0xF6: ("null", None)}


def of(number: int, noun: str, french: str) -> str:
    return say(counted(number, noun), counted(number, french))


class _Stop(Exception):  # noqa: N818 - ends a walk whose place is marked
    pass


class Walk:
    """One walk over `data[..end]`; `reason` is "" or why it stopped, and the node where it did is marked.

    values: what each node's item is, by the id of the node.
    """

    def __init__(self, data: bytes, end: int, depth: int, items: int) -> None:
        self.data, self.end = data, end
        self._depth, self._items = depth, items
        self.at = 0
        self.reason = ""
        self.values: dict[int, Any] = {}

    def run(self, parent: Node, start: int) -> Node | None:
        """The one item from `start` on, below `parent`; what stands behind it is marked."""
        self.at = start
        try:
            found = self._item(parent, self._depth)
            if self.at != self.end:
                node = parent.add("rest", self.at, self.end - self.at)
                self.at = self.end
                self._fail(node, "trailing")
        except _Stop:
            if self.at < self.end:
                parent.add("rest", self.at, self.end - self.at, say("not read any more", "n'est plus lu"))
        made = [c for c in parent.children if c.name != "rest"]
        if not self.reason:
            return found
        return made[0] if made else None

    def _fail(self, node: Node, reason: str) -> None:
        node.error = self.reason = reason
        raise _Stop

    def _head(self, parent: Node) -> tuple[Node, int, int]:
        """(node of the head, major type, argument); the node is `parent`'s youngest child."""
        if self.at >= self.end:
            self._fail(parent.add("missing", self.at, 0), "truncated")
        node = parent.add("item", self.at, 1)
        first = self.data[self.at]
        if not self._items:
            self.at += 1
            self._fail(node, "too_many")
        self._items -= 1
        self.at += 1
        major, info = first >> 5, first & 31
        if major > 5:
            return node, major, first
        if info < 24:
            return node, major, info
        if info > 27:
            self._fail(node, "indefinite" if info == 31 and first > 0x40 else "reserved")
        size = 1 << info - 24
        there = min(size, self.end - self.at)
        node.size = node.own = 1 + there
        value = int.from_bytes(self.data[self.at : self.at + there], "big")
        self.at += there
        if there < size:
            self._fail(parent.add("missing", self.at, 0), "truncated")
        if value < 24 or (size > 1 and not value >> (size << 2)):
            self._fail(node, "not_canonical")
        return node, major, value

    def _item(self, parent: Node, depth: int) -> Node:
        node, major, value = self._head(parent)
        if major > 5:
            return self._simple(node, value)
        if major < 2:
            number = -1 - value if major else value
            node.name, node.text, node.value = "int", str(number), number
            self.values[id(node)] = number
            return node
        if value > self.end - self.at:
            node.name = ("bytes", "text", "array", "map")[major - 2]
            node.text = say(
                f"{value} announced, {self.end - self.at} there",
                f"{value} annoncés, {self.end - self.at} présents",
            )
            self._fail(node, "truncated")
        if major < 4:
            return self._string(node, major, value)
        if not depth:
            self._fail(node, "too_deep")
        found: Any
        try:
            if major == 4:
                node.name, node.text = "array", of(value, "item", "élément")
                found = [self.values[id(self._item(node, depth - 1))] for _ in range(value)]
            else:
                node.name, node.text = "map", of(value, "pair", "paire")
                found = self._map(node, depth - 1, value)
        finally:
            node.size = self.at - node.at
        self.values[id(node)] = found
        return node

    def _simple(self, node: Node, first: int) -> Node:
        if first in _SIMPLE:
            node.name, (node.text, node.value) = "simple", _SIMPLE[first]
            self.values[id(node)] = node.value
            return node
        reason = (
            "tag_not_allowed"
            if first < 0xE0
            else "simple_not_allowed"
            if first < 0xF9
            else "float_not_allowed"
            if first < 0xFC
            else "indefinite"
            if first == 0xFF
            else "reserved"
        )
        self._fail(node, reason)
        return node

    def _string(self, node: Node, major: int, length: int) -> Node:
        raw = self.data[self.at : self.at + length]
        self.at += length
        node.size += length
        node.own = node.size
        if major == 2:
            node.name, node.value, node.text = "bytes", raw.hex(), of(length, "byte", "octet")
            self.values[id(node)] = raw
            return node
        node.name = "text"
        try:
            # The firmware's own check, which is stricter than some.
            self.values[id(node)] = node.value = node.text = cbor.decode(self.data[node.at : self.at])
        except WireError as e:
            self._fail(node, str(e.args[0]))
        return node

    def _map(self, node: Node, depth: int, pairs: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        last = b""
        for _ in range(pairs):
            start = self.at
            key = self._item(node, 0)
            if self.data[start] >> 5 > 1:
                self._fail(key, "bad_key")
            raw = self.data[start : self.at]
            if raw <= last:
                self._fail(key, "duplicate_key" if raw == last else "unsorted")
            last = raw
            holder = Node("pair", start)
            number = self.values[id(key)]
            try:
                self._item(holder, depth)
            finally:
                self._join(node, key, holder)
            found[number] = self.values[id(node.children[-1])]
        return found

    def _join(self, node: Node, key: Node, holder: Node) -> None:
        """Key and value become one node, whose own bytes are the key's and the value's head."""
        if len(holder.children) != 1 or holder.children[0].name == "missing":
            key.name = f"key {key.text}"
            node.children += holder.children
            return
        [value] = holder.children
        value.own += key.size
        value.size += key.size
        value.at = key.at
        value.name = f"key {key.text}"
        node.children[-1] = value
