"""What floods cost, and that they change nothing: forged fragments in any number and order, numbers doubled by
somebody who holds the MAC key, gateways with wrong clocks, the cap on failed verifications."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.protocols import reasons
from host_tools import joins
from host_tools.frames import Frame
from host_tools.joins import MAX_JOINS, Group
from host_tools.receiver import Receiver, evaluate
from host_tools.segments import Chain, Numbers, Segment
from host_tools.store import Notes, Store
from host_tools.verdict import Opener, Parsed, Verified
from host_tools.view import Epoch
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_receiver import framed, lines, ring

# Combinations for each fragment in the tests of order: with the receiver's own number they take long.
FEW = 16


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the verifications that are made, by number tried."""
    made: list[int] = []
    real = Opener.open

    def counting(self: Opener, parsed: Parsed, seq: int) -> Verified | None:
        made.append(seq)
        return real(self, parsed, seq)

    monkeypatch.setattr(Opener, "open", counting)
    return made


def shaped(device: Device, seq: int, index: int) -> bytes:
    """A forged fragment that fits any other of its kind into a frame of the right shape."""
    whole = synth.det([b"", {6: seq.to_bytes(3, "big")}, os.urandom(19), os.urandom(64)])
    part = (whole[:49], whole[49:])[index]
    return device.link(11, seq, struct.pack(">HB", seq, index << 4 | 1) + part)


def flooded(device: Device, forged: int, near: bool) -> list[Frame]:
    """A checkpoint in two fragments, two seconds apart, with forged ones nearer to each than the other."""
    frames = framed(device.run(4, every=16))
    last = frames[-1].time_us
    parts = [Frame(f, last + (n + 1) * 2_000_000) for n, f in enumerate(device.fragments(52))]
    assert len(parts) == 2
    fake = [
        Frame(
            shaped(device, 5, n & 1),
            parts[0].time_us + (1_000_000 if near else 500_000_000) + n * (1 if near else 100_000),
        )
        for n in range(forged)
    ]
    return frames + parts + fake


@pytest.mark.parametrize("forged", [5, 2 * FEW - 2, 2 * FEW + 10])
@pytest.mark.parametrize("near", [True, False])
def test_forged_fragments_give_the_same_rows_in_every_order(
    tmp_path: Path, forged: int, near: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more forged ones nearer than the true one the checkpoint is lost, in every order or in none."""
    monkeypatch.setattr(joins, "MAX_JOINS", FEW)
    device = Device("mac0", 2)
    frames = flooded(device, forged, near)
    keys = [ring(tmp_path, device)]
    straight = evaluate(frames, keys)
    states = {r.state for r in straight if r.type == "bin"}
    assert states == ({"authenticated"} if near and forged > 2 * FEW else {"signed"})
    chance = random.Random(forged)
    for order in range(6):
        shuffled = frames[::-1] if order == 0 else frames[:]
        if order > 1:
            chance.shuffle(shuffled)
        assert lines(evaluate(shuffled, keys)) == lines(straight)


def test_a_reception_that_is_told_later_moves_a_fragment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earliest reception counts: a fragment heard late by one gateway may stand close by another's word."""
    device = Device("mac0", 2)
    monkeypatch.setattr(joins, "MAX_JOINS", FEW)
    frames = flooded(device, 2 * FEW + 10, False)
    keys = [ring(tmp_path, device)]
    [first, second] = [f for f in frames if f.time_us < frames[6].time_us][-2:]
    late = Frame(second.data, first.time_us + 600_000_000, second.radio)
    without = [f for f in frames if f is not second]
    # Heard late only, the second part lies behind the forged ones.
    assert {r.state for r in evaluate([*without, late], keys) if r.type == "bin"} == {"authenticated"}
    for order in ([*without, late, second], [second, late, *without]):
        assert {r.state for r in evaluate(order, keys) if r.type == "bin"} == {"signed"}


def test_every_forged_fragment_costs_a_bounded_number_of_verifications(
    tmp_path: Path, opened: list[int]
) -> None:
    device = Device("mac0", 2)
    keys = [ring(tmp_path, device)]
    costs = []
    for count in (200, 400):
        receiver = Receiver(keys)
        opened.clear()
        receiver.add_all(Frame(shaped(device, 5, n & 1), n) for n in range(count))
        assert {r.reason for r in receiver.rows()} == {"bad_signature"}
        costs.append(len(opened))
        assert len(opened) <= count * MAX_JOINS * 2  # numbers 5 and 2^24 + 5
        receiver.rows()
        assert len(opened) == costs[-1], "asked again, nothing is tried again"
    assert costs[1] <= 2.2 * costs[0]


def test_the_cap_holds_for_fragments(tmp_path: Path, opened: list[int]) -> None:
    """Live, forged fragments wait like other forged frames, and the true ones among them have their turn."""
    device = Device("mac0", 2)
    frames = flooded(device, 40, True)
    receiver = Receiver([ring(tmp_path, device)], capped=True)
    for frame in frames[-40:]:
        receiver.add(frame, 0)
    assert len(opened) <= 62
    assert "rate" in {r.reason for r in receiver.rows()}
    for frame in frames[:-40]:
        receiver.add(frame, 0)
    seconds = 0
    while receiver.tick(seconds * 1_000_000):
        seconds += 1
        assert seconds < 4000
    assert {r.state for r in receiver.rows() if r.type == "bin"} == {"signed"}
    assert len(opened) <= 62 + 5 * (seconds + 1)


def test_what_waits_costs_nothing_while_it_waits(tmp_path: Path, opened: list[int]) -> None:
    """A flood of one device is looked at once a second, whatever its length, and its neighbour not at all."""
    device, neighbour = Device("mac0", 2), Device("mac0", 3)
    receiver = Receiver([ring(tmp_path, device, neighbour)], capped=True)
    for n in range(3000):
        receiver.add(
            Frame(device.link(10, n, synth.det([b"", {6: n.to_bytes(3, "big")}, b"", bytes(8)])), n), n
        )
        receiver.tick(n)
    assert len(opened) <= 62
    assert receiver.add(Frame(neighbour.send(), 0), 3000).state == "authenticated"
    # Whoever came first is tried first.
    opened.clear()
    receiver.tick(10_000_000)
    assert opened and max(s & 0xFFFFFF for s in opened) < 60


def test_a_true_frame_in_a_flood_is_verified_when_it_is_quiet(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    receiver = Receiver([ring(tmp_path, device)], capped=True)
    forged = [
        device.link(10, n, synth.det([b"", {6: n.to_bytes(3, "big")}, b"", bytes(8)])) for n in range(200)
    ]
    for frame in forged:
        receiver.add(Frame(frame, 0), 0)
    assert receiver.add(Frame(device.send(), 0), 0).reason == "rate"
    left = [receiver.tick(second * 1_000_000) for second in range(600)]
    assert left == sorted(left, reverse=True) and left[-1] == 0
    assert [r.state for r in receiver.rows()].count("authenticated") == 1


# Work for a holder of the MAC key: every reader of a tenant is one.


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the segments that are worked out."""
    made: list[int] = []
    real = Chain._segment

    def counting(self: Chain, seq: int, count: int, head: bytes, starts: list[tuple[int, bytes]]) -> Segment:
        made.append(seq)
        return real(self, seq, count, head, starts)

    monkeypatch.setattr(Chain, "_segment", counting)
    return made


def test_a_long_life_works_each_segment_out_a_few_times(tmp_path: Path, hashed: list[int]) -> None:
    """Live intake asks for states, wants and acknowledgements after every frame."""
    device = Device("mac0", 2)
    receiver = Receiver([ring(tmp_path, device)], capped=True)
    [epoch] = receiver.epochs.values()
    position, acked = 0, []
    for n, frame in enumerate(device.run(1600)):
        assert receiver.add(Frame(frame, n), n).state in ("authenticated", "signed")
        assert epoch.wants() == []
        position, fresh = epoch.acks(position)
        acked += fresh
    assert len(hashed) == 100 == len(acked)
    assert acked == [17 * k for k in range(1, 101)] == epoch.acks()[1]


def test_wants_follow_what_comes_later(tmp_path: Path) -> None:
    """What was derived once is derived again when a frame, a checkpoint or a hello changes it."""
    device = Device("mac0", 2)
    frames = device.run(48)
    first, second = frames.pop(3), frames.pop(25)
    frames.pop(32 - 0)  # the second checkpoint's neighbour
    receiver = Receiver([ring(tmp_path, device)])
    everything = [*frames, first, second]
    random.Random(3).shuffle(everything)
    for n, frame in enumerate(everything):
        receiver.add(Frame(frame, n))
        again = Receiver([ring(tmp_path, device)])
        again.add_all(framed(everything[: n + 1]))
        assert receiver.wants() == again.wants()
        assert receiver.gaps() == again.gaps()
        assert receiver.acks() == again.acks()


@pytest.mark.parametrize("count", [40, 80])
def test_the_store_enters_what_changed_and_no_more(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device("mac0", 2)
    receiver = Receiver([ring(tmp_path, device)], capped=True)
    store = Store(tmp_path / "s.db")
    entered: list[int] = []
    real = Store._segment

    def counting(self: Store, epoch: Epoch, segment: Segment) -> None:
        entered.append(segment.seq)
        real(self, epoch, segment)

    monkeypatch.setattr(Store, "_segment", counting)
    for n, data in enumerate(device.run(count, every=4)):
        frame = Frame(data, n)
        outcome = receiver.add(frame, n)
        store.put(frame, outcome, receiver.accepted, Notes(n))
        receiver.accepted.clear()
    assert entered == [5 * k for k in range(1, count // 4 + 1)]
    assert [s[-1] for s in store.states()] == ["signed"] * (count + count // 4)
    store.close()


def late_member(device: Device) -> list[bytes]:
    """A segment settled by a resent leaf, the frame itself afterwards."""
    frames = [device.send() for _ in range(4)]
    lost = frames.pop(1)
    checkpoint = device.checkpoint()
    leaf = device.leaf(0, 2, device.reading(2))
    told = device.send(synth.det([1 << 28, reasons.number("leaf"), 2, leaf]), 3)
    return [*frames, checkpoint, told, lost]


def late_stranger(device: Device) -> list[bytes]:
    """A settled segment, and a forged frame under a number in it that the device never used."""
    frames = [device.send() for _ in range(3)]
    device.seq += 1
    frames += [device.send(), device.checkpoint()]
    return [*frames, device.seal(0, 4, device.reading(4))]


@pytest.mark.parametrize("make", [late_member, late_stranger])
def test_the_view_knows_what_came_after_its_segment(
    tmp_path: Path, make: Callable[[Device], list[bytes]]
) -> None:
    device = Device("mac0", 2)
    keys = ring(tmp_path, device)
    receiver, store = Receiver([keys], capped=True), Store(tmp_path / "s.db")
    for n, data in enumerate(make(device)):
        frame = Frame(data, n)
        outcome = receiver.add(frame, n)
        store.put(frame, outcome, receiver.accepted, Notes(n))
        receiver.accepted.clear()
    assert [s[-1] for s in store.states()] == [r.state for r in receiver.rows()]
    store.close()


def test_numbers_keep_their_order_whatever_the_order_of_arrival() -> None:
    chance = random.Random(4)
    for _ in range(50):
        wanted = sorted(chance.sample(range(1000), 60))
        given, numbers = wanted[:], Numbers()
        chance.shuffle(given)
        for n, number in enumerate(given):
            numbers.add(number)
            if n % 7 == 0:
                assert numbers.all() == sorted(given[: n + 1])
        assert numbers.all() == wanted
        assert numbers.between(wanted[3], wanted[9]) == wanted[4:9]


def test_a_group_tries_each_combination_once() -> None:
    class Piece:
        def __init__(self, n: int) -> None:
            self.sha, self.first_us = n.to_bytes(4, "big"), n

    group: Group[Piece] = Group(3)
    pieces = [Piece(n) for n in range(9)]
    for piece in pieces:
        group.add(piece.first_us % 3, piece)
    seen = [tuple(p.first_us for p in c) for i, p in list(group.fresh) for c in group.combinations(i, p)]
    assert len(seen) == len(set(seen)) == 27
    assert all([n % 3 for n in combination] == [0, 1, 2] for combination in seen)
    assert not [c for i, p in list(group.fresh) for c in group.combinations(i, p)]
    group.forget()
    assert len([c for i, p in list(group.fresh) for c in group.combinations(i, p)]) == 27


# Clocks


def test_a_gateway_without_a_clock_closes_no_epoch(tmp_path: Path) -> None:
    """Its frames stand at 1970 where they come from a file; that is no word on when an epoch ended."""
    old, new = Device("mac0", 2, epoch=1), Device("mac0", 2, epoch=2)
    first = framed(old.run(16))
    second = [Frame(f, n) for n, f in enumerate(new.run(2))]
    keys = [ring(tmp_path, old, new)]
    for frames in (first + second, second + first):
        assert {r.state for r in evaluate(frames, keys) if r.epoch == 1} == {"signed"}
    after = [Frame(f.data, f.time_us + 15 * 86400 * 1_000_000) for f in first]
    told = [Frame(f.data, first[0].time_us) for f in second]
    assert {r.reason for r in evaluate(told + after, keys) if r.epoch == 1} == {"closed_epoch"}


# 24 bits of a number


@pytest.mark.parametrize("profile", ["sign1", "mac0", "encrypt0"])
def test_numbers_around_every_turn_of_24_bits(tmp_path: Path, profile: str) -> None:
    """Bands are opened one after the other, whichever frame of each comes first."""
    device = Device(profile, 2)
    seqs = [1, (1 << 24) - 1, 1 << 24, (1 << 24) + 1, (2 << 24) - 1, 2 << 24, (3 << 24) - 2, (3 << 24) + 5]
    frames = framed([device.seal(0, seq, device.reading(seq % 1000)) for seq in seqs])
    keys = [ring(tmp_path, device)]
    chance = random.Random(8)
    for _ in range(12):
        chance.shuffle(frames)
        found = evaluate(frames, keys)
        assert [(r.seq, r.reason) for r in found] == [(seq, "") for seq in seqs]
    # Two turns above anything known there is nothing to try, and nothing is guessed.
    alone = framed([device.seal(0, (2 << 24) + 7, device.reading(1))])
    assert {r.state for r in evaluate(alone, keys)} == {"rejected"}


def test_a_forged_number_opens_nothing(tmp_path: Path, opened: list[int]) -> None:
    """Only what verifies brings further numbers into reach; a forged frame is tried under two of them."""
    device = Device("mac0", 2)
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed([device.link(10, 9, synth.det([b"", {6: b"\x00\x00\x09"}, b"x", bytes(8)]))]))
    assert opened == [9, (1 << 24) + 9]
    receiver.add_all(framed([device.send()]))
    assert len(opened) == 3
