"""The table that fills while a run goes on: newest readings, counts by state, how far the night is."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter, deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from host_tools.output import printable
from host_tools.rows import Row

_SHOWN = 16
_COLOURS = {
    "signed": "green",
    "authenticated": "cyan",
    "unverified": "yellow",
    "contested": "magenta",
    "rejected": "red",
}


def clock(us: int) -> str:
    """UTC time of day of a reception."""
    return dt.datetime.fromtimestamp(us / 1e6, dt.UTC).strftime("%H:%M:%S")


def values(row: Row) -> Text:
    """The measured values of a row in one line, what every kind has at its end."""
    names = sorted(row.values, key=lambda name: name == "supply_v")
    return Text("  ".join(f"{name} {row.values[name]}" for name in names if name != "bundle"))


class LiveTable:
    """Use as a context manager; `row` and `progress` may be called from any thread.

    On a terminal the table is drawn in place. Elsewhere nothing is drawn: a log wants the result, not frames.
    """

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console(stderr=True)
        self._rows: deque[Row] = deque(maxlen=_SHOWN)
        self._counts: Counter[str] = Counter()
        self._at = 0.0
        self._total = 1.0
        self._lock = threading.Lock()
        self._live = Live(self._draw(), console=self._console, refresh_per_second=8, transient=True)

    def __enter__(self) -> LiveTable:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def row(self, row: Row) -> None:
        with self._lock:
            self._rows.append(row)
            self._counts[row.state] += 1
        self._live.update(self._draw())

    def progress(self, at_s: float, total_s: float) -> None:
        with self._lock:
            self._at, self._total = at_s, total_s
        self._live.update(self._draw())

    def _draw(self) -> Group:
        with self._lock:
            rows, counts = list(self._rows), dict(self._counts)
        table = Table(title=Text(printable(self._title)), expand=True, title_justify="left")
        for name, width in (("heard", 8), ("device", 7), ("type", 10), ("state", 13)):
            table.add_column(name, no_wrap=True, min_width=width)
        rest(table, "values")
        for row in rows:
            state = Text(row.state + (f": {row.reason}" if row.reason else ""), _COLOURS.get(row.state, ""))
            table.add_row(clock(row.received_at), name_of(row), row.type, state, values(row))
        hours = f"{self._at / 3600:.1f} h of {self._total / 3600:g} h   "
        tally = Text(
            hours + "   ".join(f"{n} {state}" for state, n in sorted(counts.items())), overflow="ellipsis"
        )
        bar = Table.grid(expand=True)  # a bar by itself ends no line
        bar.add_row(ProgressBar(total=self._total, completed=self._at))
        return Group(table, bar, tally)


def rest(table: Table, name: str) -> None:
    """Add a column that takes the width that the others leave, and is the only one that is cut."""
    table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)


def name_of(row: Row) -> Text:
    """The device's name as it stands in a key file, which is no markup and moves no cursor."""
    return Text(printable(row.name or "?"))
