# machine.SoftI2C: a bus made of two pins. What is sent bit by bit between start and stop is one transaction too.
import _vb as b
from _vi2c import I2C


class SoftI2C(I2C):
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        self._on(3, scl, sda, freq)
        self.w = None

    def start(self):
        self._out(1)
        self.w = b""

    def _out(self, x=0):
        # What has been written since the start goes out when it is known that no more comes.
        w = self.w
        if w and not w[0] & 1:
            self._go(w[0] >> 1, w[1:], 0, None, x)
        self.w = None

    def write(self, buf):
        if self.w is None:
            raise OSError(19)
        n = len(buf)
        if not self.w and n:
            # Whether somebody is there.
            try:
                self._go(buf[0] >> 1, b"", 0, None, 1)
            except OSError:
                return 0
        self.w += b.buf(buf)
        return n

    def readinto(self, buf, nack=True):
        w = self.w
        if not w or not w[0] & 1:
            raise OSError(19)
        buf = b.into(buf)
        self._go(w[0] >> 1, b"", len(buf), buf, 3)

    def stop(self):
        self._out()
