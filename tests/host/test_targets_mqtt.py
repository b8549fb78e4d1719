"""A replay into MQTT, through a broker of other people (mosquitto) to a subscriber that is made here."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools import capture, replay, targets
from host_tools.errors import InputError, PeerError, UsageError
from host_tools.faults import Fault, Faults
from host_tools.faults.line import Answers
from tests.conftest import package, peer
from tests.host import synth
from tests.host.synth import Device

SECRET = "hush-hush"
GATEWAY = "0200000000000001"


class Broker:
    def __init__(self, folder: Path, password: bool) -> None:
        self.program = peer("mosquitto")
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(not password).lower()}"]
        if os.getuid() == 0:
            lines.append("user root")
        if password:
            subprocess.run(
                [peer("mosquitto_passwd"), "-b", "-c", folder / "users", "lab", SECRET],
                check=True,
                capture_output=True,
            )
            lines.append(f"password_file {folder / 'users'}")
        self.config.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.program, "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 5
        while time.monotonic() < end:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        pytest.fail("mosquitto does not listen")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(5)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path, password=False)
    yield made
    made.stop()


class Subscriber:
    """A network server, as far as it matters here. downlinks: so many are sent when the first uplinks come."""

    def __init__(self, port: int, downlinks: int = 0, user: str = "") -> None:
        paho = package("paho.mqtt.client")
        self.up: list[tuple[str, bytes]] = []
        self.acks: list[bytes] = []
        self.ready = threading.Event()
        self.downlinks = downlinks
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        if user:
            self.client.username_pw_set(user, SECRET)
        self.client.on_connect = lambda c, *_: c.subscribe("eu868/gateway/+/event/#", qos=1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self.message
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.ready.wait(5)

    def message(self, client: Any, _: Any, message: Any) -> None:
        if message.topic.endswith("/ack"):
            self.acks.append(message.payload)
            return
        self.up.append((message.topic, message.payload))
        if len(self.up) <= self.downlinks:
            items = [{"phyPayload": "AA=="}, {"phyPayload": "AQ=="}]
            body = {"downlinkId": len(self.up), "items": items, "gatewayId": GATEWAY}
            client.publish(f"eu868/gateway/{GATEWAY}/command/down", json.dumps(body), qos=1)

    def wait(self, up: int, acks: int = 0) -> None:
        end = time.monotonic() + 5
        while time.monotonic() < end and (len(self.up) < up or len(self.acks) < acks):
            time.sleep(0.01)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return synth.capture(tmp_path / "in.pcap", Device("mac0", 2).run(20))


def fields(data: bytes) -> dict[int, Any]:
    """Fields of a protobuf message, from its encoding's description: varints, lengths, four bytes."""
    found: dict[int, Any] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            found[key >> 3] = varint()
        elif key & 7 == 2:
            size = varint()
            found[key >> 3] = data[at : at + size]
            at += size
        else:
            assert key & 7 == 5
            found[key >> 3] = struct.unpack_from("<f", data, at)[0]
            at += 4
    return found


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_every_frame_is_an_event_of_its_gateway(broker: Broker, night: Path, encoding: str) -> None:
    subscriber = Subscriber(broker.port)
    target = targets.make(f"mqtt://127.0.0.1:{broker.port}/eu868?encoding={encoding}", targets.Options())
    report = replay.play(night, target, speed=0)
    data = [f.data for f in capture.read(night)]
    subscriber.wait(len(data))
    subscriber.stop()
    assert report.error is None and report.receiver is not None
    assert report.receiver["acknowledged"] == len(data)
    assert {topic for topic, _ in subscriber.up} == {f"eu868/gateway/{GATEWAY}/event/up"}
    if encoding == "json":
        values = [json.loads(payload) for _, payload in subscriber.up]
        assert [base64.b64decode(v["phyPayload"]) for v in values] == data
        assert {v["rxInfo"]["gatewayId"] for v in values} == {GATEWAY}
        assert {v["rxInfo"]["crcStatus"] for v in values} == {"CRC_OK"}
        return
    messages = [fields(payload) for _, payload in subscriber.up]
    assert [m[1] for m in messages] == data
    reception = fields(messages[0][5])
    assert (reception[1].decode(), reception[16]) == (GATEWAY, 2)


def test_a_broker_that_goes_and_comes_gets_the_rest(broker: Broker, night: Path) -> None:
    told: list[str] = []
    target = targets.make(f"mqtt://127.0.0.1:{broker.port}/eu868", targets.Options(tell=told.append))
    frames = list(capture.read(night))
    target.open()
    for number, frame in enumerate(frames, 1):
        if number == 10:
            target.settle(5)
            broker.stop()
            end = time.monotonic() + 5
            while not told and time.monotonic() < end:
                time.sleep(0.01)
            broker.start()
        target.send(number, frame)
    target.settle(10)
    target.close()
    assert target.ledger.as_dict()["acknowledged"] == len(frames)
    assert any("is gone" in line for line in told) and any("again" in line for line in told)


def test_downlinks_are_answered_as_the_faults_say(broker: Broker, night: Path) -> None:
    subscriber = Subscriber(broker.port, downlinks=3)
    wanted = Faults((Fault("tx_ack", at=frozenset((2,)), error="TX_FREQ"), Fault("late_rx1", nth=3, ms=100)))
    options = targets.Options(answers=Answers(wanted, 1))
    target = targets.make(f"mqtt://127.0.0.1:{broker.port}/eu868", options)
    target.open()
    for number, frame in enumerate(capture.read(night), 1):
        target.send(number, frame)
    target.ledger.wait(lambda: target.told()["downlinks"].get("late") == 1, 3)
    target.settle(3)
    target.close()
    subscriber.wait(3, 3)
    subscriber.stop()
    acks = [json.loads(a) for a in subscriber.acks]
    assert sorted((a["downlinkId"], a["items"][0]["status"]) for a in acks) == [
        (1, "OK"),
        (2, "TX_FREQ"),
        (3, "OK"),
    ]
    assert {a["items"][1]["status"] for a in acks if a["downlinkId"] != 2} == {"IGNORED"}
    assert target.told()["downlinks"] == {"OK": 2, "TX_FREQ": 1, "late": 1}


def test_a_password_comes_from_a_private_file_or_a_variable(
    tmp_path: Path, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package("paho.mqtt.client")
    broker = Broker(tmp_path, password=True)
    url = f"mqtt://lab@127.0.0.1:{broker.port}/eu868"
    try:
        secret = tmp_path / "secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        options = targets.Options(secret=targets.secret_of(str(secret)))
        assert SECRET not in repr(options)
        assert replay.play(night, targets.make(url, options), speed=0).error is None
        monkeypatch.setenv("LANTERNE_MQTT_PASSWORD", SECRET)
        assert replay.play(night, targets.make(url, targets.Options()), speed=0).error is None
        wrong = targets.make(url, targets.Options(secret="wrong-one"))
        report = replay.play(night, wrong, speed=0)
        assert isinstance(report.error, PeerError) and "refuses" in str(report.error)
        assert "wrong-one" not in str(report.error) + report.error.hint
    finally:
        broker.stop()
    secret.chmod(0o644)
    with pytest.raises(InputError, match="open to others"):
        targets.secret_of(str(secret))
    monkeypatch.setenv("X_SECRET", "abc")
    assert targets.secret_of("", "X_SECRET") == "abc"
    with pytest.raises(UsageError):
        targets.secret_of("", "X_NOT_THERE")


def test_an_acknowledgement_in_protobuf() -> None:
    from host_tools.targets.mqtt import tx_ack

    sent = fields(tx_ack(GATEWAY, 7, 1, "", as_json=False))
    assert (sent[2], sent[6].decode(), fields(sent[5])) == (7, GATEWAY, {1: 1})
    late = fields(tx_ack(GATEWAY, 7, 1, "TOO_LATE", as_json=False))
    assert fields(late[5]) == {1: 2}


def test_nobody_there(night: Path) -> None:
    package("paho.mqtt.client")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    report = replay.play(night, targets.make(f"mqtt://127.0.0.1:{port}/eu868", targets.Options()), speed=0)
    assert isinstance(report.error, PeerError) and "cannot reach" in str(report.error)
