"""Memory of the boards of a night: the peak with all garbage, what is live, the smallest heap that does.

python -m bench memory

Every board runs in the heap of the rule, 150 KB for our code, and what the virtual board's stand-ins
hold on top (hw.virtual.world.STAND_IN_KB). A heap fills with garbage until it is collected, so the peak
says only that the heap was used; that the night ran is what says that it suffices. The smallest heap is
found by halving, in steps of 4 KB, on runs of 3 hours, and has to do for the whole night then; what
fails there gets one more step. A heap does when the board starts once, never fails, never prints an
error, and sends as many frames as in the heap of the rule, one more or less, for what is under way at
the end. Nodes are tried beside a gateway with its usual heap, the gateway beside nodes with theirs.

The peer is what the modules of the bundle keep once they are imported (docs/sizes.csv): live memory
above it is state. Figures on the chip are an estimate, 0.74 of those of the 64-bit interpreter.
"""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.heaps import halved, trouble
from host_tools import sim
from hw.virtual.world import STAND_IN_KB

if TYPE_CHECKING:
    from hw.virtual.board import Board
    from hw.virtual.world import Entry, World
    from provisioning.tenant import Tenant

SIZES = Path(__file__).resolve().parents[1] / "docs" / "sizes.csv"
STEP_KB = 4
STEPS = 24
SHORT_H = 3
ON_CHIP = 0.74

Heaps = dict[str, int]


class Seen(NamedTuple):
    """Of one board: KB without the stand-ins, largest at all and after a collection; frames by type."""

    peak: float
    live: float
    collections: int
    sent: Counter[str]
    sound: bool


class Sized(sim.Run):
    """The demonstration with a heap for each board, KB for our code. A board in trouble is switched off."""

    def __init__(self, heaps: Heaps, folder: Path, hours: float | None) -> None:
        super().__init__(sim.load("demo"), folder, sim.Options(seed=1, hours=hours, on_world=self._watch))
        self.heaps = heaps
        self.boards: list[Board] = []
        self.troubled: set[str] = set()

    def _watch(self, world: World) -> None:
        self.boards = list(world.boards.values())

        def look(e: Entry) -> None:
            if trouble(e) and e.board not in self.troubled:
                self.troubled.add(e.board)
                world.power_cut(e.board, at_s=e.t_us / 1e6)

        world.observe("*", look)

    def _add(self, world: World, tenant: Tenant, b: dict[str, Any], sink: str) -> None:
        usual = sim.NODE_HEAP_KB, sim.GATEWAY_HEAP_KB
        sim.NODE_HEAP_KB = sim.GATEWAY_HEAP_KB = self.heaps[b["name"]]
        try:
            super()._add(world, tenant, b, sink)
        finally:
            sim.NODE_HEAP_KB, sim.GATEWAY_HEAP_KB = usual


def run(heaps: Heaps, hours: float | None = None) -> dict[str, Seen]:
    """What each board showed in one run with these heaps; None for the whole night."""
    with tempfile.TemporaryDirectory() as folder:
        sized = Sized(heaps, Path(folder), hours)
        rows = sized.execute().rows
    return {
        b.name: Seen(
            b.heap_peak / 1024 - STAND_IN_KB,
            b.heap_live / 1024 - STAND_IN_KB,
            b.gc_passes,
            Counter(r.type for r in rows if r.name == b.name),
            b.name not in sized.troubled,
        )
        for b in sized.boards
    }


def does(now: Seen, usual: Seen) -> bool:
    """Whether a board got through as it does in its usual heap."""
    return now.sound and all(abs(now.sent[t] - usual.sent[t]) <= 1 for t in usual.sent | now.sent)


def halve(usual: Heaps, tried: set[str], reference: dict[str, Seen]) -> Heaps:
    """The smallest heaps of the boards `tried`, all at once, the others in their usual ones."""

    def fine(heaps: Heaps) -> list[str]:
        seen = run({**usual, **heaps}, SHORT_H)
        return [n for n in tried if does(seen[n], reference[n])]

    good = {n: usual[n] for n in tried}
    return halved(good, {n: k - STEP_KB * (STEPS + 1) for n, k in good.items()}, STEP_KB, fine)


def smallest(usual: Heaps, gateways: set[str], whole: dict[str, Seen]) -> Heaps:
    """Smallest heaps, confirmed over the whole night."""
    short = run(usual, SHORT_H)
    found = {}
    for tried in (set(usual) - gateways, gateways):
        heaps = halve(usual, tried, short)
        while True:
            seen = run({**usual, **heaps})
            failed = [n for n in tried if not does(seen[n], whole[n])]
            if not failed:
                break
            for n in failed:
                heaps[n] += STEP_KB
        found.update(heaps)
    return found


def kept() -> dict[str, int]:
    """Bytes that the modules of each bundle keep, by `role/kind`."""
    with SIZES.open(newline="") as f:
        rows = list(csv.DictReader(f))
    return {
        r["module"].removeprefix("bundle "): int(r["heap_bytes"])
        for r in rows
        if r["module"].startswith("bundle ")
    }


def main() -> int:
    boards = sim.load("demo")["board"]
    gateways = {b["name"] for b in boards if b["kind"] == "gateway"}
    usual = {b["name"]: sim.GATEWAY_HEAP_KB if b["name"] in gateways else sim.NODE_HEAP_KB for b in boards}
    whole = run(usual)
    least = smallest(usual, gateways, whole)
    modules = kept()
    print(f"KB of 1024 bytes in the 64-bit interpreter, without the {STAND_IN_KB} KB of the stand-ins;")
    print(f"in brackets what that is on the chip, an estimate: {ON_CHIP} of it")
    print(
        "board     modules keep   live at most   peak of 14 h   heap given   smallest heap   least / modules"
    )
    for b in boards:
        name, kind = b["name"], b["kind"]
        code = modules[f"{'gateway' if kind == 'gateway' else 'node'}/{kind}"] / 1024
        seen = whole[name]
        figures = "".join(f"{v:6.0f} ({v * ON_CHIP:3.0f})   " for v in (code, seen.live, seen.peak))
        heaps = "".join(f"{v:6} ({v * ON_CHIP:3.0f})   " for v in (usual[name], least[name]))
        verdict = "" if seen.sound else "   FAILED in the heap of the rule"
        print(f"{name:10}{figures}{heaps}{least[name] / code:8.2f} x{verdict}")
    return 0 if all(s.sound for s in whole.values()) else 1


if __name__ == "__main__":
    main()
