"""Captures decoded at the speed of arrays: the same verdicts and columns as the receiver's, in columns.

What is of one strict profile is verified in batches (opening), put together by device (sets) and written as
Parquet (table); every other frame goes to the receiver itself (careful). Memory does not grow with what is of the
profile, as groups of devices go through files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from firmware.protocols import schema
from host_tools.fast import parallel, records, rowed, table
from host_tools.fast.careful import Careful
from host_tools.fast.opening import open_chunk
from host_tools.fast.ring import Ring
from host_tools.fast.sets import ALONE, Settler, Told
from host_tools.fast.spool import Spool
from host_tools.frames import Frame
from host_tools.lorawan.keysfile import Keys
from host_tools.outputs import _placed as placed
from host_tools.outputs.columns import _PLAIN as PLAIN
from host_tools.rows import Row
from provisioning.keyring import Keyring

__all__ = ["Summary", "decode", "rows"]

Array = np.ndarray[Any, Any]
Source = Path | str
# Bytes of captures for each group of devices: what a group takes in memory is three to five times that.
_GROUP = 24 << 20
_PLACE = (1 << 48) - 1
_LEAST = 1 << 18


@dataclass
class Summary:
    """As `Receiver.summary` has it; fast: frames that the careful path had no part in."""

    frames: int = 0
    rows: int = 0
    duplicates: int = 0
    states: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    wants: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fast: int = 0


@dataclass
class _Group:
    """What became of a group of devices. table: as Arrow has it, or the file that holds it."""

    counted: Counter[tuple[str, str]]
    told: Told
    escalated: int
    table: Any = None
    rows: list[Row] = field(default_factory=list)


class _Run:
    """One decoding: what the chunks gave, and what becomes of it."""

    def __init__(
        self,
        paths: Sequence[Source],
        keyrings: Iterable[Keyring],
        lorawan: Keys | None,
        workers: int = 1,
        progress: Callable[[int], None] | None = None,
        hashes: bool = True,
    ) -> None:
        self.hashes = hashes
        keys = lorawan or Keys()
        self.paths = [str(p) for p in paths]
        self.careful = Careful(keyrings, keys)
        self.ring = Ring(self.careful, keys)
        self.settler = Settler(self.ring, self.careful)
        self.notes: list[str] = []
        self.frames = self.fast = 0
        self.types: set[int] = set()
        self.purposes: set[int] = set()
        self._progress = progress
        self.heads: list[records.Head | None] = []
        sizes = 0
        for path in self.paths:
            head = None
            if path != "-" and Path(path).is_file():
                with Path(path).open("rb") as stream:
                    head = records.head_of(stream)
                sizes += Path(path).stat().st_size
            self.heads.append(head)
        self.workers = workers if parallel.possible() and any(self.heads) else 1
        least = 4 * self.workers if self.workers > 1 else 1
        self.groups, self.bounds = _groups(self.ring, max(least, -(-sizes // _GROUP)))
        # As many chunks as keep all workers busy to the end.
        self.size = min(records._BLOCK, max(_LEAST, sizes // (4 * self.workers))) if self.workers > 1 else 0
        self.spool = Spool(self.groups)
        self.form: table.Form | None = None
        self.folder: Path | None = None
        self._streams: dict[int, Any] = {}

    def close(self) -> None:
        self.spool.close()
        for stream in self._streams.values():
            stream.close()

    # Taking in

    def read(self) -> None:
        """Take all frames in."""
        for path, head in zip(self.paths, self.heads, strict=True):
            if head is None:
                self._other(path)
        if self.workers > 1:
            parallel.read(self)
            return
        for number, path, head in self.captures():
            for chunk in records.chunks(path, head, self.notes):
                found, left, total = self.chunk(chunk, number)
                self.spool.add(found)
                self.note(found)
                self.careful.add_all(left)
                self.count(total, total - len(left))

    def captures(self) -> Iterator[tuple[int, str, records.Head]]:
        for number, (path, head) in enumerate(zip(self.paths, self.heads, strict=True)):
            if head is not None:
                yield number, path, head

    def chunk(self, chunk: records.Chunk, number: int) -> tuple[list[Array], list[Frame], int]:
        """What a chunk gives: verified frames, those for the careful path, and how many there are."""
        places = records.frames_of(chunk)
        found, done = open_chunk(self.ring, chunk, places, number, self.hashes)
        left = np.flatnonzero(~done).tolist()
        frames = [records.frame_at(chunk, n, int(places.time_us[n])) for n in left]
        return found, frames, len(done)

    def note(self, found: list[Array]) -> None:
        """Remember which message types there are, for the columns."""
        for piece in found:
            self.types.update(np.unique(piece["payload"][:, 1]).tolist())
            self.purposes.update(np.unique(piece["purpose"]).tolist())

    def count(self, frames: int, fast: int) -> None:
        self.frames += frames
        self.fast += fast
        if self._progress is not None:
            self._progress(self.frames)

    def _other(self, path: str) -> None:
        """A source that is no pcap, or a packed one."""
        from host_tools.capture import read

        before = self.careful.frames
        self.careful.add_all(read(path, self.notes))
        self.count(self.careful.frames - before, 0)

    def frame_at(self, place: int) -> Frame:
        """The frame at a place."""
        number = place >> 48
        if number not in self._streams:
            self._streams[number] = Path(self.paths[number]).open("rb")  # noqa: SIM115 - see `close`
        head = self.heads[number]
        assert head is not None
        return records.frame_in(self._streams[number], head, place & _PLACE)

    # Giving out

    def begin(self) -> table.Form:
        """The columns of all that was read: of the types that occur, and of what the careful path has."""
        others = {name for row in self.careful.rows() for name in row.values}
        if self.purposes & set(ALONE):
            others.update(PLAIN)
        self.form = table.Form(self.types & set(schema.TYPES), others, self.hashes)
        return self.form

    def group(self, number: int, as_rows: bool = False) -> _Group:
        """One group of devices: its rows as a table, when there is a form for it, or one by one."""
        self.settler.told = Told()
        again: list[int] = []

        def escalate(places: Array) -> None:
            again.extend(places.tolist())
            self.careful.add_all(self.frame_at(p) for p in sorted(places.tolist()))

        low, high = self.bounds[number]
        part = self.settler.settle(self.spool.take(number), escalate)
        careful = self.careful.rows_between(low, high)
        told = self.settler.told
        for epoch in self.careful.epochs.values():
            if low <= epoch.record.device.hex() < high:
                told.add(epoch)
        counted = Counter((r.state, r.reason) for r in careful)
        for code, count in enumerate(np.bincount(part.verdict).tolist()):
            if count:
                counted[part.verdicts[code]] += count
        done = _Group(counted, told, len(again))
        if as_rows:
            every = [*rowed.contents(part), *part.odd.items()]
            done.rows = [*careful, *rowed.rows(self.ring, part, every, self.frame_at)]
        elif self.form is not None and (len(part.epoch) or careful):
            odd = rowed.rows(self.ring, part, part.odd.items(), None)
            found, key = table.batch(self.form, self.ring, part)
            done.table = table.with_rows(self.form, self.ring, found, key, [*careful, *odd])
        return done

    def finish(self, groups: Iterable[_Group]) -> Summary:
        """The summary of all groups."""
        counted: Counter[tuple[str, str]] = Counter()
        told = Told()
        for group in groups:
            counted.update(group.counted)
            told.gaps += group.told.gaps
            told.wants += group.told.wants
            told.alarms += group.told.alarms
            self.fast -= group.escalated
        states: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for (state, reason), count in counted.items():
            states[state] += count
            if reason:
                reasons[reason] += count
        names = self.careful.names()
        total = sum(states.values())
        return Summary(
            frames=self.frames,
            rows=total,
            duplicates=self.frames - total,
            states=dict(sorted(states.items())),
            reasons=dict(sorted(reasons.items())),
            gaps=[
                f"{names[k[1]]} epoch {k[2]}: {a}" + (f" to {b}" if b > a else "")
                for k, a, b in sorted(told.gaps)
            ],
            wants=[
                {"device": w.device.hex(), "epoch": w.epoch, "checkpoint": w.seq, "seqs": list(w.seqs)}
                for _, w in sorted(told.wants, key=lambda w: w[0])
            ],
            alarms=[
                f"{names[a.device]} epoch {a.epoch}: {a.kind} after number {a.since}"
                for _, a in sorted(told.alarms, key=lambda a: a[0])
            ],
            notes=self.notes,
            fast=self.fast,
        )


def _groups(ring: Ring, wanted: int) -> tuple[Array, list[tuple[str, str]]]:
    """By epoch its group of devices, and the devices of each group, as (first, behind the last)."""
    devices = sorted({e.record.device.hex() for e in ring.epochs})
    count = max(1, min(wanted, len(devices)))
    number = {d: n * count // len(devices) for n, d in enumerate(devices)}
    groups = np.array([number[e.record.device.hex()] for e in ring.epochs], np.int64)
    firsts = [next(d for d in devices if number[d] == n) for n in range(1, count)]
    return groups, list(zip(["", *firsts], [*firsts, "~"], strict=True))


def decode(
    paths: Sequence[Source],
    keyrings: Iterable[Keyring],
    lorawan: Keys | None = None,
    out: Source | None = None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    hashes: bool = True,
) -> Summary:
    """Verify and decode captures into a Parquet file, rows in canonical order.

    workers: processes that verify. progress: told how many frames were read.
    hashes: with the column `frame`, which costs a SHA-256 of every frame.
    """
    run = _Run(paths, keyrings, lorawan, workers, progress, hashes)
    with ExitStack() as stack:
        stack.callback(run.close)
        run.read()
        writer = None
        if out is not None:
            target = stack.enter_context(placed(Path(out)))
            writer = table.Writer(target, run.begin())
            stack.callback(writer.close)
        done = []
        for group in _all_groups(run):
            if writer is not None and group.table is not None:
                writer.write(group.table)
            group.table = None
            done.append(group)
        return run.finish(done)


def _all_groups(run: _Run) -> Iterator[_Group]:
    if run.workers > 1 and len(run.bounds) > 1:
        yield from parallel.groups(run)
    else:
        yield from map(run.group, range(len(run.bounds)))


def rows(
    paths: Sequence[Source], keyrings: Iterable[Keyring], lorawan: Keys | None = None, workers: int = 1
) -> list[Row]:
    """The same as rows, in canonical order: for comparisons."""
    run = _Run(paths, keyrings, lorawan, workers)
    try:
        run.read()
        found = [row for n in range(len(run.bounds)) for row in run.group(n, as_rows=True).rows]
    finally:
        run.close()
    return sorted(found, key=Row.order)
