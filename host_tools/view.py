"""States, computed late: signed, authenticated, contested or rejected (TRUST 2, 3, 9).

A frame's state follows from its own verdict, from the other frames of its epoch and from the registry's word
on the key, whatever the order in which they came. What is kept here saves work and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from firmware.protocols import ports
from host_tools.segments import Chain, Numbers, Segment
from host_tools.verdict import Opener, Verified, numbers

LATE_EPOCH_US = 14 * 86400 * 1_000_000
WANT_LIMIT = 8
MAX_UNUSED = 1024
# A segment has at most 255 frames, and a boot skips at most 64 numbers: no more is asked for.
MAX_SPAN = 4096


@dataclass(frozen=True)
class Want:
    """Ask a device to send again the frames `seqs` of checkpoint `seq` or, without any, that checkpoint."""

    device: bytes
    epoch: int
    seq: int
    seqs: tuple[int, ...]


@dataclass(frozen=True)
class Alarm:
    """Something an owner must hear of. `since`: the number after which readings are in doubt."""

    device: bytes
    epoch: int
    kind: str
    since: int


@dataclass
class Epoch:
    """All that was verified of one device in one epoch."""

    opener: Opener
    variants: dict[int, dict[bytes, Verified]] = field(default_factory=dict)
    _numbers: Numbers = field(default_factory=Numbers)
    top: int = 0  # the highest verified number
    # Reception time from which frames of this epoch come too late; set by whoever knows the next epoch.
    closes_us: int | None = None

    def __post_init__(self) -> None:
        self.record = self.opener.record
        self.key = (self.record.tenant, self.record.device, self.record.epoch)
        self.chain = Chain(self.opener.head0())
        # Without any verified frame the number is taken to be near 0, as TRUST 1 says: bands 0 and 1.
        self.bands = {0, 1}
        self._clashes: set[int] = set()
        self._hellos: list[Verified] = []
        self._unused: frozenset[int] | None = None
        self._lowest = 0
        # (last head that conflicting signatures have in common, if any); None until it is worked out.
        self._taint: tuple[int | None] | None = None
        self._signed: dict[int, int] = {}
        self._counted = 0
        # Checkpoints whose segment is open or rests on a lost one, and how far the chain's changes were read.
        self._unsettled: dict[int, tuple[Want, ...]] = {}
        self._read = 0

    def open_near(self, seq: int) -> bool:
        """Let frames near `seq` be tried; True when that opens a new band of 2^24 numbers."""
        band = seq >> 24
        fresh = {b for b in (band - 1, band, band + 1) if 0 <= b <= 255} - self.bands
        self.bands |= fresh
        return bool(fresh)

    def trials(self, piv: int) -> list[int]:
        """The numbers that 24 bits can mean here, nearest to the highest known one first."""
        top = self.top >> 24
        return numbers(piv, sorted(self.bands, key=lambda b: (abs(b - top), b)))

    def add(self, found: Verified, time_us: int) -> tuple[Verified, bool]:
        """Enter a verified content; returns the one that stands for it, and whether it is new.

        time_us: its reception; an earlier one of the same content may come later.
        """
        same = self.variants.setdefault(found.seq, {})
        if found.digest in same:
            self._chain(same[found.digest], time_us)
            return same[found.digest], False
        if not same:
            self._numbers.add(found.seq)
            self.top = max(self.top, found.seq)
        same[found.digest] = found
        if found.content.type == "hello":
            self._hellos.append(found)
            self._forget()
        if len(same) > 1:
            self._clashes.add(found.seq)
        if found.purpose == ports.CHECKPOINT and not found.content.reason:
            self.chain.add_checkpoint(found.seq, found.content.fields["covers"], found.content.fields["head"])
        self._chain(found, time_us)
        if found.seq in self._signed:
            self._signed[found.seq] += self._is_signed(found)
        return found, True

    def _forget(self) -> None:
        """A hello may declare numbers unused that something was derived from."""
        self._unused = None
        self._unsettled.clear()
        self._read = 0

    def _chain(self, found: Verified, time_us: int) -> None:
        self._taint = None
        if found.purpose in (ports.READING, ports.RESULT) and found.leaf:
            self.chain.add_leaf(found.seq, found.leaf, time_us)
            if found.content.type == "leaf":
                self.chain.add_leaf(found.content.fields["of_seq"], found.content.fields["leaf"], time_us)

    def numbers_between(self, low: int, high: int) -> list[int]:
        """Verified numbers strictly between two."""
        return self._numbers.between(low, high)

    def unused(self) -> frozenset[int]:
        """Numbers that a `hello` declares reserved and never used."""
        lowest = self._numbers.all()[0] if self._hellos else 0
        if self._lowest != lowest:
            # What a first boot says counts only as long as nothing lower is known.
            self._lowest = lowest
            self._forget()
        if self._unused is None:
            found: set[int] = set()
            for v in self._hellos:
                last = v.content.fields.get("last_seq")
                if last is not None and last < v.seq and (last or v.seq == lowest):
                    # A boot skips at most the block of 64 numbers it had reserved: more is not believed.
                    found.update(range(max(last + 1, v.seq - MAX_UNUSED), v.seq))
            self._unused = frozenset(found)
        return self._unused

    def tainted(self) -> int | None:
        """Readings above this number are contested; None where no signatures conflict (TRUST 3).

        It is the last head that both sides have in common, 0 being the epoch's own.
        """
        if self._taint is None:
            found = [self.chain.before(seq) for seq in self._clashes if self._signatures(seq) > 1]
            fork = self.chain.forked()
            if fork is not None:
                found.append(fork)
            self._taint = (min(found) if found else None,)
        return self._taint[0]

    def _signatures(self, seq: int) -> int:
        """How many contents of a number are signed; none is where the number has one content only."""
        if seq not in self._clashes:
            return 0
        position, _ = self.chain.changed(self._counted)
        if position != self._counted:
            self._counted = position
            self._signed.clear()
        if seq not in self._signed:
            self._signed[seq] = sum(map(self._is_signed, self.variants[seq].values()))
        return self._signed[seq]

    def _is_signed(self, v: Verified) -> bool:
        return v.signature or (v.seq, v.leaf) in self.chain.members()

    def state(self, v: Verified, received_us: int) -> tuple[str, str]:
        """State and reason of a verified content whose earliest reception was at `received_us`."""
        if v.content.reason:
            return "rejected", v.content.reason
        if self.closes_us is not None and received_us > self.closes_us:
            return "rejected", "closed_epoch"
        signed = self._is_signed(v)
        if not signed:
            if self.chain.refutes(v.seq) or self._signatures(v.seq):
                return "rejected", "conflict"
            if len(self.variants[v.seq]) > 1:
                return "contested", "equivocation"
        tainted = self.tainted()
        if tainted is not None and v.seq > tainted:
            return "contested", "equivocation"
        # Only inclusion in a tree head from before the compromise would save a frame (TRUST 9, 10); none is
        # made yet, and a reception time is no proof.
        if self.record.status == "revoked":
            return "contested", "revoked"
        if self.record.disclosed_from and not signed:
            return "contested", "disclosed"
        return ("signed" if signed else "authenticated"), ""

    def alarms(self) -> list[Alarm]:
        """Signatures that conflict, or else frames that only a MAC supports and that contradict others."""
        _, device, epoch = self.key
        tainted = self.tainted()
        if tainted is not None:
            return [Alarm(device, epoch, "equivocation", tainted)]
        refused = [
            v.seq
            for same in self.variants.values()
            for v in same.values()
            if self.state(v, 0)[1] in ("conflict", "equivocation")
        ]
        return [Alarm(device, epoch, "mac_key_leaked", min(refused))] if refused else []

    def gaps(self) -> list[tuple[int, int]]:
        """Numbers never received below the highest one, as closed intervals; unused ones are no gap."""
        unused = self.unused()
        found: list[tuple[int, int]] = []
        last = 0
        for seq in self._numbers.all():
            low, high = last + 1, seq - 1
            last = seq
            while low <= high and high in unused:
                high -= 1
            while low <= high and low in unused:
                low += 1
            if low <= high:
                found.append((low, high))
        return found

    def wants(self) -> list[Want]:
        """What the device must send again for every segment to be signed."""
        unused = self.unused()
        self._read, changed = self.chain.changed(self._read)
        for seq in changed:
            self._unsettled.pop(seq, None)
            wants = [w for s in self.chain.segments_of(seq) for w in self._wants(s, unused)]
            if wants:
                self._unsettled[seq] = tuple(wants)
        return [w for seq in sorted(self._unsettled) for w in self._unsettled[seq]]

    def _wants(self, s: Segment, unused: frozenset[int]) -> Iterable[Want]:
        _, device, epoch = self.key
        if s.status == "signed" and s.lost:
            yield Want(device, epoch, s.lost, ())
        if s.status != "open":
            return
        there = set(self.chain.present(s.common, s.seq))
        lowest = max(s.common, s.seq - MAX_SPAN)
        missing = [n for n in range(lowest + 1, s.seq) if n not in there and n not in unused]
        # Nothing is missing and yet the head differs: one of the frames is not the device's own.
        seqs = missing or self.chain.present(lowest, s.seq)
        yield Want(device, epoch, s.seq, tuple(seqs[-WANT_LIMIT:]))

    def acks(self, since: int = 0) -> tuple[int, list[int]]:
        """Checkpoints whose segment is signed, so that the device may forget their frames: those that became
        so since a position, 0 for all; and the new position."""
        position, changed = self.chain.changed(since)
        return position, [
            k for k in sorted(changed) if any(s.status == "signed" for s in self.chain.segments_of(k))
        ]
