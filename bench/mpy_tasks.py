# mypy: ignore-errors
"""Runs on a virtual board before the application: tells how long each task lets no other run at most.

Lines `stretch NAME MICROSECONDS` by the board's own clock, at each new longest of a task that the
supervisor keeps. Put beside main.py by bench/tasks.py.
"""

import time

from firmware.supervisor import Supervisor


class Timed:
    """A coroutine whose turns are timed."""

    def __init__(self, name, coro):
        self.name = name
        self.coro = coro
        self.longest = 0

    def _turn(self, call, value):
        began = time.ticks_us()
        try:
            return call(value)
        finally:
            took = time.ticks_diff(time.ticks_us(), began)
            if took > self.longest:
                self.longest = took
                print("stretch", self.name, took)

    def send(self, value):
        return self._turn(self.coro.send, value)

    def throw(self, error):
        return self._turn(self.coro.throw, error)

    def close(self):
        self.coro.close()


_keep = Supervisor._keep
Supervisor._keep = lambda self, name, *rest: Timed(name, _keep(self, name, *rest))
