"""A replay into LNS, against a server that is made here from the facts of the protocol (tcproto, src/s2e.c)."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import struct
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host_tools import replay, targets
from host_tools.errors import PeerError
from host_tools.faults import Fault, Faults
from host_tools.faults.line import Answers
from host_tools.formats.pcapng import PcapngWriter
from host_tools.frames import Frame, Radio
from host_tools.targets.base import Unfit
from host_tools.targets.lns import _Config
from tests.conftest import package
from tests.host.lorawan_bench import START_US, Node

DRS = [
    [12, 125, 0],
    [11, 125, 0],
    [10, 125, 0],
    [9, 125, 0],
    [8, 125, 0],
    [7, 125, 0],
    [7, 250, 0],
    [0, 0, 0],
]
CONFIG: dict[str, Any] = {
    "msgtype": "router_config",
    "NetID": [0x13],
    "JoinEui": [[0x70B3D57ED0000000, 0x70B3D57ED00000FF]],
    "region": "EU863",
    "hwspec": "sx1301/1",
    "freq_range": [863000000, 870000000],
    "DRs": DRS + [[-1, 0, 0]] * 8,
}
EUI = bytes.fromhex("0202030405060708")
RADIO = Radio(868_100_000, 9, 125_000, -101 * 4 - 1, -6)
ADDR = 0x26_0B_12_34  # NetID 0x13: 0x26 >> 1


class Server:
    """Discovery and one connection a station. hangs_up: after so many uplinks, once. downlinks: uplinks that are
    answered by a dnmsg. refuses: what discovery says."""

    def __init__(
        self,
        hangs_up: int = 0,
        downlinks: frozenset[int] = frozenset(),
        refuses: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        library = package("websockets.sync.server")
        self.hangs_up, self.downlinks, self.refuses = hangs_up, downlinks, refuses
        self.routers: list[Any] = []
        self.paths: list[str] = []
        self.versions: list[Any] = []
        self.secrets: list[str | None] = []
        self.up: list[dict[str, Any]] = []
        self.txed: list[dict[str, Any]] = []
        self.uri = ""
        self.server = library.serve(self.serve, "127.0.0.1", 0, ssl=tls)
        self.scheme = "wss" if tls else "ws"
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, connection: Any) -> None:
        path = connection.request.path
        self.paths.append(path)
        self.secrets.append(connection.request.headers.get("Authorization"))
        if path == "/router-info":
            self.routers.append(json.loads(connection.recv())["router"])
            uri = self.uri or f"{self.scheme}://127.0.0.1:{self.port}/traffic/{self.routers[-1]}"
            found = {"router": self.routers[-1], "muxs": "muxs-::0", "uri": uri}
            connection.send(json.dumps({"error": self.refuses} if self.refuses else found))
            return
        self.versions.append(json.loads(connection.recv()))
        connection.send(json.dumps(CONFIG))
        for text in connection:
            message = json.loads(text)
            if message["msgtype"] == "dntxed":
                self.txed.append(message)
                continue
            self.up.append(message)
            count = len(self.up)
            if count in self.downlinks:
                down = {"msgtype": "dnmsg", "DevEui": "01-02-03-04-05-06-07-08", "dC": 0, "diid": count}
                down |= {"pdu": "A0", "RxDelay": 5, "RX1DR": 5, "RX1Freq": 868100000, "priority": 0}
                down |= {"xtime": message["upinfo"]["xtime"], "rctx": 0, "MuxTime": 1.5}
                connection.send(json.dumps(down))
            if count == self.hangs_up:
                return

    def stop(self) -> None:
        self.server.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def traffic() -> list[bytes]:
    node = Node(1).personal(ADDR)
    node.up = 0xFFFE
    ups = [node.send(bytes(range(n)), 10 + n) for n in range(6)]
    return [node.ask(), *ups, node.send(b"", None, fopts=b"\x02"), b"\xe0\x0a\x01\x02"]


@pytest.fixture
def night(tmp_path: Path) -> Path:
    with PcapngWriter(tmp_path / "in.pcapng") as writer:
        for n, data in enumerate(traffic()):
            writer.add(Frame(data, START_US + n * 1_000_000, RADIO))
    return tmp_path / "in.pcapng"


def play(
    source: Path, server: Server, faults: Faults | None = None, **more: Any
) -> tuple[replay.Report, targets.Target]:
    options = targets.Options(EUI, answers=Answers(faults, 1), **more)
    target = targets.make(f"ws://127.0.0.1:{server.port}", options)
    return replay.play(source, target, faults, speed=0, settle_s=3), target


def assembled(message: dict[str, Any]) -> bytes:
    """The PHYPayload of an uplink message, from the table of the specification."""
    kind = message["msgtype"]
    if kind == "propdf":
        return bytes.fromhex(message["FRMPayload"])
    if kind == "jreq":
        euis = [int(message[name].replace("-", ""), 16) for name in ("JoinEui", "DevEui")]
        return struct.pack("<BQQHi", message["MHdr"], *euis, message["DevNonce"], message["MIC"])
    head = struct.pack("<BiBH", *(message[name] for name in ("MHdr", "DevAddr", "FCtrl", "FCnt")))
    port = b"" if message["FPort"] < 0 else bytes((message["FPort"],))
    body = bytes.fromhex(message["FOpts"]) + port + bytes.fromhex(message["FRMPayload"])
    return head + body + struct.pack("<i", message["MIC"])


def test_a_station_introduces_itself_and_sends_every_frame(server: Server, night: Path) -> None:
    report, target = play(night, server)
    assert report.error is None and report.receiver is not None
    assert server.routers == ["202:304:506:708"]
    assert server.paths == ["/router-info", "/traffic/202:304:506:708"]
    assert server.versions[0]["msgtype"] == "version" and server.versions[0]["protocol"] == 2
    assert [m["msgtype"] for m in server.up] == ["jreq", *["updf"] * 7, "propdf"]
    assert [assembled(m) for m in server.up] == traffic()
    first = server.up[0]
    assert (first["DR"], first["Freq"]) == (3, 868100000)
    info = first["upinfo"]
    assert (info["rssi"], info["snr"], info["rctx"]) == (-101.25, -1.5, 0)
    assert info["xtime"] == START_US & 0xFFFFFFFF and info["rxtime"] == START_US / 1e6
    assert report.receiver["acknowledged"] == 9
    assert {state for _, state, _ in target.ledger.frames()} == {"acknowledged"}
    again = Server()
    play(night, again)
    again.stop()
    assert again.up == server.up


def test_what_a_station_keeps_to_itself() -> None:
    config = _Config({**CONFIG, "DRs": [[-1, 0, 0], [9, 125, 0], [-1, 0, 0]]})
    frame = Frame(traffic()[1], START_US, RADIO)
    assert config.message(frame)["DR"] == 1
    other = Node(2).personal(0x480B1234).send(b"x")
    stranger = struct.pack("<BQQH4s", 0, 0x70B3D57ED0000100, 1, 1, b"mic.")
    for data, radio, reason in (
        (traffic()[1], Radio(868_100_000, 7, 125_000), "no_data_rate"),
        (other, RADIO, "filtered_by_server"),
        (stranger, RADIO, "filtered_by_server"),
        (b"\x41" + traffic()[1][1:], RADIO, "not_lorawan"),
        (traffic()[1][:11], RADIO, "not_lorawan"),
        (traffic()[0][:-1], RADIO, "not_lorawan"),
        (traffic()[1][:5] + b"\x0f" + traffic()[1][6:13], RADIO, "not_lorawan"),
    ):
        with pytest.raises(Unfit, match=reason):
            config.message(Frame(data, START_US, radio))
    free = _Config({**CONFIG, "NetID": None, "JoinEui": None})
    assert free.message(Frame(other, START_US, RADIO))["msgtype"] == "updf"
    assert free.message(Frame(stranger, START_US, RADIO))["msgtype"] == "jreq"


def test_a_server_that_hangs_up_gets_the_rest(night: Path) -> None:
    server = Server(hangs_up=4)
    told: list[str] = []
    report, _ = play(night, server, tell=told.append)
    server.stop()
    assert report.error is None and report.receiver is not None
    assert report.receiver["acknowledged"] == 9
    assert {assembled(m) for m in server.up} == set(traffic())
    assert len(server.versions) == 2
    assert any("is gone" in line for line in told) and any("again" in line for line in told)


def test_downlinks_are_answered_as_the_faults_say(night: Path) -> None:
    server = Server(downlinks=frozenset((1, 2, 3)))
    wanted = Faults((Fault("tx_ack", at=frozenset((2,))), Fault("late_rx1", at=frozenset((3,)), ms=100)))
    options = targets.Options(EUI, answers=Answers(wanted, 1))
    target = targets.make(f"ws://127.0.0.1:{server.port}", options)
    target.open()
    for number, data in enumerate(traffic(), 1):
        target.send(number, Frame(data, START_US, RADIO))
    target.ledger.wait(lambda: target.told().get("downlinks", {}).get("late") == 1, 2)
    target.settle(3)
    target.close()
    target.ledger.wait(lambda: len(server.txed) == 2, 1)
    server.stop()
    assert [m["diid"] for m in server.txed] == [1, 3]
    first, late = server.txed
    up = START_US & 0xFFFFFFFF
    assert (first["DR"], first["Freq"], first["DevEui"]) == (5, 868100000, "01-02-03-04-05-06-07-08")
    assert (first["xtime"], late["xtime"]) == (up + 5_000_000, up + 5_100_000)
    assert target.told()["downlinks"] == {"dntxed": 2, "late": 1, "none": 1}


def test_a_server_that_refuses_the_station(night: Path) -> None:
    server = Server(refuses="no such \x1b[31mrouter")
    report, _ = play(night, server)
    server.stop()
    assert isinstance(report.error, PeerError) and "no such" in str(report.error)


def test_the_secret_stays_with_the_host_that_was_asked_for(server: Server, night: Path) -> None:
    report, _ = play(night, server, secret="Bearer hush")
    assert report.error is None and server.secrets == ["Bearer hush"] * 2
    server.uri = f"ws://localhost:{server.port}/elsewhere"
    report, target = play(night, server, secret="Bearer hush")
    assert isinstance(report.error, PeerError) and "another host" in str(report.error)
    assert "hush" not in str(report.error) and "hush" not in repr(target)
    assert "/elsewhere" not in server.paths
    # Without a secret it is followed.
    report, _ = play(night, server)
    assert report.error is None and "/elsewhere" in server.paths


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate of 127.0.0.1 that vouches for itself."""
    now = dt.datetime.now(dt.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem, secret


def test_tls_is_checked_and_not_left(night: Path, tmp_path: Path) -> None:
    pem, secret = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    server = Server(tls=context)
    for ca, word in ((str(pem), ""), ("", "cannot reach"), (str(night), "no file of certificates")):
        target = targets.make(f"wss://127.0.0.1:{server.port}", targets.Options(EUI, ca=ca))
        report = replay.play(night, target, speed=0, settle_s=3)
        assert word in str(report.error) if word else report.error is None, report.error
    assert len(server.up) == 9
    server.uri = f"ws://127.0.0.1:{server.port}/plain"
    target = targets.make(f"wss://127.0.0.1:{server.port}", targets.Options(EUI, ca=str(pem)))
    report = replay.play(night, target, speed=0)
    server.stop()
    assert "something else than wss" in str(report.error)


def test_nobody_there(night: Path) -> None:
    package("websockets")
    server = Server()
    server.stop()
    target = targets.make(f"ws://127.0.0.1:{server.port}", targets.Options())
    report = replay.play(night, target, speed=0)
    assert isinstance(report.error, PeerError) and "cannot reach" in str(report.error)
