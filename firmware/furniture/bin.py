"""Bin: fill level from the distance to the contents. Pure; millimetres in, per cent out.

Ultrasonic echoes are prone to outliers, so a reading is the median of a burst, its quality is the share of
echoes that agree with it, and the class changes only beyond a margin.
"""

from firmware.protocols.compat import const

# Echoes within this distance of the median support it: twice the A02YYUW's stated accuracy of 1 cm.
_AGREE_MM = const(20)
# Fill classes are quarters; the class leaves its neighbour only beyond this margin.
_MARGIN_PERCENT = const(3)


def median(samples):
    """(median mm, quality %) of the echoes, (None, 0) for none; None in `samples` is a missing echo."""
    echoes = sorted([s for s in samples if s is not None])
    if not echoes:
        return None, 0
    middle = echoes[len(echoes) // 2]
    agree = 0
    for e in echoes:
        if abs(e - middle) <= _AGREE_MM:
            agree += 1
    return middle, 100 * agree // len(samples)


def fill_percent(distance_mm, empty_mm, full_mm):
    """0 at the distance of the empty bin, 100 at the full mark, clipped to that range."""
    if distance_mm >= empty_mm:
        return 0
    if distance_mm <= full_mm:
        return 100
    return (100 * (empty_mm - distance_mm) + (empty_mm - full_mm) // 2) // (empty_mm - full_mm)


def fill_class(fill, before=None):
    """Quarter 0 (empty) to 4 (full), nearest; keeps `before` until the fill is 3 % beyond the border."""
    nearest = (fill + 12) // 25
    if before is None or nearest == before:
        return nearest
    centre = before * 25
    return before if abs(fill - centre) <= 12 + _MARGIN_PERCENT else nearest
