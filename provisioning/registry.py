"""The device registry of one tenant: a JSON file without secret keys.

It gives short addresses, keeps each key's status and which device stood for which asset from when to when.
The signed chain of TRUST 17 is not built.
Every change is read, checked and replaced in one step under a lock, so two operators at once lose nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from host_tools.errors import InputError, UsageError
from provisioning.files import dump_json, load_json, locked, write_private
from provisioning.record import KeyRecord, RecordError, from_json

FORMAT = "lanterne-registry/1"
_LAST_ADDRESS = 0xFFFF


def utc_now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_time(text: str) -> str:
    """The time as UTC with a Z; UsageError when `text` is no ISO 8601 time with an offset."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time such as 2026-11-20T18:00:00Z") from None
    if found.tzinfo is None:
        raise UsageError(f"{text!r} does not say its time zone", "add Z for UTC")
    return found.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _asset(row: Any) -> dict[str, Any]:
    names = ("asset", "device", "from")
    if any(not isinstance(row[n], str) for n in names) or not isinstance(row["until"], str | None):
        raise TypeError
    return {n: row[n] for n in (*names, "until")}


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


class _Content:
    """The registry as read from its file."""

    def __init__(self, path: Path, found: dict[str, Any]) -> None:
        try:
            self.tenant = bytes.fromhex(found["tenant"])
            self.generation = _whole(found["generation"])
            self.next_address = _whole(found["next_address"])
            self.records = [from_json(r) for r in found["devices"]]
            self.assets: list[dict[str, Any]] = [_asset(a) for a in found["assets"]]
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path} is not a whole {FORMAT} file") from None
        except RecordError as e:
            raise InputError(f"{path}: {e}") from None
        if any(r.keys for r in self.records):
            raise InputError(f"{path} holds secret keys, which no registry may")

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "tenant": self.tenant.hex(),
            "generation": self.generation,
            "next_address": self.next_address,
            "devices": [r.to_json() for r in self.records],
            "assets": self.assets,
        }


class Registry:
    """Reads its file at each call, so that another operator's changes are seen."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: Path, tenant: bytes) -> Registry:
        """Make an empty registry; StoreError when there is one."""
        empty = {
            "format": FORMAT,
            "tenant": tenant.hex(),
            "generation": 0,
            "next_address": 1,
            "devices": [],
            "assets": [],
        }
        write_private(path, dump_json(empty), replace=False)
        return cls(path)

    def _read(self) -> _Content:
        return _Content(self.path, load_json(self.path, FORMAT))

    def _change(self, change: Callable[[_Content], KeyRecord]) -> KeyRecord:
        with locked(self.path):
            content = self._read()
            result = change(content)
            content.generation += 1
            write_private(self.path, dump_json(content.as_json()))
        return result

    @property
    def tenant(self) -> bytes:
        return self._read().tenant

    @property
    def generation(self) -> int:
        """Grows by one with each change."""
        return self._read().generation

    def records(self) -> list[KeyRecord]:
        """Every device and epoch, ordered by name and epoch."""
        return sorted(self._read().records, key=lambda r: (r.name, r.device, r.epoch))

    def find(self, name: str, epoch: int | None = None) -> KeyRecord:
        """The record of a device by name or EUI, of its newest epoch unless told; InputError when unknown."""
        return _find(self._read().records, name, epoch)

    def to_json(self) -> dict[str, Any]:
        return self._read().as_json()

    def show(self, name: str) -> dict[str, Any]:
        """All epochs of one device and its assets, as plain data."""
        content = self._read()
        newest = _find(content.records, name, None)
        return {
            "device": newest.device.hex(),
            "name": newest.name,
            "epochs": [r.to_json() for r in content.records if r.device == newest.device],
            "assets": [a for a in content.assets if a["device"] == newest.device.hex()],
        }

    def add(self, record: KeyRecord, prepare: Callable[[], None] | None = None) -> KeyRecord:
        """Enter a new device, or a new epoch of one; link_address 0 asks for the next free address.

        prepare: called under the lock once the entry is accepted and before it is written.
        UsageError when the name, the address or the public key belongs to another device, or the epoch is not
        newer than every one given before.
        """

        def change(content: _Content) -> KeyRecord:
            entered = replace(record, keys={})
            if entered.tenant != content.tenant:
                raise UsageError("this device belongs to another tenant")
            for other in content.records:
                if other.public_key == entered.public_key:
                    raise UsageError(f"its public key is already that of {other.name}")
            same = [r for r in content.records if r.device == entered.device]
            if same:
                entered = replace(entered, link_address=same[0].link_address)
                if entered.epoch <= max(r.epoch for r in same):
                    raise UsageError(f"{entered.name} already has epoch {max(r.epoch for r in same)}")
                content.records = [
                    replace(r, status="superseded") if r in same and r.status == "active" else r
                    for r in content.records
                ]
            else:
                entered = _placed(content, entered)
            content.records.append(entered)
            if prepare is not None:
                prepare()
            return entered

        return self._change(change)

    def revoke(self, name: str, epoch: int | None = None, compromised_from: str = "") -> KeyRecord:
        """Declare the keys of a device compromised since `compromised_from` ("" where that is unknown).

        From then on no frame of that epoch counts as evidence, whatever time it claims (TRUST 9).
        """
        since = check_time(compromised_from) if compromised_from else ""
        return self._update(name, epoch, status="revoked", compromised_from=since, known_at=utc_now())

    def disclose(self, name: str, epoch: int | None = None, since: str = "") -> KeyRecord:
        """Declare that K_dev, but not the signing key, is in other hands (TRUST 9)."""
        return self._update(name, epoch, disclosed_from=check_time(since) if since else utc_now())

    def close(self, name: str, epoch: int | None = None) -> KeyRecord:
        """Close an epoch: the device left the tenant or was opened."""
        return self._update(name, epoch, status="closed")

    def _update(self, name: str, epoch: int | None, **members: Any) -> KeyRecord:
        def change(content: _Content) -> KeyRecord:
            found = _find(content.records, name, epoch)
            changed = replace(found, **members)
            content.records = [changed if r == found else r for r in content.records]
            return changed

        return self._change(change)

    def assign(self, name: str, asset: str, since: str = "") -> KeyRecord:
        """Let a device stand for an asset from `since` (now when ""); ends what it, or another, stood for."""
        start = check_time(since) if since else utc_now()

        def change(content: _Content) -> KeyRecord:
            found = _find(content.records, name, None)
            for row in content.assets:
                if row["until"] is None and (row["device"] == found.device.hex() or row["asset"] == asset):
                    if row["from"] > start:
                        raise UsageError(f"{row['asset']} was given to a device later, on {row['from']}")
                    row["until"] = start
            content.assets.append(
                {"asset": asset, "device": found.device.hex(), "from": start, "until": None}
            )
            return found

        return self._change(change)


def _find(records: list[KeyRecord], name: str, epoch: int | None) -> KeyRecord:
    eui = name.lower().replace(":", "").replace("-", "")
    found = [r for r in records if name == r.name or eui == r.device.hex()]
    if not found:
        raise InputError(f"no device {name!r} in this registry", "registry list shows them")
    if epoch is None:
        return max(found, key=lambda r: r.epoch)
    for record in found:
        if record.epoch == epoch:
            return record
    raise InputError(f"{name} has no epoch {epoch}")


def _placed(content: _Content, entered: KeyRecord) -> KeyRecord:
    """The record of a new device with its address, which is never given to a second one."""
    if any(r.name == entered.name for r in content.records):
        raise UsageError(f"the name {entered.name} is taken")
    taken = {r.link_address for r in content.records}
    address = entered.link_address
    if not address:
        address = content.next_address
        while address in taken:
            address += 1
    if address in taken:
        raise UsageError(f"the address {address} is taken")
    if address > _LAST_ADDRESS:
        raise UsageError("every short address of this tenant has been given")
    content.next_address = max(content.next_address, address + 1)
    return replace(entered, link_address=address)
