"""A board around one kind: what survives, what is reported, parts that the test gives. For both interpreters."""

from firmware.clock import EPOCH_GPS, Clock
from firmware.drivers.errors import BusError
from tests.mpy import fakes

HOUR = 3600000


class Copies:
    """What survives: one dictionary for the life of the board."""

    def __init__(self, kept, name, size=96):
        self.kept = kept
        self.name = name
        self.size = size
        self.writes = 0

    def read(self):
        return self.kept.get(self.name)

    def write(self, blob):
        assert len(blob) <= self.size
        self.writes += 1
        self.kept[self.name] = bytes(blob)
        return True


class Report:
    """`sent`: (ms, values, alarm) of each; `refuse`: so many of the next are not stored."""

    def __init__(self, time, size):
        self.time = time
        self.values = [None] * size
        self.sent = []
        self.refuse = 0

    def send(self, alarm=False):
        if self.refuse:
            self.refuse -= 1
            return False
        self.sent.append((self.time.ms, list(self.values), alarm))
        return True


class Supply:
    mv = 3900

    def read_mv(self):
        if self.mv is None:
            raise BusError("supply", 0)
        return self.mv


class Contact:
    """`state`: what it says, or a function that does."""

    def __init__(self, state=False):
        self.state = state
        self.looks = 0

    def update(self):
        self.looks += 1
        return self.state() if callable(self.state) else self.state


class Site:
    """board, configuration and clock of a kind in one; parts: role -> part, an exception to be raised, or None.

    `copies_`: what it keeps, by name; `looks`: how often its task said that it lives."""

    def __init__(
        self, modules, size, extra, parts, interval_s=900, phase_ms=0, kept=None, clock_at=None, time=None
    ):
        self.time = time or fakes.Time(0)
        fakes.on(self.time, *modules)
        self.clock = Clock(self.time.ticks_ms, self.time.ticks_diff)
        if clock_at is not None:
            self.clock.set(2, EPOCH_GPS + clock_at)
        self.extra = extra
        self.interval_s = interval_s
        self._phase_ms = phase_ms
        self.parts = parts
        self.kept = {} if kept is None else kept
        self.copies_ = {}
        self.report = Report(self.time, size)
        self.looks = self._alive_ms = self._silence_ms = 0
        self.kind = modules[0].Kind(self, self, self.clock, self.report)

    def part(self, role, usual=""):
        found = self.parts.get(role)
        if isinstance(found, Exception):
            raise found
        return found

    def copies(self, name, size=96):
        found = self.copies_[name] = Copies(self.kept, name, size)
        return found

    def phase_ms(self, interval_ms):
        return self._phase_ms

    def _alive(self):
        self.looks += 1
        self._silence_ms = max(self._silence_ms, self.time.ms - self._alive_ms)
        self._alive_ms = self.time.ms

    def run(self, until_ms):
        """Until that moment of the board's time; the task begins anew each time, as after a failure."""
        fakes.run(self.kind.run(self._alive), until_ms, self.time)

    def longest_silence(self):
        self._alive()
        return self._silence_ms
