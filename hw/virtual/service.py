"""What happens to one board: its requests are served, it waits, wakes, sleeps, resets, loses power, dies."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Any

from . import ipc
from .board import DEEPSLEEP, WDT, Board
from .chips.base import Handle
from .flash import FlashRule, PowerCut
from .lines import NEVER, State
from .requests import SERVICES, Refused

#: How far a board may act by itself. Always that far, not as far as the others happen to have come: how often it
#: has to ask leaves traces on the interpreter's stack, where its collector finds them.
LOOK_US = 1000


class Violation(Exception):  # noqa: N818
    """A chip, the flash or the scenario was used wrongly: names part, time and rule; the run is over."""


class Server:
    """The part of a World that serves. What it calls and does not define is the rest of the world."""

    def __init__(self, hang_s: float) -> None:
        self.hang_s = hang_s
        self.now_us = 0  # of the call being served
        self.failed: str | None = None
        self.on_progress: Callable[[float], None] | None = None
        self._list: list[Board] = []
        self.moved: dict[int, Board] = {}  # by index: what the scheduler knows of them is old
        self._count = itertools.count()
        self._events: list[tuple[int, int, Handle]] = []  # of the world itself
        self._until = 0
        self._running = False
        self._fds: dict[int, Board] = {}
        self._cut: list[Board] = []

    def log(self, board: Board, kind: str, what: Any) -> None:
        raise NotImplementedError

    def fail(self, board: Board, text: str) -> None:
        raise NotImplementedError

    def violated(self, board: Board, text: str) -> None:
        raise NotImplementedError

    def power_on(self, board: Board | str, at_s: float | None = None) -> None:
        raise NotImplementedError

    def _reach(self, board: Board) -> int:
        raise NotImplementedError

    def at_us(self, t_us: int, fn: Callable[[], None]) -> None:
        """Call `fn` at an instant, not before where the run stands."""
        handle = Handle(max(t_us, self.now_us if self._running else self._until), fn)
        heapq.heappush(self._events, (handle.t_us, next(self._count), handle))

    def started(self, board: Board) -> None:
        assert board.process is not None
        self._fds[board.process.from_fd] = board
        board.last_seen = time.monotonic()

    def wake(self, board: Board) -> None:
        """Something happened that the waiting board has to see: it goes on at this instant."""
        board.until = min(board.until, self.now_us)

    def cut_soon(self, board: Board) -> None:
        self._cut.append(board)

    # the run

    def _serve(self, board: Board, m: ipc.Message, g: int) -> None:
        self.now_us = g
        if m.op in _PRINTS and board.process is not None:
            board.printed(board.process.printed())
        special = _SPECIAL.get(m.op)
        if special is not None:
            special(self, board, m)
            return
        try:
            data, cost = SERVICES[m.op](board, m)
            refused = 0
        except Refused as e:
            data, cost, refused = e.args[0].encode(), 0, 1
        except FlashRule as e:
            self.violated(board, f"flash: {e}")
            return
        except PowerCut:
            self._torn(board)
            return
        if m.op in ipc.ONE_WAY:
            return
        board.payload = data
        board.refused = refused
        self._wait(board, g + cost, 0)

    def _wait(self, board: Board, until: int, mode: int) -> None:
        board.account()
        board.state = State.WAITING
        board.until = until
        board.mode = mode

    def _op_wait(self, board: Board, m: ipc.Message) -> None:
        g = self.now_us
        board.payload = b""
        board.refused = 0
        self._wait(board, max(g, board.to_global(m.x)) if m.x < ipc.FOREVER >> 1 else NEVER, m.a)
        if m.a in (1, 2) and (board.irqs or board.ctrl_c):
            board.until = g

    def _op_boot(self, board: Board, m: ipc.Message) -> None:
        board.payload = board.config()
        board.refused = 0
        self._wait(board, self.now_us, 0)

    def _op_light(self, board: Board, m: ipc.Message) -> None:
        board.wake_reason = 4
        board.refused = 0
        self._wait(board, board.to_global(m.x) if m.x < ipc.FOREVER >> 1 else NEVER, 3)
        board.check_wake()

    def _op_deep(self, board: Board, m: ipc.Message) -> None:
        self._unplug(board)
        self.log(board, "sleep", m.x)
        board.stop(State.SLEEPING)
        us = m.x * 1000
        error = us * board.options.sleep_drift_ppm // 1_000_000
        board.until = self.now_us + us + error if m.x else NEVER
        board.rtc_us -= error
        board.mode = 3
        board.wake_reason = 4
        board.check_wake()

    def _op_reset(self, board: Board, m: ipc.Message) -> None:
        self.log(board, "reset", m.a)
        self._unplug(board)
        board.stop(State.OFF)
        board.start(m.a)

    def _op_exit(self, board: Board, m: ipc.Message) -> None:
        self._unplug(board)
        said = board.console[-30:]
        board.stop(State.REPL)
        if m.a:
            text = "\n".join(said[_traceback(said) :])
            self.fail(board, f"an exception left {board.command[-1]}:\n{text}")
        elif board.options.on_exit != "end":
            self.fail(board, f"{board.command[-1]} returned: the board sits at its prompt")
        self.log(board, "exit", m.a)
        if board.watchdog_us < NEVER:
            # The prompt does not feed it.
            self._arm(board)

    def _arm(self, board: Board) -> None:
        """A board that no longer feeds its watchdog is reset by it."""
        boots = board.boots

        def bite() -> None:
            if board.boots == boots and board.state is State.REPL:
                self.log(board, "reset", WDT)
                board.start(WDT)

        self.at_us(board.watchdog_us, bite)

    def _go_on(self, board: Board) -> None:
        """Answer a waiting board, or wake a sleeping one, at `now_us`."""
        g = self.now_us
        if board.state is State.SLEEPING:
            board.start(DEEPSLEEP)
            return
        process = board.process
        assert process is not None
        board.account()
        if board.mode == 3:
            board.payload = bytes([board.wake_reason])
        flags = board.refused | (4 if board.console_in else 0)
        if board.ctrl_c:
            flags |= 2
            board.ctrl_c = False
        for number, uart in board.uarts.items():
            if uart.rx:
                flags |= 16 << number
        irqs = bytes(board.irqs)
        board.irqs.clear()
        board.state = State.RUNNING
        board.bound = g
        horizon = min(self._reach(board), head(board.local_queue), self._until, g + LOOK_US)
        local = board.to_local(horizon) if horizon < NEVER else ipc.FOREVER
        process.answer(board.to_local(g), local, board.pins(), board.payload, irqs, flags)
        board.last_seen = time.monotonic()

    def _after(self) -> None:
        """What a served call left to be done."""
        if self.failed is not None:
            raise Violation(self.failed)
        while self._cut:
            board = self._cut.pop()
            if board.state is not State.OFF:
                self._torn(board)

    def _torn(self, board: Board) -> None:
        """The power went: dead at once; back after the scenario's time."""
        self._unplug(board)
        board.power_off()
        if board.options.restart_us is not None:
            self.power_on(board, (self.now_us + board.options.restart_us) / 1e6)

    def _died(self, board: Board) -> None:
        """The process ended without a word: killed from outside, or the interpreter crashed."""
        self.now_us = board.bound
        self._unplug(board)
        assert board.process is not None
        board.printed(board.process.printed())
        said = board.console[_traceback(board.console) :][-20:] if board.boot_us == board.bound else []
        self.fail(board, "\n".join(["the process was killed", *said]))
        if board.options.on_kill == "restart":
            self._torn(board)
        else:
            board.stop(State.REPL)

    def _unplug(self, board: Board) -> None:
        if board.process is not None:
            self._fds.pop(board.process.from_fd, None)


_PRINTS = frozenset((ipc.PRINTED, ipc.CON_WRITE, ipc.CON_READ, ipc.EXIT))
_SPECIAL: dict[int, Callable[[Server, Board, ipc.Message], None]] = {
    ipc.WAIT: Server._op_wait,
    ipc.BOOT: Server._op_boot,
    ipc.LIGHTSLEEP: Server._op_light,
    ipc.DEEPSLEEP: Server._op_deep,
    ipc.RESET: Server._op_reset,
    ipc.EXIT: Server._op_exit,
}


def head(queue: list[tuple[int, int, Handle]]) -> int:
    while queue and not queue[0][2].alive:
        heapq.heappop(queue)
    return queue[0][0] if queue else NEVER


def _traceback(lines: list[str]) -> int:
    starts = [i for i, line in enumerate(lines) if line.startswith("Traceback")]
    return starts[-1] if starts else 0
