"""One frame taken apart: its bytes layer by layer, what was opened, what the seal covers, the verdict and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from firmware.protocols import cose, ports
from host_tools import carried
from host_tools.explain import envelope, layers
from host_tools.explain.tree import Explained, Node, Part
from host_tools.explain.verdict import facts
from host_tools.formats import loratap
from host_tools.frames import Frame, Record
from host_tools.lorawan.sessions import Opened
from host_tools.output import say
from host_tools.receiver import Entry, Receiver
from host_tools.rows import Row
from host_tools.verdict import UNDECIDED, UP, Verified
from provisioning.record import STRUCTURES

Reception = tuple[bytes, Frame]


def receptions(records: Iterable[Record], row: Row) -> list[Reception]:
    """The records that hold a row's frame, with it, in their order."""
    return [
        (record.raw, frame)
        for record in records
        for frame in record.frames
        if carried.identity(frame).hex().startswith(row.frame)
    ]


def explain(receiver: Receiver, row: Row, found: Sequence[Reception]) -> Explained:
    """found: the receptions of the row's frame; none where the source cannot be read again."""
    entry = next(e for e in receiver.entries() if e.sha.hex().startswith(row.frame))
    opened = receiver.sessions.opened(entry.token) if entry.token is not None else None
    parts: list[Part] = []
    if found:
        # The reception that is the easiest to lay out: one with a radio header, else the first.
        heads = [_radio_header(raw, frame) for raw, frame in found]
        best = next((n for n, head in enumerate(heads) if head), 0)
        frame = found[best][1]
        if frame.network is None:
            parts.append(_frame(frame, heads[best], row.reason))
        elif opened is None or opened.reason or not opened.payload:
            title = say("what a network server told", "dit par un serveur de réseau")
            parts.append(Part("told", title, frame.data, [Node("FRMPayload", 0, len(frame.data))]))
    if opened is not None:
        if parts:
            _session(parts[0], opened)
        parts += _opened(receiver, entry, opened, told=bool(found and found[0][1].network))
    verified = entry.found or (entry.whole[0][1] if entry.whole else None)
    if verified is not None:
        parts += _content(receiver, entry, verified)
    _keep_mark(parts, row.reason)
    return Explained(parts, list(facts(receiver, entry, row, [frame for _, frame in found], opened)))


def _radio_header(raw: bytes, frame: Frame) -> bytes:
    """The LoRaTap header that stands right before the frame in its record, b"" where there is none."""
    if frame.reason or not frame.data:
        return b""
    at = raw.find(frame.data)
    while at >= 0:
        for length in (35, 15):
            head = raw[at - length : at] if at >= length else b""
            try:
                if (
                    head
                    and loratap.parse(head).radio == frame.radio
                    and head[2:4] == length.to_bytes(2, "big")
                ):
                    return head
            except loratap.BadHeader:
                continue
        at = raw.find(frame.data, at + 1)
    return b""


def _frame(frame: Frame, head: bytes, reason: str) -> Part:
    if frame.reason:
        part = Part(
            "record", say("record without a whole frame", "enregistrement sans trame entière"), frame.data
        )
        root = Node("record", 0, len(frame.data))
        root.add("missing", len(frame.data), 0).error = frame.reason
        part.nodes = [root]
        return part
    part = Part("frame", say("frame", "trame"), head + frame.data)
    root = Node("record", 0, len(part.data), own=0)
    if head:
        layers.loratap_header(root, part.data, len(head))
    layers.frame(root, part.data, len(head), reason)
    part.nodes = root.children
    return part


def _session(part: Part, opened: Opened) -> None:
    """What the session adds to the tree of a LoRaWAN frame: the whole counter, the verdict on the MIC."""
    for node in (n for top in part.nodes for n in top.walk()):
        if node.name == "FCnt" and opened.fcnt is not None and part.key == "frame":
            node.text = say(f"{node.value}: counter {opened.fcnt}", f"{node.value} : compteur {opened.fcnt}")
        elif node.name == "MIC":
            node.text = {
                "good": say("good", "juste"),
                "bad": say("fits no key at hand", "ne correspond à aucune clé présente"),
            }.get(opened.mic, say("no key at hand", "aucune clé présente"))
            if opened.mic == "bad":
                node.error = "bad_mic"


def _opened(receiver: Receiver, entry: Entry, opened: Opened, told: bool) -> Iterator[Part]:
    """What LoRaWAN's keys open, or what a network server told."""
    assert entry.token is not None
    clear = receiver.sessions.clear(entry.token)
    if clear is not None:
        root = Node("join accept", 0, len(clear), own=0)
        layers.join_accept(root, clear)
        yield Part("join_accept", say("join accept, decrypted", "join accept, déchiffré"), clear, [root])
    if not opened.payload or opened.reason:
        return
    data = opened.payload
    root = Node("FRMPayload", 0, len(data), own=0)
    way = opened.direction or 0
    purpose = ports.purpose(opened.fport or 0, way)
    root.text = say(f"port {opened.fport}", f"port {opened.fport}")
    if opened.fport == 0:
        layers.commands(root, data, 0, len(data), way)
    elif purpose >= 0 and entry.parsed.purpose >= 0:
        root.text += ", " + envelope.PURPOSES.get(purpose, "")
        envelope.body(root, data, 0, len(data), purpose, way)
    else:
        root.add("application", 0, len(data), say("not of this system", "étranger à ce système"))
    title = (
        say("FRMPayload as a network server told it", "FRMPayload, dit par un serveur de réseau")
        if told
        else say("FRMPayload, decrypted", "FRMPayload, déchiffré")
    )
    yield Part("frm_payload", title, data, [root])


def _content(receiver: Receiver, entry: Entry, verified: Verified) -> Iterator[Part]:
    """The checkpoint that fragments make, what was sealed, and what the seal is over."""
    if entry.parsed.part is not None:
        whole = _joined(receiver, entry, verified)
        if whole:
            root = Node("checkpoint", 0, len(whole), own=0)
            envelope.envelope(root, whole, 0, len(whole), verified.purpose)
            title = say("checkpoint, joined from its fragments", "point de contrôle, réuni de ses fragments")
            yield Part("joined", title, whole, root.children)
    payload = verified.payload
    if verified.structure == cose.ENCRYPT0:
        root = Node("content", 0, len(payload), own=0)
        envelope.payload(root, payload, 0, len(payload), verified.purpose)
        yield Part("content", say("content, decrypted", "contenu, déchiffré"), payload, root.children)
    data = covered(verified)
    root = Node("covered", 0, len(data), own=0)
    envelope.covered(root, data)
    title = (
        say("what the signature covers", "ce que couvre la signature")
        if verified.signature
        else say("what the tag covers", "ce que couvre le sceau")
    )
    if verified.structure == cose.ENCRYPT0:
        title += say(", besides the content", ", outre le contenu")
    yield Part("covered", title, data, root.children)


def covered(verified: Verified) -> bytes:
    """The bytes under the tag or signature of a verified content."""
    record = verified.record
    pin = record.purposes[verified.purpose]
    structure = STRUCTURES[pin.structure]
    aad = cose.ext_aad(
        pin.alg, structure, verified.purpose, record.tenant, record.device, record.epoch, UP, verified.seq
    )
    if structure == cose.ENCRYPT0:
        return bytes(cose.enc_structure(aad))
    if structure == cose.SIGN1:
        return bytes(cose.to_be_signed(aad, verified.payload))
    return bytes(cose.to_be_maced(aad, verified.payload))


def _joined(receiver: Receiver, entry: Entry, verified: Verified) -> bytes:
    part = entry.parsed.part
    assert part is not None
    pieces: dict[int, bytes] = {}
    for other in receiver.entries():
        of = other.parsed.part
        same = of is not None and of[0] == part[0] and of[2] == part[2]
        if same and of is not None and any(v is verified for _, v in other.whole or ()):
            pieces.setdefault(of[1], other.parsed.body)
    whole = b"".join(pieces[n] for n in sorted(pieces))
    return whole if len(pieces) == part[2] + 1 else b""


def _keep_mark(parts: list[Part], reason: str) -> None:
    """One mark, where the reason of the verdict is; what else is odd, in content nobody vouches for, is told."""
    marked = [n for part in parts for top in part.nodes for n in top.walk() if n.error]
    kept = next((n for n in marked if n.error == reason), None)
    for node in marked:
        if node is not kept:
            node.text = f"{node.text} ({node.error})".lstrip()
            node.error = ""
    if reason and kept is None:
        _seal(parts, reason)


def _seal(parts: list[Part], reason: str) -> None:
    """Mark the bytes that a refusal is about which is none of shape: the seal, the number, the address."""
    names = {
        "bad_signature": ("signature",),
        "bad_tag": ("tag", "ciphertext"),
        "bad_mic": ("MIC",),
        "no_session": ("MIC",),
        "unknown_device": ("address", "DevAddr"),
        "unknown_tenant": ("tenant tag",),
        "seq_range": ("Partial IV",),
        "conflict": ("Partial IV",),
        "equivocation": ("Partial IV",),
        "closed_epoch": ("Partial IV",),
        "wrong_structure": ("COSE_Sign1", "COSE_Mac0", "COSE_Encrypt0"),
        "wrong_purpose": ("type", "FPort"),
        "wrong_port": ("type", "FPort"),
        "fragment_incomplete": ("piece",),
        "link_number": ("number",),
    }.get(reason, ())
    nodes = [n for part in parts for top in part.nodes for n in top.walk()]
    named = next((node for node in nodes if node.name in names), None)
    if named is None and reason not in UNDECIDED and nodes:
        # Below LoRaTap, which is the gateway's and has no say.
        named = next((n for n in nodes if n.name in ("link frame", "LoRaWAN", "frame")), nodes[0])
    if named is not None:
        named.error = reason


__all__ = ["Reception", "covered", "explain", "receptions"]
