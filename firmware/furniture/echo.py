"""One distance out of a burst of echoes: outliers go by the median's own spread. Pure; millimetres."""

from firmware.protocols.compat import const

_SAMPLES = const(24)  # of a vector in the field table


def median(values):
    """Upper median of a list that is not empty."""
    return sorted(values)[len(values) // 2]


def burst(samples):
    """(distance mm, quality %, echoes kept); (None, 0, 0) without an echo; None in `samples` is a missing one.

    Kept is what lies within 3 standard deviations of the median, told from the median absolute deviation
    (1.4826 of it is one) of 1 mm at least. Quality is the share of all samples within 2 cm of the median.
    """
    echoes = [s for s in samples if s is not None]
    if not echoes:
        return None, 0, 0
    middle = median(echoes)
    off = [abs(e - middle) for e in echoes]
    reach = 44478 * max(median(off), 1)
    kept = [e for e in echoes if abs(e - middle) * 10000 <= reach]
    # 2 cm: twice the A02YYUW's stated accuracy.
    agree = len([o for o in off if o <= 20])
    return median(kept), 100 * agree // len(samples), len(kept)


def older(samples, mm):
    """`samples`, newest first, with the burst of `mm` before them, at most 25. 0 is a burst without an echo, so
    that each keeps its place in time; at the old end there is none."""
    samples = [mm or 0] + samples[:_SAMPLES]
    while samples and not samples[-1]:
        samples.pop()
    return samples


def in_air(mm, temperature):
    """The true distance where a sensor that reckons with 20 degC says `mm` at `temperature` (0.1 degC).

    Sound is 0.606 m/s faster a K: at -10 degC 1000 mm read as 1056. Not for sensors that correct it themselves.
    """
    return mm * (3313000 + 606 * temperature) // 3434200
