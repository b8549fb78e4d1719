# The calendar part of time: the epoch is 2000.
import time

import _vb as b


def gmtime(t=None):
    return b.rt.gmtime((time.time() if t is None else int(t)) + 946684800)[:8]


localtime = gmtime


def mktime(t):
    # The host's mktime is in the host's zone: count the days here.
    y, m, d = t[:3]
    y -= m < 3
    n = y * 365 + y // 4 - y // 100 + y // 400 + (153 * ((m + 9) % 12) + 2) // 5 + d - 730426
    return ((n * 24 + t[3]) * 60 + t[4]) * 60 + t[5]
