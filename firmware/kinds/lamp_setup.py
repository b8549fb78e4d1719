"""What a lamp does once, at its start: opens its parts. Loaded for that, then dropped; lamp_fit does the rest."""

import struct

from firmware.drivers.errors import ConfigError, DriverError
from firmware.furniture.lamp import Lamp
from firmware.furniture.luminaire import Luminaire, valid
from firmware.protocols.compat import const, forget

# Of hello: settings that this board cannot follow.
_CONFIG = const(1 << 4)
# The way back from load shedding: a minute, and a lamp's own part of four more.
_BACK_S = const(60)
_BACK_MS = const(240000)


def setup(kind, board, cfg, clock):
    """(output, what it was set to, Switch, Lamp, Luminaire, copies, meter) of a lamp, None for what it
    has not, and what `lamp_fit.fit` wants. What cannot be is named on the console and in hello, and left out;
    without any output that is an error, for then the hardware's full light is all there is."""
    e = cfg.extra

    def refuse(*why):
        print("config:", *why)
        kind.alarms = _CONFIG

    def fitted(role):
        try:
            return board.part(role)
        except (DriverError, ImportError) as error:
            refuse(role, *error.args)
            return None
        finally:
            forget("parts")

    # Before all else that may fail: full light, as the hardware has it.
    out = board.part("light", "dimmer")
    relay = fitted("light-switch")
    if hasattr(out, "release"):
        # A relay as the only output.
        relay = out
        out = None
    clo = [e.get(key, 0) for key in range(20, 32)]
    while clo and not clo[-1]:
        # No percentage is 0.
        clo = clo[:-2]
    if not valid(clo, 100):
        refuse("clo", *clo)
    luminaire = Luminaire(e.get(7, 100), e.get(8, 0), clo) if out else Luminaire()
    talks = hasattr(out, "status")
    switch = None
    if relay:
        from firmware.kinds.lamp_switch import Switch

        try:
            switch = Switch(relay, out, e)
        except ConfigError as error:
            refuse("light-switch", *error.args)
            switch = Switch(relay, out, {})
        out = switch
    if not out:
        raise ConfigError("light")
    was = 1000
    try:
        out.set(was)
    except DriverError as error:
        # It is tried again, and told.
        print("light:", *error.args)
        was = None
    lamp = Lamp(e.get(1, 100), e.get(5, 0), e.get(6, 0))
    lamp.back_s = _BACK_S + cfg.phase_ms(_BACK_MS) // 1000
    copies = board.copies("use")
    blob = copies.read()
    if blob and len(blob) == 12:
        luminaire.burn_s, luminaire.energy_wh, luminaire.switches = struct.unpack(">III", blob)
    meter = fitted("energy")
    cell = fitted("photocell")
    contacts = fitted("contacts")
    night = board.copies("feeder") if e.get(15) else None
    # Who says more than that it draws power, or could.
    watched = talks or (meter and relay)
    more = (e, cfg.plan, board.copies("plan", 720), clock, cell, contacts, night, watched)
    return out, was, switch, lamp, luminaire, copies, meter, more
