"""One virtual board: its memories, its power, and the lives of its interpreter; its pins are in lines.py.

The scheduler decides when a board may go on. Times are microseconds: `g` names global virtual time, `l` the
time since boot on the board's own crystal.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ipc
from .flash import Flash
from .lines import MCU_PINS, NEVER, Lines, State
from .nvs import Nvs, Value

if TYPE_CHECKING:
    from .world import World

PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5
CAUSES = {PWRON: "power-on", HARD: "reset", WDT: "watchdog", DEEPSLEEP: "deep sleep", SOFT: "soft reset"}
#: Supply current of the module without its chips, microampere (ESP32 datasheet v4.5, tables 4-2 and 5-4,
#: radio off, 160 MHz).
MCU_CURRENT_UA = {"active": 30_000, "light": 800, "deep": 10, "off": 0}


#: What says how far a board has come.
_MOVES = frozenset(("state", "bound", "until", "message_us"))

#: Modules that are part of the chip's image.
STAND_INS = frozenset(
    "gc os vfs micropython sys time machine esp32 network select socket asyncio ssl onewire ds18x20".split()
)


class Options(NamedTuple):
    """What `World.add_board` says of a board beside its program and parts; see there."""

    unique_id: bytes
    heap_kb: int
    drift_ppb: int
    sleep_drift_ppm: int
    sockets: bool
    barrier_ms: int
    rtc_set: bool
    network: bool
    network_ms: int
    on_exit: str
    on_kill: str
    restart_us: int | None


class Board(Lines):
    """A board of a world; made by `World.add_board`. Public: name, state, flash, nvs, rtc_memory, console
    (list of lines), failures, pins, wear and `mah`; everything else belongs to the scheduler."""

    def __init__(
        self,
        world: World,
        index: int,
        name: str,
        command: list[str],
        fw_path: Path | None,
        flash: Flash,
        nvs: Mapping[str, Mapping[str, Value]],
        options: Options,
        **lines: Any,
    ) -> None:
        self.index = index
        super().__init__(world, name, **lines)
        self.command = command
        self.fw_path = fw_path
        self.flash = flash
        self.nvs = Nvs(flash)
        self.nvs.preset(nvs)
        self.options = options
        self.random = random.Random(f"{world.seed}/{name}")

        self.process: ipc.Process | None = None
        self.boots = 0
        self.cause = PWRON
        self.modules: set[str] = set()  # seen by this life
        self.boot_us = 0  # g of l = 0
        self.bound = 0  # g: a RUNNING board acts no earlier
        self.message: ipc.Message | None = None  # of an ASKED board
        self.message_us = 0  # g
        self.until = 0  # g
        self.payload = b""
        self.refused = 0
        self.last_seen = 0.0  # host's monotonic clock
        self.rtc_memory = b""
        self.rtc_us = 0  # the chip's calendar minus global time
        self.watchdog_us = NEVER  # g
        self.link = [0, 0]  # Wi-Fi, Ethernet: 1 active, 2 connecting, 4 connected
        self.link_up_at = 0  # g

        self.failures: list[str] = []
        self.heap_peak = 0
        self.heap_live = 0
        self.gc_passes = 0
        self.charge_ua_us = 0
        self._charged_us = 0

    @property
    def me(self) -> Board:
        return self

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name in _MOVES:
            self.moves()

    def moves(self) -> None:
        """What the scheduler ranks this board by may have changed."""
        self.world.moved[self.index] = self

    @property
    def waits(self) -> bool:
        """The board does nothing until `until` or until something wakes it."""
        return self.state is State.WAITING or self.state is State.SLEEPING

    # time

    def to_global(self, local: int) -> int:
        return self.boot_us + local + local * self.options.drift_ppb // 1_000_000_000

    def to_local(self, g: int) -> int:
        """The first local microsecond not before g."""
        dt = g - self.boot_us
        local = dt * 1_000_000_000 // (1_000_000_000 + self.options.drift_ppb)
        while self.to_global(local) < g:
            local += 1
        return local

    def account(self) -> None:
        """Bring the charge account up to now."""
        now = self.world.now_us
        if now > self._charged_us:
            self.charge_ua_us += self.current_ua() * (now - self._charged_us)
            self._charged_us = now

    def current_ua(self) -> int:
        """Supply current now by the declared figures (*model*)."""
        if self.state is State.OFF:
            return 0
        if self.state is State.SLEEPING:
            own = MCU_CURRENT_UA["deep"]
        elif self.state is State.WAITING and self.mode == 3:
            own = MCU_CURRENT_UA["light"]
        else:
            own = MCU_CURRENT_UA["active"]
        return own + sum(p.current_ua for p in self.ports.values())

    @property
    def mah(self) -> float:
        """Charge drawn so far, mAh (*model*)."""
        return self.charge_ua_us / 3.6e12

    # lives

    def start(self, cause: int) -> None:
        """Start the interpreter; the first Python line runs after the boot cost. `world.now_us` is the
        instant."""
        now = self.world.now_us
        self.account()
        if self.boots == 0:
            self.attach()
        elif self.state is State.REPL:
            self._float_pins(everything=False)
        if cause == PWRON:
            self.rtc_memory = b""
            self.rtc_us = self.world.start_2000_us if self.options.rtc_set else -now
            self.wake_pins = [0, 0]
            self.holds.clear()
        self.cause = cause
        self.boots += 1
        self.modules = set()
        self.kbd = True
        self.ctrl_c = False
        self.watchdog_us = NEVER
        self.link = [0, 0]
        self.boot_us = now + self.world.costs.draw("boot", self.random.random())
        self.bound = self.boot_us
        self.state = State.RUNNING
        self.world.log(self, "boot", CAUSES[cause])
        self.process = ipc.Process(self.command, self.world.port_dir, self.fw_path, self.flash.fd)
        self.world.started(self)

    def stop(self, state: State) -> None:
        """End the interpreter at once; what the MCU drove floats, except at the prompt."""
        self.account()
        if self.process is not None:
            self.printed(self.process.kill())
            self.process = None
        if self._line:
            self.printed(b"\n")
        self.state = state
        self.message = None
        if state is not State.REPL:  # at the prompt, and in a loop without end, they stay as they are
            self._float_pins(everything=False)
        if state is State.OFF:
            self.console_in.clear()

    def power_off(self) -> None:
        """The supply goes: chips lose their state too (they get `reset` now and draw nothing)."""
        self.stop(State.OFF)
        for queue in (self.local_queue, self.shared_queue):
            for _, _, handle in queue:
                handle.alive = False
            queue.clear()
        for port in self.ports.values():
            port.current_ua = 0
        for chip in self.chips.values():
            chip.reset()
        for port in self.ports.values():
            port.current_ua = 0
        self._float_pins(everything=True)
        self.world.log(self, "power", "off")

    def draw(self, what: str, times: int = 1) -> int:
        """Microseconds the cost table charges this board for `times` pieces of work."""
        return sum(self.world.costs.draw(what, self.random.random()) for _ in range(times))

    def take_console_cost(self) -> int:
        """Microseconds the UART still needs for what was printed since the last call, beyond its FIFO."""
        n, self._printed_bytes = self._printed_bytes, 0
        return max(0, n - 128) * self.world.costs.typical("console")

    def module_size(self, name: str, told: int) -> tuple[int, bool]:
        """(bytes of a module's file, whether it is source); 0 for built-in ones and stand-ins. A board that
        boots from its flash image tells the size itself."""
        if self.fw_path is None:
            return (0, False) if name[0] == "_" or name in STAND_INS else (told, False)
        path = self.fw_path / name.replace(".", "/")
        for file in (
            path.with_suffix(".py"),
            path.with_suffix(".mpy"),
            path / "__init__.py",
            path / "__init__.mpy",
        ):
            if file.is_file():
                return file.stat().st_size, file.suffix == ".py"
        return 0, False

    def config(self) -> bytes:
        """The integers of ipc.CONFIG for a board that boots."""
        costs = self.world.costs
        valid, output = MCU_PINS[self.mcu]
        wired = 0
        for pin in self.out_legs:
            wired |= 1 << pin
        values = {
            "seed": self.random.randrange(139968),
            "ticks_us": costs.typical("ticks"),
            "pin_us": costs.typical("pin"),
            "spi_us": costs.typical("spi"),
            "bus_us": costs.typical("bus"),
            "turn_us": costs.typical("turn"),
            "gc_us": costs.typical("gc") * self.options.heap_kb,
            "gc_worst_us": costs.rows["gc"][1] * self.options.heap_kb,
            "flash_read_us": costs.typical("flash_read"),
            "flash_read_ns_kb": 102,
            "valid_pins": valid,
            "output_pins": output,
            "wired_pins": wired,
            "options": (1 if self.options.sockets else 0) | (2 if self.fw_path is None else 0),
            "rtc_us": self.rtc_us + self.boot_us,
            "reset_cause": self.cause,
            "wake_reason": self.wake_reason,
            "unique_id": int.from_bytes(self.options.unique_id, "big"),
            "freq": 160_000_000,
            "barrier_ms": self.options.barrier_ms,
        }
        return b"".join(values[k].to_bytes(8, "little", signed=True) for k in ipc.CONFIG)
