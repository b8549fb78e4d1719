"""DALI (IEC 62386-101 and -102): forward frames, bits on the wire, backward frames, dimming curves.

A target is the upper seven bits of a frame's first byte: 0..63 a short address, 64..79 group 0..15, 126 all
gear without short address, 127 all gear. Light is permille of the gear's full light, integers everywhere.
"""

# 10^(16 a / 506), a < 32, in 1/4118, then 10^(b / 506), b < 16, in 1/16384. With this unit every level and
# every permille comes out as with exact logarithms, and products stay below 2^30.
_POWERS = (
    b"\x10\x16\x11\x4d\x12\x9c\x14\x03\x15\x86\x17\x26\x18\xe6\x1a\xc7\x1c\xcd\x1e\xfa\x21\x51\x23\xd5"
    b"\x26\x8a\x29\x73\x2c\x94\x2f\xf2\x33\x91\x37\x76\x3b\xa7\x40\x28\x45\x00\x4a\x36\x4f\xd1\x55\xd9"
    b"\x5c\x54\x63\x4d\x6a\xcd\x72\xde\x7b\x8b\x84\xe0\x8e\xe9\x99\xb4"
    b"\x40\x00\x40\x4b\x40\x96\x40\xe1\x41\x2d\x41\x79\x41\xc6\x42\x12\x42\x5f\x42\xad\x42\xfb\x43\x49"
    b"\x43\x98\x43\xe6\x44\x36\x44\x85"
)
_UNIT = 4118 * 16384 >> 6


def command(target, op):
    """The frame of a command (102) to a target."""
    return target << 9 | 0x100 | op


def special(op, data=0):
    """The frame of a special command (102): `op` is the whole first byte."""
    return op << 8 | data


def runs(frame, bits=16):
    """Half bits between edges, from the falling edge of the start bit on: low first, each 1 or 2."""
    out = [1, 1]
    last = 1
    while bits:
        bits -= 1
        bit = frame >> bits & 1
        if bit == last:
            out.append(1)
        else:
            out[-1] = 2
        out.append(1)
        last = bit
    return out


def pulses(frame):
    """Microseconds low, high, low.. of a 16-bit frame with its stop condition (2450 us high)."""
    out = [n * 417 - (n >> 1) for n in runs(frame)]
    if len(out) & 1:
        out.append(2450)
    else:
        out[-1] += 2450
    return out


def backward(us, n, strict=False):
    """The byte of a backward frame, -1 when it is none: the first `n` of `us` are the microseconds between
    edges, low first, up to the last rising edge.

    Edges are put on the grid that the whole length gives, so a gear's clock may be off by 20 % (101, table
    19); one edge may be seen up to half a half bit late, the others a quarter; `strict`: all a sixth. The two
    possible lengths cannot be mistaken for each other: on the wrong grid at least three edges are between two
    places.
    """
    total = 0
    for i in range(n):
        total += us[i]
    for halves in (17, 18):
        if not n & 1 or not 333 * halves <= total <= 500 * halves:
            continue
        t = at = value = late = 0
        for i in range(n):
            t += us[i]
            k = (2 * t * halves + total) // (2 * total)
            if abs(t * halves - k * total) * (6 if strict else 4) > total:
                late += 2 if strict else 1
            # A run of two half bits is between the middles of two bits, at odd places.
            if k - at != 1 and (k - at != 2 or not k & 1):
                late = 9
            if k & 1:
                value = value << 1 | (~i & 1)
            at = k
        if late < 2:
            return value & 0xFF
    return -1


def _power(h):
    """10^(3 h / 506) / 1000 of full light in 1/_UNIT permille, 0 <= h <= 506."""
    r = 3 * h % 506
    p = _POWERS
    a = r >> 3 & ~1
    b = (r & 15) * 2 + 64
    return ((p[a] << 8 | p[a + 1]) * (p[b] << 8 | p[b + 1]) >> 6) * 10 ** (3 * h // 506)


def to_permille(level, linear=False):
    """Light at an arc power level 0..254; logarithmic (102) or linear (207) dimming curve."""
    if linear or not level:
        return (level * 2000 + 254) // 508
    return (_power(2 * level - 2) + _UNIT // 2) // _UNIT


def to_level(permille, linear=False):
    """The level nearest to 0..1000 permille: on the logarithmic curve by ratio. Only 0 is off."""
    if not permille:
        return 0
    if linear:
        return max(1, (permille * 508 + 1000) // 2000)
    n = 1
    step = 128
    while step:
        # Half way between two levels, where the upper one becomes the nearer.
        if n + step < 255 and _power(2 * (n + step) - 3) <= permille * _UNIT:
            n += step
        step >>= 1
    return n
