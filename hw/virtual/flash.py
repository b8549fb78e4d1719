"""A serial NOR flash that keeps the rules of one, wears, and tears when the power goes.

Erasing sets a block of 4 KB to 0xFF; programming only clears bits. Programming a bit from 0 back to 1 is a
wrong use and ends the run. `cut_after(n)` is the one power-cut primitive of the virtual board: n more units
of work (a page program of at most 256 bytes or the erase of one block, NVS entries included) complete, the
next one tears and the board is dead at once. A torn program leaves any prefix and possibly some of the bits
of the byte where it stopped; a torn erase leaves pages erased, pages untouched and one page half way, each
by the seed.

Not modelled: bits that read differently each time after a marginal erase, read disturb, retention, wear-out.
"""

from __future__ import annotations

import mmap
import os
import random
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

BLOCK = 4096
PAGE = 256
APP, DATA = 0, 1
_TYPES = {"app": APP, "data": DATA}
_SUBTYPES = {
    "factory": 0,
    "ota": 0,
    "phy": 1,
    "nvs": 2,
    "fat": 0x81,
    "spiffs": 0x82,
    "littlefs": 0x83,
    "undefined": 6,
}


class PowerCut(Exception):  # noqa: N818 - an event, not an error
    """The supply is gone; nothing after this line happened."""


class FlashRule(Exception):  # noqa: N818
    """The flash was used against its rules; args[0] says which."""


class Partition(NamedTuple):
    label: str
    kind: int
    subtype: int
    offset: int
    size: int


#: 4 MB: image, NVS, boot file system, counters and frames, gateway ring.
DEFAULT_TABLE = (
    Partition("nvs", DATA, 2, 0x9000, 0x6000),
    Partition("phy_init", DATA, 1, 0xF000, 0x1000),
    Partition("factory", APP, 0, 0x10000, 0x1F0000),
    Partition("vfs", DATA, 0x83, 0x200000, 0x80000),
    Partition("store", DATA, 0x83, 0x280000, 0x80000),
    Partition("ring", DATA, 0x40, 0x300000, 0x100000),
)


def read_table(path: str | Path) -> tuple[Partition, ...]:
    """A partition table in ESP-IDF's CSV form (name, type, subtype, offset, size, flags)."""
    out = []
    at = 0x9000
    for line in Path(path).read_text().splitlines():
        cells = [c.strip() for c in line.split("#")[0].split(",")]
        if len(cells) < 5 or not cells[0]:
            continue
        kind = _TYPES[cells[1]] if cells[1] in _TYPES else int(cells[1], 0)
        subtype = _SUBTYPES[cells[2]] if cells[2] in _SUBTYPES else int(cells[2], 0)
        offset = _size(cells[3]) if cells[3] else at
        size = _size(cells[4])
        out.append(Partition(cells[0], kind, subtype, offset, size))
        at = offset + size
    return check_table(out)


def check_table(table: Iterable[Partition]) -> tuple[Partition, ...]:
    """The table sorted by offset; ValueError for overlaps, unaligned parts and labels used twice."""
    rows = tuple(sorted(table, key=lambda p: p.offset))
    end = 0
    for p in rows:
        if p.offset % BLOCK or p.size % BLOCK or p.size <= 0:
            raise ValueError(f"partition {p.label}: not made of whole blocks of 4 KB")
        if p.offset < end:
            raise ValueError(f"partition {p.label} overlaps the one before it")
        end = p.offset + p.size
    if len({p.label for p in rows}) != len(rows):
        raise ValueError("two partitions have the same label")
    return rows


def _size(text: str) -> int:
    unit = {"K": 1024, "M": 1024 * 1024}.get(text[-1].upper(), 1)
    return int(text if unit == 1 else text[:-1], 0) * unit


class Flash:
    """One chip. `fd` is a file that always holds its content (the board reads it directly)."""

    def __init__(
        self, size: int = 4 << 20, table: Iterable[Partition] = DEFAULT_TABLE, seed: int = 0
    ) -> None:
        self.size = size
        self.table = check_table(table)
        if self.table and self.table[-1].offset + self.table[-1].size > size:
            raise ValueError("the partition table is larger than the flash")
        self.fd = _memory_file(size)
        self.mem = mmap.mmap(self.fd, size)
        self.mem[:] = b"\xff" * size
        self.random = random.Random(seed)
        self.erases: dict[int, int] = {}  # block number -> count
        self.programmed = 0  # bytes
        self.units = 0
        self._left: int | None = None

    def close(self) -> None:
        self.mem.close()
        os.close(self.fd)

    def partition(self, label: str) -> Partition:
        for p in self.table:
            if p.label == label:
                return p
        raise KeyError(f"no partition {label!r}")

    def load(self, image: bytes, offset: int = 0) -> None:
        """Lay an image into the flash as a programmer does (erases what it covers; no wear counted)."""
        if offset % BLOCK or offset + len(image) > self.size:
            raise ValueError("an image starts at a block and fits the flash")
        end = -(-(offset + len(image)) // BLOCK) * BLOCK
        self.mem[offset:end] = b"\xff" * (end - offset)
        self.mem[offset : offset + len(image)] = image

    def image(self, label: str | None = None) -> bytes:
        """A copy of the whole chip or of one partition."""
        if label is None:
            return bytes(self.mem[:])
        p = self.partition(label)
        return bytes(self.mem[p.offset : p.offset + p.size])

    def cut_after(self, n: int | None) -> None:
        """Let n units complete and tear the next; None takes it back."""
        self._left = n

    def unit(self) -> bool:
        """Account for one unit of work: False if the power goes during it."""
        self.units += 1
        if self._left is None:
            return True
        self._left -= 1
        if self._left >= 0:
            return True
        self._left = None
        return False

    def erase(self, block: int) -> None:
        """Erase one block. PowerCut if the power goes."""
        at = block * BLOCK
        self.erases[block] = self.erases.get(block, 0) + 1
        if self.unit():
            self.mem[at : at + BLOCK] = b"\xff" * BLOCK
            return
        pages = BLOCK // PAGE
        done = self.random.randrange(pages)
        order = list(range(pages)) if self.random.random() < 0.5 else self.random.sample(range(pages), pages)
        for p in order[:done]:
            self.mem[at + p * PAGE : at + (p + 1) * PAGE] = b"\xff" * PAGE
        half = at + order[done] * PAGE
        for i in range(half, half + PAGE):
            self.mem[i] |= self.random.getrandbits(8)
        raise PowerCut

    def program(self, at: int, data: bytes) -> None:
        """Program bytes, page by page. PowerCut if the power goes, FlashRule for a bit from 0 to 1."""
        i = 0
        while i < len(data):
            n = min(PAGE - (at + i) % PAGE, len(data) - i)
            self._page(at + i, data[i : i + n])
            i += n

    def _page(self, at: int, data: bytes) -> None:
        old = int.from_bytes(self.mem[at : at + len(data)], "little")
        new = int.from_bytes(data, "little")
        if new & ~old:
            raise FlashRule(f"program at 0x{at:X}: the cells are not erased")
        if self.unit():
            self.mem[at : at + len(data)] = data
            self.programmed += len(data)
            return
        n = self.random.randrange(len(data) + 1)
        self.mem[at : at + n] = data[:n]
        if n < len(data) and self.random.random() < 0.5:
            self.mem[at + n] &= data[n] | self.random.getrandbits(8)
        raise PowerCut

    def wear(self, label: str) -> tuple[int, int]:
        """(erases of the most worn block, erases of all blocks) of a partition."""
        p = self.partition(label)
        first, last = p.offset // BLOCK, (p.offset + p.size) // BLOCK
        counts = [n for b, n in self.erases.items() if first <= b < last]
        return max(counts, default=0), sum(counts)


def _memory_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("flash", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as f:
            fd = os.dup(f.fileno())
    os.ftruncate(fd, size)
    return fd
