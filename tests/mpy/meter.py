"""A leak meter on a battery over its lives: board, settings, calendar, flash, RTC memory and counter in one."""

import struct

from firmware.drivers.errors import ConfigError
from firmware.drivers.pcf8593 import PCF8593
from firmware.wake import leak_look, leak_setup, rtc
from firmware.wake import setup as shared
from firmware.wake.leak import SPARE, Kind
from firmware.wake.leak_setup import setup
from tests.mpy.site import Copies, Report, Supply
from tests.mpy.test_drivers_pcf8593 import Bus

# The modules stay: other tests have them, too.
leak_setup.forget = shared.forget_drivers = lambda *names: None

MINUTE = 60000
DETECTED_BIT, BATTERY_LOW, SENSOR_FAILURE, INVALID = 2, 256, 4096, 8192


class Clock:
    """The wire clock of the application, right or unknown; the calendar is slow by `off_ms` and 1/1000 `drift`."""

    quality = 0
    off_ms = 0
    drift = 0

    def __init__(self, site):
        self._site = site

    def wire_ms(self):
        now = self._site.now
        return now + now * self.drift // 1000 + self.off_ms


class Meter:
    """Board, settings, calendar, flash and RTC memory of a meter in one; pulses come by `flow(ms)`.

    `sent`: (ms, values, alarm).
    """

    board = "b"
    profile = "encrypt0"

    def __init__(
        self,
        flow=None,
        extra=None,
        start=1000,
        litres=1,
        interval_s=900,
        parts=None,
        phase_ms=0,
        clock_at=None,
    ):
        self.flow = flow or (lambda ms: 0)
        self.now = 0
        self.passed = 0
        self.bus = Bus()
        self.supply = Supply()
        self.found = {"pcf8593": PCF8593(self.bus), "supply": self.supply}
        self.parts = ["pulses", "pcf8593"]
        for role, part in (parts or {}).items():
            self.found[role] = part
            self.parts += [role, role]
        self.extra = {1: start, 2: litres}
        self.extra.update(extra or {})
        self.interval_s = interval_s
        self._phase_ms = phase_ms
        self.clock = Clock(self)
        if clock_at is not None:
            self.clock.quality = 2
            self.clock.off_ms = clock_at * 1000
        self.kept = {}
        self.writes = self.nvs_writes = 0
        self.nvs_full = False
        self.report = Report(self, 9)
        self.sent = self.report.sent
        self.wakes = []
        self.loads = 0
        self.memory = b""
        self.events = []

    ms = property(lambda self: self.now)

    # firmware/board.py and configuration

    def Board(self, *a):  # noqa: N802
        return self

    def nvs(self):
        return self

    def set_blob(self, name, value):
        assert len(name) <= 15
        self.nvs_writes += 1
        if self.nvs_full:
            raise OSError(-4357)
        self.kept[name] = bytes(value)

    def get_blob(self, name, into):
        if name not in self.kept:
            raise OSError(-4354)
        into[:] = self.kept[name]
        return len(into)

    def commit(self):
        pass

    def calendar_ms(self):
        return self.now

    def owner(self):
        return "owner"

    def phase_ms(self, interval_ms):
        return self._phase_ms

    def part(self, role, name):
        assert role == ""
        found = self.found.get(name)
        if isinstance(found, Exception):
            raise found
        return found

    def copies(self, name, size):
        site = self

        class Counted(Copies):
            def write(self, blob):
                site.writes += 1
                return super().write(blob)

        return Counted(self.kept, name, size)

    # lives

    def pulses(self):
        n = self.flow(self.now)
        self.bus.pulse(n - self.passed)
        self.passed = n

    def boot(self):
        """An ordinary start: nothing is in RTC memory."""
        self.pulses()
        self.found["pcf8593"] = PCF8593(self.bus)
        record = setup(self, self, self)
        self._application(record)

    def _application(self, record):
        self.loads += 1
        self.report.values[:] = [None] * 9
        kind = Kind(self, self, self.clock, self.report, self, record)
        assert self.report.spare == SPARE
        try:
            kind.run(lambda: 1 // 0).send(None)
        except ZeroDivisionError:
            pass
        kind.align(self.now)
        kind.when[0] = self.now
        node = [[3, 1, 0, 1], [self.clock.quality, self.clock.wire_ms(), 0], [], 0]
        self.memory = packed(rtc.record(kind.when, kind.fit, kind.state, node))
        assert len(self.memory) < 700

    def wake(self):
        """As firmware/wake/start.py."""
        record = rtc.unpack(self.memory)
        when = record[rtc.WHEN]
        self.now = max(self.now, when[1])
        self.pulses()
        self.found["pcf8593"] = PCF8593(self.bus)
        self.wakes.append(self.now)

        def part(name):
            try:
                return self.part("", name)
            except ConfigError:
                return None

        record[rtc.NEWS] = leak_look.look(record, part, None, self.now)
        while when[1] <= self.now + rtc.SOON_MS:
            when[1] += record[rtc.FIT][rtc.INTERVAL]
        if record[rtc.NEWS]:
            self._application(record)
            return
        leak_look.keep(self, record)
        self.memory = packed(record)

    def at(self, ms, call):
        self.events.append((ms, call))
        self.events.sort(key=lambda e: e[0])

    def run(self, until_ms):
        if not self.memory:
            self.boot()
        while True:
            due = rtc.unpack(self.memory)[rtc.WHEN][1]
            if self.events and self.events[0][0] <= min(due, until_ms):
                ms, call = self.events.pop(0)
                self.now = ms
                self.pulses()
                call()
            elif due <= until_ms:
                self.wake()
            else:
                self.now = until_ms
                self.pulses()
                return self

    def state(self):
        return rtc.unpack(self.memory)[rtc.STATE]

    def slots(self):
        return [s for s in self.sent if s[1][4] is not None]

    def between(self):
        return [s for s in self.sent if s[1][4] is None]


def packed(record):
    return bytes(rtc.pack(record))


def true(site, start=1000):
    return start + site.flow(site.now)


def in_flash(site):
    """The index that is kept: with a reading in both copies, between them in NVS alone."""
    found = [struct.unpack(">II", site.kept["index"][:8])[1]]
    if "lateowner" in site.kept:
        found.append(struct.unpack(">II", site.kept["lateowner"][:8])[1])
    return max(found)
