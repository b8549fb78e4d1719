# machine.PWM.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap
import _vb as b
from machine import Pin


class PWM:
    def __init__(self, pin, freq=5000, duty=None, *, duty_u16=None, duty_ns=None, invert=0):
        self.p = n = Pin(pin).n
        if not b.cfg[11] >> n & 1:
            raise ValueError("PWM not supported on Pin(%d)" % n)
        self.f = freq
        self.d = 32768
        self.init(freq, duty, duty_u16=duty_u16, duty_ns=duty_ns)

    def init(self, freq=None, duty=None, *, duty_u16=None, duty_ns=None, invert=0):
        if freq is not None:
            if not 0 < freq <= 40000000:
                raise ValueError("frequency must be from 1Hz to 40MHz")
            self.f = freq
        if duty_ns is not None:
            duty_u16 = (duty_ns * self.f * 65535 + 500000000) // 1000000000 if duty_ns >= 0 else -1
        if duty is not None:
            duty_u16 = duty << 6
        if duty_u16 is not None:
            if not 0 <= duty_u16 <= 65535:
                raise ValueError("duty out of range")
            self.d = duty_u16
        b.send(112, self.p, self.f << 16 | self.d)
        b.wrote()

    def freq(self, f=None):
        if f is None:
            return self.f
        self.init(f)

    def duty_u16(self, d=None):
        if d is None:
            return self.d
        self.init(duty_u16=d)

    def duty(self, d=None):
        if d is None:
            return self.d >> 6
        self.init(duty=d)

    def duty_ns(self, d=None):
        if d is None:
            return self.d * 1000000000 // (65535 * self.f)
        self.init(duty_ns=d)

    def deinit(self):
        b.send(112, self.p, 0)
        b.wrote()
