"""HMAC-SHA-256 (RFC 2104, FIPS 198-1) and HKDF-SHA-256 (RFC 5869) on the interpreter's own SHA-256.

MicroPython's hash objects have no copy(), so what is kept between calls is the two padded key blocks, not two
hash states: one compression more per pass.
"""

from hashlib import sha256


def _pad(key, byte):
    return (int.from_bytes(key, "big") ^ int.from_bytes(byte * 64, "big")).to_bytes(64, "big")


class Hmac:
    """HMAC-SHA-256 under one key; a key longer than 64 bytes is hashed first, as RFC 2104 section 2 says."""

    def __init__(self, key):
        if len(key) > 64:
            key = sha256(key).digest()
        key = bytes(key) + bytes(64 - len(key))
        self._inner = _pad(key, b"\x36")
        self._outer = _pad(key, b"\x5c")

    def digest(self, message):
        """The 32-byte MAC of `message` (any buffer)."""
        h = sha256(self._inner)
        h.update(message)
        inner = h.digest()
        h = sha256(self._outer)
        h.update(inner)
        return h.digest()

    def mac(self, *parts):
        """The 32-byte MAC of the parts one after the other, without joining them."""
        h = sha256(self._inner)
        for part in parts:
            h.update(part)
        inner = h.digest()
        h = sha256(self._outer)
        h.update(inner)
        return h.digest()


def hkdf(ikm, salt, info, length):
    """`length` bytes (0..8160) of HKDF-SHA-256; an empty salt is 32 zero bytes. ValueError above 8160."""
    if length > 8160:
        raise ValueError("length")
    expand = Hmac(Hmac(salt).digest(ikm))
    block = out = b""
    n = 1
    while len(out) < length:
        block = expand.mac(block, info, bytes((n,)))
        out += block
        n += 1
    return out[:length]


def equal(a, b):
    """True when two buffers hold the same bytes; the time does not depend on where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for i in range(len(a)):
        difference |= a[i] ^ b[i]
    return difference == 0
