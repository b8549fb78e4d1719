"""Listens for gateways on TCP. Who connects is not known here, so no peer may harm another: none is waited
for, each has its turn, and when every place is taken the one silent the longest makes room.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

from firmware.protocols import gwrecord
from host_tools.errors import PeerError, ToolError

MAX_CONNECTIONS = 16
# Chosen: records of one peer in one turn, and bytes of it that wait for the next.
TURN = 16
MAX_INBOX = 1 << 17


class Taker(Protocol):
    """What takes records in: returns the answer, raises ToolError where the record must come again."""

    def handle(self, data: bytes) -> bytes: ...


class _Peer:
    """One connection. heard: when it last brought a whole record, or came."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.heard = time.monotonic()

    def next_record(self) -> bytes | None:
        if len(self.inbox) < 2:
            return None
        size = self.inbox[0] << 8 | self.inbox[1]
        if len(self.inbox) < size + 2:
            return None
        record = bytes(self.inbox[2 : size + 2])
        del self.inbox[: size + 2]
        self.heard = time.monotonic()
        return record


class IntakeServer:
    """Listens for gateways on one address, in a thread of its own; `port` is known once it is made.

    on_error: told each kind of refusal once; without it, it goes to standard error as one line.
    """

    def __init__(
        self,
        intake: Taker,
        host: str = "127.0.0.1",
        port: int = 0,
        on_error: Callable[[ToolError], None] | None = None,
    ) -> None:
        self._intake = intake
        self._on_error = on_error
        self._told: set[str] = set()
        self._peers: dict[socket.socket, _Peer] = {}
        self.error: ToolError | None = None
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family)
        except (OSError, OverflowError, UnicodeError) as e:
            raise PeerError(f"cannot listen on {host}:{port}: {_words(e)}") from None
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
        for peer in list(self._peers.values()):
            self._drop(peer)
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
            waiting = any(self._has_work(p) for p in self._peers.values())
            for key, events in self._selector.select(0 if waiting else None):
                if key.fileobj is self._listener:
                    self._accept()
                    continue
                peer = self._peers.get(key.fileobj) if isinstance(key.fileobj, socket.socket) else None
                if peer is not None and events & selectors.EVENT_WRITE:
                    self._send(peer)
                elif peer is not None:
                    self._receive(peer)
            for peer in list(self._peers.values()):
                self._work(peer)

    @staticmethod
    def _has_work(peer: _Peer) -> bool:
        size = peer.inbox[0] << 8 | peer.inbox[1] if len(peer.inbox) >= 2 else MAX_INBOX
        return not peer.outbox and len(peer.inbox) >= size + 2

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._peers) >= MAX_CONNECTIONS:
            self._drop(min(self._peers.values(), key=lambda p: p.heard))
        connection.setblocking(False)
        # Answers are small and the peer waits for them.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[connection] = _Peer(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, peer: _Peer) -> None:
        if len(peer.inbox) > MAX_INBOX:
            return
        try:
            data = peer.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            peer.inbox += data
        else:
            self._drop(peer)

    def _work(self, peer: _Peer) -> None:
        """Take some records of a peer in, unless it leaves its answers unread."""
        for _ in range(TURN):
            record = None if peer.outbox else peer.next_record()
            if record is None:
                return
            try:
                peer.outbox += gwrecord.prefixed(self._intake.handle(record))
            except ToolError as e:
                # Without an answer the gateway keeps the record and comes again.
                self._refused(peer, e)
                return
            except Exception as e:
                # A defect here must not end the intake of every other record.
                self._refused(peer, ToolError(f"a record could not be taken in: {e!r}"))
                return
            if not self._send(peer):
                return

    def _send(self, peer: _Peer) -> bool:
        """Send what waits; False when the peer is gone."""
        try:
            sent = peer.connection.send(peer.outbox)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(peer)
            return False
        del peer.outbox[:sent]
        wanted = selectors.EVENT_WRITE if peer.outbox else selectors.EVENT_READ
        if self._selector.get_key(peer.connection).events != wanted:
            self._selector.modify(peer.connection, wanted)
        return True

    def _refused(self, peer: _Peer, error: ToolError) -> None:
        self._drop(peer)
        self.error = error
        if str(error) in self._told:
            return
        self._told.add(str(error))
        if self._on_error is not None:
            self._on_error(error)
        else:
            print(f"lanterne: {error}", file=sys.stderr)

    def _drop(self, peer: _Peer) -> None:
        if self._peers.pop(peer.connection, None) is not None:
            self._selector.unregister(peer.connection)
            peer.connection.close()


def _words(error: Exception) -> str:
    """The system's words without those that Python adds, which repeat the address."""
    text = getattr(error, "strerror", None) or str(error)
    return text.partition(" (while attempting")[0]
