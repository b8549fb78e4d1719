"""The frames between a board's interpreter and the host, and the process behind them.

Board to host (fd 4): three little-endian 64-bit words and n payload bytes.

    word 0   operation (8 bits) | a << 8 (16 bits) | n << 24
    word 1   the board's time, microseconds since its boot on its own crystal
    word 2   x, an argument of the operation

Operation 0 is a filler: frames without an answer are collected and written in blocks of one size.

Host to board (fd 3): four words, n payload bytes, k interrupt records of one byte (the pin).

    word 0   the board's time when the call ends
    word 1   horizon: nothing outside can reach the board before this instant; until then it sleeps, reads its
             inputs and its clock without asking
    word 2   levels of the inputs, one bit per pin, true until the horizon
    word 3   n | k << 32 | flags << 40; flags: 1 refused (payload says how), 2 Ctrl-C, 4 console bytes wait,
             16 << i UART i has bytes

The flash is a memory file (fd 5) which the board reads by itself and changes only by asking. Text that C
code of the interpreter prints arrives on another pipe (fd 1 and 2) and is read when the board waits for an
answer, so that its place in the transcript does not depend on the host's scheduling."""

from __future__ import annotations

import os
import signal
import struct
import sys
from pathlib import Path
from typing import NamedTuple

HEAD = struct.Struct("<QqQ")
ANSWER = struct.Struct("<qqQQ")
FOREVER = 1 << 60

# Operations that are answered.
WAIT, BOOT, SPI, I2C, ADC, UART_READ, NVS, FLASH = (ord(c) for c in "ABsjaunf")
PARTS, RTC_READ, URANDOM, PRINTED, CON_WRITE, CON_READ = (ord(c) for c in "lgRCKh")
IMPORT, DEEPSLEEP, LIGHTSLEEP, EXIT, RESET, NETWORK, COST, ONEWIRE = (ord(c) for c in "IZzXQLE1")
# Operations that are not.
PIN_OUT, PIN_MODE, IRQ, SPI_WRITE, PWM, DAC = (ord(c) for c in "omiwpd")
UART_TX, UART_CONF, RTC_SET, RTC_WRITE, WAKE, KBD, MEMORY, WDT = (ord(c) for c in "tcrGekMW")
ONE_WAY = frozenset(ord(c) for c in "omiwpdtcrGekMW")

#: The integers a board gets at boot, in this order (`_vb.cfg`).
CONFIG = (
    "seed ticks_us pin_us spi_us bus_us turn_us gc_us gc_worst_us flash_read_us flash_read_ns_kb "
    "valid_pins output_pins wired_pins options rtc_us reset_cause wake_reason unique_id freq barrier_ms"
).split()


class Message(NamedTuple):
    op: int
    a: int
    t_us: int
    x: int
    data: bytes


def launcher(interpreter: str) -> list[str]:
    """The command that starts an interpreter with the least ado.

    The wheel's `micropython` is a Python script; the same without site packages starts in half the time.
    """
    path = Path(interpreter)
    try:
        first = path.read_bytes()[:4096]
    except OSError as e:
        raise FileNotFoundError(f"no MicroPython interpreter at {interpreter}") from e
    if first.startswith(b"#!") and b"micropython_unix" in first:
        import micropython_run  # type: ignore[import-not-found]  # the wheel's extension module

        where = str(Path(micropython_run.__file__).parent)
        code = (
            f"import sys; sys.path.append({where!r}); import micropython_run as m; "
            "a = ['micropython'] + sys.argv[1:]; sys.exit(m.run_main(a))"
        )
        return [sys.executable, "-I", "-S", "-c", code]
    return [str(path)]


_FOLDER_FD = 6


class Process:
    """One life of one board: from start to reset, deep sleep or power cut."""

    def __init__(self, command: list[str], port_dir: Path, fw_dir: Path | None, flash_fd: int) -> None:
        # Under names of constant length where the system has such names: the length of a path would move
        # the heap, the heap the collections, and they the time: the same seed would not give the same bytes.
        folders = [os.open(d, os.O_RDONLY) for d in (port_dir, fw_dir) if d is not None]
        names = [f"/proc/self/fd/{_FOLDER_FD + i}" for i in range(len(folders))]
        if not Path("/proc/self/fd").is_dir():
            names = [str(d) for d in (port_dir, fw_dir) if d is not None]
        command = [*command, names[1] if fw_dir is not None else "-"]
        to_r, to_w = os.pipe()
        from_r, from_w = os.pipe()
        out_r, out_w = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        # Duplicates lie above 9, so that no number wanted by the child is overwritten before it is used.
        high = [_high(fd) for fd in (to_r, from_w, out_w, null, flash_fd, *folders)]
        dup = os.POSIX_SPAWN_DUP2
        actions = [(dup, high[3], 0), (dup, high[2], 1), (dup, high[2], 2)]
        actions += [(dup, high[0], 3), (dup, high[1], 4), (dup, high[4], 5)]
        actions += [(dup, fd, _FOLDER_FD + i) for i, fd in enumerate(high[5:])]
        env = {"MICROPYPATH": names[0]}
        try:
            self.pid = os.posix_spawn(command[0], command, env, file_actions=actions)
        finally:
            for fd in (*high, to_r, from_w, out_w, null, *folders):
                os.close(fd)
        self.to_fd = to_w
        self.from_fd = from_r
        self.out_fd = out_r
        os.set_blocking(from_r, False)
        os.set_blocking(out_r, False)
        self._in = bytearray()
        self._at = 0
        self._out = b""
        self.ended = False

    def read(self) -> None:
        """Take what the board has sent so far; `ended` is set when it is gone."""
        try:
            chunk = os.read(self.from_fd, 1 << 16)
        except BlockingIOError:
            return
        if chunk:
            self._in += chunk
        else:
            self.ended = True

    def message(self) -> Message | None:
        """The next whole message, or None."""
        buf = self._in
        at = self._at
        while len(buf) - at >= 24:
            word, t_us, x = HEAD.unpack_from(buf, at)
            end = at + 24 + (word >> 24)
            if len(buf) < end:
                break
            self._at = at = end
            if word & 255:
                return Message(word & 255, word >> 8 & 0xFFFF, t_us, x, bytes(buf[end - (word >> 24) : end]))
        del buf[:at]
        self._at = 0
        return None

    def answer(self, now: int, horizon: int, pins: int, data: bytes, irqs: bytes, flags: int) -> None:
        head = ANSWER.pack(now, horizon, pins, len(data) | len(irqs) << 32 | flags << 40)
        try:
            rest = memoryview(head + data + irqs)
            while rest:
                rest = rest[os.write(self.to_fd, rest) :]
        except BrokenPipeError:
            self.ended = True

    def drain(self) -> None:
        """Take what C code has printed out of its pipe, so that the board does not block on it."""
        while True:
            try:
                chunk = os.read(self.out_fd, 1 << 16)
            except BlockingIOError:
                return
            if not chunk:
                return
            self._out += chunk

    def printed(self) -> bytes:
        """What C code has printed since the last call."""
        self.drain()
        out, self._out = self._out, b""
        return out

    def kill(self) -> bytes:
        """End the process at once; returns what it had printed. Safe to call twice."""
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            self.pid = 0
            out = self.printed()
            for fd in (self.to_fd, self.from_fd, self.out_fd):
                os.close(fd)
            return out
        return b""


def _high(fd: int) -> int:
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
