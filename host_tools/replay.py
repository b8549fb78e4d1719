"""Plays a capture into another one or into a live receiver, as it was or with faults, and tells which frame got
which fault and what became of each."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

from host_tools.capture import read, refuse_same
from host_tools.errors import ToolError
from host_tools.faults import ANSWERS, Faults, Item, answered, apply, needs_addresses
from host_tools.faults.frames import short_address
from host_tools.frames import Frame
from host_tools.rows import Row, to_json
from host_tools.targets.base import Target, Unfit
from host_tools.targets.file import FileTarget

# Entries that are kept one by one; all faults are counted.
MAX_ENTRIES = 1_000_000
# Chosen: a receiver that is later than this is told once.
_BEHIND_S = 1.0
_LONG_WAIT_S = 60.0
_RX1_S = 1.0
# How long acknowledgements are waited for behind the last frame.
SETTLE_S = 10.0


@dataclass
class Report:
    """records: frames sent. entries: for each fault its kind, the record's number in the input and in the output
    (None: not there), and the first 16 hex digits of the SHA-256 of the frame before and after.

    counts: faults by kind. receiver: what a live target made of it. behind_s: how late frames went out at worst.
    error, interrupted: why it ended before the source did.
    """

    records: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    receiver: dict[str, Any] | None = None
    behind_s: float = 0.0
    loops: int = 0
    error: ToolError | None = None
    interrupted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Without the entries."""
        found: dict[str, Any] = {"records": self.records, "counts": dict(sorted(self.counts.items()))}
        if self.receiver is not None:
            found["receiver"] = {k: v for k, v in self.receiver.items() if k != "downlink_entries"}
            found["behind_s"] = round(self.behind_s, 3)
        if self.loops > 1:
            found["loops"] = self.loops
        if self.error is not None:
            found["error"] = str(self.error)
        return found | ({"interrupted": True} if self.interrupted else {})

    def as_json(self) -> str:
        return json.dumps({"records": self.records, "faults": self.entries}, indent=1)


def _short(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def replay(source: Path | str, out: Path | str, faults: Faults | None = None, seed: int = 1) -> Report:
    """Write `source` to `out` with some faults; the same source, faults and seed give the same bytes.

    InputError, StoreError; UsageError where a fault asks for keys of a tenant that is no lab tenant.
    """
    refuse_same(source, out)
    report = play(source, FileTarget(out), faults, seed)
    if report.error is not None:
        raise report.error
    if report.interrupted:
        raise KeyboardInterrupt
    return report


class Source:
    """The frames of a capture, several times over. notes: gets what is wrong with it, once."""

    def __init__(self, source: Path | str, loops: int = 1, notes: list[str] | None = None) -> None:
        self._source = source
        self._loops = loops
        self._notes = notes
        self.begun = 0

    def items(self, frames: Iterable[Frame] | None = None) -> Iterator[Item]:
        """Frames with the time at which each is due; in a later loop all times go on where the loop before ended.

        frames: of the first loop, where they are in memory already. A frame without a time is due with the one
        before it, and so is one whose time is before that one's.
        """
        origin, due_us, shift_us, mean_us = 0, 0, 0, 1_000_000
        first = last = 0
        while not self._loops or self.begun < self._loops:
            self.begun += 1
            if self.begun == 2 and origin > 1:
                mean_us = max((last - first) // (origin - 1), 1)
            shift_us = (self.begun - 1) * (last - first + mean_us) if self.begun > 1 else 0
            empty = True
            for frame in frames if frames is not None and self.begun == 1 else self._read():
                empty = False
                origin += 1
                if self.begun == 1 and frame.time_us:
                    first = first or frame.time_us
                    last = max(last, frame.time_us)
                if shift_us and frame.time_us:
                    frame = replace(frame, time_us=frame.time_us + shift_us)
                due_us = max(due_us, frame.time_us)
                yield Item(frame, origin, due_us)
            if empty:
                return

    def _read(self) -> Iterator[Frame]:
        yield from read(self._source, self._notes if self.begun == 1 else None)


def play(
    source: Path | str,
    target: Target,
    faults: Faults | None = None,
    seed: int = 1,
    speed: float = 1.0,
    loops: int = 1,
    tell: Callable[[str], None] = lambda line: None,
    step: Callable[[int], None] = lambda count: None,
    settle_s: float | None = None,
    notes: list[str] | None = None,
) -> Report:
    """Send a source into a target. speed: 1 as it was, 10 ten times as fast, 0 as fast as it goes; for a target
    that is not live always 0. loops: 0 for ever. tell: told what a person should know; step: how many were sent.

    What goes wrong with the receiver on the way ends it, and is in the report; InputError and UsageError for the
    source and the faults are raised. The first Ctrl-C ends it, too; a second one while it settles is raised.
    """
    report = Report()
    frames = Source(source, loops, notes)
    free, held = _addresses(source, faults)
    items = apply(frames.items(held), faults, seed, free)
    # A foreign file and wrong keys are refused before anything is opened.
    first = list(islice(items, 1))
    if answered(faults) and not target.live:
        tell("late_rx1 and tx_ack have no effect here: no downlink comes from this target")
    try:
        target.open()
        _send_all(chain(first, items), target, report, _Pace(speed if target.live else 0.0, tell), step)
        if target.live and (answered(faults) or target.told().get("downlinks")):
            # RX1 opens a second after the last uplink; its downlink is to be answered, too.
            time.sleep(_RX1_S)
    except KeyboardInterrupt:
        report.interrupted = True
    except ToolError as e:
        report.error = e
    try:
        if report.error is None:
            wait_s = SETTLE_S if settle_s is None else settle_s
            target.settle(min(wait_s, 2.0) if report.interrupted else wait_s)
    except ToolError as e:
        report.error = e
    finally:
        target.close()
    report.loops = frames.begun
    if report.error is None and not report.interrupted:
        _tell_idle(faults, report, tell)
    report.entries.sort(key=lambda e: (e["input"], e["output"] or 0))
    if target.live or target.told():
        report.receiver = {**target.ledger.as_dict(), **target.told()}
    return report


def _tell_idle(faults: Faults | None, report: Report, tell: Callable[[str], None]) -> None:
    """Name the faults that were asked for and found nothing to strike. Of a clock none is counted."""
    kinds = dict.fromkeys(f.kind for f in (faults.faults if faults else ()))
    for kind in kinds:
        if kind not in (*ANSWERS, "clock_drift") and not report.counts[kind]:
            tell(f"{kind} struck no frame")


def _addresses(source: Path | str, faults: Faults | None) -> tuple[int, list[Frame] | None]:
    """A short address that nobody has; and the frames, where they had to be read for it and cannot be again."""
    if not needs_addresses(faults):
        return 0xFFFE, None
    frames: Iterable[Frame] = read(source)
    held = list(frames) if str(source) == "-" else None
    taken = {short_address(f.data) for f in (held or frames)}
    return next((a for a in range(0xFFFE, 0, -1) if a not in taken), 0xFFFF), held


class _Pace:
    """Waits until a frame is due. behind_s: the most that one went out late."""

    def __init__(self, speed: float, tell: Callable[[str], None]) -> None:
        self._speed = speed
        self._tell = tell
        self._began = 0.0
        self._first_us: int | None = None
        self._last_us = 0
        self._late = False
        self.behind_s = 0.0

    def wait(self, due_us: int) -> None:
        if not self._speed:
            return
        now = time.monotonic()
        if self._first_us is None or not self._last_us:
            self._first_us, self._began = due_us, now
        # Faults may have moved a frame behind one that is due later.
        self._last_us = max(self._last_us, due_us)
        at = self._began + (self._last_us - self._first_us) / 1_000_000 / self._speed
        if at - now > _LONG_WAIT_S:
            self._tell(f"the next frame is due in {at - now:.0f} s; --speed shortens that")
        while (rest := at - time.monotonic()) > 0:
            time.sleep(min(rest, 0.5))
        behind = time.monotonic() - at
        self.behind_s = max(self.behind_s, behind)
        if behind > _BEHIND_S and not self._late:
            self._tell(f"the receiver is slower than the source: {behind:.1f} s behind")
        self._late = behind > _BEHIND_S


def _send_all(
    items: Iterable[Item], target: Target, report: Report, pace: _Pace, step: Callable[[int], None]
) -> None:
    place = 0
    for item in items:
        report.counts.update(kind for kind, _ in item.struck)
        if item.lost:
            _enter(report, item, None)
            continue
        pace.wait(item.due_us)
        report.behind_s = pace.behind_s
        place += 1
        _enter(report, item, place)
        try:
            target.send(place, item.frame)
            report.records += 1
        except Unfit as e:
            target.ledger.refuse(place, str(e.args[0]))
        step(place)


def _enter(report: Report, item: Item, place: int | None) -> None:
    if len(report.entries) >= MAX_ENTRIES:
        return
    for kind, before in item.struck:
        report.entries.append(
            {
                "fault": kind,
                "input": item.origin,
                "output": place,
                "frame_before": _short(before),
                "frame_after": None if place is None else _short(item.frame.data),
            }
        )


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
