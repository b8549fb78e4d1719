"""AES in batches: one ECB call per key for all of its blocks, CBC-MACs of many messages in lockstep.

The blocks of all messages of one key lie one after the other; `Groups` says where. CMAC is RFC 4493, CCM
RFC 3610 with M 8 and L 2, as AES-CCM-16-64-128 has it (RFC 9053 section 4.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Array = np.ndarray[Any, Any]
_Into = Callable[[memoryview, memoryview], int]
# Contexts of AES keys that are kept: a key of a city comes once a chunk.
_KEPT = 1 << 15


class Ciphers:
    """AES-ECB contexts by key."""

    def __init__(self) -> None:
        self._into: dict[bytes, _Into] = {}

    def __call__(self, key: bytes) -> _Into:
        found = self._into.get(key)
        if found is None:
            if len(self._into) >= _KEPT:
                self._into.clear()
            made = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
            found = self._into[key] = made.update_into
        return found


class Groups:
    """Rows that lie sorted by key. whose: for each row the number of its key, never falling."""

    def __init__(self, whose: Array, key: Callable[[int], bytes], ciphers: Ciphers) -> None:
        edges = np.flatnonzero(np.diff(whose)) + 1
        self.starts = np.concatenate(([0], edges)).tolist() if len(whose) else []
        self.ends = [*self.starts[1:], len(whose)] if len(whose) else []
        self.into = [ciphers(key(int(whose[a]))) for a in self.starts]

    def bind(self, source: Array, target: Array, width: int) -> list[tuple[_Into, memoryview, memoryview]]:
        """What to call so that `target` gets the ECB of `source`; `width`: bytes of a row. `target` has a
        block more than `source`, which the library asks for."""
        a, b = (memoryview(x.reshape(-1)) for x in (source, target))  # type: ignore[arg-type]
        return [
            (into, a[s * width : e * width], b[s * width : e * width + 16])
            for into, s, e in zip(self.into, self.starts, self.ends, strict=True)
        ]

    def ecb(self, rows: Array) -> Array:
        """ECB of rows of whole blocks."""
        count, width = rows.shape
        target = np.empty(count * width + 16, np.uint8)
        for into, a, b in self.bind(rows, target, width):
            into(a, b)
        return target[: count * width].reshape(count, width)

    def cbc_mac(self, rows: Array, blocks: Array) -> Array:
        """The CBC-MAC of each row over its first `blocks` blocks."""
        count, width = rows.shape
        # Sixteen bytes as one element: a transposed copy moves whole blocks.
        steps = rows.view(np.complex128).T.copy().view(np.uint64).reshape(width // 16, count * 2)
        state = np.empty((count, 16), np.uint8)
        target = np.zeros((count + 1, 16), np.uint8)
        calls = self.bind(state, target, 16)
        state64, target64 = state.view(np.uint64).reshape(-1), target.view(np.uint64).reshape(-1)[:-2]
        low, high = (int(blocks.min()), int(blocks.max())) if count else (0, 0)
        found = np.empty((count, 16), np.uint8)
        for n in range(high):
            np.bitwise_xor(target64, steps[n], out=state64)
            for into, a, b in calls:
                into(a, b)
            if low == high:
                continue
            if n + 1 >= low:
                done = np.flatnonzero(blocks == n + 1)
                found[done] = target[done]
        return target[:-1] if low == high else found


def subkeys(key: bytes, ciphers: Ciphers) -> bytes:
    """K1 and K2 of CMAC."""
    out = bytearray(32)
    ciphers(key)(memoryview(bytes(16)), memoryview(out))
    one = _doubled(int.from_bytes(out[:16], "big"))
    return one.to_bytes(16, "big") + _doubled(one).to_bytes(16, "big")


def _doubled(value: int) -> int:
    return (value << 1 & (1 << 128) - 1) ^ (0x87 if value >> 127 else 0)


def cut(rows: Array, lengths: Array) -> None:
    """Set to zero what lies behind the first `lengths` bytes of each row."""
    low = int(lengths.min()) if len(lengths) else 0
    tail = rows[:, low:]
    tail *= np.arange(low, rows.shape[1]) < lengths[:, None]


def big_endian(out: Array, values: Array, count: int) -> None:
    """Write numbers as the `count` columns of `out`."""
    for i in range(count):
        out[:, i] = values >> (8 * (count - 1 - i)) & 255


def little_endian(out: Array, values: Array, count: int) -> None:
    for i in range(count):
        out[:, i] = values >> (8 * i) & 255
