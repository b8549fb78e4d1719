"""One DALI control gear, a group or all of them, through the bus (IEC 62386-102). For what is set once see
dali_setup, for measured values dali_memory, for addresses dali_commission."""

from firmware.drivers.errors import BusError, ConfigError
from firmware.protocols.dali import command, to_level, to_permille


class Gear:
    """target: 0..63, 64 + group, 127 for all. Questions want one gear (`Bus.query` says what they raise).

    `linear` is the gear's dimming curve (dali_setup.curve asks for it).
    """

    def __init__(self, bus, target=127, linear=False):
        if not (0 <= target < 80 or 126 <= target < 128):
            raise ConfigError("target")
        self.bus = bus
        self.target = target
        self.linear = linear

    def set(self, permille):
        """Fade to this light, 0..1000 permille; 0 is off, anything else at least the gear's minimum."""
        if not 0 <= permille <= 1000:
            raise ConfigError("permille")
        self.bus.send(self.target << 9 | to_level(permille, self.linear))

    def query(self, op, priority=5):
        """The answer to a query command (0x90 status, 0xA0 level..), 0..255."""
        return self.bus.query(command(self.target, op), priority)

    def light(self):
        """Light now in permille; None while the gear does not know (lamp failed or starting)."""
        n = self.query(0xA0)
        return None if n == 255 else to_permille(n, self.linear)

    def status(self):
        """Bits: 1 gear failure, 2 lamp failure, 4 lamp on, 8 level was out of limits, 16 fading,
        32 reset state, 64 no short address, 128 not commanded since power-on. Of several gears that answer at
        once the first three, where any of them says so; BusError is then only silence or a dead line."""
        try:
            return self.query(0x90)
        except BusError as e:
            if e.args[1] != "frame":
                raise
        found = 0
        for bit, op in ((1, 0xAA), (2, 0x92), (4, 0x93)):
            if self.bus.ask(command(self.target, op), 5):
                found |= bit
        return found

    def lamp_failed(self):
        """True when this gear, or any of a group, says so; no reply means no."""
        return self.bus.ask(command(self.target, 0x92), 5)
