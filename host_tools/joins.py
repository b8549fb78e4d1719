"""Which fragments may belong together (TRUST 3): a fragment carries no proof of its own, so a forged one can
stand beside a true one, and only the signature over the whole tells.

Fragments of one checkpoint are sent one after the other. Each is therefore tried with those of the other
places that are nearest to it in time, at most MAX_JOINS combinations for each; which these are follows from
the set of fragments alone. Nobody who only sends radio frames can put that many between two that follow each
other.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from itertools import product
from typing import Generic, Protocol, TypeVar

MAX_JOINS = 64


class Piece(Protocol):
    """A fragment: the SHA-256 of its frame and its earliest reception in Unix microseconds."""

    sha: bytes
    first_us: int


P = TypeVar("P", bound=Piece)


class Group(Generic[P]):
    """The fragments of one low number and one count of parts, by place."""

    def __init__(self, parts: int) -> None:
        self._slots: list[list[tuple[int, bytes, P]]] = [[] for _ in range(parts)]
        self._few = int(MAX_JOINS ** (1 / max(parts - 1, 1)))
        self._tried: set[tuple[bytes, ...]] = set()
        # Fragments whose neighbours were not tried yet.
        self.fresh: deque[tuple[int, P]] = deque()

    def add(self, index: int, piece: P) -> None:
        insort(self._slots[index], (piece.first_us, piece.sha, piece))
        self.fresh.append((index, piece))

    def move(self, index: int, piece: P, old_us: int) -> None:
        """An earlier reception of a fragment became known."""
        slot = self._slots[index]
        del slot[bisect_left(slot, (old_us, piece.sha))]
        self.add(index, piece)

    def forget(self) -> None:
        """Have every combination tried again: more numbers have come into reach."""
        self._tried.clear()
        self.rest()

    def rest(self) -> None:
        """Take every fragment for fresh, for the neighbours that came after it."""
        self.fresh = deque((i, row[2]) for i, slot in enumerate(self._slots) for row in slot)

    def combinations(self, index: int, piece: P) -> Iterator[tuple[P, ...]]:
        """What to try a fragment with, the nearest first, each combination once."""
        choices = [[piece] if i == index else self._near(i, piece.first_us) for i in range(len(self._slots))]
        for parts in product(*choices):
            key = tuple(p.sha for p in parts)
            if key not in self._tried:
                self._tried.add(key)
                yield parts

    def _near(self, index: int, time_us: int) -> list[P]:
        slot = self._slots[index]
        at = bisect_left(slot, (time_us, b""))
        around = slot[max(at - self._few, 0) : at + self._few]
        around.sort(key=lambda row: (abs(row[0] - time_us), row[0], row[1]))
        return [row[2] for row in around[: self._few]]
