"""Starts the long-lived tasks by name, restarts what fails, and feeds the watchdog while all of them live.

Nobody else creates tasks or feeds the watchdog.
"""

import asyncio
import gc
import sys
import time

from firmware.protocols.compat import const

_FIRST_WAIT_MS = const(1000)
_LONGEST_WAIT_MS = const(60000)
# The watchdog itself is set four times longer (board.py), so one late turn is no reset.
_ROUND_MS = const(30000)


class Supervisor:
    """`feed` is called once a round when every critical task has called `alive(name)` within its own time."""

    def __init__(self, feed=None):
        self.failures = 0
        self._feed = feed
        self._seen = {}

    def spawn(self, name, factory, silent_ms=0):
        """Run `factory()` for ever; restart with doubling waits of 1 to 60 s when it raises. A task that ran
        for longer than the longest of them begins again with the shortest.

        silent_ms: longest time between two `alive(name)`; 0 = not critical. Tasks that have never checked in
        count from now.
        """
        if silent_ms:
            self._seen[name] = [time.ticks_ms(), silent_ms]
        return asyncio.create_task(self._keep(name, factory))

    def alive(self, name):
        self._seen[name][0] = time.ticks_ms()

    async def _keep(self, name, factory):
        wait = _FIRST_WAIT_MS
        while True:
            begun = time.ticks_ms()
            try:
                await factory()
                return
            except asyncio.CancelledError:
                raise
            except Exception as e:
                self.failures += 1
                print("task", name)
                sys.print_exception(e)
            gc.collect()
            if time.ticks_diff(time.ticks_ms(), begun) > _LONGEST_WAIT_MS:
                wait = _FIRST_WAIT_MS
            await asyncio.sleep_ms(wait)
            wait = min(wait * 2, _LONGEST_WAIT_MS)

    async def watch(self):
        """Feed the watchdog once a round; stop feeding when a critical task is silent too long."""
        while True:
            now = time.ticks_ms()
            late = [n for n in self._seen if time.ticks_diff(now, self._seen[n][0]) > self._seen[n][1]]
            if late:
                print("silent", late)
            elif self._feed:
                self._feed()
            await asyncio.sleep_ms(_ROUND_MS)
