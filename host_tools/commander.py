"""Commands to devices (TRUST 4, 12): numbered, sealed once, kept, and matched with their results.

The number of a command is taken from a file that is on the disk before anything is sealed with it, so that no
crash and no second program can use a number, and with it a nonce, twice. A sealed command is sent again as it
is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware.protocols import ports, reasons
from firmware.protocols.cbor import WireError, encode
from firmware.protocols.seal import Sealer
from host_tools.errors import InputError, UsageError
from provisioning.files import dump_json, load_json, locked, write_private
from provisioning.keyring import Keyring
from provisioning.record import KeyRecord

FORMAT = "lanterne-commander/1"
# Name: (number, highest value of each argument). WANT takes a list as its second argument, PLAN bytes as its
# third. The last two of LIGHT, start_s and back_s, may be left out: at once, and back by the ramp there.
OPS: dict[str, tuple[int, tuple[int, ...]]] = {
    "time": (1, (0xFFFFFFFF, 999)),
    "light": (2, (100, 86400, 3600, 86400, 3600)),
    "resume": (3, ()),
    "identify": (4, (3600,)),
    "reboot": (5, ()),
    "want": (6, (0xFFFFFFFF,)),
    "ck_ack": (7, (0xFFFFFFFF,)),
    "raise": (8, (100, 900)),
    "plan": (9, (0xFFFF, 0xFFFF)),
    "shed": (10, (100, 86400, 3600)),
    "hatch": (11, (1, 3600)),
    "compact": (12, (600,)),
}
_OPTIONAL = {"light": 2}
_DAY_S = 86400
TTL_S = (1, 3600)
MAX_WANT = 8
# After a restored backup nobody knows how many numbers were used since (TRUST 12).
RESTORE_STEP = 4096
_MAX_COUNTER = (1 << 28) - 1
_KEPT = 64


@dataclass(frozen=True)
class Command:
    """A sealed command. frame: what goes into a downlink of `port` to the link address (tag, address)."""

    cseq: int
    device: bytes
    op: str
    tag: int
    address: int
    port: int
    frame: bytes = field(repr=False)


def check_arguments(op: str, args: Sequence[Any]) -> list[Any]:
    """The arguments as they travel; UsageError when they are none of this operation's."""
    if op not in OPS:
        raise UsageError(f"no operation {op!r}: known are {', '.join(OPS)}")
    highest = OPS[op][1]
    given = list(args)
    asked = given.pop() if op in ("want", "plan") and given else None
    wanted: tuple[type, ...] = {"want": (list, tuple), "plan": (bytes,)}.get(op, (type(None),))
    least = len(highest) - _OPTIONAL.get(op, 0)
    if not least <= len(given) <= len(highest) or not isinstance(asked, wanted):
        most = len(highest) + (op in ("want", "plan"))
        raise UsageError(f"{op} takes {f'{least} to ' if op in _OPTIONAL else ''}{most} arguments")
    for value, top in zip(given, highest, strict=False):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= top:
            raise UsageError(f"{value!r} is outside what {op} takes: 0 to {top}")
    if op == "light" and given[1] + sum(given[3:4]) > _DAY_S:
        raise UsageError(f"light ends within {_DAY_S} s: {given[1]} s from {given[3]} s on is longer")
    if isinstance(asked, bytes):
        given.append(asked)
    elif isinstance(asked, (list, tuple)):
        if len(asked) > MAX_WANT or any(not isinstance(s, int) or not 1 <= s < 1 << 32 for s in asked):
            raise UsageError(f"want asks for at most {MAX_WANT} numbers")
        given.append(list(asked))
    return given


class Commander:
    """One commander of a tenant: keyring of role `commander`, its id of 0..15, the file of its counters."""

    def __init__(self, keyring: Keyring, state_path: Path | str, commander_id: int = 1) -> None:
        if keyring.role != "commander":
            raise InputError(f"a commander needs a commander keyring, not one of a {keyring.role}")
        if not 0 <= commander_id <= 15:
            raise UsageError("a commander's id is 0 to 15")
        self._id = commander_id
        self._path = Path(state_path)
        self._tenant = keyring.tenant
        self._records: dict[bytes, KeyRecord] = {}
        for record in sorted(keyring.records, key=lambda r: r.epoch):
            self._records[record.device] = record
        self._results: dict[int, str] = {}
        if not self._path.exists():
            with locked(self._path):
                if not self._path.exists():
                    write_private(self._path, dump_json(self._empty()), replace=False)
        self._read()

    def _empty(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "tenant": self._tenant.hex(),
            "commander": self._id,
            "counters": {},
            "issued": [],
        }

    def _read(self) -> dict[str, Any]:
        found = load_json(self._path, FORMAT)
        if found.get("tenant") != self._tenant.hex() or found.get("commander") != self._id:
            raise InputError(f"{self._path} belongs to another tenant or commander")
        counters, issued = found.get("counters"), found.get("issued")
        if (
            not isinstance(counters, dict)
            or not all(type(n) is int and 0 <= n <= _MAX_COUNTER for n in counters.values())
            or not isinstance(issued, list)
            or not all(isinstance(row, dict) for row in issued)
        ):
            raise InputError(f"{self._path} is not whole")
        return found

    def record(self, device: bytes | str) -> KeyRecord:
        """The record of a device by EUI or name; UsageError when this commander does not command it."""
        if isinstance(device, str):
            for found in self._records.values():
                if device in (found.name, found.device.hex()):
                    return found
            raise UsageError(f"this keyring commands no device {device!r}")
        if device not in self._records:
            raise UsageError(f"this keyring commands no device {device.hex()}")
        return self._records[device]

    def commands(self, device: bytes) -> bool:
        return device in self._records

    def _take(self, record: KeyRecord) -> tuple[int, dict[str, Any]]:
        """The next number, on the disk before it is used. Call with the lock held."""
        found = self._read()
        key = f"{record.device.hex()}-{record.epoch}"
        counter = found["counters"].get(key, 0) + 1
        if counter > _MAX_COUNTER:
            raise UsageError(f"every command number of {record.name} is used: it needs a new epoch")
        found["counters"][key] = counter
        write_private(self._path, dump_json(found))
        return self._id << 28 | counter, found

    def build(
        self, device: bytes | str, op: str, args: Sequence[Any] = (), ref: int = 0, ttl_s: int = 600
    ) -> Command:
        """Number and seal a command.

        ref: seq of the last uplink heard from the device, `ttl_s` then is 1 to 3600; 0 where `ttl_s` is an
        absolute expiry in GPS seconds. UsageError for what the device would refuse anyway.
        """
        record = self.record(device)
        given = check_arguments(op, args)
        if ref and not TTL_S[0] <= ttl_s <= TTL_S[1]:
            raise UsageError(f"a command is valid for {TTL_S[0]} to {TTL_S[1]} s")
        payload = encode([ref, ttl_s, OPS[op][0], *given])
        with locked(self._path):
            cseq, found = self._take(record)
            try:
                frame = bytes(Sealer(record.for_protocols(), 1).seal(ports.COMMAND, cseq, payload))
            except WireError as e:
                raise UsageError(f"{op} cannot be sealed for {record.name}: {e.args[0]}") from None
            kept = {"cseq": cseq, "device": record.device.hex(), "op": op, "frame": frame.hex()}
            found["issued"] = [*found["issued"], kept][-_KEPT:]
            write_private(self._path, dump_json(found))
        port = ports.port(ports.COMMAND)
        return Command(cseq, record.device, op, record.link_tag, record.link_address, port, frame)

    def again(self, cseq: int) -> Command:
        """A command that was sealed before, as it was; UsageError when it is not kept any more."""
        for row in self._read()["issued"]:
            if row.get("cseq") == cseq:
                try:
                    device, op, frame = bytes.fromhex(row["device"]), row["op"], bytes.fromhex(row["frame"])
                except (KeyError, TypeError, ValueError):
                    raise InputError(f"{self._path} is not whole") from None
                record = self.record(device)
                address = (record.link_tag, record.link_address)
                return Command(cseq, device, op, *address, ports.port(ports.COMMAND), frame)
        raise UsageError(f"command {cseq} is not kept any more")

    def heard(self, device: bytes, epoch: int, cseq: int, outcome: int, last_cseq: int) -> None:
        """Take in a result: its outcome, and the highest number of ours that the device has seen."""
        if cseq >> 28 == self._id:
            self._results[cseq] = str(reasons.name(outcome))
        if last_cseq >> 28 != self._id:
            return
        key, counter = f"{device.hex()}-{epoch}", last_cseq & _MAX_COUNTER
        if self._read()["counters"].get(key, 0) >= counter:
            return
        # An older state file was put back: go on above what the device has seen.
        with locked(self._path):
            found = self._read()
            found["counters"][key] = max(counter, found["counters"].get(key, 0))
            write_private(self._path, dump_json(found))

    def result(self, cseq: int) -> str | None:
        """The outcome of a command by name, "done" for success; None while nothing was heard."""
        return self._results.get(cseq)

    def after_restore(self) -> None:
        """Step every counter over whatever was used since the backup that was just restored."""
        with locked(self._path):
            found = self._read()
            # A device without a counter may have got commands after the backup, too.
            for record in self._records.values():
                found["counters"].setdefault(f"{record.device.hex()}-{record.epoch}", 0)
            found["counters"] = {k: v + RESTORE_STEP for k, v in found["counters"].items()}
            write_private(self._path, dump_json(found))
