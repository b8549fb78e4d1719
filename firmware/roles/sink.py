"""Where a gateway's records go: a TCP peer that answers each, or a file that answers nothing."""

import asyncio

from firmware.protocols.compat import const
from firmware.protocols.gwrecord import prefixed

_CONNECT_MS = const(10000)
# The peer stores a record before it answers.
_ANSWER_MS = const(5000)
_FIRST_WAIT_MS = const(1000)
_LONGEST_WAIT_MS = const(60000)


class SocketSink:
    """One TCP connection to the store; reconnects with doubling waits, every wait has a time-out."""

    def __init__(self, host, port):
        self._host = host
        self._port = port
        self._stream = None

    async def send(self, record):
        """Deliver one record and return the peer's answer; tries until it is delivered."""
        wait = _FIRST_WAIT_MS
        while True:
            try:
                return await self._try(record)
            except (OSError, EOFError, asyncio.TimeoutError) as e:
                print("sink:", repr(e))
                if self._stream:
                    self._stream[1].close()
                self._stream = None
            await asyncio.sleep_ms(wait)
            wait = min(wait * 2, _LONGEST_WAIT_MS)

    async def _try(self, record):
        if self._stream is None:
            opening = asyncio.open_connection(self._host, self._port)
            self._stream = await asyncio.wait_for_ms(opening, _CONNECT_MS)
        reader, writer = self._stream
        writer.write(prefixed(record))
        await asyncio.wait_for_ms(writer.drain(), _ANSWER_MS)
        head = await asyncio.wait_for_ms(reader.readexactly(2), _ANSWER_MS)
        return await asyncio.wait_for_ms(reader.readexactly(head[0] << 8 | head[1]), _ANSWER_MS)


class FileSink:
    """Appends each record in the form it has on a stream."""

    def __init__(self, path):
        self._path = path

    async def send(self, record):
        with open(self._path, "ab") as f:  # noqa: ASYNC230 - MicroPython has no other
            f.write(prefixed(record))


def open_sink(text):
    """The sink of "tcp:HOST:PORT" or "file:PATH". ValueError for anything else."""
    scheme, _, rest = text.partition(":")
    if scheme == "file" and rest:
        return FileSink(rest)
    host, _, port = rest.rpartition(":")
    if scheme == "tcp" and host:
        return SocketSink(host, int(port))
    raise ValueError("sink")
