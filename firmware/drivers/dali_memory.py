"""Memory banks of a DALI gear (IEC 62386-102, 9.10) with the latch of D4i banks 202 to 206; used when asked
for, then dropped. A step is one exchange of about 50 ms: reading a bank takes one or two seconds."""

from firmware.drivers.errors import BusError, ConfigError
from firmware.protocols.dali import command, special
from firmware.protocols.dali_banks import decode, last

_DTR0 = 0xA3
_DTR1 = 0xC3
_WRITE = 0xC7
_WRITE_SILENT = 0xC9
_LOCK = 2  # location of the lock and latch byte
_LATCH = 0xAA


def _to_lock(gear):
    gear.bus.twice(command(gear.target, 0x81), 1)
    gear.bus.send(special(_DTR0, _LOCK), 1)


def steps(gear, bank, out):
    """Generator: read a bank of one gear into the dict `out` as `dali_banks.decode` gives it, an exchange at
    each `next`. Until it ends nothing else may use the data registers of any gear on this bus.

    Raises NoReply (no such gear, bank or location) and BusError "frame", "latch" or "DTR0" (a location was
    lost or read twice); nothing is in `out` then. Start again.
    """
    end = last(bank)
    if not end:
        raise ConfigError("bank")
    bus = gear.bus
    read = command(gear.target, 0xC5)
    bus.send(special(_DTR1, bank), 4)
    bus.send(special(_DTR0, 0), 1)
    end = min(end, bus.query(read, 1))
    yield
    latched = 202 <= bank <= 206
    if latched:
        # What takes several bytes would otherwise change between them.
        _to_lock(gear)
        if bus.query(special(_WRITE, _LATCH), 1) != _LATCH:
            raise BusError("dali", "latch")
        yield
    bus.send(special(_DTR0, 3), 1)
    data = bytearray(3)
    for _ in range(3, end + 1):
        data.append(bus.query(read, 1))
        yield
    # A frame that the gear missed would shift all that follows: it counts along.
    if bus.query(command(gear.target, 0x98), 1) != end + 1:
        raise BusError("dali", "DTR0")
    yield
    if latched:
        _to_lock(gear)
        bus.send(special(_WRITE_SILENT, 0xFF), 1)
    out.update(decode(bank, data))


def values(gear, bank):
    """`steps` in one go: the values of a bank."""
    out = {}
    for _ in steps(gear, bank, out):
        pass
    return out
