"""The tree that a frame is taken apart into: every byte once, with what it is and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False, slots=True)
class Node:
    """`size` bytes from `at` on, of which the first `own` are this node's and the others its children's.

    name: as the specification calls it, in no language; text: a sentence or value for a person. value: for
    programs. error: the reason of a refusal whose place this is.
    """

    name: str
    at: int
    size: int = 0
    text: str = ""
    value: Any = None
    own: int = -1
    error: str = ""
    children: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.own < 0:
            self.own = self.size

    def add(self, name: str, at: int, size: int, text: str = "", value: Any = None, own: int = -1) -> Node:
        made = Node(name, at, size, text, value, own)
        self.children.append(made)
        return made

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    def failed(self) -> Node | None:
        """The innermost node that is marked."""
        return next((n for n in reversed(list(self.walk())) if n.error), None)

    def as_dict(self, data: bytes) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "offset": self.at, "length": self.size}
        if self.own:
            found["hex"] = data[self.at : self.at + self.own].hex()
        for name in ("text", "value", "error"):
            if getattr(self, name) not in ("", None):
                found[name] = getattr(self, name)
        if self.children:
            found["children"] = [child.as_dict(data) for child in self.children]
        return found


@dataclass(eq=False, slots=True)
class Part:
    """Some bytes and their trees; what was sealed has a part of its own in clear. key: a name for programs."""

    key: str
    title: str
    data: bytes
    nodes: list[Node] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "part": self.key,
            "hex": self.data.hex(),
            "tree": [node.as_dict(self.data) for node in self.nodes],
        }


@dataclass(eq=False, slots=True)
class Fact:
    """Something that follows from the frame and others, not from its bytes alone."""

    key: str
    text: str
    value: Any = None
    more: list[str] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Explained:
    parts: list[Part]
    facts: list[Fact]

    def as_dict(self) -> dict[str, Any]:
        return {
            "parts": [part.as_dict() for part in self.parts],
            "facts": {fact.key: fact.text if fact.value is None else fact.value for fact in self.facts},
        }
