"""One chunk of frames verified: those of the strict profile, in batches; the places of all others.

A frame is of the profile when it is a link frame or a LoRaWAN uplink on one of our ports, of a device and session
that are beyond doubt, around COSE in the one form that our devices send, with a number below 2^24; and when its
seals fit. Whoever fits nothing here is refused nowhere here: the careful path looks at it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np

from firmware.protocols import cose, ports
from host_tools.fast import blocks
from host_tools.fast.records import Chunk, Places
from host_tools.fast.ring import BANDS, PER_EPOCH, Ring
from host_tools.fast.signatures import verifier
from host_tools.lorawan import crypto

Array = np.ndarray[Any, Any]

# A row of what was verified, by the width of its payload. place: file << 48 | byte of the record in it; fcnt: -1
# of a link frame; sha: the first 8 bytes of the frame's SHA-256.
WIDTHS = (48, 80, 240)
_FIELDS = [
    ("epoch", "<i4"),
    ("seq", "<u4"),
    ("time", "<i8"),
    ("place", "<i8"),
    ("fcnt", "<i8"),
    ("sha", "S8"),
    ("purpose", "u1"),
    ("kind", "u1"),
    ("length", "<u2"),
]
KINDS = tuple(np.dtype([*_FIELDS, ("payload", "u1", (w,))]) for w in WIDTHS)

_LINK = 0xE0
_UPLINKS = (0x40, 0x80)
_LINK_HEAD = 7
# Below so many frames of one key in a batch a MAC of its own each is faster (measured).
_FEW = 12
_PORT = np.array([max(ports.purpose(p, ports.UP), -1) if p < ports.FALLBACK else -1 for p in range(256)])
# Rows that the second cache holds.
_PART = 4096
_FRAME_WIDTHS = (96, 144, 272)


class _Bodies:
    """COSE frames of some frames of a chunk, as rows: what is in them, and what their carriers say."""

    def __init__(
        self, index: Array, rows: Array, size: Array, port: Array, device: Array, number: Array, fcnt: Array
    ) -> None:
        self.index, self.rows, self.size = index, rows, size
        self.purpose, self.device, self.number, self.fcnt = _PORT[port], device, number, fcnt


def open_chunk(
    ring: Ring, chunk: Chunk, places: Places, file: int, hashes: bool = True
) -> tuple[list[Array], Array]:
    """What could be verified, and for every record whether it was. hashes: with the SHA-256 of frames."""
    done = np.zeros(len(places.start), bool)
    found: list[Array] = []
    heads = chunk.windows(places.start, 24)
    first = heads[:, 0]
    usual = places.whole & (places.size <= 255)
    low = 0
    for width in _FRAME_WIDTHS:
        fits = usual & (places.size > low) & (places.size <= width - 16)
        low = width - 16
        link = np.flatnonzero(fits & (first == _LINK) & (places.size > _LINK_HEAD))
        over = np.flatnonzero(fits & ((first == _UPLINKS[0]) | (first == _UPLINKS[1])) & (places.size > 13))
        for index, take in ((link, _link), (over, _lorawan)):
            if len(index):
                bodies = take(ring, chunk, places, index, heads[index], width)
                if bodies is not None:
                    found += _verify(ring, chunk, places, bodies, done, file, hashes)
    return found, done


def _link(ring: Ring, chunk: Chunk, places: Places, index: Array, heads: Array, width: int) -> _Bodies | None:
    wide = heads.astype(np.int64)
    device = ring.link_rows(wide[:, 2] << 16 | wide[:, 3] << 8 | wide[:, 4])
    port = heads[:, 1]
    keep = (device >= 0) & (_PORT[port] >= 0)
    # Frames of one device together, for the batches by key.
    order = np.flatnonzero(keep)
    order = order[np.argsort(device[order], kind="stable")]
    if not len(order):
        return None
    index = index[order]
    rows = chunk.windows(places.start[index] + _LINK_HEAD, width)
    number = wide[order, 5] << 8 | wide[order, 6]
    fcnt = np.full(len(index), -1, np.int64)
    return _Bodies(index, rows, places.size[index] - _LINK_HEAD, port[order], device[order], number, fcnt)


def _lorawan(
    ring: Ring, chunk: Chunk, places: Places, index: Array, heads: Array, width: int
) -> _Bodies | None:
    addr = np.ascontiguousarray(heads[:, 1:5]).view("<u4").ravel().astype(np.int64)
    session = ring.sessions_of(addr)
    options = (heads[:, 5] & 15).astype(np.int64)
    size = places.size[index]
    port = heads[np.arange(len(index)), 8 + options]
    keep = (session >= 0) & (_PORT[port] >= 0) & (9 + options < size - 4)
    order = np.flatnonzero(keep)
    order = order[np.argsort(session[order], kind="stable")]
    if not len(order):
        return None
    index, addr, session = index[order], addr[order], session[order]
    size, options, port = size[order], options[order], port[order]
    low = heads[order, 6].astype(np.int64) | heads[order, 7].astype(np.int64) << 8
    start = places.start[index]
    fcnt = ring.bands[session] << 16 | low
    good = _mic(ring, chunk, start, size, session, addr, fcnt, width)
    for n in np.flatnonzero(~good).tolist():
        # One of a counter that went on since, or one that the careful path has to refuse.
        at, s = int(start[n]), int(session[n])
        message, mic = chunk.data[at : at + int(size[n]) - 4], chunk.data[at + int(size[n]) - 4 :][:4]
        near = int(ring.bands[s])
        for band in sorted(range(BANDS), key=lambda b: (abs(b - near), b)):
            whole = band << 16 | int(low[n])
            if crypto.data_mic(ring.nwk[s], crypto.UP, int(addr[n]), whole, message) == mic:
                good[n], fcnt[n], ring.bands[s] = True, whole, band
                break
    order = np.flatnonzero(good)
    if not len(order):
        return None
    if len(order) < len(index):
        index, addr, session, start, fcnt = (
            index[order],
            addr[order],
            session[order],
            start[order],
            fcnt[order],
        )
        size, options, port = size[order], options[order], port[order]
    length = size - 13 - options
    rows = _decrypted(ring, chunk.windows(start + 9 + options, width), length, session, addr, fcnt)
    return _Bodies(index, rows, length, port, ring.session_rows[session], np.full(len(index), -1), fcnt)


def _mic(
    ring: Ring, chunk: Chunk, start: Array, size: Array, session: Array, addr: Array, fcnt: Array, width: int
) -> Array:
    """Which MICs fit (TS001-1.0.4 section 4.4): CMAC of the block B0 and the message."""
    length = size - 4
    count = len(start)
    mics = np.ascontiguousarray(chunk.windows(start + length, 4)).view("<u4").ravel()
    if count < _FEW * (1 + np.count_nonzero(np.diff(session))):
        data, nwk = chunk.data, ring.nwk
        made = [
            crypto.data_mic(nwk[s], crypto.UP, a, f, data[at : at + n])
            for s, a, f, at, n in zip(
                session.tolist(), addr.tolist(), fcnt.tolist(), start.tolist(), length.tolist(), strict=True
            )
        ]
        return np.asarray(np.frombuffer(b"".join(made), "<u4") == mics)
    # The block ahead of a frame lies on the headers of its record.
    width = 16 * (1 + -(-int(length.max()) // 16))
    rows = chunk.windows(start - 16, width)
    rows[:, :16] = 0
    rows[:, 0] = 0x49
    blocks.little_endian(rows[:, 6:10], addr, 4)
    blocks.little_endian(rows[:, 10:14], fcnt, 4)
    rows[:, 15] = length
    blocks.cut(rows, length + 16)
    part = length % 16 != 0
    short = np.flatnonzero(part)
    rows[short, 16 + length[short]] = 0x80
    steps = 1 + (length + 15) // 16
    keys = ring.subkeys[session, part.astype(np.int64)]
    flat = rows.reshape(-1).view(np.complex128)
    at = np.arange(count) * (width // 16) + steps - 1
    last = flat[at].view(np.uint64) ^ keys.reshape(-1).view(np.uint64)
    flat[at] = last.view(np.complex128)
    groups = blocks.Groups(session, lambda s: ring.sessions[s].nwk_s_key, ring.ciphers)
    tags = groups.cbc_mac(rows, steps)
    return np.asarray(np.ascontiguousarray(tags[:, :4]).view("<u4").ravel() == mics)


def _decrypted(ring: Ring, rows: Array, length: Array, session: Array, addr: Array, fcnt: Array) -> Array:
    """FRMPayload in clear (section 4.3.3); `rows` are changed."""
    count = -(-int(length.max()) // 16)
    head = np.zeros((len(rows), 16), np.uint8)
    head[:, 0] = 1
    blocks.little_endian(head[:, 6:10], addr, 4)
    blocks.little_endian(head[:, 10:14], fcnt, 4)
    stream = np.repeat(head, count, axis=0).reshape(len(rows), count * 16)
    stream[:, 15::16] = np.arange(1, count + 1)
    groups = blocks.Groups(session, lambda s: ring.sessions[s].app_s_key, ring.ciphers)
    rows[:, : count * 16] ^= groups.ecb(stream)
    return rows


# COSE


def _verify(
    ring: Ring, chunk: Chunk, places: Places, bodies: _Bodies, done: Array, file: int, hashes: bool
) -> Iterator[Array]:
    """Take the COSE frames apart and try their candidates, the first that fits being the one."""
    rows, size = bodies.rows, bodies.size
    width = rows.shape[1]
    flat = rows.reshape(-1)
    row = np.arange(len(rows)) * width
    usual = (rows[:, 1] == 0x40) & (rows[:, 2] == 0xA1) & (rows[:, 3] == 6) & (rows[:, 4] == 0x43)
    piv = rows[:, 5].astype(np.int64) << 16 | rows[:, 6].astype(np.int64) << 8 | rows[:, 7]
    head = rows[:, 8]
    short = (head >= 0x40) & (head < 0x58)
    begin = np.where(short, 9, 10)
    length = np.where(short, head.astype(np.int64) - 0x40, rows[:, 9])
    usual &= (short | ((head == 0x58) & (rows[:, 9] >= 24))) & (piv > 0)
    usual &= (bodies.number < 0) | (bodies.number == (piv & 0xFFFF))
    end = begin + length
    rest = size - end
    usual &= rest >= 0
    end = np.where(usual, end, 0)
    after, next_one = flat[row + end], flat[row + np.minimum(end + 1, width - 1)]
    four = rows[:, 0] == 0x84
    kind = np.zeros(len(rows), np.uint8)
    kind[four & (rest == 9) & (after == 0x48)] = cose.MAC0
    kind[four & (rest == 66) & (after == 0x58) & (next_one == 64)] = cose.SIGN1
    kind[(rows[:, 0] == 0x83) & (rest == 0) & (length >= 8)] = cose.ENCRYPT0
    kind[~usual] = 0
    open_ = np.flatnonzero(kind)
    for turn in range(ring.deep):
        epoch = ring.candidates[bodies.device[open_], turn]
        tried = (epoch >= 0) & (ring.kinds[epoch, bodies.purpose[open_]] == kind[open_])
        fitted = np.zeros(len(open_), bool)
        for what, check in _CHECKS.items():
            at = np.flatnonzero(tried & (kind[open_] == what))
            if not len(at):
                continue
            rows_at = open_[at]
            case = _Case(ring, rows, rows_at, epoch[at], bodies.purpose[rows_at], piv[rows_at], what)
            case.begin, case.length, case.size = begin[rows_at], length[rows_at], size[rows_at]
            good, payload, sizes = check(case)
            where = case.at[good]
            fitted[at[case.order[good]]] = True
            if len(where):
                yield from _found(chunk, places, bodies, file, hashes, where, case, good, payload, sizes)
        done[bodies.index[open_[fitted]]] = True
        open_ = open_[~fitted]
        if not len(open_):
            break


class _Case:
    """Frames of one structure with the epoch that each is tried under, sorted by what is sealed with them."""

    begin: Array
    length: Array
    size: Array

    def __init__(
        self, ring: Ring, rows: Array, at: Array, epoch: Array, purpose: Array, seq: Array, kind: int
    ) -> None:
        self.kind = kind
        group = ring.group(epoch, purpose, seq)
        self.order = np.argsort(group, kind="stable")
        self.ring, self.rows = ring, rows
        self.at, self.epoch, self.purpose, self.seq, self.group = (
            x[self.order] for x in (at, epoch, purpose, seq, group)
        )

    def spread(self) -> tuple[Array, Array, Array]:
        """begin, length, size in the order of the groups."""
        return self.begin[self.order], self.length[self.order], self.size[self.order]

    def groups(self) -> Iterator[tuple[int, int, int]]:
        """(first row, end, group)."""
        edges = [0, *(np.flatnonzero(np.diff(self.group)) + 1).tolist(), len(self.group)]
        for a, b in pairwise(edges):
            yield a, b, int(self.group[a])


def _mac0(case: _Case) -> tuple[Array, Array, Array]:
    begin, length, _ = case.spread()
    width = case.rows.shape[1]
    data = case.rows.tobytes()
    row = case.at * width
    made: list[bytes] = []
    eighth, ends = (row + 8).tolist(), (row + begin + length).tolist()
    for a, b, group in case.groups():
        mac, tail = case.ring.mac(group)
        copy = mac.copy
        # Joined group by group: few small objects live at one time, which the caches like.
        some: list[bytes] = []
        append = some.append
        for eight, end in zip(eighth[a:b], ends[a:b], strict=True):
            one = copy()
            one.update(data[eight - tail : end])
            append(one.finalize())
        made.append(b"".join(some))
    tags = np.frombuffer(b"".join(made), np.uint8).reshape(-1, 32)[:, :8]
    flat = np.lib.stride_tricks.sliding_window_view(case.rows.reshape(-1), 8)
    theirs = flat[row + begin + length + 1]
    good = (np.ascontiguousarray(tags).view(np.uint64) == theirs.view(np.uint64)).ravel()
    return good, *_payloads(case.rows, case.at, begin, length)


def _payloads(rows: Array, at: Array, begin: Array, length: Array) -> tuple[Array, Array]:
    wide = next(w for w in WIDTHS if w >= length.max())
    flat = rows.reshape(-1)
    if int(begin.max()) + wide > rows.shape[1]:
        flat = np.concatenate((flat, np.zeros(wide, np.uint8)))
    found = np.lib.stride_tricks.sliding_window_view(flat, wide)[at * rows.shape[1] + begin]
    blocks.cut(found, length)
    return found, length


def _sign1(case: _Case) -> tuple[Array, Array, Array]:
    begin, length, _ = case.spread()
    width = case.rows.shape[1]
    data = case.rows.tobytes()
    good = np.zeros(len(case.at), bool)
    jobs: list[tuple[bytes, bytes, bytes]] = []
    for a, b, group in case.groups():
        head, tail = case.ring.structure(group)
        public = case.ring.epochs[group // PER_EPOCH].record.public_key
        for i in range(a, b):
            at = int(case.at[i]) * width
            end = at + int(begin[i] + length[i])
            jobs.append((data[end + 2 : end + 66], head + data[at + 8 - tail : end], public))
    good[:] = list(map(verifier(), jobs))
    return good, *_payloads(case.rows, case.at, begin, length)


def _encrypt0(case: _Case) -> tuple[Array, Array, Array]:
    """CCM: the CBC-MAC over nonce, additional data and payload; the cipher counts from 0, which seals the MAC."""
    begin, length, _ = case.spread()
    sealed = length
    length = sealed - 8
    count, widest = len(case.at), int(length.max())
    text = -(-widest // 16)
    payload, _ = _payloads(case.rows, case.at, begin, sealed)
    nonce, extra = _nonces(case)
    usual = extra.shape[1]
    stream = np.zeros((count, 1 + text, 16), np.uint8)
    stream[:, :, 0] = 1
    stream[:, :, 1:14] = nonce[:, None, :]
    stream[:, :, 15] = np.arange(1 + text)
    groups = blocks.Groups(case.group, case.ring.key, case.ring.ciphers)
    stream = groups.ecb(stream.reshape(count, -1))
    tags = np.lib.stride_tricks.sliding_window_view(payload.reshape(-1), 8)[
        np.arange(count) * payload.shape[1] + length
    ]
    tags ^= stream[:, :8]
    clear = min(payload.shape[1], text * 16)
    payload[:, :clear] ^= stream[:, 16 : 16 + clear]
    blocks.cut(payload, length)
    rows = np.zeros((count, 16 + usual + text * 16), np.uint8)
    rows[:, 0] = 0x59
    rows[:, 1:14] = nonce
    rows[:, 15] = length
    rows[:, 16 : 16 + usual] = extra
    rows[:, 16 + usual : 16 + usual + clear] = payload[:, :clear]
    macs = groups.cbc_mac(rows, 1 + usual // 16 + (length + 15) // 16)
    good = (macs[:, :8] == tags).all(axis=1)
    return good, payload, length


def _nonces(case: _Case) -> tuple[Array, Array]:
    """Nonces, and the additional data in whole blocks behind its length.

    Whose data take fewer blocks than others' here is not found to fit, and goes to the careful path.
    """
    count = len(case.at)
    nonce = np.zeros((count, 13), np.uint8)
    blocks.big_endian(nonce[:, 9:], case.seq, 4)
    heads, extras, tails = [], [], []
    for a, b, group in case.groups():
        record = case.ring.epochs[group // PER_EPOCH].record
        head, tail = case.ring.structure(group, payload=False)
        heads.append(bytes((record.epoch & 255,)) + record.device)
        extras.append((len(head) + tail).to_bytes(2, "big") + head)
        tails.append((b - a, tail))
    widest = max(len(e) + t for e, (_, t) in zip(extras, tails, strict=True))
    widest = -(-widest // 16) * 16
    many = np.array([n for n, _ in tails])
    nonce[:, :9] = np.repeat(np.frombuffer(b"".join(heads), np.uint8).reshape(-1, 9), many, axis=0)
    joined = np.frombuffer(b"".join(e.ljust(widest, b"\0") for e in extras), np.uint8).reshape(-1, widest)
    extra = np.repeat(joined, many, axis=0)
    ends = np.repeat(np.array([len(e) + t for e, (_, t) in zip(extras, tails, strict=True)]), many)
    own = np.repeat(np.array([t for _, t in tails]), many)
    row = np.arange(count) * widest
    flat = extra.reshape(-1)
    for i in range(3):
        some = np.flatnonzero(own > i)
        flat[row[some] + ends[some] - 1 - i] = case.seq[some] >> (8 * i) & 255
    return nonce, extra


_CHECKS: dict[int, Callable[[_Case], tuple[Array, Array, Array]]] = {
    cose.MAC0: _mac0,
    cose.SIGN1: _sign1,
    cose.ENCRYPT0: _encrypt0,
}


def _found(
    chunk: Chunk,
    places: Places,
    bodies: _Bodies,
    file: int,
    hashes: bool,
    where: Array,
    case: _Case,
    good: Array,
    payload: Array,
    sizes: Array,
) -> Iterator[Array]:
    """What was verified, in rows as wide as their payloads ask for."""
    record = bodies.index[where]
    start = places.start[record]
    shas = _shas(chunk.data, start, places.size[record]) if hashes else np.zeros(len(record), "S8")
    which: Any = slice(None) if good.all() else np.flatnonzero(good)
    payload, sizes = payload[which], sizes[which]
    fields = {
        "epoch": case.epoch[which],
        "seq": case.seq[which],
        "time": places.time_us[record],
        "place": (file << 48 | chunk.base) + chunk.places[record],
        "fcnt": bodies.fcnt[where],
        "sha": shas,
        "purpose": case.purpose[which],
        "kind": case.kind,
        "length": sizes,
    }
    low, top = -1, int(sizes.max())
    for kind, width in zip(KINDS, WIDTHS, strict=True):
        some: Any = slice(None)
        if low >= 0 or top > width:
            some = np.flatnonzero((sizes > low) & (sizes <= width))
        low = width
        chosen = {name: values if name == "kind" else values[some] for name, values in fields.items()}
        texts = payload[some]
        out = np.empty(len(texts), kind)
        fit = min(width, payload.shape[1])
        # A part at a time, as each field by itself would go through all of the memory.
        for n in range(0, len(out), _PART):
            rows = out[n : n + _PART]
            for name, values in chosen.items():
                rows[name] = values if name == "kind" else values[n : n + _PART]
            rows["payload"][:, :fit] = texts[n : n + _PART, :fit]
            if fit < width:
                rows["payload"][:, fit:] = 0
        if len(out):
            yield out
        if top <= width:
            break


def _shas(data: bytes, start: Array, size: Array) -> Array:
    """The first 8 bytes of the SHA-256 of each frame."""
    begins, ends = start.tolist(), (start + size).tolist()
    found = [
        b"".join([sha256(data[a:b]).digest() for a, b in zip(begins[n:m], ends[n:m], strict=True)])
        for n, m in ((n, n + 512) for n in range(0, len(begins), 512))
    ]
    return np.frombuffer(b"".join(found), "S8")[::4]
