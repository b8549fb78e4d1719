"""What the command line prints and how it ends: exit codes, results, tables, progress.

Results go to standard output, everything else to standard error, so that a result can be piped on. JSON keys,
column names and identifiers are never translated; sentences for people are.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO

# Exit codes, the same for every verb.
DONE = 0
NEGATIVE = 1  # a verdict is negative, or --strict was given and something was refused
USAGE = 2  # the command line is wrong, or asks for what this version has not built yet
UNREADABLE = 3  # input is missing, unreadable or of a foreign format
SILENT = 4  # a device or peer does not answer
STORE_REFUSED = 5  # the place where results go refuses them: disk full, no permission, exists already
DEFECT = 70  # a defect of this program; --debug shows where
INTERRUPTED = 130

EXIT_CODES = {
    DONE: "done",
    NEGATIVE: "verdict negative, or --strict and something refused",
    USAGE: "usage, or not built yet",
    UNREADABLE: "input unreadable",
    SILENT: "device or peer not answering",
    STORE_REFUSED: "store refused",
    DEFECT: "a defect of lanterne itself",
    INTERRUPTED: "interrupted",
}

LANGUAGES = ("en", "fr")
_language = "en"


def set_language(name: str) -> None:
    global _language
    _language = name if name in LANGUAGES else "en"


def language() -> str:
    return _language


def say(english: str, french: str | None = None) -> str:
    """The sentence in the language that was asked for."""
    return french if french and _language == "fr" else english


def counted(number: int, noun: str) -> str:
    """The number and its noun, with an s for several."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def default_language(environ: Mapping[str, str]) -> str:
    """fr where the locale is French (POSIX order of the variables), else en."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return "fr" if environ[name].lower().startswith("fr") else "en"
    return "en"


def colour(stream: IO[str]) -> bool:
    """True where colour may be used: a terminal, and NO_COLOR absent or empty (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def terminal_width(stream: IO[str]) -> int | None:
    """Columns of the terminal that a stream goes to; None where it goes elsewhere."""
    if not stream.isatty():
        return None
    return max(shutil.get_terminal_size().columns, 20)


def to_json(value: object) -> str:
    """One line of JSON; bytes become hex."""
    return safe_json(json.dumps(value, ensure_ascii=False, default=_plain, separators=(", ", ": ")))


def safe_json(text: str) -> str:
    """JSON whose strings cannot steer a terminal: json.dumps leaves DEL, C1 and direction marks in."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _plain(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def printable(text: object) -> str:
    """Text from a capture or a file, safe for a terminal: control characters become escapes.

    A device name or a broken frame must not move the cursor or change the colours of who looks at it.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return " ".join(cell_text(v) for v in value)
    return printable(value)


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Plain aligned columns; numbers to the right. Needs all rows before the first line."""
    body = [[cell_text(v) for v in row] for row in rows]
    numeric = [
        bool(body) and all(r[n] == "" or r[n].lstrip("-").replace(".", "", 1).isdigit() for r in body)
        for n in range(len(columns))
    ]
    widths = [max([len(c), *(len(r[n]) for r in body)]) for n, c in enumerate(columns)]
    for row in [list(columns), *body]:
        cells = [
            v.rjust(w) if right else v.ljust(w) for v, w, right in zip(row, widths, numeric, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def let_go() -> None:
    """Standard streams that refuse lead nowhere from here: the interpreter flushes them once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            try:
                os.dup2(nowhere, stream.fileno())
            except (OSError, ValueError):
                continue
    os.close(nowhere)


def _tell(text: str) -> None:
    """A remark, after the results of before; one that cannot be shown changes no result."""
    sys.stdout.flush()
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except OSError:
        let_go()


class Output:
    """Where a command's results and remarks go. One per run; `quiet` silences remarks, never results."""

    def __init__(self, as_json: bool = False, quiet: bool = False, verbose: int = 0) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose

    def result(self, value: object, text: str | Iterable[str] = "") -> None:
        """The result itself: JSON when asked for, else the given text."""
        if self.as_json:
            print(to_json(value))
            return
        for line in [text] if isinstance(text, str) else text:
            print(line)

    def table(self, rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> None:
        """Rows as a table for people, or one JSON object per line."""
        if self.as_json:
            for row in rows:
                print(to_json(dict(row)))
            return
        for line in table_lines(columns, ([row.get(c) for c in columns] for row in rows)):
            print(line)

    def remark(self, text: str) -> None:
        """For the person who waits; silent with -q."""
        if not self.quiet:
            _tell(printable(text) + "\n")

    def detail(self, text: str) -> None:
        """Shown with -v."""
        if self.verbose and not self.quiet:
            _tell(printable(text) + "\n")

    def progress(self, what: str) -> Progress:
        return Progress(what, shown=not self.quiet and sys.stderr.isatty())


class Progress:
    """A counter that rewrites one line of standard error, at most ten times a second; nothing elsewhere."""

    def __init__(self, what: str, shown: bool) -> None:
        self._what = what
        self._shown = shown
        self._next = 0.0
        self._drawn = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            _tell("\r\x1b[K")

    def step(self, count: int, remark: str = "") -> None:
        if self._shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.1
            self._drawn = True
            _tell(f"\r\x1b[K{self._what}: {count} {printable(remark)}")


def error_line(message: str, hint: str = "", stream: IO[str] | None = None) -> None:
    """One clear line for what went wrong and one for what to do."""
    stream = stream or sys.stderr
    red, plain = ("\x1b[31m", "\x1b[0m") if colour(stream) else ("", "")
    print(f"{red}lanterne: {printable(message)}{plain}", file=stream)
    if hint:
        print(f"  {printable(hint)}", file=stream)
