"""Checkpoints and chains (TRUST 3): what a signature vouches for when frames, checkpoints or fragments are
lost, doubled, forged or forked."""

from __future__ import annotations

import copy
import itertools
import random
from pathlib import Path

import pytest

from host_tools.frames import Frame
from host_tools.receiver import Receiver, evaluate
from host_tools.rows import Row
from host_tools.segments import Chain
from host_tools.view import Want
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_receiver import flipped, framed, lines, ring


def signed(found: list[Row]) -> list[int]:
    return [r.seq or 0 for r in found if r.state == "signed"]


def test_a_lost_frame_costs_its_segment_only(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(64)
    del frames[20]
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed(frames))
    assert signed(receiver.rows()) == [*range(1, 18), *range(34, 69)]
    assert receiver.wants() == [Want(device.device, 1, 34, (21,))]
    assert receiver.acks() == [(device.device, 1, k) for k in (17, 51, 68)]


def test_a_lost_checkpoint_costs_its_segment_only(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(64)
    del frames[33]
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed(frames))
    assert signed(receiver.rows()) == [*range(1, 18), *range(35, 69)]
    assert receiver.wants() == [Want(device.device, 1, 34, ())]
    assert receiver.acks() == [(device.device, 1, k) for k in (17, 51, 68)]


@pytest.mark.parametrize("lost", [(17,), (17, 34), (34, 51), (17, 34, 51)])
def test_several_lost_checkpoints(tmp_path: Path, lost: tuple[int, ...]) -> None:
    device = Device("mac0", 2)
    frames = [f for n, f in enumerate(device.run(64), 1) if n not in lost]
    fallen = {s for k in lost for s in range(k - 16, k)}
    assert signed(evaluate(framed(frames), [ring(tmp_path, device)])) == sorted(
        set(range(1, 69)) - fallen - set(lost)
    )


def test_a_lost_checkpoint_and_a_lost_leaf_before_it(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(64)
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed([f for n, f in enumerate(frames, 1) if n not in (20, 34)]))
    # The head at which 35 starts cannot be recomputed, so 51 stays open; 68 starts from the head of 51.
    assert signed(receiver.rows()) == [*range(1, 18), *range(51, 69)]
    assert receiver.wants() == [Want(device.device, 1, 51, (20, 34))]
    receiver.add_all(framed([frames[19], frames[33]]))
    assert len(signed(receiver.rows())) == 68
    assert receiver.wants() == []


def test_the_first_and_the_last_segment(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(40)
    assert signed(evaluate(framed(frames[1:]), [ring(tmp_path, device)])) == list(range(17, 35))
    assert signed(evaluate(framed(frames[:-6]), [ring(tmp_path, device)])) == list(range(1, 35))


@pytest.mark.parametrize("off", [-1, 1])
def test_a_count_wrong_by_one(tmp_path: Path, off: int) -> None:
    device = Device("mac0", 2)
    frames = device.run(16)[:-1]
    device.seq -= 1
    head = device.h
    frames.append(device.seal(1, 17, synth.det([16 + off, head])))
    device.seq += 1
    frames += device.run(16)
    found = evaluate(framed(frames), [ring(tmp_path, device)])
    # The signature stands for its head: the next segment is whole, its own is not.
    assert signed(found) == [17, *range(18, 35)]


@pytest.mark.parametrize(
    "payload", [b"\x82\x00\x50" + bytes(16), b"\x82\x10\x4f" + bytes(15), b"\x81\x10", b"\xf6"]
)
def test_a_signed_checkpoint_that_says_nothing(tmp_path: Path, payload: bytes) -> None:
    device = Device("mac0", 2)
    frames = [*device.run(16)[:-1], device.seal(1, 17, payload)]
    found = evaluate(framed(frames), [ring(tmp_path, device)])
    assert [r.state for r in found] == ["authenticated"] * 16 + ["rejected"]


def test_a_boot_between_the_frames_of_a_segment(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(10)
    device.seq += 54
    frames += [device.hello(last_seq=10), *device.run(20)]
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed(frames))
    assert [r.state for r in receiver.rows()] == ["signed"] * 17 + ["authenticated"] * 15
    assert receiver.gaps() == []


def test_results_are_part_of_the_chain(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = [
        device.send(),
        device.send(synth.det([1 << 28 | 1, 0, 1 << 28 | 1]), purpose=3),
        device.checkpoint(),
    ]
    found = evaluate(framed(frames), [ring(tmp_path, device)])
    assert [(r.type, r.state) for r in found] == [
        ("bin", "signed"),
        ("result", "signed"),
        ("checkpoint", "signed"),
    ]
    assert dict(found[1].values) == {"cseq": 268435457, "outcome": "done", "last_cseq": 268435457}


def test_a_resent_leaf_makes_the_segment_whole(tmp_path: Path) -> None:
    device = Device("encrypt0", 2)
    frames, payloads = [], {}
    for _ in range(16):
        frames.append(device.send())
        payloads[device.seq] = device.reading(device.seq)
    frames.append(device.checkpoint())
    del frames[4]
    frames.append(device.send(synth.det([1 << 28 | 1, 13, 5, device.leaf(0, 5, payloads[5])]), purpose=3))
    found = evaluate(framed(frames), [ring(tmp_path, device)])
    assert signed(found) == [1, 2, 3, 4, *range(6, 18)]
    wrong = device.send(synth.det([1 << 28 | 2, 13, 5, bytes(32)]), purpose=3)
    assert signed(evaluate(framed([*frames, wrong]), [ring(tmp_path, device)])) == signed(found)


def test_without_the_leaf_key_nothing_more_than_authenticated(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(16)
    up = {"mac-up": device.key("mac-up").hex()}
    found = evaluate(framed(frames), [ring(tmp_path, device, keys=up)])
    assert [r.state for r in found] == ["authenticated"] * 16 + ["signed"]


def test_a_segment_verifies_with_doubled_numbers(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(16)
    forged = [device.seal(0, n, device.reading(500 + n)) for n in range(3, 15)]
    found = evaluate(framed(forged + frames), [ring(tmp_path, device)])
    assert len(signed(found)) == 17
    assert sum((r.state, r.reason) == ("rejected", "conflict") for r in found) == 12


@pytest.mark.parametrize("forged_first", [True, False])
def test_a_segment_verifies_with_every_number_doubled(tmp_path: Path, forged_first: bool) -> None:
    device = Device("mac0", 2)
    frames = device.run(48, every=48)
    forged = [device.seal(0, n, device.reading(500 + n)) for n in range(1, 49)]
    order = forged + frames if forged_first else frames + forged
    received = framed(order)
    keys = ring(tmp_path, device)
    first = evaluate(received, [keys])
    assert len(signed(first)) == 49
    assert sum((r.state, r.reason) == ("rejected", "conflict") for r in first) == 48
    assert lines(evaluate(received[::-1], [keys])) == lines(first)


def test_the_earliest_reception_counts_whenever_it_comes(tmp_path: Path) -> None:
    """Forged frames before and after the true ones: only what a second gateway heard first sorts them out."""
    device = Device("mac0", 2)
    true = [Frame(f, 1000 * n) for n, f in enumerate(device.run(16))]
    forged = [
        Frame(device.seal(0, n, device.reading(500 + n)), 500_000 * (n % 2) + 100_000) for n in range(1, 17)
    ]
    late = [Frame(f.data, f.time_us + 300_000) for f in true]
    keys = ring(tmp_path, device)
    assert signed(evaluate(late + forged, [keys])) == [17]
    for order in (late + forged + true, true + forged + late, forged + true + late):
        live = Receiver([keys])
        for frame in order:
            live.add(frame)
        assert signed(live.rows()) == list(range(1, 18))


# Forks: two successors of one head.


def branches(profile: str = "mac0") -> tuple[list[bytes], list[bytes], list[bytes]]:
    """What came before, and what a device and its clone made of it, each with its own checkpoints."""
    device = Device(profile, 2)
    common = device.run(16)
    clone = copy.copy(device)
    # The clone counts other readings and signs after 20 of them, the device after 16.
    one = device.run(48)
    two = [clone.send(clone.reading(1000 + n)) for n in range(20)]
    two.append(clone.checkpoint())
    return common, one, two


@pytest.mark.parametrize("profile", ["mac0", "encrypt0"])
def test_a_clone_is_found(tmp_path: Path, profile: str) -> None:
    common, one, two = branches(profile)
    receiver = Receiver([ring(tmp_path, Device(profile, 2))])
    receiver.add_all(framed(common + one + two))
    found = receiver.rows()
    assert signed(found) == list(range(1, 18))
    assert [(a.kind, a.since) for a in receiver.alarms()] == [("equivocation", 17)]
    assert {(r.state, r.reason) for r in found if (r.seq or 0) > 17 and r.state != "rejected"} == {
        ("contested", "equivocation")
    }


def test_a_forked_chain_is_found_in_every_order(tmp_path: Path) -> None:
    common, one, two = branches()
    frames = framed(common + one + two)
    keys = ring(tmp_path, Device("mac0", 2))
    first = lines(evaluate(frames, [keys]))
    chance = random.Random(8)
    for _ in range(20):
        chance.shuffle(frames)
        live = Receiver([keys])
        for frame in frames:
            live.add(frame)
        assert lines(live.rows()) == first


def test_a_checkpoint_that_passes_over_another(tmp_path: Path) -> None:
    """The same frames under two checkpoints that both continue one head."""
    device = Device("mac0", 2)
    frames = device.run(16)
    before, n = device.h, device.n
    frames += [device.send(), device.send()]
    h = device.h
    frames.append(device.checkpoint())
    device.h, device.n = h, n + 2
    frames += [device.send(), device.checkpoint()]
    assert before != h
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed(frames))
    assert [(a.kind, a.since) for a in receiver.alarms()] == [("equivocation", 17)]
    assert signed(receiver.rows()) == list(range(1, 18))


def test_two_signatures_alone_show_a_clone(tmp_path: Path) -> None:
    """Of the clone only a checkpoint is heard, and it counts more frames than there are numbers for."""
    common, one, two = branches()
    receiver = Receiver([ring(tmp_path, Device("mac0", 2))])
    receiver.add_all(framed([*common, *one, two[-1]]))
    assert [(a.kind, a.since) for a in receiver.alarms()] == [("equivocation", 17)]


def test_a_clone_that_jumps_ahead_is_found(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    common = device.run(16)
    clone = copy.copy(device)
    clone.seq += 80
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed(common + device.run(48) + clone.run(16)))
    assert [(a.kind, a.since) for a in receiver.alarms()] == [("equivocation", 17)]
    assert signed(receiver.rows()) == list(range(1, 18))


# Fragments.


@pytest.mark.parametrize("size", [47, 35, 20])
def test_fragments_in_every_order(tmp_path: Path, size: int) -> None:
    device = Device("mac0", 2)
    frames = [device.send() for _ in range(3)]
    parts = device.fragments(size)
    keys = ring(tmp_path, device)
    orders = list(itertools.permutations(parts)) if len(parts) < 5 else [tuple(parts), tuple(parts[::-1])]
    for order in orders:
        found = evaluate(framed([*order, *frames]), [keys])
        assert [r.state for r in found] == ["signed"] * (3 + len(parts))
        assert sorted(r.values["part"] for r in found if r.type == "fragment") == list(range(len(parts)))


def test_a_missing_fragment(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = [device.send(), device.fragments()[0]]
    found = evaluate(framed(frames), [ring(tmp_path, device)])
    assert [(r.state, r.reason) for r in found] == [
        ("unverified", "fragment_incomplete"),
        ("authenticated", ""),
    ]


def test_a_flipped_fragment_and_its_repetition(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(32, fragment=True)
    keys = ring(tmp_path, device)
    bad = flipped(frames[17], 8 * 40)
    found = evaluate(framed([*frames[:17], bad, *frames[18:]]), [keys])
    assert signed(found) == [*range(18, 34), 34, 34, 34]
    assert sum((r.state, r.reason) == ("rejected", "bad_signature") for r in found) == 3
    # The good fragment comes again: only the bad one stays refused.
    healed = evaluate(framed([*frames[:17], bad, *frames[17:]]), [keys])
    assert [r.reason for r in healed if r.state != "signed"] == ["bad_signature"]
    assert len(signed(healed)) == len(frames)


def test_forged_fragments_cost_a_bounded_number_of_trials(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    first = device.send()
    parts = device.fragments(20)
    chance = random.Random(9)
    forged = [device.link(11, 1, p[7:10] + chance.randbytes(17)) for p in parts * 40]
    keys = ring(tmp_path, device)
    found = evaluate(framed([first, *forged, *parts]), [keys])
    assert len(found) == 1 + len(forged) + len(parts)
    assert signed(found) == [1] + [2] * len(parts)


def test_a_whole_checkpoint_and_its_fragments(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = [device.send() for _ in range(4)]
    twin = copy.copy(device)
    found = evaluate(framed([*frames, device.checkpoint(), *twin.fragments()]), [ring(tmp_path, device)])
    assert [r.state for r in found] == ["signed"] * 8
    assert sorted(r.type for r in found if r.seq == 5) == ["checkpoint", "fragment", "fragment", "fragment"]


def test_the_chain_works_out_the_same_in_any_order() -> None:
    """Chain alone: random leaves, doubled ones, lost ones, in many orders."""
    chance = random.Random(10)
    for seed in range(10):
        chance.seed(seed)
        device = Device("mac0", 2)
        head0 = device.h
        calls: list[tuple[int, int, bytes]] = []
        for _ in range(50):
            payload = device.reading(device.seq + 1)
            device.send(payload)
            if chance.random() < 0.93:
                calls.append((device.seq, 0, device.leaf(0, device.seq, payload)))
            if chance.random() < 0.05:
                calls.append((device.seq, 0, chance.randbytes(32)))
            if device.n >= chance.randint(4, 12):
                n, h = device.n, device.h[:16]
                device.checkpoint()
                if chance.random() < 0.85:
                    calls.append((device.seq, n, h))
        outcomes = set()
        for _ in range(4):
            chance.shuffle(calls)
            chain = Chain(head0)
            for seq, n, data in calls:
                if n:
                    chain.add_checkpoint(seq, n, data)
                else:
                    chain.add_leaf(seq, data)
                if chance.random() < 0.3:
                    chain.segments()
            outcomes.add((tuple(chain.segments()), frozenset(chain.members()), chain.forked()))
        assert len(outcomes) == 1, seed
