"""Records of our own gateway as target (firmware/protocols/gwrecord.py): over TCP as `lanterne capture tcp:` takes
them, and over a serial line.

A gateway keeps a record until it is answered, and after a break sends it again: so does this. The name of a
record, (gateway, boot, number), follows from the seed and the frame's number, so that who has it takes it once.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from firmware.protocols import gwrecord
from firmware.protocols.cbor import WireError
from host_tools.errors import PeerError
from host_tools.frames import Frame
from host_tools.rows import unix_us_to_wire_ms
from host_tools.sources import need
from host_tools.targets.base import Downlinks, Ledger, Unfit, check_air

if TYPE_CHECKING:
    from host_tools.targets import Options

# Chosen: as many records may wait for their answer; after so long without any answer at all, a serial line
# counts as one that nobody answers on.
WINDOW = 16
DEAF_S = 1.0
_STEPS_S = (0.1, 0.2, 0.5, 1.0, 2.0)


class Line(Protocol):
    """One connection. Both raise OSError where it is gone."""

    def write(self, data: bytes) -> None: ...

    def read(self) -> bytes:
        """Some bytes, b"" after a while without any."""

    def close(self) -> None: ...


def record(number: int, frame: Frame, gateway: bytes, boot: int) -> bytes:
    """The record of a frame with its length ahead; Unfit. What is not known is the least the record can say."""
    check_air(frame)
    radio = frame.radio
    time_ms = unix_us_to_wire_ms(frame.time_us) if frame.time_us else 0
    known = time_ms > 0
    counter = frame.time_us if radio.counter_us is None else radio.counter_us
    try:
        made = gwrecord.pack(
            frame.gateway or gateway,
            boot,
            number & 0xFFFFFFFF,
            time_ms if known else 0,
            2 if known else 0,
            counter & 0xFFFFFFFF,
            max(radio.freq_hz, 1),
            max(radio.sf, 5),
            max(radio.bw_hz, 1),
            min(max(round(radio.rssi_qdbm / 4), -200), 50),
            min(max(radio.snr_qdb, -200), 200),
            frame.data,
        )
    except WireError as e:
        raise Unfit(str(e.args[0])) from None
    return bytes(gwrecord.prefixed(made))


class _Records:
    """Records over a line that may break: those without an answer are kept, and sent again on the next one."""

    live = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self.ledger = Ledger()
        self._downlinks = Downlinks()
        self._kept: dict[int, bytes] = {}
        self._line: Line | None = None
        self._reader: threading.Thread | None = None
        self._broken = threading.Event()
        self._lock = threading.Lock()
        self._closing = False
        self._answered = False
        self._one_way = False
        self._seen: Counter[str] = Counter()
        # When it last went on: an answer came, or the first connection was made. Tries since then.
        self._moved_at = 0.0
        self._tries = 0

    # Of each kind

    name = ""
    must_answer = True

    def _connect(self) -> Line:
        """OSError where nobody is there."""
        raise NotImplementedError

    # Shared

    def open(self) -> None:
        try:
            self._start(self._connect())
            self._moved_at = time.monotonic()
        except OSError as e:
            raise PeerError(f"cannot reach {self.name}: {e.strerror or e}") from None

    def _start(self, line: Line) -> None:
        self._broken.clear()
        self._line = line
        self._reader = threading.Thread(target=self._read, args=(line,), name="records", daemon=True)
        self._reader.start()

    def send(self, number: int, frame: Frame) -> None:
        made = record(number, frame, self._options.gateway, self._options.seed & 0xFFFFFFFF)

        def ready() -> bool:
            return self._room() or self._broken.is_set()

        if not self.ledger.wait(ready, DEAF_S):
            self._deaf()
            if not self.ledger.wait(ready, self._options.patience_s):
                raise PeerError(f"{self.name} takes records and answers none of them")
        with self._lock:
            self._kept[number & 0xFFFFFFFF] = made
        self.ledger.sent(number)
        if self._broken.is_set():
            self._mend()
        else:
            self._write(made)

    def _room(self) -> bool:
        return self._one_way or self.ledger.waiting < WINDOW

    def _deaf(self) -> None:
        """The window is full and nothing moves."""
        if not self.must_answer and not self._answered:
            self._one_way = True
            self._options.tell(f"{self.name} answers no record; sending on without answers")
        else:
            self._options.tell(f"{self.name} is slow; waiting for its answers")

    def _write(self, data: bytes) -> None:
        line = self._line
        try:
            if line is not None:
                line.write(data)
        except OSError:
            self._broken.set()
            self._mend()

    def _mend(self) -> None:
        """Connect again and send what has no answer, in its order; PeerError after `patience_s` without any."""
        self._options.tell(f"{self.name} is gone; connecting again")
        while not self._closing:
            self._drop()
            if self._tries:
                time.sleep(_STEPS_S[min(self._tries, len(_STEPS_S)) - 1])
            elif time.monotonic() - self._moved_at > self._options.patience_s:
                # It was just quiet.
                self._moved_at = time.monotonic()
            self._tries += 1
            try:
                self._start(self._connect())
                with self._lock:
                    kept = list(self._kept.items())
                for number, data in kept:
                    assert self._line is not None
                    self.ledger.sent(number)
                    self._line.write(data)
                self._seen["reconnections"] += 1
                self._options.tell(f"connected to {self.name} again, {len(kept)} frames sent again")
                return
            except OSError:
                pass
            if time.monotonic() - self._moved_at > self._options.patience_s:
                raise PeerError(f"{self.name} is gone and did not come back")

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(2)
        self._line = None

    def _read(self, line: Line) -> None:
        inbox = bytearray()
        while not self._closing and self._line is line:
            try:
                data = line.read()
            except OSError:
                self._broken.set()
                return
            inbox += data
            while len(inbox) >= 2 and len(inbox) >= (inbox[0] << 8 | inbox[1]) + 2:
                size = inbox[0] << 8 | inbox[1]
                self._answer(bytes(inbox[2 : size + 2]))
                del inbox[: size + 2]

    def _answer(self, data: bytes) -> None:
        try:
            number, downlinks = gwrecord.parse_answer(data)
        except WireError:
            self._seen["unreadable"] += 1
            return
        with self._lock:
            self._kept.pop(number, None)
        self._answered = True
        self._moved_at, self._tries = time.monotonic(), 0
        if not self.ledger.acked(number):
            self._seen["unasked_answer"] += 1
        for tag, address, port, _, window in downlinks:
            # The protocol has no word for what became of a downlink, so no fault can change it.
            found = self._options.answers.next()
            if found.error or found.late_ms:
                self._seen["answer_faults_without_effect"] += 1
            self._downlinks.add(
                self._options.answers.count, "none", 0, tag=tag, address=address, port=port, window=window
            )

    def settle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.ledger.waiting and time.monotonic() < end:
            if self._broken.is_set():
                self._mend()
            rest = min(end - time.monotonic(), DEAF_S if self._one_way or not self.must_answer else seconds)
            self.ledger.wait(lambda: not self.ledger.waiting or self._broken.is_set(), rest)
            if not self.must_answer and not self._answered:
                return

    def close(self) -> None:
        self._closing = True
        self._drop()

    def told(self) -> dict[str, Any]:
        seen = {name: count for name, count in sorted(self._seen.items()) if count}
        return {**seen, **({"one_way": True} if self._one_way else {}), **self._downlinks.told()}


class _Socket:
    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(0.2)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        # A full line blocks: that is how the receiver says it is behind.
        while view:
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError:
                continue

    def read(self) -> bytes:
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionResetError("the connection was closed")
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class TcpTarget(_Records):
    """tcp:HOST:PORT."""

    def __init__(self, host: str, port: int, options: Options) -> None:
        super().__init__(options)
        self._where = (host, port)
        self.name = f"{host}:{port}"

    def _connect(self) -> Line:
        return _Socket(*self._where)


class _Serial:
    def __init__(self, module: Any, port: str, baud: int) -> None:
        # Neither line may reset a board that is at the other end.
        self._port = module.Serial()
        self._port.port, self._port.baudrate = port, baud
        self._port.timeout, self._port.write_timeout = 0.2, 10
        self._port.dtr = self._port.rts = False
        self._port.open()

    def write(self, data: bytes) -> None:
        self._port.write(data)

    def read(self) -> bytes:
        try:
            return bytes(self._port.read(max(1, self._port.in_waiting)))
        except TypeError:
            # pyserial, while another thread closes the port.
            raise OSError("the port was closed") from None

    def close(self) -> None:
        self._port.close()


class SerialTarget(_Records):
    """serial:PORT. A receiver that answers is waited for; one that never does is sent to all the same."""

    must_answer = False

    def __init__(self, port: str, baud: int, options: Options) -> None:
        super().__init__(options)
        self._where = (port, baud)
        self.name = port

    def _connect(self) -> Line:
        return _Serial(need("serial"), *self._where)
