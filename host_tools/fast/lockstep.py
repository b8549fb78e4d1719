"""Payloads of readings taken apart many at a time, step by step of their maps: det([type, {key: integer, ...}]).

The profile is that of firmware/protocols/schema/reader.py with plain integers, byte strings of eight bytes and
padding of zeros alone, and it is made from the field table. What does not match it is not refused here: each such
payload is read by `verdict.read`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from firmware.protocols import schema
from firmware.protocols.schema import PAD

Array = np.ndarray[Any, Any]

_KEYS = 24
_BYTES = 8
# By the head of a CBOR integer, of the eight bytes that its key begins: how far right the argument lies, its bits,
# the least that is canonical, and the bytes of key and integer.
_SIZES = [0 if h & 31 < 24 else 1 << (h & 31) - 24 if h & 31 < 27 else 9 for h in range(256)]
_GOOD = [h < 0x40 and s < 9 for h, s in enumerate(_SIZES)]
_SHIFT = np.array([48 - 8 * (s % 9) for s in _SIZES], np.uint64)
_MASK = np.array([(1 << 8 * (s % 9)) - 1 if s % 9 else 31 for s in _SIZES], np.uint64)
_LEAST = np.array(
    [{0: 0, 1: 24, 2: 256, 4: 65536}[s] if g else 1 << 40 for s, g in zip(_SIZES, _GOOD, strict=True)],
    np.int64,
)
_STEP = np.array([2 + s % 9 for s in _SIZES], np.int64)
# Rows at once: what one step works on stays in the second cache.
_BATCH = 16384
_ROOM = 16


@dataclass(frozen=True)
class _Table:
    """low, high: by key, an empty range where there is no such integer. texts: keys of byte strings."""

    low: Array
    high: Array
    texts: frozenset[int]
    lengths: tuple[int, int]


@cache
def _table(number: int) -> _Table:
    low, high = np.ones(_KEYS, np.int64), np.zeros(_KEYS, np.int64)
    texts = set()
    for row in schema.rows(number):
        key, shape, lo, hi = row[0], row[2], row[5], row[6]
        if shape == "bytes" and key != PAD and (lo, hi) == (_BYTES, _BYTES):
            texts.add(key)
        elif shape not in ("bytes", "vector", "reserved"):
            low[key], high[key] = lo, hi
    words = schema.message(number)
    return _Table(low, high, frozenset(texts), (words[3], words[4]))


@dataclass
class Columns:
    """What some payloads of one message type say. rows: which ones they are; values: by key, 8 bytes of a byte
    string as a number; there: by key, which rows have it, None for all."""

    number: int
    rows: Array
    values: dict[int, Array] = field(default_factory=dict)
    there: dict[int, Array | None] = field(default_factory=dict)


def read(payloads: Array, lengths: Array, rows: Array) -> tuple[list[Columns], Array]:
    """The columns of the rows that match, and the rows that do not. payloads: bytes, zeros at their ends."""
    found: list[Columns] = []
    left: list[Array] = []
    for a in range(0, len(rows), _BATCH):
        some = rows[a : a + _BATCH]
        data = payloads[some]
        size = lengths[some]
        usual = (data[:, 0] == 0x82) & (size >= 3) & (data[:, 2] >= 0xA0) & (data[:, 2] < 0xA0 + _KEYS)
        types = np.where(usual, data[:, 1], 0)
        left.append(some[types == 0])
        for number in np.unique(types).tolist():
            if number == 0:
                continue
            at = np.flatnonzero(types == number) if (types != number).any() else np.arange(len(some))
            if number not in schema.TYPES:
                left.append(some[at])
                continue
            good, columns = _steps(_table(number), number, data[at], size[at])
            if not good.all():
                left.append(some[at[~good]])
                keep = np.flatnonzero(good)
                columns.values = {k: v[keep] for k, v in columns.values.items()}
                columns.there = {k: None if t is None else t[keep] for k, t in columns.there.items()}
                at = at[keep]
            if len(at):
                columns.rows = some[at]
                found.append(columns)
    return found, np.concatenate(left) if left else np.empty(0, np.int64)


def _steps(table: _Table, number: int, data: Array, size: Array) -> tuple[Array, Columns]:
    count, width = data.shape
    room = np.zeros(count * width + _ROOM, np.uint8)
    room[: count * width] = data.reshape(-1)
    # Eight bytes from any place on, first byte first.
    window = np.ndarray(count * width, ">u8", room, strides=(1,))
    wide = np.ndarray(count * width + 8, ">u8", room, strides=(1,))
    row = np.arange(count) * width
    pairs = data[:, 2].astype(np.int64) - 0xA0
    at = row + 3
    end = row + size
    good = np.ones(count, bool)
    last: Array = np.full(count, -1, np.int16)
    least_pairs = int(pairs.min()) if count else 0
    columns = Columns(number, np.empty(0, np.int64))
    pad = np.full(count, width)
    most = count * width - 1
    for n in range(int(pairs.max()) if count else 0):
        active = None if n < least_pairs else n < pairs
        word = window[np.minimum(at, most)].astype(np.uint64)
        key = (word >> np.uint64(56)).astype(np.uint8)
        head = (word >> np.uint64(48)).astype(np.uint8)
        value = (word >> _SHIFT[head] & _MASK[head]).view(np.int64)
        step = _STEP[head]
        fits = value >= _LEAST[head]
        minus = head >= 0x20
        if minus.any():
            value = np.where(minus, -1 - value, value)
        one = int(key[0])
        if (key == one).all():
            known = min(one, _KEYS - 1)
            fits &= (value >= table.low[known]) & (value <= table.high[known])
        else:
            one = -1
            several = np.minimum(key, _KEYS - 1)
            fits &= (value >= table.low[several]) & (value <= table.high[several])
        for text in table.texts:
            mine = (key == text) & (head == 0x40 + _BYTES)
            if mine.any():
                value = np.where(mine, wide[np.minimum(at + 2, most + 1)].astype(np.int64), value)
                step = np.where(mine, 2 + _BYTES, step)
                fits |= mine
        if table.lengths[1]:
            four = (word >> np.uint64(16)).astype(np.int64) & 0xFFFFFFFF
            mine, long = _pad(table, key, head.astype(np.int64), four, size, at, end)
            fits |= mine
            step = np.where(mine, long, step)
            pad = np.where(
                mine if active is None else mine & active, at - row + np.where(long > 25, 3, 2), pad
            )
        fits &= (key < _KEYS) & (key > last) & (at < end)
        if active is None:
            good &= fits
            last = key
            at = at + step
            _enter(columns, one, key, value, good)
        else:
            good &= fits | ~active
            last = np.where(active, key, last)
            at = np.where(active, at + step, at)
            _enter(columns, -1, key, value, active & good)
    good &= at == end
    both = [columns.there.get(k, False) for k in (0, 1)]
    if 0 in columns.there and 1 in columns.there:
        first, second = (np.ones(count, bool) if t is None else t for t in both)
        good &= ~(first & second)
    columns.values.pop(PAD, None)
    columns.there.pop(PAD, None)
    if table.lengths[1]:
        # A type of fixed length ends in zeros.
        behind = np.arange(width) >= pad[:, None]
        good &= (pad < width) & ~(data.astype(bool) & behind).any(axis=1)
    return good, columns


def _pad(
    table: _Table, key: Array, head: Array, four: Array, size: Array, at: Array, end: Array
) -> tuple[Array, Array]:
    """Which rows have their padding here, and how long it is with its head."""
    short = (head >= 0x40) & (head < 0x58)
    rest = end - at
    length = np.where(short, head - 0x40, four >> 24)
    long = np.where(short, 2, 3) + length
    mine = (key == PAD) & (short | ((head == 0x58) & (length >= 24))) & (long == rest)
    mine &= (size == table.lengths[0]) | (size == table.lengths[1])
    return mine, long


def _enter(columns: Columns, one: int, key: Array, value: Array, valid: Array) -> None:
    """Put the values of one step into the columns of their keys; one: the key of all rows, or -1."""
    if one >= 0 and one not in columns.values:
        columns.values[one] = value
        columns.there[one] = None
        return
    for k in np.unique(key[valid]).tolist():
        mine = valid & (key == k)
        if k not in columns.values:
            columns.values[k] = np.zeros(len(key), np.int64)
            columns.there[k] = np.zeros(len(key), bool)
        there = columns.there[k]
        if there is None:
            continue
        columns.values[k] = np.where(mine, value, columns.values[k])
        columns.there[k] = there | mine
