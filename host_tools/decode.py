"""Captures and keyrings in, rows out: read-only, fresh replay state, the same files give the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools import keyfiles
from host_tools.capture import read
from host_tools.frames import Frame
from host_tools.receiver import Receiver
from host_tools.rows import Row


@dataclass(frozen=True)
class Result:
    """rows in canonical order; summary as `Receiver.summary` gives it, its notes telling of damaged files.

    receiver: what the rows came from, for whoever explains one.
    """

    rows: list[Row]
    summary: dict[str, Any]
    receiver: Receiver | None = field(default=None, repr=False)


def decode(
    sources: Iterable[Path | str],
    keys: Sequence[Path | str] = (),
    on_frame: Callable[[int], None] | None = None,
) -> Result:
    """Verify and decode capture files with readers' keyrings; without any, every frame is unverified.

    keys: also files of LoRaWAN keys, for frames that came over that. on_frame: told now and then how many frames
    were read. InputError for a file that is no capture or no keyring, before any row is made.
    """
    rings, lorawan = keyfiles.load(keys)
    receiver = Receiver(rings, lorawan=lorawan)
    notes: list[str] = []

    def counted(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if on_frame is not None and receiver.frames % 256 == 0:
                on_frame(receiver.frames)
            yield frame

    for source in sources:
        receiver.add_all(counted(read(source, notes)))
    rows = receiver.rows()
    summary = receiver.summary(rows)
    summary["notes"] = notes + summary["notes"]
    return Result(rows, summary, receiver)
