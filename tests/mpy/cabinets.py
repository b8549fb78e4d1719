"""A board around the cabinet kind, with parts that the test moves. For both interpreters."""

from firmware.drivers.errors import BusError, ChipError, NotReady
from firmware.furniture.cabinet import PROGRAM
from firmware.kinds import cabinet as cabinet_kind
from firmware.protocols.schema import cabinet as rows
from tests.mpy import fakes, plans
from tests.mpy.site import Contact
from tests.mpy.site import Site as Board

BIT = {name: bit for bit, name, _, _ in rows.ALARMS}
KEY = {row[1]: row[0] for row in rows.ROWS}
MIN = 60000
EVENING = plans.wire(1, 20, 15)  # 15:00 UTC
DOOR, BREAKER, CLOSED = range(3)  # the usual contacts
REAL = cabinet_kind.Programme
PLACE = plans.blob([plans.prog(periods=[[1, 0, 0]])])  # from sunset to sunrise in Angers


class Programme:
    """On in [begin, end) of each day's wire seconds; None without a time, as the real one."""

    def __init__(self, given, copies, clock):
        assert copies == ("plan", 720)
        self.hash = given or None
        self.night = None
        self.span = (16 * 3600, 4 * 3600)
        self.parts = []

    def look(self, wire_s):
        if wire_s is None or not self.hash:
            return None, 0, 0, None
        s = wire_s % 86400
        begin, end = self.span
        on = begin <= s or s < end
        until = end if on else begin
        return 100 if on else 0, 0, PROGRAM, wire_s + (until - s) % 86400

    def stored(self):
        return PLACE

    def execute(self, args):
        self.parts.append(args)
        return b"12345678" if len(self.parts) > 1 else None


class Contactor:
    """`stuck`: what its feedback says whatever the coil does."""

    def __init__(self, time):
        self.time = time
        self.on = True
        self.stuck = None
        self.busy_until = 0
        self.set_ = []

    def set(self, on):
        if self.time.ms < self.busy_until:
            raise NotReady("relay", self.busy_until - self.time.ms)
        assert on is not self.on or not self.set_, "told once"
        self.on = on
        self.set_.append((self.time.ms, on))

    @property
    def closed(self):
        return self.on if self.stuck is None else self.stuck


class Meter:
    def __init__(self, site):
        self.site = site
        self.dead = False
        self.reads = 0
        self.mv = [230000, 231000, 229000]
        self.lit_mw = [1500000, 1000400, 500600]
        self.wh = 1000

    def read(self):
        self.reads += 1
        if self.dead:
            raise BusError("modbus", "timeout")
        live = self.site.contactor_.closed
        self.phase_mv = self.mv
        self.phase_mw = self.lit_mw if live else [5000, 0, 0]
        self.power_mw = sum([x or 0 for x in self.phase_mw])
        self.energy_mwh = self.wh * 1000 + 999
        self.voltage_mv = 0  # the mean: nobody asks for it


class Cell:
    most = 1000

    def __init__(self):
        self.lux = 500

    def read_lux(self):
        if self.lux is None:
            raise ChipError("photocell", "open")
        return self.lux


class Site(Board):
    """Everything fitted, but what `without` names."""

    def __init__(
        self,
        extra=None,
        at=EVENING,
        plan=b"plan",
        without=(),
        interval_s=900,
        kept=None,
        real=False,
        phase_ms=0,
    ):
        time = fakes.Time(0)
        cabinet_kind.Programme = REAL if real else Programme
        self.plan = plan
        self.without = without
        self.real = real
        self.contactor_ = Contactor(time)
        self.meter_ = Meter(self)
        self.cell_ = Cell()
        # The door's contact is closed while it is shut.
        self.contacts_ = [Contact(True), Contact(False), Contact(lambda: self.contactor_.closed)]
        super().__init__((cabinet_kind,), 19, extra or {}, {}, interval_s, phase_ms, kept, at, time)

    def part(self, role, usual=""):
        fitted = {
            "contactor": ("relay", self.contactor_),
            "contacts": ("contacts", list(self.contacts_)),
            "energy": ("modbus_meter", self.meter_),
            "photocell": ("", self.cell_),
        }
        name, part = fitted[role]
        assert usual == name
        return None if role in self.without else part

    def copies(self, name, size=96):
        if name == "plan" and not self.real:
            return (name, size)
        return super().copies(name, size)

    def run(self, ms):
        super().run(self.time.ms + ms)
        return self

    def value(self, name):
        return self.report.values[KEY[name]]

    def alarms(self):
        return {name for name in BIT if self.report.values[3] >> BIT[name] & 1}

    def told(self):
        """(ms, names of the alarms) of each report that was sent at once for one."""
        return [
            (t, {name for name in BIT if values[3] >> BIT[name] & 1})
            for t, values, alarm in self.report.sent
            if alarm
        ]

    def episodes(self, name):
        """[begins, ends] that the reports tell of an alarm."""
        seen = [values[3] >> BIT[name] & 1 for _, values, _ in self.report.sent]
        steps = [b - a for a, b in zip([0] + seen, seen)]
        return [steps.count(1), steps.count(-1)]
