# machine.UART. Bytes that find the receive buffer full are lost, as on the chip.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap
import io

import _vb as b


class UART(io.IOBase):
    INV_TX = 16
    INV_RX = 4

    def __init__(self, id, baudrate=115200, bits=8, parity=None, stop=1, **k):
        if not 0 <= id < 3:
            raise ValueError("UART(%d) doesn't exist" % id)
        self.i = id
        self.c = [115200, 8, None, 1, 256, 0]
        self.init(baudrate, bits, parity, stop, **k)

    def init(
        self,
        baudrate=None,
        bits=None,
        parity=-1,
        stop=None,
        *,
        tx=None,
        rx=None,
        txbuf=256,
        rxbuf=None,
        timeout=None,
        timeout_char=0,
        invert=0,
        flow=0,
        rts=None,
        cts=None,
    ):
        c = self.c
        for i, v in ((0, baudrate), (1, bits), (3, stop), (4, rxbuf), (5, timeout)):
            if v is not None:
                c[i] = v
        if parity != -1:
            c[2] = parity
        b.send(99, self.i, c[0] | c[1] << 32 | (2 if c[2] is None else c[2]) << 36 | c[3] << 40 | c[4] << 44)

    def deinit(self):
        pass

    def any(self):
        b.charge(b.cfg[2])
        if b.now >= b.pv:
            b.call(65, 0, b.now)
        return int.from_bytes(b.call(117, self.i, -1), "little") if b.flags >> 4 + self.i & 1 else 0

    def _get(self, n, into=None):
        end = b.now + self.c[5] * 1000
        while not self.any():
            if b.now >= end:
                return None
            b.wait(end, 2)
        return b.call(117, self.i, n, None, into)

    def read(self, n=-1):
        r = self._get(n if n >= 0 else 65535)
        return None if r is None else bytes(r)

    def readinto(self, buf, n=None):
        n = len(buf) if n is None else n
        return self._get(n, memoryview(buf)[:n])

    def readline(self):
        r = b""
        while 1:
            c = self._get(1)
            if c is None:
                return r or None
            r += c
            if c == b"\n":
                return r

    def write(self, buf):
        if isinstance(buf, str):
            buf = buf.encode()
        b.charge(b.cfg[3])
        b.send(116, self.i, 0, buf)
        b.wrote()
        return len(buf)

    def txdone(self):
        return not b.call(117, self.i, -2)[0]

    def flush(self):
        while not self.txdone():
            b.wait(b.now + 100)

    def ioctl(self, req, arg):
        if req == 3:
            return arg & (5 if self.any() else 4)
        return -1
