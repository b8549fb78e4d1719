"""Memory banks of a DALI gear: IEC 62386-102 9.10, DiiA parts 251 (bank 1), 252 (202..204), 253 (205..207).

Not modelled: RESET MEMORY BANK, protectable locations, bank 208.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hw.virtual.chips.dali_gear import DaliGear

LOCK = 2
_UNLOCKED = 0x55
_LATCHED = 0xAA

#: What a bank says of its gear at this instant: offset -> bytes.
Live = Callable[["DaliGear"], dict[int, bytes]]


class Bank:
    """content: bytes from location 0 on, None where nothing is implemented; location 0 is the last location.

    lock: `writable` locations are written only after 0x55 in location 2; latch: 0xAA there keeps all values
    as they are now. live: what is measured. Writes outlast a loss of mains, lock and latch do not.
    """

    def __init__(
        self,
        content: Sequence[int | None],
        *,
        lock: bool = False,
        latch: bool = False,
        writable: Collection[int] = (),
        live: Live | None = None,
    ) -> None:
        self.content = list(content)
        self.lock = lock
        self.latch = latch
        self.writable = frozenset(writable)
        self.live = live
        self._kept: list[int | None] | None = None

    def power_on(self) -> None:
        self._kept = None
        if self.lock or self.latch:
            self.content[LOCK] = 0xFF

    def now(self, gear: DaliGear) -> list[int | None]:
        """All locations at this instant, not latched."""
        out = list(self.content)
        if self.live is not None:
            for at, raw in self.live(gear).items():
                out[at : at + len(raw)] = raw
        return out

    def read(self, gear: DaliGear, location: int) -> int | None:
        if location == LOCK and (self.lock or self.latch):
            return self.content[LOCK]
        content = self._kept if self._kept is not None else self.now(gear)
        last = self.content[0] or 0
        return content[location] if location <= last and location < len(content) else None

    def write(self, gear: DaliGear, location: int, value: int) -> bool:
        """Whether the location took it."""
        if location == LOCK:
            if not (self.lock or self.latch):
                return False
            self.content[LOCK] = value
            if self.latch:
                self._kept = self.now(gear) if value == _LATCHED else None
            return True
        if location not in self.writable or (self.lock and self.content[LOCK] != _UNLOCKED):
            return False
        self.content[location] = value
        return True


def _energy(gear: DaliGear) -> dict[int, bytes]:
    # Scales as drivers have them: 0.1 Wh and 0.1 W.
    return {
        4: b"\xff" + round(gear.energy_wh * 10).to_bytes(6, "big"),
        0x0B: b"\xff" + round(gear.power_w * 10).to_bytes(4, "big"),
    }


def _control_gear(gear: DaliGear) -> dict[int, bytes]:
    return {
        4: round(gear.operating_s).to_bytes(4, "big"),
        8: gear.starts.to_bytes(3, "big"),
        0x0F: bytes([gear.failed]),
        0x1C: bytes([round(gear.light)]),
    }


def _light_source(gear: DaliGear) -> dict[int, bytes]:
    on, starts = round(gear.on_s), gear.lamp_starts
    lit = gear.light / 100
    return {
        4: starts.to_bytes(3, "big") * 2,
        0x0A: on.to_bytes(4, "big") * 2,
        # A LED string of 60.0 V.
        0x12: (600 if lit else 0).to_bytes(2, "big") + round(lit * gear.rated_w / 0.06).to_bytes(2, "big"),
        0x16: bytes([gear.lamp != "ok"]),
        0x18: bytes([gear.lamp == "short"]),
        0x1A: bytes([gear.lamp == "open"]),
    }


def default_banks() -> dict[int, Bank]:
    """Banks of a D4i LED driver in a luminaire: 0, 1, 202, 205, 206, 207."""
    bank0 = [
        0x1A,
        None,
        207,
        *(0x02, 0xDC, 0x37, 0x67, 0x0D, 0x11),
        1,
        0,
        *bytes(7),
        1,
        2,
        1,
        8,
        8,
        0xFF,
        0,
        1,
        0,
    ]
    bank1 = [0x77, None, 0xFF, *(0xFF,) * 14, 0, 3, *(0xFF,) * 17, *bytes(84)]
    bank205 = [0x1C, None, 0xFF, 1, *bytes(7), 0x08, 0xFC, 50, 95, *bytes(12), 85, 0]
    bank206 = [0x20, None, 0xFF, 1, *bytes(28), 90]
    return {
        0: Bank(bank0),
        1: Bank(bank1, lock=True, writable=range(3, 0x78)),
        202: Bank([0x0F, None, 0xFF, 1, *bytes(12)], latch=True, live=_energy),
        205: Bank(bank205, lock=True, latch=True, live=_control_gear),
        206: Bank(bank206, lock=True, latch=True, live=_light_source),
        207: Bank([7, None, 0xFF, 1, 100, 85, 0x03, 0xE8], lock=True, writable=range(4, 8)),
    }
