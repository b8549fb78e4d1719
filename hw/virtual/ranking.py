"""Boards in the order of an instant of each: who is first is asked at each step, and a world may have hundreds."""

from __future__ import annotations

from bisect import bisect_left, insort

#: (instant, index of the board): of equal instants the lower index is first.
Row = tuple[int, int]


class Ranking:
    """`rows`: sorted; to be read only."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._instants: dict[int, int] = {}

    def put(self, index: int, t_us: int) -> None:
        """A board's instant is this one from now on."""
        if self._instants.get(index) != t_us:
            self.drop(index)
            self._instants[index] = t_us
            insort(self.rows, (t_us, index))

    def drop(self, index: int) -> None:
        """The board is in this ranking no longer; no error where it was not."""
        t_us = self._instants.pop(index, None)
        if t_us is not None:
            del self.rows[bisect_left(self.rows, (t_us, index))]

    def before(self, t_us: int) -> list[int]:
        """Indices of the boards whose instant is earlier, first ones first."""
        return [index for _, index in self.rows[: bisect_left(self.rows, (t_us, -1))]]
