"""One frame taken apart for a person: where it came from, link header, envelope, the verdict and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from firmware.protocols import cose, link, ports
from firmware.protocols.cbor import WireError
from host_tools.capture import Frame, read
from host_tools.output import say

if TYPE_CHECKING:
    from host_tools.rows import Row

PURPOSES = {
    0: "reading",
    1: "checkpoint",
    2: "command",
    3: "result",
    4: "recover",
    6: "key statement",
    8: "group",
}
STRUCTURES = {cose.SIGN1: "COSE_Sign1", cose.MAC0: "COSE_Mac0", cose.ENCRYPT0: "COSE_Encrypt0"}


def receptions(sources: Iterable[str], row: Row) -> list[Frame]:
    """Every record of the captures that holds this row's frame, byte for byte."""
    return [
        frame
        for source in sources
        for frame in read(source)
        if hashlib.sha256(frame.data).hexdigest().startswith(row.frame)
    ]


def explain(row: Row, found: list[Frame]) -> Iterator[str]:
    from host_tools.rows import utc

    for frame in found:
        radio = frame.radio
        yield (
            f"received   {utc(frame.time_us)}  {radio.freq_hz / 1e6:.3f} MHz SF{radio.sf}  "
            f"RSSI {radio.rssi_qdbm / 4:g} dBm  SNR {radio.snr_qdb / 4:g} dB"
        )
    if found:
        yield from _frame(found[0].data)
    who = f"{row.name} ({row.device})" if row.name else row.device or say("nobody known", "inconnu")
    yield f"device     {who}" + (f", epoch {row.epoch}, number {row.seq}" if row.seq else "")
    yield f"verdict    {row.state}" + (f": {row.reason}" if row.reason else "")
    if row.reason:
        yield from _reason(row.reason)
    if row.key:
        yield f"key        {row.key}"
    for name, value in row.values.items():
        yield f"value      {name} = {value}"


def _frame(data: bytes) -> Iterator[str]:
    yield f"bytes      {len(data)}: {data.hex()}"
    try:
        down, kind, tag, address, number, body = link.parse(data)
        yield (
            f"link       {'down' if down else 'up'}, port {kind}, tenant tag {tag:02x}, address {address}, "
            f"number {number}"
        )
        purpose = ports.purpose(kind, 1 if down else 0)
        yield f"purpose    {purpose} {PURPOSES.get(purpose, '')}".rstrip()
        shape, piv, _, content, seal = cose.parse(body)
        yield (
            f"envelope   {STRUCTURES[shape]}, partial IV {piv:06x}, content {len(content)} bytes, "
            f"{'signature' if len(seal) == 64 else 'tag'} {len(seal) or 8} bytes"
        )
    except WireError as e:
        yield f"malformed  {e.args[0]}"


def _reason(reason: str) -> Iterator[str]:
    from firmware.protocols.reasons_text import TEXTS

    found = TEXTS.get(reason)
    if found:
        yield "           " + say(found[0], found[1])
        yield "           " + say(found[2], found[3])
