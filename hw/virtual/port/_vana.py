# machine.ADC (an ideal converter of 12 bits) and DAC.
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

    def __init__(self, pin, atten=0):
        self.p = Pin(pin).n
        self.a = atten
        self.w = 12

    def init(self, *, atten=0):
        self.a = atten

    atten = init

    def width(self, w):
        if not 9 <= w <= 12:
            raise ValueError("invalid bits")
        self.w = w

    def read_uv(self):
        b.charge(b.cfg[4])
        full = (950000, 1250000, 1750000, 3100000)[self.a]
        v = int.from_bytes(b.call(97, self.p), "little")
        return min(full, v) * 4095 // full * full // 4095

    def read_u16(self):
        v = -(-self.read_uv() * 4095 // (950000, 1250000, 1750000, 3100000)[self.a])  # read_uv rounded down
        return v << 4 | v >> 8

    def read(self):
        return self.read_u16() >> 16 - self.w


class DAC:
    def __init__(self, pin):
        self.p = Pin(pin).n
        if self.p not in (25, 26):
            raise ValueError("invalid pin")

    def write(self, v):
        if not 0 <= v <= 255:
            raise ValueError("value out of range")
        b.send(100, self.p, v)
        b.wrote()
