# machine.time_pulse_us.
import _vb as b
from machine import Pin


def time_pulse_us(pin, level, timeout=1000000):
    n = Pin(pin).n
    for err in (-2, -1):
        t = b.now
        end = t + timeout
        while 1:
            if b.now >= b.pv:
                b.call(65, 0, b.now)
            if (b.pins >> n & 1 == level) == (err < -1):
                break
            if b.now >= end:
                return err
            b.wait(end, 16 + n)
    return b.now - t
