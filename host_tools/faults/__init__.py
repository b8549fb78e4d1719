"""Faults for a replay, and the file that asks for them (TOML). docs/faults.md shows every kind with an example.

A fault strikes frames on their way: those it damages, moves, holds or drops, and those it adds behind one. Two
kinds strike what comes back instead, the answers to downlinks (`faults_line`). All chance comes from the seed, the
fault's place in its file and its kind, so that the same source, faults and seed give the same frames.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from host_tools.errors import InputError, unreadable
from host_tools.faults import frames as frames_of
from host_tools.faults import line as line
from host_tools.frames import Frame

# Frames that a fault added are not struck by another.
ADDED = ("duplicate", "wrong_key", "foreign_device")
DAMAGE = ("bit_flip", "truncate", "wrong_mic")
COUNTERS = ("counter_jump", "counter_rollback")
# These have no rate, nth or at: they strike every frame of a time or of a gateway.
RANGES = ("clock_drift", "backhaul_cut")
# These strike answers to downlinks, which are numbered from 1, too.
ANSWERS = ("late_rx1", "tx_ack")
KINDS = ("drop", "reorder", *ADDED, *DAMAGE, *COUNTERS, *RANGES, *ANSWERS)

_STRIKES = frozenset(("rate", "nth", "at"))
# What each kind may say beside what every kind may.
_MEMBERS: dict[str, frozenset[str]] = {
    "drop": frozenset(),
    "reorder": frozenset(("by",)),
    "duplicate": frozenset(("gateway",)),
    "wrong_key": frozenset(("tenant",)),
    "foreign_device": frozenset(("tenant",)),
    "bit_flip": frozenset(),
    "truncate": frozenset(),
    "wrong_mic": frozenset(),
    "counter_jump": frozenset(("by", "lasting", "tenant", "keys")),
    "counter_rollback": frozenset(("by", "lasting", "tenant", "keys")),
    "clock_drift": frozenset(("ppm", "offset_ms", "gateway")),
    "backhaul_cut": frozenset(("from", "to", "lost", "gateway")),
    "late_rx1": frozenset(("ms",)),
    "tx_ack": frozenset(("error",)),
}
# Chosen: a day either way, and as much as a cheap crystal is ever off, a hundred times.
_MAX_MS = 86_400_000
_MAX_PPM = 100_000


@dataclass(frozen=True)
class Fault:
    """One kind of fault and where it strikes: exactly one of rate, nth and at is given, none for RANGES.

    by: places (reorder) or counter values. lasting: what follows of the device is moved as well. tenant: folder of
    a lab tenant; keys: LoRaWAN keys in it. gateway: of a copy, or the only one that is struck; b"" any. start_s,
    end_s: since the first frame. lost: frames are dropped and not held. ms: an answer's lateness. error: its word.
    """

    kind: str
    rate: float = 0.0
    nth: int = 0
    at: frozenset[int] = frozenset()
    by: int = 5
    tenant: str = ""
    keys: str = ""
    lasting: bool = False
    gateway: bytes = b""
    ppm: float = 0.0
    offset_ms: int = 0
    start_s: float = 0.0
    end_s: float = 0.0
    lost: bool = False
    ms: int = 1000
    error: str = "TOO_LATE"

    def strikes(self, number: int, chance: random.Random) -> bool:
        """True when record `number`, from 1, is struck. Draws the same whatever it answers."""
        drawn = chance.random()
        if self.at:
            return number in self.at
        return number % self.nth == 0 if self.nth else drawn < self.rate

    def touches(self, frame: Frame) -> bool:
        """True where the frame is of the gateway that the fault is about."""
        return not self.gateway or frame.gateway == self.gateway


@dataclass(frozen=True)
class Faults:
    """The faults of a file, in its order."""

    faults: tuple[Fault, ...]


@dataclass(slots=True)
class Item:
    """A frame under way. origin: its number in the source, from 1. due_us: when it is to be sent, on the clock of
    the source. struck: each fault that struck it, with the frame before. added: by a fault. lost: it is not sent.
    """

    frame: Frame
    origin: int
    due_us: int
    struck: tuple[tuple[str, bytes], ...] = ()
    added: bool = False
    lost: bool = False

    def hit(self, kind: str, frame: Frame | None = None, later_us: int = 0) -> Item:
        """The item after a fault of this kind made `frame` of its frame."""
        marks = (*self.struck, (kind, self.frame.data))
        return Item(frame or self.frame, self.origin, self.due_us + later_us, marks, self.added, self.lost)

    def copy(self, kind: str, frame: Frame, later_us: int) -> Item:
        """An item that a fault adds behind this one."""
        return Item(frame, self.origin, self.due_us + later_us, ((kind, self.frame.data),), True)


def load(path: Path | str) -> Faults:
    """Read a faults file; InputError in one line says what is wrong with it."""
    try:
        with Path(path).open("rb") as f:
            found = tomllib.load(f)
    except OSError as e:
        raise unreadable(path, e) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as e:
        raise InputError(f"{path} is not a TOML file: {e}") from None
    return of(found, str(path), Path(path).parent)


def of(found: Mapping[str, Any], name: str, folder: Path | None = None) -> Faults:
    """The faults of a TOML document. folder: where the tenants that it names are looked for."""
    rows = found.get("fault")
    if set(found) != {"fault"} or not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise InputError(f"{name} holds something else than [[fault]] tables")
    made = [_one(row, name) for row in rows]
    if folder is not None:
        made = [replace(f, tenant=str(folder / f.tenant)) if f.tenant else f for f in made]
    return Faults(tuple(made))


def _one(row: Mapping[str, Any], name: str) -> Fault:
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise InputError(f"{name}: no kind of fault {kind!r}", "known: " + ", ".join(KINDS))
    known = {"kind"} | _MEMBERS[kind] | (frozenset() if kind in RANGES else _STRIKES)
    unknown = sorted(set(row) - known)
    if unknown:
        raise InputError(f"{name}: {kind} has no {unknown[0]!r}", "known: " + ", ".join(sorted(known)))
    if kind not in RANGES and sum(m in row for m in _STRIKES) != 1:
        raise InputError(f"{name}: {kind} needs one of rate, nth and at")
    fault = Fault(kind, **{_FIELDS.get(m, m): _value(m, row[m], name) for m in row if m != "kind"})
    if kind == "backhaul_cut" and not fault.start_s < fault.end_s:
        raise InputError(f"{name}: backhaul_cut needs from and to, seconds, the second one later")
    if kind == "clock_drift" and not fault.ppm and not fault.offset_ms:
        raise InputError(f"{name}: clock_drift needs ppm or offset_ms")
    if bool(fault.keys) != bool(fault.tenant) and kind in COUNTERS:
        raise InputError(f"{name}: {kind} signs with both tenant and keys, or with neither")
    return fault


_FIELDS = {"from": "start_s", "to": "end_s"}


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and low <= v <= high


def _whole(value: object, low: int = 1, high: int = 1 << 32) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "rate": (_number(0, 1), "a number of 0 to 1"),
    "nth": (_whole, "a whole number from 1"),
    "at": (lambda v: isinstance(v, list) and bool(v) and all(map(_whole, v)), "a list of numbers from 1"),
    "by": (_whole, "a whole number from 1"),
    "tenant": (lambda v: isinstance(v, str) and v != "", "a folder"),
    "keys": (lambda v: isinstance(v, str) and v != "", "the name of a file in the tenant's folder"),
    "lasting": (lambda v: isinstance(v, bool), "true or false"),
    "lost": (lambda v: isinstance(v, bool), "true or false"),
    "gateway": (lambda v: line.eui(v) is not None, "an EUI of 16 hexadecimal digits"),
    "ppm": (_number(-_MAX_PPM, _MAX_PPM), f"a number of {-_MAX_PPM} to {_MAX_PPM}"),
    "offset_ms": (
        lambda v: _whole(v, -_MAX_MS * 36500, _MAX_MS * 36500),
        "whole milliseconds, 100 years at most",
    ),
    "from": (_number(0, 10**10), "seconds since the first frame"),
    "to": (_number(0, 10**10), "seconds since the first frame"),
    "ms": (lambda v: _whole(v, 1, _MAX_MS), "whole milliseconds from 1, a day at most"),
    "error": (lambda v: v in line.ERRORS, "one of " + ", ".join(line.ERRORS)),
}


def _value(member: str, value: Any, name: str) -> Any:
    fits, what = _CHECKS[member]
    if not fits(value):
        raise InputError(f"{name}: {member} is {what}")
    if member == "at":
        return frozenset(value)
    if member == "gateway":
        return line.eui(value)
    return float(value) if member in ("rate", "ppm", "from", "to") else value


def needs_addresses(faults: Faults | None) -> bool:
    """True where all frames must be known before the first is sent: for an address that nobody has."""
    return faults is not None and any(f.kind == "foreign_device" for f in faults.faults)


def answered(faults: Faults | None) -> bool:
    """True where a fault strikes answers to downlinks."""
    return faults is not None and any(f.kind in ANSWERS for f in faults.faults)


def apply(items: Iterable[Item], faults: Faults | None, seed: int, free: int = 0xFFFE) -> Iterator[Item]:
    """The items after all faults, those that are not sent among them. free: a short address that nobody has.

    UsageError, before anything is sent, for keys of a tenant that is no lab tenant; InputError for keys.
    """
    stream = iter(items)
    for number, fault in enumerate(faults.faults if faults else ()):
        chance = random.Random(f"{seed} {number} {fault.kind}")
        stream = _stage(stream, fault, chance, seed + number, free)
    return stream


def _stage(
    items: Iterator[Item], fault: Fault, chance: random.Random, seed: int, free: int
) -> Iterator[Item]:
    kind = fault.kind
    if kind in ANSWERS:
        return items
    if kind == "clock_drift":
        return line.drifted(items, fault)
    if kind == "backhaul_cut":
        return line.held(items, fault)
    if kind == "reorder":
        return line.reordered(items, fault, chance)
    if kind in COUNTERS:
        from host_tools.faults.lorawan import Counters

        return Counters(fault).struck(items, chance)
    if kind in ("wrong_key", "foreign_device"):
        forger = frames_of.Forger(seed, fault.tenant)
        address = free if kind == "foreign_device" else None
        return _struck(items, fault, chance, lambda i, _, c: frames_of.forged(i, kind, forger, address, c))
    made = {"drop": _dropped, "duplicate": line.duplicated}.get(kind, _damaged)
    return _struck(items, fault, chance, made)


# What a fault makes of an item: (item, is it struck by the rule, chance) -> items.
Maker = Callable[[Item, Fault, random.Random], list[Item]]


def _struck(items: Iterator[Item], fault: Fault, chance: random.Random, make: Maker) -> Iterator[Item]:
    for item in items:
        if not fault.strikes(item.origin, chance) or item.added or item.lost:
            yield item
        else:
            yield from make(item, fault, chance)


def _dropped(item: Item, fault: Fault, _: random.Random) -> list[Item]:
    gone = item.hit(fault.kind)
    gone.lost = True
    return [gone]


def _damaged(item: Item, fault: Fault, chance: random.Random) -> list[Item]:
    data = frames_of.damaged(item.frame.data, fault.kind, chance)
    return [item.hit(fault.kind, replace(item.frame, data=data))]
