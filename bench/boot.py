"""From reset to the first queued frame: the .mpy bundle of a node against the same modules as source text.

python -m bench boot

Both trees come from the bundle builder, which cuts comments and docstrings off both, and run on the same
virtual board with the same heap. The first start, which formats the flash and takes the settings over,
is not counted: the supply is cut and given back, and the second start is measured. The frame is `hello`,
made, committed to the flash and put into the queue. The firmware waits before it on purpose (a silence
after a boot, and a spread over minutes); that wait is not counted and is printed.

real    this machine, from the start of the process on; the first part of it is the interpreter's own start
model   the virtual board's time from power-on, by the cost table in hw/virtual/costs.py; not of hardware

bench/mpy_boot.py is put beside the application on each board and prints a line before and after `hello`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from host_tools import bundle, sim
from hw.virtual.world import STAND_IN_KB

if TYPE_CHECKING:
    from hw.virtual.board import Board
    from hw.virtual.world import World

HERE = Path(__file__).resolve().parent
REPETITIONS = 5
BOARDS = ("lamp-1", "bin-1", "leak-1")
# The first start is over by then, and the second has waited and sent before the end, from source text, too.
CUT_S, BACK_S, END_S = 60, 5, 600
TREES = {True: ".mpy", False: ".py"}
# The board compiles source text itself, for which a node's own heap has no room.
WIDE_KB = 300
STEP_KB = 10
APPLICATION = "    import firmware.app\n"
READY, GREETS, QUEUED = b"node ", b"greets", b"queued"


class Start(NamedTuple):
    """Seconds from reset to the queued frame without the wait, of the real ones those before the firmware's
    first line, and the seconds of virtual time that were waited."""

    real: float
    interpreter: float
    model: float
    waited: float


class Watch:
    """Notes when a board starts, first asks for anything, and prints; in virtual and in real time."""

    def __init__(self, board: Board) -> None:
        self.start_s = self.asked_s = 0.0
        self.power_us = 0
        self.said: dict[bytes, tuple[int, float]] = {}
        world = board.world
        start, config, printed = board.start, board.config, board.printed

        def started(cause: int) -> None:
            self.said.clear()
            self.power_us = world.now_us
            self.start_s = time.perf_counter()
            start(cause)

        def asked() -> bytes:
            self.asked_s = time.perf_counter()
            return config()

        def heard(data: bytes) -> None:
            for line in data.splitlines():
                for word in (READY, GREETS, QUEUED):
                    if line.startswith(word):
                        self.said[word] = world.now_us, time.perf_counter()
            printed(data)

        # The instance's own methods are covered; classes and firmware stay as they are.
        for name, new in (("start", started), ("config", asked), ("printed", heard)):
            setattr(board, name, new)

    def result(self) -> Start | None:
        """None when not all has happened since the last start."""
        if len(self.said) < 3:
            return None
        (ready_us, _), (greets_us, _), (queued_us, queued_s) = (self.said[w] for w in (READY, GREETS, QUEUED))
        waited = (greets_us - ready_us) / 1e6
        return Start(
            queued_s - self.start_s,
            self.asked_s - self.start_s,
            (queued_us - self.power_us) / 1e6 - waited,
            waited,
        )


class Bench(sim.Run):
    """The board `name` of the demonstration, alone, with a heap and a tree to choose."""

    def __init__(self, name: str, mpy: bool, heap_kb: int, seed: int, folder: Path) -> None:
        super().__init__(sim.load("demo"), folder, sim.Options(seed=seed))
        self.scenario["board"] = [b for b in self.scenario["board"] if b["name"] == name]
        self.name = name
        self.mpy = mpy
        self.heap_kb = heap_kb

    def make(self) -> World:
        usual = sim.NODE_HEAP_KB
        sim.NODE_HEAP_KB = self.heap_kb
        try:
            world = self.world(self.provision(), "")
        finally:
            sim.NODE_HEAP_KB = usual
        kind = self.scenario["board"][0]["kind"]
        self.tree = bundle.build(self.folder / "boards" / self.name, "node", kind, "x64", self.mpy)
        main = self.tree.path / "main.py"
        text = main.read_text()
        if text.count(APPLICATION) != 1:
            raise RuntimeError("main.py starts the application in another way now")
        main.write_text(text.replace(APPLICATION, "    import mpy_boot\n" + APPLICATION))
        driver = bundle.compile_module((HERE / "mpy_boot.py").read_text(), "mpy_boot.py", "x64")
        (self.tree.path / "mpy_boot.mpy").write_bytes(driver)
        return world

    def measure(self) -> Start | None:
        """The second start; None when the board ran out of heap. RuntimeError for any other failure."""
        with self.make() as world:
            board = world.boards[self.name]
            watch = Watch(board)
            world.power_cut(board, at_s=CUT_S, back_s=BACK_S)
            world.run(END_S)
            if any("MemoryError" in line for line in board.console):
                return None
            found = watch.result()
            if world.failures or board.boots != 2 or found is None:
                raise RuntimeError(f"{self.name}: {world.failures or board.console[-5:]}")
            return found


def once(name: str, mpy: bool, heap_kb: int, seed: int) -> tuple[Start | None, int]:
    """One measured start, and the bytes of the tree's files."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(name, mpy, heap_kb, seed, Path(folder))
        return bench.measure(), sum(bench.tree.files.values())


def smallest_kb(name: str) -> int:
    """The smallest heap, in steps of STEP_KB, in which the source tree starts."""
    for heap in range(sim.NODE_HEAP_KB, WIDE_KB + 1, STEP_KB):
        if once(name, False, heap, 1)[0] is not None:
            return heap
    raise RuntimeError(f"{name}: source text does not start in {WIDE_KB} KB")


def compare(name: str) -> None:
    """Both trees of one board, interleaved; prints medians and ratios."""
    found: dict[bool, list[Start]] = {True: [], False: []}
    size = {}
    for seed in range(1, REPETITIONS + 1):
        for mpy in TREES:
            start, size[mpy] = once(name, mpy, WIDE_KB, seed)
            assert start is not None
            found[mpy].append(start)
    print(f"{name}: {REPETITIONS} starts of each tree, interleaved, heap {WIDE_KB} KB for both")
    medians = {}
    for mpy, suffix in TREES.items():
        real = statistics.median(s.real for s in found[mpy]) * 1000
        own = statistics.median(s.real - s.interpreter for s in found[mpy]) * 1000
        model = statistics.median(s.model for s in found[mpy])
        least, most = (f(s.real for s in found[mpy]) * 1000 for f in (min, max))
        medians[mpy] = (real, own, model)
        print(
            f"  {suffix:5} {size[mpy] / 1024:6.1f} KB  real {real:6.1f} ms ({least:.1f} to {most:.1f}), "
            f"without the interpreter's start {own:6.1f} ms; model {model:6.2f} s"
        )
    ratios = [b / a for a, b in zip(medians[True], medians[False], strict=True)]
    print(
        "  source / .mpy  real {:.2f} x, without the interpreter's start {:.2f} x; model {:.2f} x".format(
            *ratios
        )
    )


def main() -> int:
    for name in BOARDS:
        compare(name)
    for name in BOARDS:
        own, _ = once(name, True, sim.NODE_HEAP_KB, 1)
        said = "does not start"
        if own is not None:
            said = f"starts in {own.model:.2f} s (model), then waits {own.waited:.0f} s on purpose"
        print(
            f"{name}: in the node's own heap, {sim.NODE_HEAP_KB} KB and {STAND_IN_KB} KB of stand-ins, .mpy "
            f"{said}; source text needs {smallest_kb(name)} KB"
        )
    return 0


if __name__ == "__main__":
    main()
