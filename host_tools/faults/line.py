"""Faults of the line between gateway and server: when a frame comes, what its clock says, how a downlink is
answered."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host_tools.faults import Fault, Faults, Item
    from host_tools.frames import Frame

# Reception of a copy through another gateway: chosen. A second gateway is farther away, too.
COPY_US = 40_000
_FARTHER_QDB = 48
# txpk_ack.error (Lora-net PROTOCOL.TXT v1.4 section 6); ChirpStack's TxAckStatus has the same words.
ERRORS = tuple("TOO_LATE TOO_EARLY COLLISION_PACKET COLLISION_BEACON TX_FREQ TX_POWER GPS_UNLOCKED".split())


def eui(value: Any) -> bytes | None:
    """An EUI of 16 hexadecimal digits, with - or : between bytes or not; None for anything else."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f]{2}(?:[-:]?[0-9A-Fa-f]{2}){7}", value):
        return None
    return bytes.fromhex(re.sub("[-:]", "", value))


def moved(frame: Frame, by_us: int) -> Frame:
    """A frame whose gateway's clock, that of day and its counter, says another time."""
    counter = frame.radio.counter_us
    radio = frame.radio
    if counter is not None:
        radio = replace(radio, counter_us=(counter + by_us) & 0xFFFFFFFF)
    time_us = max(frame.time_us + by_us, 1) if frame.time_us else 0
    return replace(frame, time_us=time_us, radio=radio)


def duplicated(item: Item, fault: Fault, chance: random.Random) -> list[Item]:
    """The item and a copy. Through another gateway it is fainter, and on that one's own counter."""
    frame = moved(item.frame, COPY_US)
    if fault.gateway:
        radio = replace(
            frame.radio,
            rssi_qdbm=frame.radio.rssi_qdbm - chance.randrange(_FARTHER_QDB),
            counter_us=chance.getrandbits(32),
        )
        frame = replace(frame, gateway=fault.gateway, radio=radio)
    return [item, item.copy(fault.kind, frame, COPY_US)]


def reordered(items: Iterable[Item], fault: Fault, chance: random.Random) -> Iterator[Item]:
    """Items that are struck come 1 to `by` places later."""
    later: list[tuple[int, Item]] = []
    place = 0
    for item in items:
        strikes = fault.strikes(item.origin, chance)
        if item.lost:
            yield item
            continue
        for entry in [e for e in later if e[0] <= place]:
            later.remove(entry)
            yield entry[1]
        if strikes and not item.added:
            later.append((place + 1 + chance.randint(1, fault.by), item.hit(fault.kind)))
        else:
            yield item
        place += 1
    for _, item in sorted(later, key=lambda entry: entry[0]):
        yield item


def drifted(items: Iterable[Item], fault: Fault) -> Iterator[Item]:
    """Times of a clock that is `offset_ms` off and runs `ppm` too fast; when items are sent stays."""
    first: int | None = None
    for item in items:
        time_us = item.frame.time_us
        if time_us and first is None:
            first = time_us
        if fault.touches(item.frame) and not item.lost:
            run_us = time_us - first if time_us and first is not None else 0
            by_us = fault.offset_ms * 1000 + round(run_us * fault.ppm / 1_000_000)
            item = replace(item, frame=moved(item.frame, by_us))
        yield item


def held(items: Iterable[Item], fault: Fault) -> Iterator[Item]:
    """Items between start_s and end_s come all at end_s, in their order, or never."""
    first: int | None = None
    waiting: deque[Item] = deque()
    end_us = 0
    for item in items:
        if first is None:
            first = item.due_us
            end_us = first + round(fault.end_s * 1_000_000)
        if item.due_us >= end_us:
            yield from waiting
            waiting.clear()
        elif (
            fault.touches(item.frame)
            and not item.lost
            and item.due_us >= first + round(fault.start_s * 1_000_000)
        ):
            item = item.hit(fault.kind)
            if fault.lost:
                item.lost = True
            else:
                item.due_us = end_us
                waiting.append(item)
                continue
        yield item
    yield from waiting


@dataclass(frozen=True)
class Answer:
    """How a gateway answers a downlink. error: "" for none. late_ms: after when it would."""

    error: str = ""
    late_ms: int = 0


class Answers:
    """What the faults make of the answers to downlinks. To be asked once for each, in their order."""

    def __init__(self, faults: Faults | None, seed: int) -> None:
        self._faults = [
            (fault, random.Random(f"{seed} {number} {fault.kind}"))
            for number, fault in enumerate(faults.faults if faults else ())
            if fault.kind in ("late_rx1", "tx_ack")
        ]
        self.count = 0

    def __bool__(self) -> bool:
        return bool(self._faults)

    def next(self) -> Answer:
        """The answer to the next downlink."""
        self.count += 1
        error, late_ms = "", 0
        for fault, chance in self._faults:
            if not fault.strikes(self.count, chance):
                continue
            if fault.kind == "tx_ack":
                error = fault.error
            else:
                late_ms += fault.ms
        return Answer(error, late_ms)
