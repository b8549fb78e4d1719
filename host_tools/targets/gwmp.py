"""GWMP over UDP as target: speaks to a server as the packet forwarders of its gateways would.

Lora-net PROTOCOL.TXT v1.4, sections 3 to 6. One frame in each PUSH_DATA, so that each is acknowledged by itself; a
forwarder sends none twice. Each gateway has a socket of its own, since a PULL_RESP does not name the gateway.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from host_tools.errors import PeerError, UsageError
from host_tools.formats import gwmp
from host_tools.formats.jsontext import BadRecord, dumps, loads
from host_tools.frames import Frame
from host_tools.targets.base import Downlinks, Ledger, heard

if TYPE_CHECKING:
    from host_tools.targets import Options

# A forwarder's own: keepalive_interval 10 s.
KEEPALIVE_S = 10.0
# Chosen: as many frames may wait for their acknowledgement, none longer than that.
WINDOW = 64
OLD_S = 1.0
MAX_GATEWAYS = 256


@dataclass
class _Gateway:
    """One forwarder. pushed: frame numbers by the tokens of the last PUSH_DATA."""

    eui: bytes
    socket: socket.socket
    pushed: dict[int, int] = field(default_factory=dict)
    next_pull: float = 0.0
    pulled: bool = False


class GwmpTarget:
    """udp://HOST:PORT."""

    live = True

    def __init__(self, host: str, port: int, options: Options) -> None:
        self._where = (host, port)
        self._options = options
        self.ledger = Ledger()
        self._downlinks = Downlinks()
        self._gateways: dict[bytes, _Gateway] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="gwmp", daemon=True)
        self._lock = threading.Lock()
        self._stopping = False
        self._closed = False
        self._told_at = 8
        self._began = 0.0
        self._seen: Counter[str] = Counter()
        # (when, count, gateway, datagram) of acknowledgements that a fault holds back.
        self._later: list[tuple[float, int, _Gateway, bytes]] = []
        self._order = itertools.count()
        self._pull_token = options.seed & 0xFFFF
        self._family = socket.AF_INET
        self._address: Any = None

    def open(self) -> None:
        try:
            found = socket.getaddrinfo(*self._where, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            raise PeerError(f"there is no host {self._where[0]}") from None
        self._family, self._address = found[0][0], found[0][4]
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        gateway = self._gateway(self._options.gateway)
        self._thread.start()
        if not self.ledger.wait(lambda: gateway.pulled, 2.0):
            self._options.tell(f"{self._name} does not answer PULL_DATA; frames are sent all the same")

    @property
    def _name(self) -> str:
        return f"{self._where[0]}:{self._where[1]}"

    def _gateway(self, eui: bytes) -> _Gateway:
        with self._lock:
            if eui in self._gateways:
                return self._gateways[eui]
            if len(self._gateways) >= MAX_GATEWAYS:
                raise UsageError(f"a replay speaks for {MAX_GATEWAYS} gateways at most")
            link = socket.socket(self._family, socket.SOCK_DGRAM)
            link.setblocking(False)
            # Only what this server sends is read.
            link.connect(self._address)
            gateway = self._gateways[eui] = _Gateway(eui, link)
            self._selector.register(link, selectors.EVENT_READ, gateway)
        # Downlinks find their way before the first uplink asks for one.
        self._pull(gateway)
        return gateway

    def send(self, number: int, frame: Frame) -> None:
        ready = heard(frame)
        body = gwmp.body([ready])
        gateway = self._gateway(frame.gateway or self._options.gateway)
        self.ledger.room(WINDOW, OLD_S)
        self._began = self._began or time.monotonic()
        if not self.ledger.acknowledged and time.monotonic() - self._began > self._options.patience_s:
            raise self._nobody()
        token = number + self._options.seed & 0xFFFF
        with self._lock:
            gateway.pushed[token] = number
        self.ledger.sent(number)
        self._put(gateway, gwmp.build(gwmp.Datagram(2, token, gwmp.PUSH_DATA, gateway.eui, body)))
        self._watch()

    def _watch(self) -> None:
        """Tell of frames without an acknowledgement: of some, and each time they are twice as many."""
        silent = self.ledger.waiting - self.ledger.fresh(OLD_S)
        if silent >= self._told_at:
            self._told_at = 2 * silent
            self._options.tell(f"{self._name} did not acknowledge {silent} frames so far")

    def _put(self, gateway: _Gateway, datagram: bytes) -> None:
        for _ in range(100):
            try:
                gateway.socket.send(datagram)
                return
            except (BlockingIOError, InterruptedError):
                time.sleep(0.001)
            except ConnectionRefusedError:
                # The error is of a datagram before; a second try sends this one.
                self._seen["refused"] += 1
            except OSError as e:
                raise PeerError(f"cannot send to {self._name}: {e.strerror or e}") from None

    def _pull(self, gateway: _Gateway) -> None:
        gateway.next_pull = time.monotonic() + KEEPALIVE_S
        self._pull_token = self._pull_token + 1 & 0xFFFF
        with contextlib.suppress(PeerError):
            self._put(gateway, gwmp.build(gwmp.Datagram(2, self._pull_token, gwmp.PULL_DATA, gateway.eui)))

    def _serve(self) -> None:
        while not self._stopping:
            now = time.monotonic()
            with self._lock:
                gateways = list(self._gateways.values())
            for gateway in gateways:
                if gateway.next_pull <= now:
                    self._pull(gateway)
            while self._later and self._later[0][0] <= now:
                _, _, gateway, datagram = heapq.heappop(self._later)
                with contextlib.suppress(PeerError):
                    self._put(gateway, datagram)
            due = min([g.next_pull for g in gateways] + [entry[0] for entry in self._later[:1]])
            for key, _ in self._selector.select(max(0.0, min(due - now, 0.5))):
                if isinstance(key.data, _Gateway):
                    self._receive(key.data)

    def _receive(self, gateway: _Gateway) -> None:
        try:
            data = gateway.socket.recv(65536)
            datagram = gwmp.parse(data)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._seen["refused"] += 1
            return
        except BadRecord:
            self._seen["unreadable"] += 1
            return
        if datagram.kind == gwmp.PUSH_ACK:
            with self._lock:
                number = gateway.pushed.pop(datagram.token, None)
            if number is None or not self.ledger.acked(number):
                self._seen["unasked_push_ack"] += 1
        elif datagram.kind == gwmp.PULL_ACK:
            gateway.pulled = True
            self._seen["pull_ack"] += 1
        elif datagram.kind == gwmp.PULL_RESP:
            self._downlink(gateway, datagram)
        else:
            self._seen["unasked"] += 1

    def _downlink(self, gateway: _Gateway, datagram: gwmp.Datagram) -> None:
        """Answer a downlink as section 6 has it: TX_ACK with the token of the PULL_RESP."""
        try:
            value = loads(datagram.body)
            packet = value.get("txpk") if isinstance(value, dict) else None
            if not isinstance(packet, dict):
                raise BadRecord
        except BadRecord:
            self._seen["unreadable"] += 1
            return
        found = self._options.answers.next()
        error = found.error or "NONE"
        body = dumps({"txpk_ack": {"error": error}}).encode()
        answer = gwmp.build(gwmp.Datagram(datagram.version, datagram.token, gwmp.TX_ACK, gateway.eui, body))
        self._downlinks.add(self._options.answers.count, error, found.late_ms, gateway=gateway.eui.hex())
        when = time.monotonic() + found.late_ms / 1000
        heapq.heappush(self._later, (when, next(self._order), gateway, answer))

    def settle(self, seconds: float) -> None:
        self.ledger.wait(lambda: not self.ledger.waiting and not self._later, seconds)
        if self.ledger.waiting and not self.ledger.acknowledged:
            raise self._nobody()

    def _nobody(self) -> PeerError:
        return PeerError(
            f"{self._name} acknowledged none of {self.ledger.waiting} frames",
            "is a server of GWMP (Semtech UDP) listening there?",
        )

    def close(self) -> None:
        if self._closed:
            return
        self._closed = self._stopping = True
        self._wake_in.send(b"x")
        if self._thread.is_alive():
            self._thread.join()
        self._selector.close()
        for link in (self._wake_in, self._wake_out, *(g.socket for g in self._gateways.values())):
            link.close()

    def told(self) -> dict[str, Any]:
        seen = {name: count for name, count in sorted(self._seen.items()) if count}
        return {"gateways": len(self._gateways), **seen, **self._downlinks.told()}
