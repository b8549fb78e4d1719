"""Basics Station LNS over WebSocket as target: speaks to a server as the stations of its gateways would.

lorabasics/basicstation src/tc.c, src/s2e.c, src/lora.c; doc.sm.tc tcproto: discovery at /router-info, `version`,
`router_config`, then uplinks under the data rates and filters of that. LNS acknowledges no uplink; a pong of the
WebSocket behind a message (RFC 6455 section 5.5.3) shows that it arrived, not that it was read: what went out just
before a connection ends is sent again on the next one.
"""

from __future__ import annotations

import queue
import ssl
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from host_tools.errors import InputError, PeerError, UsageError
from host_tools.formats import fields, lns
from host_tools.formats.jsontext import BadRecord, dumps, loads
from host_tools.frames import Frame
from host_tools.sources import need
from host_tools.targets.base import Downlinks, Ledger, Unfit, heard

if TYPE_CHECKING:
    from host_tools.targets import Options

WINDOW = 64
MAX_STATIONS = 64
_WAIT_S = 10.0
# Chosen: what went out so long before a connection ended is sent again.
_UNREAD_S = 2.0
_QUIET_S = 0.2
_STEPS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_PROPRIETARY, _JOINS, _ACCEPT = 7, (0, 6), 1
# WebSocket messages of a server; a router_config has some kilobytes.
_MAX_MESSAGE = 1 << 20


def id6(eui: bytes) -> str:
    """An EUI as a station writes its own: four groups of 16 bits."""
    return ":".join(f"{eui[n] << 8 | eui[n + 1]:x}" for n in range(0, 8, 2))


class _Config:
    """What a router_config says that decides which uplinks go out, and how."""

    def __init__(self, value: dict[str, Any]) -> None:
        reader = lns.Reader()
        reader.frames(value)
        self.rates = reader.rates
        networks, ranges = value.get("NetID"), value.get("JoinEui")
        self._networks: set[int] | None = None
        if isinstance(networks, list):
            self._networks = {n & 0x7F for n in networks if type(n) is int}
        self._ranges: list[tuple[int, int]] = []
        for pair in ranges if isinstance(ranges, list) else ():
            if isinstance(pair, list) and len(pair) == 2:
                self._ranges.append((lns.eui(pair[0]), lns.eui(pair[1])))

    def message(self, frame: Frame) -> dict[str, Any]:
        """The uplink message; Unfit where a station sends none (src/lora.c s2e_parse_lora_frame)."""
        data = frame.data
        kind = data[0] >> 5
        if data[0] & 0x1F or (kind != _PROPRIETARY and len(data) < 12):
            raise Unfit("not_lorawan")
        if kind in _JOINS:
            if len(data) != 23:
                raise Unfit("not_lorawan")
            self._admit(int.from_bytes(data[1:9], "little"))
        elif kind not in (_PROPRIETARY, _ACCEPT):
            if 8 + (data[5] & 15) > len(data) - 4:
                raise Unfit("not_lorawan")
            # Seven bits of DevAddr against the NetIDs.
            if self._networks is not None and data[4] >> 1 not in self._networks:
                raise Unfit("filtered_by_server")
        if (frame.radio.sf, frame.radio.bw_hz) not in self.rates.values():
            raise Unfit("no_data_rate")
        made = lns.message(frame, self.rates)
        # No MuxTime is measured here.
        return {**{k: v for k, v in made.items() if k != "upinfo"}, "RefTime": 0, "upinfo": made["upinfo"]}

    def _admit(self, join_eui: int) -> None:
        if self._ranges and not any(low <= join_eui <= high for low, high in self._ranges):
            raise Unfit("filtered_by_server")


class _Station:
    """One gateway's connection; made again when it breaks, with what has no pong yet sent again."""

    def __init__(self, eui: bytes, owner: LnsTarget) -> None:
        self.eui = eui
        self._owner = owner
        self._socket: Any = None
        self.config: _Config | None = None
        self._kept: OrderedDict[int, str] = OrderedDict()
        # A server that hangs up may have left unread what its library answered the ping for.
        self._recent: deque[tuple[float, int, str]] = deque(maxlen=4 * WINDOW)
        self._open = ExitStack()
        self._pongs: queue.SimpleQueue[tuple[int, Any, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.broken = threading.Event()
        threading.Thread(target=self._count, name="lns-pongs", daemon=True).start()

    def connect(self) -> None:
        """OSError and the library's errors where it fails, PeerError where the server refuses the station."""
        owner = self._owner
        uri = owner.discover(self.eui)
        self._socket = self._open.enter_context(owner.dial(uri))
        self.broken.clear()
        self._socket.send(
            dumps(
                {
                    "msgtype": "version",
                    "station": "lanterne",
                    "firmware": "replay",
                    "package": "",
                    "model": "linux",
                    "protocol": 2,
                    "features": "",
                }
            )
        )
        end = time.monotonic() + _WAIT_S
        self.config = None
        while self.config is None:
            self._take(self._socket.recv(max(0.0, end - time.monotonic())))
        threading.Thread(target=self._read, args=(self._socket,), name="lns", daemon=True).start()

    def send(self, number: int, message: str) -> None:
        with self._lock:
            self._kept[number] = message
        self._owner.ledger.sent(number)
        try:
            if not self.broken.is_set():
                self._put(number, message)
                return
        except self._owner.failures:
            self.broken.set()
        self.mend()

    def _put(self, number: int, message: str) -> None:
        self._socket.send(message)
        self._pongs.put((number, self._socket, self._socket.ping()))

    def mend(self) -> None:
        """Connect again within the patience; PeerError after it."""
        owner = self._owner
        owner.tell(f"{owner.name} is gone; trying to connect again")
        began = time.monotonic()
        self._unread(began - _UNREAD_S)
        for n in range(1 << 30):
            time.sleep(_STEPS_S[min(n, len(_STEPS_S) - 1)])
            try:
                self.close()
                self.connect()
                with self._lock:
                    kept = list(self._kept.items())
                for number, message in kept:
                    owner.ledger.sent(number)
                    self._put(number, message)
                owner.seen["reconnections"] += 1
                owner.tell(f"connected to {owner.name} again, {len(kept)} frames sent again")
                return
            except owner.failures as e:
                if time.monotonic() - began > owner.options.patience_s:
                    raise PeerError(f"{owner.name} is gone and did not come back: {_words(e)}") from None

    def _unread(self, since: float) -> None:
        """Keep once more what went out shortly before the end."""
        with self._lock:
            again = {number: message for at, number, message in self._recent if at >= since}
            self._recent.clear()
            self._kept = OrderedDict(sorted({**again, **self._kept}.items()))

    def _count(self) -> None:
        while True:
            number, connection, pong = self._pongs.get()
            if connection is None:
                return
            while not pong.wait(0.2):
                if connection is not self._socket or self.broken.is_set():
                    break
            else:
                with self._lock:
                    message = self._kept.pop(number, None)
                    if message is not None:
                        self._recent.append((time.monotonic(), number, message))
                self._owner.ledger.acked(number)

    def _read(self, connection: Any) -> None:
        while True:
            try:
                self._take(connection.recv())
            except self._owner.failures:
                if connection is self._socket:
                    self.broken.set()
                return

    def _take(self, text: str | bytes) -> None:
        try:
            value = loads(text.encode() if isinstance(text, str) else text)
            kind = value.get("msgtype") if isinstance(value, dict) else None
            if kind == "router_config":
                self.config = _Config(value)
            elif kind == "dnmsg":
                self._downlink(value)
            else:
                self._owner.seen[next(iter(fields.names("", [kind])))] += 1
        except BadRecord:
            self._owner.seen["unreadable"] += 1

    def _downlink(self, value: dict[str, Any]) -> None:
        """A `dntxed` for a downlink that was sent; a station says nothing of one that was not."""
        owner = self._owner
        diid = value.get("diid")
        xtime = fields.integer(value.get("xtime", 0), -(1 << 63), (1 << 63) - 1)
        delay_s = fields.integer(value.get("RxDelay", 1), 0, 15)
        if type(diid) is not int or xtime is None or delay_s is None:
            raise BadRecord
        found = owner.options.answers.next()
        word = "none" if found.error else "dntxed"
        owner.downlinks.add(owner.options.answers.count, word, found.late_ms, gateway=self.eui.hex())
        if found.error:
            return
        which = "RX1" if "RX1Freq" in value else "RX2"
        sent_us = xtime + (delay_s or 1) * 1_000_000 + found.late_ms * 1000
        answer = {
            "msgtype": "dntxed",
            "diid": diid,
            "seqno": diid,
            "DR": value.get(which + "DR", value.get("DR", 0)),
            "Freq": value.get(which + "Freq", value.get("Freq", 0)),
            "DevEui": value.get("DevEui", "00-00-00-00-00-00-00-00"),
            "rctx": value.get("rctx", 0),
            "xtime": sent_us,
            "txtime": fields.scaled(sent_us, 6),
            "gpstime": 0,
        }
        thread = threading.Thread(
            target=self._answer, args=(dumps(answer), found.late_ms / 1000), daemon=True
        )
        owner.late = [t for t in owner.late if t.is_alive()] + [thread]
        thread.start()

    def _answer(self, text: str, after_s: float) -> None:
        time.sleep(after_s)
        try:
            self._socket.send(text)
        except self._owner.failures:
            self._owner.seen["unsent_dntxed"] += 1

    def close(self, last: bool = False) -> None:
        # The library's ways to fail are those of a connection that is gone already.
        with suppress(*self._owner.failures):
            self._open.close()
        if last:
            self._pongs.put((0, None, None))


class LnsTarget:
    """ws:// or wss://. path: straight to this resource of the server, without discovery."""

    live = True

    def __init__(self, base: str, path: str, options: Options) -> None:
        self._base, self._path = base, path
        self.options = options
        self.tell = options.tell
        self.name = urlsplit(base).netloc
        self.ledger = Ledger()
        self.downlinks = Downlinks()
        self.seen: Counter[str] = Counter()
        self.failures: tuple[type[Exception], ...] = (OSError,)
        # Answers to downlinks that are under way.
        self.late: list[threading.Thread] = []
        self._stations: dict[bytes, _Station] = {}
        self._client: Any = None

    def open(self) -> None:
        self._client = need("websockets.sync.client")
        errors = need("websockets.exceptions")
        # EOFError: some versions of the library, for a server that hangs up before it is greeted.
        self.failures = (OSError, EOFError, errors.WebSocketException)
        self._station(self.options.gateway)

    def dial(self, uri: str) -> Any:
        """A connection. The secret goes to the host that was asked for, and to no other."""
        parts = urlsplit(uri)
        asked = urlsplit(self._base)
        if parts.scheme not in ("ws", "wss") or (asked.scheme == "wss" and parts.scheme != "wss"):
            raise PeerError(f"{self.name} sends the station to something else than {asked.scheme}://")
        headers: Mapping[str, str] = {}
        if self.options.secret:
            if parts.hostname != asked.hostname:
                raise PeerError(f"{self.name} sends the station, and its secret, to another host")
            headers = {"Authorization": self.options.secret}
        more: dict[str, Any] = {}
        if parts.scheme == "wss":
            try:
                more["ssl"] = ssl.create_default_context(cafile=self.options.ca or None)
            except (OSError, ssl.SSLError):
                raise InputError(f"{self.options.ca} is no file of certificates") from None
        return self._client.connect(
            uri,
            additional_headers=headers,
            open_timeout=_WAIT_S,
            close_timeout=1,
            max_size=_MAX_MESSAGE,
            compression=None,
            **more,
        )

    def discover(self, eui: bytes) -> str:
        """Where the server wants a station; PeerError where it wants it nowhere."""
        if self._path:
            return self._base + self._path
        with self.dial(self._base + "/router-info") as connection:
            connection.send(dumps({"router": id6(eui)}))
            text = connection.recv(_WAIT_S)
        try:
            value = loads(text.encode() if isinstance(text, str) else text)
        except BadRecord:
            value = None
        if not isinstance(value, dict):
            raise PeerError(f"{self.name} answers discovery with no JSON object")
        uri = value.get("uri")
        if value.get("error") or not isinstance(uri, str):
            raise PeerError(f"{self.name} refuses the station {eui.hex()}: {str(value.get('error'))[:200]}")
        return uri

    def _station(self, eui: bytes) -> _Station:
        found = self._stations.get(eui)
        if found is not None:
            return found
        if len(self._stations) >= MAX_STATIONS:
            raise UsageError(f"a replay speaks for {MAX_STATIONS} stations at most")
        station = _Station(eui, self)
        try:
            station.connect()
        except self.failures as e:
            station.close(last=True)
            raise PeerError(f"cannot reach {self.name} as a station: {_words(e)}") from None
        self._stations[eui] = station
        return station

    def send(self, number: int, frame: Frame) -> None:
        ready = heard(frame)
        station = self._station(frame.gateway or self.options.gateway)
        config = station.config
        assert config is not None
        text = dumps(config.message(ready))
        if not self.ledger.wait_told(
            lambda: self.ledger.waiting < WINDOW or self._any_broken(),
            self.options.patience_s,
            lambda: self.tell(f"{self.name} is slow; waiting for its pongs"),
        ):
            raise PeerError(f"{self.name} takes messages and answers no ping")
        station.send(number, text)

    def _any_broken(self) -> bool:
        return any(s.broken.is_set() for s in self._stations.values())

    def settle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            for station in self._stations.values():
                if station.broken.is_set():
                    station.mend()
            self.ledger.wait(lambda: not self.ledger.waiting or self._any_broken(), rest)
            # A server that hangs up on the last message does so about now.
            if not self.ledger.waiting and not self.ledger.wait(self._any_broken, _QUIET_S):
                break
        for thread in list(self.late):
            thread.join(max(0.0, end - time.monotonic()))

    def close(self) -> None:
        for station in self._stations.values():
            station.close(last=True)

    def told(self) -> dict[str, Any]:
        seen = {name: count for name, count in sorted(self.seen.items()) if count}
        return {"stations": len(self._stations), **seen, **self.downlinks.told()}


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)[:200]
