"""The key-value store of ESP-IDF as `esp32.NVS` of MicroPython 1.25 shows it: signed 32-bit integers and
blobs.

Space is accounted as ESP-IDF does: entries of 32 bytes, 126 to a page of 4 KB, one page always kept free; an
integer is one entry, a blob one index entry and per chunk one head and its data. Old values are marked
erased and their pages are reclaimed when the free ones run out, which is where erases are counted.

Tearing: the entry under the write is, by the seed, the old value, the new one, or (one time in ten) lost.
ESP-IDF writes the new item before it erases the old, so "lost" does not follow from its rules; it stands for
what a damaged page costs, and whoever keeps a counter here has to survive it. Values that were set and not
committed count as written, as in ESP-IDF, where commit is empty. Not modelled: the bytes of the partition
itself (an NVS image that a flashing tool wrote is not read), encryption, other value types."""

from __future__ import annotations

from collections.abc import Mapping

from .flash import BLOCK, Flash, PowerCut

ENTRIES = 126
CHUNK = 4000
NOT_FOUND = (0x1102, "ESP_ERR_NVS_NOT_FOUND")
INVALID_NAME = (0x1106, "ESP_ERR_NVS_INVALID_NAME")
NO_SPACE = (0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
KEY_TOO_LONG = (0x1109, "ESP_ERR_NVS_KEY_TOO_LONG")
INVALID_LENGTH = (0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
TOO_LONG = (0x110E, "ESP_ERR_NVS_VALUE_TOO_LONG")

Value = int | bytes


class NvsError(Exception):
    """A refusal of ESP-IDF: args are its code and name."""


class Nvs:
    """The store in the partition `nvs` of a flash."""

    def __init__(self, flash: Flash, may_lose: bool = True) -> None:
        self.flash = flash
        part = flash.partition("nvs")
        self.first = part.offset // BLOCK
        self.pages = part.size // BLOCK
        self.may_lose = may_lose
        self.data: dict[tuple[str, str], Value] = {}
        self._spaces: set[str] = set()
        self._fill = 0  # entries written in the active page
        self._page = 0
        self._dead = 0  # erased entries that wait for their page to be reclaimed

    def preset(self, spaces: Mapping[str, Mapping[str, Value]]) -> None:
        """What a board already holds when the run begins; costs no wear."""
        for space, items in spaces.items():
            self.open(space)
            for key, value in items.items():
                _check_key(key)
                self._spaces.add(space)
                self.data[space, key] = value
        if self.used() > (self.pages - 1) * ENTRIES:
            raise NvsError(*NO_SPACE)

    def dump(self) -> dict[str, dict[str, Value]]:
        """All entries, in the form that `preset` takes: what a board that is flashed again keeps."""
        out: dict[str, dict[str, Value]] = {}
        for (space, key), value in self.data.items():
            out.setdefault(space, {})[key] = value
        return out

    def used(self) -> int:
        """Live entries, namespaces included."""
        return len(self._spaces) + sum(_entries(v) for v in self.data.values())

    def open(self, space: str) -> None:
        if not 1 <= len(space) <= 15:
            raise NvsError(*INVALID_NAME)

    def get(self, space: str, key: str, kind: type) -> Value:
        _check_key(key)
        value = self.data.get((space, key))
        if value is None or not isinstance(value, kind):
            raise NvsError(*NOT_FOUND)
        return value

    def set(self, space: str, key: str, value: Value) -> int:
        """Store; returns the number of entries written (0 when the value was there already)."""
        _check_key(key)
        at = (space, key)
        old = self.data.get(at)
        if old == value and type(old) is type(value):
            return 0
        if isinstance(value, bytes) and len(value) > self.pages * BLOCK * 976 // 1000 - BLOCK:
            raise NvsError(*TOO_LONG)
        n = _entries(value) + (space not in self._spaces)
        if self.used() + n > (self.pages - 1) * ENTRIES:
            raise NvsError(*NO_SPACE)
        self._spaces.add(space)
        self._dead += _entries(old) if old is not None else 0
        self._write(at, old, value, n)
        self.data[at] = value
        return n

    def erase(self, space: str, key: str) -> int:
        """Forget a key; NvsError when there is none."""
        _check_key(key)
        at = (space, key)
        if at not in self.data:
            raise NvsError(*NOT_FOUND)
        old = self.data[at]
        self._dead += _entries(old)
        self._write(at, old, None, 1)
        del self.data[at]
        return 1

    def _write(self, at: tuple[str, str], old: Value | None, new: Value | None, n: int) -> None:
        for _ in range(n):
            self._fill += 1
            if self._fill > ENTRIES:
                self._fill = 1
                self._next_page(at, old, new)
            if not self.flash.unit():
                self._tear(at, old, new)

    def _next_page(self, at: tuple[str, str], old: Value | None, new: Value | None) -> None:
        # The page whose turn it is holds mostly dead entries by now; its live ones move on and it is erased.
        self._page = (self._page + 1) % self.pages
        block = self.first + self._page
        self.flash.erases[block] = self.flash.erases.get(block, 0) + 1
        self._dead = max(0, self._dead - ENTRIES)
        if not self.flash.unit():
            self._tear(at, old, new)

    def _tear(self, at: tuple[str, str], old: Value | None, new: Value | None) -> None:
        dice = self.flash.random.random()
        keep = old if dice < 0.5 else new
        if self.may_lose and dice >= 0.9:
            keep = None
        if keep is None:
            self.data.pop(at, None)
        else:
            self.data[at] = keep
        raise PowerCut


def _entries(value: Value) -> int:
    if isinstance(value, int):
        return 1
    chunks = max(1, -(-len(value) // CHUNK))
    return 1 + chunks + -(-len(value) // 32)


def _check_key(key: str) -> None:
    if len(key) > 15:
        raise NvsError(*KEY_TOO_LONG)
    if not key:
        raise NvsError(*INVALID_NAME)
