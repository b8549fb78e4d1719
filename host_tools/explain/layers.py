"""The layers below our messages, byte by byte: LoRaTap, link frames, LoRaWAN."""

from __future__ import annotations

import struct
from typing import Any

from firmware.protocols import link, ports
from firmware.protocols.cbor import WireError
from host_tools.explain import envelope
from host_tools.explain.tree import Node
from host_tools.formats import loratap
from host_tools.lorawan import mac, phy
from host_tools.output import say

_BYTES_OF_V0 = (
    ("version", 1),
    ("padding", 1),
    ("length", 2),
    ("frequency", 4),
    ("bandwidth", 1),
    ("spreading factor", 1),
    ("packet RSSI", 1),
    ("max RSSI", 1),
    ("current RSSI", 1),
    ("SNR", 1),
    ("sync word", 1),
)
_BYTES_OF_V1 = (
    ("gateway", 8),
    ("timestamp", 4),
    ("flags", 1),
    ("coding rate", 1),
    ("FSK data rate", 2),
    ("IF channel", 1),
    ("RF chain", 1),
    ("tag", 2),
)


def dbm(quarters: int, unit: str = "dBm") -> str:
    """Quarters of a dB in words, exact."""
    whole, part = divmod(abs(quarters), 4)
    return f"{'-' if quarters < 0 else ''}{whole}{('', '.25', '.5', '.75')[part]} {unit}"


def mhz(hz: int) -> str:
    return f"{hz // 1_000_000}.{hz % 1_000_000:06d} MHz"


def loratap_header(parent: Node, data: bytes, length: int) -> None:
    """A LoRaTap header, version 0 or 1 (loratap.py names the page)."""
    found = loratap.parse(data).radio
    words = {
        "frequency": (mhz(found.freq_hz), found.freq_hz),
        "bandwidth": (f"{found.bw_hz // 1000} kHz", found.bw_hz),
        "spreading factor": (f"SF{found.sf}", found.sf),
        "packet RSSI": (dbm(found.rssi_qdbm), found.rssi_qdbm / 4),
        "SNR": (dbm(found.snr_qdb, "dB"), found.snr_qdb / 4),
        "sync word": (f"{found.sync_word:#04x}", found.sync_word),
        "flags": (f"CRC {found.crc or '?'}", None),
        "coding rate": (f"4/{found.coding_rate}" if found.coding_rate else "", None),
    }
    head = parent.add("LoRaTap", 0, length, say(f"version {data[0]}", f"version {data[0]}"), own=0)
    at = 0
    for name, size in (*_BYTES_OF_V0, *(_BYTES_OF_V1 if length >= 35 else ())):
        raw = int.from_bytes(data[at : at + size], "big")
        text, value = words.get(name, (str(raw), raw))
        head.add(name, at, size, text, raw if value is None else value)
        at += size
    if at < length:
        head.add("padding", at, length - at)


def frame(parent: Node, data: bytes, at: int, reason: str) -> None:
    """What was on the air from `at` on: a link frame, or a frame of LoRaWAN."""
    if len(data) > at and data[at] == link.MHDR:
        _link(parent, data, at)
    elif len(data) > at and (not data[at] & 31 and data[at] >> 5 != phy.PROPRIETARY):
        _lorawan(parent, data, at)
    else:
        node = parent.add(
            "frame", at, len(data) - at, say("no link frame, no LoRaWAN", "ni trame de lien, ni LoRaWAN")
        )
        if len(data) == at:
            node.text = say("no bytes at all", "aucun octet")
        node.error = reason or "not_link"


def _link(parent: Node, data: bytes, at: int) -> None:
    """The header of firmware/protocols/link.py, then the body."""
    end = len(data)
    top = parent.add("link frame", at, end - at, own=0)
    names = ("MHDR", "type", "tenant tag", "address", "number")
    sizes = (1, 1, 1, 2, 2)
    pos = at
    for name, size in zip(names, sizes, strict=True):
        there = min(size, end - pos)
        if there:
            value = int.from_bytes(data[pos : pos + there], "big")
            top.add(
                name, pos, there, f"{value:#04x}" if name in ("MHDR", "tenant tag") else str(value), value
            )
        pos += there
        if there < size:
            top.add("missing", end, 0, say(f"{name} is cut", f"{name} est coupé")).error = "truncated"
            return
    top.children[0].text = say("proprietary (7), major 0", "propriétaire (7), majeur 0")
    down, port = data[at + 1] >> 7, data[at + 1] & 127
    purpose = ports.purpose(port, down)
    way = say("down", "descendant") if down else say("up", "montant")
    top.children[1].text = f"{way}, port {port}, " + envelope.PURPOSES.get(
        purpose, say("no purpose", "sans usage")
    )
    if end - at > 255:
        top.error = "too_long"
        top.add("body", pos, end - pos)
        return
    try:
        link.parse(data[at:])
    except WireError as e:
        top.add("body", pos, end - pos).error = str(e.args[0])
        return
    end -= 4 if down else 0
    if purpose < 0 or port >= ports.FALLBACK:
        top.children[1].error = "wrong_port"
        top.add("body", pos, end - pos)
    else:
        before = len(top.children)
        if not envelope.body(top, data, pos, end, purpose, down):
            _number(top, before, data, pos)
    if down:
        top.add("MAC", end, 4, say("under the link key; readers have none", "sous la clé de lien"))


def _number(top: Node, before: int, data: bytes, pos: int) -> None:
    """Mark a number in the header that is not that of the body (TRUST 13)."""
    header = data[pos - 2 : pos]
    for node in (n for child in top.children[before:] for n in child.walk()):
        if node.name == "Partial IV" and type(node.value) is int:
            inner = (node.value & 0xFFFF).to_bytes(2, "big")
        elif node.name == "number" and node.size == 2:
            inner = data[node.at : node.at + 2]
        else:
            continue
        if inner != header:
            top.children[before - 1].error = "link_number"
        return


def _lorawan(parent: Node, data: bytes, at: int) -> None:
    """A PHYPayload (TS001-1.0.4 section 4, 6.2)."""
    phdr, end = data[at], len(data)
    mtype = phdr >> 5
    top = parent.add("LoRaWAN", at, end - at, phy.MTYPES[mtype], own=0)
    top.add("MHDR", at, 1, f"{phy.MTYPES[mtype]} ({mtype}), major {phdr & 3}", phdr)
    reason = ""
    try:
        phy.parse(data[at:])
    except phy.BadFrame as e:
        reason = str(e.args[0])
    if phy.UNCONFIRMED_UP <= mtype <= phy.CONFIRMED_DOWN:
        _data(top, data, at, mtype & 1, reason)
    elif mtype == phy.JOIN_REQUEST:
        _fields(top, data, at + 1, (("JoinEUI", 8), ("DevEUI", 8), ("DevNonce", 2), ("MIC", 4)))
    elif mtype == phy.JOIN_ACCEPT:
        top.add("sealed", at + 1, end - at - 1, say("with AppKey, MIC inside", "sous AppKey, MIC compris"))
    elif mtype == phy.REJOIN:
        kind = data[at + 1] if end > at + 1 else -1
        if reason == "rejoin_type":
            top.add("type", at + 1, 1, str(kind), kind).error = reason
            top.add("rest", at + 2, end - at - 2)
            return
        whose = ("JoinEUI", 8) if kind == 1 else ("NetID", 3)
        count = ("RJcount1" if kind == 1 else "RJcount0", 2)
        _fields(top, data, at + 1, (("type", 1), whose, ("DevEUI", 8), count, ("MIC", 4)))
    if reason and top.failed() is None:
        if reason == "truncated":
            top.add(
                "missing", end, 0, say("the frame ends too soon", "la trame finit trop tôt")
            ).error = reason
        else:
            top.error = reason


def _fields(top: Node, data: bytes, at: int, fields: tuple[tuple[str, int], ...]) -> None:
    for name, size in fields:
        raw = data[at : at + size]
        if raw:
            node = top.add(name, at, len(raw))
            if len(raw) == size and name != "MIC":
                node.value = raw[::-1].hex() if size > 2 else int.from_bytes(raw, "little")
                node.text = str(node.value)
        at += len(raw)
        if len(raw) < size:
            return
    if at < len(data):
        top.add("rest", at, len(data) - at).error = "lorawan_length"


def _data(top: Node, data: bytes, at: int, way: int, reason: str) -> None:
    end = len(data)
    if end - at < 12:
        if end > at + 1:
            top.add("FHDR", at + 1, end - at - 1)
        return
    fctrl = data[at + 5]
    options = fctrl & 15
    head = top.add("FHDR", at + 1, min(7 + options, end - at - 1), own=0)
    addr = int.from_bytes(data[at + 1 : at + 5], "little")
    head.add("DevAddr", at + 1, 4, f"{addr:08x}", f"{addr:08x}")
    flags = " ".join(sorted(phy.FLAGS[way][fctrl >> 4]))
    size = say(f"FOpts of {options} bytes", f"FOpts de {options} octets")
    node = head.add("FCtrl", at + 5, 1, ", ".join(w for w in (flags, size) if w), fctrl)
    low = int.from_bytes(data[at + 6 : at + 8], "little")
    head.add("FCnt", at + 6, 2, str(low), low)
    pos = at + 8
    if pos + options > end - 4:
        node.error = reason
        top.add("rest", pos, end - pos)
        return
    if options:
        commands(head.add("FOpts", pos, options, own=0), data, pos, pos + options, way)
        pos += options
    if pos < end - 4:
        port = top.add("FPort", pos, 1, str(data[pos]), data[pos])
        if reason == "fopts_port0":
            port.error = reason
        if pos + 1 < end - 4:
            text = say("encrypted", "chiffré")
            top.add("FRMPayload", pos + 1, end - 4 - pos - 1, text)
    top.add("MIC", end - 4, 4)


def commands(parent: Node, data: bytes, at: int, end: int, way: int) -> None:
    """MAC commands by name; the first one that nobody knows ends the list, because none tells its length."""
    table = mac.TABLE[way]
    while at < end:
        row = table.get(data[at])
        size = 1 + (row[1] if row else end - at - 1)
        [(name, fields)] = mac.parse(data[at : min(at + size, end)], way)
        known = row is not None and at + size <= end
        size = min(size, end - at)
        text = " ".join(f"{k}={_word(v)}" for k, v in fields.items()) if known else ""
        node = parent.add(row[0] if row else f"{name} {data[at]:02x}", at, size, text, fields or None)
        if row is not None and not known:
            node.text = say("cut", "coupée")
        at += size


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def join_accept(parent: Node, clear: bytes) -> None:
    """A join accept in clear, without MHDR (TS001-1.0.4 6.2.6)."""
    found = phy.accept(clear)
    parent.add("JoinNonce", 0, 3, f"{found.join_nonce:06x}", found.join_nonce)
    parent.add("NetID", 3, 3, f"{found.net_id:06x}", f"{found.net_id:06x}")
    parent.add("DevAddr", 6, 4, f"{found.dev_addr:08x}", f"{found.dev_addr:08x}")
    text = f"RX1DROffset {found.rx1_dr_offset}, RX2DataRate {found.rx2_dr}" + (
        ", OptNeg" if found.opt_neg else ""
    )
    parent.add("DLSettings", 10, 1, text, clear[10])
    parent.add("RXDelay", 11, 1, f"{found.rx_delay_s} s", found.rx_delay_s)
    if found.cf_list:
        node = parent.add("CFList", 12, 16, say("channels", "canaux"), own=0)
        if found.channels_hz:
            for i, hz in enumerate(found.channels_hz):
                node.add("Freq", 12 + 3 * i, 3, f"{hz} Hz", hz)
            node.add("CFListType", 27, 1, "0", 0)
        else:
            words = struct.unpack_from("<7H", found.cf_list)
            for i, mask in enumerate(words):
                node.add("ChMask", 12 + 2 * i, 2, f"{mask:016b}", mask)
            node.add("RFU", 26, 1)
            node.add("CFListType", 27, 1, str(clear[27]), clear[27])
    parent.add("MIC", len(clear) - 4, 4)
