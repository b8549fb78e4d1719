# The chip's clock: ticks wrap at 2^30, the epoch is 2000, time passes only where something is charged.
import _vb as b


def ticks_ms():
    b.charge(b.cfg[1])
    return b.now // 1000 & 0x3FFFFFFF


def ticks_us():
    b.charge(b.cfg[1])
    return b.now & 0x3FFFFFFF


ticks_cpu = ticks_us


def ticks_add(t, d):
    return t + d & 0x3FFFFFFF


def ticks_diff(a, c):
    return (a - c + 0x20000000 & 0x3FFFFFFF) - 0x20000000


def sleep_us(t):
    if t | 0 > 0:  # a float is a TypeError
        b.wait(b.now + t)


def sleep_ms(t):
    sleep_us(t * 1000)


def sleep(t):
    sleep_us(int(t * 1000000))


def time_ns():
    return (b.cfg[14] + b.now) * 1000


def time():
    return (b.cfg[14] + b.now) // 1000000


def __getattr__(n):
    return getattr(__import__("_vcal"), n)
