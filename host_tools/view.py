"""States, computed late: signed, authenticated, contested or rejected (TRUST 2, 3, 9).

Nothing here is kept: a frame's state follows from its own verdict, from the other frames of its epoch and
from the registry's word on the key, whatever the order in which they came.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field

from firmware.protocols import ports
from host_tools.segments import Chain
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
    numbers: list[int] = field(default_factory=list)
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

    def open_near(self, seq: int) -> bool:
        """Let frames near `seq` be tried; True when that opens a new band of 2^24 numbers."""
        band = seq >> 24
        fresh = {b for b in (band - 1, band, band + 1) if 0 <= b <= 255} - self.bands
        self.bands |= fresh
        return bool(fresh)

    def trials(self, piv: int) -> list[int]:
        """The numbers that 24 bits can mean here, nearest to the highest known one first."""
        top = self.numbers[-1] >> 24 if self.numbers else 0
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
            insort(self.numbers, found.seq)
        same[found.digest] = found
        if found.content.type == "hello":
            self._hellos.append(found)
        if len(same) > 1:
            self._clashes.add(found.seq)
        if found.purpose == ports.CHECKPOINT and not found.content.reason:
            self.chain.add_checkpoint(found.seq, found.content.fields["covers"], found.content.fields["head"])
        self._chain(found, time_us)
        return found, True

    def _chain(self, found: Verified, time_us: int) -> None:
        if found.purpose in (ports.READING, ports.RESULT) and found.leaf:
            self.chain.add_leaf(found.seq, found.leaf, time_us)
            if found.content.type == "leaf":
                self.chain.add_leaf(found.content.fields["of_seq"], found.content.fields["leaf"], time_us)

    def numbers_between(self, low: int, high: int) -> list[int]:
        """Verified numbers strictly between two."""
        return self.numbers[bisect_right(self.numbers, low) : bisect_left(self.numbers, high)]

    def unused(self) -> frozenset[int]:
        """Numbers that a `hello` declares reserved and never used."""
        found: set[int] = set()
        for v in self._hellos:
            last = v.content.fields.get("last_seq")
            if last is not None and last < v.seq and (last or v.seq == self.numbers[0]):
                # A boot skips at most the block of 64 numbers it had reserved: more is not believed.
                found.update(range(max(last + 1, v.seq - MAX_UNUSED), v.seq))
        return frozenset(found)

    def tainted(self) -> int | None:
        """Readings above this number are contested; None where no signatures conflict (TRUST 3).

        It is the last head that both sides have in common, 0 being the epoch's own.
        """
        found = [
            self.chain.before(seq)
            for seq in self._clashes
            if sum(self._is_signed(v) for v in self.variants[seq].values()) > 1
        ]
        fork = self.chain.forked()
        if fork is not None:
            found.append(fork)
        return min(found) if found else None

    def _is_signed(self, v: Verified) -> bool:
        return v.signature or (v.seq, v.leaf) in self.chain.members()

    def state(self, v: Verified, received_us: int) -> tuple[str, str]:
        """State and reason of a verified content whose earliest reception was at `received_us`."""
        if v.content.reason:
            return "rejected", v.content.reason
        if self.closes_us is not None and received_us > self.closes_us:
            return "rejected", "closed_epoch"
        signed = self._is_signed(v)
        others = [o for o in self.variants[v.seq].values() if o is not v]
        if not signed:
            if self.chain.refutes(v.seq) or any(self._is_signed(o) for o in others):
                return "rejected", "conflict"
            if others:
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
        for seq in self.numbers:
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
        found = []
        _, device, epoch = self.key
        unused = self.unused()
        for s in self.chain.segments():
            if s.status == "signed" and s.lost:
                found.append(Want(device, epoch, s.lost, ()))
            if s.status != "open":
                continue
            there = unused.union(self.chain.present(s.common, s.seq))
            lowest = max(s.common, s.seq - MAX_SPAN)
            missing = [n for n in range(lowest + 1, s.seq) if n not in there]
            # Nothing is missing and yet the head differs: one of the frames is not the device's own.
            seqs = missing or self.chain.present(lowest, s.seq)
            found.append(Want(device, epoch, s.seq, tuple(seqs[-WANT_LIMIT:])))
        return found

    def acks(self) -> list[int]:
        """Checkpoints whose segment is signed: the device may forget their frames."""
        return [s.seq for s in self.chain.segments() if s.status == "signed"]
