"""Rows of what was verified in batches, as `Receiver.rows` gives them, one at a time: for the few that a batch
cannot hold as columns, and for whoever wants rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from firmware.protocols import schema
from host_tools import carried
from host_tools import rows as rows_of
from host_tools.fast.ring import Ring
from host_tools.fast.sets import Part
from host_tools.frames import Frame
from host_tools.lorawan import crypto, mac, phy
from host_tools.lorawan.crypto import Aes
from host_tools.lorawan.sessions import Opened
from host_tools.rows import Row
from host_tools.verdict import Content, codec_name


def contents(part: Part) -> Iterator[tuple[int, Content]]:
    """Row and content of everything that was read in lockstep, each row once."""
    seen: set[int] = set()
    for some in part.columns:
        names = {row[0]: row[1] for row in schema.rows(some.number)}
        texts = {row[0] for row in schema.rows(some.number) if row[2] == "bytes"}
        kind = codec_name(some.number)
        for n, row in enumerate(some.rows.tolist()):
            if row in seen:
                continue
            seen.add(row)
            fields: dict[str, Any] = {}
            for key, values in some.values.items():
                there = some.there[key]
                if there is None or there[n]:
                    value = int(values[n])
                    fields[names[key]] = (value & (1 << 64) - 1).to_bytes(8, "big") if key in texts else value
            yield row, Content(kind, fields, some.number)


def rows(
    ring: Ring, part: Part, which: Iterable[tuple[int, Content]], frame_at: Callable[[int], Frame] | None
) -> Iterator[Row]:
    """The rows of some contents. frame_at: the frame at a place, for the LoRaWAN part; None leaves it out."""
    for n, content in which:
        epoch = ring.epochs[int(part.epoch[n])]
        record = epoch.record
        state, reason = part.verdicts[int(part.verdict[n])]
        if content.number:
            values, fields = rows_of.in_words(content.number, content.fields)
        else:
            values, fields = rows_of.plain(content.fields)
        clock, time = "", ""
        for key, word in (("time", "confirmed"), ("time_unconfirmed", "unconfirmed")):
            if key in content.fields:
                clock, time = word, rows_of.wire_utc(content.fields[key])
        fcnt = int(part.fcnt[n])
        lorawan: Mapping[str, Any] = {}
        if fcnt >= 0 and frame_at is not None:
            lorawan = carried.words(_opened(ring, frame_at(int(part.place[n])), fcnt))
        yield Row(
            device=record.device.hex(),
            name=record.name,
            kind=record.kind,
            epoch=record.epoch,
            seq=int(part.seq[n]),
            purpose=int(part.purpose[n]),
            type=content.type,
            state=state,
            reason=reason,
            received_at=int(part.time[n]),
            time=time,
            clock=clock,
            values=values,
            receptions=int(part.count[n]),
            key=rows_of.key_words(record),
            frame=bytes(part.sha[n]).ljust(8, b"\0").hex(),
            fields=fields,
            lorawan=lorawan,
        )


def _opened(ring: Ring, frame: Frame, fcnt: int) -> Opened:
    parsed = phy.parse(frame.data)
    assert type(parsed) is phy.Data
    session = ring.sessions[int(ring.sessions_of(np.array([parsed.dev_addr]))[0])]
    return Opened(
        phy.MTYPES[parsed.mtype],
        phy.UP,
        "good",
        parsed.dev_addr,
        session.dev_eui,
        session.name,
        fcnt,
        parsed.fport,
        parsed.flags,
        mac.parse(parsed.fopts, phy.UP) if parsed.fopts else (),
        crypto.crypt(Aes(session.app_s_key), phy.UP, parsed.dev_addr, fcnt, parsed.body),
    )
