"""How busy the machine is beside a measurement: printed before and after, because it changes the figures."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SAMPLE_S = 1.0
_IDLE, _WAITING = 3, 4  # columns of /proc/stat's first line, see proc(5)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ticks() -> list[int] | None:
    try:
        return [int(t) for t in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    except OSError:
        return None


def state() -> str:
    """Load and idle share over one second, as text; the idle share only where the system tells it."""
    load = f"load {os.getloadavg()[0]:.2f}"
    before = _ticks()
    time.sleep(_SAMPLE_S)
    after = _ticks()
    if before is None or after is None:
        return load
    spent = [b - a for a, b in zip(before, after, strict=True)]
    return f"{load}, idle {100 * (spent[_IDLE] + spent[_WAITING]) / max(1, sum(spent)):.0f} %"
