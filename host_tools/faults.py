"""Faults for a replay, and the file that asks for them (TOML):

    [[fault]]
    kind = "bit_flip"   # drop, duplicate, reorder, bit_flip, truncate, wrong_key, foreign_device
    rate = 0.02         # of the frames; or  nth = 10  for each tenth; or  at = [3, 17]  by number from 1
    by = 5              # reorder only: how many places later a frame comes at most
    tenant = "lab"      # wrong_key, foreign_device: folder of the lab tenant that seals; else one is made up

bit_flip, truncate and drop change a frame on its way; duplicate, wrong_key and foreign_device add one after
it: the last two are sealed whole under keys of another tenant, one with the address of the true device, one
with an address that nobody has.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware.protocols import cose, link, ports
from firmware.protocols.cbor import WireError
from firmware.protocols.hmac256 import hkdf
from firmware.protocols.keys import purposes
from firmware.protocols.seal import Sealer
from host_tools.errors import InputError, unreadable
from host_tools.frames import Frame
from provisioning.tenant import LAB, Tenant, public_key

KINDS = ("drop", "duplicate", "reorder", "bit_flip", "truncate", "wrong_key", "foreign_device")
# Records that a fault added are not struck by another.
ADDED = ("duplicate", "wrong_key", "foreign_device")
_MEMBERS = frozenset(("kind", "rate", "nth", "at", "by", "tenant"))
# Reception of a copy through another gateway: chosen.
_COPY_US = 40_000
_PROFILES = {cose.SIGN1: "sign1", cose.MAC0: "mac0", cose.ENCRYPT0: "encrypt0"}


@dataclass(frozen=True)
class Fault:
    """One kind of fault and where it strikes: exactly one of rate, nth and at is given."""

    kind: str
    rate: float = 0.0
    nth: int = 0
    at: frozenset[int] = frozenset()
    by: int = 5
    tenant: str = ""

    def strikes(self, number: int, chance: random.Random) -> bool:
        """True when record `number`, from 1, is struck. Draws the same whatever it answers."""
        drawn = chance.random()
        if self.at:
            return number in self.at
        return number % self.nth == 0 if self.nth else drawn < self.rate


@dataclass(frozen=True)
class Faults:
    """The faults of a file, in its order."""

    faults: tuple[Fault, ...]


@dataclass
class Item:
    """A record under way. origin: its number in the input, from 1. fault: the last one that struck it."""

    frame: Frame
    origin: int
    fault: str = ""
    before: bytes | None = None
    notes: list[str] = field(default_factory=list)


def _one(row: Mapping[str, Any], name: str) -> Fault:
    unknown = sorted(set(row) - _MEMBERS)
    if unknown:
        raise InputError(f"{name}: a fault has no {unknown[0]!r}", "known: " + ", ".join(sorted(_MEMBERS)))
    kind = row.get("kind")
    if kind not in KINDS:
        raise InputError(f"{name}: no kind of fault {kind!r}", "known: " + ", ".join(KINDS))
    if sum(m in row for m in ("rate", "nth", "at")) != 1:
        raise InputError(f"{name}: {kind} needs one of rate, nth and at")
    rate, nth, at, by = row.get("rate", 0), row.get("nth", 0), row.get("at", []), row.get("by", 5)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise InputError(f"{name}: rate is a number of 0 to 1")
    if "nth" in row and not _whole(nth):
        raise InputError(f"{name}: nth is a whole number from 1")
    if not isinstance(at, list) or not all(_whole(n) for n in at) or ("at" in row and not at):
        raise InputError(f"{name}: at is a list of record numbers from 1")
    if not _whole(by) or not isinstance(row.get("tenant", ""), str):
        raise InputError(f"{name}: by is a whole number from 1, tenant a folder")
    return Fault(kind, float(rate), nth, frozenset(at), by, row.get("tenant", ""))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def load(path: Path | str) -> Faults:
    """Read a faults file; InputError in one line says what is wrong with it."""
    try:
        with Path(path).open("rb") as f:
            found = tomllib.load(f)
    except OSError as e:
        raise unreadable(path, e) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as e:
        raise InputError(f"{path} is not a TOML file: {e}") from None
    rows = found.pop("fault", None)
    if found or not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise InputError(f"{path} holds something else than [[fault]] tables")
    return Faults(tuple(_one(row, str(path)) for row in rows))


class Forger:
    """Seals frames under keys of a lab tenant that is not the receiver's."""

    def __init__(self, seed: int, folder: str = "") -> None:
        self._root, self._tenant = bytes(hkdf(seed.to_bytes(16, "big"), b"", b"lanterne forger", 32)), b""
        if folder:
            tenant = Tenant.open(folder)
            self._root, self._tenant = tenant.forging_root(), tenant.id
        self._tenant = self._tenant or bytes((LAB,)) + self._root[:7]
        self._sealers: dict[tuple[str, int, int], Sealer] = {}

    def _sealer(self, profile: str, tag: int, address: int) -> Sealer:
        key = (profile, tag, address)
        if key not in self._sealers:
            device = b"\x02" + bytes(4) + bytes((tag, address >> 8, address & 255))
            made = bytes(hkdf(self._root, self._tenant, b"forged " + device, 112))
            keys = {"sign": made[:32], "mac-up": made[32:64], "enc-up": made[64:80], "leaf": made[80:112]}
            record = {
                "tenant": self._tenant,
                "device": device,
                "epoch": 1,
                "public_key": public_key(made[:32]),
                "purposes": purposes(profile),
                "keys": keys,
            }
            self._sealers[key] = Sealer(record)
        return self._sealers[key]

    def forge(self, frame: bytes, address: int | None, chance: random.Random) -> bytes | None:
        """A frame with the header and number of `frame` under a foreign key; None where it is no whole frame.

        address: its short address instead of the true one.
        """
        try:
            down, port, tag, short, number, body = link.parse(frame)
            kind, piv, _, content, _ = cose.parse(body)
        except WireError:
            return None
        purpose = ports.purpose(port, 0)
        if down or not 0 <= purpose <= 3 or not piv:
            return None
        short = short if address is None else address
        # The plaintext of an encrypted frame is not known: one of the same length, then.
        payload = chance.randbytes(len(content) - 8) if kind == cose.ENCRYPT0 else content
        profile = "mac0" if purpose == ports.CHECKPOINT and kind == cose.SIGN1 else _PROFILES[kind]
        try:
            sealed = self._sealer(profile, tag, short).seal(purpose, piv, payload)
            return bytes(link.pack_up(port, tag, short, number, sealed))
        except WireError:
            return None


def apply(items: list[Item], fault: Fault, seed: int, number: int) -> Iterator[Item]:
    """The records after one fault, the `number`th of its file."""
    chance = random.Random(f"{seed} {number} {fault.kind}")
    forger = Forger(seed + number, fault.tenant) if fault.kind in ("wrong_key", "foreign_device") else None
    taken = {frame[3] << 8 | frame[4] for frame in (i.frame.data for i in items) if len(frame) >= link.HEADER}
    free = next((a for a in range(0xFFFE, 0, -1) if a not in taken), 0xFFFF)
    later: list[tuple[int, Item]] = []
    for place, item in enumerate(items):
        for due, held in [entry for entry in later if entry[0] <= place]:
            later.remove((due, held))
            yield held
        # Records that a fault before this one added are not struck again.
        if not fault.strikes(item.origin, chance) or item.fault in (
            "duplicate",
            "wrong_key",
            "foreign_device",
        ):
            yield item
        elif fault.kind == "drop":
            yield Item(item.frame, item.origin, "drop", item.frame.data)
        elif fault.kind == "reorder":
            later.append((place + 1 + chance.randint(1, fault.by), _struck(item, item.frame.data, "reorder")))
        elif fault.kind in ("bit_flip", "truncate"):
            yield _struck(item, _damaged(item.frame.data, fault.kind, chance), fault.kind)
        else:
            yield item
            data = item.frame.data
            if forger is not None:
                data = forger.forge(data, free if fault.kind == "foreign_device" else None, chance) or b""
            if data:
                yield _struck(item, data, fault.kind, _COPY_US)
    for _, held in sorted(later, key=lambda entry: entry[0]):
        yield held


def _damaged(data: bytes, kind: str, chance: random.Random) -> bytes:
    if not data:
        return data
    if kind == "truncate":
        return data[: chance.randrange(len(data))]
    bit = chance.randrange(8 * len(data))
    return data[: bit >> 3] + bytes((data[bit >> 3] ^ 1 << (bit & 7),)) + data[(bit >> 3) + 1 :]


def _struck(item: Item, data: bytes, kind: str, later_us: int = 0) -> Item:
    frame = Frame(data, item.frame.time_us + later_us, item.frame.radio, item.frame.reason)
    return Item(frame, item.origin, kind, item.frame.data)
