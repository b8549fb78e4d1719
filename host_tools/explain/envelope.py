"""The COSE envelope and what is in it, byte by byte: names, units and ranges of the field table."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from firmware.protocols import cose, fragment, ports, reasons, schema
from firmware.protocols.cbor import WireError
from host_tools import rows as rows_of
from host_tools import verdict
from host_tools.explain.cbor import Walk
from host_tools.explain.tree import Node
from host_tools.output import say

PURPOSES = {
    ports.READING: "reading",
    ports.CHECKPOINT: "checkpoint",
    ports.COMMAND: "command",
    ports.RESULT: "result",
    ports.RECOVER: "recover",
    ports.KEY_STATEMENT: "key statement",
    ports.GROUP: "group",
}
STRUCTURES = {cose.SIGN1: "COSE_Sign1", cose.MAC0: "COSE_Mac0", cose.ENCRYPT0: "COSE_Encrypt0"}
ALGS = {cose.ALG_HMAC: "HMAC 256/64", cose.ALG_CCM: "AES-CCM-16-64-128", cose.ALG_ED25519: "Ed25519"}


def body(parent: Node, data: bytes, at: int, end: int, purpose: int, direction: int) -> str:
    """What a carrier holds on a port of ours; returns the reason where it is not of the shape it must have."""
    if direction:
        parent.add("body", at, end - at, say("sealed for the device", "scellé pour l'équipement"))
        return ""
    try:
        cose.parse(data[at:end])
        whole = True
    except WireError:
        whole = False
    if not whole and purpose == ports.CHECKPOINT and _fragment(parent, data, at, end):
        return ""
    return envelope(parent, data, at, end, purpose)


def _fragment(parent: Node, data: bytes, at: int, end: int) -> bool:
    if end - at <= fragment.HEADER or data[at + 2] >> 4 > data[at + 2] & 15:
        return False
    node = parent.add("fragment", at, end - at, say("of a checkpoint", "d'un point de contrôle"), own=0)
    number = data[at] << 8 | data[at + 1]
    node.add("number", at, 2, str(number), number)
    index, last = data[at + 2] >> 4, data[at + 2] & 15
    text = say(f"part {index + 1} of {last + 1}", f"partie {index + 1} sur {last + 1}")
    node.add("index, last", at + 2, 1, text, [index, last])
    node.add("piece", at + 3, end - at - 3, say("bytes of the envelope", "octets de l'enveloppe"))
    return True


def envelope(parent: Node, data: bytes, at: int, end: int, purpose: int) -> str:
    """A COSE array (RFC 9052 sections 2 to 6) below `parent`; returns the reason of a refusal."""
    walk = Walk(data, end, 2, 12)
    top = walk.run(parent, at)
    reason = walk.reason
    try:
        cose.parse(data[at:end])
    except WireError as e:
        reason = str(e.args[0])
    if top is None:
        return reason
    parts = top.children
    if top.text and top.name == "array":
        top.name = {3: "COSE_Encrypt0"}.get(data[at] & 31, "COSE")
    if walk.reason:
        _name_begun(top, parts)
    else:
        kind = _name_parts(top, parts, walk)
        if reason:
            _place(top, parts, walk, reason)
        elif kind in (cose.SIGN1, cose.MAC0):
            head = parts[2].own - _length(parts[2])
            parts[2].own = head
            payload(parts[2], data, parts[2].at + head, parts[2].at + parts[2].size, purpose)
    return reason


def _name_parts(top: Node, parts: list[Node], walk: Walk) -> int:
    if top.name not in ("COSE", "COSE_Encrypt0") or not 3 <= len(parts) <= 4:
        return 0
    for node, name in zip(parts, ("protected", "unprotected", "payload", "seal"), strict=False):
        node.name = name
    parts[0].text = (
        say("empty: the key record says", "vide : le registre le dit") if not parts[0].value else ""
    )
    header = walk.values.get(id(parts[1]))
    if isinstance(header, dict):
        for child, key in zip(parts[1].children, header, strict=False):
            child.name = {1: "alg", 4: "kid", 6: "Partial IV"}.get(key, child.name)
            value = header[key]
            if key == 6 and isinstance(value, bytes) and len(value) == 3:
                low = int.from_bytes(value, "big")
                child.value = low
                child.text = say(f"low 24 bits of the number: {low}", f"24 bits bas du numéro : {low}")
    if len(parts) == 3:
        parts[2].name = "ciphertext"
        size = _length(parts[2])
        parts[2].text = say(f"{size - 8} bytes and a tag of 8", f"{size - 8} octets et un sceau de 8")
        return int(cose.ENCRYPT0)
    size = _length(parts[3])
    if size == 64:
        top.name, parts[3].name = "COSE_Sign1", "signature"
        parts[3].text = "Ed25519"
        return int(cose.SIGN1)
    top.name, parts[3].name = "COSE_Mac0", "tag"
    parts[3].text = "HMAC 256/64"
    return int(cose.MAC0)


def _name_begun(top: Node, parts: list[Node]) -> None:
    """Of an envelope that stops somewhere: what its parts would be."""
    wanted = (("bytes", "protected"), ("map", "unprotected"), ("bytes", "payload"), ("bytes", "seal"))
    if top.name not in ("COSE", "COSE_Encrypt0"):
        return
    for node, (shape, name) in zip(parts, wanted, strict=False):
        if node.name != shape:
            return
        node.name = name
        for child in node.children if name == "unprotected" else ():
            child.name = {"key 1": "alg", "key 4": "kid", "key 6": "Partial IV"}.get(child.name, child.name)


def _length(node: Node) -> int:
    """Of a byte string, whose value is hex; 0 for anything else."""
    return len(node.value) // 2 if node.name != "text" and isinstance(node.value, str) else 0


def _place(top: Node, parts: list[Node], walk: Walk, reason: str) -> None:
    """Mark what makes an envelope of good CBOR a bad one, in the order in which cose.parse looks."""
    values = [walk.values.get(id(p)) for p in parts]
    where = top
    if reason == "not_cose":
        wanted: tuple[type, ...] = (bytes, dict, bytes, bytes)
        if 3 <= len(parts) <= 4 and top.name != "map":
            where = next(
                (p for p, v, t in zip(parts, values, wanted, strict=False) if not isinstance(v, t)), top
            )
    elif reason == "explicit_alg":
        header = values[1]
        inside = isinstance(header, dict) and 1 in header
        where = next(c for c in parts[1].children if c.name == "alg") if inside else parts[0]
    elif reason == "bad_header":
        odd = [c for c in parts[1].children if c.name not in ("Partial IV", "kid")]
        where = parts[0] if values[0] else odd[0] if odd else parts[1]
        for child in parts[1].children if where is parts[1] else ():
            header = values[1]
            assert isinstance(header, dict)
            value = header.get(6 if child.name == "Partial IV" else 4)
            wrong = len(value) != 3 if child.name == "Partial IV" and isinstance(value, bytes) else False
            if wrong or not isinstance(value, bytes) or (child.name == "kid" and not 1 <= len(value) <= 8):
                where = child
    elif reason == "tag_length":
        where = parts[-1]
    where.error = reason


def payload(parent: Node, data: bytes, at: int, end: int, purpose: int) -> str:
    """The content of an uplink below `parent`: a reading by the field table, else by its purpose."""
    reason = verdict.read(purpose, data[at:end]).reason
    limits = {ports.CHECKPOINT: (1, 3), ports.RESULT: (1, 5)}.get(purpose, (3, 640))
    walk = Walk(data, end, *limits)
    top = walk.run(parent, at)
    if top is None or walk.reason:
        return reason
    if purpose == ports.CHECKPOINT:
        _names(top, ("covers", "head"), say("frames since the last", "trames depuis le dernier"))
    elif purpose == ports.RESULT:
        _result(top)
    else:
        _reading(top, walk)
    if reason:
        _wrong(top, walk, reason)
    return reason


def _names(top: Node, names: tuple[str, ...], first: str) -> None:
    for node, name in zip(top.children, names, strict=False):
        node.name = name
    if top.children:
        top.children[0].text += f" ({first})"


def _result(top: Node) -> None:
    names = ["cseq", "outcome", "last_cseq", "plan"]
    outcome = top.children[1].value if len(top.children) > 1 else None
    if outcome == verdict.LEAF_OUTCOME and len(top.children) == 4:
        names = ["cseq", "outcome", "of_seq", "leaf"]
    for node, name in zip(top.children, names, strict=False):
        node.name = name
    if isinstance(outcome, int) and outcome >= 0:
        top.children[1].text += f" {reasons.name(outcome)}"


def _reading(top: Node, walk: Walk) -> None:
    if top.name != "array" or len(top.children) != 2:
        return
    kind, pairs = top.children
    kind.name = "type"
    known = schema.TYPES.get(kind.value) if isinstance(kind.value, int) else None
    fields = walk.values.get(id(pairs))
    if known is None or not isinstance(fields, dict):
        return
    kind.text += f" {known[0]}"
    pairs.name = "fields"
    table = {f.key: f for f in rows_of.table(int(kind.value)).values()}
    for node, (key, value) in zip(pairs.children, fields.items(), strict=True):
        field = table.get(key)
        if field is None:
            continue
        node.name = field.column
        if field.key == schema.PAD:
            node.text = say("zeros up to a fixed length", "zéros jusqu'à une longueur fixe")
        else:
            node.text, node.value = _field(field, int(kind.value), value, node)


def _field(field: rows_of.Field, number: int, value: Any, node: Node) -> tuple[str, Any]:
    """Text with the range, and the value for programs (decimals as text, so that they stay exact)."""
    bounds = f"  [{_scaled(field.lo, field)}..{_scaled(field.hi, field)}]"
    if isinstance(value, bytes):
        return value.hex(), value.hex()
    if isinstance(value, list):
        total = 0
        for child in node.children:
            if isinstance(child.value, int):
                total += child.value
                child.name = f"{child.value:+d}"
                child.text = _scaled(total, field)
        return say("each the difference to the one before", "chacun, l'écart au précédent") + bounds, None
    if type(value) is not int:
        return node.text, node.value
    if field.name in ("time", "time_unconfirmed") and value >= 0:
        return rows_of.wire_utc(value), value
    if field.name == "alarms":
        words = rows_of.alarms(number)
        names = [words.get(b, f"bit_{b}") for b in range(16) if value >> b & 1]
        return f"{value:#06x} " + " ".join(names), names
    if field.states:
        word = field.states[value] if 0 <= value < len(field.states) else ""
        return f"{value} {word}  [0..{len(field.states) - 1}]", word or value
    unit = f" {field.unit}" if field.unit else ""
    exact = rows_of.exact(value, field.decimals)
    return f"{_scaled(value, field)}{unit}{bounds}", str(exact) if isinstance(exact, Decimal) else exact


def _scaled(value: int, field: rows_of.Field) -> str:
    exact = rows_of.exact(value, field.decimals)
    return format(exact, "f") if isinstance(exact, Decimal) else str(exact)


def _wrong(top: Node, walk: Walk, reason: str) -> None:
    """Mark the item that the schema refuses: the first one whose removal or whose own range says so."""
    value = walk.values[id(top)]
    if not isinstance(value, list) or len(value) != 2 or top.children[0].name in ("covers", "cseq"):
        _wrong_item(top, reason)
        return
    kind, pairs = top.children
    if reason == "unknown_type" or type(value[0]) is not int:
        kind.error = reason
        return
    fields = value[1]
    if not isinstance(fields, dict) or reason == "time_twice":
        (pairs.children[1] if reason == "time_twice" else pairs).error = reason
        return
    if reason == "bad_pad":
        (pairs.children[-1] if schema.PAD in fields else pairs).error = reason
        return
    for node, (key, item) in zip(pairs.children, fields.items(), strict=True):
        if _field_reason(value[0], key, item) == reason:
            node.error = reason
            return
    pairs.error = reason


def _field_reason(number: int, key: int, item: Any) -> str:
    """Why the field table refuses one field, "" where it does not."""
    field = next((f for f in rows_of.table(number).values() if f.key == key), None)
    if field is None or field.shape == "reserved":
        return "unknown_key"
    if key == schema.PAD:
        return ""
    items = [item]
    if field.shape == "vector":
        if not isinstance(item, list):
            return "wrong_shape"
        if not 1 <= len(item) <= schema.MAX_COUNT:
            return "out_of_range"
        total, items = 0, []
        for step in item:
            if type(step) is not int:
                return "wrong_shape"
            total += step
            items.append(total)
    elif field.shape == "bytes":
        if not isinstance(item, bytes):
            return "wrong_shape"
        items = [len(item)]
    if any(type(i) is not int for i in items):
        return "wrong_shape"
    return "" if all(field.lo <= i <= field.hi for i in items) else "out_of_range"


def _wrong_item(top: Node, reason: str) -> None:
    """Of a checkpoint or a result: the item that is of the wrong kind or size."""
    for node in top.children:
        number = node.value if type(node.value) is int else None
        bad = (
            number is None
            if node.name in ("covers", "cseq", "outcome", "last_cseq", "of_seq")
            else number is not None
        )
        if reason == "out_of_range":
            bad = node.name in ("covers", "of_seq")
        elif node.name == "head":
            bad = bad or len(node.value or "") != 32
        elif number is not None:
            bad = bad or number < 0
        if bad:
            node.error = reason
            return
    top.error = reason


def covered(parent: Node, data: bytes) -> None:
    """The structure that a tag or signature is over (RFC 9052 4.4, 5.3, 6.3), with ext_aad taken apart."""
    walk = Walk(data, len(data), 2, 16)
    top = walk.run(parent, 0)
    if top is None or walk.reason:
        return
    for node, name in zip(top.children, ("context", "protected", "external_aad", "payload"), strict=False):
        node.name = name
    aad = top.children[2]
    inside = bytes(walk.values[id(aad)])
    aad.own = aad.size - len(inside)
    start = aad.at + aad.own
    inner = Walk(data, start + len(inside), 2, 16)
    listed = inner.run(aad, start)
    names = ("version", "alg", "structure", "purpose", "tenant", "device", "epoch", "direction", "number")
    if listed is None:
        return
    for node, name in zip(listed.children, names, strict=False):
        node.name = name
        if name == "alg":
            node.text += " " + ALGS.get(node.value, "")
        elif name == "structure":
            node.text += " " + STRUCTURES.get(node.value, "")
        elif name == "purpose":
            node.text += " " + PURPOSES.get(node.value, "")
        elif name in ("tenant", "device"):
            node.text = str(node.value)


__all__ = ["PURPOSES", "STRUCTURES", "body", "covered", "envelope", "payload"]
