"""The other end of a gateway's line: takes its records in, keeps, verifies, stores, and answers each.

Order of work for a record: capture file, verdict, store, and only then the answer. A gateway keeps a record
until it is answered, so what the disk refuses is sent again later and what is answered is on the disk.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from firmware.protocols import gwrecord
from firmware.protocols.cbor import WireError, decode
from host_tools import gwfile
from host_tools.answers import Answers
from host_tools.capture import CaptureWriter
from host_tools.commander import Command, Commander
from host_tools.errors import PeerError, ToolError, unwritable
from host_tools.frames import Frame
from host_tools.receiver import Outcome, Receiver
from host_tools.rows import Row, wire_to_unix_us
from host_tools.store import Notes, Store
from host_tools.verdict import Verified
from provisioning.keyring import Keyring

LATE_US = 600 * 1_000_000
FAR = 65536  # numbers: a jump of more is set apart (TRUST 2)
RELEASE_FRAMES = 3
RELEASE_US = 86400 * 1_000_000
MAX_CONNECTIONS = 16


def host_clock_us() -> int:
    return time.time_ns() // 1000


class LiveNotes:
    """Lateness and far jumps as live intake sees them: notes, never a verdict (TRUST 2)."""

    def __init__(self) -> None:
        self._highest: dict[tuple[bytes, int], int] = {}
        self._apart: dict[tuple[bytes, int], list[tuple[int, int]]] = {}

    def note(self, found: Verified | None, received_us: int, now_us: int) -> Notes:
        """Notes on a frame that was received at `received_us` and taken in at `now_us`."""
        if found is None:
            return Notes(now_us, now_us - received_us > LATE_US)
        key = (found.record.device, found.record.epoch)
        highest = self._highest.get(key, 0)
        late = found.seq < highest or now_us - received_us > LATE_US
        told = found.content.fields.get("time")
        if told is not None and found.purpose == 0:
            late = late or now_us - wire_to_unix_us(told * 1000) > LATE_US
        if found.seq > highest + FAR and not self._released(key, found.seq, received_us):
            return Notes(now_us, late, quarantine=True)
        self._highest[key] = max(highest, found.seq)
        return Notes(now_us, late)

    def _released(self, key: tuple[bytes, int], seq: int, received_us: int) -> bool:
        """True once three further frames with rising numbers came within 24 h of each other."""
        apart = [(s, t) for s, t in self._apart.get(key, []) if received_us - t <= RELEASE_US]
        if not apart or seq > apart[-1][0]:
            apart.append((seq, received_us))
        self._apart[key] = apart
        return len(apart) > RELEASE_FRAMES


class Intake:
    """Takes gateway records in, one at a time, from a socket or a file.

    side_path: where records go that cannot be read, as they came; beside the capture where not given.
    commander: answers devices where given. on_row: called with the row of each frame, as of then.
    clock_us: the store's own clock. append: go on with a capture that is there.
    """

    def __init__(
        self,
        keyrings: Iterable[Keyring],
        capture_path: Path | str,
        store_path: Path | str | None = None,
        commander: Commander | None = None,
        side_path: Path | str | None = None,
        on_row: Callable[[Row], None] | None = None,
        clock_us: Callable[[], int] = host_clock_us,
        append: bool = False,
    ) -> None:
        rings = list(keyrings)
        self.receiver = Receiver(rings, capped=True)
        self._capture = CaptureWriter(capture_path, append=append)
        self._side = Path(side_path) if side_path else Path(capture_path).with_name("unreadable.bin")
        self._store = Store(store_path) if store_path else None
        self._on_row = on_row
        self._clock_us = clock_us
        self._live = LiveNotes()
        # Records that are in the capture and that the store has not taken yet, with their time and outcome.
        self._pending: dict[tuple[bytes, int, int], tuple[Frame, Outcome, Notes]] = {}
        self._done: set[tuple[bytes, int, int]] = set()
        self._lock = threading.Lock()
        self.unreadable = 0
        self.repeated = 0
        if self._store is not None:
            self._store.know(rings)
            self.receiver.add_all(self._store.frames())
            self.receiver.accepted.clear()
        self.answers = Answers(commander, self.receiver) if commander else None

    def handle(self, data: bytes) -> bytes:
        """Take one record in and return the answer for its gateway.

        StoreError when capture or store refuse: nothing is answered then, the gateway sends the record again.
        """
        with self._lock:
            try:
                record = gwfile.parse(data)
            except WireError:
                self._set_aside(data)
                return bytes(gwrecord.pack_answer(_number_of(data), []))
            if record.key in self._done or (self._store is not None and self._store.has(record.key)):
                self.repeated += 1
                return bytes(gwrecord.pack_answer(record.number, []))
            outcome = self._take(record)
            downlinks = self._downlinks(outcome, record)
            return bytes(gwrecord.pack_answer(record.number, downlinks))

    def _take(self, record: gwfile.Record) -> Outcome:
        now_us = self._clock_us()
        if record.key not in self._pending:
            frame = record.frame(now_us)
            self._capture.write(frame)
            self._catch_up(now_us)
            outcome = self.receiver.add(frame, now_us)
            notes = self._live.note(outcome.verified, frame.time_us, now_us)
            self._pending[record.key] = frame, outcome, notes
        frame, outcome, notes = self._pending[record.key]
        if self._store is not None:
            self._store.put(frame, outcome, self.receiver.accepted, notes, record)
        self.receiver.accepted.clear()
        del self._pending[record.key]
        self._done.add(record.key)
        if self._on_row is not None:
            self._on_row(self.receiver.row(outcome))
        return outcome

    def _catch_up(self, now_us: int) -> None:
        """Verify what the cap held back, and store it."""
        self.receiver.tick(now_us)
        if self.receiver.accepted and self._store is not None:
            self._store.accept(self.receiver.accepted, Notes(now_us))
            self.receiver.accepted.clear()

    def _downlinks(self, outcome: Outcome, record: gwfile.Record) -> list[tuple[int, int, int, bytes, int]]:
        if self.answers is None:
            return []
        time_us = record.frame(self._clock_us()).time_us
        return [_downlink(c) for c in self.answers.after(outcome, time_us)]

    def _set_aside(self, data: bytes) -> None:
        self.unreadable += 1
        try:
            with self._side.open("ab") as f:
                f.write(bytes(gwrecord.prefixed(data[:0xFFFF])))
        except OSError as e:
            raise unwritable(self._side, e) from None

    def rows(self) -> list[Row]:
        with self._lock:
            self._catch_up(self._clock_us())
            return self.receiver.rows()

    def summary(self) -> dict[str, Any]:
        """The receiver's summary, and the records that could not be read or came twice."""
        with self._lock:
            self._catch_up(self._clock_us())
            found = self.receiver.summary()
        return found | {"unreadable_records": self.unreadable, "repeated_records": self.repeated}

    def close(self) -> None:
        with self._lock:
            self._capture.close()
            if self._store is not None:
                self._store.close()


def _downlink(command: Command) -> tuple[int, int, int, bytes, int]:
    # Window 1: the device listens one second after the end of its uplink.
    return command.tag, command.address, command.port, command.frame, 1


def _number_of(data: bytes) -> int:
    """The number of a record that is otherwise unreadable, 0 when not even that can be read."""
    try:
        items = decode(data, 0, None, 2, 64)
    except WireError:
        return 0
    number = items[3] if isinstance(items, list) and len(items) > 3 else 0
    return number if isinstance(number, int) and 0 <= number <= 0xFFFFFFFF else 0


class IntakeServer:
    """Listens for gateways on one address, in a thread of its own; `port` is known once it is made.

    on_error: told each kind of refusal once; without it, it goes to standard error as one line.
    """

    def __init__(
        self,
        intake: Intake,
        host: str = "127.0.0.1",
        port: int = 0,
        on_error: Callable[[ToolError], None] | None = None,
    ) -> None:
        self._intake = intake
        self._on_error = on_error
        self._told: set[str] = set()
        self._buffers: dict[socket.socket, bytearray] = {}
        self.error: ToolError | None = None
        try:
            self._listener = socket.create_server((host, port))
        except (OSError, OverflowError) as e:
            raise PeerError(f"cannot listen on {host}:{port}: {getattr(e, 'strerror', None) or e}") from None
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._wake_out, self._wake_in = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._thread: threading.Thread | None = None
        self._stopping = False

    def __str__(self) -> str:
        return str(self.port)

    def start(self) -> int:
        """Begin to listen in a thread; returns the port."""
        self._thread = threading.Thread(target=self.serve_forever, name="intake", daemon=True)
        self._thread.start()
        return self.port

    def stop(self) -> None:
        """End the thread and close every connection. What was answered is on the disk."""
        self._stopping = True
        self._wake_in.send(b"x")
        if self._thread is not None:
            self._thread.join()
        for connection in list(self._buffers):
            self._drop(connection)
        self._selector.close()
        for s in (self._listener, self._wake_in, self._wake_out):
            s.close()

    def __enter__(self) -> IntakeServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def serve_forever(self) -> None:
        """Serve until `stop`, in the calling thread."""
        while not self._stopping:
            for key, _ in self._selector.select():
                connection = key.fileobj
                if connection is self._listener:
                    self._accept()
                elif isinstance(connection, socket.socket) and connection is not self._wake_out:
                    self._serve(connection)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._buffers) >= MAX_CONNECTIONS:
            connection.close()
            return
        # Answers are small and the peer waits for them.
        connection.settimeout(5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffers[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ)

    def _serve(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        buffer = self._buffers[connection]
        buffer += data
        while len(buffer) >= 2:
            size = buffer[0] << 8 | buffer[1]
            if len(buffer) < size + 2:
                return
            record = bytes(buffer[2 : size + 2])
            del buffer[: size + 2]
            try:
                connection.sendall(bytes(gwrecord.prefixed(self._intake.handle(record))))
            except OSError:
                self._drop(connection)
                return
            except ToolError as e:
                # Without an answer the gateway keeps the record and comes again.
                self._tell(e)
                self._drop(connection)
                return
            except Exception as e:
                # A defect here must not end the intake of every other record.
                self._tell(ToolError(f"a record could not be taken in: {e!r}"))
                self._drop(connection)
                return

    def _tell(self, error: ToolError) -> None:
        self.error = error
        if str(error) in self._told:
            return
        self._told.add(str(error))
        if self._on_error is not None:
            self._on_error(error)
        else:
            print(f"lanterne: {error}", file=sys.stderr)

    def _drop(self, connection: socket.socket) -> None:
        self._buffers.pop(connection, None)
        self._selector.unregister(connection)
        connection.close()
