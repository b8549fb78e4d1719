"""The wire format for third parties: firmware/protocols/schema -> docs/wire-format.md and .cddl.

usage: python -m tools.gen_wire [--check]

`--check` writes nothing and fails when a page is stale. The keys and the tag of the worked example are
computed with the standard library here, not with the code that it documents.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firmware.protocols import cbor, codec, cose, ports, reasons_text, schema
from firmware.protocols.schema import common

ROOT = Path(__file__).resolve().parents[1]
MARKDOWN = ROOT / "docs/wire-format.md"
CDDL = ROOT / "docs/wire-format.cddl"
PROSE = ROOT / "tools/wire_format.md.in"

Row = tuple[int, str, str, str, int, int, int, int, str, str]

PURPOSES = (
    (0, "readings, events, hello"),
    (1, "checkpoint"),
    (2, "command or TIME"),
    (3, "result of a command"),
    (4, "recover"),
    (5, "proof of possession"),
    (6, "key statement"),
    (7, "gateway record"),
    (8, "group command"),
    (9, "receipt, tree head"),
    (10, "unlock"),
)
#: Number, name, arguments: (name, unit, greatest value).
OPS: tuple[tuple[int, str, tuple[tuple[str, str, int], ...]], ...] = (
    (1, "TIME", (("gps_s", "s", 1451260817 + (1 << 30)), ("ms", "ms", 999))),
    (
        2,
        "LIGHT",
        (
            ("level", "%", 100),
            ("for_s", "s", 86400),
            ("ramp_s", "s", 3600),
            ("start_s", "s", 86400),
            ("back_s", "s", 3600),
        ),
    ),
    (3, "RESUME", ()),
    (4, "IDENTIFY", (("seconds", "s", 3600),)),
    (5, "REBOOT", ()),
    (6, "WANT", (("checkpoint", "", 0xFFFF0000), ("seqs", "", 0xFFFF0000))),
    (7, "CK_ACK", (("checkpoint", "", 0xFFFF0000),)),
    (8, "RAISE", (("level", "%", 100), ("for_s", "s", 900))),
    (9, "PLAN", (("offset", "bytes", 0xFFFF), ("total", "bytes", 0xFFFF), ("part", "", 0))),
    (10, "SHED", (("level", "%", 100), ("for_s", "s", 86400), ("ramp_s", "s", 3600))),
    (11, "HATCH", (("locked", "", 1), ("for_s", "s", 3600))),
    (12, "COMPACT", (("for_s", "s", 600),)),
)
#: Number of arguments at the end that may be left out, the last one first.
OPTIONAL = {"LIGHT": 2}

#: The worked example: all keys of the golden vectors follow from these.
K_DEV = bytes(range(32))
TENANT = bytes.fromhex("0011223344556677")
DEVICE = bytes.fromhex("70b3d57ed0001234")
EPOCH = 3
SEQ = 70123
EXAMPLE = {"time": 28000128, "level": 75, "power": 412, "fill": 63, "flow": 128}
EXAMPLE_TYPE = 5


def between(lo: int, hi: int) -> str:
    """A range in the form that pycddl reads: it takes no negative number in `lo..hi`."""
    return f"{lo}..{hi}" if lo >= 0 else f"(int .ge {lo}) .and (int .le {hi})"


def cddl_type(row: Row) -> str:
    _, _, shape, _, _, lo, hi, *_ = row
    if shape == "bytes":
        return f"bytes .size {lo}" if lo == hi else f"bytes .size ({lo}..{hi})"
    if shape == "vector":
        return f"[1*{schema.MAX_COUNT} {between(lo - hi, hi)}]"
    return between(lo, hi)


def message_cddl(number: int) -> Iterator[str]:
    name = schema.TYPES[number][0]
    lengths = schema.message(number)[3:5]
    yield f"{name} = [{number}, {name}-fields]"
    yield f"{name}-fields = {{"
    # Not both; as a choice of groups pycddl 0.6.4 would let any value pass.
    yield "  ? 0 => wire-time, ; time, from a clock the owner or GNSS set"
    yield "  ? 1 => wire-time, ; time_unconfirmed, never beside the other"
    for row in schema.rows(number):
        key, field, shape, unit, decimals, lo, *_ = row
        if key < 2 or shape == "reserved":
            continue
        if key == schema.PAD:
            sizes = " or ".join(str(n) for n in lengths)
            yield f"  23 => bytes / pad-array ; {field}: brings the payload to {sizes} bytes"
            continue
        note = field + (f", {unit}" if unit else "") + (f" / 10^{decimals}" if decimals else "")
        if shape == "vector":
            note += f"; first value {lo}..{row[6]}, then differences whose sums stay within"
        yield f"  ? {key} => {cddl_type(row)}, ; {note}"
    yield "}"


def op_cddl() -> Iterator[str]:
    names = []
    for number, name, arguments in OPS:
        rule = "op-" + name.lower().replace("_", "-")
        names.append(rule)
        if name == "WANT":
            types = ["1..4294901760", "[1*8 1..4294901760]"]
        elif name == "PLAN":
            types = ["0..65535", "0..65535", "bytes"]
        else:
            types = [f"0..{hi}" for _, _, hi in arguments]
        # Whole arrays: pycddl 0.6.4 refuses everything where one ends in something optional.
        shapes = [
            f"[{', '.join(['ref', 'ttl', str(number), *types[:count]])}]"
            for count in range(len(types) - OPTIONAL.get(name, 0), len(types) + 1)
        ]
        fields = ", ".join(a[0] for a in arguments)
        yield f"{rule} = {' / '.join(shapes)}" + (f" ; {fields}" if fields else "")
    # pycddl 0.6.4 accepts anything for the alternatives after one that holds an array.
    names.sort(key=lambda rule: rule == "op-want")
    yield "command = " + " / ".join(names)


def cddl() -> str:
    """The whole contract in CDDL (RFC 8610)."""
    names = [name for name, _ in schema.TYPES.values()]
    lines = [
        "; Lanterne wire format. Generated by tools/gen_wire.py from firmware/protocols/schema: do not edit.",
        "; Everything is in the deterministic encoding of RFC 8949 4.2.1. What CDDL cannot say stands in",
        "; wire-format.md: lengths of padded messages, sums of vectors, and that a pad is all zero.",
        "",
        f"payload = {' / '.join(names)} ; purpose 0",
        "",
        "frame = mac0-frame / sign1-frame / encrypt0-frame",
        "mac0-frame = [empty, header, body, bytes .size 8]",
        "sign1-frame = [empty, header, body, bytes .size 64]",
        "encrypt0-frame = [empty, header, sealed]",
        "header = {? 4 => kid, 6 => piv}",
        "empty = bytes .size 0",
        "kid = bytes .size (1..8) ; where the carrier does not address the device",
        "piv = bytes .size 3 ; low 24 bits of the sequence number",
        "body = bytes",
        "sealed = bytes .size (8..255) ; ciphertext, then its tag of 8 bytes",
        "",
        f"wire-time = {between(0, schema.rows(1)[0][6])} ; GPS seconds - 1451260818",
        "pad-array = [bytes .size 23]",
    ]
    for number in schema.TYPES:
        lines += ["", *message_cddl(number)]
    lines += [
        "",
        "checkpoint = [1..255, bytes .size 16] ; purpose 1: frames covered, head of the chain",
        "",
        *op_cddl(),
        "ref = 0..4294901760 ; number of an uplink of this boot; 0: ttl is a date",
        "ttl = 1..4294967295 ; s after that uplink (1..3600), or GPS seconds",
        "",
        "result = [cseq, 0..255, cseq] / [cseq, 13, ref, bytes .size 32] / plan-result ; purpose 3",
        "plan-result = [cseq, 0, cseq, bytes .size 8] ; SHA-256 of the plan that the device now runs",
        "cseq = 0..4294901760 ; commander << 28 | counter",
        "",
        "recover-ask = [bytes .size 16] ; purpose 4 up: nonce",
        "recover-answer = [bytes .size 16, 1..4294967295, 1..4294967295] ; down: nonce, epoch, GPS s",
        "",
    ]
    return "\n".join(lines)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def number_of(value: int, decimals: int) -> str:
    if not decimals:
        return str(value)
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}"


def field_row(row: Row) -> list[str]:
    key, name, shape, unit, decimals, lo, hi, privacy, ucifi, talq = row
    if shape == "reserved":
        return [str(key), f"`{name}`", "reserved", "", "", "", "", "", "", ""]
    if shape == "bytes":
        span, size = (f"{lo} bytes" if lo == hi else f"{lo}..{hi} bytes"), f"{1 + cbor.head_len(hi) + lo}"
        if lo != hi:
            size = "2 up"
    elif shape == "vector":
        span = f"1..{schema.MAX_COUNT} of {number_of(lo, decimals)}..{number_of(hi, decimals)}"
        size = f"3..{3 + schema.MAX_COUNT * cbor.head_len(hi - lo)}"
    else:
        span = f"{number_of(lo, decimals)}..{number_of(hi, decimals)}"
        most = 1 + max(cbor.head_len(hi), cbor.head_len(max(-1 - lo, 0)))
        size = f"2..{most}" if most > 2 else "2"
    scale = f"1/{10**decimals}" if decimals else "1"
    return [str(key), f"`{name}`", shape, unit, scale, span, size, str(privacy), ucifi, talq]


def message_section(number: int) -> str:
    name, module = schema.TYPES[number]
    kind: Any = schema.load(module)
    rows: list[Row] = list(schema.rows(number))
    longest = codec.max_len(schema.message(number))
    about = re.sub(r" \(TRUST \d+\)", "", (kind.__doc__ or "").split(", ", 1)[1].strip())
    lines = [
        f"### Type {number}: `{name}`",
        "",
        f"{about[0].upper()}{about[1:]}",
        f"Longest payload: {longest} bytes"
        + (f"; every payload has {kind.LENGTHS[0]} or {longest} bytes." if kind.LENGTHS[0] else "."),
        "",
        table(
            ["key", "name", "shape", "unit", "step", "range", "bytes", "privacy", "uCIFI", "TALQ"],
            [field_row(row) for row in rows],
        ),
        "",
    ]
    for field, words in kind.STATES:
        lines += [f"`{field}`: " + ", ".join(f"{i} {word}" for i, word in enumerate(words)) + ".", ""]
    bits = [[str(bit), f"`{word}`", ucifi, talq] for bit, word, ucifi, talq in kind.ALARMS]
    lines += [f"Bits of `alarms` in `{name}`:", "", table(["bit", "name", "uCIFI", "TALQ"], bits)]
    return "\n".join(lines)


def hkdf(label: str, length: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869) of one block."""
    info = cbor.encode(["lanterne/1", label, DEVICE, EPOCH])
    prk = hmac.new(TENANT, K_DEV, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()[:length]


def example_payload() -> bytes:
    message = schema.message(EXAMPLE_TYPE)
    values = codec.blank(message)
    for name, value in EXAMPLE.items():
        values[schema.index(EXAMPLE_TYPE, name)] = value
    buf = bytearray(64)
    return bytes(buf[: codec.encode_into(buf, 0, message, values)])


def example_payload_lines(payload: bytes) -> Iterator[tuple[bytes, str]]:
    count = payload[2] & 31
    yield payload[:1], "payload: array of 2"
    yield payload[1:2], f"message type {payload[1]}, `{schema.TYPES[payload[1]][0]}`"
    yield payload[2:3], f"map of {count}"
    pos = 3
    for row in schema.rows(EXAMPLE_TYPE):
        if row[1] not in EXAMPLE:
            continue
        size = 1 + cbor.head_len(EXAMPLE[row[1]])
        value = number_of(EXAMPLE[row[1]], row[4]) + (f" {row[3]}" if row[3] else "")
        yield payload[pos : pos + size], f"key {row[0]} `{row[1]}`: {EXAMPLE[row[1]]} = {value}"
        pos += size


def example() -> str:
    """One reading as `mac0`, byte by byte."""
    payload = example_payload()
    aad = cose.ext_aad(cose.ALG_HMAC, cose.MAC0, 0, TENANT, DEVICE, EPOCH, 0, SEQ)
    key = hkdf("mac-up", 32)
    to_mac = cose.to_be_maced(aad, payload)
    tag = hmac.new(key, to_mac, hashlib.sha256).digest()[:8]
    buf = bytearray(64)
    frame = bytes(buf[: cose.pack_into(buf, 0, SEQ, payload, tag)])
    lines = [
        (frame[:1], "COSE_Mac0, untagged: array of 4"),
        (frame[1:2], "protected header: empty"),
        (frame[2:3], "unprotected header: map of 1"),
        (frame[3:5], "key 6, partial IV: 3 bytes"),
        (frame[5:8], f"low 24 bits of {SEQ}"),
        (frame[8:9], f"payload: {len(payload)} bytes"),
        *example_payload_lines(payload),
        (frame[-9:-8], "tag: 8 bytes"),
        (frame[-8:], "HMAC-SHA-256 under K_mac-up over the MAC_structure, first 8 bytes"),
    ]
    if b"".join(part for part, _ in lines) != frame:
        raise AssertionError("the worked example does not give the frame")
    rows = [[f"`{part.hex()}`", what] for part, what in lines]
    given = [
        ["K_dev", K_DEV.hex()],
        ["tenant", TENANT.hex()],
        ["device", DEVICE.hex()],
        ["epoch, direction, seq, purpose", f"{EPOCH}, 0, {SEQ}, 0"],
        ["K_mac-up", key.hex()],
        ["ext_aad", aad.hex()],
        ["MAC_structure", to_mac.hex()],
        ["frame", frame.hex()],
    ]
    return "\n".join(
        [
            f"A reading of type {EXAMPLE_TYPE} as `mac0`: {len(frame)} bytes.",
            "",
            table(["", "value"], [[name, f"`{value}`"] for name, value in given]),
            "",
            table(["bytes", "meaning"], rows),
        ]
    )


def purpose_table() -> str:
    rows = []
    for number, what in PURPOSES:
        way = [
            w
            for w, d in (("up", ports.UP), ("down", ports.DOWN))
            if ports.purpose(ports.port(number), d) == number
        ]
        port = ports.port(number)
        rows.append([str(number), what, str(port) if port > 0 else "never by radio", ", ".join(way)])
    return table(["purpose", "carries", "port", "direction"], rows)


def op_table() -> str:
    rows = []
    for number, name, arguments in OPS:
        told = [f"{a} (0..{hi}{' ' + u if u else ''})" for a, u, hi in arguments]
        least = len(told) - OPTIONAL.get(name, 0)
        more = "".join(f"[, {a}" for a in told[least:]) + "]" * (len(told) - least)
        rows.append([str(number), name, ", ".join(told[:least]) + more])
    return table(["op", "name", "arguments"], rows)


def size_table() -> str:
    rows = []
    for length in (15, 16, 22, 23, 24, 26, 64):
        sizes = [str(len(frame_of(structure, length))) for structure in ("mac0", "sign1", "encrypt0")]
        rows.append([str(length), *sizes])
    return table(["payload", "`mac0`", "`sign1`", "`encrypt0`"], rows)


def frame_of(structure: str, length: int) -> bytes:
    buf = bytearray(400)
    tag = bytes({"mac0": 8, "sign1": 64, "encrypt0": 0}[structure])
    body = bytes(length + (8 if structure == "encrypt0" else 0))
    return bytes(buf[: cose.pack_into(buf, 0, SEQ, body, tag)])


def reason_table() -> str:
    return table(
        ["number", "name", "meaning"],
        [[str(number), f"`{name}`", english] for number, name, english, *_ in reasons_text.REASONS],
    )


def markdown() -> str:
    """The page for integrators."""
    text = PROSE.read_text(encoding="utf-8")
    parts = {
        "PURPOSES": purpose_table(),
        "SIZES": size_table(),
        "MESSAGES": "\n\n".join(message_section(number) for number in schema.TYPES),
        "RESERVED": ", ".join(f"{number} `{name}`" for number, name in common.RESERVED_TYPES),
        "OPS": op_table(),
        "EXAMPLE": example(),
        "REASONS": reason_table(),
        "MAX_COUNT": str(schema.MAX_COUNT),
    }
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` say which are stale. Returns the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for path, text in ((MARKDOWN, markdown()), (CDDL, cddl())):
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if not arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if arguments and stale:
        print(f"stale: {', '.join(stale)}; run python -m tools.gen_wire", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
