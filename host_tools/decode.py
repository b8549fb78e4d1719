"""Captures and keyrings in, rows out: read-only, fresh replay state, the same files give the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.capture import read
from host_tools.receiver import Receiver
from host_tools.rows import Row
from provisioning.keyring import load_keyrings


@dataclass(frozen=True)
class Result:
    """rows in canonical order; summary as `Receiver.summary` gives it, its notes telling of damaged files."""

    rows: list[Row]
    summary: dict[str, Any]


def decode(sources: Iterable[Path | str], keys: Sequence[Path | str] = ()) -> Result:
    """Verify and decode capture files with readers' keyrings; without any, every frame is unverified.

    InputError for a file that is no capture or no keyring, before any row is made.
    """
    receiver = Receiver(load_keyrings(keys))
    notes: list[str] = []
    for source in sources:
        receiver.add_all(read(source, notes))
    rows = receiver.rows()
    summary = receiver.summary(rows)
    summary["notes"] = notes + summary["notes"]
    return Result(rows, summary)
