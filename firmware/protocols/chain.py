"""The hash chain that a checkpoint signs (TRUST 0, 3), over salted leaves of the plaintext (TRUST 7)."""

from hashlib import sha256

from firmware.protocols.cbor import encode, put_head


def head0(tenant, device, epoch, public):
    """The 16 bytes at which the chain of an epoch starts; `public` is the 32-byte signing key."""
    return sha256(encode(("LC1", tenant, device, epoch, sha256(public).digest()))).digest()[:16]


def salt(hmac, seq):
    """The 16-byte salt of a leaf; `hmac` is an Hmac under the leaf key."""
    return hmac.digest(bytes((seq >> 24, seq >> 16 & 255, seq >> 8 & 255, seq & 255)))[:16]


def leaf(aad, payload, r):
    """SHA-256 of det(["LL1", ext_aad, payload, r])."""
    head = bytearray(5)
    h = sha256(b"\x84\x63LL1")
    for part in (aad, payload, r):
        h.update(memoryview(head)[: put_head(head, 0, 2, len(part))])
        h.update(part)
    return h.digest()


def step(h, leaf):
    """The chain after one more frame, 32 bytes; `h` is 32 bytes, or 16 after a checkpoint."""
    s = sha256(h)
    s.update(leaf)
    return s.digest()
