"""One tenant: its root, its devices' seeds, its registry; where keyrings and board images come from.

    FOLDER/tenant.json        id, name, lab or not, link tag        0600, as every file here; folders 0700
    FOLDER/root.json          the root, random, of this tenant alone
    FOLDER/devices/EUI-N.json signing seed of a device in epoch N
    FOLDER/registry.json      what is public

Keys made here are known to whoever holds this folder (`gen` 0): enrolment in which the device makes its own
(TRUST 8) is not built. K_dev comes from the root by HKDF; signing seeds are random and derived from nothing,
except in a lab tenant made from a number so that a run can be repeated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocols.cbor import encode
from firmware.protocols.hmac256 import hkdf
from firmware.protocols.keys import derive
from host_tools.errors import InputError, UsageError
from provisioning.files import dump_json, load_json, make_folder, write_private
from provisioning.keyring import ROLES, Keyring, for_role
from provisioning.record import KEY_LENGTHS, KINDS, KeyRecord, pins
from provisioning.registry import Registry

FORMAT = "lanterne-tenant/1"
ROOT_FORMAT = "lanterne-root/1"
SEED_FORMAT = "lanterne-seed/1"
# First byte of a lab tenant's id; such a tenant is never a real one (TRUST 12).
LAB = 0xFF


@dataclass(frozen=True)
class DeviceSecrets:
    """What goes into one board: 32 bytes each. Shows nothing in a repr."""

    k_dev: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    public_key: bytes


def public_key(seed: bytes) -> bytes:
    """The Ed25519 public key of a 32-byte seed."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _random_id(lab: bool) -> bytes:
    while True:
        found = os.urandom(8)
        if lab:
            return bytes((LAB,)) + found[1:]
        if found[0] != LAB:
            return found


class Tenant:
    """An opened tenant folder. Holds the root in memory; nothing of it shows in a repr."""

    def __init__(self, folder: Path, found: dict[str, Any], root: bytes) -> None:
        self.folder = folder
        self.id: bytes = bytes.fromhex(found["tenant"])
        self.name: str = found["name"]
        self.tag: int = int(found["tag"], 16)
        self.clear_link: bool = found["clear_link"]
        if len(self.id) != 8 or not 0 <= self.tag <= 255:
            raise ValueError
        if not isinstance(self.name, str) or not isinstance(self.clear_link, bool):
            raise TypeError
        self.registry = Registry(folder / "registry.json")
        self._root = root
        self._repeatable: bool = found.get("repeatable", False)

    def __repr__(self) -> str:
        return f"Tenant({self.id.hex()}, {self.name!r})"

    @property
    def lab(self) -> bool:
        return self.id[0] == LAB

    @classmethod
    def create(
        cls,
        folder: Path | str,
        name: str = "",
        *,
        lab: bool = False,
        seed: int | None = None,
        clear_link: bool = False,
        tag: int | None = None,
        tenant: bytes | None = None,
    ) -> Tenant:
        """Make a tenant in a new or empty folder.

        lab: a tenant for tests and demonstrations, whose id begins with FF. seed: a number from which all
        keys of a lab tenant follow, so that runs repeat; refused otherwise. clear_link: allow the profiles
        `sign1` and `mac0`, readable by anyone near, on private LoRa (TRUST 14). tag: the network byte of the
        link header.
        """
        folder = Path(folder)
        if seed is not None and not lab:
            raise UsageError("a seed makes keys that anyone can make again: only a lab tenant may have one")
        root = os.urandom(32)
        given = tenant
        if seed is not None:
            made = hkdf(seed.to_bytes(16, "big"), b"lanterne lab", b"tenant", 39)
            root, given = made[:32], given or bytes((LAB,)) + made[32:]
        identity = given or _random_id(lab)
        if len(identity) != 8 or (identity[0] == LAB) != lab:
            raise UsageError("a tenant id has 8 bytes, and begins with FF exactly when it is a lab tenant's")
        make_folder(folder)
        if any(p.name != "tenant.json" for p in folder.iterdir()) and not (folder / "tenant.json").exists():
            raise UsageError(f"{folder} is not empty", "a tenant gets a folder of its own")
        make_folder(folder / "devices")
        found = {
            "format": FORMAT,
            "tenant": identity.hex(),
            "name": name or identity.hex(),
            "tag": f"{identity[7] if tag is None else tag:02x}",
            "clear_link": clear_link,
            "repeatable": seed is not None,
        }
        write_private(folder / "root.json", dump_json({"format": ROOT_FORMAT, "root": root.hex()}), False)
        Registry.create(folder / "registry.json", identity)
        # Last, because open() looks for it: a cut before leaves no tenant that only looks whole.
        write_private(folder / "tenant.json", dump_json(found), replace=False)
        return cls(folder, found, root)

    @classmethod
    def open(cls, folder: Path | str) -> Tenant:
        """Open a tenant folder; InputError when it is none, is not whole, or is open to others."""
        folder = Path(folder)
        found = load_json(folder / "tenant.json", FORMAT)
        root = _secret(folder / "root.json", ROOT_FORMAT, "root")
        try:
            return cls(folder, found, root)
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{folder / 'tenant.json'} is not whole") from None

    # Devices

    def add_device(
        self,
        name: str,
        kind: str,
        profile: str = "encrypt0",
        *,
        device: bytes | None = None,
        address: int | None = None,
        asset: str = "",
        since: str = "",
    ) -> KeyRecord:
        """Make the keys of a new device, host-made (gen 0, protection 0), and enter it in the registry.

        `device`: its EUI-64; without one a locally administered address is made up. `address`: its short
        address; without one the registry gives the next. Returns the public record.
        """
        if kind not in KINDS:
            raise UsageError(f"no kind {kind!r}: known are {', '.join(KINDS)}")
        if not name or len(name) > 64 or not name.isprintable():
            raise UsageError("a device needs a printable name of at most 64 characters")
        self._check_profile(profile)
        if any(r.name == name for r in self.registry.records()):
            raise UsageError(f"the name {name} is taken")
        eui = device or self._made_up_eui(name)
        if len(eui) != 8:
            raise UsageError("a device id has 8 bytes")
        record = self._new_epoch(name, kind, profile, eui, 1, address or 0)
        if asset:
            self.registry.assign(name, asset, since)
        return record

    def rotate(self, name: str) -> KeyRecord:
        """Give a device the host-made keys of its next epoch; the epoch before becomes `superseded`."""
        old = self.registry.find(name)
        return self._new_epoch(old.name, old.kind, old.profile, old.device, old.epoch + 1, old.link_address)

    def _check_profile(self, profile: str) -> None:
        if profile not in ("encrypt0", "sign1", "mac0"):
            raise UsageError(f"no profile {profile!r}: known are encrypt0, mac0, sign1")
        if profile != "encrypt0" and not self.clear_link:
            raise UsageError(
                f"the profile {profile} is readable by anyone near the antenna",
                "a tenant made with clear_link allows it; class 1 fields stay refused there",
            )

    def _new_epoch(
        self, name: str, kind: str, profile: str, device: bytes, epoch: int, address: int
    ) -> KeyRecord:
        seed = os.urandom(32)
        if self._repeatable:
            seed = hkdf(self._root, b"lanterne lab seed", encode([device, epoch]), 32)
        record = KeyRecord(
            tenant=self.id,
            device=device,
            name=name,
            kind=kind,
            epoch=epoch,
            profile=profile,
            gen=0,
            protection=0,
            link_tag=self.tag,
            link_address=address,
            public_key=public_key(seed),
            purposes=pins(profile),
        )
        path = self._seed_path(device, epoch)
        # The seed first: a registry entry whose seed was lost could never sign. A seed without an entry is
        # what a cut left behind, and is replaced.
        return self.registry.add(
            record, lambda: write_private(path, dump_json({"format": SEED_FORMAT, "seed": seed.hex()}))
        )

    def _made_up_eui(self, name: str) -> bytes:
        made = os.urandom(8)
        if self._repeatable:
            made = hkdf(self._root, b"lanterne lab eui", name.encode(), 8)
        # IEEE 802: bit 1 of the first byte locally administered, bit 0 individual.
        return bytes(((made[0] | 2) & 0xFE,)) + made[1:]

    def _seed_path(self, device: bytes, epoch: int) -> Path:
        return self.folder / "devices" / f"{device.hex()}-{epoch}.json"

    def _k_dev(self, device: bytes, epoch: int) -> bytes:
        return bytes(hkdf(self._root, self.id, encode(["lanterne/1", "device", device, epoch]), 32))

    def secrets(self, record: KeyRecord) -> DeviceSecrets:
        """What the board of this record holds."""
        seed = _secret(self._seed_path(record.device, record.epoch), SEED_FORMAT, "seed")
        return DeviceSecrets(self._k_dev(record.device, record.epoch), seed, record.public_key)

    def forging_root(self) -> bytes:
        """A secret from which test frames may be sealed; UsageError for any but a lab tenant (TRUST 12)."""
        if not self.lab:
            raise UsageError(f"{self.name} is no lab tenant: its keys seal no test frame")
        return bytes(hkdf(self._root, self.id, b"lanterne forger", 32))

    # What leaves the folder

    def with_keys(self, record: KeyRecord) -> KeyRecord:
        """A public record with every derived key of its epoch."""
        k_dev = self._k_dev(record.device, record.epoch)
        keys = {
            label: bytes(derive(k_dev, self.id, label, record.device, record.epoch)) for label in KEY_LENGTHS
        }
        return record.with_keys(keys)

    def records(self, names: Sequence[str] | None = None) -> list[KeyRecord]:
        """Every device and epoch, or those of some names, with their keys."""
        found = self.registry.records()
        if names is not None:
            wanted = {self.registry.find(n).device for n in names}
            found = [r for r in found if r.device in wanted]
        return [self.with_keys(r) for r in found]

    def keyring(self, role: str, names: Sequence[str] | None = None) -> Keyring:
        """The keyring of a role, made with the fewest keys that do its work."""
        if role not in ROLES:
            raise UsageError(f"no role {role!r}: known are {', '.join(ROLES)}")
        records = [for_role(r, role) for r in self.records(names)]
        if role != "reader":
            # Nobody commands or carries for an epoch that is over.
            records = [r for r in records if r.status == "active"]
        return Keyring(role, self.id, records)

    def export(self, role: str, path: Path | str, names: Sequence[str] | None = None) -> Keyring:
        """Write the keyring of a role to a private file."""
        ring = self.keyring(role, names)
        ring.dump(path)
        return ring


def _secret(path: Path, wanted: str, member: str) -> bytes:
    found = load_json(path, wanted)
    try:
        value = bytes.fromhex(found[member])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} is not whole") from None
    if len(value) != 32:
        raise InputError(f"{path} is not whole")
    return value
