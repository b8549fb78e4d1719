"""Plays a capture into another one, as it was or with faults, and tells which record got which fault."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from host_tools.capture import CaptureWriter, read, refuse_same
from host_tools.faults import Faults, Item, apply
from host_tools.rows import Row, to_json


@dataclass(frozen=True)
class Report:
    """entries: for each fault its kind, the record's number in the input and in the output (None: not there),
    and the first 16 hex digits of the SHA-256 of the frame before and after."""

    records: int
    entries: list[dict[str, Any]]

    def as_json(self) -> str:
        return json.dumps({"records": self.records, "faults": self.entries}, indent=1)


def _short(data: bytes | None) -> str | None:
    return None if data is None else sha256(data).hexdigest()[:16]


def replay(source: Path | str, out: Path | str, faults: Faults | None = None, seed: int = 1) -> Report:
    """Write `source` to `out` with some faults; the same source, faults and seed give the same bytes.

    InputError, StoreError; UsageError where a fault asks for keys of a tenant that is no lab tenant.
    """
    refuse_same(source, out)
    items = [Item(frame, n) for n, frame in enumerate(read(source), 1)]
    dropped: list[Item] = []
    for number, fault in enumerate(faults.faults if faults else ()):
        struck = list(apply(items, fault, seed, number))
        dropped += [i for i in struck if i.fault == "drop"]
        items = [i for i in struck if i.fault != "drop"]
    entries = []
    with CaptureWriter(out) as writer:
        for place, item in enumerate(items, 1):
            writer.write(item.frame)
            if item.fault:
                entries.append(_entry(item, place))
    entries += [_entry(item, None) for item in dropped]
    entries.sort(key=lambda e: (e["input"], e["output"] or 0))
    return Report(len(items), entries)


def _entry(item: Item, place: int | None) -> dict[str, Any]:
    return {
        "fault": item.fault,
        "input": item.origin,
        "output": place,
        "frame_before": _short(item.before),
        "frame_after": None if place is None else _short(item.frame.data),
    }


@dataclass(frozen=True)
class Comparison:
    """same: the rows are equal one by one. lines: what differs, for a person."""

    same: bool
    lines: list[str]


def compare(before: Iterable[Row], after: Iterable[Row]) -> Comparison:
    """Compare the rows of two decodings frame by frame."""
    old, new = {r.frame: r for r in before}, {r.frame: r for r in after}
    lines = []
    for frame in sorted(old.keys() | new.keys(), key=lambda f: (new.get(f) or old[f]).order()):
        a, b = old.get(frame), new.get(frame)
        if a is None and b is not None:
            lines.append(f"new: {_words(b)}")
        elif b is None and a is not None:
            lines.append(f"gone: {_words(a)}")
        elif a is not None and b is not None and to_json(a) != to_json(b):
            lines.append(f"changed: {_words(a)} -> {_words(b)}")
    return Comparison(not lines, lines)


def _words(row: Row) -> str:
    who = f"{row.name or row.device or 'nobody known'} {row.seq or '-'}"
    seen = f", received {row.receptions} times" if row.receptions > 1 else ""
    return f"{who} {row.state}{': ' + row.reason if row.reason else ''}{seen} [{row.frame}]"
