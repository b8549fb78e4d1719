"""What one frame is by itself: its parts, and whether a key record's keys verify it.

Structures come from firmware/protocols, so that both ends agree; the cryptography is the native one of
pyca/cryptography and OpenSSL. What depends on other frames (duplicates, conflicts, segments) is not here.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from firmware.protocols import chain, codec, cose, fragment, link, ports, reasons
from firmware.protocols.cbor import WireError, decode
from firmware.protocols.seqspace import MAX_SEQ
from provisioning.record import STRUCTURES, KeyRecord

UP = 0
# Refusals that say "cannot be judged with these keys, or not yet": such frames are `unverified`.
UNDECIDED = frozenset(
    "unknown_device unknown_tenant no_key rate fragment_incomplete no_session network_only".split()
)
# Of several candidates' refusals the one that got furthest is told.
_DEPTH = "bad_signature bad_tag no_key wrong_structure wrong_purpose seq_range link_number".split()
LEAF_OUTCOME = reasons.number("leaf")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A frame taken apart, nothing of it verified. `reason` is "" when it has the shape of a frame.

    address: as of host_tools/carried.py, None where the carrier's header says none. kind: COSE tag by shape, 0 for
    a fragment, whose `body` then holds its bytes and `part` (low 16 bits of seq, index, last index).
    """

    reason: str = ""
    address: tuple[int, int] | None = None
    purpose: int = -1
    direction: int = 0
    kind: int = 0
    piv: int = 0
    body: bytes = b""
    tag: bytes = b""
    part: tuple[int, int, int] | None = None


def parse(frame: bytes) -> Parsed:
    """Take a link frame apart; a refusal is a reason in the result, never an exception."""
    try:
        down, port, tag, short, number, body = link.parse(frame)
    except WireError as e:
        return Parsed(str(e.args[0]))
    return message(port, 1 if down else UP, body, (tag, short), number)


def message(
    port: int, direction: int, body: bytes, address: tuple[int, int] | None, number: int | None = None
) -> Parsed:
    """Take apart what a carrier's frame held on `port`. number: of a link frame, the low 16 bits of seq."""
    purpose = ports.purpose(port, direction)
    if purpose < 0 or port >= ports.FALLBACK:
        # A fallback profile travels on LoRaWAN only, and no key record declares one yet.
        return Parsed("wrong_port", address)
    if direction != UP:
        return Parsed("", address, purpose, direction, body=body)
    try:
        kind, piv, kid, sealed, mac = cose.parse(body)
    except WireError as e:
        part = _fragment(body) if purpose == ports.CHECKPOINT else None
        if part is None:
            return Parsed(str(e.args[0]), address, purpose)
        if number is not None and part[0] != number:
            return Parsed("link_number", address, purpose)
        return Parsed("", address, purpose, body=body[fragment.HEADER :], part=part)
    if kid is not None:
        # The carrier addresses the device: a second address is another header form (TRUST 13).
        return Parsed("bad_header", address, purpose)
    if number is not None and piv & 0xFFFF != number:
        return Parsed("link_number", address, purpose)
    return Parsed("", address, purpose, UP, kind, piv, sealed, mac)


def _fragment(body: bytes) -> tuple[int, int, int] | None:
    if len(body) <= fragment.HEADER or body[2] >> 4 > body[2] & 15:
        return None
    return body[0] << 8 | body[1], body[2] >> 4, body[2] & 15


@dataclass(frozen=True, slots=True)
class Content:
    """A verified payload in words. `reason`: why it is refused although its sender is known."""

    type: str
    fields: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """One distinct verified content: what a device sent under one number.

    digest: SHA-256(ext_aad || payload). leaf: 32 bytes, or b"" where no leaf key is at hand.
    """

    record: KeyRecord
    seq: int
    purpose: int
    structure: int
    payload: bytes
    digest: bytes
    leaf: bytes
    content: Content

    @property
    def signature(self) -> bool:
        return bool(self.structure == cose.SIGN1)


class Opener:
    """Verifies uplinks of one key record."""

    def __init__(self, record: KeyRecord) -> None:
        self.record = record
        self._public = Ed25519PublicKey.from_public_bytes(record.public_key)
        self._macs: dict[str, hmac.HMAC] = {}
        self._ccm: dict[str, AESCCM] = {}
        for label, key in record.keys.items():
            if label.startswith("enc"):
                self._ccm[label] = AESCCM(key, tag_length=8)
            else:
                self._macs[label] = hmac.new(key, digestmod="sha256")

    def _digest(self, label: str, message: bytes) -> bytes:
        mac = self._macs[label].copy()
        mac.update(message)
        return mac.digest()

    def head0(self) -> bytes:
        """Where the chain of this epoch starts."""
        r = self.record
        return bytes(chain.head0(r.tenant, r.device, r.epoch, r.public_key))

    def refusal(self, parsed: Parsed) -> str:
        """Why no trial is worth making, or ""."""
        pin = self.record.purposes.get(parsed.purpose)
        if pin is None:
            return "wrong_purpose"
        if STRUCTURES[pin.structure] != parsed.kind:
            return "wrong_structure"
        if pin.key != "sign" and pin.key not in self.record.keys:
            return "no_key"
        return ""

    def open(self, parsed: Parsed, seq: int) -> Verified | None:
        """One trial of one number on a frame that `refusal` lets pass; None when the tag is not its own."""
        r = self.record
        pin = r.purposes[parsed.purpose]
        aad = cose.ext_aad(pin.alg, parsed.kind, parsed.purpose, r.tenant, r.device, r.epoch, UP, seq)
        payload = parsed.body
        if parsed.kind == cose.MAC0:
            tag = self._digest(pin.key, cose.to_be_maced(aad, payload))[:8]
            if not hmac.compare_digest(tag, parsed.tag):
                return None
        elif parsed.kind == cose.SIGN1:
            try:
                self._public.verify(parsed.tag, cose.to_be_signed(aad, payload))
            except InvalidSignature:
                return None
        else:
            nonce = bytes((r.epoch & 255,)) + r.device + seq.to_bytes(4, "big")
            try:
                payload = self._ccm[pin.key].decrypt(nonce, payload, cose.enc_structure(aad))
            except InvalidTag:
                return None
        leaf = b""
        if "leaf" in self._macs:
            leaf = bytes(chain.leaf(aad, payload, self._digest("leaf", seq.to_bytes(4, "big"))[:16]))
        digest = sha256(aad + payload).digest()
        content = read(parsed.purpose, payload)
        return Verified(r, seq, parsed.purpose, parsed.kind, payload, digest, leaf, content)

    def seal_refusal(self, parsed: Parsed) -> str:
        """The word for a frame whose tag or signature fitted no number."""
        return "bad_signature" if parsed.kind == cose.SIGN1 else "bad_tag"


def numbers(piv: int, bands: list[int]) -> list[int]:
    """The numbers that a frame's 24 bits can mean in some bands of 2^24."""
    return [s for s in (band << 24 | piv for band in bands) if 1 <= s <= MAX_SEQ]


def furthest(found: Iterable[str]) -> str:
    """Of the refusals of several candidates the one to tell."""
    return min(found, key=lambda r: (_DEPTH.index(r) if r in _DEPTH else len(_DEPTH), r))


def read(purpose: int, payload: bytes) -> Content:
    """A verified payload in words; what the schema refuses is a reason in the result."""
    try:
        if purpose == ports.CHECKPOINT:
            return _checkpoint(decode(payload, 0, None, 1, 3))
        if purpose == ports.RESULT:
            return _result(decode(payload, 0, None, 1, 5))
        number, fields = codec.decode(payload)
    except WireError as e:
        return Content("", reason=str(e.args[0]))
    return Content(codec_name(number), fields, number)


def codec_name(number: int) -> str:
    from firmware.protocols import schema

    return str(schema.TYPES[number][0])


def _checkpoint(items: Any) -> Content:
    if not isinstance(items, list) or len(items) != 2:
        raise WireError("wrong_shape")
    count, head = items
    if type(count) is not int or not isinstance(head, bytes) or len(head) != 16:
        raise WireError("wrong_shape")
    if not 1 <= count <= 255:
        raise WireError("out_of_range")
    return Content("checkpoint", {"covers": count, "head": head})


def _result(items: Any) -> Content:
    if not isinstance(items, list) or not 3 <= len(items) <= 4:
        raise WireError("wrong_shape")
    if any(type(i) is not int or i < 0 for i in items[:3]):
        raise WireError("wrong_shape")
    cseq, outcome, third = items[:3]
    if len(items) == 3:
        fields = {"cseq": cseq, "outcome": outcome, "last_cseq": third}
        return Content("result", fields)
    if outcome == 0 and isinstance(items[3], bytes) and len(items[3]) == 8:
        fields = {"cseq": cseq, "outcome": outcome, "last_cseq": third, "plan": items[3]}
        return Content("result", fields)
    if outcome != LEAF_OUTCOME or not isinstance(items[3], bytes) or len(items[3]) != 32:
        raise WireError("wrong_shape")
    if not 1 <= third <= MAX_SEQ:
        raise WireError("out_of_range")
    return Content("leaf", {"cseq": cseq, "of_seq": third, "leaf": items[3]})
