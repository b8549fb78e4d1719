"""A broker: what is acknowledged is on the disk, what is not comes again; both servers' topics."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from host_tools import cli, output, sources
from host_tools.errors import PeerError
from host_tools.formats import pcapng
from host_tools.rotation import MAX_MESSAGE
from host_tools.sources import Address
from host_tools.sources.mqtt import message_of, topics
from tests.conftest import package, peer
from tests.formats import wrap_chirpstack, wrap_gwmp, wrap_tts
from tests.host.live_bench import RADIO, Capturing, frames, messages, sink, until

pytestmark = pytest.mark.usefixtures("quiet_place")
FRAME = bytes.fromhex("40F17DBE4900020001954378762B11FF0D")
EUI = "0016c001ff10a235"


class Broker:
    """mosquitto with the limits that it has unless configured; what it holds ends with it."""

    def __init__(self, folder: Path, *more: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            "\n".join(
                [
                    f"listener {self.port} 127.0.0.1",
                    "persistence false",
                    # As root it would become a user who may not read this folder.
                    f"user {getpass.getuser()}",
                    *(more or ["allow_anonymous true"]),
                    "",
                ]
            )
        )
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [peer("mosquitto"), "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def there() -> bool:
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0

        try:
            until(there)
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Publisher:
    def __init__(self, port: int) -> None:
        mqtt = package("paho.mqtt.client")
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="publisher")
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes | str) -> None:
        """Published, and acknowledged by the broker."""
        self._client.publish(topic, payload, qos=1).wait_for_publish(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    peer("mosquitto")
    package("paho.mqtt.client")
    found = Broker(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    found = Publisher(broker.port)
    yield found
    found.close()


class Listening:
    """A source with its remarks; `ready` once the broker has its subscriptions."""

    def __init__(self, port: int, path: Path, prefix: str = "", client: str = "one") -> None:
        self.disk, self.taker = sink(path)
        self.told: list[str] = []
        self.source = sources.start(f"mqtt://127.0.0.1:{port}/{prefix}", self.taker, self.told.append, client)
        ready = threading.Event()
        subscribed = self.source._on_subscribe  # type: ignore[attr-defined]

        def on_subscribe(*arguments: Any) -> None:
            subscribed(*arguments)
            ready.set()

        self.source._client.on_subscribe = on_subscribe  # type: ignore[attr-defined]
        self.source.start()
        assert ready.wait(10), self.told

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop()
        self.disk.close()

    @property
    def numbers(self) -> list[int]:
        return [f.data[-1] for f in frames(self.disk.path)]


def up(n: int) -> str:
    return wrap_chirpstack.uplink_frame(FRAME + bytes((n,)))


def test_the_topics_of_both_servers(broker: Broker, publisher: Publisher, tmp_path: Path) -> None:
    with Listening(broker.port, tmp_path / "c.pcap") as here:
        publisher.send(f"gateway/{EUI}/event/up", up(1))
        publisher.send(f"eu868/gateway/{EUI}/event/up", wrap_chirpstack.uplink_frame_pb(FRAME + b"\x02"))
        publisher.send(f"eu868/gateway/{EUI}/event/stats", json.dumps({"gatewayId": EUI, "stats": {}}))
        publisher.send(
            "application/1/device/0102030405060708/event/up", wrap_chirpstack.uplink_event(b"\x03")
        )
        publisher.send("v3/app@ttn/devices/dev-1/up", wrap_tts.line(wrap_tts.application_up(b"\x04")))
        publisher.send("somebody/else", "nothing of ours")
        publisher.send(f"gateway/{EUI}/event/up", "")
        publisher.send(f"gateway/{EUI}/event/up", up(5))
        until(lambda: here.taker.tally.frames == 5)
        assert here.numbers == [1, 2, 3, 4, 5]
        assert not here.taker.tally.unreadable


def test_a_prefix_takes_all_below_it(broker: Broker, publisher: Publisher, tmp_path: Path) -> None:
    with Listening(broker.port, tmp_path / "c.pcapng", "my/place") as here:
        publisher.send("other/gateway/x/event/up", up(1))
        sent = [up(2), up(3)]
        publisher.send("my/place/a", sent[0])
        publisher.send("my/place/b/c", sent[1])
        publisher.send("my/place/d", "{")
        until(lambda: here.taker.tally.frames == 2 and here.taker.tally.unreadable)
    assert here.numbers == [2, 3] and dict(here.taker.tally.unreadable) == {"bad_json": 1}
    assert messages(here.disk.path) == ("json", "".join(line + "\n" for line in sent).encode())
    assert topics("a/+/b") == ("a/+/b",) and topics("a/") == ("a/#",) and len(topics("")) > 5


def test_protobuf_comes_out_again(broker: Broker, publisher: Publisher, tmp_path: Path) -> None:
    sent = [wrap_chirpstack.uplink_frame_pb(FRAME + bytes((n,))) for n in range(5)]
    with Listening(broker.port, tmp_path / "c.pcapng", "eu868") as here:
        for payload in sent:
            publisher.send(f"eu868/gateway/{EUI}/event/up", payload)
        until(lambda: here.taker.tally.frames == 5)
    assert messages(here.disk.path) == ("chirpstack", b"".join(map(wrap_chirpstack.delimited, sent)))
    assert {f.gateway.hex() for f in frames(here.disk.path)} == {"0102030405060708"}


def test_what_came_while_away_is_there_afterwards(
    broker: Broker, publisher: Publisher, tmp_path: Path
) -> None:
    with Listening(broker.port, tmp_path / "a.pcap"):
        publisher.send("gateway/x/event/up", up(1))
    for n in range(2, 40):
        publisher.send("gateway/x/event/up", up(n))
    with Listening(broker.port, tmp_path / "b.pcap") as again:
        until(lambda: again.taker.tally.frames >= 38)
        assert again.told == ["the broker is here, with our session"]
    first = [f.data[-1] for f in frames(tmp_path / "a.pcap")]
    # What was taken in the last moment may come twice, nothing is missing.
    assert sorted({*first, *again.numbers}) == list(range(1, 40))
    # Another name is another session.
    with Listening(broker.port, tmp_path / "c.pcap", client="two") as other:
        assert other.told == ["the broker is here"] and other.taker.tally.frames == 0


def test_what_the_disk_refuses_comes_again(broker: Broker, publisher: Publisher, tmp_path: Path) -> None:
    with Listening(broker.port, tmp_path / "c.pcap") as here:
        publisher.send("gateway/x/event/up", up(0))
        until(lambda: here.taker.tally.frames == 1)
        here.disk.full = True
        for n in range(1, 60):
            publisher.send("gateway/x/event/up", up(n))
        until(lambda: here.taker.tally.refused > 0)
        assert here.numbers == [0]
        here.disk.full = False
        until(lambda: here.taker.tally.frames >= 60)
        assert here.numbers == list(range(60))
        assert here.taker.tally.refused == 0
        assert sum(here.taker.tally.refusals.values()) >= 1
        # Many wait for the disk together.
        assert here.disk.syncs < 60


def test_a_broker_that_goes_and_comes_back(broker: Broker, tmp_path: Path) -> None:
    with Listening(broker.port, tmp_path / "c.pcap") as here:
        broker.stop()
        until(lambda: "the broker is gone" in here.told)
        broker.start()
        # What it held went with it, and that is said.
        until(lambda: here.told[-1].startswith("the broker is here, but has lost our session"))
        publisher = Publisher(broker.port)
        # Subscribing takes a moment; who publishes into it again and again will be heard.
        until(lambda: publisher.send("gateway/x/event/up", up(1)) or here.taker.tally.frames > 0)  # type: ignore[func-returns-value]
        publisher.close()


class Old(threading.Thread):
    """A broker that knows MQTT 3.1.1 only: it refuses protocol 5 with code 1 and takes 4 (MQTT 3.1.1, 3.2)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.seen: list[tuple[int, int]] = []
        self.acknowledged = threading.Event()

    def run(self) -> None:
        while not self.acknowledged.is_set():
            with self.server.accept()[0] as s:
                s.settimeout(10)
                data = s.recv(1000)
                version, flags = data[8], data[9]
                self.seen.append((version, flags))
                if version != 4:
                    s.sendall(b"\x20\x02\x00\x01")
                    continue
                s.sendall(b"\x20\x02\x00\x00")
                data = s.recv(1000)  # SUBSCRIBE
                s.sendall(_suback(data))
                topic, payload = (
                    b"v3/a/devices/d/up",
                    wrap_tts.line(wrap_tts.application_up(b"\x04")).encode(),
                )
                body = len(topic).to_bytes(2, "big") + topic + b"\x00\x07" + payload
                s.sendall(b"\x32" + _length(len(body)) + body)
                while b"\x40\x02\x00\x07" not in (data := s.recv(1000)):
                    assert data
                self.acknowledged.set()


def _length(n: int) -> bytes:
    return bytes((n,)) if n < 128 else bytes((n % 128 | 128, n // 128))


def _suback(subscribe: bytes) -> bytes:
    at = 2 if subscribe[1] < 128 else 3
    number, at, count = subscribe[at : at + 2], at + 2, 0
    while at < len(subscribe):
        at += 3 + int.from_bytes(subscribe[at : at + 2], "big")
        count += 1
    return b"\x90" + bytes((2 + count,)) + number + bytes([1] * count)


def test_a_broker_of_the_older_protocol(tmp_path: Path) -> None:
    """The Things Stack's is one."""
    package("paho.mqtt.client")
    old = Old()
    old.start()
    disk, taker = sink(tmp_path / "c.pcap")
    with sources.start(f"mqtt://127.0.0.1:{old.port}", taker, lambda text: None, "one"):
        assert old.acknowledged.wait(10)
    disk.close()
    # First version 5, then 4 without a clean session (bit 1).
    assert [v for v, _ in old.seen] == [5, 4] and not old.seen[1][1] & 2
    assert len(frames(disk.path)) == 1


def test_a_password_and_what_a_broker_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package("paho.mqtt.client")
    (tmp_path / "users").write_text("me:secret\n")
    (tmp_path / "users").chmod(0o600)
    subprocess.run([peer("mosquitto_passwd"), "-U", str(tmp_path / "users")], check=True)
    peer("mosquitto")
    broker = Broker(tmp_path, f"password_file {tmp_path}/users", "allow_anonymous false")
    try:
        for password, wanted in (
            ("secret", "the broker is here"),
            ("wrong", "the broker refuses: Not authorized"),
        ):
            monkeypatch.setenv("LANTERNE_MQTT_PASSWORD", password)
            disk, taker = sink(tmp_path / f"{password}.pcap")
            told: list[str] = []
            with sources.start(f"mqtt://me@127.0.0.1:{broker.port}", taker, told.append, "one"):
                until(lambda told=told: bool(told))  # type: ignore[misc]
            disk.close()
            assert told[0] == wanted
    finally:
        broker.stop()


def test_with_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer("mosquitto")
    package("paho.mqtt.client")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    files = [f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem", "allow_anonymous true"]
    broker = Broker(tmp_path, *files)
    try:
        disk, taker = sink(tmp_path / "c.pcap")
        with pytest.raises(PeerError, match="certificate verify failed"):
            sources.start(f"mqtts://localhost:{broker.port}", taker, print, "one")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        told: list[str] = []
        with sources.start(f"mqtts://localhost:{broker.port}", taker, told.append, "one"):
            until(lambda: told)
        assert told == ["the broker is here"]
        disk.close()
    finally:
        broker.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_command_loses_nothing(broker: Broker, publisher: Publisher, number: int) -> None:
    source = f"mqtt://127.0.0.1:{broker.port}/eu868"
    for run in range(2):
        capturing = Capturing(source, "-o", "c.pcapng", "--rotate", "3kB", mark="the broker is here")
        for n in range(100 * run, 100 * run + 100):
            publisher.send("eu868/gateway/x/event/up", up(n))
        until(lambda wanted=50 + 100 * run: len(_all()) > wanted)  # type: ignore[misc]
        capturing.end(signal.SIGINT if run else number)
    last = Capturing(source, "-o", "c.pcapng", "--rotate", "3kB", mark="the broker is here")
    until(lambda: _all() == set(range(200)))
    last.end()


def _all() -> set[int]:
    """The numbers in all files here, one of which may be cut."""
    found = set()
    for path in Path().glob("c-*"):
        with path.open("rb") as f:
            found |= {frame.data[-1] for r in pcapng.read(f, path.name, []) for frame in r.frames}
    return found


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    package("paho.mqtt.client")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    assert cli.run(["capture", f"mqtt://127.0.0.1:{port}", "-o", "c.pcap"]) == output.SILENT
    assert f"no broker at 127.0.0.1:{port}: Connection refused" in capsys.readouterr().err
    assert not Path("c.pcap").exists()
    with pytest.raises(PeerError):
        sources.start("mqtt://no.such.host.invalid", sink(Path("d.pcap"))[1], print)


def test_messages_of_any_kind() -> None:
    assert message_of(b"") is None
    for payload, reason in (
        (b"\0", "bad_record"), (b"{", "bad_json"), (b"[1]", "bad_record"), (b"{}", "bad_record"),
        (b'{"rxpk":[{}]}', "bad_record"), (b"\x0a\xff", "truncated"), (b"{" * 100, "too_deep"),
        (b"x" * (MAX_MESSAGE + 1), "too_long"),
    ):  # fmt: skip
        found = message_of(payload)
        assert found and found.record.reason == reason, payload[:20]
    found = message_of(wrap_gwmp.wrap(FRAME, **RADIO))
    assert found and found.record.frames[0].data == FRAME
    assert Address("mqtt").port == -1
