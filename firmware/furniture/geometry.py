"""How full a container is by volume, from the distance to its contents. Pure; millimetres, integers.

A shape is (empty, full, sizes...): distances to the bottom and to the full mark; then nothing for a prism, the
diameter of a lying cylinder, or the four sizes of a frustum: width and depth at the bottom, width and depth at the
full mark (round ones: the diameter twice). `bin.check` refuses what is none of these.
"""

# Area of a circle below n/64 of its diameter, n = 0..32, in 1/65536 of the circle. Straight lines between them
# are off by 0.5 per mille at most.
_SEGMENTS = (
    b"\x00\x00\x00\xd8\x02\x61\x04\x59\x06\xa9\x09\x44\x0c\x1e\x0f\x32\x12\x78\x15\xed\x19\x8c"
    b"\x1d\x51\x21\x3a\x25\x44\x29\x6c\x2d\xaf\x32\x0c\x36\x81\x3b\x0b\x3f\xa9\x44\x59\x49\x1a"
    b"\x4d\xe9\x52\xc6\x57\xaf\x5c\xa3\x61\x9f\x66\xa4\x6b\xae\x70\xbe\x75\xd2\x7a\xe8\x80\x00"
)


def _segment(h, size):
    if h * 2 > size:
        return (size << 16) - _segment(size - h, size)
    n = h * 64 // size * 2
    low = _SEGMENTS[n] << 8 | _SEGMENTS[n + 1]
    if n == 64:
        return low * size
    high = _SEGMENTS[n + 2] << 8 | _SEGMENTS[n + 3]
    return low * size + (high - low) * (h * 64 % size)


def _volume(h, shape):
    """Below the height `h`, in units that only its ratio to another height is told in."""
    if len(shape) == 2:
        return h
    if len(shape) == 3:
        return _segment(h, shape[2])
    a, b, to_a, to_b = shape[2:]
    top = shape[0] - shape[1]
    to_a = a * top + (to_a - a) * h
    to_b = b * top + (to_b - b) * h
    a *= top
    b *= top
    # Prismatoid: the area at half height counts four times.
    return h * (a * b + (a + to_a) * (b + to_b) + to_a * to_b)


def permille(distance_mm, shape):
    """0 at the bottom, 1000 at the full mark, clipped to that range, rounded."""
    top = shape[0] - shape[1]
    h = min(max(shape[0] - distance_mm, 0), top)
    whole = _volume(top, shape)
    return (_volume(h, shape) * 1000 + whole // 2) // whole
