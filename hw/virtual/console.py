"""The board's serial console from outside: as a serial port of the same process, or as a pty for other
programs."""

from __future__ import annotations

import contextlib
import os
import time
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .board import Board
    from .world import World


class VirtualSerial:
    """What a host tool needs of a serial port, in virtual time: reading lets the world run.

    timeout: seconds of virtual time that `read` waits for the bytes it was asked for. step_s: how far the
    world runs before the answer is looked for; the finer, the more exact the instant of the next write."""

    def __init__(self, world: World, board: Board, timeout: float = 1.0, step_s: float = 0.005) -> None:
        self.world = world
        self.board = board
        self.timeout = timeout
        self.step_s = step_s
        self._in = bytearray()
        board.console_taps.append(self._in.extend)

    @property
    def in_waiting(self) -> int:
        return len(self._in)

    def write(self, data: bytes) -> int:
        """Bytes that arrive at the board now, one after the other at 115200 baud."""
        begin = self.world.time_s
        for i in range(0, len(data), 16):
            self.world.console_write(self.board, data[i : i + 16], at_s=begin + (i + 16) * 87e-6)
        return len(data)

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes: fewer when the time is over."""
        end = self.world.time_s + self.timeout
        while len(self._in) < size and self.world.time_s < end:
            self.world.run(min(end, self.world.time_s + self.step_s))
        out = bytes(self._in[:size])
        del self._in[:size]
        return out

    def reset_input_buffer(self) -> None:
        self._in.clear()

    def flush(self) -> None:
        """Nothing waits on this side."""

    def close(self) -> None:
        self.board.console_taps.remove(self._in.extend)


class PtyConsole:
    """A pseudo terminal that behaves as the board's USB serial port; `path` is what other programs open.

    The world runs no faster than `pace` times real time while `run` is at work: what arrives when depends on
    the other program, so such a run repeats in what happens, not in the bytes of its transcript."""

    def __init__(self, world: World, board: Board) -> None:
        self.world = world
        self.board = board
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._tap = self._out
        board.console_taps.append(self._tap)

    def _out(self, data: bytes) -> None:
        # Nobody reads: a serial line does not wait either.
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    def run(self, until_s: float, pace: float = 1.0, step_s: float = 0.02) -> None:
        """Let the world run to `until_s`, exchanging bytes at every step of virtual time."""
        begin, first = time.monotonic(), self.world.time_s
        while self.world.time_s < until_s:
            try:
                data = os.read(self._master, 4096)
            except BlockingIOError:
                data = b""
            if data:
                self.world.console_write(self.board, data)
            self.world.run(min(until_s, self.world.time_s + step_s))
            ahead = (self.world.time_s - first) / pace - (time.monotonic() - begin)
            if ahead > 0:
                time.sleep(ahead)

    def close(self) -> None:
        self.board.console_taps.remove(self._tap)
        os.close(self._master)
        os.close(self._slave)
