"""What the frames of some devices are together. The rules are those of host_tools/view.py and receiver.py and
stand there alone: this says which of them can have a say.

An epoch of which every number has one content, without checkpoints, has one state for all frames of one structure:
`Epoch.state` is asked once for each. With checkpoints an `Epoch` gets all of its frames in short form. Where one
number has two frames, or the careful path has something of the same number, it gets all frames of that epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from firmware.protocols import chain, cose, ports, schema
from host_tools.fast import lockstep
from host_tools.fast.careful import Careful, EpochKey, with_numbers
from host_tools.fast.ring import Ring
from host_tools.rows import WIRE_EPOCH_UNIX
from host_tools.verdict import UP, Content, Verified, codec_name, read
from host_tools.view import Alarm, Epoch, Want

Array = np.ndarray[Any, Any]

ALONE = (ports.CHECKPOINT, ports.RESULT)
_HELLO = 1
_LAST_SEQ = 6


@dataclass
class Part:
    """Verified frames of some devices, one row each, by epoch and number.

    columns: what most of them say; odd: what the others do, by row. verdicts: (state, reason) by number in
    `verdict`.
    """

    epoch: Array
    seq: Array
    time: Array
    count: Array
    sha: Array
    purpose: Array
    kind: Array
    fcnt: Array
    place: Array
    columns: list[lockstep.Columns]
    odd: dict[int, Content]
    verdict: Array = field(init=False)
    verdicts: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Told:
    """What is to be told of epochs, each with its key."""

    gaps: list[tuple[EpochKey, int, int]] = field(default_factory=list)
    wants: list[tuple[EpochKey, Want]] = field(default_factory=list)
    alarms: list[tuple[EpochKey, Alarm]] = field(default_factory=list)

    def add(self, epoch: Epoch) -> None:
        self.gaps += [(epoch.key, a, b) for a, b in epoch.gaps()]
        self.wants += [(epoch.key, w) for w in epoch.wants()]
        self.alarms += [(epoch.key, a) for a in epoch.alarms()]


class Settler:
    def __init__(self, ring: Ring, careful: Careful) -> None:
        self.ring = ring
        self.careful = careful
        self.told = Told()
        self._states: dict[tuple[str, bool, int, bool, str], tuple[str, str]] = {}
        self._contents = {n: Content(codec_name(n), {}, n) for n in schema.TYPES}

    def settle(self, pieces: list[Array], again: Callable[[Array], None]) -> Part:
        """The rows of some verified frames. again: gives the frames at these places to the careful path."""
        pieces = [p for p in pieces if len(p)]
        pieces, order, first = self._in_order(pieces, again)
        row = np.cumsum(first) - 1
        of = np.empty(len(order), np.int64)
        of[order] = row
        starts = np.flatnonzero(first)
        joined = {
            name: np.concatenate([p[name] for p in pieces])[order] if pieces else np.empty(0, np.int64)
            for name in ("epoch", "seq", "time", "sha", "purpose", "kind", "fcnt", "place")
        }
        once: dict[str, Any] = {name: values[starts] for name, values in joined.items()}
        counts = np.diff(np.append(starts, len(order)))
        if len(starts):
            once["time"] = np.minimum.reduceat(joined["time"], starts)
        columns: list[lockstep.Columns] = []
        odd: dict[int, Content] = {}
        at = 0
        for piece in pieces:
            self._contents_of(piece, of[at : at + len(piece)], columns, odd)
            at += len(piece)
        part = Part(count=counts, columns=columns, odd=odd, **once)
        self._judge(part, pieces, of)
        return part

    # Which frames are one

    def _in_order(
        self, pieces: list[Array], again: Callable[[Array], None]
    ) -> tuple[list[Array], Array, Array]:
        """The pieces without what `again` got, their order, and where a number begins in it."""
        touched = self.careful.touched()
        while True:
            if not pieces:
                return [], np.empty(0, np.int64), np.empty(0, bool)
            epoch = np.concatenate([p["epoch"] for p in pieces])
            key = epoch.astype(np.int64) << 32 | np.concatenate([p["seq"] for p in pieces])
            order = np.argsort(key, kind="stable")
            sorted_key = key[order]
            first = np.ones(len(order), bool)
            np.not_equal(sorted_key[1:], sorted_key[:-1], out=first[1:])
            bad: set[int] = set()
            for n, e in enumerate(self.ring.epochs):
                if touched and e.key in touched:
                    mine = {n << 32 | s for s in touched[e.key]}
                    a, b = np.searchsorted(sorted_key, [n << 32, (n + 1) << 32])
                    if np.isin(sorted_key[a:b], np.array(sorted(mine))).any():
                        bad.add(n)
            twice = np.flatnonzero(~first)
            if len(twice):
                bad.update(self._unlike(pieces, order[twice - 1], order[twice], epoch))
            if not bad:
                return pieces, order, first
            wanted = np.array(sorted(bad))
            rest = []
            for piece in pieces:
                out = np.isin(piece["epoch"], wanted)
                if out.any():
                    again(piece["place"][out])
                    piece = piece[~out]
                rest.append(piece)
            pieces = [p for p in rest if len(p)]
            touched = {}

    @staticmethod
    def _unlike(pieces: list[Array], one: Array, other: Array, epoch: Array) -> set[int]:
        """The epochs in which two frames of one number differ; without hashes, their contents."""
        sha = np.concatenate([p["sha"] for p in pieces])
        differ = sha[one] != sha[other]
        at = 0
        for piece in pieces:
            both = np.flatnonzero((one >= at) & (one < at + len(piece)) & ~differ)
            a, b = one[both] - at, other[both] - at
            b = np.clip(b, 0, len(piece) - 1)
            one_way, other_way = piece[a], piece[b]
            unlike = (one_way["payload"] != other_way["payload"]).any(axis=1)
            for name in ("length", "purpose"):
                unlike |= one_way[name] != other_way[name]
            differ[both] = unlike
            at += len(piece)
        return set(epoch[one[differ]].tolist())

    # What they say

    def _contents_of(
        self, piece: Array, rows: Array, columns: list[lockstep.Columns], odd: dict[int, Content]
    ) -> None:
        alone = np.isin(piece["purpose"], ALONE)
        found, left = lockstep.read(
            piece["payload"], piece["length"].astype(np.int64), np.flatnonzero(~alone)
        )
        for some in found:
            some.rows = rows[some.rows]
            columns.append(some)
        for n in [*left.tolist(), *np.flatnonzero(alone).tolist()]:
            row = int(rows[n])
            if row not in odd:
                one = piece[n]
                odd[row] = read(int(one["purpose"]), one["payload"][: one["length"]].tobytes())

    # States

    def _judge(self, part: Part, pieces: list[Array], of: Array) -> None:
        careful = self.careful
        part.verdict = np.zeros(len(part.epoch), np.uint16)
        edges = np.flatnonzero(np.diff(part.epoch)) + 1
        starts = [0, *edges.tolist()] if len(part.epoch) else []
        ends = [*starts[1:], len(part.epoch)]
        timed = part.time >= WIRE_EPOCH_UNIX * 1_000_000
        for a, b in zip(starts, ends, strict=False):
            some = part.time[a:b][timed[a:b]]
            if len(some):
                careful.note_first(self.ring.epochs[int(part.epoch[a])].key, int(some.min()))
        careful.close_epochs()
        reasons = np.zeros(len(part.epoch), np.uint16)
        words = [""]
        for row, content in part.odd.items():
            if content.reason:
                if content.reason not in words:
                    words.append(content.reason)
                reasons[row] = words.index(content.reason)
        points = part.purpose == ports.CHECKPOINT
        touched = careful.touched()
        codes: dict[tuple[str, str], int] = {}
        payloads: dict[int, tuple[Array, int]] | None = None
        numbers = None
        for a, b in zip(starts, ends, strict=False):
            epoch = self.ring.epochs[int(part.epoch[a])]
            known = epoch.key in touched
            if not known and not points[a:b].any():
                self._plain(part, a, b, epoch, reasons, words, codes)
                self._holes(part, a, b, epoch)
                continue
            if payloads is None:
                payloads = _places(pieces, of)
                numbers = _types(part)
            assert numbers is not None
            full = epoch if known else Epoch(epoch.opener, closes_us=epoch.closes_us)
            found = []
            for row in range(a, b):
                piece, at = payloads[row]
                made = self._verified(part, row, epoch, piece[at], int(numbers[row]))
                found.append(made)
                full.add(made, int(part.time[row]))
            for row, made in zip(range(a, b), found, strict=True):
                verdict = full.state(made, int(part.time[row]))
                part.verdict[row] = codes.setdefault(verdict, len(codes))
            if not known:
                self.told.add(full)
        part.verdicts = list(codes)

    def _plain(
        self,
        part: Part,
        a: int,
        b: int,
        epoch: Epoch,
        reasons: Array,
        words: list[str],
        codes: dict[tuple[str, str], int],
    ) -> None:
        """States of an epoch in which no frame has a say in another's."""
        late = part.time[a:b] > epoch.closes_us if epoch.closes_us is not None else np.zeros(b - a, bool)
        case = (part.kind[a:b] == cose.SIGN1) * 2 + late + reasons[a:b].astype(np.int64) * 4
        same = case[0] if (case == case[0]).all() else None
        for c in [int(same)] if same is not None else np.unique(case).tolist():
            signed, is_late, reason = bool(c & 2), bool(c & 1), words[c >> 2]
            record = epoch.record
            key = (record.status, bool(record.disclosed_from), signed, is_late, reason)
            if key not in self._states:
                kind = cose.SIGN1 if signed else cose.MAC0
                alone = Epoch(epoch.opener, closes_us=0 if is_late else None)
                made = Verified(record, 1, ports.READING, kind, b"", b"", b"", Content("", reason=reason))
                self._states[key] = alone.state(alone.add(made, 1)[0], 1)
            code = codes.setdefault(self._states[key], len(codes))
            if same is not None:
                part.verdict[a:b] = code
            else:
                part.verdict[a:b][case == c] = code

    def _holes(self, part: Part, a: int, b: int, epoch: Epoch) -> None:
        seqs = part.seq[a:b]
        if int(seqs[-1]) == b - a:
            return
        alone = Epoch(epoch.opener)
        for some in part.columns:
            if some.number == _HELLO:
                for n in np.flatnonzero((some.rows >= a) & (some.rows < b)).tolist():
                    row = int(some.rows[n])
                    content = Content("hello", {"last_seq": _last_seq(some, n)}, _HELLO)
                    record, seq = epoch.record, int(part.seq[row])
                    alone.add(Verified(record, seq, 0, 0, b"", b"", b"", content), 0)
        for row, content in part.odd.items():
            if a <= row < b and content.type == "hello":
                record, seq = epoch.record, int(part.seq[row])
                alone.add(Verified(record, seq, 0, 0, b"", b"", b"", content), 0)
        self.told.gaps += [(epoch.key, x, y) for x, y in with_numbers(alone, seqs.tolist()).gaps()]

    def _verified(self, part: Part, row: int, epoch: Epoch, one: Any, number: int) -> Verified:
        """A frame in short form: all that `Epoch` asks for. Its number has no other content, so that any digest
        tells it from others."""
        record = epoch.record
        seq, purpose, kind = int(part.seq[row]), int(part.purpose[row]), int(part.kind[row])
        payload = one["payload"][: one["length"]].tobytes()
        content = part.odd.get(row)
        if content is None:
            content = self._contents[number] if number != _HELLO else read(purpose, payload)
        leaf = b""
        if "leaf" in record.keys and purpose in (ports.READING, ports.RESULT):
            pin = record.purposes[purpose]
            aad = cose.ext_aad(pin.alg, kind, purpose, record.tenant, record.device, record.epoch, UP, seq)
            salt = epoch.opener._digest("leaf", seq.to_bytes(4, "big"))[:16]
            leaf = bytes(chain.leaf(aad, payload, salt))
        digest = sha256(payload).digest()
        return Verified(record, seq, purpose, kind, payload, digest, leaf, content)


def _last_seq(some: lockstep.Columns, n: int) -> int | None:
    if _LAST_SEQ not in some.values:
        return None
    there = some.there[_LAST_SEQ]
    if there is not None and not there[n]:
        return None
    return int(some.values[_LAST_SEQ][n])


def _places(pieces: list[Array], of: Array) -> dict[int, tuple[Array, int]]:
    """For each row a frame that is in it."""
    found: dict[int, tuple[Array, int]] = {}
    at = 0
    for piece in pieces:
        for n, row in enumerate(of[at : at + len(piece)].tolist()):
            found[row] = (piece, n)
        at += len(piece)
    return found


def _types(part: Part) -> Array:
    found = np.zeros(len(part.epoch), np.uint8)
    for some in part.columns:
        found[some.rows] = some.number
    return found
