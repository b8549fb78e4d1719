# machine.SPI: the bytes go to the chip models, the time they take is charged here.
import _vb as b


class SPI:
    MSB = 0
    LSB = 1

    def __init__(self, id, baudrate=500000, **k):
        if not 0 < id < 3:
            raise ValueError("SPI(%d) doesn't exist" % id)
        self.i = id
        self.init(baudrate, **k)

    def init(self, baudrate=0, *, polarity=0, phase=0, bits=8, firstbit=0, sck=None, mosi=None, miso=None):
        if baudrate:
            self.u = baudrate

    def deinit(self):
        pass

    def _t(self, n):
        b.charge(b.cfg[3] + n * 8000000 // self.u)

    def write(self, buf):
        buf = b.buf(buf)
        self._t(len(buf))
        b.send(119, self.i, 0, buf)
        b.wrote()

    def write_readinto(self, w, r):
        w = b.buf(w)
        r = b.into(r)
        if len(w) != len(r):
            raise ValueError("buffers must be the same length")
        self._t(len(w))
        b.call(115, self.i, 0, w, r)

    def readinto(self, buf, write=0):
        buf = b.into(buf)
        n = len(buf)
        self._t(n)
        b.call(115, self.i, n << 8 | write & 255, b"", buf)

    def read(self, n, write=0):
        r = bytearray(n)
        self.readinto(r, write)
        return bytes(r)


class SoftSPI(SPI):
    def __init__(self, baudrate=500000, **k):
        self.i = 255
        self.init(baudrate, **k)
