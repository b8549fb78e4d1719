"""Files of LoRaWAN keys: `lanterne-lorawan-keys/1`, and the key tables of Wireshark. Private as keyrings are.

A device (AppKey) lets sessions be derived from joins that were heard; a session lets its frames be read.
These keys come from a root of their own (TRUST 8): a keyring holds none of them, and none is derived here.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools.errors import InputError, unreadable
from provisioning.files import check_private, dump_json, load_json, write_private
from provisioning.record import RecordError, refuse_members

FORMAT = "lanterne-lorawan-keys/1"
_MEMBERS = frozenset(("format", "devices", "sessions"))
_DEVICE = frozenset(("name", "dev_eui", "join_eui", "app_key"))
_SESSION = frozenset(("name", "dev_addr", "nwk_s_key", "app_s_key", "dev_eui", "fcnt_up", "fcnt_down"))
_MAX_TABLE = 64 << 20  # bytes; chosen: no table of keys is that long
_MAX_NAME = 200
_HEX = re.compile(r"[0-9A-Fa-f]*")


@dataclass(frozen=True)
class Device:
    """What joins. dev_eui, join_eui: 8 bytes, or b"" for any; at least one is there. repr shows no key."""

    name: str
    dev_eui: bytes
    join_eui: bytes
    app_key: bytes = field(repr=False)


@dataclass(frozen=True)
class Session:
    """What speaks under one DevAddr. app_s_key: b"" for those who may not read payloads.

    fcnt_up, fcnt_down: a counter (32 bits) that is known to be near; needed above 2^20 only.
    """

    dev_addr: int
    nwk_s_key: bytes = field(repr=False)
    app_s_key: bytes = field(repr=False)
    dev_eui: bytes = b""
    name: str = ""
    fcnt_up: int = 0
    fcnt_down: int = 0


@dataclass(frozen=True)
class Keys:
    """Devices and sessions that do not contradict each other; InputError otherwise. repr shows no key."""

    devices: Sequence[Device] = field(default=(), repr=False)
    sessions: Sequence[Session] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        devices: dict[tuple[bytes, bytes, bytes], Device] = {}
        for device in self.devices:
            if not device.dev_eui and not device.join_eui:
                raise InputError("a device has neither dev_eui nor join_eui")
            # With a JoinEUI alone a table holds a key for each device of a fleet.
            key = (device.dev_eui, device.join_eui, b"" if device.dev_eui else device.app_key)
            if devices.setdefault(key, device).app_key != device.app_key:
                raise InputError(f"the device {device.dev_eui.hex()} is there twice with different keys")
        sessions: dict[tuple[int, bytes], Session] = {}
        for session in self.sessions:
            old = sessions.setdefault((session.dev_addr, session.nwk_s_key), session)
            if (old.app_s_key, old.dev_eui) != (session.app_s_key, session.dev_eui):
                raise InputError(f"a session of {session.dev_addr:08x} is there twice and contradicts itself")
        object.__setattr__(self, "devices", tuple(devices.values()))
        object.__setattr__(self, "sessions", tuple(sessions.values()))

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "devices": [_device_json(d) for d in self.devices],
            "sessions": [_session_json(s) for s in self.sessions],
        }

    def dump(self, path: Path | str) -> None:
        """Write the keys as a private file, replacing an older one in one step."""
        write_private(Path(path), dump_json(self.to_json()))

    @classmethod
    def load(cls, path: Path | str) -> Keys:
        """Read a keys file or a table of Wireshark; InputError in one line for a file that is none of them, or
        that others may read."""
        path = Path(path)
        if _is_table(path):
            return _table(path)
        found = load_json(path, FORMAT)
        try:
            refuse_members(found, _MEMBERS, "a file of LoRaWAN keys")
            devices, sessions = found.get("devices", []), found.get("sessions", [])
            if not isinstance(devices, list) or not isinstance(sessions, list):
                raise RecordError("devices or sessions are no list")
            return cls([_device(d) for d in devices], [_session(s) for s in sessions])
        except (RecordError, InputError) as e:
            raise InputError(f"{path}: {e}") from None


def is_keys(path: Path | str) -> bool:
    """True for what looks like a file that `Keys.load` reads; False also where it cannot be read at all."""
    try:
        with Path(path).open("rb") as f:
            head = f.read(4096)
        return b'"lanterne-lorawan-keys/' in head or _is_table(Path(path))
    except (OSError, InputError):
        return False


def load_keys(paths: Iterable[Path | str]) -> Keys:
    """The keys of some files as one; InputError where two files contradict each other."""
    found = [Keys.load(p) for p in paths]
    return Keys([d for k in found for d in k.devices], [s for k in found for s in k.sessions])


def _device_json(d: Device) -> dict[str, Any]:
    found = {"name": d.name, "dev_eui": d.dev_eui.hex(), "join_eui": d.join_eui.hex()}
    return {k: v for k, v in found.items() if v} | {"app_key": d.app_key.hex()}


def _session_json(s: Session) -> dict[str, Any]:
    found: dict[str, Any] = {"dev_addr": f"{s.dev_addr:08x}", "nwk_s_key": s.nwk_s_key.hex()}
    rest = {
        "app_s_key": s.app_s_key.hex(),
        "dev_eui": s.dev_eui.hex(),
        "name": s.name,
        "fcnt_up": s.fcnt_up,
        "fcnt_down": s.fcnt_down,
    }
    return found | {k: v for k, v in rest.items() if v}


def _hex(found: dict[str, Any], name: str, length: int, needed: bool = True) -> bytes:
    text = found.get(name)
    if text is None and name not in found and not needed:
        return b""
    if not isinstance(text, str) or len(text) != 2 * length or not _HEX.fullmatch(text):
        # Never the text itself: it may be a key in the wrong place.
        raise RecordError(f"{name} is missing or not {2 * length} hexadecimal digits")
    return bytes.fromhex(text)


def _name(found: dict[str, Any]) -> str:
    name = found.get("name", "")
    if not isinstance(name, str) or len(name) > _MAX_NAME or any("\ud800" <= c <= "\udfff" for c in name):
        raise RecordError("name is no text")
    return name


def _count(found: dict[str, Any], name: str) -> int:
    value = found.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 32:
        raise RecordError(f"{name} is not a number of 0..{(1 << 32) - 1}")
    return value


def _object(found: Any, known: frozenset[str], where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise RecordError(f"{where} is no object")
    refuse_members(found, known, where)
    return found


def _device(found: Any) -> Device:
    row = _object(found, _DEVICE, "a device")
    dev_eui, join_eui = _hex(row, "dev_eui", 8, False), _hex(row, "join_eui", 8, False)
    return Device(_name(row), dev_eui, join_eui, _hex(row, "app_key", 16))


def _session(found: Any) -> Session:
    row = _object(found, _SESSION, "a session")
    return Session(
        int.from_bytes(_hex(row, "dev_addr", 4), "big"),
        _hex(row, "nwk_s_key", 16),
        _hex(row, "app_s_key", 16, False),
        _hex(row, "dev_eui", 8, False),
        _name(row),
        _count(row, "fcnt_up"),
        _count(row, "fcnt_down"),
    )


# Wireshark


def _is_table(path: Path) -> bool:
    """Does a file begin like a table of Wireshark: a comment, or a row of hexadecimal texts in quotes?"""
    try:
        with path.open("rb") as f:
            head = f.read(64).lstrip(b" \t\r\n")
    except OSError as e:
        raise unreadable(path, e) from None
    return head.startswith((b"#", b'"'))


def _table(path: Path) -> Keys:
    check_private(path)
    try:
        with path.open("rb") as f:
            data = f.read(_MAX_TABLE + 1)
    except OSError as e:
        raise unreadable(path, e) from None
    if len(data) > _MAX_TABLE:
        raise InputError(f"{path} is larger than any file of keys")
    devices: list[Device] = []
    sessions: list[Session] = []
    try:
        text = data.decode("ascii")
        for number, line in enumerate(io.StringIO(text), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                _row(next(csv.reader([line.strip()], strict=True)), number, devices, sessions)
        return Keys(devices, sessions)
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path} is not a table of LoRaWAN keys") from None
    except (RecordError, InputError) as e:
        raise InputError(f"{path}: {e}") from None


def _row(cells: list[str], number: int, devices: list[Device], sessions: list[Session]) -> None:
    """One row, told by its lengths.

    root_keys_lorawan     DevEUI, AppKey                        as printed (Wireshark 4.2 and later)
    session_keys_lorawan  DevAddr, NwkSKey, AppSKey             as printed (Wireshark 4.2 and later)
    encryption_keys_lorawan  DevAddr, NwkSKey, AppSKey, JoinEUI   in the order on the air (before 4.2);
                          with a JoinEUI the third key is also tried as the AppKey of what joins there
    """
    parts = []
    for cell in cells:
        digits = re.sub(r"[ :.-]", "", cell)
        if len(digits) % 2 or not _HEX.fullmatch(digits):
            raise RecordError(f"row {number} holds what is not hexadecimal")
        parts.append(bytes.fromhex(digits))
    lengths = [len(p) for p in parts]
    if lengths == [8, 16]:
        devices.append(Device("", parts[0], b"", parts[1]))
    elif lengths == [4, 16, 16]:
        sessions.append(Session(int.from_bytes(parts[0], "big"), parts[1], parts[2]))
    elif lengths == [4, 16, 16, 8]:
        if any(parts[3]):
            devices.append(Device("", b"", parts[3][::-1], parts[2]))
        if any(parts[0]) or any(parts[1]):
            sessions.append(Session(int.from_bytes(parts[0], "little"), parts[1], parts[2]))
    else:
        raise RecordError(f"row {number} is no row of root, session or encryption keys")
