"""Our messages inside LoRaWAN frames: whose device it is, which port is a purpose, and what a row tells of it.

The session and the counter of LoRaWAN are never input to a verdict (TRUST 1): they open the frame and name the
device, and the keys of that device decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from firmware.protocols import ports
from host_tools.frames import Frame
from host_tools.verdict import UP, Parsed, message

if TYPE_CHECKING:
    from host_tools.lorawan.sessions import Opened
    from provisioning.record import KeyRecord

Address = tuple[int, int]
# Of a LoRaWAN device, in the place of the tag that a link frame has: the number beside it is the DevEUI.
LORAWAN = -1
_PROPRIETARY = 7


def addresses(record: KeyRecord) -> tuple[Address, Address]:
    """What frames of a device are addressed by: in link frames, and over LoRaWAN."""
    return (record.link_tag, record.link_address), _of(record.device)


def _of(dev_eui: bytes) -> Address:
    return LORAWAN, int.from_bytes(dev_eui, "big")


def over_lorawan(frame: Frame) -> bool:
    """True for what is no link frame by its first byte, and for what a network server has opened."""
    if frame.reason:
        return False
    # The major version of LoRaWAN is 0; a link frame is one of its proprietary frames.
    head = frame.data[:1]
    return frame.network is not None or bool(head and not head[0] & 31 and head[0] >> 5 != _PROPRIETARY)


def identity(frame: Frame) -> bytes:
    """SHA-256 by which equal frames are one. A record without a whole frame is no frame, even where its bytes
    would pass for one; nor is what a network server tells."""
    ahead = b"record" if frame.reason else b""
    told = frame.network
    if told is not None and not ahead:
        ahead = repr((told.dev_eui.hex(), told.dev_addr, told.fcnt, told.fport)).encode()
    return sha256(ahead + frame.data).digest()


def parse(opened: Opened, known: Callable[[Address], object]) -> Parsed:
    """What a LoRaWAN frame carries of ours; a refusal is a reason in the result. known: true of our devices."""
    if opened.reason:
        return Parsed(opened.reason)
    if opened.mic == "bad":
        return Parsed("bad_mic")
    if opened.mic == "unchecked" or (opened.fport and opened.payload is None):
        return Parsed("no_session")
    if not opened.fport or not opened.payload or opened.direction is None:
        return Parsed("network_only")
    address = _of(opened.dev_eui) if opened.dev_eui else None
    ours = address is not None and known(address)
    if not ours and ports.purpose(opened.fport, opened.direction) < 0:
        return Parsed("network_only")
    found = message(opened.fport, opened.direction, opened.payload, address)
    if found.reason and not ours:
        # Anybody may use these ports for something else.
        return Parsed("network_only")
    if found.direction == UP and not ours:
        return Parsed("unknown_device")
    return found


def words(opened: Opened) -> Mapping[str, Any]:
    """The frame's LoRaWAN part as a row has it; only what is known, EUIs and addresses in hex as printed."""
    found: dict[str, Any] = {"mtype": opened.mtype, "mic": opened.mic}
    if opened.dev_addr is not None:
        found["dev_addr"] = f"{opened.dev_addr:08x}"
    if opened.dev_eui:
        found["dev_eui"] = opened.dev_eui.hex()
    found.update((k, getattr(opened, k)) for k in ("fcnt", "fport") if getattr(opened, k) is not None)
    if opened.flags:
        found["flags"] = sorted(opened.flags)
    if opened.join is not None:
        found["join"] = _plain(opened.join)
    if opened.mac_commands:
        found["mac"] = [{"command": name, **fields} for name, fields in opened.mac_commands]
    if opened.payload:
        found["payload"] = opened.payload.hex()
    return found


def _plain(join: Any) -> dict[str, Any]:
    found = {}
    for name in join.__dataclass_fields__:
        value = getattr(join, name)
        if name in ("mic", "mtype") or value in (None, b"", ()):
            continue
        if name == "dev_addr":
            value = f"{value:08x}"
        elif name == "net_id":
            value = f"{value:06x}"
        elif isinstance(value, bytes):
            value = value.hex()
        found[name] = list(value) if isinstance(value, tuple) else value
    return found
