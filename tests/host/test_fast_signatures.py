"""libsodium is used only where it accepts no signature that the careful path refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import nacl.bindings
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from host_tools.fast import signatures
from host_tools.fast.signatures import COFACTOR, openssl, verifier

ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    verifier.cache_clear()
    yield
    verifier.cache_clear()


def _signed(message: bytes) -> signatures.Job:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"seed").digest())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return key.sign(message), message, public


def test_both_agree() -> None:
    signature, message, public = _signed(b"a reading")
    jobs = [(signature, message, public), (signature, message + b"!", public), (bytes(64), message, public)]
    for bit in range(0, 512, 7):
        bad = bytearray(signature)
        bad[bit >> 3] ^= 1 << (bit & 7)
        jobs.append((bytes(bad), message, public))
    # The same signature with S raised by the group's order (RFC 8032 section 5.1.7 refuses it).
    high = int.from_bytes(signature[32:], "little") + ORDER
    jobs.append((signature[:32] + high.to_bytes(32, "little"), message, public))
    jobs.append(COFACTOR)
    assert [verifier()(job) for job in jobs] == [openssl(job) for job in jobs]
    assert [openssl(job) for job in jobs].count(True) == 1


def test_a_laxer_library_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verifier() is not openssl
    verifier.cache_clear()
    monkeypatch.setattr(nacl.bindings, "crypto_sign_open", lambda signed, public: signed[64:])
    assert verifier() is openssl
