"""What the ring of frames does once, at the start: finds the ends of its files, or begins an epoch. Forgotten
afterwards. The classes are of the ring's own families for their private names; nobody makes one."""

import struct

from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const
from firmware.storage import FrameRing, Log

_FRAMES = const(32)
_LEAVES = const(256)
_KEPT = const(32)
_UNCHAINED = const(0x80)
_CHECKPOINT = const(11)


class End(Log):
    def find_end(self: "Log"):
        """Find the end after a boot: the last record's body, or None in an empty log, and in one whose end
        cannot be read: an older end would be taken for the newest."""
        tail = None
        while self.first and tail is None:
            self._count = 0
            for seq, body in self.records(self.first[-1]):
                self.last = seq
                tail = body
                self._count += 1
            if self._failed:
                self._count = self._per_file
                return None
            if tail is None:
                try:
                    self.remove(-1)
                except WireError:
                    pass  # its number is never given again: nothing will be appended to it
            if tail is None or self._torn:
                self._count = self._per_file
        return tail


class Start(FrameRing):
    def take_up(self: "FrameRing"):
        """Find the ends of the ring's files after a boot."""
        path = self._path
        self._frames = Log(path, "f", _FRAMES)
        self._leaves = Log(path, "l", _LEAVES)
        self._heads = Log(path, "c", _KEPT)
        self._acks = Log(path, "k", _KEPT)
        self._low = 0  # everything up to here is acknowledged
        self.overwritten = 0
        self._acked = []  # acknowledged checkpoints above it, older ones being open
        self._open_heads = []  # the checkpoints above it
        self.last = None
        End.find_end(self._leaves)
        End.find_end(self._heads)
        if End.find_end(self._acks):
            for first in self._acks.first:
                for _, body in self._acks.records(first):
                    self._low, self.overwritten, k = struct.unpack(">III", body)
                    self._acked.append(k)
        tail = End.find_end(self._frames)
        if tail is not None:
            self._set_last(self._frames.last, tail)
            if tail[1] == _CHECKPOINT and self._heads.last < self._frames.last:
                # Cut between the two commits of a checkpoint.
                try:
                    self._heads.append(self._frames.last, tail)
                except WireError:
                    pass  # the next boot tries again
        low = self._low
        self._acked = [k for k in self._acked if k > low]
        for first in self._heads.first:
            self._open_heads.extend([k for k, _ in self._heads.records(first) if k > low])

    def empty(self: "FrameRing", h):
        """`begin`."""
        for log in (self._frames, self._leaves, self._heads, self._acks):
            while log.first:
                log.remove(-1)
        Start.take_up(self)
        self._commit(0, bytes((0, 0 if h else _UNCHAINED)) + (h + bytes(48) if h else b""))
