"""Where live frames come from: one file for each kind of source. SOURCE in words is

    udp://HOST:PORT               listens for packet forwarders (GWMP)
    mqtt://[USER@]HOST[:PORT][/TOPICS]   takes part in a broker's traffic; mqtts:// with TLS
    ws://HOST:PORT                listens for Basics Stations (LNS)
    serial:PORT[@BAUD]            reads gateway records and hex lines

A source hands each message to a sink and says so to its peer only when the sink has it on the disk.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from host_tools.errors import ToolError, UsageError
from host_tools.frames import Record

__all__ = ["Address", "Message", "Sink", "Source", "address", "is_live", "need", "start"]

_LIVE = re.compile(r"(udp|mqtts?|ws)://|serial:")
_ADDRESS = re.compile(
    r"(?P<kind>udp|mqtts?|ws)://(?:(?P<user>[^@/]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/@\[\]]+)"
    r"(?::(?P<port>\d{1,5}))?(?:/(?P<path>.*))?"
)
_SERIAL = re.compile(r"serial:(?P<port>.+?)(?:@(?P<baud>\d{1,8}))?")
_EXAMPLES = {
    "udp": "udp://0.0.0.0:1700",
    "mqtt": "mqtt://broker.example:1883/eu868",
    "mqtts": "mqtts://user@broker.example/v3",
    "ws": "ws://0.0.0.0:1887",
    "serial": "serial:/dev/ttyUSB0@115200",
}
_MODULES = {"udp": "udp", "mqtt": "mqtt", "mqtts": "mqtt", "ws": "lns", "serial": "serial"}
BAUD = 115200


@dataclass(frozen=True, slots=True)
class Message:
    """What one peer sent at once. fmt: name of the format whose file the `raw` of messages make, joined."""

    record: Record
    fmt: str


class Sink(Protocol):
    """Takes messages in, from any thread. StoreError where the disk refuses: the message must come again."""

    def take(self, message: Message) -> None: ...

    def sync(self) -> None:
        """Have all that was taken survive a power cut."""

    def lost(self, count: int, why: str) -> None:
        """Messages that never came here, as far as a source can tell."""


@dataclass(frozen=True)
class Address:
    """A source in its parts. port: 0 where a free one will do, -1 where none was named."""

    kind: str
    host: str = ""
    port: int = -1
    user: str = ""
    path: str = ""
    baud: int = BAUD


def is_live(text: str) -> bool:
    return _LIVE.match(text) is not None


def address(text: str) -> Address:
    """UsageError for what is no address of a live source. No password is ever part of one."""
    kind = text.partition(":")[0]
    if kind == "serial":
        found = _SERIAL.fullmatch(text)
        if found:
            return Address(kind, path=found["port"], baud=int(found["baud"] or BAUD))
        raise _no_address(text, kind)
    match = _ADDRESS.fullmatch(text)
    if match and ":" in (match["user"] or ""):
        raise UsageError(
            f"{kind}: a password in an address is seen by everybody on this computer",
            "LANTERNE_MQTT_PASSWORD holds it",
        )
    if not match or int(match["port"] or 0) > 65535 or "\0" in text:
        raise _no_address(text, kind)
    port = int(match["port"]) if match["port"] else -1
    if (kind in ("udp", "ws") and port < 0) or (kind == "udp" and match["path"]):
        raise _no_address(text, kind)
    if match["user"] and not kind.startswith("mqtt"):
        raise _no_address(text, kind)
    return Address(kind, match["host"].strip("[]"), port, match["user"] or "", match["path"] or "")


def _no_address(text: str, kind: str) -> UsageError:
    return UsageError(
        f"{text!r} is no address of a source", _EXAMPLES.get(kind, " or ".join(_EXAMPLES.values()))
    )


def need(module: str, extra: str = "net") -> Any:
    """A package of an extra; UsageError that names the extra where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise UsageError(f"{name} is not installed", f"pip install 'lanterne[{extra}]'") from None


class Source:
    """Runs in a thread of its own between `start` and `stop`. where: what it listens on or reads, in words.

    tell: told of what changes (a peer that comes, a broker that goes). failed: a defect that ended it.
    """

    def __init__(self, sink: Sink, tell: Callable[[str], None]) -> None:
        self._sink = sink
        self._tell = tell
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.where = ""
        self.failed: Exception | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._guarded, name="source", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. What was taken until now is on the disk, and its peers know."""
        self._stop.set()
        self._wake()
        if self._thread is not None:
            self._thread.join()
        self._close()

    def __enter__(self) -> Source:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as e:
            # The command ends with it; a silent thread would look like a quiet network.
            self.failed = e

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """A defect that one message brings out must not end the intake of every other."""
        try:
            yield
        except (OSError, ToolError):
            raise
        except Exception as e:
            self._sink.lost(1, f"a defect of lanterne: {e!r}")

    def _run(self) -> None:
        raise NotImplementedError

    def _wake(self) -> None:
        """Have `_run` look at `_stop`."""

    def _close(self) -> None:
        """Let go of what the constructor opened."""

    def _keep(self, message: Message) -> bool:
        """Hand a message over; False where the disk refused it."""
        try:
            self._sink.take(message)
        except ToolError:
            return False  # the sink counts and names it
        return True

    def _sync(self) -> bool:
        try:
            self._sink.sync()
        except ToolError:
            return False
        return True


def start(text: str, sink: Sink, tell: Callable[[str], None], client: str = "") -> Source:
    """The source of an address, ready to be entered. client: a name that stays the same from run to run.

    PeerError for an address that is taken or a port that is not there.
    """
    found = address(text)
    module = importlib.import_module("host_tools.sources." + _MODULES[found.kind])
    source: Source = module.open_source(found, sink, tell, client)
    return source
