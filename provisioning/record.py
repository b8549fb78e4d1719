"""The key record of one device and epoch (TRUST 13): what its frames must be and which keys check them.

Everything a receiver accepts is pinned here; nothing is taken from a frame. The same record, with fewer keys,
is what each role's keyring holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from firmware.protocols.keys import LABELS, purposes

PROFILES = {"sign1": 1, "mac0": 2, "encrypt0": 3}
STRUCTURES = {"sign1": 18, "mac0": 17, "encrypt0": 16}  # COSE tags
ALGORITHMS = {"sign1": -19, "mac0": 4, "encrypt0": 10}  # Ed25519, HMAC 256/64, AES-CCM-16-64-128
KEY_LENGTHS = {label: 16 if label in ("enc-up", "enc-down", "link") else 32 for label in LABELS}
# Message types of the field table (wire format), as kinds of furniture.
KINDS = {"lamp": 2, "bin": 3, "leak": 4, "site": 5, "cabinet": 6, "gateway": 7}
# What no keyring and no registry ever holds, whatever it is called there.
SECRETS = frozenset({"root", "k_dev", "seed", "private", "private_key", "secret", "recover", "kcv", "ticket"})
_MEMBERS = frozenset(
    "tenant device name kind epoch profile header gen protection status link purposes public_key keys "
    "compromised_from known_at disclosed_from".split()
)
_PURPOSES = tuple(str(n) for n in range(11))
STATUSES = ("active", "superseded", "closed", "revoked")

_P = 2**255 - 19
# y coordinates of the eight points of small order (RFC 7748 section 7 asks for the check; the two of order 8
# are the roots of the doubling formula): a key with one of them verifies forged signatures.
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset((0, 1, _P - 1, _Y8, _P - _Y8))


class RecordError(Exception):
    """A key record that does not hold together; args[0] says what, and never quotes a key."""


@dataclass(frozen=True)
class Pin:
    """What one purpose of a device must be: COSE structure, algorithm, and the label of the key."""

    structure: str
    alg: int
    key: str


def pins(profile: str) -> dict[int, Pin]:
    """The pins of a profile by purpose; RecordError for an unknown profile."""
    if profile not in PROFILES:
        raise RecordError(f"no profile {profile!r}: known are {', '.join(PROFILES)}")
    return {n: Pin(row["structure"], row["alg"], row["key"]) for n, row in purposes(profile).items()}


def is_weak_public_key(public: bytes) -> bool:
    """True for a point of small order or a coordinate outside the field (TRUST 18)."""
    y = int.from_bytes(public, "little") & (1 << 255) - 1
    return y >= _P or y in _SMALL_ORDER_Y


@dataclass(frozen=True)
class KeyRecord:
    """One device in one epoch. `keys` maps labels of TRUST 0 to bytes and never shows in a repr."""

    tenant: bytes
    device: bytes
    name: str
    kind: str
    epoch: int
    profile: str
    gen: int
    protection: int
    link_tag: int
    link_address: int
    public_key: bytes
    purposes: dict[int, Pin]
    status: str = "active"
    compromised_from: str = ""
    known_at: str = ""
    # Since when K_dev counts as disclosed (TRUST 9); "" not at all.
    disclosed_from: str = ""
    keys: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def lab(self) -> bool:
        return self.tenant[0] == 0xFF

    def with_keys(self, keys: dict[str, bytes]) -> KeyRecord:
        return replace(self, keys=keys)

    def to_json(self) -> dict[str, Any]:
        """The record as it stands in a file. Holds whatever keys the record holds."""
        found: dict[str, Any] = {
            "tenant": self.tenant.hex(),
            "device": self.device.hex(),
            "name": self.name,
            "kind": self.kind,
            "epoch": self.epoch,
            "profile": self.profile,
            "header": "implicit",
            "gen": self.gen,
            "protection": self.protection,
            "status": self.status,
            "link": {"tag": f"{self.link_tag:02x}", "address": self.link_address},
            "purposes": {
                str(n): {"structure": p.structure, "alg": p.alg, "key": p.key}
                for n, p in sorted(self.purposes.items())
            },
            "public_key": self.public_key.hex(),
        }
        for name in ("compromised_from", "known_at", "disclosed_from"):
            if getattr(self, name):
                found[name] = getattr(self, name)
        if self.keys:
            found["keys"] = {label: key.hex() for label, key in sorted(self.keys.items())}
        return found

    def for_protocols(self) -> dict[str, Any]:
        """The record as firmware/protocols takes it: the same names, bytes instead of hex."""
        found = self.to_json()
        found.update(tenant=self.tenant, device=self.device, public_key=self.public_key, keys=dict(self.keys))
        found["link"] = {"tag": self.link_tag, "address": self.link_address}
        found["purposes"] = {
            n: {"structure": p.structure, "alg": p.alg, "key": p.key} for n, p in self.purposes.items()
        }
        return found


def _hex(found: dict[str, Any], name: str, length: int) -> bytes:
    try:
        value = bytes.fromhex(found[name])
    except (KeyError, TypeError, ValueError):
        raise RecordError(f"{name} is missing or no hexadecimal text") from None
    if len(value) != length:
        raise RecordError(f"{name} has {len(value)} bytes instead of {length}")
    return value


def _number(found: dict[str, Any], name: str, low: int, high: int) -> int:
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RecordError(f"{name} is missing or not a number of {low}..{high}")
    return value


def _text(found: dict[str, Any], name: str, default: str | None = None) -> str:
    value = found.get(name, default)
    # JSON can spell half of a surrogate pair, which no other text can hold.
    if not isinstance(value, str) or len(value) > 200 or any("\ud800" <= c <= "\udfff" for c in value):
        raise RecordError(f"{name} is missing or no text")
    return value


def refuse_members(found: dict[str, Any], known: frozenset[str], where: str) -> None:
    """RecordError for a member that has no place there: a secret, by its name, or one that is not known."""
    for name in sorted(set(found) - known):
        if name.lower() in SECRETS:
            raise RecordError(f"{where} never holds {name}")
        shown = name if len(name) <= 20 and name.isprintable() else "of another name"
        raise RecordError(f"{where} holds a member {shown} that this version does not know")


def _choice(found: dict[str, Any], name: str, allowed: Any) -> str:
    value = _text(found, name)
    if value not in allowed:
        raise RecordError(f"{name} is none of {', '.join(sorted(allowed))}")
    return value


def _pins_from(found: dict[str, Any]) -> dict[int, Pin]:
    rows = found.get("purposes")
    if not isinstance(rows, dict) or not rows:
        raise RecordError("purposes are missing")
    read = {}
    for number, row in rows.items():
        if not isinstance(row, dict) or number not in _PURPOSES:
            raise RecordError("a purpose is no number of 0..10 with its structure")
        refuse_members(row, frozenset(("structure", "alg", "key")), "a purpose")
        structure = _choice(row, "structure", STRUCTURES)
        # One key has one algorithm, and -8, the deprecated name of Ed25519, only where a record pins it.
        if row.get("alg") not in ((-19, -8) if structure == "sign1" else (ALGORITHMS[structure],)):
            raise RecordError(f"purpose {number} pins an algorithm that is none of {structure}")
        read[int(number)] = Pin(structure, row["alg"], _choice(row, "key", {*KEY_LENGTHS, "sign"}))
    return read


def _keys_from(found: dict[str, Any]) -> dict[str, bytes]:
    rows = found.get("keys", {})
    if not isinstance(rows, dict):
        raise RecordError("keys are no object")
    for label in rows:
        if label not in KEY_LENGTHS:
            raise RecordError(f"a key label is none of {', '.join(KEY_LENGTHS)}")
    return {label: _hex(rows, label, KEY_LENGTHS[label]) for label in rows}


def from_json(found: Any) -> KeyRecord:
    """Read a record; RecordError names the member that is wrong."""
    if not isinstance(found, dict):
        raise RecordError("a device is no object")
    refuse_members(found, _MEMBERS, "a device")
    if found.get("header") != "implicit":
        raise RecordError("header is not implicit, the only form there is")
    link = found.get("link")
    if not isinstance(link, dict):
        raise RecordError("link is missing")
    refuse_members(link, frozenset(("tag", "address")), "link")
    public = _hex(found, "public_key", 32)
    if is_weak_public_key(public):
        raise RecordError("public_key is a point of small order")
    return KeyRecord(
        tenant=_hex(found, "tenant", 8),
        device=_hex(found, "device", 8),
        name=_text(found, "name"),
        kind=_choice(found, "kind", KINDS),
        epoch=_number(found, "epoch", 1, 2**32 - 1),
        profile=_choice(found, "profile", PROFILES),
        gen=_number(found, "gen", 0, 2),
        protection=_number(found, "protection", 0, 2),
        link_tag=_hex(link, "tag", 1)[0],
        link_address=_number(link, "address", 1, 0xFFFF),
        public_key=public,
        purposes=_pins_from(found),
        status=_choice(found, "status", STATUSES),
        compromised_from=_text(found, "compromised_from", ""),
        known_at=_text(found, "known_at", ""),
        disclosed_from=_text(found, "disclosed_from", ""),
        keys=_keys_from(found),
    )
