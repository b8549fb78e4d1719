# The pins and what every board needs; the rest of `machine` is loaded when it is asked for.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap
import _vb as b

_pin = {}


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    def __new__(cls, n, *a, **k):
        p = n if isinstance(n, Pin) else _pin.get(n)
        if p is None:
            if not isinstance(n, int) or n < 0 or not b.cfg[10] >> n & 1:
                raise ValueError("invalid pin")
            p = object.__new__(cls)
            p.n = n
            p.m = 0
            p.v = 0
            _pin[n] = p
        return p

    def __init__(self, n, *a, **k):
        if a or k:
            self.init(*a, **k)

    def init(self, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if mode is not None:
            if mode & 2 and not b.cfg[11] >> self.n & 1:
                raise ValueError("pin can only be input")
            self.m = mode
        if value is not None:
            self.v = 1 if value else 0
        b.send(
            109,
            self.n,
            self.m | (pull or 0) % 16 << 8 | self.v << 16 | (2 if hold is None else hold) << 24,
        )
        b.wrote()

    def value(self, v=None):
        b.charge(b.cfg[2])
        m = self.m
        if v is None:
            # What is driven is what is on the line; an open drain that lets go does not drive.
            if m & 2 and (m < 4 or not self.v):
                return self.v
            if b.now >= b.pv:
                b.call(65, 0, b.now)
            return b.pins >> self.n & 1
        self.v = v = 1 if v else 0
        if m & 2:
            b.send(111, self.n, v)
            if b.cfg[12] >> self.n & 1:
                b.wrote()

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self.v)

    def irq(self, handler=0, trigger=3, wake=None):
        # Also the IRQ object that stock gives back: its methods are in `_virq`.
        if wake is not None and trigger & 4:
            self.wake(trigger, wake)
        elif handler != 0 or trigger != 3:
            b.handlers[self.n] = (handler, self, trigger) if handler else None
            # A level that is awaited is its edge.
            b.send(105, self.n, (6 - trigger if trigger & 4 else trigger) if handler else 0)
            b.wrote()
        return self

    def __getattr__(self, n):
        return getattr(__import__("_virq"), n)(self)

    def __repr__(self):
        return "Pin(%d)" % self.n


def unique_id():
    return b.cfg[17].to_bytes(6, "big")


def reset():
    b.call(81, 2)


def reset_cause():
    return b.cfg[15]


def __getattr__(n):
    # One string: a table of names would be ten times its size on the heap.
    s = (
        " SPI:_vspi SoftSPI:_vspi I2C:_vi2c SoftI2C:_vsi2 UART:_vser ADC:_vana DAC:_vdac PWM:_vpwm Timer:_vtim"
        " RTC:_vrtc WDT:_vwdt time_pulse_us:_vpul "
    )
    i = s.find(" " + n + ":") + len(n) + 2
    return getattr(__import__(s[i : i + 5] if i > len(n) + 1 else "_vmis"), n)
