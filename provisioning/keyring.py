"""Keyrings: the part of a tenant's keys that one role needs, and no more (TRUST 8).

reader     mac-up, enc-up and leaf of the structures in use: verifies and decodes, can command nothing
commander  mac-down and enc-down: makes commands, reads nothing
gateway    link: carries frames, reads and makes nothing
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools.errors import InputError, UsageError
from provisioning.files import dump_json, load_json, write_private
from provisioning.record import SECRETS, KeyRecord, RecordError, from_json, refuse_members

FORMAT = "lanterne-keyring/1"
ROLES: dict[str, frozenset[str]] = {
    "reader": frozenset({"mac-up", "enc-up", "leaf"}),
    "commander": frozenset({"mac-down", "enc-down"}),
    "gateway": frozenset({"link"}),
}
_MEMBERS = frozenset(("format", "role", "tenant", "devices"))


def refuse_foreign_keys(role: str, labels: Iterable[str]) -> None:
    """UsageError that names the first key which a keyring of this role may not hold."""
    if role not in ROLES:
        raise UsageError(f"no role {role!r}: known are {', '.join(ROLES)}")
    for label in sorted(labels):
        if label in ROLES[role]:
            continue
        if label.lower() in SECRETS:
            raise UsageError(f"a {role} keyring never holds {label}")
        raise UsageError(
            f"a {role} keyring may not hold {label}: its keys are {', '.join(sorted(ROLES[role]))}"
        )


@dataclass(frozen=True)
class Keyring:
    """The records of one tenant for one role. repr shows no key."""

    role: str
    tenant: bytes
    records: Sequence[KeyRecord] = field(repr=False)

    def __post_init__(self) -> None:
        epochs: set[tuple[bytes, int]] = set()
        owners: dict[bytes, KeyRecord] = {}
        for record in self.records:
            refuse_foreign_keys(self.role, record.keys)
            if record.tenant != self.tenant:
                raise UsageError(f"{record.name} belongs to another tenant")
            if (record.device, record.epoch) in epochs:
                raise UsageError(f"epoch {record.epoch} of {record.name} is there twice")
            epochs.add((record.device, record.epoch))
            owner = owners.setdefault(record.public_key, record)
            if owner.device != record.device:
                raise UsageError(f"{owner.name} and {record.name} have one public key")

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "role": self.role,
            "tenant": self.tenant.hex(),
            "devices": [r.to_json() for r in self.records],
        }

    def dump(self, path: Path | str) -> None:
        """Write the keyring as a private file, replacing an older one in one step."""
        write_private(Path(path), dump_json(self.to_json()))

    @classmethod
    def load(cls, path: Path | str) -> Keyring:
        """Read a keyring; InputError in one line for a file that is none, or that others may read."""
        path = Path(path)
        found = load_json(path, FORMAT)
        role, devices = found.get("role"), found.get("devices")
        try:
            refuse_members(found, _MEMBERS, "a keyring")
        except RecordError as e:
            raise InputError(f"{path}: {e}") from None
        if not isinstance(role, str) or role not in ROLES or not isinstance(devices, list):
            raise InputError(f"{path} names no role, or no devices")
        try:
            tenant = bytes.fromhex(found["tenant"])
            return cls(role, tenant, [from_json(d) for d in devices])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path} names no tenant") from None
        except (RecordError, UsageError) as e:
            raise InputError(f"{path}: {e}") from None


def load_keyrings(paths: Iterable[Path | str], role: str = "reader") -> list[Keyring]:
    """The keyrings in some files; InputError when one is of another role, or when two contradict each other.

    Of two exports of different days the older may still call a key good that was revoked since.
    """
    found = [(p, Keyring.load(p)) for p in paths]
    seen: dict[tuple[bytes, bytes, int], tuple[Path | str, KeyRecord]] = {}
    for path, ring in found:
        if ring.role != role:
            raise InputError(f"{path} is a {ring.role} keyring; a {role} keyring is needed here")
        for record in ring.records:
            key = (record.tenant, record.device, record.epoch)
            other, same = seen.setdefault(key, (path, record))
            if same != record:
                raise InputError(
                    f"{other} and {path} contradict each other on epoch {record.epoch} of {record.name}",
                    "give the newer export only",
                )
    return [ring for _, ring in found]


def for_role(record: KeyRecord, role: str) -> KeyRecord:
    """A record with the keys of that role, of the structures that the record pins, and with nothing else."""
    allowed = ROLES[role]
    used = {p.key for p in record.purposes.values()} | ({"leaf"} if role == "reader" else {"link"})
    return record.with_keys({k: v for k, v in record.keys.items() if k in allowed and k in used})
