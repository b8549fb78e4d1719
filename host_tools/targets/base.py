"""What all targets share: the ledger of what was sent and acknowledged, and frames made fit to be sent."""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from host_tools.frames import Frame

# Per frame, in the ledger.
NEVER, SENT, ACKED, UNSENT = range(4)
STATES = ("never", "unacknowledged", "acknowledged", "unsent")
_MOST_US = 0xFFFFFFFF
# Downlinks that are told one by one; all are counted.
MAX_DOWNLINKS = 10_000
# Frames without an answer whose times are kept.
_MAX_TIMED = 1 << 16


class Unfit(Exception):  # noqa: N818 - turned into a count by its reason
    """A frame that this kind of receiver cannot be sent; args[0] is the name of the reason."""


class Target(Protocol):
    """live: it answers, and time passes. ledger: what became of each frame, by its number from 1."""

    live: bool
    ledger: Ledger

    def open(self) -> None:
        """PeerError where nobody is there, StoreError where a file is refused."""

    def send(self, number: int, frame: Frame) -> None:
        """Send a frame, waiting while the receiver is behind. Unfit; PeerError where it is given up."""

    def settle(self, seconds: float) -> None:
        """Wait for what was not acknowledged yet, no longer than that."""

    def close(self) -> None:
        """Also after an error, and twice."""

    def told(self) -> dict[str, Any]:
        """What else there is to say of the receiver."""


class Ledger:
    """States and times of acknowledgements, nine bytes a frame; any thread may call."""

    def __init__(self, timed: bool = True) -> None:
        self._timed = timed
        self._states = bytearray()
        self._times = array("I")
        self._sent_at: dict[int, float] = {}
        self._counts: Counter[int] = Counter()
        self.unsent: Counter[str] = Counter()
        self.resent = 0
        self._changed = threading.Condition()

    def sent(self, number: int) -> None:
        """A frame leaves, perhaps once more."""
        with self._changed:
            if self._state(number) in (SENT, ACKED):
                self.resent += 1
            if self._state(number) == ACKED:
                # Its acknowledgement overtook the decision to send it once more.
                return
            self._set(number, SENT)
            # Anew at the end, so that the dict stays in the order of its times.
            self._sent_at.pop(number, None)
            self._sent_at[number] = time.monotonic()
            if len(self._sent_at) > _MAX_TIMED:
                del self._sent_at[next(iter(self._sent_at))]

    def acked(self, number: int) -> bool:
        """An acknowledgement; False for one of a frame that has one or was never sent."""
        with self._changed:
            if self._state(number) != SENT:
                return False
            self._set(number, ACKED)
            now = time.monotonic()
            took = now - self._sent_at.pop(number, now)
            self._times[number - 1] = min(round(took * 1_000_000), _MOST_US)
            self._changed.notify_all()
            return True

    def refuse(self, number: int, reason: str) -> None:
        """A frame that is not sent."""
        with self._changed:
            self._set(number, UNSENT)
            self._sent_at.pop(number, None)
            self.unsent[reason] += 1

    def _state(self, number: int) -> int:
        return self._states[number - 1] if number <= len(self._states) else NEVER

    def _set(self, number: int, state: int) -> None:
        short = number - len(self._states)
        if short > 0:
            self._states.extend(bytes(short))
            self._times.extend([0] * short)
            self._counts[NEVER] += short
        self._counts[self._states[number - 1]] -= 1
        self._states[number - 1] = state
        self._counts[state] += 1

    @property
    def waiting(self) -> int:
        """Frames that are sent and not acknowledged."""
        with self._changed:
            return self._counts[SENT]

    @property
    def acknowledged(self) -> int:
        with self._changed:
            return self._counts[ACKED]

    def fresh(self, seconds: float) -> int:
        """Those of them that were sent less than `seconds` ago."""
        limit = time.monotonic() - seconds
        with self._changed:
            return self._fresh(limit)

    def _fresh(self, limit: float) -> int:
        found = 0
        # The newest stand last.
        for at in reversed(self._sent_at.values()):
            if at < limit:
                break
            found += 1
        return found

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until `done`, looking after each acknowledgement and ten times a second."""
        end = time.monotonic() + seconds
        while not done():
            rest = end - time.monotonic()
            if rest <= 0:
                return False
            with self._changed:
                self._changed.wait(min(rest, 0.1))
        return True

    def wait_told(self, done: Callable[[], bool], seconds: float, slow: Callable[[], None]) -> bool:
        """The same; `slow` is called once where it takes longer than a second."""
        first = min(seconds, 1.0)
        if self.wait(done, first):
            return True
        slow()
        return self.wait(done, seconds - first)

    def room(self, window: int, old_s: float) -> None:
        """Wait until fewer than `window` frames that were sent in the last `old_s` seconds are unanswered."""
        self.wait(lambda: self.fresh(old_s) < window, old_s)

    def frames(self) -> Iterator[tuple[int, str, float | None]]:
        """(number, state, milliseconds to the acknowledgement or None) of each frame."""
        timed = self._timed
        for number, state in enumerate(self._states, 1):
            yield number, STATES[state], self._times[number - 1] / 1000 if timed and state == ACKED else None

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "sent": self._counts[SENT] + self._counts[ACKED],
            "acknowledged": self._counts[ACKED],
            "unacknowledged": self._counts[SENT],
        }
        if self.resent:
            found["resent"] = self.resent
        if self.unsent:
            found["unsent"] = dict(sorted(self.unsent.items()))
        times = sorted(t for t, s in zip(self._times, self._states, strict=True) if s == ACKED)
        if times and self._timed:
            found["ack_ms"] = {"median": times[len(times) // 2] / 1000, "most": times[-1] / 1000}
        return found


class Downlinks:
    """The downlinks that a target was sent, and how it answered."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()

    def add(self, number: int, answer: str, late_ms: int, **more: Any) -> None:
        """answer: a word of the protocol, or "none" for silence."""
        self.counts[answer] += 1
        if late_ms:
            self.counts["late"] += 1
        if len(self.entries) < MAX_DOWNLINKS:
            self.entries.append({"downlink": number, "answer": answer, "late_ms": late_ms, **more})

    def told(self) -> dict[str, Any]:
        return {"downlinks": dict(sorted(self.counts.items())), "downlink_entries": self.entries}


def check_air(frame: Frame) -> None:
    """Unfit for what was never on the air, or not whole."""
    if frame.reason:
        raise Unfit("broken_record")
    if frame.network is not None:
        raise Unfit("no_phy_payload")
    if not frame.data:
        raise Unfit("empty")


def heard(frame: Frame) -> Frame:
    """A frame with what a concentrator always tells and a capture may lack: its counter, from the time of day, a
    good CRC, 4/5. Unfit."""
    check_air(frame)
    radio = frame.radio
    counter = frame.time_us & 0xFFFFFFFF if radio.counter_us is None else radio.counter_us
    made = replace(radio, counter_us=counter, coding_rate=radio.coding_rate or 5, crc=radio.crc or "ok")
    return replace(frame, radio=made)
