"""`lanterne decode --explain N`: one row's frame taken apart, for a person or as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from host_tools.commands.common import Settings
from host_tools.errors import UsageError
from host_tools.output import colour, say, terminal_width

if TYPE_CHECKING:
    from host_tools.decode import Result
    from host_tools.frames import Record
    from host_tools.rows import Row


def show(
    settings: Settings, sources: Sequence[str], result: Result, rows: Sequence[Row], number: int
) -> None:
    """Print what row `number` of `rows` is made of. sources: files, which are read once more."""
    import sys

    from host_tools.explain import explain, receptions
    from host_tools.explain.text import WIDTH, lines

    if number > len(rows):
        raise UsageError(say(f"there are {len(rows)} rows", f"il y a {len(rows)} lignes"))
    row = rows[number - 1]
    assert result.receiver is not None
    found = explain(result.receiver, row, receptions(_records(sources), row))
    width = terminal_width(sys.stdout) or WIDTH
    # The marked lines in red, where there is colour.
    paint = (
        (lambda line: f"\x1b[31m{line}\x1b[0m" if line[:1] == "!" else line) if colour(sys.stdout) else str
    )
    text = map(paint, lines(found, width)) if not settings.json else ()
    settings.output.result({"row": number, "frame": row.frame, **found.as_dict()}, text)


def refuse_stream(sources: Sequence[str]) -> None:
    """UsageError where the source cannot be read twice: before it is read once."""
    if "-" in sources:
        raise UsageError(
            say("--explain reads a capture twice: give a file", "--explain relit : donner un fichier")
        )


def _records(sources: Sequence[str]) -> Iterator[Record]:
    from host_tools import formats

    notes: list[str] = []
    for source in sources:
        yield from formats.Source(source, notes)
