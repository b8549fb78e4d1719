"""What a kind on a battery is set to, worked out once at an ordinary start; loaded for that, then dropped."""

from firmware.drivers.errors import DriverError
from firmware.protocols.compat import const
from firmware.wake.look import forget_drivers

_INVALID = const(1 << 13)


class Setup:
    """`mask`: the alarm `config_invalid` where something was refused. What cannot be is named on the console and
    in each reading."""

    def __init__(self, board, cfg, looks, interval_ms):
        self._board = board
        self._names = cfg.parts
        self.fit = [cfg.board, looks, cfg.owner(), interval_ms]
        self.mask = 0

    def refuse(self, *why):
        print("config:", *why)
        self.mask = _INVALID

    def parts(self, roles, awake=()):
        """Put the names of the parts for `roles` (role, usual part, role, usual part ...) into `fit` and return
        the parts. Others cannot be, nor those of `awake`, which work while the board is awake only."""
        found = []
        names = self._names
        for i in range(0, len(names), 2):
            if names[i] not in roles and names[i + 1] != "none":
                self.refuse(names[i], "power")
        for i in range(0, len(roles), 2):
            role = roles[i]
            name = names[names.index(role) + 1] if role in names else roles[i + 1]
            part = None
            # Each wake opens them anew; here is told what cannot be.
            try:
                if name in awake:
                    self.refuse(role, name, "power")
                    name = "none"
                part = self._board.part("", name)
            except (DriverError, ImportError) as err:
                self.refuse(name, *err.args)
            self.fit.append(name)
            found.append(part)
        forget_drivers()
        return found
