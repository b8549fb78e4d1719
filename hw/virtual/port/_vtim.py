# machine.Timer, soft callbacks only.
import _vb as b

_t = {}


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    def __new__(cls, id, **k):
        # A number is one timer, however often it is asked for; -1 is a new one in software each time.
        t = _t.get(id)
        if t is None:
            if not -1 <= id < 4:
                raise ValueError("invalid Timer number, max 4")
            t = object.__new__(cls)
            if id >= 0:
                _t[id] = t
        return t

    def __init__(self, id, **k):
        if k:
            self.init(**k)

    def init(self, *, mode=1, callback=None, period=0xFFFFFFFF, tick_hz=1000, freq=0, hard=False):
        if hard:
            raise ValueError("hard Timers are not implemented")
        self.deinit()
        ms = int(1000 / freq) if freq else (period | 0) * 1000 // tick_hz
        self.t = b.now
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

    def value(self):
        # Milliseconds since it began, or since its last period did.
        ms = (b.now - self.t) // 1000
        return ms % self.ms if self.ms else ms
