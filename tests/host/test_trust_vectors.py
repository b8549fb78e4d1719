"""Sealing, opening, leaves and chain against the definitions written with cbor2 and cryptography only."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocols import chain, keys, opener, seal
from firmware.protocols.cbor import WireError

LENGTHS = {
    "mac-up": 32,
    "enc-up": 16,
    "mac-down": 32,
    "enc-down": 16,
    "leaf": 32,
    "recover": 32,
    "kcv": 32,
    "link": 16,
}
STRUCTURES = {"mac0": (17, 4), "encrypt0": (16, 10), "sign1": (18, -19)}


# TRUST 0 once more, sharing no line with the code under test.


def peer_derive(k_dev: bytes, tenant: bytes, label: str, device: bytes, epoch: int) -> bytes:
    info = cbor2.dumps(["lanterne/1", label, device, epoch])
    return bytes(HKDF(hashes.SHA256(), LENGTHS[label], tenant, info).derive(k_dev))


def peer_aad(record: dict[str, Any], structure: str, purpose: int, direction: int, seq: int) -> bytes:
    tag, alg = STRUCTURES[structure]
    fields = [1, alg, tag, purpose, record["tenant"], record["device"], record["epoch"], direction, seq]
    return bytes(cbor2.dumps(fields))


def peer_nonce(record: dict[str, Any], seq: int) -> bytes:
    return bytes([record["epoch"] % 256, *record["device"]]) + seq.to_bytes(4, "big")


def peer_seal(
    record: dict[str, Any], structure: str, key: bytes, purpose: int, direction: int, seq: int, payload: bytes
) -> bytes:
    aad = peer_aad(record, structure, purpose, direction, seq)
    header = {6: (seq % 2**24).to_bytes(3, "big")}
    if structure == "encrypt0":
        text = AESCCM(key, tag_length=8).encrypt(
            peer_nonce(record, seq), payload, cbor2.dumps(["Encrypt0", b"", aad])
        )
        return cbor2.dumps([b"", header, text])
    if structure == "mac0":
        tag = hmac.digest(key, cbor2.dumps(["MAC0", b"", aad, payload]), "sha256")[:8]
    else:
        signer = Ed25519PrivateKey.from_private_bytes(key)
        tag = signer.sign(cbor2.dumps(["Signature1", b"", aad, payload]))
    return cbor2.dumps([b"", header, payload, tag])


def peer_leaf(
    record: dict[str, Any], structure: str, leaf_key: bytes, purpose: int, seq: int, payload: bytes
) -> bytes:
    r = hmac.digest(leaf_key, seq.to_bytes(4, "big"), "sha256")[:16]
    return hashlib.sha256(
        cbor2.dumps(["LL1", peer_aad(record, structure, purpose, 0, seq), payload, r])
    ).digest()


def make_record(
    profile: str, k_dev: bytes, tenant: bytes, device: bytes, epoch: int, seed: bytes
) -> dict[str, Any]:
    """A key record as the device holds it, every key from the peer's derivation."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    derived = {label: peer_derive(k_dev, tenant, label, device, epoch) for label in LENGTHS}
    return {
        "tenant": tenant,
        "device": device,
        "epoch": epoch,
        "profile": profile,
        "purposes": keys.purposes(profile),
        "public_key": raw,
        "keys": {**derived, "sign": seed},
    }


K_DEV = bytes(range(32))
TENANT = bytes.fromhex("0011223344556677")
DEVICE = bytes.fromhex("70b3d57ed0001234")
PAYLOAD = bytes.fromhex("841a01ab3f80183f1901961880")


def test_the_vector_of_trust_0_on_the_peer() -> None:
    """The peer itself is right: the numbers printed in TRUST 0, which pycose confirmed."""
    record = {"tenant": TENANT, "device": DEVICE, "epoch": 3}
    mac_up = peer_derive(K_DEV, TENANT, "mac-up", DEVICE, 3)
    assert mac_up.hex() == "469617a9d7c6c6935dc2ad83df914f3af0258c3460a0af6955fd240d13136d77"
    aad = peer_aad(record, "mac0", 0, 0, 70123)
    assert aad.hex() == "89010411004800112233445566774870b3d57ed000123403001a000111eb"
    assert peer_seal(record, "mac0", mac_up, 0, 0, 70123, PAYLOAD)[-8:].hex() == "5b840f8664979eb6"
    assert peer_nonce(record, 70123).hex() == "0370b3d57ed0001234000111eb"
    leaf_key = peer_derive(K_DEV, TENANT, "leaf", DEVICE, 3)
    leaf = peer_leaf(record, "mac0", leaf_key, 0, 70123, PAYLOAD)
    assert leaf.hex() == "41e18769589f4ef793197ebdf984dee306ce894ba2379d39637672eb4f436879"


eight = st.binary(min_size=8, max_size=8)
key32 = st.binary(min_size=32, max_size=32)
epochs = st.one_of(st.integers(1, 300), st.integers(1, 2**32 - 1))
seqs = st.one_of(st.integers(1, 100000), st.integers(2**24 - 3, 2**24 + 3), st.integers(1, 2**32 - 2**16))


@settings(max_examples=120, deadline=None)
@given(key32, eight, eight, epochs)
def test_every_derived_key(k_dev: bytes, tenant: bytes, device: bytes, epoch: int) -> None:
    for label in keys.LABELS:
        want = peer_derive(k_dev, tenant, label, device, epoch)
        assert keys.derive(k_dev, tenant, label, device, epoch) == want
    assert set(keys.LABELS) == set(LENGTHS)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["mac0", "encrypt0", "sign1"]),
    key32,
    eight,
    eight,
    epochs,
    seqs,
    st.binary(max_size=150),
    st.sampled_from([0, 1, 3]),
)
def test_uplinks_equal_the_peers(
    profile: str,
    k_dev: bytes,
    tenant: bytes,
    device: bytes,
    epoch: int,
    seq: int,
    payload: bytes,
    purpose: int,
) -> None:
    record = make_record(profile, k_dev, tenant, device, epoch, k_dev[::-1])
    structure = "sign1" if purpose == 1 else profile
    label = {"mac0": "mac-up", "encrypt0": "enc-up", "sign1": "sign"}[structure]
    want = peer_seal(record, structure, record["keys"][label], purpose, 0, seq, payload)
    sealer = seal.Sealer(record)
    assert sealer.seal(purpose, seq, payload) == want
    assert opener.Opener(record).open(purpose, 0, seq, want) == payload
    leaf = peer_leaf(record, structure, record["keys"]["leaf"], purpose, seq, payload)
    assert sealer.leaf(purpose, seq, payload) == leaf


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["mac0", "encrypt0", "sign1"]), key32, epochs, seqs, st.binary(max_size=60))
def test_downlinks_equal_the_peers(profile: str, k_dev: bytes, epoch: int, seq: int, payload: bytes) -> None:
    record = make_record(profile, k_dev, TENANT, DEVICE, epoch, k_dev[::-1])
    structure, label = ("encrypt0", "enc-down") if profile == "encrypt0" else ("mac0", "mac-down")
    frame = peer_seal(record, structure, record["keys"][label], 2, 1, seq, payload)
    assert opener.Opener(record).open(2, 1, seq, frame) == payload
    assert seal.Sealer(record, 1).seal(2, seq, payload) == frame
    try:
        opener.Opener(record).open(2, 0, seq, frame)
        raise AssertionError("reflected downlink accepted")
    except WireError as e:
        assert e.args[0] == "bad_tag"


@settings(max_examples=60, deadline=None)
@given(eight, eight, epochs, key32, st.lists(key32, min_size=1, max_size=40))
def test_chain_equals_the_peers(
    tenant: bytes, device: bytes, epoch: int, public: bytes, leaves: list[bytes]
) -> None:
    inner = hashlib.sha256(public).digest()
    h = hashlib.sha256(cbor2.dumps(["LC1", tenant, device, epoch, inner])).digest()[:16]
    ours = chain.head0(tenant, device, epoch, public)
    assert ours == h
    for leaf in leaves:
        h = hashlib.sha256(h + leaf).digest()
        ours = chain.step(ours, leaf)
    assert ours == h


def test_native_verify_is_injected() -> None:
    """A host gives its own Ed25519; ours is then not called."""
    record = make_record("sign1", K_DEV, TENANT, DEVICE, 3, K_DEV)
    frame = seal.Sealer(record).seal(0, 7, PAYLOAD)

    def verify(public: bytes, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    native = opener.Opener(record, verify)
    assert native.open(0, 0, 7, frame) == PAYLOAD
    for i in range(len(frame)):
        bad = frame[:i] + bytes([frame[i] ^ 1]) + frame[i + 1 :]
        try:
            native.open(0, 0, 7, bad)
        except WireError:
            continue
        raise AssertionError(f"byte {i} changed and accepted")
