"""Ed25519 by libsodium, where it is there and as strict as the careful path's: it is two thirds faster.

What it refuses the careful path looks at anew; what it accepts must be no more than that one accepts. A libsodium
that multiplies by the cofactor first (RFC 8032 section 5.1.7 allows both) would accept more, so one signature
tells whether this one does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Job = tuple[bytes, bytes, bytes]
# A signature (R || S), message and key that hold with the cofactor only: R has a part of order 2.
COFACTOR: Job = (
    bytes.fromhex(
        "704f236ddd0c3e7cba82221b38f72171a15940c2a3bbfb335eb4cd8d65fa3cd5"
        "e0bb28c02230deebb240bd4bbb439ad45d38b4ef29b512b05566c41f8ea59b0d"
    ),
    b"hello",
    bytes.fromhex("a0eebbd90f3f4228238e07878df2bf844b1421e0ac1627bf939232c50c60c629"),
)


@cache
def verifier() -> Callable[[Job], bool]:
    """(signature, message, public key) -> whether it holds."""
    try:
        from nacl.bindings import crypto_sign_open
        from nacl.exceptions import BadSignatureError
    except ImportError:
        return openssl

    def sodium(job: Job) -> bool:
        signature, message, public = job
        try:
            crypto_sign_open(signature + message, public)
        except (BadSignatureError, ValueError):
            return False
        return True

    return openssl if sodium(COFACTOR) else sodium


def openssl(job: Job) -> bool:
    signature, message, public = job
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
