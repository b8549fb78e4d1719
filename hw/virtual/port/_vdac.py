# machine.DAC.
import _vb as b
from machine import Pin


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
