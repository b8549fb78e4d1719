"""Alarms with a begin and an end: what must hold for n samples before it counts, both ways. Pure."""


class Alarms:
    """`mask` has the bits of the field table that stand now; `changed` those that began or ended since the
    owner last set it to 0. `samples`: how many in a row begin an alarm and, without `ends`, end it, 1..255."""

    def __init__(self, count, samples=3, ends=0):
        self.mask = 0
        self.changed = 0
        self._counts = bytearray(count)
        self._samples = (samples, ends or samples)

    def judge(self, bit, bad):
        """One sample; None is no evidence, and neither counts nor starts the count again."""
        if bad is None:
            return
        n = 0
        on = self.mask >> bit & 1
        if bad != on:
            n = self._counts[bit] + 1
            if n >= self._samples[on]:
                self.mask ^= 1 << bit
                self.changed |= 1 << bit
                n = 0
        self._counts[bit] = n

    def above(self, bit, value, limit, margin):
        """`value` above `limit` is bad; an alarm that stands ends `margin` below. None is no evidence."""
        if value is not None:
            self.judge(bit, value > (limit - margin if self.mask >> bit & 1 else limit))
