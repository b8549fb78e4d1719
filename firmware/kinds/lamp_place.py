"""Where a plan is. Loaded when asked, then dropped."""

from firmware.protocols.cbor import decode


def place(plan):
    """[zone, latitude and longitude in 1/10000 degree] of a compact plan that `plan.check` accepted."""
    # The items 1 to 3: the whole of a plan would take much heap.
    pos = 2
    found = []
    for _ in range(3):
        start = pos
        count = plan[pos] & 31
        pos += 1
        if count > 23:
            size = 1 << count - 24
            count = int.from_bytes(plan[pos : pos + size], "big")
            pos += size
        if plan[start] >> 5 == 3:
            pos += count
        found.append(decode(plan, start, pos))
    return found
