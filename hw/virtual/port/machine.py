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
        if v is None:
            if self.m & 2:
                return self.v
            if b.now >= b.pv:
                b.call(65, 0, b.now)
            return b.pins >> self.n & 1
        self.v = v = 1 if v else 0
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

    def irq(self, handler=None, trigger=3, wake=None):
        if wake is not None:
            raise ValueError("wake: use esp32.wake_on_ext0")
        b.handlers[self.n] = (handler, self) if handler else None
        b.send(105, self.n, trigger if handler else 0)
        b.wrote()
        return self

    def __repr__(self):
        return "Pin(%d)" % self.n


def unique_id():
    return b.cfg[17].to_bytes(6, "big")


def reset():
    b.call(81, 2)


def reset_cause():
    return b.cfg[15]


def __getattr__(n):
    for m, names in (
        ("_vspi", ("SPI", "SoftSPI")),
        ("_vi2c", ("I2C", "SoftI2C")),
        ("_vser", ("UART",)),
        ("_vana", ("ADC", "DAC")),
        ("_vpwm", ("PWM",)),
        ("_vtim", ("Timer",)),
        ("_vrtc", ("RTC",)),
        ("_vwdt", ("WDT",)),
        ("_vpul", ("time_pulse_us",)),
        ("_vmis", (n,)),
    ):
        if n in names:
            return getattr(__import__(m), n)
