"""A bin on its board for the tests of it: parts that say what they are told, and what was reported."""

from firmware.drivers.output import Output
from firmware.kinds import bin as bin_kind
from firmware.kinds import bin_outputs
from tests.mpy import fakes
from tests.mpy.site import Contact, Site, Supply
from tests.mpy.ticks import Pin

MINUTE = 60000
QUARTER = 15 * MINUTE

FULL = 1
EMPTIED = 2
OBSTRUCTED = 4
FIRE = 8
TILTED = 16
LID_OPEN = 32
FAILURE = 128
BATTERY_LOW = 256
HOT = 1024
HATCH_FAILED = 2048
COMPACTOR_FAILED = 4096
INVALID = 8192

# Places in the values, keys of the field table.
ALARMS, FILL, DISTANCE, QUALITY, CLASS, TEMPERATURE, TILT, DISTANCES, FAULT, SPEED, FULL_IN = range(3, 14)
LOCK, RAM, CYCLES = 14, 15, 16
IDLE, MOVING, HELD, EXPIRED, FAILED, INTERLOCK, STUCK = range(7)


class Ranger:
    """Says `fill` per cent of a container of 1200 and 200 mm, never the same millimetre twice in a row; or what is
    in `echoes`. An exception is raised."""

    def __init__(self):
        self.fill = 50
        self.echoes = []
        self.on = False
        self.dead = None
        self.starts = 0
        self.reads = 0

    def start(self):
        if self.dead:
            raise self.dead
        self.on = True
        self.starts += 1
        return 1000

    def read_mm(self):
        assert self.on, "read without power"
        self.reads += 1
        if self.echoes:
            echo = self.echoes.pop(0)
        elif self.fill is None:
            echo = None
        else:
            echo = 1200 - 10 * self.fill + self.starts % 3
        if isinstance(echo, Exception):
            raise echo
        return echo

    def stop(self):
        self.on = False


class Chip:
    """Tilt sensor and thermometer: say what they are told, or raise it."""

    def __init__(self, value):
        self.value = value
        self.upright = None

    def scan(self):
        return [b"rom"]

    def start(self):
        return 750

    def read(self, rom):
        assert rom == b"rom"
        return self.tilt(None)

    def tilt(self, upright):
        self.upright = upright
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Bins(Site):
    def __init__(self, extra=None, parts=None, interval_s=900, **how):
        self.ranger = Ranger()
        self.supply_ = Supply()
        found = {"range": self.ranger, "supply": self.supply_}
        found.update(parts or {})
        settings = {1: 1200, 2: 200}
        settings.update(extra or {})
        super().__init__((bin_kind, bin_outputs), 17, settings, found, interval_s=interval_s, **how)

    def at(self, ms, call):
        self.time.at(ms, call)

    def fills(self, *steps):
        """(minutes, fill) ..."""
        for minute, fill in steps:
            self.at(minute * MINUTE, lambda fill=fill: setattr(self.ranger, "fill", fill))

    def told(self, *keys):
        """[minute, alarms, values ...] of each reading."""
        return [[t // MINUTE, v[ALARMS]] + [v[k] for k in keys] for t, v, _ in self.report.sent]


class Moved:
    """A lock or a ram behind an output: its contact follows after `ms`, the ram comes home after `cycle_ms`."""

    def __init__(self, time, cycle_ms=0, limit_ms=3660000):
        self.time = time
        self.pin = Pin()
        self.safe = Pin()
        self.ms = 700
        self.cycle_ms = cycle_ms
        self.stuck = None
        self.since = None
        self.runs = 0
        self.output = Output(self.pin, self.safe, safe=0, limit_ms=limit_ms, clock=time)

    def update(self):
        """The contact: closed while locked, or at home."""
        if self.stuck is not None:
            return self.stuck
        on = bool(self.pin.level)
        if on and self.since is None:
            self.since = self.time.ms
            self.runs += 1
        if not on:
            self.since = None
        moved = on and self.time.ms - self.since >= self.ms
        if not self.cycle_ms:
            return moved
        return not moved or self.time.ms - self.since >= self.cycle_ms


def with_lock(extra=None, **how):
    time = fakes.Time(0)
    lock = Moved(time)
    settings = {22: 1}
    settings.update(extra or {})
    site = Bins(settings, {"hatch": lock.output, "contacts": [lock]}, time=time, **how)
    return site, lock


def with_ram(extra=None, **how):
    time = fakes.Time(0)
    ram = Moved(time, 20000, 610000)
    settings = {24: 1}
    settings.update(extra or {})
    site = Bins(settings, {"compactor": ram.output, "contacts": [ram]}, time=time, **how)
    return site, ram


def with_both(extra=None, **how):
    """Lock and ram, whose interlocks have contacts 1 and 2, and a lid at contact 3."""
    time = fakes.Time(0)
    lock = Moved(time)
    ram = Moved(time, 20000, 610000)
    lid = Contact()
    settings = {20: 3, 22: 4, 24: 5}
    settings.update(extra or {})
    found = {"hatch": lock.output, "compactor": ram.output, "contacts": [None, None, lid, lock, ram]}
    site = Bins(settings, found, time=time, **how)
    return site, lock, ram, lid
