"""The longest time for which each task of each board lets no other run, over a night, in the board's time.

python -m bench tasks

Figures are of the model: the virtual board's clock, which work moves by the table in
hw/virtual/costs.py. Not measured on hardware. The peer is the table's typical signature, the longest
work that cannot be cut up.

bench/mpy_tasks.py is put beside the application on each board and covers the supervisor's way of
starting tasks; it needs a little heap, which the boards get on top of their own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host_tools import sim
from hw.virtual.costs import Costs

if TYPE_CHECKING:
    from hw.virtual.world import Entry, World
    from provisioning.tenant import Tenant

HERE = Path(__file__).resolve().parent
ROOM_KB = 8
APPLICATION = "    import firmware.app\n"


class Timed(sim.Run):
    """The demonstration with timed tasks."""

    def __init__(self, folder: Path) -> None:
        super().__init__(sim.load("demo"), folder, sim.Options(seed=1, on_world=self._watch))
        self.longest: dict[tuple[str, str], tuple[int, int]] = {}

    def _watch(self, world: World) -> None:
        def look(e: Entry) -> None:
            word, _, rest = str(e.what).partition(" ")
            if word == "stretch":
                name, us = rest.split()
                self.longest[e.board, name] = int(us), e.t_us

        world.observe("console", look)

    def _add(self, world: World, tenant: Tenant, b: dict[str, Any], sink: str) -> None:
        usual = sim.NODE_HEAP_KB, sim.GATEWAY_HEAP_KB
        sim.NODE_HEAP_KB, sim.GATEWAY_HEAP_KB = (kb + ROOM_KB for kb in usual)
        try:
            super()._add(world, tenant, b, sink)
        finally:
            sim.NODE_HEAP_KB, sim.GATEWAY_HEAP_KB = usual
        tree = self.folder / "boards" / b["name"]
        text = (tree / "main.py").read_text()
        if text.count(APPLICATION) != 1:
            raise RuntimeError("main.py starts the application in another way now")
        (tree / "main.py").write_text(text.replace(APPLICATION, "    import mpy_tasks\n" + APPLICATION))
        (tree / "mpy_tasks.py").write_text((HERE / "mpy_tasks.py").read_text())


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        timed = Timed(Path(folder))
        result = timed.execute()
    if result.failures:
        raise RuntimeError("; ".join(result.failures))
    sign = Costs().typical("ed25519.sign")
    print(f"{result.hours:g} h; longest stretch (model), when, in signatures of {sign / 1000:.0f} ms")
    for (board, name), (us, at_us) in sorted(timed.longest.items()):
        print(f"  {board:9} {name:10} {us / 1000:7.1f} ms   at {at_us / 3.6e9:5.2f} h   {us / sign:5.2f} x")
    return 0


if __name__ == "__main__":
    main()
