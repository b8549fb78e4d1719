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
from firmware.protocols.compat import const, forget

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


def memory(blob=None):
    """What stands in the RTC memory; with `blob` it is set instead."""
    if blob is None:
        return machine.RTC().memory()
    return machine.RTC().memory(blob)


def calendar_ms():
    """Milliseconds of the platform's calendar, which goes on in deep sleep by its own RC oscillator."""
    return time.time_ns() // 1000000


nap = machine.lightsleep
random = os.urandom
reset_cause = machine.reset_cause
reboot = machine.reset


class Board:
    """The parts of one board. `name` is the board's module; ImportError when there is none of that name.
    `owner` marks what is kept for this device, so that no later one takes it up. `parts`: role, part, role,
    part ..."""

    def __init__(self, name, space, path, owner, parts=()):
        self.pins = p = __import__("firmware.boards." + name, None, None, ("SPI",))
        self._radio = (p.SPI, p.RADIO, p.DIO2_SWITCH, p.TCXO_MV)
        self.use = Pins(p)
        self.buses = {}  # those that several parts share
        self._parts = parts
        self.nvs = space
        self.path = path
        self.owner = owner

    def radio(self, wake, settings):
        """The modem, reset and configured; its interrupt sets the flag `wake`. ConfigError for a board whose
        radio is no SX1262."""
        from firmware.drivers.sx126x import SX1262

        (bus, sck, mosi, miso), (cs, busy, dio1, reset), switch, tcxo_mv = self._radio
        if busy < 0:
            raise ConfigError("radio", "no_driver", cs)
        spi = SPI(bus, 8000000, sck=Pin(sck), mosi=Pin(mosi), miso=Pin(miso))
        radio = SX1262(
            spi,
            # Held where the board has slept.
            Pin(cs, Pin.OUT, value=1, hold=False),  # pyright: ignore[reportCallIssue] - not in the stub
            Pin(busy, Pin.IN),
            Pin(dio1, Pin.IN),
            Pin(reset, Pin.OUT, value=1),
            dio2_rf_sw=switch,
            dio3_tcxo_millivolts=tcxo_mv or None,
            lora_cfg=settings,
        )
        forget("drivers.sx126x_setup")
        radio.set_irq_callback(wake)
        return radio

    def sleep(self, ms):
        """Deep sleep: ends in a start with reset cause DEEPSLEEP_RESET. The radio has to be asleep already."""
        # A low chip select would wake it.
        Pin(self._radio[1][0], Pin.OUT, value=1, hold=True)  # pyright: ignore[reportCallIssue] - not in the stub
        esp32.gpio_deep_sleep_hold(True)  # pyright: ignore[reportAttributeAccessIssue] - nor this
        machine.deepsleep(max(ms, 1))

    def close(self):
        """No more parts: what only opening them needs may go. The radio can still be opened again."""
        self.pins = self.use = self.buses = self._parts = None

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

    def copies(self, name, size=96):
        """A blob of at most `size` bytes in two copies, for what this device must not lose; `name` of at most 7
        characters."""
        # A wake from sleep that measures only needs none.
        from firmware.storage import TwoCopies

        return TwoCopies(self.nvs, name + self.owner, self.path + "/" + name + self.owner, size)
