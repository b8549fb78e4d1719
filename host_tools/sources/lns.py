"""A LoRaWAN network server's end of the LNS protocol, as far as a capture needs it: Basics Stations connect to it,
are configured for EU868 and tell what they hear (host_tools/formats/lns.py).

A station asks under /router-info where to go and is sent back here, under /traffic/EUI (doc.sm.tc/station/
tcproto.html). The protocol has no acknowledgement: what the disk refuses is gone. No station is authenticated.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from host_tools.errors import PeerError
from host_tools.formats import lns
from host_tools.formats.jsontext import BadRecord, dumps, loads
from host_tools.formats.mapping import record_of
from host_tools.frames import Record
from host_tools.rotation import MAX_MESSAGE
from host_tools.sources import Address, Message, Sink, Source, need

MAX_STATIONS = 256
_DISCOVERY = "/router-info"
_TRAFFIC = re.compile(r"/traffic/([0-9a-f]{16})")
# Three default channels of the region and five more (Regional Parameters; the common list of networks), on two
# radios 800 kHz apart from the band's two groups.
_RADIOS = (867_500_000, 868_500_000)
_CHANNELS = (
    868_100_000,
    868_300_000,
    868_500_000,
    867_100_000,
    867_300_000,
    867_500_000,
    867_700_000,
    867_900_000,
)


def router_config() -> dict[str, Any]:
    """What a station needs to listen on EU868: the data rates are those that lns.Reader takes for granted."""
    rates = lns.region_rates("EU863")
    setup: dict[str, Any] = {f"radio_{n}": {"enable": True, "freq": f} for n, f in enumerate(_RADIOS)}
    for n, freq_hz in enumerate(_CHANNELS):
        radio = int(freq_hz > 868_000_000)
        setup[f"chan_multiSF_{n}"] = {"enable": True, "radio": radio, "if": freq_hz - _RADIOS[radio]}
    setup["chan_Lora_std"] = {
        "enable": True,
        "radio": 1,
        "if": 868_300_000 - _RADIOS[1],
        "bandwidth": 250_000,
        "spread_factor": 7,
    }
    setup["chan_FSK"] = {"enable": False}
    return {
        "msgtype": "router_config",
        # No filters: everything that is heard is told.
        "NetID": None,
        "JoinEui": None,
        "region": "EU863",
        "hwspec": "sx1301/1",
        "freq_range": [863_000_000, 870_000_000],
        "DRs": [
            [rates[n][0], rates[n][1] // 1000, 0] if n in rates else [0 if n == 7 else -1, 0, 0]
            for n in range(16)
        ],
        "upchannels": [[freq_hz, 0, 5] for freq_hz in _CHANNELS],
        "sx1301_conf": [setup],
    }


def id6(eui: int) -> str:
    """An EUI as four groups of 16 bits, as stations write it."""
    return ":".join(f"{eui >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0))


class LnsSource(Source):
    def __init__(self, host: str, port: int, sink: Sink, tell: Callable[[str], None]) -> None:
        super().__init__(sink, tell)
        server = need("websockets.sync.server")
        self._lost = need("websockets.exceptions").ConnectionClosed
        quiet = logging.Logger("lanterne.lns", logging.CRITICAL)
        try:
            self._server = server.serve(
                self._serve,
                host,
                port,
                max_size=MAX_MESSAGE,
                logger=quiet,
                compression=None,
                server_header=None,
                close_timeout=2,
            )
        except (OSError, OverflowError, UnicodeError) as e:
            words = getattr(e, "strerror", None) or str(e)
            raise PeerError(f"cannot listen on {host}:{port}: {words}") from None
        self.host = host
        self.port: int = self._server.socket.getsockname()[1]
        self.where = f"ws {host}:{self.port}"
        # Connections with the time of their last word.
        self._open: dict[Any, float] = {}
        self._lock = threading.Lock()

    def _run(self) -> None:
        self._server.serve_forever()

    def _wake(self) -> None:
        self._server.shutdown()

    def _close(self) -> None:
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _hang_up(connection)
        # Their threads have the last messages in hand.
        end = time.monotonic() + 2
        while self._open and time.monotonic() < end:
            time.sleep(0.01)

    def _serve(self, connection: Any) -> None:
        with self._lock:
            if self._stop.is_set():
                return
            if len(self._open) >= MAX_STATIONS:
                # The one silent the longest makes room, or a few could keep all others out.
                _hang_up(min(self._open, key=lambda c: self._open[c]))
            self._open[connection] = time.monotonic()
        try:
            path = connection.request.path
            traffic = _TRAFFIC.fullmatch(path)
            if path == _DISCOVERY:
                self._discover(connection)
            elif traffic:
                self._listen(connection, bytes.fromhex(traffic[1]))
        except (self._lost, TimeoutError):
            return
        finally:
            with self._lock:
                del self._open[connection]

    def _discover(self, connection: Any) -> None:
        question = connection.recv(timeout=60)
        try:
            value = loads(question if isinstance(question, bytes) else question.encode())
            router = lns.eui(value.get("router") if isinstance(value, dict) else None)
        except BadRecord:
            connection.send(dumps({"router": "::0", "error": "no router is named"}))
            return
        # The name under which the station reached this computer is the one it will reach it by.
        host = connection.request.headers.get("Host", f"{self.host}:{self.port}")
        answer = {"router": id6(router), "muxs": id6(0), "uri": f"ws://{host}/traffic/{router:016x}"}
        connection.send(dumps(answer))

    def _listen(self, connection: Any, gateway: bytes) -> None:
        self._tell(f"station {gateway.hex()} is here")
        reader = lns.Reader(gateway=gateway)
        for text in connection:
            with self._lock:
                self._open[connection] = time.monotonic()
            raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
            asked = False
            with self.unharmed():
                asked = self._take(raw, reader)
            if asked:
                connection.send(dumps(router_config()))
        self._tell(f"station {gateway.hex()} is gone")

    def _take(self, raw: bytes, reader: lns.Reader) -> bool:
        """Keep a message; True where it is a station's first and asks for its configuration."""
        try:
            value = loads(raw)
            # A server's word, which would change our data rates, is none of a station's.
            if not isinstance(value, dict) or value.get("msgtype") == "router_config":
                raise BadRecord
            found = record_of(raw, value, (reader,))
        except BadRecord as e:
            found, value = Record(raw, reason=e.reason), {}
        if self._keep(Message(Record(raw + b"\n", found.frames, found.others, found.reason), lns.NAME)):
            self._sync()
        return value.get("msgtype") == "version"


def _hang_up(connection: Any) -> None:
    with contextlib.suppress(OSError):
        connection.socket.shutdown(socket.SHUT_RDWR)


def open_source(where: Address, sink: Sink, tell: Callable[[str], None], client: str) -> Source:
    return LnsSource(where.host, where.port, sink, tell)
