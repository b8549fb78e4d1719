"""The comb table and the point arithmetic against affine formulas; where OpenSSL differs from the device.

The affine code follows RFC 8032 section 5.1 and shares nothing with the module under test.
"""

import hashlib
import random

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.protocols import ed25519, ed25519_verify

Point = tuple[int, int]
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
NEUTRAL = (0, 1)


def add(p: Point, q: Point) -> Point:
    t = D * p[0] * q[0] * p[1] * q[1] % P
    x = (p[0] * q[1] + q[0] * p[1]) * pow(1 + t, -1, P) % P
    return x, (p[1] * q[1] + p[0] * q[0]) * pow(1 - t, -1, P) % P


def times(n: int, p: Point) -> Point:
    total = NEUTRAL
    for bit in bin(n)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, p)
    return total


def negative(p: Point) -> Point:
    return -p[0] % P, p[1]


def encode(p: Point) -> bytes:
    return (p[1] | (p[0] & 1) << 255).to_bytes(32, "little")


def base() -> Point:
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return (x if x % 2 == 0 else P - x), y


B = base()


def order_8() -> Point:
    y = int.from_bytes(
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
    )
    decoded = ed25519_verify._decode(y.to_bytes(32, "little"))
    assert decoded is not None
    point: Point = decoded
    # On the curve, and of that order, whoever decoded it.
    assert (-(point[0] ** 2) + y * y - 1 - D * point[0] ** 2 * y * y) % P == 0
    assert times(8, point) == NEUTRAL != times(4, point)
    return point


def test_the_base_point_is_the_standards() -> None:
    assert encode(B).hex() == "58" + 31 * "66"
    assert times(L, B) == NEUTRAL


def test_every_entry_of_the_comb_table() -> None:
    teeth = [times(1 << 51 * j, B) for j in range(5)]
    whole = b"".join(ed25519._TABLE)
    count = 0
    for u in range(16):
        point = teeth[4]
        for j in range(4):
            point = add(point, teeth[j] if u >> j & 1 else negative(teeth[j]))
        x, y = point
        expected = b"".join(v.to_bytes(32, "little") for v in ((y - x) % P, (y + x) % P, 2 * D * x * y % P))
        assert whole[96 * u : 96 * u + 96] == expected, u
        count += 1
    assert 96 * count == len(whole)


def scalars() -> list[int]:
    chance = random.Random(8032)
    edges = [0, 1, 2, 3, 7, 8, L // 2, L // 2 + 1, L - 2, L - 1]
    columns = [1 << n for n in (50, 51, 52, 101, 102, 153, 204, 250, 251)]
    return edges + columns + [c - 1 for c in columns] + [chance.randrange(L) for _ in range(20)]


@pytest.mark.parametrize("s", scalars(), ids=hex)
def test_fixed_base_multiple(s: int) -> None:
    assert ed25519._encode(ed25519_verify._combine(s)) == encode(times(s, B))


def cached(p: Point) -> tuple[int, int, int, int]:
    return (p[1] - p[0]) % P, (p[1] + p[0]) % P, 2, 2 * D * p[0] * p[1] % P


@pytest.mark.parametrize("k", scalars()[:10], ids=hex)
def test_sum_of_two_multiples(k: int) -> None:
    # With A = B the additions meet every special case of the formulas: equal, opposite and neutral points.
    for a in (B, times(0xC0FFEE, B), negative(B)):
        table = [cached(times(n, a)) for n in range(1, 9)]
        for s in (0, 1, L - k, k % L, 12345):
            expected = add(times(s % L, B), times(k, a))
            assert ed25519._encode(ed25519_verify._combine(s % L, k, table)) == encode(expected)


def challenge(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def openssl(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_where_strictness_differs_from_openssl() -> None:
    """A small-order R or A: OpenSSL takes a fitting signature, the device does not."""
    seed, message = bytes(range(32)), b"lamp"
    public = ed25519_verify.public_key(seed)
    digest = hashlib.sha512(seed).digest()[:32]
    a = int.from_bytes(digest, "little") & ((1 << 254) - 8) | 1 << 254
    assert public == encode(times(a % L, B))
    r = encode(NEUTRAL)
    small_r = r + (challenge(r, public, message) * a % L).to_bytes(32, "little")
    r = encode(times(777, B))
    ordinary = r + ((777 + challenge(r, public, message) * a) % L).to_bytes(32, "little")
    assert openssl(public, message, small_r)
    assert not ed25519_verify.verify(public, message, small_r)
    assert openssl(public, message, ordinary)
    assert ed25519_verify.verify(public, message, ordinary)
    by_anyone = r + (777).to_bytes(32, "little")
    assert openssl(encode(NEUTRAL), message, by_anyone)
    assert not ed25519_verify.verify(encode(NEUTRAL), message, by_anyone)
    weak = encode(order_8())
    n = next(n for n in range(99) if challenge(r, weak, b"lamp %d" % n) % 8 == 0)
    assert openssl(weak, b"lamp %d" % n, by_anyone)
    assert not ed25519_verify.verify(weak, b"lamp %d" % n, by_anyone)


def test_points_with_a_small_component_are_refused_by_both() -> None:
    """Cofactored verifiers accept these; the device and OpenSSL agree that they do not."""
    seed, message = bytes(range(32)), b"lamp"
    a = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & ((1 << 254) - 8) | 1 << 254
    torsion = order_8()
    mixed = encode(add(times(a % L, B), torsion))
    r = encode(times(777, B))
    n = next(n for n in range(99) if challenge(r, mixed, b"lamp %d" % n) % 8)
    message = b"lamp %d" % n
    signature = r + ((777 + challenge(r, mixed, message) * a) % L).to_bytes(32, "little")
    assert not openssl(mixed, message, signature)
    assert not ed25519_verify.verify(mixed, message, signature)
    public = ed25519_verify.public_key(seed)
    r = encode(add(times(777, B), torsion))
    signature = r + ((777 + challenge(r, public, message) * a) % L).to_bytes(32, "little")
    assert not openssl(public, message, signature)
    assert not ed25519_verify.verify(public, message, signature)
