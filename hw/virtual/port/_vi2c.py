# machine.I2C: a whole transaction is one request.
import _vb as b
from machine import Pin

_pins = {}


class I2C:
    # `i` says where the bus is: its number (3: none, it is made of pins), SCL and SDA (63: not told) with 6 bits.
    def __init__(self, id, *, scl=None, sda=None, freq=400000, timeout=50000):
        if not 0 <= id < 2:
            raise ValueError("I2C(%d) doesn't exist" % id)
        self._on(id, scl, sda, freq)

    def _on(self, id, scl, sda, freq):
        # Those of the last time stay.
        i = _pins.get(id, 0xFFFC)
        if scl is not None:
            i = i & 0xFF03 | Pin(scl).n << 2
        if sda is not None:
            i = i & 0xFF | Pin(sda).n << 8
        _pins[id] = i = i & 0x3FFC | id
        self.i = i
        self.u = freq | 0

    def init(self, scl=None, sda=None, *, freq=400000, timeout=0):
        self._on(self.i & 3, scl, sda, freq)

    def _go(self, addr, w, n, into=None, x=0):
        b.charge(b.cfg[4] + (len(w) + n + 2) * 9000000 // self.u)
        return b.call(106, self.i, addr | n << 8 | x << 32 | self.u << 34, w, into)

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
        buf = b.buf(buf)
        r = self._go(addr, buf, 0, None, not stop)
        return r[0] if r else len(buf)  # of pins: what was acknowledged

    def writevto(self, addr, v, stop=True):
        w = b""
        for x in v:
            w += b.buf(x)
        return self.writeto(addr, w, stop)

    def readfrom_into(self, addr, buf, stop=True):
        buf = b.into(buf)
        self._go(addr, b"", len(buf), buf, 2 | (not stop))

    def readfrom(self, addr, n, stop=True):
        r = bytearray(n)
        self.readfrom_into(addr, r, stop)
        return bytes(r)

    def _mem(self, mem, size):
        if size & 7 or not 0 <= size <= 32:
            raise ValueError("invalid addrsize")
        return (mem & (1 << size) - 1).to_bytes(size // 8, "big")

    def readfrom_mem_into(self, addr, memaddr, arg, *, addrsize=8):
        arg = b.into(arg)
        self._go(addr, self._mem(memaddr, addrsize), len(arg), arg, 2)

    def readfrom_mem(self, addr, memaddr, arg, *, addrsize=8):
        r = bytearray(arg)
        self.readfrom_mem_into(addr, memaddr, r, addrsize=addrsize)
        return bytes(r)

    def writeto_mem(self, addr, memaddr, arg, *, addrsize=8):
        self._go(addr, self._mem(memaddr, addrsize) + b.buf(arg), 0)
