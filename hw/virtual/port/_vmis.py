# The rest of machine: sleep, constants, pulses.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap
import _vb as b

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
PIN_WAKE = EXT0_WAKE = 2
EXT1_WAKE = 3
TIMER_WAKE = 4
TOUCHPAD_WAKE = 5
ULP_WAKE = 6
SLEEP = 2
DEEPSLEEP = 4


def soft_reset():
    raise SystemExit


def wake_reason():
    return b.cfg[16]


def deepsleep(ms=0):
    b.call(90, 0, ms)


def lightsleep(ms=0):
    b.cfg[16] = b.call(122, 0, b.now + ms * 1000 if ms else 1 << 59)[0]


def freq(f=None):
    if f is None:
        return b.cfg[18]
    if f not in (20000000, 40000000, 80000000, 160000000, 240000000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    b.cfg[18] = f


def idle():
    b.charge(b.cfg[5])


def disable_irq():
    s = b.lock
    b.lock = 1
    return s


def enable_irq(s):
    b.lock = s
    if not s and b._pend:
        b.irqs(b"")


def __getattr__(n):
    return getattr(__import__("_vmor"), n)
