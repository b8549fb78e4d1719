"""Drivers of plain inputs and outputs under both interpreters: debouncing, times, interlock, ropes and light."""

from firmware.drivers import output, rope
from firmware.drivers.contact import Contact, numbered
from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.drivers.output import Output
from firmware.drivers.photocell import Photocell
from firmware.drivers.relay import Relay
from firmware.drivers.rope import Rope, resistance
from tests.mpy.support import heap_locked, raises
from tests.mpy.ticks import Pin, Ticks


def contact(irq, level=1, **options):
    pin = Pin(level)
    clock = Ticks()
    told = []
    return (
        Contact(pin, irq=(lambda: told.append(1)) if irq else None, clock=clock, **options),
        pin,
        clock,
        told,
    )


def test_contact_debounces():
    for irq in (False, True):
        c, pin, clock, told = contact(irq)
        assert c.state is False
        for _ in range(5):  # bounce
            pin.set(0)
            c.update()
            clock.ms += 2
            pin.set(1)
            c.update()
            clock.ms += 2
        pin.set(0)
        c.update()
        clock.ms += 29
        assert c.update() is False
        clock.ms += 1
        assert c.update() is True
        assert c.changes == 1
        assert len(told) == (11 if irq else 0)


def test_contact_interrupt_alone_sees_both_ends():
    c, pin, clock, _ = contact(True)
    clock.ms = 1000
    pin.set(0)
    clock.ms = 1500
    pin.set(1)
    assert c.state is True and c.changes == 1  # told by the second edge
    clock.ms = 3000
    assert c.update() is False
    assert c.changes == 2


def test_contact_polled_does_not_guess():
    c, pin, clock, _ = contact(False)
    clock.ms = 1000
    pin.level = 0
    c.update()
    pin.level = 1
    clock.ms = 11000
    assert c.update() is False
    assert c.changes == 0


def test_contact_levels_and_wrap():
    c, pin, clock, _ = contact(True, level=1, active=1)
    assert c.state is True
    c.changes = 0x3FFFFFFF
    clock.ms = 0x3FFFFFF0
    pin.set(0)
    clock.ms += 40
    assert c.update() is False
    assert c.changes == 0
    c.stop()
    assert pin.handler is None


def test_contact_interrupt_within_update():
    """It changes while `update` looks: counted once, as the last level."""

    class Restless(Pin):
        busy = 0

        def __call__(self, level=None):
            got = self.level
            if self.busy:
                self.busy -= 1
                self.set(1 - got)
            return got

    pin = Restless(1)
    clock = Ticks()
    c = Contact(pin, irq=lambda: None, clock=clock)
    clock.ms = 1000
    pin.busy = 1
    c.update()
    assert c.state is False and c.changes == 0
    clock.ms = 1030
    assert c.update() is True
    assert c.changes == 1
    clock.ms = 2000
    pin.busy = 2  # and back
    c.update()
    clock.ms = 3000
    assert c.update() is True
    assert c.changes == 1


def test_contact_handler_allocates_nothing():
    pin = Pin(1)
    clock = Ticks()
    Contact(pin, irq=lambda: None, clock=clock)
    handler = pin.handler
    clock.ms = 1000
    pin.level = 0
    heap_locked(lambda: handler(None))
    clock.ms = 2000
    pin.level = 1
    heap_locked(lambda: handler(None))


def test_contact_by_its_number():
    told = []
    found = ["one", None, "three"]
    for contacts, n, wanted in (
        (found, 0, (None, True)),
        (None, 0, (None, True)),
        (found, 101, ("one", False)),
        (found, 3, ("three", True)),
    ):
        assert numbered(contacts, n, None) == wanted, n
    for contacts, n in ((found, 1), (found, 103), (found, 2), (found, 4), (found, 100), (None, 1), ([], 101)):
        assert numbered(contacts, n, lambda *why: told.append(why))[0] is None
        assert told.pop() == ("contacts", "no_pin", n) and told == []


def test_relay():
    pin = Pin(1)
    clock = Ticks()
    relay = Relay(pin, 0, cool_ms=60000, warm_ms=120000, clock=clock)
    assert relay.on and pin.level == 0 and relay.left_ms() == 120000
    relay.set(True)
    assert relay.switched == 0
    relay.set(False)
    assert pin.level == 1 and relay.left_ms() == 60000
    clock.ms = 45000
    assert raises(NotReady, relay.set, True).args == ("relay", 15000)
    assert pin.level == 1
    clock.ms = 60000
    relay.set(True)
    assert pin.level == 0 and relay.left_ms() == 120000
    clock.ms = 200000
    assert relay.left_ms() == 0
    relay.set(False)
    relay.release()
    assert relay.on and pin.level == 0 and relay.switched == 4


def test_relay_times():
    clock = Ticks()
    for name in ("min_off_ms", "cool_ms", "warm_ms"):
        for bad in (-1, 1 << 28):
            assert raises(ConfigError, lambda n, b: Relay(Pin(), clock=clock, **{n: b}), name, bad).args == (
                name,
            )
    pin = Pin()
    relay = Relay(pin, 1, min_off_ms=5, clock=clock)
    assert pin.level == 1
    relay.set(False)
    # Longer than half of the ticks' period.
    clock.ms += 0x30000000
    relay.set(True)
    assert pin.level == 1


def test_output():
    clock = Ticks()
    drive = Pin(1)
    guard = Pin(1)
    out = Output(drive, guard, limit_ms=1000, rest_ms=300, clock=clock)
    assert drive.level == 0 and out.why == output.IDLE
    out.pulse(200, 0)
    assert drive.level == 1 and out.poll(0) == 200
    assert raises(NotReady, out.hold, 0).args == ("output", "active")
    assert out.poll(199) == 1 and drive.level == 1
    assert out.poll(200) == 0 and drive.level == 0 and out.why == output.DONE
    assert raises(NotReady, out.hold, 400).args == ("output", 100)
    out.hold(500)
    assert out.poll(1499) == 1
    assert out.poll(1500) == 0 and out.why == output.LIMIT and drive.level == 0
    out.hold(2000)
    out.release(2100)
    assert drive.level == 0 and out.why == output.DONE
    for bad in (0, -5, 1001):
        assert raises(ConfigError, out.pulse, bad, 9000).args == ("ms",)
    assert drive.level == 0


def test_output_interlock():
    clock = Ticks()
    drive = Pin()
    guard = Pin(0)
    out = Output(drive, guard, limit_ms=1000, clock=clock)
    assert raises(NotReady, out.pulse, 5, 0).args == ("output", "interlock")
    assert drive.level == 0 and out.why == output.INTERLOCK
    guard.set(1)
    out.pulse(500, 0)
    assert drive.level == 1
    handler = guard.handler
    guard.level = 0
    heap_locked(lambda: handler(None))  # its interrupt
    assert drive.level == 0 and out.why == output.INTERLOCK
    guard.level = 1
    assert out.poll(10) == 0 and drive.level == 0
    # Without an interrupt: in the next poll.
    guard.irq(None)
    out.hold(20)
    guard.level = 0
    assert out.poll(30) == 0
    assert drive.level == 0 and out.why == output.INTERLOCK
    for name, bad in (("limit_ms", 0), ("limit_ms", 1 << 28), ("rest_ms", -1), ("rest_ms", 1 << 28)):
        assert raises(
            ConfigError, lambda n, b: Output(drive, guard, clock=clock, **{n: b}), name, bad
        ).args == (name,)


def test_output_interlock_opens_in_the_last_moment():
    class Drive(Pin):
        def __call__(self, level=None):
            if level:
                guard.set(0)
            return Pin.__call__(self, level)

    guard = Pin(1)
    drive = Drive()
    out = Output(drive, guard, clock=Ticks())
    out.hold(0)
    assert drive.level == 0 and not out.active and out.why == output.INTERLOCK


def test_output_over_the_wrap():
    clock = Ticks()
    drive = Pin()
    out = Output(drive, lambda: 1, limit_ms=1000, rest_ms=100, clock=clock)
    out.hold(0x3FFFFFF0)
    assert out.poll(0x10) == 1000 - 32
    assert out.poll(1000) == 0 and out.why == output.LIMIT
    # Nobody polled for longer than half of the period: off at the next one.
    out.hold(5000)
    assert out.poll(5000 + 0x28000000 & 0x3FFFFFFF) == 0
    assert drive.level == 0


class RopeWires:
    """Rope of `ohm` behind 100 kOhm at 3300 mV."""

    def __init__(self, ohm):
        self.ohm = ohm
        self.a = 0
        self.b = 0
        self.on_ms = [0, 0]

    def set_a(self, level):
        self.a = level

    def set_b(self, level):
        self.b = level

    def read_uv(self):
        share = self.ohm * 3300000 // (self.ohm + 100000)
        if self.a == self.b:
            return 0
        return share if self.a else 3300000 - share


def test_rope():
    wires = RopeWires(100000)
    clock = Ticks()
    r = Rope(wires, wires.set_a, wires.set_b, 100000, 100000, 40000, clock=clock)
    assert r.read() == rope.DRY
    assert clock.ms == 40 and (wires.a, wires.b) == (0, 0)
    for ohm, state in (
        (0, rope.SHORT),
        (400, rope.SHORT),
        (1000, rope.WET),
        (39000, rope.WET),
        (41000, rope.DRY),
        (190000, rope.DRY),
        (210000, rope.BROKEN),
        (100000000, rope.BROKEN),
    ):
        wires.ohm = ohm
        assert r.read() == state, ohm
    wires.ohm = 50000
    assert abs(r.read_ohm() - 50000) < 200


def test_rope_contradiction():
    wires = RopeWires(100000)
    r = Rope(wires, wires.set_a, lambda level: None, 100000, 100000, 40000, clock=Ticks())
    assert raises(BusError, r.read).args == ("rope", 1650)
    assert (wires.a, wires.b) == (0, 0)


def test_rope_arithmetic():
    # One divider by hand: 1.1 V of 3.3 V over the rope, 220 kOhm in series.
    assert resistance(1100, 3300, 220000) == 110000
    assert resistance(0, 3300, 220000) == 0
    assert resistance(3300, 3300, 220000) == rope.OPEN
    assert resistance(3280, 3300, 220000) == rope.OPEN
    for wet, short in ((75000, 500), (500, 500), (40000, 0)):
        raises(ConfigError, Rope, None, int, int, 1, 100000, wet, short)


class Adc:
    def __init__(self, uv):
        self.uv = uv

    def read_uv(self):
        return self.uv


def test_photocell():
    adc = Adc(0)
    clock = Ticks()
    table = (100000, 0, 1000000, 10, 2000000, 50, 3000000, 1050)
    cell = Photocell(adc, table, 30000, 3050000, clock=clock)
    for uv, lux in (
        (30000, 0),
        (100000, 0),
        (550000, 5),
        (1000000, 10),
        (1500000, 30),
        (2500000, 550),
        (3050000, 1050),
    ):
        adc.uv = uv
        assert cell.read_lux() == lux, uv
    assert clock.ms == 70
    for uv, word, other in ((29999, "open", "short"), (3050001, "short", "open")):
        adc.uv = uv
        assert raises(ChipError, cell.read_lux).args == ("photocell", word)
        flipped = Photocell(adc, table, 30000, 3050000, True, clock=clock)
        assert raises(ChipError, flipped.read_lux).args == ("photocell", other)
    for bad in ((), (1, 2), (1, 2, 3), (2, 0, 2, 1), (3, 0, 2, 1)):
        assert raises(ConfigError, Photocell, adc, bad, 0, 1).args == ("table",)
    raises(ConfigError, Photocell, adc, table, 5, 5)
