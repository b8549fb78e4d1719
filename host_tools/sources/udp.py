"""GWMP over UDP: the server's end of what packet forwarders speak (host_tools/formats/gwmp.py).

Packet forwarders send a datagram once, whatever the answer, so what comes while this program does not keep up or
the disk is full is gone; PUSH_ACK is sent for what is on the disk only, so that a forwarder's own "ackr" tells.
There is no authentication in this protocol: everything is taken from anybody.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable

from host_tools.errors import PeerError
from host_tools.formats import gwmp
from host_tools.formats.jsontext import BadRecord
from host_tools.frames import Record
from host_tools.sources import Address, Message, Sink, Source

# Datagrams of one turn, after which the disk is waited for and all of them are answered.
TURN = 256
# Asked of the system, which may give less: bursts wait here while the disk is.
BUFFER = 4 << 20
_LARGEST = 65536
_OVERFLOWS = 40  # SO_RXQ_OVFL of Linux: how many datagrams the system has thrown away

Peer = tuple[object, ...]


class UdpSource(Source):
    def __init__(self, host: str, port: int, sink: Sink, tell: Callable[[str], None]) -> None:
        super().__init__(sink, tell)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self._socket.bind((host, port))
        except (OSError, OverflowError, UnicodeError) as e:
            self._socket.close()
            words = getattr(e, "strerror", None) or str(e)
            raise PeerError(f"cannot listen on {host}:{port}: {words}") from None
        self._socket.setblocking(False)
        self._counted = self._count_overflows()
        self._overflows = 0
        self.port: int = self._socket.getsockname()[1]
        self.where = f"udp {host}:{self.port}"
        self._wake_out, self._wake_in = socket.socketpair()

    def _count_overflows(self) -> bool:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _OVERFLOWS, 1)
        except OSError:
            return False
        return hasattr(self._socket, "recvmsg")

    def _wake(self) -> None:
        self._wake_in.send(b"x")

    def _close(self) -> None:
        for s in (self._socket, self._wake_out, self._wake_in):
            s.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            select.select([self._socket, self._wake_out], [], [])
            self._turn()
        # What had come before the end was asked for is kept, too.
        self._turn()

    def _receive(self) -> tuple[bytes, Peer] | None:
        try:
            if not self._counted:
                return self._socket.recvfrom(_LARGEST)
            data, extra, _, peer = self._socket.recvmsg(_LARGEST, 64)
        except BlockingIOError:
            return None
        except OSError:
            return b"", ()  # a peer's port was closed: told here by some systems, and none of our business
        for level, kind, value in extra:
            if level == socket.SOL_SOCKET and kind == _OVERFLOWS and len(value) >= 4:
                (total,) = struct.unpack_from("=I", value)
                if total != self._overflows:
                    self._sink.lost(
                        (total - self._overflows) & 0xFFFFFFFF, "datagrams came faster than written"
                    )
                    self._overflows = total
        return data, peer

    def _turn(self) -> None:
        owed: list[tuple[bytes, Peer]] = []
        for _ in range(TURN):
            found = self._receive()
            if found is None:
                break
            data, peer = found
            if not peer:
                continue
            answer, waits = b"", False
            with self.unharmed():
                answer, waits = self._take(data)
            if answer and waits:
                owed.append((answer, peer))
            elif answer:
                self._send(answer, peer)
        if owed and self._sync():
            for answer, peer in owed:
                self._send(answer, peer)

    def _send(self, answer: bytes, peer: Peer) -> None:
        try:
            self._socket.sendto(answer, peer)
        except OSError:
            return  # as if the network had lost it

    def _take(self, data: bytes) -> tuple[bytes, bool]:
        """The answer to a datagram, b"" for none, and whether it waits for the disk."""
        try:
            datagram = gwmp.parse(data)
            if datagram.kind not in (gwmp.PUSH_DATA, gwmp.PULL_DATA, gwmp.TX_ACK):
                raise BadRecord  # what a server sends, not what it is sent
        except BadRecord as e:
            self._keep(Message(Record(data, reason=e.reason), ""))
            return b"", False
        owed = gwmp.answer(datagram)
        answer = gwmp.build(owed) if owed else b""
        if datagram.kind == gwmp.PULL_DATA:
            return answer, False
        found = gwmp.record(data)
        # The JSON alone makes lines of a file; the gateway that the datagram's head names is the frame's.
        raw = datagram.body + b"\n" if datagram.body else b""
        kept = self._keep(Message(Record(raw or data, found.frames, found.others, found.reason), gwmp.NAME))
        return (answer if kept else b""), True


def open_source(where: Address, sink: Sink, tell: Callable[[str], None], client: str) -> Source:
    return UdpSource(where.host, where.port, sink, tell)
