"""What the further parts of a bin are set to, once, at its start. Loaded for that, then dropped."""


def fit(found, e, refuse, cycles):
    """(list of bin_extras.py or None, `Outputs` or None) for the parts that bin_setup.py has opened."""
    tilt, ds, hatch, compactor, contacts, air = found

    def contact(key):
        n = e.get(key, 0)
        if not n:
            return None, True
        from firmware.drivers.contact import numbered

        return numbered(contacts, n, refuse)

    more = outs = None
    lid, opens = contact(20)
    if tilt or ds or lid:
        up = [e.get(k, 3048 if k == 19 else 2048) - 2048 for k in (17, 18, 19)]
        x, y, z = up
        if not 722500 <= x * x + y * y + z * z <= 1322500:
            refuse("upright")
            up = (0, 0, 1000)
        more = [None, None, False, 0, tilt, ds, lid, opens, e.get(21, 10) * 60000, up, air]
        more += [None, None, 0, 0]
    moved = []
    for i, out in enumerate((hatch, compactor)):
        ack, closed = contact(22 + 2 * i) if out else (None, True)
        most = (3600, 600)[i]  # less than the output's own limit
        longest = e.get(23 + 2 * i, most)
        answer = e.get(26 + i, (5000, 60000)[i])
        if ack and 0 < longest <= most and answer:
            from firmware.furniture.hatch import Hatch

            moved.append([out, Hatch(answer, longest, i == 1), ack, closed, longest, 0])
        else:
            moved.append(None)
            if out:
                refuse(("hatch", "compactor")[i])
    if any(moved):
        from firmware.kinds.bin_outputs import Outputs

        outs = Outputs(moved, cycles)
    return more, outs
