# machine.time_pulse_us. What a call takes around its polling (20 to 80 us), and once in a train of pulses 200 us
# more, as a soft interrupt would: edges that fall there are not seen when they happen.
import _vb as b
from machine import Pin

_gap = 0


def time_pulse_us(pin, level, timeout=1000000):
    global _gap
    n = Pin(pin).n
    b.jitter(0, 0)
    us = 20 + b.cfg[0] * 61 // 139968
    _gap -= 1
    b.charge(us * 3 // 4 + (0 if _gap else 200))
    asked = b.now
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
    t = b.now - t
    if b.now - asked > 1500:
        _gap = b.cfg[0] % 10 + 1
    b.charge(us // 4)
    return t
