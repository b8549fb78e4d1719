"""A received frame, as every part of the host tools passes it on."""

from __future__ import annotations

from dataclasses import dataclass

from host_tools.loratap import UNKNOWN, Radio


@dataclass(frozen=True, slots=True)
class Frame:
    """A received frame, verbatim. time_us: microseconds of Unix UTC.

    reason: "" or, where the record of a capture holds no whole frame, why; `data` is then the record.
    """

    data: bytes
    time_us: int
    radio: Radio = UNKNOWN
    reason: str = ""
