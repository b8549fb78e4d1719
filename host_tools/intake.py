"""The other end of a gateway's line: takes its records in, keeps, verifies, stores, and answers each.

Order of work for a record: capture file, verdict, store, and only then the answer. A gateway keeps a record
until it is answered, so what the disk refuses is sent again later and what is answered is on the disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from firmware.protocols import gwrecord
from firmware.protocols.cbor import WireError, decode
from host_tools.answers import Answers
from host_tools.commander import Command, Commander
from host_tools.errors import ToolError, unwritable
from host_tools.formats.gwrecord import Heard
from host_tools.formats.gwrecord import parse as parse_record
from host_tools.frames import Frame
from host_tools.frames import Record as Piece
from host_tools.listener import IntakeServer
from host_tools.receiver import Outcome, Receiver
from host_tools.rotation import CaptureFiles
from host_tools.rows import Row, wire_to_unix_us
from host_tools.store import Accepted, Notes, Store
from host_tools.verdict import Verified
from provisioning.files import locked
from provisioning.keyring import Keyring

__all__ = ["Intake", "IntakeServer", "LiveNotes", "host_clock_us"]

LATE_US = 600 * 1_000_000
FAR = 65536  # numbers: a jump of more is set apart (TRUST 2)
RELEASE_FRAMES = 3
RELEASE_US = 86400 * 1_000_000
# Bytes of unreadable records that are kept; more are counted only, or anyone could fill the disk.
MAX_SIDE = 16 << 20

# (gateway, boot, number, SHA-256 of the frame): a gateway that lost its memory counts from the start again.
_Record = tuple[bytes, int, int, bytes]


def host_clock_us() -> int:
    return time.time_ns() // 1000


class LiveNotes:
    """Lateness and far jumps as live intake sees them: notes, never a verdict (TRUST 2).

    highest: the highest number known before, by (tenant, device, epoch).
    """

    def __init__(self, highest: dict[tuple[bytes, bytes, int], int] | None = None) -> None:
        self._highest = dict(highest or {})
        self._apart: dict[tuple[bytes, bytes, int], list[tuple[int, int]]] = {}

    def note(self, found: Verified | None, received_us: int, now_us: int) -> Notes:
        """Notes on a frame that was received at `received_us` and taken in at `now_us`."""
        if found is None:
            return Notes(now_us, now_us - received_us > LATE_US)
        key = (found.record.tenant, found.record.device, found.record.epoch)
        highest = self._highest.get(key, 0)
        late = found.seq < highest or now_us - received_us > LATE_US
        told = found.content.fields.get("time")
        if told is not None and found.purpose == 0:
            late = late or now_us - wire_to_unix_us(told * 1000) > LATE_US
        if found.seq > highest + FAR and not self._released(key, found.seq, received_us):
            return Notes(now_us, late, quarantine=True)
        self._highest[key] = max(highest, found.seq)
        return Notes(now_us, late)

    def _released(self, key: tuple[bytes, bytes, int], seq: int, received_us: int) -> bool:
        """True once three further frames with rising numbers came within 24 h of each other."""
        apart = [(s, t) for s, t in self._apart.get(key, []) if received_us - t <= RELEASE_US]
        if not apart or seq > apart[-1][0]:
            apart.append((seq, received_us))
        self._apart[key] = apart
        return len(apart) > RELEASE_FRAMES


class Intake:
    """Takes gateway records in, one at a time, from a socket or a file.

    capture: a file, or what begins files that follow each other. side_path: where records go that cannot be read,
    as they came; beside the capture where not given.
    commander: answers devices where given. on_row: called with the row of each frame, as of then.
    clock_us: the store's own clock. append: go on with a capture that is there.
    """

    def __init__(
        self,
        keyrings: Iterable[Keyring],
        capture: Path | str | Callable[[], CaptureFiles],
        store_path: Path | str | None = None,
        commander: Commander | None = None,
        side_path: Path | str | None = None,
        on_row: Callable[[Row], None] | None = None,
        clock_us: Callable[[], int] = host_clock_us,
        append: bool = False,
    ) -> None:
        rings = list(keyrings)
        self.receiver = Receiver(rings, capped=True)
        self._on_row = on_row
        self._clock_us = clock_us
        # Records that are in the capture and that the store has not taken yet, with their time and outcome.
        self._pending: dict[_Record, tuple[Frame, Outcome, Notes]] = {}
        self._done: set[_Record] = set()
        # What was verified of them, or by them.
        self._unstored: list[Accepted] = []
        self._refused: set[_Record] = set()
        self._lock = threading.Lock()
        self.unreadable = 0
        self.repeated = 0
        # What `on_row` raised, after which it is not called any more.
        self.row_error: Exception | None = None
        with ExitStack() as opened:
            # The capture last: a place that refuses leaves no empty one behind.
            self._store = opened.enter_context(_alone(store_path)) if store_path else None
            highest: dict[tuple[bytes, bytes, int], int] = {}
            if self._store is not None:
                self._store.know(rings)
                self.receiver.add_all(self._store.frames())
                self.receiver.accepted.clear()
                highest = self._store.highest()
            self._live = LiveNotes(highest)
            files = capture() if callable(capture) else CaptureFiles(capture, append=append)
            self._capture = opened.enter_context(files)
            self._side = Path(side_path) if side_path else files.folder / "unreadable.bin"
            self._opened = opened.pop_all()
        self.answers = Answers(commander, self.receiver) if commander else None

    def handle(self, data: bytes) -> bytes:
        """Take one record in and return the answer for its gateway.

        StoreError when capture or store refuse: nothing is answered then, the gateway sends the record again.
        """
        with self._lock:
            try:
                record = parse_record(data)
            except WireError:
                self._set_aside(data)
                return bytes(gwrecord.pack_answer(_number_of(data), []))
            name = (*record.key, sha256(record.data).digest())
            if name in self._done or (self._store is not None and self._store.has(record)):
                self.repeated += 1
                return bytes(gwrecord.pack_answer(record.number, []))
            try:
                frame, outcome = self._take(record, name, data)
            except ToolError:
                self._refused.add(name)
                raise
            self._refused.discard(name)
            self._show(outcome)
            downlinks = self.answers.after(outcome, frame.time_us) if self.answers else []
            return bytes(gwrecord.pack_answer(record.number, [self._downlink(c) for c in downlinks]))

    def _downlink(self, command: Command) -> tuple[int, int, int, bytes, int]:
        """0: as soon as there is airtime. 1: a device that sleeps listens one second after its uplink only."""
        found = self.answers is not None and self.answers.listens(command.device)
        return command.tag, command.address, command.port, command.frame, 0 if found else 1

    @property
    def refused(self) -> int:
        """Records that capture or store refused and that did not come again since."""
        return len(self._refused)

    def _take(self, record: Heard, name: _Record, data: bytes) -> tuple[Frame, Outcome]:
        now_us = self._clock_us()
        if name not in self._pending:
            self._catch_up(now_us)
            frame = record.frame(now_us)
            self._capture.add(Piece(bytes(gwrecord.prefixed(data)), (frame,)), "gwrecord")
            outcome = self.receiver.add(frame, now_us)
            notes = self._live.note(outcome.verified, frame.time_us, now_us)
            self._pending[name] = frame, outcome, notes
        frame, outcome, notes = self._pending[name]
        if self._store is not None:
            self._unstored += self.receiver.accepted
            self.receiver.accepted.clear()
            self._unstored = self._store.put(frame, outcome, self._unstored, notes, record)
        else:
            # Then the capture alone must survive a power cut. The store, where there is one, does.
            self._capture.sync()
            self._done.add(name)
        del self._pending[name]
        return frame, outcome

    def _show(self, outcome: Outcome) -> None:
        if self._on_row is None or self.row_error is not None:
            return
        try:
            self._on_row(self.receiver.row(outcome))
        except Exception as e:
            # Who looks on must not stop the intake.
            self.row_error = e

    def _catch_up(self, now_us: int) -> None:
        """Verify what the cap held back, and store it."""
        self.receiver.tick(now_us)
        if self.receiver.accepted and self._store is not None:
            self._unstored += self.receiver.accepted
            self.receiver.accepted.clear()
            self._unstored = self._store.accept(self._unstored, Notes(now_us))
        self.receiver.accepted.clear()

    def _set_aside(self, data: bytes) -> None:
        self.unreadable += 1
        try:
            with self._side.open("ab") as f:
                if f.tell() + len(data) + 2 <= MAX_SIDE:
                    f.write(bytes(gwrecord.prefixed(data)))
        except OSError as e:
            raise unwritable(self._side, e) from None

    def rows(self) -> list[Row]:
        with self._lock:
            self._catch_up(self._clock_us())
            found = self.receiver.rows()
            self._catch_up(self._clock_us())
            return found

    def summary(self) -> dict[str, Any]:
        """The receiver's summary, and the records that could not be read or came twice."""
        with self._lock:
            self._catch_up(self._clock_us())
            found = self.receiver.summary()
        return found | {"unreadable_records": self.unreadable, "repeated_records": self.repeated}

    def close(self) -> None:
        with self._lock:
            self._opened.close()


@contextmanager
def _alone(path: Path | str) -> Iterator[Store]:
    """The store, for one intake at a time: what segments have shown is worked out from what one has seen."""
    with ExitStack() as held:
        store = held.enter_context(Store(path))
        held.enter_context(locked(Path(path), 0))
        yield store


def _number_of(data: bytes) -> int:
    """The number of a record that is otherwise unreadable, 0 when not even that can be read."""
    try:
        items = decode(data, 0, None, 2, 64)
    except WireError:
        return 0
    number = items[3] if isinstance(items, list) and len(items) > 3 else 0
    return number if isinstance(number, int) and 0 <= number <= 0xFFFFFFFF else 0
