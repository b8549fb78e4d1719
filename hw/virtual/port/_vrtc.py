# machine.RTC: the calendar, and the 2,048 bytes that survive deep sleep and resets.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap
import time

import _vb as b


class RTC:
    def __init__(self):
        pass

    def datetime(self, t=None):
        if t is None:
            g = time.gmtime()
            return g[:3] + (g[6],) + g[3:6] + ((b.cfg[14] + b.now) % 1000000,)
        b.cfg[14] = time.mktime(t[:3] + t[4:7]) * 1000000 + t[7] - b.now
        b.send(114, 0, b.cfg[14])

    def init(self, t):
        self.datetime(t)

    def memory(self, d=None):
        if d is None:
            return bytes(b.call(103) or b"")
        if isinstance(d, str):
            d = d.encode()
        if len(d) > 2048:
            raise ValueError("buffer too long")
        b.send(71, 0, 0, d)
