# What the object has that Pin.irq returns, and wake pins; loaded when it is asked for.
import _vb as b


def trigger(pin):
    def f(t=None):
        h = b.handlers.get(pin.n)
        old = h[2] if h else 0
        if h and t is not None:
            pin.irq(h[0], t)
        return old

    return f


def wake(pin):
    def f(trigger, wake):
        if not isinstance(wake, int) or not 2 <= wake <= 7:
            raise ValueError("bad wake value")
        # The pins of the RTC.
        if not (0x3FFFFF if b.cfg[10] >> 48 & 1 else 0xFF0E00F015) >> pin.n & 1:
            raise ValueError("invalid pin for wake")
        b.send(101, 0, (1 if trigger == 5 else 2) << 56 | 1 << pin.n)

    return f
