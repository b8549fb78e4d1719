"""The board: the only module that knows the chip's pins and buses. Opens parts; holds no policy.

What a kind asks for is opened once, by firmware/parts/<part>.py; the pins come from firmware/boards/<name>.py,
which is generated from hw/boards/<name>.
"""

import os
import time

import esp32
import machine
from machine import SPI, Pin

from firmware.clock import from_platform
from firmware.drivers.errors import ConfigError
from firmware.pins import Pins
from firmware.protocols.compat import const
from firmware.storage import TwoCopies

_WDT_MS = const(120000)  # four rounds of the supervisor
_NVS = "lanterne"
_STORE = "/store"


def nvs():
    """The namespace that holds settings, keys and counters."""
    return esp32.NVS(_NVS)


def store():
    """Mount the partition `store` and return its path; a board without one keeps its files in vfs."""
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="store")
    if not found:
        try:
            os.mkdir("store")
        except OSError:
            pass
        return "store"
    import vfs

    try:
        try:
            vfs.mount(found[0], _STORE)
        except OSError:
            # Never formatted, or both superblocks lost: the other copies are in NVS.
            vfs.VfsLfs2.mkfs(found[0])
            vfs.mount(found[0], _STORE)
    except OSError as e:
        # A flash that is worn out: nothing can be numbered any more, but the furniture goes on.
        print("store:", repr(e))
    return _STORE


def bundle(path):
    """First 8 bytes of the running bundle's hash, zeros for a tree that is no bundle."""
    try:
        with open(path, "rb") as f:
            return f.read(8)
    except OSError:
        return bytes(8)


def watchdog():
    """The function that feeds the watchdog, which runs from now on."""
    return machine.WDT(timeout=_WDT_MS).feed


def rtc_ms():
    """Wire milliseconds of the platform's clock when it has plainly been set, else None."""
    if not 2026 <= time.gmtime()[0] < 2060:
        return None
    ms = time.time_ns() // 1000000
    return from_platform(ms // 1000) * 1000 + ms % 1000


random = os.urandom
reset_cause = machine.reset_cause
reboot = machine.reset


class Board:
    """The parts of one board. `name` is the board's module; ImportError when there is none of that name.
    `owner` marks what is kept for this device, so that no later one takes it up. `parts`: role, part, role,
    part ..."""

    def __init__(self, name, space, path, owner, parts=()):
        self.pins = __import__("firmware.boards." + name, None, None, ("SPI",))
        self.use = Pins(self.pins)
        self._parts = parts
        self.nvs = space
        self.path = path
        self.owner = owner

    def radio(self, wake, settings):
        """The modem, reset and configured; its interrupt sets the flag `wake`. ConfigError for a board whose
        radio is no SX1262."""
        from firmware.drivers.sx126x import SX1262

        p = self.pins
        bus, sck, mosi, miso = p.SPI
        cs, busy, dio1, reset = p.RADIO
        if busy < 0:
            raise ConfigError("radio", "no_driver", cs)
        spi = SPI(bus, 8000000, sck=Pin(sck), mosi=Pin(mosi), miso=Pin(miso))
        radio = SX1262(
            spi,
            Pin(cs, Pin.OUT, value=1),
            Pin(busy, Pin.IN),
            Pin(dio1, Pin.IN),
            Pin(reset, Pin.OUT, value=1),
            dio2_rf_sw=p.DIO2_SWITCH,
            dio3_tcxo_millivolts=p.TCXO_MV or None,
            lora_cfg=settings,
        )
        radio.set_irq_callback(wake)
        return radio

    def part(self, role, usual=""):
        """Open what does `role` here: the part that the settings name, else `usual`; None for "none".

        ConfigError(part, reason, pin or unit) when it cannot have what it needs; ImportError for a part that
        this bundle does not hold.
        """
        named = self._parts
        name = named[named.index(role) + 1] if role in named else usual
        if not name or name == "none":
            return None
        return __import__("firmware.parts." + name, None, None, ("part",)).part(self)

    def copies(self, name):
        """A small blob in two copies, for what this device must not lose; `name` of at most 7 characters."""
        return TwoCopies(self.nvs, name + self.owner, self.path + "/" + name + self.owner)
