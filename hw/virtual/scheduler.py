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
from .ranking import Ranking, Row
from .requests import shared
from .service import LOOK_US, Server, head

Key = tuple[int, int, int, int]
_FAR: Row = (NEVER, -1)


class Scheduler(Server):
    """The part of a World that moves time."""

    def __init__(self, hang_s: float) -> None:
        super().__init__(hang_s)
        # By the instant before which the board will not act: those that compute, those that wait and can be
        # reached by others, and the rest. And by the next call of a shared chip.
        self._computing, self._reachable, self._rest = Ranking(), Ranking(), Ranking()
        self._calls = Ranking()
        self._latency_us = 0  # the longest of a board's shared chips
        self._look: dict[int, Board] = {}  # may have sent something

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

    def _settle(self) -> None:
        """Bring the rankings up to date with the boards that moved."""
        while self.moved:
            index, board = self.moved.popitem()
            self._look[index] = board
            mine = self._rest
            if board.state is State.RUNNING:
                mine = self._computing
            elif board.waits and _open(board):
                mine = self._reachable
                self._latency_us = max(self._latency_us, _latency_us(board))
            for ranking in (self._computing, self._reachable, self._rest):
                if ranking is mine:
                    ranking.put(index, self._bound(board))
                else:
                    ranking.drop(index)
            self._calls.put(index, head(board.shared_queue))

    def _step(self) -> bool:
        """Something that can be done now; False when all boards stand at the end of the run."""
        busy = False
        self._settle()
        look, self._look = self._look, {}
        for index in sorted(look):
            if look[index].state is State.RUNNING:
                busy |= self._messages(look[index])
        for index in self._candidates():
            busy |= self._release(self._list[index])
        if busy:
            return True
        key, act = self._first()
        running = [self._list[index] for _, index in self._computing.rows]
        if act is not None and key[0] <= self._until:
            if not running or (running[0].bound, 1, running[0].index, 0) > key:
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

    def _candidates(self) -> list[int]:
        """The boards that may be able to go on, by the bounds as they are."""
        self._settle()
        lowest = self._bounds()[0][0]
        # The reach of the lowest board itself is that of the next one.
        found = self._reachable.before(lowest + self._latency_us) or [i for _, i in self._reachable.rows[:1]]
        return found + self._rest.before(min(head(self._events), self._until))

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
        call, turn = self._next_call(), self._next_turn()
        if call[0] < NEVER:
            board = self._list[call[1]]
            key = (call[0], 0, board.index, board.shared_queue[0][1])
            if key < best:
                best, act = key, lambda b=board: self._shared_event(b)
        if turn[0] < NEVER and (turn[0], 1, turn[1], 0) < best:
            board = self._list[turn[1]]
            best, act = (turn[0], 1, turn[1], 0), lambda b=board: self._turn(b)
        return best, act

    def _next_call(self) -> Row:
        """The first call of a shared chip. A call that was taken back may still be in the ranking."""
        while True:
            self._settle()
            row = min(self._calls.rows[:1], default=_FAR)
            if row is _FAR or head(self._list[row[1]].shared_queue) == row[0]:
                return row
            self.moved[row[1]] = self._list[row[1]]

    def _next_turn(self) -> Row:
        """The first board that does not compute; as above."""
        while True:
            self._settle()
            row = min(self._reachable.rows[:1] + self._rest.rows[:1], default=_FAR)
            if row is _FAR or self._bound(self._list[row[1]]) == row[0]:
                return row
            self.moved[row[1]] = self._list[row[1]]

    def _world_event(self) -> None:
        t, _, handle = heapq.heappop(self._events)
        self.now_us = t
        handle.alive = False
        handle.fn()

    def _shared_event(self, board: Board) -> None:
        t, _, handle = heapq.heappop(board.shared_queue)
        self.moved[board.index] = board
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
        if queue:
            self.moved[board.index] = board
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
        if board.until + LOOK_US <= reach:
            self.now_us = board.until
            self._go_on(board)
            self._after()
            return True
        return False

    def _reach(self, board: Board) -> int:
        """Before this instant, nothing but its own chips' local calls can reach the board."""
        at = min(head(board.shared_queue), head(self._events))
        if _open(board):
            self._settle()
            calls = (*self._calls.rows[:2], _FAR, _FAR)
            bounds = self._bounds()
            at = min(at, calls[calls[0][1] == board.index][0])
            at = min(at, bounds[bounds[0][1] == board.index][0] + _latency_us(board))
        return at

    def _bounds(self) -> list[Row]:
        """The two lowest bounds, each with its board's index."""
        rows = (*self._computing.rows[:2], *self._reachable.rows[:2], *self._rest.rows[:2], _FAR, _FAR)
        return sorted(rows)[:2]

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
        self._settle()
        calls = min(self._calls.rows[:1], default=_FAR)
        return min(self._until, head(self._events), self._bounds()[0][0], calls[0])

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
                self._look[board.index] = board
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


def _latency_us(board: Board) -> int:
    return min(c.latency_us for c in board.shared_chips)
