# machine.WDT. Not fed in time, it resets the board wherever the board is.
import _vb as b


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id or timeout <= 0:
            raise ValueError
        self.t = timeout * 1000
        self.feed()

    def feed(self):
        b.wdt = b.now + self.t
        b.send(87, 0, b.wdt)
        b.flush()
        b.plan()
