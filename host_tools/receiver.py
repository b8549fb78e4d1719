"""The receiver: frames in, one row per distinct frame out, whatever the order (TRUST 1, 2, 13, 19).

Everything that was ever accepted is kept as an exact set. `evaluate` serves files and `Receiver` live
traffic; they are the same code, so the rows of a live run are those of its capture.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from firmware.protocols import cose
from firmware.protocols.cbor import WireError
from host_tools import carried
from host_tools import rows as rows_of
from host_tools.frames import Frame
from host_tools.joins import Group
from host_tools.lorawan.keysfile import Keys
from host_tools.lorawan.sessions import Sessions
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


@dataclass(eq=False, slots=True)
class Entry:
    """One distinct frame. waiting: the cap holds it back.

    whole, refusals: of a fragment, the checkpoints that it was found to be part of, and why other
    combinations were none. token: of a LoRaWAN frame, what `Sessions` knows it by.
    """

    sha: bytes
    first_us: int
    parsed: Parsed
    count: int = 1
    reason: str = ""
    epochs: Sequence[Epoch] = ()
    found: Verified | None = None
    epoch: Epoch | None = None
    waiting: bool = False
    tried: set[tuple[int, int]] | None = None
    whole: list[tuple[Epoch, Verified]] | None = None
    refusals: set[str] | None = None
    token: int | None = None


# Link address, low number and last index of a set of fragments.
_Set = tuple[tuple[int, int], int, int]


@dataclass(frozen=True, slots=True)
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
    lorawan: keys of LoRaWAN devices and sessions.
    """

    def __init__(
        self,
        keyrings: Iterable[Keyring],
        capped: bool = False,
        near: dict[tuple[bytes, bytes, int], int] | None = None,
        lorawan: Keys | None = None,
    ) -> None:
        self._capped = capped
        self._entries: dict[bytes, Entry] = {}
        self._failed: dict[tuple[bytes, bytes, int], dict[int, Entry]] = {}
        self._waiting: dict[bytes, deque[Entry]] = {}
        self._buckets: dict[bytes, _Bucket] = {}
        self._sets: dict[_Set, Group[Entry]] = {}
        # Sets of fragments that grew since all of theirs were tried, and those that the cap holds back. In
        # the order of their coming: a set has none, and the cap makes the order matter.
        self._grown: dict[_Set, None] = {}
        self._held: dict[_Set, None] = {}
        self._sessions = Sessions(lorawan or Keys())
        self._tokens: dict[int, Entry] = {}
        self.frames = 0
        self._now_us = 0
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
        self._tags = {tag for tag, _ in self._by_address} - {carried.LORAWAN}

    def _addresses(self) -> dict[tuple[int, int], list[Epoch]]:
        """The epochs to try for each address: newest first, two per device, four devices."""
        devices: dict[tuple[int, int], dict[tuple[bytes, bytes], list[Epoch]]] = {}
        for epoch in sorted(self.epochs.values(), key=lambda e: e.key):
            record = epoch.record
            for address in carried.addresses(record):
                same = devices.setdefault(address, {})
                same.setdefault((record.tenant, record.device), []).append(epoch)
        found: dict[tuple[int, int], list[Epoch]] = {}
        for address, same in devices.items():
            few = list(same.values())[:MAX_CANDIDATES]
            found[address] = [e for epochs in few for e in reversed(epochs[-MAX_EPOCHS:])]
        return found

    # Taking in

    def add(self, frame: Frame, now_us: int | None = None) -> Outcome:
        """Take a frame in. now_us: the receiver's own clock, for the cap; without it, the frame's time."""
        now_us = frame.time_us if now_us is None else now_us
        entry, new = self._take(frame, now_us)
        if new and entry.parsed.part is not None:
            new = self._join(_set_of(entry), now_us)
        state, reason, _, found = self._state(entry, entry.first_us)
        return Outcome(new, state, reason, found, entry.parsed.part is not None, entry)

    def add_all(self, frames: Iterable[Frame]) -> None:
        """Take many frames in, without a word on each."""
        for frame in frames:
            self._take(frame, frame.time_us)

    def _take(self, frame: Frame, now_us: int) -> tuple[Entry, bool]:
        self.frames += 1
        self._now_us = max(self._now_us, now_us)
        sha = carried.identity(frame)
        entry = self._entries.get(sha)
        if entry is not None:
            entry.count += 1
            if entry.token is not None:
                self._sessions.add(frame)
            if frame.time_us < entry.first_us:
                self._came_earlier(entry, frame.time_us)
            return entry, False
        entry = self._entries[sha] = Entry(sha, frame.time_us, Parsed(frame.reason))
        if carried.over_lorawan(frame):
            entry.token = self._sessions.add(frame)
            self._tokens[entry.token] = entry
            entry.parsed = self._carried(entry.token)
        elif not frame.reason:
            entry.parsed = parse(frame.data)
        return entry, self._judge(entry, now_us)

    def _carried(self, token: int) -> Parsed:
        return carried.parse(self._sessions.opened(token), self._by_address.get)

    def _reopen(self) -> None:
        """Judge anew the LoRaWAN frames for which a session or a counter was found since."""
        for token in self._sessions.changed():
            entry = self._tokens[token]
            if entry.found is None and entry.parsed.part is None:
                entry.parsed, entry.tried = self._carried(token), None
                self._judge(entry, self._now_us)

    def _came_earlier(self, entry: Entry, time_us: int) -> None:
        old, entry.first_us = entry.first_us, time_us
        if entry.found is not None and entry.epoch is not None:
            entry.epoch.add(entry.found, time_us)
        if entry.parsed.part is not None and entry.epochs:
            self._sets[_set_of(entry)].move(entry.parsed.part[1], entry, old)
            self._grown[_set_of(entry)] = None

    def _judge(self, entry: Entry, now_us: int) -> bool:
        """Verify a frame as far as that goes now; True when it may bring content that was not there."""
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
            _, index, last = parsed.part
            entry.reason = "fragment_incomplete"
            key = _set_of(entry)
            if key not in self._sets:
                self._sets[key] = Group(last + 1)
            self._sets[key].add(index, entry)
            self._grown[key] = None
            return True
        return self._try(entry, now_us)

    def _try(self, entry: Entry, now_us: int, again: bool = False) -> bool:
        """Try the numbers that were not tried before under each candidate; True for new content.

        again: it had its turn, and stays the first in the line if it needs another.
        """
        refusals = []
        held: Epoch | None = None
        tried = entry.tried = entry.tried or set()
        for n, epoch in enumerate(entry.epochs):
            refusal = epoch.opener.refusal(entry.parsed)
            if refusal:
                refusals.append(refusal)
                continue
            trials = epoch.trials(entry.parsed.piv)
            refusals.append(epoch.opener.seal_refusal(entry.parsed) if trials else "seq_range")
            self._failed.setdefault(epoch.key, {})[id(entry)] = entry
            for seq in trials:
                if (n, seq) in tried:
                    continue
                if not self._allows(epoch, now_us):
                    held = epoch
                    break
                tried.add((n, seq))
                found = epoch.opener.open(entry.parsed, seq)
                if found is not None:
                    return self._accept_frame(entry, epoch, found, now_us)
                self._count_failure(epoch, now_us)
        entry.reason = "rate" if held else furthest(refusals)
        if held is not None and not entry.waiting:
            line = self._waiting.setdefault(held.record.device, deque())
            (line.appendleft if again else line.append)(entry)
        entry.waiting = held is not None
        return False

    def _allows(self, epoch: Epoch, now_us: int) -> bool:
        return not self._capped or self._bucket(epoch.record.device, now_us).allows(now_us)

    def _count_failure(self, epoch: Epoch, now_us: int) -> None:
        if self._capped:
            self._bucket(epoch.record.device, now_us).failed()

    def _bucket(self, device: bytes, now_us: int) -> _Bucket:
        if device not in self._buckets:
            self._buckets[device] = _Bucket(now_us)
        return self._buckets[device]

    def _accept_frame(self, entry: Entry, epoch: Epoch, found: Verified, now_us: int) -> bool:
        entry.found, new = epoch.add(found, entry.first_us)
        entry.epoch, entry.reason, entry.waiting, entry.tried = epoch, "", False, None
        for candidate in entry.epochs:
            self._failed.get(candidate.key, {}).pop(id(entry), None)
        self._accepted(epoch, entry.found, new, entry.sha, now_us)
        return new

    def _accepted(self, epoch: Epoch, found: Verified, new: bool, sha: bytes, now_us: int) -> None:
        if new and self._capped:
            self.accepted.append((epoch, found, sha))
        if not epoch.open_near(found.seq):
            return
        # What failed may belong to the numbers that have just come into reach.
        for other in list(self._failed.get(epoch.key, {}).values()):
            if other.found is None:
                self._try(other, now_us)
        addresses = carried.addresses(epoch.record)
        for key, group in self._sets.items():
            if key[0] in addresses:
                group.forget()
                self._grown[key] = None

    # Fragments

    def _join(self, key: _Set, now_us: int) -> bool:
        """Try what was not tried yet of a set, as far as the cap allows; True for new content."""
        group = self._sets[key]
        self._held.pop(key, None)
        new = False
        while group.fresh:
            index, entry = group.fresh[0]
            combinations = group.combinations(index, entry)
            while all(self._allows(epoch, now_us) for epoch in entry.epochs):
                parts = next(combinations, None)
                if parts is None:
                    break
                new |= self._try_joined(parts, now_us)
            else:
                self._held[key] = None
                return new
            # A number that came into reach has everything tried anew.
            if group.fresh and group.fresh[0][1] is entry:
                group.fresh.popleft()
        return new

    def _try_joined(self, parts: Sequence[Entry], now_us: int) -> bool:
        """Is the whole of some fragments a checkpoint of one of their candidates? True for a new one."""
        first = parts[0].parsed
        assert first.part is not None
        try:
            kind, piv, kid, body, mac = cose.parse(b"".join(p.parsed.body for p in parts))
            reason = "" if piv & 0xFFFF == first.part[0] else "link_number"
            if kid is not None:
                reason = "bad_header"
        except WireError as e:
            reason, kind, piv, body, mac = str(e.args[0]), 0, 0, b"", b""
        parsed = Parsed(reason, first.address, first.purpose, 0, kind, piv, body, mac)
        refusals = [reason] if reason else []
        for epoch in parts[0].epochs if not reason else ():
            refusal = epoch.opener.refusal(parsed)
            trials = [] if refusal else epoch.trials(piv)
            refusals.append(refusal or (epoch.opener.seal_refusal(parsed) if trials else "seq_range"))
            for seq in trials:
                found = epoch.opener.open(parsed, seq)
                if found is not None:
                    found, new = epoch.add(found, parts[0].first_us)
                    for part in parts:
                        part.whole = [*(part.whole or ()), (epoch, found)]
                    self._accepted(epoch, found, new, parts[-1].sha, now_us)
                    return new
                self._count_failure(epoch, now_us)
        for part in parts:
            part.refusals = {*(part.refusals or ()), furthest(refusals)}
        return False

    def tick(self, now_us: int) -> int:
        """Verify what the cap held back, as far as it allows by now; returns how many still wait."""
        self._now_us = max(self._now_us, now_us)
        for device in list(self._waiting):
            line = self._waiting[device]
            while line and self._bucket(device, now_us).allows(now_us):
                entry = line.popleft()
                entry.waiting = False
                if entry.found is None:
                    self._try(entry, now_us, again=True)
            if not line:
                del self._waiting[device]
        for key in list(self._held):
            self._join(key, now_us)
        return sum(map(len, self._waiting.values())) + len(self._held)

    def _settle(self) -> None:
        """Try every fragment with those near it, whichever came first: after that, order has no say.

        Under the cap what it holds back stays for `tick`.
        """
        self._reopen()
        while self._grown:
            key = next(iter(self._grown))
            del self._grown[key]
            self._sets[key].rest()
            self._join(key, self._now_us)

    # Giving out

    def _close_epochs(self) -> None:
        """Frames of an epoch come too late 14 days after its successor's first frame."""
        first: dict[tuple[bytes, bytes, int], int] = {}
        for entry in self._entries.values():
            # A time before the wire format's own is that of a gateway without a clock.
            if entry.epoch is not None and entry.first_us >= rows_of.WIRE_EPOCH_UNIX * 1_000_000:
                key = entry.epoch.key
                first[key] = min(first.get(key, entry.first_us), entry.first_us)
        later: dict[tuple[bytes, bytes], int] = {}
        for key in sorted(self.epochs, reverse=True):
            tenant, device, _ = key
            successor = later.get((tenant, device))
            self.epochs[key].closes_us = None if successor is None else successor + LATE_EPOCH_US
            if key in first:
                later[tenant, device] = min(first[key], successor or first[key])

    def _state(self, entry: Entry, received_us: int) -> tuple[str, str, Epoch | None, Verified | None]:
        if entry.found is not None and entry.epoch is not None:
            state, reason = entry.epoch.state(entry.found, received_us)
            return state, reason, entry.epoch, entry.found
        if entry.whole:
            epoch, found = min(entry.whole, key=lambda whole: (whole[1].seq, whole[1].digest))
            state, reason = epoch.state(found, received_us)
            return state, reason, epoch, found
        reason = entry.reason
        if entry.refusals:
            reason = furthest(entry.refusals)
        if reason == "fragment_incomplete" and _set_of(entry) in self._held:
            reason = "rate"
        return ("unverified" if reason in UNDECIDED else "rejected"), reason, None, None

    def row(self, outcome: Outcome) -> Row:
        """The row, as of now, of the frame that an outcome tells of."""
        entry = outcome.entry
        assert isinstance(entry, Entry)
        return self._row([entry])

    def rows(self) -> list[Row]:
        """All rows in canonical order."""
        self._settle()
        self._close_epochs()
        same: dict[object, list[Entry]] = {}
        for entry in self._entries.values():
            # Equal content in different bytes, say under another link header, is one row.
            key = entry.sha if entry.found is None else (id(entry.epoch), entry.found.digest)
            same.setdefault(key, []).append(entry)
        return sorted((self._row(entries) for entries in same.values()), key=Row.order)

    def _row(self, entries: list[Entry]) -> Row:
        first = min(entries, key=lambda e: (e.first_us, e.sha))
        state, reason, epoch, found = self._state(first, first.first_us)
        owners = {(e.record.tenant, e.record.device): e for e in reversed(first.epochs)}
        named = epoch or (next(iter(owners.values())) if len(owners) == 1 else None)
        values: dict[str, Any] = {}
        fields: tuple[tuple[str, Any, int], ...] = ()
        kind, clock, time = "", "", ""
        device = named.record.device.hex() if named else ""
        name = named.record.name if named else ""
        lorawan: Mapping[str, Any] = {}
        if first.token is not None:
            opened = self._sessions.opened(first.token)
            lorawan = carried.words(opened)
            device, name = device or opened.dev_eui.hex(), name or opened.name
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
            for key, word in (("time", "confirmed"), ("time_unconfirmed", "unconfirmed")):
                if key in content:
                    clock, time = word, rows_of.wire_utc(content[key])
        return Row(
            device=device,
            name=name,
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
            lorawan=lorawan,
        )

    def entries(self) -> Iterable[Entry]:
        """What is known of each distinct frame, for whoever explains a verdict; `rows` settles it."""
        return self._entries.values()

    @property
    def sessions(self) -> Sessions:
        return self._sessions

    def wants(self) -> list[Want]:
        """What to ask devices for, so that more segments become signed."""
        self._settle()
        return [w for e in self._ordered() for w in e.wants()]

    def acks(self) -> list[tuple[bytes, int, int]]:
        """(device, epoch, checkpoint) of every signed segment: the device may forget its frames."""
        self._settle()
        return [(e.record.device, e.record.epoch, k) for e in self._ordered() for k in e.acks()[1]]

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


def _set_of(entry: Entry) -> _Set:
    assert entry.parsed.address is not None and entry.parsed.part is not None
    low, _, last = entry.parsed.part
    return entry.parsed.address, low, last


def evaluate(frames: Iterable[Frame], keyrings: Iterable[Keyring]) -> list[Row]:
    """The rows of some frames; a function of the set of frames and the keyrings, not of any order."""
    receiver = Receiver(keyrings)
    receiver.add_all(frames)
    return receiver.rows()
