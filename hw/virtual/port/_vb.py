# The board's end of the two pipes, and its clock. See ipc.py for the frames.
# Everything here lives in the heap of the firmware under test: every name and object is counted.
import sys
from array import array
from struct import pack_into as _pack

# The element must be 8 bytes; reading one of type "l" allocates nothing, "q" would.
_T = "l" if sys.maxsize >> 40 else "q"
_fi = open(3, "rb")
_rd = _fi.readinto
_wr = open(4, "wb").write
_q = bytearray(280)
_n = 0
_h = array(_T, (0, 0, 0, 0))
now = 0  # us since this boot, on this board's crystal
hor = 0  # nothing can reach this board before this instant
pins = 0  # levels of its inputs, true until pv
pv = 0
flags = 0  # 1 refused, 2 Ctrl-C, 4 console bytes wait, 16.. UARTs with bytes
due = 1 << 60  # next timer or watchdog
wdt = 1 << 60
timers = []
handlers = {}
lock = 0
_pend = b""
cfg = None  # integers of ipc.CONFIG
net = None  # the real select and socket, where they are allowed
bg = 0  # inside a thread: its time is not the event loop's
_W = bytearray, memoryview
_B = bytes, bytearray, memoryview


def gone():
    # The host is away: end at once, whatever the firmware would catch.
    while 1:
        __import__("os").system("kill -9 $PPID")


def buf(d):
    # What is no buffer is refused before anything is queued, else the pipe would be out of step.
    if isinstance(d, str):
        return d.encode()
    return d if isinstance(d, _B) else bytes(memoryview(d))


def into(d):
    # The same for what is read into.
    return d if isinstance(d, _W) else __import__("_vraw").raw(d)


def send(op, a=0, x=0, data=b""):
    # Kept until an answer is wanted: one write to the pipe instead of many.
    global _n
    data = buf(data)
    n = len(data)
    if _n + n > 232:
        flush()
    i = _n + 24
    if n <= 232:
        if n:
            try:
                _q[i : i + n] = data
            except ValueError:  # a view of wider elements
                send(op, a, x, bytes(data))
                return
        _pack("<Qqq", _q, _n, op | a << 8 | n << 24, now, x)
        _n = i + n
        return
    if isinstance(data, memoryview):
        data = bytes(data)
        n = len(data)
    _pack("<Qqq", _q, _n, op | a << 8 | n << 24, now, x)
    _wr(memoryview(_q)[:24])
    i = 0
    while i < n:
        i += _wr(memoryview(data)[i:])


def flush():
    # Always the whole block, with a filler: a slice of it would be an object on the heap.
    global _n
    if _n:
        _pack("<Q", _q, _n, 256 - _n << 24)
        _n = 0
        try:
            _wr(_q)
        except OSError:
            gone()


def call(op, a=0, x=0, data=b"", into=None):
    global now, hor, pv, pins, flags
    send(op, a, x, data)
    flush()
    if _rd(_h) != 32:
        gone()
    now = _h[0]
    pv = hor = _h[1]
    pins = _h[2]
    m = _h[3]
    flags = f = m >> 40
    k = m >> 32 & 255
    n = m & 0xFFFFFFFF
    r = None
    if n:
        # A refusal is not what was asked for: its text stays out of the caller's buffer.
        if into is None or len(into) < n or f & 1:
            r = into = bytearray(n)
        i = 0
        v = memoryview(into)
        while i < n:
            try:
                i += _rd(v[i:n])
            except TypeError:  # only to be read; the answer has to be taken all the same
                v = bytearray(n)
        if r is None:
            r = n
    if k:
        irqs(_fi.read(k))
    # Not `flags`: a handler may have asked for something meanwhile.
    if f & 3:
        if f & 2:
            raise KeyboardInterrupt
        e, _, t = str(r, "utf8").partition(" ")
        if e == "O":
            e, _, t = t.partition(" ")
            raise OSError(int(e), t) if t else OSError(int(e))
        raise ValueError(t)
    return r


def wrote():
    # A chip was told something: inputs have to be asked for, and an interrupt may come up to 250 us late, the
    # latency of soft ones, so that a command of several writes is not interrupted by questions.
    global hor, pv
    pv = 0
    hor = now + 250


def irqs(p):
    # Soft interrupts: one after the other, none inside another, an error ends only its handler.
    global lock, _pend
    p = _pend + p
    _pend = b""
    if lock:
        _pend = p
        return
    lock = 1
    while p:
        for i in p:
            h = handlers.get(i)
            if h:
                try:
                    h[0](h[1])
                except Exception as e:
                    sys.print_exception(e)
        p = _pend
        _pend = b""
    lock = 0


def _tick():
    # Timers whose time has come; their callbacks are soft interrupts too.
    global lock
    for t in timers[:]:
        if now >= t.at:
            if t.ms:
                t.at += t.ms * 1000
            else:
                timers.remove(t)
            lock = 1
            try:
                t.fn(t)
            except Exception as e:
                sys.print_exception(e)
            lock = 0
            if _pend:
                irqs(b"")
    plan()


def plan():
    global due
    due = wdt
    for t in timers:
        if t.at < due:
            due = t.at


def wait(until, mode=1):
    # mode 0: no handler runs before the end (a call into C); 1: a sleep with interrupts; 2: ends at the
    # first interrupt or byte; 3: light sleep; 16 + n: ends when input n changes.
    global now
    if bg:
        return
    until |= 0  # no float gets into the clock
    while now < until:
        if now >= due and mode and not lock:
            _tick()
            if mode > 1:
                return
            continue
        t = due if mode and not lock else wdt
        if t > until:
            t = until
        if t < hor:
            if t > now:
                now = t
        else:
            call(65, mode, t)  # A
            if mode > 1 and now < t:
                return
        if now >= wdt:
            call(81, 3)  # Q: the watchdog bites
    if now >= due and not lock:
        _tick()


def charge(us):
    # The processor is busy for so long; no other task of this board runs.
    global now
    if bg:
        return
    us += now
    if us < hor and us < due:
        now = us
    else:
        wait(us, 0)


def jitter(typ, worst):
    # Typical, with a tail to the worst: the fourth power of a uniform number below 1.
    cfg[0] = r = (cfg[0] * 3877 + 29573) % 139968
    r = r * 256 // 139968
    r = r * r >> 8
    return typ + ((worst - typ) * (r * r >> 8) >> 8)


class Via:
    # A built-in module with some names replaced.
    def __init__(self, name, m):
        self._m = m
        sys.modules[name] = self

    def __getattr__(self, n):
        m = self._m
        return getattr(m if hasattr(m, n) else __import__("_vadd"), n)
