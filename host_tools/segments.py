"""Chains and checkpoints of one device and epoch (TRUST 3): which frames a signature vouches for.

The result depends on the set of frames alone, never on their order: leaves and checkpoints are only
collected, and the segments are worked out from all of them.

A checkpoint's signature stands for its head whether or not its frames arrived, so the next segment starts
from there and one lost frame costs one segment. Where a checkpoint itself is missing, the head it would have
carried is recomputed over its frames, so that the later segments stay signed and only its own is not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Set
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from math import comb, prod

# Chosen, not measured. Forged or doubled numbers make several chains possible; above this many two are tried.
# Twelve doubled numbers in one segment are sorted out, or two forged ones among up to ninety frames.
MAX_PATHS = 1 << 12
# Frames of missing checkpoints' segments, 255 each at most, over which a head is recomputed.
MAX_LEAD = 4 * 255
# How many earlier heads a checkpoint is tried against before it counts as open.
MAX_STARTS = 5

_Link = tuple["_Link | None", tuple[int, bytes]]
_Match = tuple[frozenset[tuple[int, bytes]], tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class Segment:
    """What one signed checkpoint says and what became of it.

    status: "signed" (every frame is there and the chain gives the head), "fork" (so it is, but from a head
    that another checkpoint continues, too) or "open". members: (seq, leaf) of the frames it vouches for.
    span: the numbers strictly between these two belong to it or to nobody. common: the seq of the head it
    starts from, of the nearest one while it is open. lost: seq of a missing checkpoint whose head was
    recomputed, or 0.
    """

    seq: int
    count: int
    head: bytes
    status: str
    common: int
    members: frozenset[tuple[int, bytes]] = frozenset()
    span: tuple[int, int] = (0, 0)
    lost: int = 0


class Numbers:
    """Distinct numbers in rising order. Adding costs the same in every order of arrival."""

    def __init__(self) -> None:
        self._sorted: list[int] = []
        self._fresh: list[int] = []

    def add(self, number: int) -> None:
        """Enter a number that is not there yet."""
        if not self._fresh and (not self._sorted or number > self._sorted[-1]):
            self._sorted.append(number)
        else:
            self._fresh.append(number)

    def all(self) -> list[int]:
        """The list itself, for reading only."""
        if self._fresh:
            self._sorted += self._fresh
            self._fresh.clear()
            self._sorted.sort()
        return self._sorted

    def between(self, low: int, high: int) -> list[int]:
        """Those strictly between two."""
        every = self.all()
        return every[bisect_right(every, low) : bisect_left(every, high)]


class Chain:
    """Collects leaves and checkpoints and works out, as far as anything changed, what they mean."""

    def __init__(self, head0: bytes) -> None:
        self.head0 = head0
        # Reception (Unix microseconds) and leaf of the numbers with one leaf, and all leaves of the doubled.
        self._single: dict[int, tuple[int, bytes]] = {}
        self._doubled: dict[int, dict[bytes, int]] = {}
        self._ordered: dict[int, list[bytes]] = {}
        self.checkpoints: dict[int, list[tuple[int, bytes]]] = {}
        self._seqs = Numbers()
        self._order: list[int] = []
        self._segments: dict[int, list[Segment]] = {}
        self._changed: set[int] = set()
        self._members: set[tuple[int, bytes]] = set()
        self._forks: dict[int, int] = {}
        self._overlaps: set[int] = set()
        # Numbers of checkpoints in the order in which their segments were worked out, again for each change:
        # who remembers how far it has read, sees what changed since.
        self._log: list[int] = []

    def add_leaf(self, seq: int, leaf: bytes, time_us: int = 0) -> None:
        """A frame of purpose 0 or 3, or a leaf that the device resent for one; also an earlier reception."""
        single = self._single.get(seq)
        if seq in self._doubled:
            times = self._doubled[seq]
            if time_us >= times.get(leaf, time_us + 1):
                return
            times[leaf] = time_us
            self._ordered.pop(seq, None)
        elif single is None:
            self._single[seq] = (time_us, leaf)
            self._seqs.add(seq)
        elif single[1] == leaf:
            # The only leaf of its number: when it came decides nothing yet.
            self._single[seq] = min(single, (time_us, leaf))
            return
        else:
            self._doubled[seq] = {single[1]: single[0], leaf: time_us}
        self._changed.update(k for k in self._after(seq) if self._depends(k, seq))

    def _leaves(self, seq: int) -> list[bytes]:
        """The leaves of a number in the order of their reception."""
        if seq not in self._doubled:
            return [self._single[seq][1]]
        if seq not in self._ordered:
            times = self._doubled[seq]
            self._ordered[seq] = sorted(times, key=lambda known: (times[known], known))
        return self._ordered[seq]

    def add_checkpoint(self, seq: int, count: int, head: bytes) -> None:
        """A checkpoint whose signature was verified. count: 1..255, head: 16 bytes."""
        known = self.checkpoints.setdefault(seq, [])
        if (count, head) in known:
            return
        if not known:
            insort(self._order, seq)
        insort(known, (count, head))
        at = bisect_left(self._order, seq)
        for earlier, later in pairwise(self._order[max(at - 1, 0) : at + 2]):
            if max(n for n, _ in self.checkpoints[later]) > later - earlier - 1:
                self._overlaps.add(later)
        self._changed.update((seq, *self._after(seq)))

    def _after(self, seq: int) -> list[int]:
        """The checkpoints whose outcome may depend on number `seq`."""
        first = bisect_right(self._order, seq)
        return self._order[first : first + MAX_STARTS]

    def _depends(self, checkpoint: int, seq: int) -> bool:
        """False where a leaf at `seq` cannot change what a checkpoint's segment is known to be.

        A segment that the nearest head explains is not looked for from earlier ones.
        """
        known = self._segments.get(checkpoint)
        return not known or any(s.status != "signed" or s.common < seq for s in known)

    def before(self, seq: int) -> int:
        """Number of the last checkpoint before `seq`, 0 for the epoch's own head."""
        at = bisect_left(self._order, seq)
        return self._order[at - 1] if at else 0

    def segments(self) -> list[Segment]:
        """The segment of every checkpoint, by number."""
        self._settle()
        return [s for seq in self._order for s in self._segments[seq]]

    def segments_of(self, checkpoint: int) -> list[Segment]:
        """The segments of one checkpoint number: one, unless its signatures conflict."""
        self._settle()
        return self._segments.get(checkpoint, [])

    def changed(self, since: int) -> tuple[int, Iterable[int]]:
        """(new position, checkpoints whose segments were worked out since position `since`); begins at 0."""
        self._settle()
        return len(self._log), set(self._log[since:])

    def members(self) -> set[tuple[int, bytes]]:
        """(seq, leaf) of every frame that a checkpoint vouches for."""
        self._settle()
        return self._members

    def forked(self) -> int | None:
        """The lowest number whose head two checkpoints continue; None without a fork.

        Two signatures alone can show one: a checkpoint that counts more frames than there are numbers since
        the checkpoint before it does not continue that one.
        """
        self._settle()
        found = list(self._forks.values())
        found += [self.before(seq - max(n for n, _ in self.checkpoints[seq])) for seq in self._overlaps]
        return min(found) if found else None

    def refutes(self, seq: int) -> bool:
        """True when a settled segment spans `seq`: a frame there that is no member contradicts it."""
        self._settle()
        return any(
            s.span[0] < seq < s.span[1] for k in self._after(seq) for s in self._segments[k] if s.members
        )

    def present(self, low: int, high: int) -> list[int]:
        """Numbers strictly between with a known leaf."""
        return self._seqs.between(low, high)

    def _settle(self) -> None:
        lost_members = False
        for seq in sorted(self._changed):
            # Heads of the checkpoints before it, nearest first; the number 0 is the epoch's own.
            at = bisect_left(self._order, seq)
            near = self._order[max(at - MAX_STARTS, 0) : at]
            starts = [(k, h) for k in near[::-1] for _, h in self.checkpoints[k]][:MAX_STARTS]
            if len(starts) < MAX_STARTS:
                starts.append((0, self.head0))
            old = self._segments.get(seq, [])
            new = [self._segment(seq, n, head, starts) for n, head in self.checkpoints[seq]]
            self._segments[seq] = new
            self._log.append(seq)
            forks = [s.common for s in new if s.status == "fork"]
            self._forks.pop(seq, None)
            if forks:
                self._forks[seq] = min(forks)
            gained = {m for s in new for m in s.members}
            lost_members |= any(not s.members <= gained for s in old)
            self._members |= gained
        self._changed.clear()
        if lost_members:
            self._members = {m for found in self._segments.values() for s in found for m in s.members}

    def _segment(self, seq: int, count: int, head: bytes, starts: list[tuple[int, bytes]]) -> Segment:
        nearest = starts[0][0]
        others: set[tuple[int, bytes]] = set()
        for start, start_head in starts:
            if start == nearest:
                matched = self._search(start_head, start, seq, count, head)
            else:
                matched = self._fork(start_head, start, seq, count, head, others)
            if matched is not None:
                members, span, lost = matched
                status = "signed" if start == nearest else "fork"
                return Segment(seq, count, head, status, start, members, span, lost)
            others.update(m for s in self._segments.get(start, ()) for m in s.members)
        return Segment(seq, count, head, "open", nearest)

    def _search(self, start_head: bytes, start: int, seq: int, count: int, head: bytes) -> _Match | None:
        between = self._seqs.between(start, seq)
        extra = len(between) - count
        if extra < 0:
            return None
        if extra == 0:
            members = self._walk({start_head: None}, between, head, 0)
            return None if members is None else (members, (start, seq), 0)
        return self._through_lost(start_head, between, seq, count, head) or self._without_extra(
            start_head, between, start, seq, head, extra
        )

    def _fork(
        self, start_head: bytes, start: int, seq: int, count: int, head: bytes, others: set[tuple[int, bytes]]
    ) -> _Match | None:
        """Does this checkpoint continue a head that others continue, whose members are `others`?"""
        between = self._seqs.between(start, seq)
        own = [s for s in between if any((s, leaf) not in others for leaf in self._leaves(s))]
        for seqs, avoid in ((own, others), (between, set())):
            if len(seqs) == count:
                members = self._walk({start_head: None}, seqs, head, 0, avoid)
                if members is not None:
                    return members, (start, seq), 0
        return None

    def _through_lost(
        self, start_head: bytes, between: list[int], seq: int, count: int, head: bytes
    ) -> _Match | None:
        """A checkpoint is missing: recompute its head over the frames before the last `count` ones."""
        lead, tail = between[:-count], between[-count:]
        if len(lead) > MAX_LEAD:
            return None
        # Numbers are missing between some of these; one of them may have been a checkpoint, too.
        holes = {a for a, b in pairwise(lead) if b != a + 1}
        if prod(len(self._leaves(s)) for s in lead) << len(holes) > MAX_PATHS:
            return None
        states = {start_head}
        for s in lead:
            states = {sha256(h + leaf).digest() for h in states for leaf in self._leaves(s)}
            if s in holes:
                states |= {h[:16] for h in states}
        members = self._walk(dict.fromkeys((h[:16] for h in sorted(states)), None), tail, head, 0)
        return None if members is None else (members, (lead[-1], seq), lead[-1] + 1)

    def _without_extra(
        self, start_head: bytes, between: list[int], start: int, seq: int, head: bytes, extra: int
    ) -> _Match | None:
        """More frames than the device counted: some number was used by somebody who holds the MAC key."""
        members = self._walk({start_head: None}, between, head, extra)
        return None if members is None else (members, (start, seq), 0)

    def _walk(
        self,
        states: dict[bytes, None],
        seqs: list[int],
        head: bytes,
        skips: int,
        avoid: Set[tuple[int, bytes]] = frozenset(),
    ) -> frozenset[tuple[int, bytes]] | None:
        """The members of a chain over `seqs`, leaving out exactly `skips` of them, that gives `head`."""
        if comb(len(seqs), skips) > MAX_PATHS:
            return None
        choices = {s: [leaf for leaf in self._leaves(s) if (s, leaf) not in avoid] for s in seqs}
        if len(states) * comb(len(seqs), skips) * prod(map(len, choices.values())) <= MAX_PATHS:
            return self._every_way(states, choices, head, skips)
        if skips or len(states) > MAX_PATHS:
            return None
        # Too many to try: of doubled numbers take what came first everywhere, then what came last.
        for at in (0, -1):
            found = self._every_way(states, {s: found[at:][:1] for s, found in choices.items()}, head, 0)
            if found is not None:
                return found
        return None

    @staticmethod
    def _every_way(
        states: dict[bytes, None], choices: dict[int, list[bytes]], head: bytes, skips: int
    ) -> frozenset[tuple[int, bytes]] | None:
        paths: dict[tuple[bytes, int], _Link | None] = {(h, 0): None for h in states}
        rest = len(choices)
        for s, leaves in choices.items():
            rest -= 1
            following: dict[tuple[bytes, int], _Link | None] = {}
            for (h, left_out), path in paths.items():
                for leaf in leaves:
                    following.setdefault((sha256(h + leaf).digest(), left_out), (path, (s, leaf)))
                if left_out < skips:
                    following.setdefault((h, left_out + 1), path)
            # Whoever has left out too few by now cannot catch up.
            paths = {k: v for k, v in following.items() if k[1] + rest >= skips}
        for (h, left_out), path in paths.items():
            if h[:16] == head and left_out == skips:
                members = set()
                while path is not None:
                    path, member = path
                    members.add(member)
                return frozenset(members)
        return None
