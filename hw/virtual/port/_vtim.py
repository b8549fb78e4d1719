# machine.Timer, soft callbacks only.
import _vb as b


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id, **k):
        if id > 3:
            raise ValueError("Timer doesn't exist")
        self.at = 0
        if k:
            self.init(**k)

    def init(self, *, mode=1, period=-1, freq=0, callback=None, hard=False):
        if hard:
            raise ValueError("hard Timers are not implemented")
        self.deinit()
        ms = int(1000 / freq) if freq else period
        self.ms = ms if mode else 0
        self.fn = callback
        self.at = b.now + ms * 1000
        if callback:
            b.timers.append(self)
        b.plan()

    def deinit(self):
        if self in b.timers:
            b.timers.remove(self)
        b.plan()
