# The rest of esp32: wake sources.
import _vb as b

WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True
HEAP_DATA = 4
HEAP_EXEC = 1


def wake_on_ext0(pin=None, level=0):
    b.send(101, 0, 0 if pin is None else (1 if level else 2) << 56 | 1 << pin.n)


def wake_on_ext1(pins=None, level=False):
    m = 0
    for p in pins or ():
        m |= 1 << p.n
    b.send(101, 1, (1 if level else 2) << 56 | m if m else 0)


def gpio_deep_sleep_hold(on):
    b.send(101, 2, 1 if on else 0)


def wake_on_touch(on):
    pass


def wake_on_ulp(on):
    pass


def idf_heap_info(cap):
    return []
