"""Where a gateway's records go: a TCP peer that answers each, or a file that answers nothing."""

import asyncio

from firmware.protocols.compat import const
from firmware.protocols.gwrecord import prefixed

_CONNECT_MS = const(10000)
# The peer stores a record before it answers.
_ANSWER_MS = const(5000)
# Eight downlinks of 244 bytes and what is around them; more would be read into the heap for nothing.
_ANSWER_LEN = const(2200)


class SocketSink:
    """One TCP connection to the store, opened when there is something to send; every wait has a time-out."""

    def __init__(self, host, port):
        self._host = host
        self._port = port
        self._stream = None

    async def send(self, record):
        """Deliver one record and return the peer's answer; OSError when there is none, `close` then."""
        try:
            if self._stream is None:
                opening = asyncio.open_connection(self._host, self._port)
                self._stream = await asyncio.wait_for_ms(opening, _CONNECT_MS)
            stream, writer = self._stream
            writer.write(prefixed(record))
            await asyncio.wait_for_ms(writer.drain(), _ANSWER_MS)
            head = await asyncio.wait_for_ms(stream.readexactly(2), _ANSWER_MS)
            size = head[0] << 8 | head[1]
            if size <= _ANSWER_LEN:
                return await asyncio.wait_for_ms(stream.readexactly(size), _ANSWER_MS)
        except (EOFError, asyncio.TimeoutError) as e:
            raise OSError(repr(e))
        raise OSError("too_long")

    async def close(self):
        """End the connection: what the peer still says would be taken for the next record's answer."""
        stream = self._stream
        self._stream = None
        if stream:
            # MicroPython's `close` of a stream does nothing: this is what gives the socket back.
            await stream[1].wait_closed()


class FileSink:
    """Appends each record in the form it has on a stream."""

    def __init__(self, path):
        self._path = path

    async def send(self, record):
        with open(self._path, "ab") as f:  # noqa: ASYNC230 - MicroPython has no other
            f.write(prefixed(record))

    async def close(self):
        pass


def open_sink(text):
    """The sink of "tcp:HOST:PORT" or "file:PATH". ValueError for anything else."""
    scheme, _, rest = text.partition(":")
    if scheme == "file" and rest:
        return FileSink(rest)
    host, _, port = rest.rpartition(":")
    if scheme == "tcp" and host:
        return SocketSink(host, int(port))
    raise ValueError("sink")
