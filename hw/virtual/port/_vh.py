# What stays of the start: charged imports and calls, collections, the event loop's turn, the console.
import builtins
import sys

import _vb as b

_import = builtins.__import__
_print = builtins.print
_depth = 0
_last = 0
_peak = 0
_count = 0
_stack = []
# Old names that 1.21 and later still take for built-in modules: else they would lead past the stand-ins.
_U = " uasyncio umachine uos uselect usocket ussl utime "


def turn(t=1):
    # One pass of the event loop; a fall of the heap's use is a collection that ran by itself. t = 0: one that
    # was asked for, and what is left is the live set.
    global _last, _peak
    if t:
        b.charge(b.cfg[5])
    else:
        _gc.collect()
    n = _gc.mem_alloc()
    # On a 32-bit interpreter the clock's integers are garbage too, as much of it as the host's timing makes.
    if not t or (n < _last and b._T == "l"):
        b.send(77, 1 + t, n)
        b.charge(b.jitter(b.cfg[6], b.cfg[7]))
    _last = n
    if n > _peak:
        _peak = n + 512
        b.send(77, 0, n)


b.turn = turn


def _timed(fn, typ, worst):
    def call(*a, **k):
        global _depth
        _depth += 1
        try:
            return fn(*a, **k)
        finally:
            _depth -= 1
            # A function that is charged pays for those it calls.
            if not _depth:
                b.wait(b.now + b.jitter(typ, worst))

    return call


def hook(name, g=None, lo=None, fr=None, level=0):
    global _count
    if level and g is None:
        # MicroPython 1.25 does not say who asks: the module that is being imported, or asyncio's late loader.
        p = "asyncio" if fr is True else _stack[-1]
        if not hasattr(sys.modules[p], "__path__"):
            p = p.rpartition(".")[0]
        name = p + "." + name if name else p
        level = 0
    if " " + name + " " in _U:
        name = name[1:]
    p = name.rpartition(".")[0]
    if p and p not in sys.modules and not level:
        hook(p)
    if (name == "asyncio" or name == "_thread") and name not in sys.modules:
        # Built-in modules that the path cannot replace.
        a = name == "asyncio"
        sys.modules["_asyncio" if a else name] = _import("_va" if a else "_vthr")
    _stack.append(name)
    # What is new by its name; asked for relatively, all that is there. Their list is long for a board's heap.
    t = name if name not in sys.modules else ""
    try:
        m = _import(name, g, lo, fr, level)
        # `__import__` with a list of names that are not there is no error, only `from machine import I2S` is:
        # our own modules, which are loaded in the first way, lie in packages.
        if fr and fr is not True and (hasattr(m, "__path__") or "." not in name):
            # `from package import module`: left alone, the interpreter would load it without coming here.
            for f in fr:
                if f == "*":
                    _import("_vstar").star(m)
                elif not hasattr(m, f):
                    if not hasattr(m, "__path__"):
                        raise ImportError("can't import name " + f)
                    f = m.__name__ + "." + f
                    _stack[-1] = f
                    if f not in sys.modules:
                        t += "\n" + f
                    try:
                        _import(f, None, None, fr, 0)
                    except ImportError:
                        pass
    finally:
        _stack.pop()
    n = _count
    _count = len(sys.modules)
    if t or _count > n:
        p = 0
        if b.cfg[13] & 2:
            try:
                p = sys.modules["os"].stat(m.__file__)[6]
            except (OSError, AttributeError):
                pass  # built in or frozen
        r = b.call(73, not level, p, "\n".join(sys.modules) if level else t)
        if r:
            for row in str(r, "utf8").split("\n"):
                o, q, typ, worst = row.split(" ")
                o = sys.modules[o]
                c, _, q = q.partition(".")
                if q:
                    o = getattr(o, c, None)
                    c = q
                fn = getattr(o, c, None)
                if fn:
                    setattr(o, c, _timed(fn, int(typ), int(worst)))
    if name == "ssl" and b.net:
        _import("socket").patch(m)
    return m


def _say(*a, **k):
    _print(*a, **k)
    b.call(67)


class _Sys(b.Via):
    platform = "esp32"

    def __getattr__(self, n):
        if n[:3] == "std" and n != "stderr":
            import _vcon

            return _vcon.con
        return getattr(self._m, n)


class _Lfs:
    # File times come from the host's clock in C: without them, the same run writes the same bytes.
    def __call__(self, dev, **k):
        k["mtime"] = False
        return self.real(dev, **k)


def place(gc, os, vfs, mp):
    global _gc
    _gc = gc
    lfs = _Lfs()
    lfs.real = vfs.VfsLfs2
    lfs.mkfs = vfs.VfsLfs2.mkfs
    v = b.Via("os", os)
    v.urandom = lambda n: bytes(b.call(82, 0, n))
    w = b.Via("vfs", vfs)
    w.VfsLfs2 = v.VfsLfs2 = lfs
    w.mount = v.mount = lambda d, p, **k: vfs.mount(lfs(d) if hasattr(d, "readblocks") else d, p, **k)
    b.Via("gc", gc).collect = lambda: turn(0)
    b.Via("micropython", mp).kbd_intr = lambda c: b.send(107, c != -1)
    _Sys("sys", sys)
    builtins.__import__ = hook
    builtins.print = _say
    return lfs


def run(files):
    e = 0
    g = {"__name__": "__main__"}
    try:
        for f in files:
            b.send(107, 1)  # a new file starts with Ctrl-C on
            try:
                sys.modules["os"].stat(f)
            except OSError:
                continue
            execfile(f, g)  # noqa: F821 - a built-in here
    except SystemExit:
        b.call(81, 5)
    except BaseException as x:
        sys.print_exception(x)
        e = 1
    b.call(88, e)
