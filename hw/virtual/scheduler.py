"""The run of a world: which board may go on, and in which order what they share is served.

Conservative discrete-event simulation. Every board has a bound, the instant before which it will not act. A
request or event that touches what boards share is done when its key (time, kind, board) is below that of all
others; a waiting board goes on when nothing another board does can reach it before. Everything else happens
as soon as the host's cores allow, in an order that nobody can see from inside."""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable

from . import ipc
from .board import Board
from .lines import NEVER, State
from .requests import shared
from .service import Server, head

Key = tuple[int, int, int, int]
Lows = tuple[tuple[int, int], tuple[int, int]]


class Scheduler(Server):
    """The part of a World that moves time."""

    _lows: tuple[Lows, Lows] | None = None

    @property
    def time_s(self) -> float:
        """Where the run stands: everything before has happened."""
        return self._until / 1e6

    def _flush(self, before_us: int) -> None:
        raise NotImplementedError

    def run(self, until_s: float) -> None:
        """Let virtual time pass up to `until_s` (of virtual time, not from now). May be called again to go
        on.

        Violation when a model saw a wrong use. Failures of boards do not end the run: see `failures`.
        """
        self._until = max(self._until, int(until_s * 1e6))
        progress = 0
        steps = 0
        self._running = True
        try:
            while self._step():
                steps += 1
                if steps & 63:
                    continue
                low = self._low()
                self._flush(low)
                if self.on_progress is not None and low >= progress:
                    progress = low + 60_000_000
                    self.on_progress(low / 1e6)
        finally:
            self._running = False
            if self.failed is None:
                self._flush(self._until)
        for board in self._list:
            self.now_us = self._until
            board.account()

    def run_for(self, seconds: float) -> None:
        """`run` for so long from where the run stands."""
        self.run(self.time_s + seconds)

    def _step(self) -> bool:
        """Something that can be done now; False when all boards stand at the end of the run."""
        busy = False
        running = []
        self._lows = None
        for board in self._list:
            if board.state is State.RUNNING:
                busy |= self._messages(board)
            else:
                busy |= self._release(board)
            if board.state is State.RUNNING:
                running.append(board)
        if busy:
            return True
        key, act = self._first()
        if act is not None and key[0] <= self._until:
            if all((b.bound, 1, b.index, 0) > key for b in running):
                act()
                self._after()
                return True
        elif not running:
            return False
        if len(running) == 1:
            self._alone(running[0], key[0])
        else:
            self._listen(running)
        return True

    def _alone(self, board: Board, limit: int) -> None:
        """Serve the only running board as long as nothing else is due before `limit`, without looking at the
        others at each step."""
        limit = min(limit, self._until)
        self._listen([board])
        while board.state is State.RUNNING and board.process is not None:
            m = board.process.message()
            if m is None:
                if board.process.ended:
                    return
                if board.bound >= limit:
                    return
                self._listen([board])
                continue
            g = board.to_global(m.t_us)
            board.bound = max(board.bound, g)
            if m.op == ipc.PROMISE:
                continue
            if g >= limit:
                board.state = State.ASKED
                board.message, board.message_us = m, g
                return
            touches = shared(board, m)
            if touches or self._waits(board, m, g):
                if head(board.shared_queue) <= g:
                    board.state = State.ASKED
                    board.message, board.message_us = m, g
                    return
                limit = -1  # its turn; afterwards the others have to be looked at
                self._lows = None
            self._local(board, g)
            self._serve(board, m, g)
            self._after()
            self._release(board)

    def _first(self) -> tuple[Key, Callable[[], None] | None]:
        """The earliest thing that needs the global order, and how to do it."""
        best: Key = (NEVER, 0, 0, 0)
        act: Callable[[], None] | None = None
        while self._events and not self._events[0][2].alive:
            heapq.heappop(self._events)
        if self._events:
            t, n, _ = self._events[0]
            best, act = (t, -1, 0, n), self._world_event
        for board in self._list:
            queue = board.shared_queue
            while queue and not queue[0][2].alive:
                heapq.heappop(queue)
            if queue:
                t, n, _ = queue[0]
                if (t, 0, board.index, n) < best:
                    best = (t, 0, board.index, n)
                    act = lambda b=board: self._shared_event(b)  # noqa: E731
            if board.state is State.ASKED:
                key = (board.message_us, 1, board.index, 0)
            elif board.waits:
                key = (min(board.until, head(board.local_queue)), 1, board.index, 0)
            else:
                key = (
                    (head(board.local_queue), 1, board.index, 0) if board.state in _IDLE else (NEVER, 1, 0, 0)
                )
            if key < best:
                best = key
                act = lambda b=board: self._turn(b)  # noqa: E731
        return best, act

    def _world_event(self) -> None:
        t, _, handle = heapq.heappop(self._events)
        self.now_us = t
        handle.alive = False
        handle.fn()

    def _shared_event(self, board: Board) -> None:
        t, _, handle = heapq.heappop(board.shared_queue)
        self._local(board, t)
        self.now_us = t
        handle.alive = False
        handle.fn()

    def _turn(self, board: Board) -> None:
        """It is this board's turn in the global order."""
        if board.state is State.ASKED:
            m, g = board.message, board.message_us
            assert m is not None
            self._local(board, g)
            board.message = None
            board.state = State.RUNNING
            board.bound = g
            self._serve(board, m, g)
            return
        t = min(board.until, head(board.local_queue)) if board.state not in _IDLE else head(board.local_queue)
        self._local(board, t)
        if board.state not in _IDLE and board.until <= t:
            self._go_on(board)

    def _local(self, board: Board, t: int) -> None:
        """Make the calls of the board's own chips that are due by t, or up to the one that wakes it."""
        queue = board.local_queue
        while queue and queue[0][0] <= t:
            due, _, handle = heapq.heappop(queue)
            if handle.alive:
                self.now_us = due
                handle.alive = False
                handle.fn()
                if board.waits:
                    t = min(t, board.until)
        self.now_us = t

    def _release(self, board: Board) -> bool:
        """Let a waiting board go on if nothing another board does can reach it before."""
        if not board.waits:
            return False
        reach = min(self._reach(board), self._until)
        queue = board.local_queue
        while queue and queue[0][0] <= board.until and queue[0][0] < reach:
            self._local(board, queue[0][0])
            self._after()
            if not board.waits:
                return True
            reach = min(self._reach(board), self._until)
        if board.until < reach:
            self.now_us = board.until
            self._go_on(board)
            self._after()
            return True
        return False

    def _reach(self, board: Board) -> int:
        """Before this instant, nothing but its own chips' local calls can reach the board."""
        at = min(head(board.shared_queue), head(self._events))
        if any(c.receptive for c in board.shared_chips):
            latency = min(c.latency_us for c in board.shared_chips)
            queues, bounds = self._lowest()
            at = min(at, queues[queues[0][1] == board.index][0])
            at = min(at, bounds[bounds[0][1] == board.index][0] + latency)
        return at

    def _lowest(self) -> tuple[Lows, Lows]:
        """The two lowest heads of shared queues and the two lowest bounds, each with its board's index.

        Made once a step: until something shared happens, which ends the step, boards only move on, so that what
        was lowest is at most too low.
        """
        if self._lows is None:
            far = (NEVER, -1)
            queues, bounds = (far, far), (far, far)
            for board in self._list:
                q = (head(board.shared_queue), board.index)
                if q < queues[1]:
                    queues = (q, queues[0]) if q < queues[0] else (queues[0], q)
                b = (self._bound(board), board.index)
                if b < bounds[1]:
                    bounds = (b, bounds[0]) if b < bounds[0] else (bounds[0], b)
            self._lows = (queues, bounds)
        return self._lows

    def _bound(self, board: Board) -> int:
        """The board will not act before this instant."""
        if board.state is State.RUNNING:
            return board.bound
        if board.state is State.ASKED:
            return board.message_us
        if board.waits:
            return min(board.until, head(board.local_queue))
        return head(board.local_queue)

    def _low(self) -> int:
        """All that happens before this instant has happened."""
        low = min(self._until, head(self._events))
        for board in self._list:
            low = min(low, self._bound(board), head(board.shared_queue))
        return low

    # one board

    def _messages(self, board: Board) -> bool:
        """Serve what has arrived from a board, as far as it goes without waiting for others."""
        served = False
        while board.state is State.RUNNING:
            process = board.process
            assert process is not None
            m = process.message()
            if m is None:
                if process.ended:
                    self._died(board)
                    return True
                return served
            served = True
            g = board.to_global(m.t_us)
            board.bound = max(board.bound, g)
            if m.op == ipc.PROMISE:
                continue
            if g >= self._until or self._waits(board, m, g):
                board.state = State.ASKED
                board.message, board.message_us = m, g
                return True
            self._local(board, g)
            self._serve(board, m, g)
            self._after()
        return served

    def _waits(self, board: Board, m: ipc.Message, g: int) -> bool:
        if head(self._events) <= g:
            return True
        if not board.shared_chips:
            return False
        return head(board.shared_queue) <= g or shared(board, m) or (m.op not in _HARMLESS and _open(board))

    def _listen(self, running: list[Board]) -> None:
        poll = select.poll()
        for board in running:
            assert board.process is not None
            poll.register(board.process.from_fd, select.POLLIN)
        ready = poll.poll(min(1000, self.hang_s * 500))
        for fd, _ in ready:
            board = self._fds[fd]
            if board.process is not None:
                board.process.read()
                board.last_seen = time.monotonic()
        if not ready:
            self._look_for_stuck(running)

    def _look_for_stuck(self, running: list[Board]) -> None:
        now = time.monotonic()
        for board in running:
            if board.process is not None:
                board.process.drain()
            if now - board.last_seen > self.hang_s:
                self.now_us = board.bound
                self._unplug(board)
                self.fail(board, f"stuck: computed {self.hang_s:g} s of real time in no virtual time")
                board.stop(State.REPL)
                if board.watchdog_us < NEVER:
                    self._arm(board)


_IDLE = (State.OFF, State.REPL)
#: No answer depends on them, so they need no turn even while the radio listens.
_HARMLESS = frozenset((ipc.MEMORY, ipc.KBD, ipc.WDT, ipc.RTC_SET, ipc.RTC_WRITE))


def _open(board: Board) -> bool:
    return any(c.receptive for c in board.shared_chips)
