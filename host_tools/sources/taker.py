"""What becomes of live messages: capture file, verdict where there are keys, and counts for people to look at."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from host_tools.errors import StoreError, ToolError, unwritable
from host_tools.formats.pcap import END_US
from host_tools.frames import Frame, Record
from host_tools.receiver import Receiver
from host_tools.rotation import CaptureFiles, Rule
from host_tools.rows import Row
from host_tools.sources import Message

# Bytes of unreadable messages that are kept; more are counted only, or anyone could fill the disk.
MAX_SIDE = 16 << 20
# Of gateways, devices, and messages that were refused and may come again, this many are told apart.
MAX_KNOWN = 10_000
WINDOW_S = 60


def clock_us() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True)
class Seen:
    """A gateway or a device: how often and when last, and what it said then. row: where there are keys."""

    count: int = 0
    last_us: int = 0
    frame: Frame | None = None
    row: Row | None = None


class Tally:
    """Counts of a capture that is going on; every method may be called from any thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self.began = monotonic()
        self.messages = 0
        self.frames = 0
        self.unreadable: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.gateways: OrderedDict[bytes, Seen] = OrderedDict()
        self.devices: OrderedDict[str, Seen] = OrderedDict()
        self.refusals: Counter[str] = Counter()
        self._refused: dict[bytes, int] = {}  # frames of messages that did not come again
        self._refused_more = 0
        self._seconds: deque[list[int]] = deque()  # (second, frames) of the last minute

    @property
    def refused(self) -> int:
        """Frames that the disk refused and that did not come again since."""
        with self._lock:
            return sum(self._refused.values()) + self._refused_more

    def refuse(self, name: bytes, frames: int, error: ToolError) -> None:
        with self._lock:
            self.refusals[str(error)] += 0 if name in self._refused else frames
            if name in self._refused or len(self._refused) < MAX_KNOWN:
                self._refused[name] = frames
            else:
                self._refused_more += frames

    def kept(self, name: bytes, frames: tuple[Frame, ...], now_us: int) -> None:
        with self._lock:
            self._refused.pop(name, None)
            self.messages += 1
            self.frames += len(frames)
            second = int(self._monotonic())
            if not self._seconds or self._seconds[-1][0] != second:
                self._seconds.append([second, 0])
                while self._seconds[0][0] <= second - WINDOW_S - 1:
                    self._seconds.popleft()
            self._seconds[-1][1] += len(frames)
            for frame in frames:
                if frame.gateway:
                    seen = self._latest(self.gateways, frame.gateway)
                    seen.count, seen.last_us, seen.frame = seen.count + 1, now_us, frame

    @staticmethod
    def _latest(known: OrderedDict[Any, Seen], name: Any) -> Seen:
        """The entry of a name, which becomes the newest; the oldest goes where there are too many."""
        seen = known.setdefault(name, Seen())
        known.move_to_end(name)
        if len(known) > MAX_KNOWN:
            known.popitem(last=False)
        return seen

    def device(self, name: str, frame: Frame | None, row: Row | None, now_us: int) -> None:
        with self._lock:
            seen = self._latest(self.devices, name)
            seen.count, seen.last_us, seen.frame = seen.count + 1, now_us, frame
            seen.row = row or seen.row

    def row(self, row: Row, now_us: int) -> None:
        """What was found of a frame where there are keys."""
        with self._lock:
            self.states[row.state] += 1
            if row.reason:
                self.reasons[row.reason] += 1
        if row.device or row.name:
            self.device(row.name or row.device, None, row, now_us)

    def count(self, which: Counter[str], name: str, number: int = 1) -> None:
        with self._lock:
            which[name] += number

    def rates(self) -> tuple[float, int]:
        """Frames a second over the last ten whole seconds, and frames of the last minute."""
        with self._lock:
            second = int(self._monotonic())
            ten = sum(n for s, n in self._seconds if second - 10 <= s < second)
            minute = sum(n for s, n in self._seconds if second - WINDOW_S < s)
        return ten / min(10, max(second - int(self.began), 1)), minute

    def newest(self, known: OrderedDict[Any, Seen], count: int) -> list[tuple[Any, Seen]]:
        with self._lock:
            names = [name for name, _ in zip(reversed(known), range(count), strict=False)]
            return [(name, replace(known[name])) for name in names]

    def counts(self, which: Counter[str]) -> dict[str, int]:
        with self._lock:
            return dict(which.most_common())


def address(frame: Frame) -> str:
    """Who a frame claims to be from, as far as its head tells; "" for nobody."""
    if frame.reason:
        return ""
    if frame.network is not None:
        return frame.network.dev_eui.hex() or f"{frame.network.dev_addr or 0:08x}"
    data = frame.data
    kind = data[0] >> 5 if data else -1
    if kind == 7 and len(data) >= 7:
        return f"link {data[2]:02x}:{int.from_bytes(data[3:5], 'big'):04x}"
    if kind in (2, 4) and len(data) >= 12:
        return data[4:0:-1].hex()
    return data[16:8:-1].hex() if kind == 0 and len(data) == 23 else ""


class Counted(CaptureFiles):
    """Files whose frames are counted, also those that the disk refuses."""

    def __init__(
        self, target: Path | str, rule: Rule | None = None, append: bool = False, **more: Any
    ) -> None:
        self.tally = Tally()
        super().__init__(target, rule, append, **more)

    def add(self, record: Record, fmt: str = "") -> None:
        name = sha256(record.raw or b"".join(f.data for f in record.frames)).digest()
        try:
            super().add(record, fmt)
        except StoreError as e:
            self.tally.refuse(name, len(record.frames), e)
            raise
        self.tally.kept(name, record.frames, clock_us())


class Taker:
    """A sink for sources. receiver: verifies where given, and `on_row` is called with each row, as of then.

    side_path: where messages go that cannot be read, as they came, each with two length bytes.
    """

    def __init__(
        self,
        files: Counted,
        receiver: Receiver | None = None,
        on_row: Callable[[Row], None] | None = None,
        side_path: Path | None = None,
        now_us: Callable[[], int] = clock_us,
    ) -> None:
        self.files = files
        self.tally = files.tally
        self._receiver = receiver
        self._on_row = on_row
        self._side = side_path or files.folder / "unreadable.bin"
        self._now_us = now_us
        self._lock = threading.Lock()
        # What `on_row` raised, after which it is not called any more.
        self.row_error: Exception | None = None

    def take(self, message: Message) -> None:
        """Take a message in; StoreError where the disk refuses: it is then counted, and may come again."""
        with self._lock:
            record = message.record
            if record.reason:
                self.tally.count(self.tally.unreadable, record.reason)
                self._set_aside(record.raw)
                return
            now_us = self._now_us()
            # A gateway without a clock, or with one that no capture can hold.
            frames = tuple(f if 0 < f.time_us < END_US else replace(f, time_us=now_us) for f in record.frames)
            self.files.add(Record(record.raw, frames), message.fmt)
            for frame in frames:
                self._look(frame, now_us)

    def _look(self, frame: Frame, now_us: int) -> None:
        if frame.reason:
            self.tally.count(self.tally.unreadable, frame.reason)
        if self._receiver is None:
            name = address(frame)
            if name:
                self.tally.device(name, frame, None, now_us)
            return
        row = self._receiver.row(self._receiver.add(frame, now_us))
        self._receiver.accepted.clear()
        self.tally.row(row, now_us)
        if self._on_row is None or self.row_error is not None:
            return
        try:
            self._on_row(row)
        except Exception as e:
            # Who looks on must not stop the capture.
            self.row_error = e

    def sync(self) -> None:
        with self._lock:
            self.files.sync()

    def lost(self, count: int, why: str) -> None:
        self.tally.count(self.tally.lost, why, count)

    def tick(self) -> None:
        """To be called now and then: files end by time, and the receiver has another try at what it held back."""
        with self._lock:
            self.files.tick()
            if self._receiver is not None:
                self._receiver.tick(self._now_us())
                self._receiver.accepted.clear()

    def _set_aside(self, raw: bytes) -> None:
        raw = raw[:0xFFFF]
        try:
            with self._side.open("ab") as f:
                if f.tell() + len(raw) + 2 <= MAX_SIDE:
                    f.write(len(raw).to_bytes(2, "big") + raw)
        except OSError as e:
            # It is counted all the same, and nobody could have read it.
            self.tally.count(self.tally.refusals, str(unwritable(self._side, e)), 0)


def disk(path: Path) -> tuple[int, int]:
    """Free bytes of the disk that a path is on, and all of them; 0, 0 where it does not tell."""
    try:
        found = shutil.disk_usage(path if path.is_dir() else path.parent)
    except OSError:
        return 0, 0
    return found.free, found.total
