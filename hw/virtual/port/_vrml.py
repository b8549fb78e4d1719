# RMT.write_pulses with a level for each duration, or one duration for all levels: as alternating ones, of which
# none may be longer than a pulse (on the chip it may).


def runs(d, v):
    if isinstance(d, int):
        d = [d] * len(v)
    elif len(d) != len(v):
        raise ValueError("duration and data must have same length")
    if not d:
        raise ValueError("No pulses")
    r = []
    last = None
    for n, level in zip(d, v):
        level = 1 if level else 0
        if level == last:
            r[-1] += n
        else:
            r.append(n)
            last = level
    return r, 1 if v[0] else 0
