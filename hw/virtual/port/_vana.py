# machine.ADC, an ideal converter of 12 bits.
import _vb as b
from machine import Pin


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_9BIT = 9
    WIDTH_10BIT = 10
    WIDTH_11BIT = 11
    WIDTH_12BIT = 12

    def __init__(self, pin, *, atten=0):
        self.p = Pin(pin).n
        if not (0x1FFFFE if b.cfg[10] >> 48 & 1 else 0xFF0E00F015) >> self.p & 1:
            raise ValueError("invalid pin")
        self.w = 12
        self.atten(atten)

    def init(self, *, atten=0):
        self.atten(atten)

    def atten(self, a):
        if not 0 <= a <= 3:
            raise ValueError("invalid atten")
        self.a = (950000, 1250000, 1750000, 3100000)[a]  # full scale

    def width(self, w):
        if not 9 <= w <= 12:
            raise ValueError("invalid bits")
        self.w = w

    def block(self):
        return __import__("_vadc").of(self.p)

    def read_uv(self):
        b.charge(b.cfg[4])
        full = self.a
        return min(full, int.from_bytes(b.call(97, self.p), "little")) * 4095 // full * full // 4095

    def read_u16(self):
        v = -(-self.read_uv() * 4095 // self.a)  # read_uv rounded down
        return v << 4 | v >> 8

    def read(self):
        return self.read_u16() >> 16 - self.w
