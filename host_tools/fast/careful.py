"""The careful receiver as the fast path needs it: it takes whatever is not of the strict profile."""

from __future__ import annotations

from collections.abc import Iterable

from host_tools.lorawan.keysfile import Keys
from host_tools.receiver import Entry, Receiver
from host_tools.rows import WIRE_EPOCH_UNIX, Row
from host_tools.segments import Numbers
from host_tools.verdict import Parsed
from host_tools.view import Epoch
from provisioning.keyring import Keyring

EpochKey = tuple[bytes, bytes, int]


class Careful(Receiver):
    """firsts: earliest reception by epoch of what the fast path accepted."""

    def __init__(self, keyrings: Iterable[Keyring], lorawan: Keys) -> None:
        super().__init__(keyrings, lorawan=lorawan)
        self.firsts: dict[EpochKey, int] = {}

    def candidates(self) -> dict[tuple[int, int], list[Epoch]]:
        """The epochs to try for each address, in this order."""
        return self._by_address

    def touched(self) -> dict[EpochKey, set[int]]:
        """The epochs to which something here belongs, with its numbers."""
        self._settle()
        found: dict[EpochKey, set[int]] = {}
        for entry in self._entries.values():
            if entry.found is not None and entry.epoch is not None:
                found.setdefault(entry.epoch.key, set()).add(entry.found.seq)
            for epoch, whole in entry.whole or ():
                found.setdefault(epoch.key, set()).add(whole.seq)
        return found

    def note_first(self, key: EpochKey, time_us: int) -> None:
        """A frame of an epoch that the fast path accepted came at this time."""
        # A time before the wire format's own is that of a gateway without a clock.
        if time_us >= WIRE_EPOCH_UNIX * 1_000_000:
            self.firsts[key] = min(self.firsts.get(key, time_us), time_us)

    def _close_epochs(self) -> None:
        # As one entry of each epoch, so that the rule stands in one place.
        own = self._entries
        known = ((b"%d" % n, key, at) for n, (key, at) in enumerate(self.firsts.items()))
        self._entries = own | {n: Entry(n, at, Parsed(), epoch=self.epochs[key]) for n, key, at in known}
        try:
            super()._close_epochs()
        finally:
            self._entries = own

    def close_epochs(self) -> None:
        """Find out until when frames of each epoch may come."""
        self._close_epochs()

    def rows_between(self, low: str, high: str) -> list[Row]:
        """The rows of devices from `low` on, below `high`."""
        return [r for r in self.rows() if low <= r.device < high] if self._entries else []


def with_numbers(epoch: Epoch, seqs: list[int]) -> Epoch:
    """An epoch for which exactly these numbers, in rising order, were verified."""
    epoch._numbers = Numbers()
    for seq in seqs:
        epoch._numbers.add(seq)
    return epoch
