"""The line to the store: one answer for each record, whatever the peer does; no answer of another record."""

from firmware.protocols.gwrecord import prefixed
from firmware.roles import sink as sink_module
from firmware.roles.sink import FileSink, SocketSink, open_sink
from tests.mpy import fakes
from tests.mpy.support import raises

RECORD = b"record"


class Stream:
    """A peer: `says` are the pieces that it sends, each after what it was asked; None: it stays silent."""

    def __init__(self, peer):
        self.peer = peer
        self.got = b""
        self.closed = False

    def write(self, data):
        if self.closed:
            raise OSError(9)
        self.got += data

    async def drain(self):
        if self.peer.resets:
            raise OSError(104)

    async def readexactly(self, size):
        assert size <= 2200, "more than any answer is read into the heap"
        peer = self.peer
        if peer.says is None:
            raise peer.asyncio.TimeoutError
        if len(peer.says) < size:
            raise EOFError
        found, peer.says = peer.says[:size], peer.says[size:]
        return found

    def close(self):
        pass  # as MicroPython's does

    async def wait_closed(self):
        self.closed = True


class Peer:
    def __init__(self):
        self.time = fakes.Time()
        self.asyncio = fakes.on(self.time, sink_module)
        self.asyncio.open_connection = self.open_connection
        self.streams = []
        self.says = b""
        self.refuses = None
        self.resets = False
        self.sink = open_sink("tcp:192.0.2.1:1700")

    async def open_connection(self, host, port):
        assert (host, port) == ("192.0.2.1", 1700)
        if self.refuses:
            raise self.refuses
        self.streams.append(Stream(self))
        return self.streams[-1], self.streams[-1]

    def send(self, record=RECORD):
        """The answer, or the OSError."""
        found = []

        async def go():
            found.append(await self.sink.send(record))

        assert fakes.run(go())
        return found[0]

    def close(self):
        assert fakes.run(self.sink.close())


def test_each_record_goes_out_with_its_length_and_its_answer_comes_back():
    peer = Peer()
    peer.says = prefixed(b"one") + prefixed(b"") + prefixed(bytes(2200))
    assert peer.send() == b"one"
    assert peer.send(b"second") == b""
    assert peer.send() == bytes(2200)
    assert len(peer.streams) == 1
    assert peer.streams[0].got == prefixed(RECORD) + prefixed(b"second") + prefixed(RECORD)


def test_whatever_the_peer_does_is_one_error():
    for refuses in (OSError(111), OSError(-202), EOFError()):
        peer = Peer()
        peer.refuses = refuses
        assert raises(OSError, peer.send)
        peer.refuses = None
        peer.says = prefixed(b"yes")
        assert peer.send() == b"yes"
    for says in (None, b"", b"\0", prefixed(b"cut short")[:-1], b"\xff\xff" + bytes(65535), b"\x08\x99"):
        peer = Peer()
        peer.says = says
        assert raises(OSError, peer.send)
    peer = Peer()
    peer.resets = True
    assert raises(OSError, peer.send)


def test_after_an_error_the_connection_is_given_back_and_a_new_one_opened():
    peer = Peer()
    peer.says = None
    assert raises(OSError, peer.send)
    peer.close()
    assert peer.streams[0].closed
    # What the first peer says at last is not the next record's answer.
    peer.says = prefixed(b"right")
    assert peer.send() == b"right"
    assert len(peer.streams) == 2
    assert peer.streams[0].got == peer.streams[1].got == prefixed(RECORD)
    peer.close()
    peer.close()
    assert peer.streams[1].closed


def test_a_file_takes_records_as_a_stream_has_them():
    written = []

    class File:
        def __init__(self, path, mode):
            assert (path, mode) == ("records.bin", "ab")

        def __enter__(self):
            return self

        def __exit__(self, kind, value, trace):
            pass

        def write(self, data):
            written.append(data)

    sink_module.open = File
    try:
        sink = open_sink("file:records.bin")
        found = []

        async def go():
            found.append(await sink.send(b"a"))
            found.append(await sink.send(b"bc"))
            await sink.close()

        assert fakes.run(go())
    finally:
        del sink_module.open
    assert found == [None, None]
    assert b"".join(written) == b"\0\x01a\0\x02bc"


def test_sinks_are_named():
    assert isinstance(open_sink("file:x:y"), FileSink)
    assert isinstance(open_sink("tcp:host:1"), SocketSink)
    for text in ("", "file:", "tcp:", "tcp:host", "tcp::1", "udp:host:1", "tcp:host:port", "host:1"):
        assert raises(ValueError, open_sink, text), text
