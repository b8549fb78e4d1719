"""A 14-hour night of four boards: how long it takes, against the same night in fixed time steps.

python -m bench night

The demonstration's night: a lamp, a bin, a leak meter and a gateway that forwards over a socket to this
host, which captures, verifies, decodes, stores and answers. Measured from nothing to verified rows:
keys, registry, bundles (their modules compiled before), the night itself, decoding.

The peer is what one writes first: the same world in steps of 100 ms, at each of which all boards stand
still until the last has reached it. It uses the same scheduler and does not even wake boards that sleep,
so it is kinder than a simulator with ticks usually is. Both nights are shorter, their gateway writes to
a file, and they must give the same readings. Their transcripts differ by milliseconds, each the same at
every repetition: a board that is held closer asks the host oftener, which can move a collection of
garbage.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.machine import cores
from host_tools import sim

if TYPE_CHECKING:
    from hw.virtual.world import World

REPETITIONS = 5
GOAL_S = 20
GOAL_CORES = 2
PEER_HOURS = 3
PEER_REPETITIONS = 3
STEP_S = 0.1
LEAK_INTERVAL_S = 3600  # firmware/kinds/leak.py: by the hour, whatever the scenario says


class Night(NamedTuple):
    """A finished run, its seconds from nothing to rows, and the seconds of them inside the world."""

    result: sim.Result
    whole_s: float
    world_s: float


def night(options: sim.Options, step_s: float = 0.0) -> Night:
    """The demonstration, in a folder that goes with it; `step_s` above 0: in steps of so many seconds.

    RuntimeError when a board failed.
    """
    spent = []

    def prepare(world: World) -> None:
        go = world.run

        def timed(until_s: float) -> None:
            began = time.perf_counter()
            for i in range(1, int(until_s / step_s) if step_s else 0):
                go(i * step_s)
            go(until_s)
            spent.append(time.perf_counter() - began)

        world.run = timed  # type: ignore[method-assign]

    options.on_world = prepare
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = sim.run("demo", Path(folder) / "out", options)
        whole = time.perf_counter() - began
    if result.failures:
        raise RuntimeError("; ".join(result.failures))
    return Night(result, whole, spent[0])


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):6.2f} s ({min(values):.2f} to {max(values):.2f})"


def whole_night() -> None:
    """The night over a socket, REPETITIONS times."""
    scenario = sim.load("demo")
    nights = [night(sim.Options(seed=1)) for _ in range(REPETITIONS)]
    result = nights[0].result
    boards = len(scenario["board"])
    used = min(GOAL_CORES, cores())
    print(f"{result.hours:g} h of {boards} boards on {used} cores, {REPETITIONS} runs, gateway on a socket")
    for b in scenario["board"]:
        if b["kind"] != "gateway":
            every = LEAK_INTERVAL_S if b["kind"] == "leak" else b["interval_s"]
            print(f"  {b['name']} reports every {every} s")
    states = Counter(r.state for r in result.rows)
    print(f"  {len(result.rows)} frames: " + ", ".join(f"{n} {s}" for s, n in sorted(states.items())))
    for what, values in (
        ("from nothing to rows", [n.whole_s for n in nights]),
        ("virtual time alone", [n.world_s for n in nights]),
    ):
        per_core = result.hours * 3600 * boards / used / statistics.median(values)
        print(f"  {what:21}{spread(values)}, {per_core:,.0f} x real time per board and core")
    took = statistics.median(n.whole_s for n in nights)
    verdict = "within" if took < GOAL_S else "OVER"
    print(f"  {verdict} the goal of {GOAL_S} s: {took / GOAL_S:.2f} of it")


def peer() -> None:
    """Promises against steps, interleaved, with one seed; RuntimeError when the nights differ."""
    found: dict[float, list[Night]] = {0.0: [], STEP_S: []}
    for _ in range(PEER_REPETITIONS):
        for step, nights in found.items():
            nights.append(night(sim.Options(seed=1, sink="file", hours=PEER_HOURS), step))
    readings = [
        [(r.name, r.seq, r.type, r.state, r.values) for r in n.result.rows]
        for nights in found.values()
        for n in nights
    ]
    if any(r != readings[0] for r in readings):
        raise RuntimeError("the nights differ")
    print(f"{PEER_HOURS} h, gateway on a file, {PEER_REPETITIONS} runs each, interleaved: the same readings")
    for step, name in ((0.0, "promises"), (STEP_S, f"steps of {STEP_S * 1000:.0f} ms")):
        print(f"  {name:21}{spread([n.world_s for n in found[step]])}")
    ratio = statistics.median(n.world_s for n in found[STEP_S]) / statistics.median(
        n.world_s for n in found[0.0]
    )
    print(f"  steps / promises {ratio:.2f} x")


def main() -> int:
    whole_night()
    peer()
    return 0


if __name__ == "__main__":
    main()
