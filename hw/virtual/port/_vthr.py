# _thread: the other thread runs to its end at once and its work costs the event loop nothing.
import sys

import _vb as b


def start_new_thread(f, args, kw={}):  # noqa: B006 - one object, never changed
    b.bg += 1
    try:
        f(*args, **kw)
    except SystemExit:
        pass
    except Exception as e:
        sys.print_exception(e)
    finally:
        b.bg -= 1


class LockType:
    def __init__(self):
        self.n = False

    def acquire(self, wait=1, timeout=-1):
        if self.n:
            if wait:
                raise RuntimeError("deadlock")
            return False
        self.n = True
        return True

    def release(self):
        self.n = False

    def locked(self):
        return self.n

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *a):
        self.release()


allocate_lock = LockType


def get_ident():
    return 1 + b.bg


def stack_size(n=0):
    return 0
