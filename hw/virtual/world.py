"""A world of virtual boards in virtual time: a conservative discrete-event simulation.

    from hw.virtual import World
    with World(seed=1, start_utc="2026-03-01T17:00:00Z") as world:
        board = world.add_board("lamp", firmware_dir="firmware", chips={...}, wiring={...})
        world.run(3600)
        print(board.console)

What belongs to one board (its memories, its own chips) is served at once, while other boards compute on
other cores. What boards share (a radio on the air) is served in the order (time, board), and only when no
other board can still act earlier: every board promises the instant before which it will not act. So the same
seed gives the same transcript, however the host schedules the processes. Boards with real sockets are the
exception (`sockets=True`)."""

from __future__ import annotations

import datetime as dt
import hashlib
import heapq
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from . import build, ipc
from .board import Board, Options
from .chips.base import Chip
from .costs import Costs
from .flash import DEFAULT_TABLE, Flash, Partition
from .lines import State
from .nvs import Value
from .scheduler import Scheduler
from .service import Violation

#: What the stand-ins hold of the interpreter's heap on a 64-bit host, KB, rounded up (a test measures it). On
#: the chip this code lies in flash: `heap=f"{150 + STAND_IN_KB}k"` leaves the firmware its 150 KB.
STAND_IN_KB = 35


class Entry(NamedTuple):
    """One line of the transcript."""

    t_us: int
    board: str
    kind: str
    what: Any


__all__ = ["STAND_IN_KB", "Board", "Entry", "State", "Violation", "World"]

Observer = Callable[[Entry], None]


class World(Scheduler):
    """All boards of one scenario. Use as a context manager, or call `close`.

    seed: everything random derives from it. start_utc: what instant virtual time 0 is (ISO 8601, UTC).
    air: kept for the caller (chips hold the air themselves). costs: replaces rows of the cost table.
    hang_s: a board that computes so long in real time without letting virtual time pass counts as stuck.
    keep: the kinds of entries that `transcript` keeps (None: all).
    """

    def __init__(
        self,
        seed: int = 0,
        start_utc: str = "2026-03-01T00:00:00Z",
        air: object = None,
        costs: Mapping[str, tuple[int, int]] | None = None,
        hang_s: float = 20.0,
        keep: Iterable[str] | None = None,
    ) -> None:
        super().__init__(hang_s)
        self.seed = seed
        self.start_utc = dt.datetime.fromisoformat(start_utc.replace("Z", "+00:00")).astimezone(dt.UTC)
        self.air = air
        self.costs = Costs(dict(costs or {}))
        self.keep = None if keep is None else frozenset(keep)
        self.boards: dict[str, Board] = {}
        self.port_dir = build.port_dir()
        self.transcript: list[Entry] = []
        self.observers: dict[str, list[Observer]] = {}
        self._log: list[tuple[int, int, int, Entry]] = []
        self._hash = hashlib.sha256()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes and give the flash memory back."""
        for board in self._list:
            if board.process is not None:
                board.process.kill()
                board.process = None
            board.flash.close()
        self._list.clear()
        self._fds.clear()

    # set-up

    def add_board(
        self,
        name: str,
        *,
        firmware_dir: str | Path | None = None,
        mpy_dir: str | Path | None = None,
        boot_file: str = "main.py",
        heap: str = "150k",
        interpreter: str | None = None,
        chips: Mapping[str, Chip] | None = None,
        wiring: Mapping[str, Mapping[str, int]] | None = None,
        nvs: Mapping[str, Mapping[str, Value]] | None = None,
        table: Iterable[Partition] = DEFAULT_TABLE,
        flash_size: int = 4 << 20,
        image: bytes | None = None,
        mcu: str = "esp32",
        unique_id: bytes | None = None,
        drift_ppb: int = 0,
        sleep_drift_ppm: int = 0,
        sockets: bool = False,
        barrier_s: float = 2.0,
        network: bool = False,
        network_ms: int = 2500,
        on_exit: str = "repl",
        on_kill: str = "stop",
        restart_s: float | None = 1.0,
        float_levels: Mapping[int, int] | None = None,
        power_at_s: float | None = 0.0,
        rtc_set: bool = False,
    ) -> Board:
        """Put a board into the world.

        Program: firmware_dir is a package folder of sources, compiled here; mpy_dir a ready root folder;
        both are seen by the board beside its own flash, which holds `/`. Without either the board boots from
        the file system in its flash (`image`). boot_file runs after boot.py. heap is the interpreter's,
        stand-ins (`STAND_IN_KB`) included; interpreter a 64- or 32-bit MicroPython from 1.25 on.

        Hardware: chips are part -> model, wiring part -> {leg: MCU pin, and spi, i2c, uart: bus}; a soft I2C
        bus is 128 + its SCL pin. nvs is namespace -> key -> int or bytes. float_levels: pin -> level while
        nobody drives it (pull resistors). drift_ppb: error of the crystal, sleep_drift_ppm: of the
        deep-sleep clock. rtc_set: the calendar is right from power-on on (a battery feeds it), instead of
        2000-01-01. power_at_s: when the supply comes (None: by `power_on`).

        Network: sockets makes real sockets work; while an answer is due, virtual time stands still, at most
        barrier_s of real time. network: an access point or cable is there; network_ms until it is connected.

        Ends: on_exit "repl" (a main.py that returns is a failure: its board would stay at the prompt) or
        "end" (a script that may return). on_kill: after the process was killed from outside "stop" or
        "restart". restart_s: how long the power stays away after that and after `flash.cut_after` (None: for
        good)."""
        if name in self.boards:
            raise ValueError(f"two boards are called {name!r}")
        program = interpreter or build.default_interpreter()
        if firmware_dir is not None:
            where: Path | None = build.tree(Path(firmware_dir), build.architecture(program))
        else:
            where = None if mpy_dir is None else Path(mpy_dir).resolve()
        command = [*ipc.launcher(program), "-X", f"heapsize={heap}", "-m", "_start", boot_file]
        flash = Flash(flash_size, table, seed=_number(f"{self.seed}/{name}/flash"))
        if image is not None:
            flash.load(image)
        options = Options(
            unique_id=unique_id or b"\x24\x0a\xc4" + _number(f"id/{name}").to_bytes(8, "big")[-3:],
            heap_kb=_kilobytes(heap),
            drift_ppb=drift_ppb,
            sleep_drift_ppm=sleep_drift_ppm,
            sockets=sockets,
            barrier_ms=int(barrier_s * 1000),
            rtc_set=rtc_set,
            network=network,
            network_ms=network_ms,
            on_exit=on_exit,
            on_kill=on_kill,
            restart_us=None if restart_s is None else int(restart_s * 1e6),
        )
        board = Board(
            self,
            len(self._list),
            name,
            command,
            where,
            flash,
            nvs or {},
            options,
            chips=chips or {},
            wiring=wiring or {},
            mcu=mcu,
            float_levels=float_levels or {},
        )
        self.boards[name] = board
        self._list.append(board)
        if power_at_s is not None:
            self.power_on(board, power_at_s)
        return board

    def observe(self, kind: str, observer: Observer) -> None:
        """Call `observer` with every transcript entry of a kind (`console`, `pin`, `pwm`, `boot`, `reset`,
        `sleep`, `power`, `failure`, what chips emit such as `transmit`; `*` for all), in order of time."""
        self.observers.setdefault(kind, []).append(observer)

    def at(self, t_s: float, fn: Callable[[], None]) -> None:
        """Do something to the world at a virtual time, not before where the run stands. To be called between
        runs or from such a call; from an observer it is late by a time that differs from run to run."""
        self.at_us(int(t_s * 1e6), fn)

    def power_on(self, board: Board | str, at_s: float | None = None) -> None:
        """Give a board its supply, now (where the run stands) or at a time; no effect on one that has it."""
        b = self._board(board)

        def on() -> None:
            if b.state is State.OFF:
                self.log(b, "power", "on")
                b.start(1)

        self.at(self._until / 1e6 if at_s is None else at_s, on)

    def power_cut(self, board: Board | str, at_s: float | None = None, back_s: float | None = None) -> None:
        """Cut a board's supply, now or at a time, and give it back `back_s` later if that is given."""
        b = self._board(board)

        def off() -> None:
            if b.state is not State.OFF:
                self._unplug(b)
                b.power_off()
            if back_s is not None:
                self.power_on(b, self.now_us / 1e6 + back_s)

        self.at(self._until / 1e6 if at_s is None else at_s, off)

    def set_input(self, board: Board | str, pin: int, level: int, at_s: float | None = None) -> None:
        """Drive an MCU input from outside (a button), now or at a time."""
        b = self._board(board)
        self.at(self._until / 1e6 if at_s is None else at_s, lambda: b.drive(pin, level))

    def console_write(self, board: Board | str, data: bytes, at_s: float | None = None) -> None:
        """Send bytes to a board's console, now or at a time."""
        b = self._board(board)
        self.at(self._until / 1e6 if at_s is None else at_s, lambda: b.console_write(data))

    def _board(self, board: Board | str) -> Board:
        return self.boards[board] if isinstance(board, str) else board

    @property
    def start_2000_us(self) -> int:
        """Microseconds from 2000-01-01, the epoch of MicroPython on the ESP32, to virtual time 0."""
        return (self.start_utc - dt.datetime(2000, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)

    def utc(self, t_us: int) -> dt.datetime:
        """The UTC instant of a virtual time."""
        return self.start_utc + dt.timedelta(microseconds=t_us)

    # what boards and chips tell

    def log(self, board: Board, kind: str, what: Any) -> None:
        entry = Entry(self.now_us, board.name, kind, what)
        heapq.heappush(self._log, (self.now_us, board.index, next(board.counter), entry))

    def violated(self, board: Board, text: str) -> None:
        """A model saw a wrong use: the run ends when the call that is being served returns."""
        if self.failed is None:
            self.failed = f"board {board.name}, {self.now_us / 1e6:.6f} s ({self.utc(self.now_us)}): {text}"

    def fail(self, board: Board, text: str) -> None:
        board.failures.append(f"{self.now_us / 1e6:.6f} s: {text}")
        self.log(board, "failure", text)

    @property
    def failures(self) -> list[str]:
        """What went wrong on the boards' side: uncaught exceptions, returns to the prompt, stuck loops."""
        return [f"{b.name}: {text}" for b in self.boards.values() for text in b.failures]

    def digest(self) -> str:
        """A hash of all entries so far, kept or not: equal for equal seeds."""
        return self._hash.hexdigest()

    def _flush(self, before_us: int) -> None:
        """Give the entries that nothing can precede any more to transcript and observers, in order."""
        log = self._log
        everyone = self.observers.get("*", ())
        while log and log[0][0] < before_us:
            entry = heapq.heappop(log)[3]
            self._hash.update(repr(entry).encode())
            if self.keep is None or entry.kind in self.keep:
                self.transcript.append(entry)
            for observer in (*self.observers.get(entry.kind, ()), *everyone):
                observer(entry)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _kilobytes(heap: str) -> int:
    unit = {"k": 1, "m": 1024}.get(heap[-1].lower())
    return max(1, int(heap[:-1]) * unit if unit else int(heap) // 1024)
