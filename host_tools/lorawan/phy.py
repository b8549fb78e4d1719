"""PHYPayloads taken apart, both directions: TS001-1.0.4 section 4 and 6.2, rejoin requests of 1.1 section 6.2.4.

Numbers on the air are little endian. Here a DevAddr and a NetID are ints, an EUI is 8 bytes as it is printed.
RFU bits are carried and ignored, as section 1.1 asks of a receiver; an RFU major version is another format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

JOIN_REQUEST, JOIN_ACCEPT, UNCONFIRMED_UP, UNCONFIRMED_DOWN, CONFIRMED_UP, CONFIRMED_DOWN = range(6)
REJOIN, PROPRIETARY = 6, 7
MTYPES = (
    "join_request join_accept unconfirmed_up unconfirmed_down confirmed_up confirmed_down rejoin_request "
    "proprietary"
).split()
UP, DOWN = 0, 1
MAX_LENGTH = 255  # the length field of the LoRa header is one byte
_DATA = struct.Struct("<BIBH")
_SHORTEST = _DATA.size + 4
_JOIN = struct.Struct("<B8s8sH4s")
_JOIN_ACCEPTS = (17, 33)
# Rejoin types of 1.1: 0 and 2 tell the NetID and RJcount0, 1 the JoinEUI and RJcount1.
_REJOINS = {0: struct.Struct("<BB3s8sH4s"), 1: struct.Struct("<BB8s8sH4s"), 2: struct.Struct("<BB3s8sH4s")}


class BadFrame(Exception):  # noqa: N818 - caught in one place and turned into a reason
    """What is no LoRaWAN frame; args[0] is the name of the reason."""


@dataclass(slots=True)
class JoinRequest:
    """dev_nonce: a counter in 1.0.4, a random number before."""

    join_eui: bytes
    dev_eui: bytes
    dev_nonce: int
    mic: bytes
    mtype: int = JOIN_REQUEST


@dataclass(slots=True)
class JoinAccept:
    """sealed: 16 or 32 bytes, under the AppKey, the MIC among them."""

    sealed: bytes
    mtype: int = JOIN_ACCEPT


@dataclass(slots=True)
class Accept:
    """A join accept in clear. rx_delay_s: 1 to 15. channels_hz: CFList of type 0; masks: of type 1, the
    first for channels 0 to 15.

    opt_neg: the network speaks 1.1 (an RFU bit in 1.0.x).
    """

    join_nonce: int
    net_id: int
    dev_addr: int
    rx1_dr_offset: int
    rx2_dr: int
    opt_neg: bool
    rx_delay_s: int
    cf_list: bytes = b""
    channels_hz: tuple[int, ...] = ()
    masks: tuple[int, ...] = ()


@dataclass(slots=True)
class Data:
    """fcnt: the 16 bits on the air. fport: None without one; body: FRMPayload as it came."""

    mtype: int
    dev_addr: int
    fctrl: int
    fcnt: int
    fopts: bytes
    fport: int | None
    body: bytes
    mic: bytes

    @property
    def direction(self) -> int:
        return self.mtype & 1

    @property
    def confirmed(self) -> bool:
        return self.mtype >= CONFIRMED_UP

    @property
    def flags(self) -> frozenset[str]:
        return FLAGS[self.mtype & 1][self.fctrl >> 4]


@dataclass(slots=True)
class Rejoin:
    """kind 0 and 2: net_id and RJcount0; kind 1: join_eui and RJcount1."""

    kind: int
    net_id: int | None
    join_eui: bytes
    dev_eui: bytes
    count: int
    mic: bytes
    mtype: int = REJOIN


@dataclass(slots=True)
class Proprietary:
    """mhdr: the first byte; what follows has no common form, not even a MIC."""

    mhdr: int
    body: bytes
    mtype: int = PROPRIETARY


Phy = JoinRequest | JoinAccept | Data | Rejoin | Proprietary


def _flags(names: str) -> tuple[frozenset[str], ...]:
    words = names.split()
    return tuple(
        frozenset(w for i, w in enumerate(words) if bits >> i & 1 and w != "rfu") for bits in range(16)
    )


# By direction and the upper half of FCtrl, lowest bit first (section 4.3.1, tables 7 and 8).
FLAGS = (_flags("class_b ack adr_ack_req adr"), _flags("f_pending ack rfu adr"))


def parse(data: bytes) -> Phy:
    """Take a PHYPayload apart; BadFrame names why it is none. Nothing of it is verified."""
    if not data:
        raise BadFrame("truncated")
    if len(data) > MAX_LENGTH:
        raise BadFrame("too_long")
    mhdr = data[0]
    mtype = mhdr >> 5
    if mtype == PROPRIETARY:
        return Proprietary(mhdr, data[1:])
    if mhdr & 3:
        raise BadFrame("lorawan_major")
    if UNCONFIRMED_UP <= mtype <= CONFIRMED_DOWN:
        return _data(data, mtype)
    if mtype == JOIN_REQUEST:
        _length(data, (_JOIN.size,))
        _, join_eui, dev_eui, nonce, mic = _JOIN.unpack(data)
        return JoinRequest(join_eui[::-1], dev_eui[::-1], nonce, mic)
    if mtype == JOIN_ACCEPT:
        _length(data, _JOIN_ACCEPTS)
        return JoinAccept(data[1:])
    return _rejoin(data)


def _length(data: bytes, allowed: tuple[int, ...]) -> None:
    if len(data) < allowed[0]:
        raise BadFrame("truncated")
    if len(data) not in allowed:
        raise BadFrame("lorawan_length")


def _data(data: bytes, mtype: int) -> Data:
    end = len(data) - 4
    if end < 8:
        raise BadFrame("truncated")
    _, dev_addr, fctrl, fcnt = _DATA.unpack_from(data)
    at = 8 + (fctrl & 15)
    if at > end:
        raise BadFrame("fopts_length")
    if at == end:
        return Data(mtype, dev_addr, fctrl, fcnt, data[8:at], None, b"", data[end:])
    fport = data[at]
    if not fport and at > 8:
        # Section 4.3.1.6: MAC commands are in one of the two places, else the frame is discarded.
        raise BadFrame("fopts_port0")
    return Data(mtype, dev_addr, fctrl, fcnt, data[8:at], fport, data[at + 1 : end], data[end:])


def _rejoin(data: bytes) -> Rejoin:
    if len(data) < 2:
        raise BadFrame("truncated")
    form = _REJOINS.get(data[1])
    if form is None:
        raise BadFrame("rejoin_type")
    _length(data, (form.size,))
    _, kind, whose, dev_eui, count, mic = form.unpack(data)
    if kind == 1:
        return Rejoin(kind, None, whose[::-1], dev_eui[::-1], count, mic)
    return Rejoin(kind, int.from_bytes(whose, "little"), b"", dev_eui[::-1], count, mic)


def accept(clear: bytes) -> Accept:
    """The fields of a join accept whose sealing is off: 16 or 32 bytes with the MIC (section 6.2.6)."""
    if len(clear) not in (16, 32):
        raise BadFrame("lorawan_length")
    settings, delay = clear[10], clear[11] & 15
    cf_list = clear[12:-4]
    channels: tuple[int, ...] = ()
    masks: tuple[int, ...] = ()
    # RP002 section "JoinAccept CFList": the last byte says whether these are frequencies or masks.
    if cf_list and cf_list[15] == 0:
        channels = tuple(int.from_bytes(cf_list[i : i + 3], "little") * 100 for i in range(0, 15, 3))
    elif cf_list and cf_list[15] == 1:
        masks = struct.unpack_from("<6H", cf_list)
    return Accept(
        int.from_bytes(clear[:3], "little"),
        int.from_bytes(clear[3:6], "little"),
        int.from_bytes(clear[6:10], "little"),
        settings >> 4 & 7,
        settings & 15,
        bool(settings & 0x80),
        delay or 1,
        cf_list,
        channels,
        masks,
    )
