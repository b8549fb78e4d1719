"""An override that starts later, with a ramp each way, from the commander to the light of a virtual lamp; what the
lamp refuses leaves it in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from host_tools import intake
from host_tools.commander import Commander
from tests.e2e.firmware_world import Yard

pytestmark = pytest.mark.slow

LAMP: dict[str, Any] = {
    "name": "lamp",
    "kind": "lamp",
    "profile": "mac0",
    "interval_s": 120,
    "settings": {"default_level": 30, "floor": 10},
}


class Street:
    """A lamp with its store and what its output gave: (virtual s, %)."""

    def __init__(self, yard: Yard, taker: intake.Intake) -> None:
        self.yard = yard
        assert taker.answers is not None
        self.answers = taker.answers
        self.gave: list[tuple[float, float]] = []
        yard.world.observe("actuate", lambda e: self.gave.append((e.t_us / 1e6, e.what["level"])))
        self.told = 0

    def order(self, *args: int) -> tuple[Any, float]:
        """Outcome of a LIGHT, and when its result went out, a few seconds after it was carried out."""
        self.answers.queue("lamp", "light", list(args))
        for _ in range(30):
            self.yard.run(20)
            results = [r for r in self.yard.decoded("lamp").rows if r.type == "result"]
            if len(results) > self.told:
                self.told = len(results)
                at = [t for t, n, d in self.yard.air.sent if n == "lamp" and d[1] == 12][-1]
                return results[-1].values["outcome"], at / 1e6
        raise AssertionError(f"no result of {args}")

    def at(self, t: float) -> float:
        """% at the output at that virtual second, which is over."""
        assert t <= self.yard.world.time_s
        return [level for s, level in self.gave if s <= t][-1]

    def reason(self) -> Any:
        rows = [r for r in self.yard.decoded("lamp").rows if r.type == "lamp"]
        return max(rows, key=lambda r: r.seq or 0).values["reason"]


def test_it_waits_ramps_holds_and_comes_back(tmp_path: Path) -> None:
    with Yard(tmp_path / "keys", LAMP, nodes=False) as first:
        reader, commander = first.run_.reader, Commander(first.run_.commander, tmp_path / "issued.json")
    taker = intake.Intake([reader], tmp_path / "capture.pcap", tmp_path / "readings.db", commander)
    with (
        intake.IntakeServer(taker) as server,
        Yard(tmp_path / "yard", LAMP, sink=f"tcp:127.0.0.1:{server.port}") as yard,
    ):
        street = Street(yard, taker)
        yard.run(300)
        outcome, t = street.order(80, 1800, 60, 900, 240)
        assert outcome == "done"
        assert street.order(5, 600, 0, 60, 60)[0] == "below_floor"
        refused, while_waiting = street.order(50, 0, 0, 60)
        assert refused == "ttl" and while_waiting < t + 880, "else it shows nothing of one that waits"
        yard.run(t + 1200 - yard.world.time_s)
        assert street.reason() == "override"
        refused, while_lit = street.order(5, 600, 0, 0, 0)
        assert refused == "below_floor" and while_lit < t + 2600
        yard.run(t + 3300 - yard.world.time_s)
        assert street.reason() == "default"
        # Carried out up to ten seconds before its result went out.
        for after, low, high in (
            (880, 29, 31),
            (900 + 30, 54, 66),
            (900 + 65, 79, 81),
            (900 + 1785, 79, 81),
            (2700 + 120, 54, 59),
            (2700 + 245, 29, 31),
        ):
            assert low <= street.at(t + after) <= high, (after, street.at(t + after))
        board = yard.board("lamp")
        assert board.failures == [] and yard.lives.count("lamp") == 1
        assert not [line for line in board.console if "task" in line or "memory" in line], board.console
    taker.close()
