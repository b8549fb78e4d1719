"""The receiver: one row per distinct frame, a verdict that depends on the set of frames and on no order.

Frames come from tests/host/synth.py, which shares no code with the receiver.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from host_tools import rows
from host_tools.frames import Frame
from host_tools.receiver import Receiver, evaluate
from host_tools.rows import Row
from provisioning.keyring import Keyring
from tests.host import synth
from tests.host.synth import Device


def framed(data: list[bytes], step_us: int = 1_000_000) -> list[Frame]:
    return [Frame(d, synth.START_US + n * step_us) for n, d in enumerate(data)]


def ring(folder: Path, *devices: Device, **changes: object) -> Keyring:
    return Keyring.load(synth.keyring(folder / "keys.json", *devices, **changes))


def lines(found: list[Row]) -> list[str]:
    return [rows.to_json(r) for r in found]


def by_seq(found: list[Row]) -> dict[tuple[str, int], Row]:
    return {(r.device, r.seq or 0): r for r in found}


def states(found: list[Row]) -> dict[tuple[int, str], tuple[str, str]]:
    return {(r.seq or 0, r.frame): (r.state, r.reason) for r in found}


def flipped(data: bytes, bit: int) -> bytes:
    return data[: bit >> 3] + bytes((data[bit >> 3] ^ 1 << (bit & 7),)) + data[(bit >> 3) + 1 :]


@pytest.fixture
def trio() -> list[Device]:
    return [Device("sign1", 1, kind="lamp"), Device("mac0", 2), Device("encrypt0", 3, kind="leak")]


def test_clean_frames(tmp_path: Path, trio: list[Device]) -> None:
    frames = [f for d in trio for f in [d.hello(), *d.run(40)]]
    found = evaluate(framed(frames), [ring(tmp_path, *trio)])
    assert len(found) == len(frames)
    lamp = [r for r in found if r.kind == "lamp"]
    assert {r.state for r in lamp} == {"signed"}
    assert {r.key for r in lamp} == {"key known to provisioner; key readable by whoever holds the board"}
    for kind in ("bin", "leak"):
        mine = [r for r in found if r.kind == kind]
        # 1 + 40 frames, a checkpoint after each 16; what follows the last one is not signed yet.
        assert [r.state for r in mine] == ["signed"] * 34 + ["authenticated"] * 9
        assert [r.seq for r in mine] == list(range(1, 44))
    sample = by_seq(found)[trio[2].device.hex(), 5]
    assert dict(sample.values) == {
        "index_m3": rows.exact(1005, 3),
        "flow_l_per_h": rows.exact(5, 1),
        "leak_state": "detected",
    }
    assert (sample.time, sample.clock) == ("2026-01-28T18:45:00Z", "confirmed")


# One flipped bit of each byte, of each kind of frame.


def check_one_flip(clean: list[Row], found: list[Row], at: int, segment: range) -> None:
    """Row `at` of the clean run became a refused one; the frames of its segment fell, and no others."""
    assert len(found) == len(clean)
    gone = [r for r in clean if r.frame not in {f.frame for f in found}]
    assert [r.seq for r in gone] == [at]
    [refused] = [r for r in found if r.frame not in {c.frame for c in clean}]
    assert refused.state in ("rejected", "unverified")
    assert refused.reason
    before = {r.frame: r for r in clean}
    for row in found:
        if row is refused:
            continue
        old = before[row.frame]
        if row.seq in segment and old.type != "checkpoint":
            assert (old.state, row.state) == ("signed", "authenticated"), row
        else:
            assert rows.to_json(row) == rows.to_json(old)


@pytest.mark.parametrize("profile", ["sign1", "mac0", "encrypt0"])
def test_a_flip_in_any_byte_of_a_reading(tmp_path: Path, profile: str) -> None:
    device = Device(profile, 2, kind="lamp" if profile == "sign1" else "bin")
    frames = device.run(48)
    keys = ring(tmp_path, device)
    clean = evaluate(framed(frames), [keys])
    assert {r.state for r in clean} == {"signed"}
    at = 24
    # Checkpoints have the numbers 17, 34 and 51: number 25 is in the segment 18 to 33.
    segment = range(0) if profile == "sign1" else range(18, 34)
    chance = random.Random(1)
    for byte in range(len(frames[at])):
        bad = [*frames[:at], flipped(frames[at], 8 * byte + chance.randrange(8)), *frames[at + 1 :]]
        found = evaluate(framed(bad), [keys])
        check_one_flip(clean, found, 25, segment)
        if byte >= 7:
            # Inside the COSE frame, whose sender the link header still names.
            assert [r.state for r in found if not r.seq] == ["rejected"]


def test_a_flip_in_any_byte_of_a_checkpoint(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(48)
    keys = ring(tmp_path, device)
    clean = evaluate(framed(frames), [keys])
    at = 33  # number 34, the checkpoint of 18 to 33
    chance = random.Random(2)
    for byte in range(len(frames[at])):
        bad = [*frames[:at], flipped(frames[at], 8 * byte + chance.randrange(8)), *frames[at + 1 :]]
        check_one_flip(clean, evaluate(framed(bad), [keys]), 34, range(18, 34))


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["sign1", "mac0", "encrypt0"])
def test_every_single_bit(tmp_path: Path, profile: str) -> None:
    device = Device(profile, 2, kind="lamp" if profile == "sign1" else "bin")
    frame = device.send()
    keys = ring(tmp_path, device)
    for bit in range(8 * len(frame)):
        [row] = evaluate(framed([flipped(frame, bit)]), [keys])
        assert row.state in ("rejected", "unverified")
        assert row.seq is None


# Order, duplicates, delays.


def test_twenty_random_orders_give_the_same_rows(tmp_path: Path, trio: list[Device]) -> None:
    frames = framed([f for d in trio for f in [d.hello(), *d.run(40, fragment=d.address == 3)]])
    chance = random.Random(3)
    for n in chance.sample(range(len(frames)), 12):
        bad = flipped(frames[n].data, chance.randrange(8 * len(frames[n].data)))
        frames.append(Frame(bad, frames[n].time_us))
        frames.append(Frame(frames[n].data, frames[n].time_us + 5))
    keys = ring(tmp_path, *trio)
    first = lines(evaluate(frames, [keys]))
    for _ in range(20):
        chance.shuffle(frames)
        assert lines(evaluate(frames, [keys])) == first
        live = Receiver([keys], capped=True)
        for frame in frames:
            live.add(frame, 0)
        # The cap held some back; after quiet minutes everything is as in a file.
        live.tick(3600 * 10**6)
        assert lines(live.rows()) == first


def test_duplicates_are_receptions_of_one_row(tmp_path: Path, trio: list[Device]) -> None:
    frames = framed([f for d in trio for f in d.run(16)])
    keys = ring(tmp_path, *trio)
    clean = evaluate(frames, [keys])
    copies = [Frame(f.data, f.time_us - 7) for f in frames] + [Frame(f.data, f.time_us + 9) for f in frames]
    found = evaluate(frames + copies, [keys])
    assert [r.receptions for r in found] == [3] * len(frames)
    assert [r.received_at for r in found] == [r.received_at - 7 for r in clean]
    assert states(found) == states(clean)


def test_three_gateways_with_random_delays(tmp_path: Path, trio: list[Device]) -> None:
    """Each frame heard by one to three gateways, handed over up to 72 h later, in 20 orders of arrival."""
    chance = random.Random(4)
    sent = framed([f for d in trio for f in d.run(60)], step_us=60_000_000)
    heard = [
        (frame.time_us + chance.randrange(72 * 3600 * 10**6), n, Frame(frame.data, frame.time_us + gateway))
        for n, frame in enumerate(sent)
        for gateway in chance.sample(range(3), chance.randint(1, 3))
    ]
    keys = ring(tmp_path, *trio)
    first: list[str] = []
    for _ in range(20):
        arrivals = [f for _, _, f in sorted((t + chance.randrange(3600 * 10**6), n, f) for t, n, f in heard)]
        found = lines(evaluate(arrivals, [keys]))
        first = first or found
        assert found == first
    assert len(first) == len(sent)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["sign1", "mac0"])
def test_a_backlog_of_4320_after_live_traffic(tmp_path: Path, profile: str) -> None:
    device = Device(profile, 2, kind="lamp" if profile == "sign1" else "bin")
    frames = framed(device.run(4320 + 100), step_us=60_000_000)
    live, backlog = frames[-100:], frames[:-100]
    keys = ring(tmp_path, device)
    receiver = Receiver([keys], capped=True)
    for frame in live + backlog:
        assert receiver.add(frame, 0).verified is not None
    found = receiver.rows()
    assert len(found) == len(frames)
    assert {r.state for r in found[:4300]} == {"signed"}
    assert lines(found) == lines(evaluate(frames, [keys]))


def test_two_captures_of_one_device_one_after_the_other(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = framed(device.run(900))
    chance = random.Random(6)
    a = [f for f in frames if chance.random() < 0.8]
    b = [f for f in frames if f not in a or chance.random() < 0.5]
    keys = ring(tmp_path, device)
    assert {r.frame for r in evaluate(a + b, [keys])} == {r.frame for r in evaluate(frames, [keys])}
    assert lines(evaluate(a + b, [keys])) == lines(evaluate(b + a, [keys]))


# Numbers.


@pytest.mark.parametrize("order", [1, -1])
def test_numbers_run_through_2_to_the_24(tmp_path: Path, order: int) -> None:
    device = Device("mac0", 2)
    numbers = [1, 2**23, 2**24 - 1, 2**24, 2**24 + 5, 2**25 - 1, 2**25 + 3, 3 * 2**24 + 1]
    frames = [device.seal(0, seq, device.reading(seq % 1000)) for seq in numbers]
    found = evaluate(framed(frames)[::order], [ring(tmp_path, device)])
    assert [r.seq for r in found] == numbers


def test_a_far_band_needs_a_hint(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frame = Frame(device.seal(0, 7 * 2**24 + 9, device.reading(1)), 0)
    keys = ring(tmp_path, device)
    assert [r.reason for r in evaluate([frame], [keys])] == ["bad_tag"]
    near = Receiver([keys], near={(device.tenant, device.device, 1): 6 * 2**24 + 1})
    near.add(frame)
    assert [r.seq for r in near.rows()] == [7 * 2**24 + 9]


def test_gaps_tell_lost_numbers_from_unused_ones(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(5)
    del frames[2]
    device.seq += 40  # a boot skips the rest of its block
    frames.append(device.hello(last_seq=5))
    frames += device.run(3)
    device.seq += 2
    frames.append(device.send())
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed(frames))
    assert receiver.gaps() == [(device.device, 1, 3, 3), (device.device, 1, 50, 51)]
    assert receiver.summary()["gaps"] == ["bin-2 epoch 1: 3", "bin-2 epoch 1: 50 to 51"]


def test_a_boot_that_knows_of_nothing_before_hides_no_gap(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(3)
    device.seq += 5
    frames.append(device.hello(last_seq=0))
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed(frames))
    assert receiver.gaps() == [(device.device, 1, 4, 8)]
    # The first boot of all may say so.
    first = Device("mac0", 3)
    first.seq = 10
    receiver = Receiver([ring(tmp_path, first)])
    receiver.add_all(framed([first.hello(last_seq=0)]))
    assert receiver.gaps() == []


# Two contents under one number.


def test_same_number_two_payloads_under_a_mac(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(20)
    other = device.seal(0, 20, device.reading(999))
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed([*frames, other]))
    found = receiver.rows()
    assert [(r.state, r.reason) for r in found if r.seq == 20] == [("contested", "equivocation")] * 2
    assert {r.state for r in found if r.seq != 20} == {"signed", "authenticated"}
    assert [a.kind for a in receiver.alarms()] == ["mac_key_leaked"]


def test_a_forged_mac_against_a_signed_segment_taints_nothing(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(32)
    forged = [device.seal(0, 5, device.reading(999)), device.seal(0, 17, device.reading(999))]
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed(forged + frames))
    found = receiver.rows()
    assert [(r.state, r.reason) for r in found if r.state != "signed"] == [("rejected", "conflict")] * 2
    assert sum(r.state == "signed" for r in found) == len(frames)
    assert [a.kind for a in receiver.alarms()] == ["mac_key_leaked"]


def test_a_forged_mac_under_an_unused_number(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(10)
    device.seq += 5
    frames += device.run(6)  # the checkpoint counts 16 frames over a hole of five numbers
    forged = device.seal(0, 12, device.reading(999))
    found = evaluate(framed([*frames, forged]), [ring(tmp_path, device)])
    assert [(r.seq, r.state, r.reason) for r in found if r.state != "signed"] == [
        (12, "rejected", "conflict")
    ]


def test_two_signatures_under_one_number(tmp_path: Path) -> None:
    device = Device("sign1", 1, kind="lamp")
    frames = device.run(6)
    other = device.seal(0, 4, device.reading(999))
    receiver = Receiver([ring(tmp_path, device)])
    receiver.add_all(framed([*frames, other]))
    # Without checkpoints the last head in common is the epoch's own.
    assert {(r.state, r.reason) for r in receiver.rows()} == {("contested", "equivocation")}
    assert [(a.kind, a.since) for a in receiver.alarms()] == [("equivocation", 0)]


def test_two_checkpoints_under_one_number(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(48)
    other = device.seal(1, 34, synth.det([16, bytes(16)]))
    found = evaluate(framed([*frames, other]), [ring(tmp_path, device)])
    contested = {r.seq for r in found if (r.state, r.reason) == ("contested", "equivocation")}
    assert contested == set(range(18, 52))
    assert {r.state for r in found if (r.seq or 0) < 18} == {"signed"}


# Keys and their status.


def test_another_tenants_frames(tmp_path: Path, trio: list[Device]) -> None:
    mine, other = trio[1], Device("mac0", 2, tenant=bytes.fromhex("ff99999999999999"), tag=0x77)
    stranger = Device("mac0", 9, tag=0x77)
    foreign = Device("mac0", 2, tag=0x55)
    keys = ring(tmp_path, *trio)
    found = evaluate(framed([mine.send(), other.send(), stranger.send(), foreign.send()]), [keys])
    assert sorted((r.state, r.reason) for r in found) == [
        ("authenticated", ""),
        ("rejected", "bad_tag"),
        ("unverified", "unknown_device"),
        ("unverified", "unknown_tenant"),
    ]


def test_two_tenants_share_an_address(tmp_path: Path) -> None:
    one, two = (
        Device("mac0", 2, name="one"),
        Device("encrypt0", 2, tenant=bytes.fromhex("ff99999999999977"), name="two"),
    )
    rings = [ring(tmp_path, one)]
    rings.append(Keyring.load(synth.keyring(tmp_path / "two.json", two)))
    found = evaluate(framed(one.run(16) + two.run(16)), rings)
    assert {(r.name, r.state) for r in found} == {("one", "signed"), ("two", "signed")}


def test_at_most_four_devices_of_an_address_are_tried(tmp_path: Path) -> None:
    devices = [Device("mac0", 2, tenant=bytes((0xFF, n)) + bytes(6)) for n in range(6)]
    rings = [Keyring.load(synth.keyring(tmp_path / f"{n}.json", d)) for n, d in enumerate(devices)]
    found = evaluate(framed([d.send() for d in devices]), rings)
    assert sorted(r.state for r in found) == ["authenticated"] * 4 + ["rejected"] * 2


def test_a_frame_on_another_port_or_structure_is_refused(tmp_path: Path, trio: list[Device]) -> None:
    lamp, bin_, leak = trio
    payload = bin_.reading(1)
    moved = lamp.link(12, 1, lamp.cose(0, 1, payload))
    downgraded = lamp.link(10, 1, lamp.cose(0, 1, payload, "mac0"))
    signed = bin_.link(10, 1, bin_.cose(0, 1, payload, "sign1"))
    down = leak.link(12 | 128, 1, bytes(20))
    recover = leak.link(13, 0, leak.cose(0, 0, payload, "mac0"))
    number = bin_.link(10, 2, bin_.cose(0, 1, payload))
    found = evaluate(framed([moved, downgraded, signed, down, recover, number]), [ring(tmp_path, *trio)])
    assert sorted((r.state, r.reason) for r in found) == [
        ("rejected", "bad_signature"),
        ("rejected", "link_number"),
        ("rejected", "wrong_purpose"),
        ("rejected", "wrong_structure"),
        ("rejected", "wrong_structure"),
        ("unverified", "no_key"),
    ]


def test_without_keys_everything_is_unverified(tmp_path: Path, trio: list[Device]) -> None:
    found = evaluate(framed([d.send() for d in trio]), [])
    assert [(r.state, r.reason, r.device) for r in found] == [("unverified", "unknown_tenant", "")] * 3


def test_a_revoked_key(tmp_path: Path, trio: list[Device]) -> None:
    frames = framed([f for d in trio for f in d.run(16)])
    # Whatever time a gateway claims: no tree head shows that a frame was there before.
    found = evaluate(
        frames, [ring(tmp_path, *trio, status="revoked", compromised_from="2030-01-01T00:00:00Z")]
    )
    assert {(r.state, r.reason) for r in found} == {("contested", "revoked")}


def test_a_disclosed_k_dev_leaves_signatures(tmp_path: Path, trio: list[Device]) -> None:
    frames = framed([f for d in trio for f in d.run(20)])
    found = evaluate(frames, [ring(tmp_path, *trio, disclosed_from="2026-01-01T00:00:00Z")])
    assert {(r.state, r.reason) for r in found} == {("signed", ""), ("contested", "disclosed")}
    assert sum(r.state == "contested" for r in found) == 8


def test_a_new_epoch_closes_the_old_one_after_14_days(tmp_path: Path) -> None:
    old, new = Device("mac0", 2, epoch=1), Device("mac0", 2, epoch=2)
    day = 86400 * 10**6
    frames = [Frame(new.send(), synth.START_US), *framed(old.run(3))]
    frames.append(Frame(old.send(), synth.START_US + 14 * day))
    frames.append(Frame(old.send(), synth.START_US + 14 * day + 1))
    keys = ring(tmp_path, old, new)
    found = evaluate(frames, [keys])
    assert [(r.epoch, r.seq, r.state, r.reason) for r in found] == [
        *((1, n, "authenticated", "") for n in (1, 2, 3, 4)),
        (1, 5, "rejected", "closed_epoch"),
        (2, 1, "authenticated", ""),
    ]
    assert lines(evaluate(frames[::-1], [keys])) == lines(found)


def test_only_the_two_newest_epochs_are_tried(tmp_path: Path) -> None:
    devices = [Device("mac0", 2, epoch=n) for n in (1, 2, 3)]
    found = evaluate(framed([d.send() for d in devices]), [ring(tmp_path, *devices)])
    assert [(r.epoch, r.state) for r in found] == [
        (None, "rejected"),
        (2, "authenticated"),
        (3, "authenticated"),
    ]


# The cap on failed verifications (TRUST 19).


def test_the_cap_delays_and_never_locks_out(tmp_path: Path) -> None:
    device, forger = Device("mac0", 2), Device("mac0", 2, tenant=bytes.fromhex("ff99999999999977"))
    neighbour = Device("mac0", 3)
    keys = ring(tmp_path, device, neighbour)
    forged = [forger.send() for _ in range(100)]
    receiver = Receiver([keys], capped=True)
    second = 10**6
    for n, data in enumerate(forged):
        receiver.add(Frame(data, n), 0)
    # Two numbers are tried for each: 30 frames use up the burst of 60.
    reasons = [r.reason for r in receiver.rows()]
    assert (reasons.count("bad_tag"), reasons.count("rate")) == (30, 70)
    true = device.send()
    outcome = receiver.add(Frame(true, 0), 0)
    assert (outcome.state, outcome.reason) == ("unverified", "rate")
    other = neighbour.send()
    assert receiver.add(Frame(other, 0), 0).state == "authenticated"
    assert receiver.tick(20 * second) == 61
    # Quiet never saves up more than one burst.
    assert receiver.tick(4000 * second) == 31
    assert receiver.tick(8000 * second) == 1
    assert receiver.tick(8001 * second) == 0
    everything = [Frame(d, n) for n, d in enumerate(forged)] + [Frame(true, 0), Frame(other, 0)]
    assert lines(receiver.rows()) == lines(evaluate(everything, [keys]))
