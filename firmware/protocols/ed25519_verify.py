"""Ed25519 (RFC 8032 section 5.1): public keys and strict verification, beside what signs (ed25519.py)."""

from firmware.protocols.compat import const
from firmware.protocols.ed25519 import _TABLE, _add, _double, _encode, _power, _scalar
from firmware.protocols.sha512 import sha512

_P = const((1 << 255) - 19)
_L = const((1 << 252) + 0x14DEF9DEA2F79CD65812631A5CF5D3ED)
_D = 0x52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3
_I = 0x2B8324804FC1DF0B2B4D00993DFBD7A72F431806AD2FE478C4EE1B274A0EA0B0  # square root of -1
_COLUMNS = const(51)


def _int(b):
    return int.from_bytes(b, "little")


def _combine(s, k=0, table=None):
    """s B + k A, where `table` holds A .. 8 A; the doublings are shared (Shamir). 0 <= s, k < L."""
    # With every bit worth + or - its weight, as in `sign`.
    if not s & 1:
        s += _L
    s = ((s + (1 << 255) - 1) >> 1).to_bytes(32, "little")
    # Digits -8 .. 7: each hexadecimal digit of the sum, less 8.
    k = (k + (1 << 256) // 15 * 8).to_bytes(32, "little")
    p = (0, 1, 1, 1)
    for i in range(252 if table else _COLUMNS - 1, -1, -1):
        p = _double(p)
        if table and not i & 3:
            n = (k[i >> 3] >> (i & 4) & 15) - 8
            if n:
                a, b, d, c = table[abs(n) - 1]
                p = _add(p, a, b, d, c) if n > 0 else _add(p, b, a, d, -c)
        if i < _COLUMNS:
            n = 0
            for j in range(i + 4 * _COLUMNS, -1, -_COLUMNS):
                n = n << 1 | s[j >> 3] >> (j & 7) & 1
            t = _TABLE[(n if n & 16 else ~n) & 15]
            a = _int(t[:32])
            b = _int(t[32:64])
            c = _int(t[64:])
            p = _add(p, a, b, 2, c) if n & 16 else _add(p, b, a, 2, -c)
    return p


def _decode(encoded):
    """(x, y) of a canonical encoding (RFC 8032 section 5.1.3), else None."""
    y = _int(encoded)
    sign = y >> 255
    y &= (1 << 255) - 1
    u = (y * y - 1) % _P
    v = (_D * y % _P * y + 1) % _P
    w = v * v * v % _P
    z = u * w % _P * w % _P * v % _P
    x = pow(_power(z), 4, _P) * z % _P * w % _P * u % _P  # u v**3 (u v**7) ** ((p - 5) / 8)
    w = v * x % _P * x % _P
    if w != u:
        x = x * _I % _P
    if y >= _P or w not in (u, _P - u) or sign > x:  # sign > x: minus zero
        return None
    return (x if x & 1 == sign else _P - x), y


def _is_small(p):
    """True when 8 p is neutral: p adds nothing to what a signature proves."""
    p = _double(_double(p))
    return not p[0] * p[1] % _P  # x = 0: 4 p is neutral or of order 2


def _negative(public):
    """-A for the public key of point A; None when it is not canonical or of small order."""
    a = _decode(public)
    if a:
        p = (_P - a[0], 1, 1, a[1])
        if not _is_small(p):
            return p
    return None


def public_key(seed):
    """The 32-byte public key of a 32-byte seed; ValueError for another length."""
    if len(seed) != 32:
        raise ValueError("seed length")
    a = _int(sha512(seed)[:32]) & ((1 << 254) - 8) | (1 << 254)
    return _encode(_combine(a % _L))


def is_key(public):
    """True for what may be entered as a public key: 32 bytes, canonical, not of small order."""
    return len(public) == 32 and _negative(public) is not None


def verify(public, message, signature):
    """True when `signature` is `public`'s for `message`; False for every malformed input, never an exception.

    Strict, so that all verifiers agree: S below the group order, canonical encodings only, no public key or R
    of small order, and the equation without cofactor (RFC 8032 section 5.1.7 allows it).
    """
    if len(public) != 32 or len(signature) != 64:
        return False
    s = _int(signature[32:])
    p = _negative(public)
    if s >= _L or not p:
        return False
    table = []
    for _ in range(8):
        e, f, g, h = p
        x = e * f % _P
        y = g * h % _P
        table.append((y - x, y + x, 2 * f * g % _P, 2 * _D * e * h % _P))
        p = _add(p, *table[0])
    encoded = bytes(signature[:32])
    p = _combine(s, _scalar(encoded, public, message), table)
    return not _is_small(p) and _encode(p) == encoded
