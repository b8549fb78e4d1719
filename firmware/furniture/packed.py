"""The parts of a compact plan, of which all at once would take much heap. Loaded when asked, then dropped."""

from firmware.protocols.cbor import decode


def walk(blob, pos, found=None, most=99):
    """The position behind the item at `pos`; `found` gets up to `most` items of an array, still encoded, and then
    the position is that behind the last of them."""
    major = blob[pos] >> 5
    count = blob[pos] & 31
    pos += 1
    if count > 23:
        size = 1 << count - 24
        count = int.from_bytes(blob[pos : pos + size], "big")
        pos += size
    if major == 4:
        for _ in range(min(count, most)):
            start = pos
            pos = walk(blob, pos)
            if found is not None:
                found.append(blob[start:pos])
    elif major > 1:
        pos += count
    return pos


def parts(blob, most=99):
    """The first items of an encoded array, still encoded."""
    found = []
    walk(blob, 0, found, most)
    return found


def place(plan):
    """[zone, latitude and longitude in 1/10000 degree] of a plan that `plan.check` accepted, or of its begin."""
    return [decode(part) for part in parts(plan, 4)[1:]]
