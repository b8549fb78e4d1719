"""Verified frames by groups of devices: in memory, and from some size on in a file for each group."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from host_tools.fast.opening import KINDS

Array = np.ndarray[Any, Any]

# What lies in memory before it goes to files.
_MOST = 48 << 20


class Spool:
    """group: by epoch, the group it belongs to."""

    def __init__(self, group: Array, folder: Path | None = None) -> None:
        self._edges = np.searchsorted(group, np.arange(int(group.max()) + 2)) if len(group) else np.zeros(2)
        self.groups = int(group.max()) + 1 if len(group) else 1
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._folder = folder
        self._held: list[list[Array]] = [[] for _ in range(self.groups)]
        self._size = 0

    @property
    def folder(self) -> Path:
        if self._folder is None:
            self._own = tempfile.TemporaryDirectory(prefix="lanterne-")
            self._folder = Path(self._own.name)
        return self._folder

    def add(self, found: list[Array]) -> None:
        for piece in found:
            if self.groups == 1:
                self._held[0].append(piece)
            else:
                # A piece lies in the order of epochs, which is that of devices and groups.
                edges = np.searchsorted(piece["epoch"], self._edges).tolist()
                for n, (a, b) in enumerate(pairwise(edges)):
                    if b > a:
                        self._held[n].append(piece[a:b])
            self._size += piece.nbytes
        if self._size > _MOST and self.groups > 1:
            self.flush()

    def flush(self) -> None:
        """Everything to files."""
        for n, pieces in enumerate(self._held):
            for piece in pieces:
                with (self.folder / f"{n}-{KINDS.index(piece.dtype)}").open("ab") as f:
                    piece.tofile(f)
            pieces.clear()
        self._size = 0

    def take(self, group: int) -> list[Array]:
        """All of a group, by width; it is gone from here."""
        found = []
        for n, kind in enumerate(KINDS):
            pieces = [p for p in self._held[group] if p.dtype == kind]
            for file in sorted(self._folder.glob(f"**/{group}-{n}")) if self._folder is not None else ():
                pieces.append(np.fromfile(file, kind))
                file.unlink()
            found.append(
                np.concatenate(pieces) if len(pieces) != 1 and pieces else (pieces or [np.empty(0, kind)])[0]
            )
        self._held[group] = []
        return found

    def close(self) -> None:
        self._held = []
        if self._own is not None:
            self._own.cleanup()
