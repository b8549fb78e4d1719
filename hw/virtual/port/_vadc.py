# machine.ADCBlock: the two converters, their pins in the order of their channels.
import _vb as b
from machine import ADC, Pin


def _pins(unit):
    if b.cfg[10] >> 48 & 1:
        return tuple(range(1, 11) if unit == 1 else range(11, 21))
    return (36, 37, 38, 39, 32, 33, 34, 35) if unit == 1 else (4, 0, 2, 15, 13, 12, 14, 27, 25, 26)


def of(pin):
    return ADCBlock(1 if pin in _pins(1) else 2)


class ADCBlock:
    def __init__(self, unit, *, bits=12):
        if unit not in (1, 2):
            raise ValueError("invalid block id")
        self.u = unit
        self.init(bits=bits)

    def init(self, *, bits=12):
        if not 9 <= bits <= 12:
            raise ValueError("invalid bits")
        self.w = bits

    def connect(self, *a, **k):
        # A channel, a pin, or both.
        pins = _pins(self.u)
        if len(a) == 1 and isinstance(a[0], int):
            if not 0 <= a[0] < len(pins):
                raise ValueError("no matching ADC channel")
            pin = pins[a[0]]
        else:
            pin = Pin(a[-1]).n
            if pin not in pins or (len(a) == 2 and pins[a[0]] != pin):
                raise ValueError("no matching ADC channel")
        adc = ADC(pin, **k)
        adc.width(self.w)
        return adc
