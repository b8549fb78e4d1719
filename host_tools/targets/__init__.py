"""Where a replay goes: a capture file, or a live receiver as a gateway of its kind would speak to it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from host_tools.errors import InputError, UsageError
from host_tools.faults.line import Answers
from host_tools.targets.base import Target

__all__ = ["DEFAULT_GATEWAY", "Options", "Target", "is_live", "make", "secret_of"]

# A locally administered EUI, for frames whose gateway is not known.
DEFAULT_GATEWAY = bytes.fromhex("0200000000000001")
_SCHEME = re.compile(r"(udp|ws|wss|mqtt|mqtts|tcp|serial|air):", re.ASCII)
_SERIAL = re.compile(r"serial:(?P<port>.+?)(?:@(?P<baud>[1-9]\d{1,6}))?", re.ASCII)
_SECRETIVE = ("ws", "wss", "mqtt", "mqtts")
_PORTS = {"udp": 1700, "ws": 80, "wss": 443, "mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True)
class Options:
    """gateway: EUI of frames that have none. seed: numbers of messages begin there. secret: password of MQTT or
    Authorization of LNS; repr shows none. ca: file of authorities. patience_s: how long a receiver may be away.
    tell: called with a line for the person who waits.
    """

    gateway: bytes = DEFAULT_GATEWAY
    seed: int = 1
    secret: str = field(default="", repr=False)
    ca: str = ""
    patience_s: float = 30.0
    answers: Answers = field(default_factory=lambda: Answers(None, 1))
    tell: Callable[[str], None] = lambda line: None


def is_live(text: str) -> bool:
    """True for what is no name of a file."""
    return _SCHEME.match(text) is not None


def secret_of(file: str = "", variable: str = "") -> str:
    """The secret in the first line of a private file, or in an environment variable that is named."""
    from provisioning.files import check_private

    if file and variable:
        raise UsageError("a secret comes from a file or from a variable, not from both")
    if variable:
        if variable not in os.environ:
            raise UsageError(f"the environment has no {variable}")
        return os.environ[variable]
    if not file:
        return ""
    check_private(Path(file))
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"cannot read the secret in {file}") from None
    if not lines or not lines[0]:
        raise InputError(f"{file} holds no secret in its first line")
    return lines[0]


def make(text: str, options: Options) -> Target:
    """The target that a text names, not opened yet. UsageError where it names none."""
    found = _SCHEME.match(text)
    if options.secret and (found is None or found[1] not in _SECRETIVE):
        raise UsageError("only MQTT and LNS have a use for a secret")
    if found is None:
        from host_tools.targets.file import FileTarget

        return FileTarget(text)
    scheme = found[1]
    if scheme == "tcp":
        from host_tools.targets.stream import TcpTarget

        host, port = _host_port(text.removeprefix("tcp:"), text)
        return TcpTarget(host, port, options)
    if scheme == "serial":
        from host_tools.targets.stream import SerialTarget

        match = _SERIAL.fullmatch(text)
        if match is None:
            raise UsageError(
                "a serial target is serial:PORT or serial:PORT@BAUD", "serial:/dev/ttyUSB0@115200"
            )
        return SerialTarget(match["port"], int(match["baud"] or 115200), options)
    if scheme == "air":
        from host_tools.targets.air import AirTarget

        path, _, query = text.removeprefix("air:").partition("?")
        return AirTarget(path, _query(query, ("metres", "loss")), options)
    return _net(scheme, text, options)


def _net(scheme: str, text: str, options: Options) -> Target:
    url = _url(scheme, text)
    host, port = url.hostname or "", url.port or _PORTS[scheme]
    path = url.path.rstrip("/")
    if scheme == "udp":
        from host_tools.targets.gwmp import GwmpTarget

        if path or url.query or url.username:
            raise UsageError("a GWMP target is udp://HOST:PORT")
        return GwmpTarget(host, port, options)
    if scheme in ("ws", "wss"):
        from host_tools.targets.lns import LnsTarget

        if url.query or url.username:
            raise UsageError(
                f"an LNS target is {scheme}://HOST:PORT", "its token: --secret-file, --secret-env"
            )
        where = f"[{host}]" if ":" in host else host
        return LnsTarget(f"{scheme}://{where}:{port}", path, options)
    from host_tools.targets.mqtt import MqttTarget

    encoding = _query(url.query, ("encoding",)).get("encoding", "protobuf")
    if encoding not in ("protobuf", "json") or not path.strip("/") or "+" in path or "#" in path:
        raise UsageError(
            f"an MQTT target is {scheme}://HOST:PORT/PREFIX or the same with ?encoding=json",
            "ChirpStack's prefix is its region, as in mqtt://localhost/eu868",
        )
    if options.secret and not url.username:
        raise UsageError("a password of MQTT needs its user", f"{scheme}://USER@HOST:PORT/PREFIX")
    return MqttTarget(host, port, path.strip("/"), encoding, url.username or "", scheme == "mqtts", options)


def _url(scheme: str, text: str) -> SplitResult:
    """The parts of a URL; no message ever repeats one, which might hold what should not be there."""
    try:
        url = urlsplit(text)
        whole = text.startswith(scheme + "://") and url.hostname and not url.fragment and url.port != 0
    except ValueError:
        whole = None
        url = urlsplit("")
    if whole and url.password is not None:
        raise UsageError(
            "a password does not belong in a URL, where every program can read it",
            "--secret-file FILE or --secret-env NAME",
        )
    if not whole:
        raise UsageError(f"a {scheme} target is {scheme}://HOST:PORT")
    return url


def _query(text: str, known: tuple[str, ...]) -> dict[str, str]:
    found = dict(parse_qsl(text, keep_blank_values=True))
    if set(found) - set(known):
        raise UsageError("behind the ? of this target stand only " + ", ".join(known))
    return found


def _host_port(text: str, whole: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{whole!r} is no address", "tcp:127.0.0.1:7700")
    return host.strip("[]"), int(port)
