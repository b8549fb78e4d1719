"""The 1-Wire line and what hangs on it, in whole slots.  DS = Maxim 19-7487, 1-Wire signaling.

Not modelled: slot timing in microseconds, overdrive, parasite power.
"""

from __future__ import annotations

from hw.virtual.chips.base import Chip


class OneWireChip(Chip):
    """On a 1-Wire line; the wiring's `wire` is the MCU's pin, which several may share."""

    def deselect(self) -> None:
        """Out of the dialogue until the next reset of the line."""

    def line_reset(self) -> bool:
        """A reset pulse; whether it answers with a presence pulse."""
        return False

    def take(self, bit: int) -> None:
        """A write slot."""

    def pull(self) -> int:
        """A read slot: 0 pulls the line down, 1 lets it go."""
        return 1


class Line:
    """The wire: several devices pull down together (wired AND). short: it is at ground, whatever anybody does
    (the master takes that for a presence pulse)."""

    def __init__(self, *devices: OneWireChip, short: bool = False) -> None:
        self.devices = devices
        self.short = short

    def reset(self) -> bool:
        """Whether somebody is present."""
        if self.short:
            # A reset without end for the devices.
            for device in self.devices:
                device.deselect()
            return True
        present = [d.line_reset() for d in self.devices]  # each of them, also behind the first that answers
        return any(present)

    def write_bit(self, bit: int) -> None:
        for device in () if self.short else self.devices:
            device.take(bit)

    def read_bit(self) -> int:
        if self.short:
            return 0
        return min([device.pull() for device in self.devices], default=1)
