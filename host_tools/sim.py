"""Scenarios: boards provisioned from nothing, run on virtual hardware, heard by this host.

A scenario is a TOML file (hw/virtual/scenarios). `run` makes a lab tenant with keys for its boards, builds
each bundle, starts the boards in one world and takes in what their gateway forwards: over a socket, answered
as a store answers, or from the file that the gateway wrote.
"""

from __future__ import annotations

import bisect
import json
import os
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host_tools.errors import InputError, UsageError
from host_tools.sim_plots import Picture, Truth, index_of, place

if TYPE_CHECKING:
    from host_tools.rows import Row
    from hw.virtual.hwboard import HwBoard
    from hw.virtual.world import World
    from provisioning.tenant import Tenant

SCENARIOS = Path(__file__).resolve().parents[1] / "hw/virtual/scenarios"
SYNTHETIC_WATER = SCENARIOS / "water-synthetic.csv"

#: Heap of our own code in the 64-bit interpreter (EMBEDDED 1); the stand-ins come on top (world.STAND_IN_KB).
NODE_HEAP_KB = 150
GATEWAY_HEAP_KB = 150

#: What a cabinet's contacts can be: entries 12 and up of its settings, the number of a contact, + 100 where it
#: opens to say so.
CABINET_INPUTS = ("door", "breaker", "leakage", "feedback", "switch_on", "switch_off")

#: Entry 11 of a board's configuration, by kind.
SETTINGS = {
    "lamp": {
        "default_level": 1,
        "dark_lux": 2,
        "light_lux": 3,
        "floor": 5,
        "shed_floor": 6,
        "virtual_output": 7,
        "least_output": 8,
        "nominal_mw": 9,
        "power_gradient": 10,
        "warm_up_s": 11,
        "category": 12,
        "closing_min": 13,
        "opening_min": 14,
        "switched": 15,
        "local_contact": 16,
        "presence_contact": 17,
        "relay_pause_s": 18,
        "cool_s": 19,
        **{f"clo_{name}_{n}": 20 + 2 * n + i for n in range(6) for i, name in enumerate(("h", "percent"))},
    },
    "bin": {
        "empty_mm": 1,
        "full_mm": 2,
        "diameter_mm": 3,
        "bottom_width_mm": 4,
        "bottom_depth_mm": 5,
        "top_width_mm": 6,
        "top_depth_mm": 7,
        "full_percent": 8,
        "not_full_percent": 9,
        "empty_percent": 10,
        "not_empty_percent": 11,
        "fire_ddegc": 12,
        "fire_rise_dk": 13,
        "heartbeat_s": 14,
        "supply_low_mv": 15,
        "correct_air": 16,
        "upright_x": 17,
        "upright_y": 18,
        "upright_z": 19,
        "lid_contact": 20,
        "lid_min": 21,
        "hatch_contact": 22,
        "hatch_longest_s": 23,
        "compactor_contact": 24,
        "compactor_longest_s": 25,
        "hatch_answer_ms": 26,
        "compactor_answer_ms": 27,
    },
    "leak": {
        "start_index": 1,
        "litres_per_pulse": 2,
        "utc_offset_min": 3,
        "supply_low_mv": 4,
        "pressure_low_pa": 5,
        "pressure_high_pa": 6,
        "box_contact": 7,
        "suspected_h": 16,
        "detected_h": 17,
        "night_from_h": 18,
        "night_hours": 19,
        "night_margin_dlh": 20,
        "night_margin_percent": 21,
        "nights": 22,
        "cusum_slack_dlh": 23,
        "cusum_limit_dlh": 24,
        "high_lh": 25,
        "high_hours": 26,
        "blocked_h": 27,
        "back_flow_l": 28,
        "most_l": 29,
    },
    "cabinet": {
        "default_on": 1,
        "may_off": 2,
        "on_s": 3,
        "off_s": 4,
        "idle_w": 5,
        "least_w": 6,
        "most_w": 7,
        "low_v": 8,
        "high_v": 9,
        "dark_lux": 10,
        "light_lux": 11,
        **{f"{name}_input": 12 + i for i, name in enumerate(CABINET_INPUTS)},
        "meter_s": 18,
        "phases": 19,
    },
    "gateway": {},
}


def scenarios() -> list[tuple[str, str]]:
    """(name, title) of the scenarios that come with Lanterne."""
    return [(p.stem, str(load(p)["title"])) for p in sorted(SCENARIOS.glob("*.toml"))]


def load(source: str | Path) -> dict[str, Any]:
    """A scenario by name or path; InputError with one line for what cannot be read."""
    path = Path(source)
    if not path.suffix and not path.exists():
        path = SCENARIOS / f"{source}.toml"
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = ", ".join(p.stem for p in sorted(SCENARIOS.glob("*.toml")))
        raise InputError(f"no scenario {source}", f"scenarios at hand: {names}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise InputError(f"{path}: not a scenario: {e}") from None
    for key in ("title", "start_utc", "hours", "cell", "board"):
        if key not in found:
            raise InputError(f"{path}: a scenario needs {key!r}")
    for board in found["board"]:
        if "plan" in board:
            # Named relative to the scenario.
            board["plan"] = str(path.parent / board["plan"])
    return found


def compiled(board: dict[str, Any]) -> bytes:
    """The compact plan of a scenario's board, b"" without one."""
    if "plan" not in board:
        return b""
    from host_tools import plan

    try:
        found = json.loads(Path(board["plan"]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"{board['plan']}: not a plan: {e}") from None
    return plan.compile(found)


def judge(scenario: dict[str, Any]) -> None:
    """InputError for the plan of a board whose category the decree would have dark while the plan lights, in any
    night of the year that begins with the scenario."""
    from host_tools import schedule
    from host_tools.schedule import decree

    for board in scenario["board"]:
        if "plan" in board and board.get("settings", {}).get("category"):
            plan = schedule.load(board["plan"])
            begin = datetime.fromisoformat(str(scenario["start_utc"])).timestamp()
            first = plan.zone.local(begin - decree.NOON).date()
            decree.demand(plan, board["settings"], first, f"{board['name']}, {Path(board['plan']).name}")


@dataclass
class Result:
    """What a run left: files in `folder`, rows in the order of `rows.COLUMNS`, notes for people, and what the
    boards did and were given (`truth`)."""

    folder: Path
    rows: list[Row]
    summary: dict[str, Any]
    water: str
    hours: float
    failures: list[str]
    consoles: dict[str, list[str]] = field(default_factory=dict)
    digest: str = ""
    plots: Path | None = None
    truth: Truth = field(default_factory=Truth)


@dataclass
class Options:
    """How to run a scenario.

    sink: "socket" answers the boards, "file" only listens. deliver: False keeps all from every receiver.
    loss: share of receptions lost beyond the link budget. answers: False stores without ever answering.
    interpreter: another MicroPython for the boards, of 64 or 32 bits; the heap stays the same.
    """

    seed: int = 1
    hours: float | None = None
    sink: str = "socket"
    deliver: bool = True
    loss: float = 0.0
    answers: bool = True
    interpreter: str | None = None
    on_row: Callable[[Row], None] | None = None
    on_progress: Callable[[float, float], None] | None = None
    on_world: Callable[[World], None] | None = None


def water_series(wanted: dict[str, str], hours: float) -> tuple[list[tuple[int, float]], str]:
    """Readings (virtual microseconds, litres) of a scenario's meter, and where they come from."""
    from hw.virtual.chips.pulse_meter import read_csv

    data = os.environ.get("LANTERNE_DATA")
    made = SCENARIOS / wanted["synthetic"] if "synthetic" in wanted else SYNTHETIC_WATER
    path = Path(data) / "water" / wanted["file"] if data else made
    if not path.is_file():
        path = made
    kind = "synthetic series" if path == made else "real meter series (DAIAD trial A, CC-BY-SA 4.0)"
    try:
        rows = read_csv(path, wanted["start"])
    except (OSError, ValueError) as e:
        raise InputError(f"{path}: {e}") from None
    end = int(hours * 3.6e9)
    first = max(0, bisect.bisect_right([t for t, _ in rows], 0) - 1)
    kept = [r for r in rows[first:] if r[0] <= end + 3_600_000_000]
    if len(kept) < 2:
        raise InputError(f"{path}: no readings after {wanted['start']}")
    return kept, f"{kind}, {path.name} from {wanted['start']}"


def index_at(series: list[tuple[int, float]], t_us: int) -> float:
    """The meter's index at a virtual time, straight between its readings."""
    return _line([[t / 3.6e9, litres] for t, litres in series])(t_us)


def _line(points: list[list[float]]) -> Callable[[int], float]:
    """A function of virtual microseconds through (hours, value) points, straight between them."""
    xs = [p[0] * 3.6e9 for p in points]
    ys = [p[1] for p in points]

    def at(t_us: int) -> float:
        i = bisect.bisect_right(xs, t_us)
        if i == 0 or i == len(xs):
            return ys[min(i, len(ys) - 1)]
        return ys[i - 1] + (ys[i] - ys[i - 1]) * (t_us - xs[i - 1]) / (xs[i] - xs[i - 1])

    return at


def _wiring(kind: str, hw: HwBoard, chips: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Where the chips sit; a contactor's feedback is the third contact, if the board has one."""
    found = {part: dict(hw.wiring[part]) for part in chips}
    if kind == "cabinet" and "contact3" in hw.wiring:
        found["relay"]["feedback"] = hw.wiring["contact3"]["contact"]
    return found


def _furnish_cabinet(b: dict[str, Any], hw: HwBoard, chips: dict[str, Any]) -> None:
    """A feeder of `feeder_w` watts (3000) on three phases behind the contactor, the meter before it, door and
    breaker on the first two contacts; a photocell where one is among the parts, `lux` its (hours, lux) points."""
    from hw.virtual.chips.contact import Contact
    from hw.virtual.chips.modbus_meter import ModbusMeter
    from hw.virtual.chips.photocell import Photocell
    from hw.virtual.chips.relay_lamp import RelayLamp

    relay = RelayLamp(b.get("feeder_w", 3000.0), warm_s=b.get("warm_s", 0.0), cool_s=0.0)
    chips["relay"] = relay

    def phase(own_w: float) -> Callable[[int], tuple[float, float, float]]:
        return lambda _: (230.0, (relay.power_w / 3 + own_w) / 230, 1.0)

    parts = b.get("parts", {})
    if parts.get("energy", "modbus_meter") == "modbus_meter":
        # The box itself draws 8 W.
        loads = [phase(8.0), phase(0.0), phase(0.0)]
        chips["modbus_meter"] = ModbusMeter(1, loads, direction=True, step_us=10_000_000)
    if parts.get("photocell") == "photocell":
        chips["photocell"] = Photocell(_line(b["lux"]), across_ohm=100_000)
    for name, closed in (("contact1", True), ("contact2", False)):
        if name in hw.wiring and parts.get("contacts") != "none":
            chips[name] = Contact(closed)


class Run:
    """One run of one scenario into a folder, step by step; `run` below does them all."""

    def __init__(self, scenario: dict[str, Any], folder: Path, options: Options) -> None:
        self.scenario = scenario
        self.folder = folder
        self.options = options
        self.hours = float(options.hours or scenario["hours"])
        self.water = ""
        self.truth = Truth()
        # A plan that cannot be drawn is told before the run, not after.
        self.place = place(scenario)
        judge(scenario)
        self.gateway = next(b["name"] for b in scenario["board"] if b["kind"] == "gateway")

    def provision(self) -> Tenant:
        """A lab tenant with keys, registry and keyrings for the scenario's boards."""
        from provisioning.tenant import Tenant

        tenant = Tenant.create(
            self.folder / "tenant",
            self.scenario.get("tenant", "lab"),
            lab=True,
            seed=self.options.seed,
            clear_link=True,
        )
        for b in self.scenario["board"]:
            tenant.add_device(b["name"], b["kind"], b.get("profile", "encrypt0"), asset=b.get("asset", ""))
        nodes = [b["name"] for b in self.scenario["board"] if b["kind"] != "gateway"]
        self.reader = tenant.export("reader", self.folder / "keys.json")
        self.commander = tenant.export("commander", self.folder / "commander.json", nodes)
        self.routes = tenant.export("gateway", self.folder / "gateway.json", nodes)
        return tenant

    def image(
        self, tenant: Tenant, b: dict[str, Any], settings: dict[str, int], sink: str
    ) -> dict[str, bytes]:
        """The NVS entries that provisioning writes into a board."""
        from provisioning import image

        names = SETTINGS[b["kind"]]
        for name in settings:
            if name not in names:
                raise InputError(f"a {b['kind']} has no setting {name!r}", f"it has {', '.join(names)}")
        made = image.build(
            tenant,
            b["name"],
            image.Options(
                board=b["hw"],
                radio=image.Radio(**self.scenario["cell"]),
                interval_s=b.get("interval_s", 900),
                extra={names[n]: v for n, v in settings.items()},
                parts=b.get("parts", {}),
                plan=compiled(b),
                power=b.get("power", "mains"),
                sink=sink,
                routes=[self.routes] if sink else [],
            ),
        )
        return {"cfg": made.cfg, "key": made.key}

    def world(self, tenant: Tenant, sink: str) -> World:
        from hw.virtual.air import Air
        from hw.virtual.world import World

        o = self.options
        self.air = Air(o.seed, loss=o.loss, delivery=o.deliver)
        world = World(seed=o.seed, start_utc=self.scenario["start_utc"], air=self.air, keep=())
        for b in self.scenario["board"]:
            self._add(world, tenant, b, sink if b["name"] == self.gateway else "")
        world.observe("actuate", lambda e: self.truth.outputs[e.board].append((e.t_us, e.what)))
        return world

    def _add(self, world: World, tenant: Tenant, b: dict[str, Any], sink: str) -> None:
        from host_tools import bundle
        from hw.virtual import build, files, hwboard
        from hw.virtual.chips.sx1262 import SX1262
        from hw.virtual.world import STAND_IN_KB

        try:
            hw = hwboard.load(b["hw"])
        except ValueError as e:
            raise InputError(f"board {b['name']}: {e}") from None
        role = "gateway" if sink else "node"
        arch = build.architecture(self.options.interpreter or build.default_interpreter())
        built = bundle.build(self.folder / "boards" / b["name"], role, b["kind"], arch)
        settings = dict(b.get("settings", {}))
        chips: dict[str, Any] = {"radio": SX1262(self.air, name=b["name"], position=tuple(b["at"]))}
        self._furnish(b, hw, chips, settings)
        self._remember(b, chips, settings)
        own = {"bundle": built.digest}
        if b["kind"] == "lamp":
            pin, level = ("RELAY", "relay_on_level") if "relay" in chips else ("DIM", "dim_full_level")
            own["lamp"] = f"{hw.pins[pin]} {hw.about['lamp'][level]}\n".encode()
        rail = hw.about["sensors"]
        # A scenario may say more for a board that is over the rule, and then says so.
        own_kb = b.get("heap_kb", NODE_HEAP_KB)
        heap = (GATEWAY_HEAP_KB if sink else own_kb) + STAND_IN_KB
        board = world.add_board(
            b["name"],
            mpy_dir=built.path,
            heap=f"{heap}k",
            interpreter=self.options.interpreter,
            chips=chips,
            wiring=_wiring(b["kind"], hw, chips),
            nvs={"lanterne": self.image(tenant, b, settings, sink)},
            table=hw.table,
            flash_size=hw.flash_size,
            mcu=hw.mcu,
            sockets=sink.startswith("tcp:"),
            rtc_set=bool(sink),
            # The sensors' rail has a pull that keeps it off while the MCU does not drive it.
            float_levels={hw.pins[rail["power_pin"]]: 1 - rail["power_on_level"]},
        )
        files.write_files(board.flash, own)

    def _furnish(
        self,
        b: dict[str, Any],
        hw: HwBoard,
        chips: dict[str, Any],
        settings: dict[str, int],
    ) -> None:
        """Solder on what the kind has."""
        from host_tools import sim_lamp
        from hw.virtual.chips.a02yyuw import A02YYUW
        from hw.virtual.chips.battery import Battery
        from hw.virtual.chips.leak_rope import LeakRope
        from hw.virtual.chips.pcf8593 import PCF8593
        from hw.virtual.chips.pulse_meter import PulseMeter

        if b["kind"] == "lamp":
            sim_lamp.furnish(b, hw, chips, settings)
        if b["kind"] in ("bin", "leak"):
            supply = hw.about["supply"]
            chips["battery"] = Battery(
                b.get("battery_v", 3.9),
                upper_ohm=supply["upper_ohm"],
                lower_ohm=supply["lower_ohm"],
                switch_level=supply.get("switch_level"),
            )
        if b["kind"] == "bin":
            on = hw.about["sensors"]["power_on_level"]
            chips["range"] = A02YYUW(
                1, _line(b["distance_m"]), noise_m=0.004, switched=True, power_on_level=on
            )
        if b["kind"] == "leak":
            series, self.water = water_series(b["water"], self.hours)
            meter = PulseMeter(series, litres_per_pulse=settings.get("litres_per_pulse", 1))
            counted = b.get("parts", {}).get("pulses") == "pcf8593"
            chips["pcf8593" if counted else "meter"] = PCF8593(meter) if counted else meter
            if b.get("parts", {}).get("rope") == "leak_rope":
                chips["leak_rope"] = LeakRope()
            # Entered at installation: what the register shows when the board gets its power.
            settings["start_index"] = int(index_at(series, 0))
        if b["kind"] == "cabinet":
            _furnish_cabinet(b, hw, chips)
        if b["kind"] not in SETTINGS:
            raise InputError(f"board {b['name']}: no kind {b['kind']!r}", f"kinds: {', '.join(SETTINGS)}")

    def _remember(self, b: dict[str, Any], chips: dict[str, Any], settings: dict[str, int]) -> None:
        """What is so on a board at power-on, and what its sensors will be given."""
        name = b["name"]
        lamp = chips.get("relay" if b.get("parts", {}).get("light") == "relay" else "lamp")
        self.truth.outputs[name] = [(0, {"level": lamp.level, "power_w": lamp.power_w})] if lamp else []
        # Straight walls; what a bin of another shape holds is not drawn.
        if "distance_m" in b and not {"bottom_width_mm", "bottom_depth_mm"} & set(settings):
            empty, full = settings.get("empty_mm", 1200) / 1000, settings.get("full_mm", 200) / 1000
            depth = _line(b["distance_m"])
            self.truth.fill[name] = lambda t: min(100.0, max(0.0, 100 * (empty - depth(t)) / (empty - full)))
        if b["kind"] == "leak" and "water" in b:
            self.truth.index[name] = index_of(water_series(b["water"], self.hours)[0])

    def execute(self) -> Result:
        """Provision, run, take in, decode."""
        from host_tools import intake
        from host_tools.commander import Commander

        tenant = self.provision()
        capture = self.folder / "capture.pcap"
        commander = None
        if self.options.answers and self.options.sink == "socket":
            commander = Commander(self.commander, self.folder / "commander-state.json")
        taker = intake.Intake(
            [self.reader],
            capture,
            self.folder / "readings.db",
            commander,
            side_path=self.folder / "unreadable.bin",
            on_row=self.options.on_row,
        )
        try:
            if self.options.sink == "file":
                world = self._run(tenant, "file:records.bin")
                self._take_file(world, taker)
            else:
                with intake.IntakeServer(taker) as server:
                    world = self._run(tenant, f"tcp:127.0.0.1:{server.port}")
        finally:
            taker.close()
        return self._result(world, capture)

    def _run(self, tenant: Tenant, sink: str) -> World:
        world = self.world(tenant, sink)
        total = self.hours * 3600
        if self.options.on_progress is not None:
            report = self.options.on_progress
            world.on_progress = lambda s: report(s, total)
        if self.options.on_world is not None:
            self.options.on_world(world)
        try:
            world.run(total)
        finally:
            self.consoles = {b.name: list(b.console) for b in world.boards.values()}
            self.failures = list(world.failures)
            self.records = self._records(world) if sink.startswith("file:") else b""
            world.close()
        return world

    def _records(self, world: World) -> bytes:
        from hw.virtual import files

        try:
            return files.read_file(world.boards[self.gateway].flash, "records.bin")
        except FileNotFoundError:
            return b""  # nothing was heard

    def _take_file(self, world: World, taker: Any) -> None:
        path = self.folder / "records.bin"
        path.write_bytes(self.records)
        at = 0
        while at + 2 <= len(self.records):
            size = int.from_bytes(self.records[at : at + 2], "big")
            taker.handle(self.records[at + 2 : at + 2 + size])
            at += 2 + size

    def _result(self, world: World, capture: Path) -> Result:
        from host_tools import decode

        found = decode.decode([capture], [self.folder / "keys.json"])
        for name, lines in self.consoles.items():
            (self.folder / "boards" / f"{name}.log").write_text("\n".join(lines) + "\n")
        return Result(
            self.folder,
            found.rows,
            found.summary,
            self.water,
            self.hours,
            self.failures,
            self.consoles,
            world.digest(),
            Picture(self.scenario, found.rows, self.truth, self.hours, self.water, self.place).write(
                self.folder
            ),
            self.truth,
        )


def run(source: str | Path, folder: Path | str, options: Options | None = None) -> Result:
    """Run a scenario into `folder`, which is emptied when an earlier run made it.

    Leaves there: capture.pcap, readings.db, plots.svg, keys.json (reader), commander.json, gateway.json, tenant/
    and the boards' bundles and console logs. UsageError for a folder that holds something else.
    """
    target = Path(folder)
    if target.exists() and any(target.iterdir()) and not (target / "capture.pcap").exists():
        raise UsageError(f"{target} holds something that no run made", "choose another folder with -o")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    return Run(load(source), target, options or Options()).execute()
