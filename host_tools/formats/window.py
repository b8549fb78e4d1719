"""A stream of bytes that can be looked at ahead before it is taken; as much memory as is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

_CHUNK = 1 << 16


class Window:
    """`position`: how many bytes were taken."""

    def __init__(self, stream: BinaryIO) -> None:
        # What a pipe has now is enough; `read` would wait for all of it.
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._data = b""
        self._at = 0
        self._ended = False
        self.position = 0

    def have(self, count: int) -> int:
        """How many bytes lie ahead, after reading until there are `count` or the stream ends."""
        there = len(self._data) - self._at
        if there >= count or self._ended:
            return there
        parts = [self._data[self._at :]]
        # More than is asked for where much lies here already, so that it is not copied over and over.
        wanted = max(count, there + max(_CHUNK, there >> 2))
        while there < count:
            part = self._read(min(wanted - there, 1 << 20))
            if not part:
                self._ended = True
                break
            parts.append(part)
            there += len(part)
        self._data, self._at = b"".join(parts), 0
        return there

    def peek(self, at: int, count: int) -> bytes:
        """Bytes of what `have` said is there."""
        return self._data[self._at + at : self._at + at + count]

    def find(self, pattern: re.Pattern[bytes], start: int, end: int) -> int:
        """Where the pattern is first found between two places ahead, or -1."""
        found = pattern.search(self._data, self._at + start, self._at + end)
        return found.start() - self._at if found else -1

    def take(self, count: int) -> bytes:
        data = self._data[self._at : self._at + count]
        self._at += len(data)
        self.position += len(data)
        return data
