# machine.UART. Bytes that find the receive buffer full are lost, as on the chip.

import io

import _vb as b
from machine import Pin


class UART(io.IOBase):
    INV_TX = 32
    INV_RX = 4
    INV_RTS = 64
    INV_CTS = 8
    RTS = 1
    CTS = 2

    def __init__(self, id, baudrate=115200, bits=8, parity=None, stop=1, **k):
        if not 0 <= id < 3:
            raise ValueError("UART(%d) doesn't exist" % id)
        self.i = id
        self.c = [115200, 8, None, 1, 256, 0]
        self.p = bytearray(b"\xff\xff")
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
                c[i] = v | 0
        if parity != -1:
            c[2] = parity
        if tx is not None:
            self.p[0] = n = Pin(tx).n
            if not b.cfg[11] >> n & 1:
                raise OSError(1, "ESP_FAIL")
        if rx is not None:
            self.p[1] = Pin(rx).n
        if invert & ~108 or flow & ~3:
            raise ValueError("invalid mask")
        b.send(
            99,
            self.i,
            c[0] | c[1] << 32 | (2 if c[2] is None else c[2] & 1) << 36 | c[3] << 40 | c[4] << 44,
            self.p,
        )

    def any(self):
        b.charge(b.cfg[2])
        if b.now >= b.pv:
            b.call(65, 0, b.now)
        return int.from_bytes(b.call(117, self.i, -1), "little") if b.flags >> 4 + self.i & 1 else 0

    def _get(self, n, into=None):
        # The driver waits for all bytes as long as none is missing for `timeout`; what came less is asked for once
        # more, so that a read that falls short ends two of them after its last byte.
        k = new = 0
        r = b""
        t = self.c[5] * 1000
        while k < n:
            end = b.now + t
            while not self.any():
                if b.now >= end:
                    if not new:
                        return (k if into else r) if k else None
                    new = 0
                    end = b.now + t
                b.wait(end, 2)
            if into:
                new = b.call(117, self.i, n - k, b"", into[k:] if k else into)
                k += new
            else:
                new = b.call(117, self.i, n - k)
                k += len(new)
                r = r + new if r else new
            if not t:
                break
        return k if into else r

    def read(self, n=-1):
        r = self._get(n if n >= 0 else 65535)
        return None if r is None else bytes(r)

    def readinto(self, buf, n=None):
        buf = memoryview(b.into(buf))
        return self._get(len(buf), buf) if n is None else self._get(min(n, len(buf)), buf[:n])

    def write(self, buf):
        buf = b.buf(buf)
        b.charge(b.cfg[3])
        b.send(116, self.i, 0, buf)
        b.wrote()
        return len(buf)

    def txdone(self):
        return not b.call(117, self.i, -2)[0]

    def flush(self):
        while not self.txdone():
            b.wait(b.now + 100)

    def __getattr__(self, n):
        return getattr(__import__("_vse2"), n)(self)

    def ioctl(self, req, arg):
        if req == 3:
            return arg & (5 if self.any() else 4)
        return -1
