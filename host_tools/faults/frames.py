"""Faults in the bytes of a frame: damage on the way, and frames that somebody else sealed."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from firmware.protocols import cose, link, ports
from firmware.protocols.cbor import WireError
from firmware.protocols.hmac256 import hkdf
from firmware.protocols.keys import purposes
from firmware.protocols.seal import Sealer
from provisioning.tenant import LAB, Tenant, public_key

if TYPE_CHECKING:
    from host_tools.faults import Item

# A forged frame, behind the true one: chosen.
LATER_US = 40_000
_PROFILES = {cose.SIGN1: "sign1", cose.MAC0: "mac0", cose.ENCRYPT0: "encrypt0"}


def damaged(data: bytes, kind: str, chance: random.Random) -> bytes:
    """bit_flip, truncate, or wrong_mic: the last four bytes are others. They are the MIC of LoRaWAN (TS001-1.0.4
    section 4.4), the link's own on a downlink, the end of tag or signature on an uplink of ours.
    """
    if not data:
        return data
    if kind == "truncate":
        return data[: chance.randrange(len(data))]
    if kind == "wrong_mic":
        end = data[-4:]
        other = int.from_bytes(end, "big") ^ chance.randrange(1, 1 << 8 * len(end))
        return data[: -len(end)] + other.to_bytes(len(end), "big")
    bit = chance.randrange(8 * len(data))
    return data[: bit >> 3] + bytes((data[bit >> 3] ^ 1 << (bit & 7),)) + data[(bit >> 3) + 1 :]


class Forger:
    """Seals frames under keys of a lab tenant that is not the receiver's. UsageError for any other tenant."""

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


def forged(item: Item, kind: str, forger: Forger, address: int | None, chance: random.Random) -> list[Item]:
    """The item, and a forged one behind it where it can be forged."""
    data = forger.forge(item.frame.data, address, chance)
    if not data:
        return [item]
    frame = replace(item.frame, data=data, time_us=item.frame.time_us + LATER_US)
    return [item, item.copy(kind, frame, LATER_US)]


def short_address(data: bytes) -> int | None:
    """The short address in a link header, None for what is no link frame."""
    return data[3] << 8 | data[4] if len(data) >= link.HEADER else None
