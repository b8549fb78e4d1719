# machine.Signal.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap


class Signal:
    def __init__(self, pin, *a, invert=False, **k):
        if a or k:
            from machine import Pin

            pin = Pin(pin, *a, **k)
        elif not hasattr(pin, "value"):
            raise TypeError("pin expected")
        self.p = pin
        self.i = 1 if invert else 0

    def value(self, v=None):
        if v is None:
            return self.p.value() ^ self.i
        self.p.value((1 if v else 0) ^ self.i)

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)
