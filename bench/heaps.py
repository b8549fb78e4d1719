"""The smallest heap in which each kind of node runs, with the parts and the plan that take most.

python -m bench heaps            found by halving, in steps of 2 KB, on runs of three hours
python -m bench.heaps 40 150     hours, KB: whether every one of them gets through that

Each node hears the time and gets a command. A heap does when the board never restarts or fails, prints no
error, and sends as many frames as in a large heap, two fewer at the most, for what is under way at the end.
KB of 1024 bytes of the 64-bit interpreter, without what the virtual board's stand-ins hold
(hw.virtual.world.STAND_IN_KB). The peer is the rule, 150 KB.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host_tools import sim
from host_tools.commander import Commander
from host_tools.intake import Intake, IntakeServer
from hw.virtual.chips.actuator import Actuator
from hw.virtual.chips.bl0942 import BL0942
from hw.virtual.chips.contact import Contact
from hw.virtual.chips.dali_bus import DaliBus
from hw.virtual.chips.dali_gear import DaliGear
from hw.virtual.chips.lis3dh import LIS3DH
from hw.virtual.chips.photocell import Photocell
from hw.virtual.service import Violation

if TYPE_CHECKING:
    from hw.virtual.world import Entry, World

LARGE_KB = 172
STEP_KB = 2
LEAST_KB = 120
COMMAND_S = 5000
#: What a board prints, at the begin of a line, when something went wrong that it survived.
TROUBLE = ("MemoryError", "Traceback", "task ", "silent ", "report:", "plan: no_memory", "downlink: ")
_BOARD = "heltec_wifi_lora_32_v3"
_SCENARIOS = Path(sim.__file__).resolve().parents[1] / "hw" / "virtual" / "scenarios"


def _lamp(profile: str, plan: str, settings: Mapping[str, int] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "kind": "lamp",
        "profile": profile,
        "interval_s": 1800,
        "settings": {"default_level": 100, "floor": 10, **(settings or {})},
        "plan": str(_SCENARIOS / plan),
        **more,
    }


def _judged(settings: Mapping[str, int] | None = None, **parts: str) -> dict[str, Any]:
    """A lamp with a meter, the power that it should draw, a plan of the sun and these parts."""
    usual = {"nominal_mw": 60000, **(settings or {})}
    return _lamp("sign1", "week-plan.json", usual, parts={"energy": "bl0942", **parts})


def _bin(settings: Mapping[str, int] | None = None, **more: Any) -> dict[str, Any]:
    depth = [[0, 0.95], [10, 0.5], [20, 0.9], [60, 0.3]]
    usual = {"empty_mm": 1200, "full_mm": 200, **(settings or {})}
    return {
        "kind": "bin",
        "profile": "mac0",
        "interval_s": 600,
        "distance_m": depth,
        "settings": usual,
        **more,
    }


_CONTACTS = {"local_contact": 1, "presence_contact": 102}
#: BL0942 and plan of the sun, where `nominal_mw` is named.
NODES: dict[str, dict[str, Any]] = {
    "lamp, plan of fixed times, mac0": _lamp("mac0", "demo-plan.json"),
    "lamp, plan of fixed times, sign1": _lamp("sign1", "demo-plan.json"),
    "lamp, plan of fixed times, encrypt0": _lamp("encrypt0", "demo-plan.json"),
    "lamp, BL0942, plan of the sun, sign1": _lamp("sign1", "week-plan.json", parts={"energy": "bl0942"}),
    "lamp, nominal_mw": _judged(),
    "lamp, nominal_mw, switched feeder": _judged({"switched": 1}),
    "lamp, nominal_mw, both contacts": _judged(_CONTACTS, contacts="contacts"),
    "lamp, nominal_mw, photocell": _judged(photocell="photocell"),
    "lamp, nominal_mw, contacts and relay": _judged(
        _CONTACTS, contacts="contacts", **{"light-switch": "relay"}
    ),
    "lamp, nominal_mw, DALI": _judged(light="dali"),
    # A car park of a shop that closes at ten, which is dark from noon and not lit before sunset.
    "lamp, category, plan against the law": _lamp(
        "sign1", "demo-plan.json", law={"category": 7, "closing_min": 10 * 60 + 1}
    ),
    "cabinet, meter, plan of the sun": {
        "kind": "cabinet",
        "profile": "mac0",
        "interval_s": 1800,
        "plan": str(_SCENARIOS / "week-cabinet-plan.json"),
        "settings": {"meter_s": 300},
        "feeder_w": 2400,
    },
    "bin": _bin(),
    "bin, tilt and lid": _bin({"lid_contact": 103}, parts={"tilt": "lis3dh", "contacts": "contacts"}),
    "bin, lock": _bin(
        {"hatch_contact": 2, "heartbeat_s": 300},
        parts={"hatch": "hatch", "contacts": "contacts"},
        interval_s=300,
    ),
    "leak meter, encrypt0": {
        "kind": "leak",
        "profile": "encrypt0",
        "hw": "lilygo_t3_s3",
        "settings": {"litres_per_pulse": 1},
        "water": {
            "file": "meter-06.csv",
            "start": "2016-11-28T12:00:00",
            "synthetic": "week-water-synthetic.csv",
        },
    },
}


class Lock(Actuator):
    """A lock that tells half a second after each order."""

    def __init__(self) -> None:
        super().__init__(limit_s=3700, safe_level=0)
        self.told = Contact()

    def pin_changed(self, pin: str, level: int) -> None:
        super().pin_changed(pin, level)
        self.port.at(
            self.port.now_us + 500_000, lambda: (self.told.close if self.moving else self.told.open)()
        )


def trouble(e: Entry) -> bool:
    return e.kind in ("reset", "failure") or (e.kind == "console" and e.what.startswith(TROUBLE))


class Tried(sim.Run):
    """All nodes around one gateway, each with its heap, KB. One in trouble is switched off, `bad` says why."""

    def __init__(self, heaps: Mapping[str, int], folder: Path, hours: float) -> None:
        self.names = {f"node-{i}": name for i, name in enumerate(heaps)}
        rows: list[dict[str, Any]] = [{"name": "gateway", "kind": "gateway", "hw": _BOARD, "at": [0, 0]}]
        for i, (name, kb) in enumerate(heaps.items()):
            rows.append(
                {"hw": _BOARD, **NODES[name], "name": f"node-{i}", "at": [100, 20 * i], "heap_kb": kb}
            )
        cell = {"freq_khz": 869525, "sf": 7, "power_dbm": 14}
        scenario = {"title": "heaps", "start_utc": "2026-11-30T11:00:00Z", "hours": hours, "cell": cell}
        super().__init__({**scenario, "board": rows}, folder, sim.Options(seed=1, hours=hours))
        self.bad: dict[str, str] = {}
        self.sent: Counter[str] = Counter()

    def _furnish(self, b: dict[str, Any], hw: Any, chips: dict[str, Any], settings: Any) -> None:
        super()._furnish(b, hw, chips, settings)
        parts = b.get("parts", {})
        if "tilt" in parts:
            chips.update(lis3dh=LIS3DH(acceleration=(0.0, 0.0, 9.80665)), contact3=Contact(closed=True))
        if "hatch" in parts:
            lock = Lock()
            chips.update(hatch=lock, contact2=lock.told)
        if parts.get("photocell") == "photocell":
            chips["photocell"] = Photocell(10.0, across_ohm=100_000)
        # Not among the scenario's settings: the simulator would refuse the plan itself.
        settings.update(b.get("law", {}))
        if parts.get("light") == "dali":
            gear = DaliGear(5)
            # The gear has a bus before the meter asks what it draws.
            del chips["bl0942"]
            chips["dali"] = DaliBus([gear], tx_low=0)
            chips["bl0942"] = BL0942(
                hw.wiring["bl0942"]["uart"], lambda _: (230.0, gear.power_w / 230, 1.0), step_us=10_000_000
            )

    def go(self) -> None:
        """Run, with a command for each that takes one."""
        tenant = self.provision()
        commander = Commander(self.commander, self.folder / "orders.json")
        intake = Intake(
            [self.reader],
            self.folder / "capture.pcap",
            self.folder / "readings.db",
            commander,
            side_path=self.folder / "damaged.bin",
        )
        try:
            with IntakeServer(intake) as server:
                world = self.world(tenant, f"tcp:127.0.0.1:{server.port}")
                world.observe("*", lambda e: self._look(world, e))
                answers = intake.answers
                assert answers is not None
                try:
                    world.run(min(self.hours * 3600, COMMAND_S))
                    for board, name in self.names.items():
                        if NODES[name]["kind"] == "lamp":
                            answers.queue(board, "light", (50, 600, 10))
                        elif "hatch" in NODES[name].get("parts", {}):
                            answers.queue(board, "hatch", (1, 600))
                    world.run(self.hours * 3600)
                finally:
                    world.close()
        finally:
            intake.close()

    def _look(self, world: World, e: Entry) -> None:
        name = self.names.get(e.board)
        if name is None:
            return
        self.sent[name] += e.kind == "transmit"
        if trouble(e) and name not in self.bad:
            self.bad[name] = f"{e.t_us / 1e6:.0f} s: {e.what}"
            world.power_cut(e.board, at_s=e.t_us / 1e6)


def tried(heaps: Mapping[str, int], hours: float) -> Tried:
    """One run. A board that has not even the memory to use its chips rightly ends a run: then without it."""
    given = dict(heaps)
    bad: dict[str, str] = {}
    while True:
        with tempfile.TemporaryDirectory() as folder:
            run = Tried(given, Path(folder), hours)
            try:
                run.go()
            except Violation as e:
                name = run.names[str(e).split("board ")[1].split(",")[0]]
                bad[name] = str(e)
                given[name] = LARGE_KB
                continue
        run.bad.update(bad)
        return run


def halved(
    good: Mapping[str, int],
    poor: Mapping[str, int],
    step: int,
    does: Callable[[dict[str, int]], Iterable[str]],
) -> dict[str, int]:
    """The smallest heap of each, between one that does and one that does not; `does`: those that do, of all at
    once in these."""
    good, poor = dict(good), dict(poor)
    while open_ := [n for n in good if good[n] - poor[n] > step]:
        middle = dict(good)
        for n in open_:
            middle[n] = poor[n] + max(step, (good[n] - poor[n]) // 2 // step * step)
        fine = set(does(middle))
        for n in open_:
            (good if n in fine else poor)[n] = middle[n]
    return good


def least(hours: float = 3) -> dict[str, int]:
    """The smallest heap of each, KB."""
    usual = tried(dict.fromkeys(NODES, LARGE_KB), hours)
    if usual.bad:
        raise RuntimeError(f"in {LARGE_KB} KB: {usual.bad}")

    def does(heaps: dict[str, int]) -> list[str]:
        run = tried(heaps, hours)
        return [n for n in NODES if n not in run.bad and run.sent[n] >= usual.sent[n] - 2]

    return halved(dict.fromkeys(NODES, LARGE_KB), dict.fromkeys(NODES, LEAST_KB), STEP_KB, does)


def main(arguments: list[str] | None = None) -> int:
    if arguments:
        hours, kb = float(arguments[0]), int(arguments[1])
        run = tried(dict.fromkeys(NODES, kb), hours)
        for name in NODES:
            print(f"{name:40} {hours:g} h in {kb} KB: {run.bad.get(name, 'ran')}, {run.sent[name]} frames")
        return 1 if run.bad else 0
    rule = sim.NODE_HEAP_KB
    found = least()
    for name, kb in found.items():
        print(f"{name:40} {kb} KB, {kb / rule:.2f} x the rule of {rule}")
    return 0 if max(found.values()) <= rule else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
