"""A clock that jumps to what happens next, the part of asyncio that the roles await, and a radio.

One task at a time runs under it, in no real time and under both interpreters: what it awaits advances the clock
and lets the world's events happen. `on` puts the stand-ins into the modules under test.
"""

from firmware.drivers.sx126x import RxPacket
from tests.mpy.ticks import Ticks


class Stop(Exception):  # noqa: N818 - the end of a test's time
    """Ends an endless task."""


class Time(Ticks):
    """`time` of MicroPython for the modules under test; `at` plans an event."""

    def __init__(self, ms=1000):
        super().__init__(ms)
        self.deadline = None
        self._events = []
        self._count = 0

    def at(self, ms, call):
        self._count += 1
        self._events.append((ms, self._count, call))

    def step(self, limit):
        """Let the next event happen, if it is due by `limit`; else go there and return False."""
        due = [e for e in self._events if limit is None or e[0] <= limit]
        if not due:
            if limit is None:
                raise Stop("nothing will ever happen")
            self.ms = max(self.ms, limit)
            return False
        first = min(due, key=lambda e: e[:2])
        self._events.remove(first)
        self.ms = max(self.ms, first[0])
        first[2]()
        return True


class Flag:
    """ThreadSafeFlag, and Event with `clears` false."""

    def __init__(self, time, clears):
        self._time = time
        self._clears = clears
        self.state = False

    def set(self):
        self.state = True

    def clear(self):
        self.state = False

    def is_set(self):
        return self.state

    async def wait(self):
        while not self.state:
            if not self._time.step(self._time.deadline):
                raise Asyncio.TimeoutError
        if self._clears:
            self.state = False


class Asyncio:
    class TimeoutError(Exception):
        pass

    def __init__(self, time):
        self._time = time

    def Event(self):  # noqa: N802
        return Flag(self._time, False)

    async def sleep_ms(self, ms):
        end = self._time.ms + max(ms, 0)
        while self._time.step(end):
            pass

    async def wait_for_ms(self, awaitable, ms):
        before = self._time.deadline
        self._time.deadline = self._time.ms + ms
        try:
            return await awaitable
        finally:
            self._time.deadline = before


def on(time, *modules):
    """Make these modules live in that time; returns its asyncio."""
    fake = Asyncio(time)
    for module in modules:
        module.asyncio = fake
        if hasattr(module, "time"):
            module.time = time
    return fake


def run(task, until=None, time=None):
    """Run a task to its end, or up to an instant; true when it ended."""
    if until is not None:
        time.at(until, _stop)
    try:
        task.send(None)
    except StopIteration:
        return True
    except Stop:
        return False
    raise AssertionError("the task yielded: it awaits what is not faked")


def _stop():
    raise Stop


def symbol_ms(sf):
    return (1 << sf) / 125


def airtime_ms(size, sf):
    """Semtech AN1200.13 at 125 kHz, 4/5, explicit header, CRC, 8 symbols of preamble."""
    slow = 2 if sf > 10 else 0
    blocks = -(-(8 * size - 4 * sf + 44) // (4 * (sf - slow)))
    return (12.25 + 8 + max(blocks, 0) * 5) * symbol_ms(sf)


class Radio:
    """Call shape of the driver. `sent`: (start, end, bytes); `windows`: (start, ms or None); `late`: how long
    after the end of a transmission its interrupt is looked at."""

    def __init__(self, time, wake, sf):
        self._time = time
        self._wake = wake
        self._sf = sf
        self._loaded = None
        self._end = None
        self._rx = False
        self._deadline = None
        self._heard = []
        self.sent = []
        self.windows = []
        self.sleeps = 0
        self.on_send = None  # called with the end of each transmission as it begins
        self.fails = None  # raised by the next start of a transmission, once it is on the air

    def prepare_send(self, packet):
        self._loaded = bytes(packet)
        assert 1 <= len(packet) <= 255

    def start_send(self):
        start = self._time.ms
        self._end = start + round(airtime_ms(len(self._loaded), self._sf))
        self.sent.append((start, self._end, self._loaded))
        self._time.at(self._end, self._wake.set)
        if self.on_send:
            self.on_send(self._end)

    def poll_send(self):
        if self.fails:
            fails, self.fails = self.fails, None
            raise fails
        if self._time.ms < self._end:
            return True
        return self._end % (1 << 30)

    def start_recv(self, timeout_ms=None, continuous=False):
        self.windows.append((self._time.ms, timeout_ms))
        self._rx = True
        self._deadline = None if continuous else self._time.ms + timeout_ms
        if not continuous:
            self._time.at(self._deadline, self._close)

    def _close(self):
        if self._deadline is not None and self._time.ms >= self._deadline:
            self._rx = False
            self._wake.set()

    def is_idle(self):
        return not self._rx

    def poll_recv(self):
        return self._heard.pop(0) if self._heard else self._rx

    def sleep(self):
        self._rx = False
        self.sleeps += 1

    def hear(self, at_ms, packet, rssi=-90, snr=20):
        """Another's packet, whose preamble begins at that instant: five symbols of it are enough, and the
        header ends a time-out (data sheet 13.1.5)."""
        end = at_ms + round(airtime_ms(len(packet), self._sf))
        symbol = symbol_ms(self._sf)

        def lock():
            header = at_ms + 20.25 * symbol
            if not self._rx or (self._deadline is not None and self._deadline < header):
                return
            self._deadline = None
            self._time.at(end, arrive)

        def arrive():
            got = RxPacket(packet)
            got.ticks_ms = end % (1 << 30)
            got.rssi = rssi
            got.snr = snr
            self._heard.append(got)
            self._rx = self.windows[-1][1] is None
            self._wake.set()

        self._time.at(at_ms + round(3 * symbol), lock)
