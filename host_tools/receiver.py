"""The receiver: frames in, one row per distinct frame out, whatever the order (TRUST 1, 2, 13, 19).

Everything that was ever accepted is kept as an exact set. `evaluate` serves files and `Receiver` live
traffic; they are the same code, so the rows of a live run are those of its capture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product
from typing import Any

from firmware.protocols import cose
from firmware.protocols.cbor import WireError
from host_tools import rows as rows_of
from host_tools.frames import Frame
from host_tools.rows import Row
from host_tools.verdict import UNDECIDED, Opener, Parsed, Verified, furthest, parse
from host_tools.view import LATE_EPOCH_US, Alarm, Epoch, Want
from provisioning.keyring import Keyring

# TRUST 13: at most this many devices of one address and epochs of one device are tried, never the whole ring.
MAX_CANDIDATES = 4
MAX_EPOCHS = 2
# TRUST 19: failed verifications a second and device, and how many at once.
CAP_PER_S = 1
CAP_BURST = 60
# Fragments carry no proof of their own: of forged and true ones at most this many pairings are tried.
MAX_JOINS = 64


@dataclass(eq=False)
class _Entry:
    """One distinct frame. parts: for a checkpoint put together from fragments, the frames it came from."""

    sha: bytes
    first_us: int
    parsed: Parsed
    count: int = 1
    reason: str = ""
    epochs: Sequence[Epoch] = ()
    found: Verified | None = None
    epoch: Epoch | None = None
    parts: Sequence[_Entry] = ()
    joins: list[_Entry] = field(default_factory=list)
    tried: set[tuple[int, int]] = field(default_factory=set)
    waiting: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one frame at the moment it was added. verified: what it or the set it completed says.

    new: False for a frame, or content, that was there before. fragment: the frame is part of a checkpoint.
    Later frames may change the state.
    """

    new: bool
    state: str
    reason: str
    verified: Verified | None
    fragment: bool = False
    entry: object = field(default=None, repr=False)


class _Bucket:
    """Failed verifications of one device: one a second, 60 at once."""

    def __init__(self, now_us: int) -> None:
        self._tokens = float(CAP_BURST)
        self._at_us = now_us

    def allows(self, now_us: int) -> bool:
        passed_us = max(now_us - self._at_us, 0)
        self._tokens = min(self._tokens + passed_us * CAP_PER_S / 1e6, CAP_BURST)
        self._at_us = max(now_us, self._at_us)
        return self._tokens >= 1

    def failed(self) -> None:
        self._tokens -= 1


class Receiver:
    """Collects frames. capped: limit failed verifications per device, as live intake must.

    near: highest number known of some (tenant, device, epoch), for captures that begin above 2^25.
    """

    def __init__(
        self,
        keyrings: Iterable[Keyring],
        capped: bool = False,
        near: dict[tuple[bytes, bytes, int], int] | None = None,
    ) -> None:
        self._capped = capped
        self._entries: dict[bytes, _Entry] = {}
        self._sets: dict[tuple[int, int, int, int], list[dict[bytes, _Entry]]] = {}
        self._joined: dict[bytes, _Entry] = {}
        self._failed: dict[tuple[bytes, bytes, int], dict[int, _Entry]] = {}
        self._waiting: dict[int, _Entry] = {}
        self._buckets: dict[bytes, _Bucket] = {}
        self.frames = 0
        # What was verified since somebody last took it: (epoch, content, SHA-256 of a frame that brought it).
        self.accepted: list[tuple[Epoch, Verified, bytes]] = []
        self.epochs: dict[tuple[bytes, bytes, int], Epoch] = {}
        for ring in keyrings:
            for record in ring.records:
                epoch = Epoch(Opener(record))
                self.epochs[epoch.key] = epoch
        for key, seq in (near or {}).items():
            if key in self.epochs:
                self.epochs[key].open_near(seq)
        self._by_address = self._addresses()
        self._tags = {tag for tag, _ in self._by_address}

    def _addresses(self) -> dict[tuple[int, int], list[Epoch]]:
        """The epochs to try for each address: newest first, two per device, four devices."""
        devices: dict[tuple[int, int], dict[tuple[bytes, bytes], list[Epoch]]] = {}
        for epoch in sorted(self.epochs.values(), key=lambda e: e.key):
            record = epoch.record
            same = devices.setdefault((record.link_tag, record.link_address), {})
            same.setdefault((record.tenant, record.device), []).append(epoch)
        found: dict[tuple[int, int], list[Epoch]] = {}
        for address, same in devices.items():
            few = list(same.values())[:MAX_CANDIDATES]
            found[address] = [e for epochs in few for e in reversed(epochs[-MAX_EPOCHS:])]
        return found

    # Taking in

    def add(self, frame: Frame, now_us: int | None = None) -> Outcome:
        """Take a frame in. now_us: the receiver's own clock, for the cap; without it, the frame's time."""
        entry, new = self._take(frame, frame.time_us if now_us is None else now_us)
        return self._outcome(entry, new)

    def add_all(self, frames: Iterable[Frame]) -> None:
        """Take many frames in, without a word on each."""
        for frame in frames:
            self._take(frame, frame.time_us)

    def _take(self, frame: Frame, now_us: int) -> tuple[_Entry, bool]:
        self.frames += 1
        # A record without a whole frame is no frame, even where its bytes would pass for one.
        sha = sha256((b"record" if frame.reason else b"") + frame.data).digest()
        entry = self._entries.get(sha)
        if entry is not None:
            entry.count += 1
            if frame.time_us < entry.first_us:
                entry.first_us = frame.time_us
                if entry.found is not None and entry.epoch is not None:
                    entry.epoch.add(entry.found, frame.time_us)
            return entry, False
        parsed = Parsed(frame.reason) if frame.reason else parse(frame.data)
        entry = self._entries[sha] = _Entry(sha, frame.time_us, parsed)
        return entry, self._judge(entry, now_us)

    def _judge(self, entry: _Entry, now_us: int) -> bool:
        """Verify a frame as far as that goes now; True when it brought content that was not there."""
        parsed = entry.parsed
        entry.reason = parsed.reason
        if parsed.address is not None:
            entry.epochs = self._by_address.get(parsed.address, ())
        if parsed.reason:
            return False
        if not entry.epochs:
            known = parsed.address is not None and parsed.address[0] in self._tags
            entry.reason = "unknown_device" if known else "unknown_tenant"
            return False
        if parsed.direction:
            entry.reason = "no_key"
            return False
        if parsed.part is not None:
            return self._join(entry, parsed.part, now_us)
        return self._try(entry, now_us)

    def _try(self, entry: _Entry, now_us: int) -> bool:
        """Try the numbers that were not tried before under each candidate; True for new content."""
        refusals = []
        entry.waiting = False
        for n, epoch in enumerate(entry.epochs):
            refusal = epoch.opener.refusal(entry.parsed)
            if refusal:
                refusals.append(refusal)
                continue
            trials = epoch.trials(entry.parsed.piv)
            refusals.append(epoch.opener.seal_refusal(entry.parsed) if trials else "seq_range")
            self._failed.setdefault(epoch.key, {})[id(entry)] = entry
            for seq in trials:
                if (n, seq) in entry.tried:
                    continue
                bucket = self._bucket(epoch, now_us)
                if bucket is not None and not bucket.allows(now_us):
                    entry.waiting = True
                    break
                entry.tried.add((n, seq))
                found = epoch.opener.open(entry.parsed, seq)
                if found is not None:
                    return self._accept(entry, epoch, found, now_us)
                if bucket is not None:
                    bucket.failed()
        entry.reason = "rate" if entry.waiting else furthest(refusals)
        if entry.waiting:
            self._waiting[id(entry)] = entry
        return False

    def _bucket(self, epoch: Epoch, now_us: int) -> _Bucket | None:
        if not self._capped:
            return None
        device = epoch.record.device
        if device not in self._buckets:
            self._buckets[device] = _Bucket(now_us)
        return self._buckets[device]

    def _accept(self, entry: _Entry, epoch: Epoch, found: Verified, now_us: int) -> bool:
        entry.found, new = epoch.add(found, entry.first_us)
        entry.epoch, entry.reason, entry.waiting = epoch, "", False
        if new and self._capped:
            self.accepted.append((epoch, entry.found, entry.parts[-1].sha if entry.parts else entry.sha))
        for candidate in entry.epochs:
            self._failed.get(candidate.key, {}).pop(id(entry), None)
        if epoch.open_near(found.seq):
            # Frames that failed may belong to the numbers that have just come into reach.
            for other in list(self._failed.get(epoch.key, {}).values()):
                if other.found is None:
                    self._try(other, now_us)
        return new

    def _join(self, entry: _Entry, part: tuple[int, int, int], now_us: int) -> bool:
        """Enter a fragment and try every checkpoint that it completes."""
        low, index, last = part
        tag, address = entry.parsed.address or (0, 0)
        slots = self._sets.setdefault((tag, address, low, last), [{} for _ in range(last + 1)])
        slots[index][entry.sha] = entry
        entry.reason = "fragment_incomplete"
        # Parts of one checkpoint are sent one after the other: those close in time are tried.
        few = int(MAX_JOINS ** (1 / max(last, 1)))
        choices = [
            [entry]
            if i == index
            else sorted(slot.values(), key=lambda e: (abs(e.first_us - entry.first_us), e.sha))[:few]
            for i, slot in enumerate(slots)
        ]
        new = False
        for parts in product(*choices):
            new |= self._try_joined(parts, low, now_us)
        return new

    def _try_joined(self, parts: tuple[_Entry, ...], low: int, now_us: int) -> bool:
        whole = b"".join(p.parsed.body for p in parts)
        sha = sha256(b"joined" + b"".join(p.sha for p in parts)).digest()
        first = parts[0].parsed
        try:
            kind, piv, kid, body, mac = cose.parse(whole)
            reason = "bad_header" if kid is not None else "" if piv & 0xFFFF == low else "link_number"
        except WireError as e:
            reason, kind, piv, body, mac = str(e.args[0]), 0, 0, b"", b""
        parsed = Parsed(reason, first.address, first.purpose, 0, kind, piv, body, mac)
        joined = _Entry(sha, 0, parsed, reason=reason, epochs=parts[0].epochs, parts=parts)
        for part in parts:
            part.joins.append(joined)
        return self._try(joined, now_us) if not reason else False

    def tick(self, now_us: int) -> int:
        """Verify what the cap held back, as far as it allows by now; returns how many still wait."""
        for key, entry in list(self._waiting.items()):
            del self._waiting[key]
            self._try(entry, now_us)
        return len(self._waiting)

    # Giving out

    def _close_epochs(self) -> None:
        """Frames of an epoch come too late 14 days after its successor's first frame."""
        first: dict[tuple[bytes, bytes, int], int] = {}
        for entry in self._entries.values():
            if entry.epoch is not None:
                key = entry.epoch.key
                first[key] = min(first.get(key, entry.first_us), entry.first_us)
        later: dict[tuple[bytes, bytes], int] = {}
        for key in sorted(self.epochs, reverse=True):
            tenant, device, _ = key
            successor = later.get((tenant, device))
            self.epochs[key].closes_us = None if successor is None else successor + LATE_EPOCH_US
            if key in first:
                later[tenant, device] = min(first[key], successor or first[key])

    def _state(self, entry: _Entry, received_us: int) -> tuple[str, str, Epoch | None, Verified | None]:
        if entry.found is not None and entry.epoch is not None:
            state, reason = entry.epoch.state(entry.found, received_us)
            return state, reason, entry.epoch, entry.found
        if entry.joins:
            whole = [j for j in entry.joins if j.found is not None and j.epoch is not None]
            if whole:
                best = min(whole, key=lambda j: (j.found.seq, j.found.digest) if j.found else (0, b""))
                assert best.epoch is not None and best.found is not None
                state, reason = best.epoch.state(best.found, received_us)
                return state, reason, best.epoch, best.found
            waits = any(j.waiting for j in entry.joins)
            reason = "rate" if waits else furthest([j.reason for j in entry.joins])
        else:
            reason = entry.reason
        return ("unverified" if reason in UNDECIDED else "rejected"), reason, None, None

    def _outcome(self, entry: _Entry, new: bool) -> Outcome:
        state, reason, _, found = self._state(entry, entry.first_us)
        return Outcome(new, state, reason, found, entry.parsed.part is not None, entry)

    def row(self, outcome: Outcome) -> Row:
        """The row, as of now, of the frame that an outcome tells of."""
        entry = outcome.entry
        assert isinstance(entry, _Entry)
        return self._row([entry])

    def rows(self) -> list[Row]:
        """All rows in canonical order."""
        self._close_epochs()
        same: dict[object, list[_Entry]] = {}
        for entry in self._entries.values():
            # Equal content in different bytes, say under another link header, is one row.
            key = entry.sha if entry.found is None else (id(entry.epoch), entry.found.digest)
            same.setdefault(key, []).append(entry)
        return sorted((self._row(entries) for entries in same.values()), key=Row.order)

    def _row(self, entries: list[_Entry]) -> Row:
        first = min(entries, key=lambda e: (e.first_us, e.sha))
        state, reason, epoch, found = self._state(first, first.first_us)
        owners = {(e.record.tenant, e.record.device): e for e in reversed(first.epochs)}
        named = epoch or (next(iter(owners.values())) if len(owners) == 1 else None)
        values: dict[str, Any] = {}
        fields: tuple[tuple[str, Any, int], ...] = ()
        kind, clock, time = "", "", ""
        if found is not None:
            kind = found.content.type
            content = found.content.fields
            if first.parsed.part is not None:
                kind = "fragment"
                _, index, last = first.parsed.part
                content = {"part": index, "parts": last + 1, **content}
            if found.content.number:
                values, fields = rows_of.in_words(found.content.number, content)
            else:
                values, fields = rows_of.plain(content)
            for name, word in (("time", "confirmed"), ("time_unconfirmed", "unconfirmed")):
                if name in content:
                    clock, time = word, rows_of.wire_utc(content[name])
        return Row(
            device=named.record.device.hex() if named else "",
            name=named.record.name if named else "",
            kind=named.record.kind if named else "",
            epoch=epoch.record.epoch if epoch else None,
            seq=found.seq if found else None,
            purpose=found.purpose if found else None,
            type=kind,
            state=state,
            reason=reason,
            received_at=first.first_us,
            time=time,
            clock=clock,
            values=values,
            receptions=sum(e.count for e in entries),
            key=rows_of.key_words(epoch.record) if epoch else "",
            frame=first.sha.hex()[:16],
            fields=fields,
        )

    def wants(self) -> list[Want]:
        """What to ask devices for, so that more segments become signed."""
        return [w for e in self._ordered() for w in e.wants()]

    def acks(self) -> list[tuple[bytes, int, int]]:
        """(device, epoch, checkpoint) of every signed segment: the device may forget its frames."""
        return [(e.record.device, e.record.epoch, k) for e in self._ordered() for k in e.acks()]

    def wants_of(self, device: bytes, epoch: int) -> list[Want]:
        """`wants` of one device and epoch."""
        return [w for e in self.epochs.values() if e.key[1:] == (device, epoch) for w in e.wants()]

    def acks_of(self, device: bytes, epoch: int) -> list[int]:
        """Checkpoints of `acks` of one device and epoch."""
        return [k for e in self.epochs.values() if e.key[1:] == (device, epoch) for k in e.acks()]

    def gaps(self) -> list[tuple[bytes, int, int, int]]:
        """(device, epoch, first, last) of the numbers never received below the highest one."""
        return [(e.record.device, e.record.epoch, a, b) for e in self._ordered() for a, b in e.gaps()]

    def alarms(self) -> list[Alarm]:
        return [a for e in self._ordered() for a in e.alarms()]

    def _ordered(self) -> list[Epoch]:
        return [self.epochs[k] for k in sorted(self.epochs)]

    def names(self) -> dict[bytes, str]:
        return {e.record.device: e.record.name for e in self._ordered()}

    def summary(self, found: list[Row] | None = None) -> dict[str, Any]:
        """Counts by state and reason, gaps and alarms as text, wants as data. found: `rows()`, if at hand."""
        found = self.rows() if found is None else found
        names = self.names()
        refused = Counter(r.reason for r in found if r.reason)
        duplicates = self.frames - len(found)
        return {
            "frames": self.frames,
            "rows": len(found),
            "duplicates": duplicates,
            "states": dict(sorted(Counter(r.state for r in found).items())),
            "reasons": dict(sorted(refused.items())),
            "gaps": [
                f"{names[d]} epoch {e}: {a}" + (f" to {b}" if b > a else "") for d, e, a, b in self.gaps()
            ],
            "wants": [
                {"device": w.device.hex(), "epoch": w.epoch, "checkpoint": w.seq, "seqs": list(w.seqs)}
                for w in self.wants()
            ],
            "alarms": [
                f"{names[a.device]} epoch {a.epoch}: {a.kind} after number {a.since}" for a in self.alarms()
            ],
            "notes": [],
        }


def evaluate(frames: Iterable[Frame], keyrings: Iterable[Keyring]) -> list[Row]:
    """The rows of some frames; a function of the set of frames and the keyrings, not of any order."""
    receiver = Receiver(keyrings)
    receiver.add_all(frames)
    return receiver.rows()
