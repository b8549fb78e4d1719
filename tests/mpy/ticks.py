"""Time and pins as a driver is given them, under both interpreters and in no real time."""


class Ticks:
    """`time` by the millisecond, with counters that wrap as the ESP32's do, at 2^30; `ms` is the true time."""

    def __init__(self, ms=0):
        self.ms = ms

    def ticks_ms(self):
        return self.ms & 0x3FFFFFFF

    def ticks_us(self):
        return self.ms * 1000 & 0x3FFFFFFF

    def ticks_add(self, a, b):
        return a + b & 0x3FFFFFFF

    def ticks_diff(self, a, b):
        return (a - b + 0x20000000 & 0x3FFFFFFF) - 0x20000000

    def sleep_ms(self, ms):
        self.ms += ms


class Micros(Ticks):
    """The same by the microsecond, `us`; a look at it takes `look_us`."""

    look_us = 0

    def __init__(self, us=0):
        self.us = us

    def ticks_ms(self):
        self.us += self.look_us
        return self.us // 1000 & 0x3FFFFFFF

    def ticks_us(self):
        self.us += self.look_us
        return self.us & 0x3FFFFFFF

    def sleep_ms(self, ms):
        self.us += ms * 1000

    def sleep_us(self, us):
        self.us += us


class Pin:
    """Of the board, input or output; `edges`: those that its interrupt has to be for."""

    IRQ_FALLING = 1
    IRQ_RISING = 2
    edges = 3

    def __init__(self, level=0):
        self.level = level
        self.handler = None

    def __call__(self, level=None):
        if level is not None:
            self.level = 1 if level else 0
        return self.level

    def irq(self, handler, trigger=0):
        assert handler is None or trigger == self.edges
        self.handler = handler

    def set(self, level):
        """From outside, with the interrupt."""
        self.level = level
        if self.handler:
            self.handler(self)


class Rising(Pin):
    edges = Pin.IRQ_RISING
