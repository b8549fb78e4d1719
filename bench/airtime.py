"""What the boards of a night put on the air: bytes and airtime of each message, airtime a day, checkpoints.

python -m bench airtime

Counted at the radios' models, so with repeats and with downlinks, not from what was heard. Airtime is the
firmware's own formula (firmware/protocols/airtime.py); the radio's model has another, and how far the two are
apart is printed as well.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from firmware.protocols import fragment, link
from firmware.protocols.airtime import max_payload, time_on_air_us
from firmware.protocols.schema.leak import LENGTHS
from host_tools import sim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hw.virtual.world import Entry

DAY_H = 24
SHOWN = (7, 9, 12)
CHECKPOINT_PORT = 11


class Sent(NamedTuple):
    """One transmission; `us` is how long it lasted at the model's radio."""

    board: str
    what: str
    frame: bytes
    sf: int
    us: int


def sent(entries: Iterable[Entry], result: sim.Result) -> list[Sent]:
    """Transmissions by name of what they carry; the rows of the same night tell it."""
    types = {(r.name, (r.seq or 0) & 0xFFFF): r.type for r in result.rows if r.state != "rejected"}
    found = []
    for e in entries:
        frame = bytes(e.what["payload"])
        down, _, _, _, number, _ = link.parse(frame)
        what = "downlink" if down else types.get((e.board, number), "unheard")
        found.append(Sent(e.board, what, frame, e.what["sf"], e.what["end_us"] - e.what["start_us"]))
    return found


def airtime_ms(frame: bytes, sf: int, what: str) -> str:
    """Milliseconds at a spreading factor, as text; "-" for what does not go at that rate.

    A checkpoint too long for one frame goes in pieces, a leak meter's reading with its shorter padding.
    """
    body = len(frame) - link.HEADER
    room = max_payload(sf)
    if what == "leak" and body > room:
        body -= max(LENGTHS) - min(LENGTHS)
    if body <= room:
        return f"{time_on_air_us(link.HEADER + body, sf) / 1000:.0f}"
    if what != "checkpoint":
        return "-"
    parts = fragment.split(bytes(body), 1, room)
    whole = sum(time_on_air_us(link.HEADER + len(p), sf) for p in parts)
    return f"{whole / 1000:.0f} in {len(parts)}"


def messages(night: list[Sent]) -> None:
    """One line for each sender and message: how many, how long, how long on the air."""
    groups: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for s in night:
        groups[s.board, s.what].append(s)
    print(
        f"  {'sender':9} {'message':11} {'frames':>6} {'bytes':>9}   ms of the longest at "
        + "".join(f"SF{sf:<9}" for sf in SHOWN)
    )
    for (board, what), group in sorted(groups.items()):
        lengths = sorted(len(s.frame) for s in group)
        longest = max((s.frame for s in group), key=len)
        size = f"{lengths[0]}" if lengths[0] == lengths[-1] else f"{lengths[0]} to {lengths[-1]}"
        times = "".join(f"{airtime_ms(longest, sf, what):11}" for sf in SHOWN)
        print(f"  {board:9} {what:11} {len(group):6} {size:>9}   {'':21} {times}")


def days(night: list[Sent], hours: float) -> None:
    """One line for each sender: airtime a day, and how much of it checkpoints take."""
    for board in sorted({s.board for s in night}):
        own = [s for s in night if s.board == board]
        total = sum(s.us for s in own)
        checkpoints = sum(s.us for s in own if s.what == "checkpoint")
        duty = 100 * total / (hours * 3.6e9)
        mean = statistics.mean(len(s.frame) for s in own)
        print(
            f"  {board:9} {total / 1e6 * DAY_H / hours:6.1f} s a day on the air ({duty:.3f} %), checkpoints "
            f"{100 * checkpoints / total:4.1f} % of it, mean frame {mean:.0f} bytes"
        )


def show(entries: Iterable[Entry], result: sim.Result) -> None:
    night = sent(entries, result)
    apart = max(abs(s.us - time_on_air_us(len(s.frame), s.sf)) for s in night)
    messages(night)
    days(night, result.hours)
    print(f"  {len(night)} transmissions; firmware's formula and radio's model at most {apart} us apart")


def main() -> int:
    entries: list[Entry] = []
    with tempfile.TemporaryDirectory() as folder:
        options = sim.Options(seed=1, on_world=lambda world: world.observe("transmit", entries.append))
        result = sim.run("demo", Path(folder) / "out", options)
    cell = sim.load("demo")["cell"]
    print(
        f"{result.hours:g} h at SF{cell['sf']}, {cell['freq_khz'] / 1000:g} MHz; bytes are whole link frames"
    )
    show(entries, result)
    return 0


if __name__ == "__main__":
    main()
