# machine.I2C: a whole transaction is one request.
import _vb as b
from machine import Pin


class I2C:
    # `i` is the bus: the hardware's number, or 128 + the SCL pin of a soft one.
    def __init__(self, id=-1, *, scl=None, sda=None, freq=400000, timeout=50000):
        if id > 1:
            raise ValueError("I2C(%d) doesn't exist" % id)
        self.i = id if id >= 0 else 128 | Pin(scl).n
        self.u = freq

    def init(self, **k):
        pass

    def _go(self, addr, w, n, into=None, x=0):
        b.charge(b.cfg[4] + (len(w) + n + 2) * 9000000 // self.u)
        return b.call(106, self.i, addr | n << 8 | x << 32, w, into)

    def scan(self):
        r = []
        for a in range(8, 0x78):
            try:
                self._go(a, b"", 0)
                r.append(a)
            except OSError:
                pass
        return r

    def writeto(self, addr, buf, stop=True):
        self._go(addr, buf, 0, None, not stop)
        return len(buf)

    def writevto(self, addr, v, stop=True):
        return self.writeto(addr, b"".join(v), stop)

    def readfrom_into(self, addr, buf, stop=True):
        self._go(addr, b"", len(buf), buf, 2 | (not stop))

    def readfrom(self, addr, n, stop=True):
        r = bytearray(n)
        self.readfrom_into(addr, r, stop)
        return bytes(r)

    def _mem(self, mem, size):
        return mem.to_bytes(size // 8, "big")

    def readfrom_mem_into(self, addr, mem, buf, *, addrsize=8):
        self._go(addr, self._mem(mem, addrsize), len(buf), buf, 2)

    def readfrom_mem(self, addr, mem, n, *, addrsize=8):
        r = bytearray(n)
        self.readfrom_mem_into(addr, mem, r, addrsize=addrsize)
        return bytes(r)

    def writeto_mem(self, addr, mem, buf, *, addrsize=8):
        self._go(addr, self._mem(mem, addrsize) + bytes(buf), 0)


class SoftI2C(I2C):
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        I2C.__init__(self, -1, scl=scl, freq=freq)
