"""Bad input: every truncated, oversized, nested, non-canonical, foreign or forged frame gets one reason and
stops nothing."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocols import reasons
from host_tools.frames import Frame
from host_tools.receiver import Receiver, evaluate
from host_tools.rows import reason_class
from provisioning.keyring import Keyring
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_receiver import framed, lines, ring

PIV = b"\xa1\x06\x43\x00\x00\x01"
DEVICE = Device("mac0", 2)
PAYLOAD = DEVICE.reading(1)
GOOD = DEVICE.cose(0, 1, PAYLOAD)
TAG = GOOD[-8:]


def framed_body(body: bytes) -> bytes:
    return DEVICE.link(10, 1, body)


BODIES = {
    "empty": (b"", "truncated"),
    "a number": (b"\x01", "not_cose"),
    "trailing": (GOOD + b"\x00", "trailing"),
    "tagged": (b"\xd1" + GOOD, "tag_not_allowed"),
    "self-described": (b"\xd9\xd9\xf7" + GOOD, "tag_not_allowed"),
    "indefinite array": (b"\x9f" + GOOD[1:] + b"\xff", "indefinite"),
    "indefinite string": (GOOD[:8] + b"\x5f" + GOOD[8:], "indefinite"),
    "length of 2^63": (b"\x84\x40" + PIV + b"\x5b\x7f" + b"\xff" * 7, "truncated"),
    "array of 2^64": (b"\x9b" + b"\xff" * 8, "truncated"),
    "map of 2^64": (b"\xbb" + b"\xff" * 8, "truncated"),
    "long length": (b"\x98\x04" + GOOD[1:], "not_canonical"),
    "long bytes": (GOOD[:8] + b"\x59\x00" + GOOD[9:], "not_canonical"),
    "reserved": (b"\x1c" + GOOD, "reserved"),
    "nested": (b"\x81" * 200, "too_deep"),
    "float": (b"\xf9\x7c\x00", "float_not_allowed"),
    "bignum": (b"\xc2\x49" + b"\xff" * 9, "tag_not_allowed"),
    "cycle": (b"\xd8\x1c\x81\xd8\x1d\x00", "tag_not_allowed"),
    "undefined": (b"\xf7", "simple_not_allowed"),
    "bad text": (b"\x61\xff", "bad_utf8"),
    "two keys": (b"\x84\x40\xa2\x06\x43\x00\x00\x01\x06\x43\x00\x00\x01" + GOOD[8:], "duplicate_key"),
    "unsorted": (b"\x84\x40\xa2\x06\x43\x00\x00\x01\x04\x41\x01" + GOOD[8:], "unsorted"),
    "explicit alg in the header": (b"\x84\x40\xa2\x01\x04\x06\x43\x00\x00\x01" + GOOD[8:], "explicit_alg"),
    "explicit alg, protected": (b"\x84\x43\xa1\x01\x04" + PIV + GOOD[8:], "explicit_alg"),
    "empty map, protected": (b"\x84\x41\xa0" + PIV + GOOD[8:], "bad_header"),
    "kid": (b"\x84\x40\xa2\x04\x42\x00\x01\x06\x43\x00\x00\x01" + GOOD[8:], "bad_header"),
    "no number": (b"\x84\x40\xa0" + GOOD[8:], "bad_header"),
    "short number": (b"\x84\x40\xa1\x06\x42\x00\x01" + GOOD[8:], "bad_header"),
    "text payload": (b"\x84\x40" + PIV + b"\x61a\x48" + TAG, "not_cose"),
    "no tag": (b"\x83" + GOOD[1:-9], "wrong_structure"),
    **{
        f"tag of {n}": (GOOD[:-9] + cbor2.dumps(bytes(n)), "tag_length") for n in (0, 4, 7, 9, 16, 32, 63, 65)
    },
    "five parts": (b"\x85" + GOOD[1:] + b"\x00", "not_cose"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_envelope_gets_one_reason(tmp_path: Path, name: str) -> None:
    body, reason = BODIES[name]
    [row] = evaluate([Frame(framed_body(body), 0)], [ring(tmp_path, DEVICE)])
    assert (row.state, row.reason) == ("rejected", reason)
    assert reasons.number(row.reason)
    assert row.device == DEVICE.device.hex()


PAYLOADS = {
    "empty": b"",
    "trailing": PAYLOAD + b"\x00",
    "unknown type": synth.det([23, {4: 1}]),
    "reserved type": synth.det([7, {4: 1}]),
    "unknown key": synth.det([3, {22: 1}]),
    "out of range": synth.det([3, {4: 101}]),
    "negative": synth.det([3, {4: -1}]),
    "text": synth.det([3, {4: "x"}]),
    "true": synth.det([3, {4: True}]),
    "both times": synth.det([3, {0: 5, 1: 5}]),
    "float": b"\x82\x03\xa1\x04\xf9\x3c\x00",
    "duplicate key": b"\x82\x03\xa2\x04\x01\x04\x02",
    "not shortest": b"\x82\x03\xa1\x04\x18\x05",
    "unsorted": b"\x82\x03\xa2\x05\x01\x04\x02",
    "deep": b"\x82\x03\xa1\x04" + b"\x81" * 60 + b"\x01",
    "a list": synth.det([3, [4, 1]]),
    "vector too long": synth.det([3, {10: [0] * 25}]),
    "bignum": b"\x82\x03\xa1\x04\xc2\x41\x05",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_bad_payload_of_a_true_device_keeps_its_segment(tmp_path: Path, name: str) -> None:
    device = Device("mac0", 2)
    # The frame is the device's own and part of the chain, so the others of the segment stay signed.
    frames = [device.send(), device.send(PAYLOADS[name] or b"\x00"), device.send(), device.checkpoint()]
    found = evaluate(framed(frames), [ring(tmp_path, device)])
    assert [r.state for r in found] == ["signed", "rejected", "signed", "signed"]
    assert 32 <= reasons.number(found[1].reason) < 64
    assert (found[1].seq, found[1].type, dict(found[1].values)) == (2, "", {})


@pytest.mark.parametrize("profile", ["sign1", "mac0", "encrypt0"])
def test_every_truncation(tmp_path: Path, profile: str) -> None:
    device = Device(profile, 2)
    frame = device.send()
    keys = ring(tmp_path, device)
    cuts = [Frame(frame[:n], n) for n in range(len(frame))]
    found = evaluate([*cuts, Frame(frame, 0)], [keys])
    good = "signed" if profile == "sign1" else "authenticated"
    assert sorted(r.state for r in found) == sorted([good] + ["rejected"] * len(cuts))
    assert {reason_class(r.reason) for r in found if r.state == "rejected"} == {"malformed"}


@pytest.mark.parametrize("size", [256, 300, 4096, 65535])
def test_an_oversized_frame(tmp_path: Path, size: int) -> None:
    frame = framed_body(GOOD).ljust(size, b"\x00")
    [row] = evaluate([Frame(frame, 0)], [ring(tmp_path, DEVICE)])
    assert (row.state, row.reason) == ("rejected", "too_long")
    assert row.frame == hashlib.sha256(frame).hexdigest()[:16]


FOREIGN = {
    "40F17DBE4900020001954378762B11FF0D": ("unverified", "no_session", ""),
    "00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913": ("unverified", "no_session", "00afee7cf5ed6f1e"),
    "": ("rejected", "not_link", ""),
    b"hello world".hex(): ("rejected", "not_link", ""),
    "00" * 64: ("rejected", "lorawan_length", ""),
    "41" + "00" * 20: ("rejected", "not_link", ""),
}


@pytest.mark.parametrize("frame", FOREIGN)
def test_foreign_radio_frames(tmp_path: Path, frame: str) -> None:
    [row] = evaluate([Frame(bytes.fromhex(frame), 0)], [ring(tmp_path, DEVICE)])
    assert (row.state, row.reason, row.device) == FOREIGN[frame]


def test_every_type_byte_and_every_address(tmp_path: Path) -> None:
    keys = ring(tmp_path, DEVICE)
    good = DEVICE.link(10, 1, GOOD)
    for kind in range(256):
        [row] = evaluate([Frame(good[:1] + bytes((kind,)) + good[2:], 0)], [keys])
        assert (row.state == "authenticated") == (kind == 10), kind
        assert row.reason or kind == 10
    for n in (2, 3, 4, 5, 6):
        [row] = evaluate([Frame(good[:n] + bytes((good[n] ^ 0x40,)) + good[n + 1 :], 0)], [keys])
        assert row.state in ("unverified", "rejected")


def test_numbers_outside_the_range(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    body = device.cose(0, 2**24, PAYLOAD)
    # 2^24 ends in zeros, as a number 0 would; 0 itself is never tried.
    [row] = evaluate([Frame(device.link(10, 0, body), 0)], [ring(tmp_path, device)])
    assert row.seq == 2**24
    [row] = evaluate([Frame(device.link(10, 0, device.cose(0, 0, PAYLOAD)), 0)], [ring(tmp_path, device)])
    assert (row.state, row.reason) == ("rejected", "bad_tag")


def test_a_small_order_signature_is_refused(tmp_path: Path) -> None:
    device = Device("sign1", 1)
    good = device.cose(0, 1, PAYLOAD)
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(good[-32:], "little")
    forged = [
        good[:-64] + bytes(64),
        good[:-64] + b"\x01" + bytes(63),
        good[:-32] + (s + order).to_bytes(32, "little"),
        good[:-64] + good[-32:] + good[-64:-32],
    ]
    found = evaluate(framed([device.link(10, 1, f) for f in forged]), [ring(tmp_path, device)])
    assert [(r.state, r.reason) for r in found] == [("rejected", "bad_signature")] * 4


def test_keys_are_not_confused(tmp_path: Path) -> None:
    """The public key is no MAC key, and a MAC key is no key of another structure or device."""
    import hmac

    device, other = Device("mac0", 2), Device("mac0", 3)
    signer = Device("sign1", 1)

    def maced(d: Device, key: bytes) -> bytes:
        message = synth.det(["MAC0", b"", d.aad(0, 1, "mac0"), PAYLOAD])
        tag = hmac.digest(key, message, "sha256")[:8]
        return d.link(10, 1, synth.det([b"", {6: b"\x00\x00\x01"}, PAYLOAD, tag]))

    frames = [
        maced(signer, signer.public),
        maced(device, device.public),
        maced(device, device.key("mac-down")),
        maced(device, device.key("leaf")),
        maced(device, other.key("mac-up")),
    ]
    found = evaluate(framed(frames), [ring(tmp_path, device, other, signer)])
    assert {r.state for r in found} == {"rejected"}
    assert [
        r.state for r in evaluate(framed([maced(device, device.key("mac-up"))]), [ring(tmp_path, device)])
    ] == ["authenticated"]


def test_records_without_a_frame_never_pass_for_one(tmp_path: Path) -> None:
    frame = DEVICE.link(10, 1, GOOD)
    found = evaluate([Frame(frame, 0, reason="truncated"), Frame(frame, 1)], [ring(tmp_path, DEVICE)])
    assert sorted((r.state, r.reason) for r in found) == [("authenticated", ""), ("rejected", "truncated")]


KEYS = Keyring("reader", synth.TENANT, [])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_random_bytes_never_stop_it(data: list[bytes]) -> None:
    found = evaluate(framed(data), [KEYS])
    assert len(found) == len(set(data))
    assert all(r.reason and r.state in ("rejected", "unverified") for r in found)


def test_random_damage_to_true_frames_never_stops_it(tmp_path: Path) -> None:
    """2,000 frames with bits flipped, cut, lengthened, joined and moved to other ports."""
    chance = random.Random(11)
    devices = [Device("sign1", 1, kind="lamp"), Device("mac0", 2), Device("encrypt0", 3, kind="leak")]
    pool = [f for d in devices for f in d.run(40, fragment=d.address == 3)]
    frames = []
    for _ in range(2000):
        data = bytearray(chance.choice(pool))
        for _ in range(chance.randint(1, 3)):
            what = chance.randrange(5)
            if what == 0 and data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            elif what == 1:
                del data[chance.randrange(len(data) + 1) :]
            elif what == 2:
                data += chance.randbytes(chance.randrange(20))
            elif what == 3:
                data = data[:7] + chance.choice(pool)[7:]
            elif len(data) > 1:
                data[1] = chance.choice((10, 11, 12, 13, 14, 15, 140))
        frames.append(Frame(bytes(data), chance.randrange(10**12)))
    keys = ring(tmp_path, *devices)
    found = evaluate(frames, [keys])
    assert len(found) == len({f.data for f in frames})
    true = {hashlib.sha256(p).hexdigest()[:16] for p in pool}
    assert all(r.state in ("rejected", "unverified") or r.frame in true for r in found)
    chance.shuffle(frames)
    receiver = Receiver([keys])
    receiver.add_all(frames)
    assert lines(receiver.rows()) == lines(found)
