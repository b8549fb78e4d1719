# What of machine.UART is seldom asked for.
# ruff: noqa: RET503 - a return that says nothing costs bytes of the heap
import _vb as b


def readline(u):
    def f():
        r = b""
        while 1:
            c = u.read(1)
            if c is None:
                return r or None
            r += c
            if c == b"\n":
                return r

    return f


def sendbreak(u):
    def f():
        # A zero with even parity, or with 8 bits where there are fewer: one low bit more than a character.
        if u.c[1] == 8 and u.c[2] is not None:
            raise OSError(1)
        u.flush()
        b.wait(b.now + 10000000 // u.c[0])

    return f


def deinit(u):
    return lambda: None
