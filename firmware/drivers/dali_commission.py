"""Short addresses for the gear on a DALI bus (IEC 62386-102); used at installation, then dropped."""

import time

from firmware.drivers.dali import NoReply
from firmware.drivers.errors import BusError, ChipError, ConfigError
from firmware.protocols.dali import command, special

_TERMINATE = 0xA1
_DTR0 = 0xA3
_INITIALISE = 0xA5
_RANDOMISE = 0xA7
_COMPARE = 0xA9
_WITHDRAW = 0xAB
_SEARCH = 0xB1  # high byte; middle and low are 2 and 4 further
_PROGRAM = 0xB7
_VERIFY = 0xB9
_QUERY_SHORT = 0xBB
_TRIES = 3


class Commission:
    """bus: with reply path. `free` gives the short addresses to hand out, in this order (default: all that
    `scan` finds free); `everyone` also takes gear that has one already."""

    def __init__(self, bus, free=None, everyone=False, clock=time):
        if not bus.hears:
            raise ConfigError("rx")
        self._bus = bus
        self._free = None if free is None else list(free)
        self._everyone = everyone
        self._clock = clock
        self._search = -1

    def scan(self, present):
        """Generator, one exchange at each `next`: append the short addresses that answer to `present`."""
        for a in range(64):
            if self._bus.ask(command(a, 0x91), 3):
                present.append(a)
            yield

    def steps(self, found):
        """Generator: search and address, one exchange at each `next`; appends each new short address to
        `found` (a list).

        Raises ConfigError "free" when the addresses run out, ChipError when a gear does not keep its address,
        BusError when a search leads nowhere three times (noise). The bus is left in order each time.
        """
        bus = self._bus
        if self._free is None:
            present = []
            if not self._everyone:
                yield from self.scan(present)
            self._free = [a for a in range(64) if a not in present]
        try:
            bus.send(special(_TERMINATE), 3)
            if self._everyone:
                bus.send(special(_DTR0, 255), 1)
                bus.twice(command(127, 0x80), 1)
            bus.twice(special(_INITIALISE, 0 if self._everyone else 255), 1)
            yield
            yield from self._randomise()
            tries = _TRIES
            while True:
                yield from self._search_for(0xFFFFFF)
                if not bus.ask(special(_COMPARE), 1):
                    break
                if not self._free:
                    raise ConfigError("free")
                address = yield from self._lowest()
                if address >= 0 and (yield from self._program()):
                    found.append(self._free.pop(0))
                    tries = _TRIES
                    continue
                # A gear may have missed a part of the search address.
                self._search = -1
                tries -= 1
                if not tries:
                    raise BusError("dali", "search")
        finally:
            bus.send(special(_TERMINATE), 3)

    def _randomise(self):
        self._bus.twice(special(_RANDOMISE), 3)
        # 102: a new random address may take 100 ms.
        self._clock.sleep_ms(100)
        yield

    def _search_for(self, address):
        for shift in (0, 8, 16):
            if (self._search ^ address) >> shift & 255 or self._search < 0:
                self._bus.send(special(_SEARCH + 4 - shift // 4, address >> shift & 255), 1)
                yield
        self._search = address

    def _lowest(self):
        """The lowest random address still taking part, which is then the search address; -1 when lost."""
        address = 0xFFFFFF
        bit = 1 << 23
        while bit:
            yield from self._search_for(address - bit)
            if self._bus.ask(special(_COMPARE), 1):
                address -= bit
            bit >>= 1
            yield
        yield from self._search_for(address)
        return address if self._bus.ask(special(_COMPARE), 1) else -1

    def _program(self):
        """Address the gear found and let it rest; False when there were several of the same random address,
        which then have none and draw again."""
        bus = self._bus
        code = self._free[0] << 1 | 1
        bus.send(special(_PROGRAM, code), 1)
        yield
        try:
            got = bus.query(special(_QUERY_SHORT), 1)
        except NoReply:
            return False
        except BusError:
            got = -1
        yield
        if got == code:
            if not bus.ask(special(_VERIFY, code), 1):
                raise ChipError("dali", self._free[0])
            bus.send(special(_WITHDRAW), 1)
            return True
        bus.send(special(_PROGRAM, 255), 1)
        yield from self._randomise()
        return False


def address_all(bus, free=None, everyone=False, clock=time):
    """`Commission.steps` in one go: the short addresses given, in this order (about 3 s per gear)."""
    found = []
    for _ in Commission(bus, free, everyone, clock).steps(found):
        pass
    return found
