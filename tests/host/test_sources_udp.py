"""Packet forwarders over UDP, as reference/lora.md 3.5 has them: what is answered is on the disk."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import cli, output, sources
from host_tools.errors import PeerError, UsageError
from host_tools.sources import Message, Source
from host_tools.sources.taker import Taker
from tests.formats import wrap_gwmp
from tests.host import lorawan_bench, synth
from tests.host.live_bench import RADIO, Capturing, Disk, frames, messages, sink, until

pytestmark = pytest.mark.usefixtures("quiet_place")
EUI = bytes.fromhex("aa555a0000000101")
FRAME = bytes.fromhex("40F17DBE4900020001954378762B11FF0D")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Disk, Taker, Source]]:
    disk, taker = sink(tmp_path / "c.pcapng")
    with sources.start("udp://127.0.0.1:0", taker, lambda text: None) as source:
        yield disk, taker, source
    disk.close()


def forwarder(port: int, timeout: float = 10) -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", port))
    s.settimeout(timeout)
    return s


def ask(s: socket.socket, datagram: bytes) -> bytes:
    s.send(datagram)
    return s.recv(100)


def test_pushes_and_pulls_are_acknowledged(running: tuple[Disk, Taker, Source]) -> None:
    disk, _, source = running
    with forwarder(source.port) as up, forwarder(source.port) as down:  # type: ignore[attr-defined]
        # Both sockets of a forwarder have a port of their own.
        assert ask(down, bytes.fromhex("02abcd02") + EUI) == bytes.fromhex("02abcd04")
        push = wrap_gwmp.push_data(FRAME, gateway=EUI, token=0x1122, **RADIO)
        assert ask(up, push) == bytes.fromhex("02112201")
        # Version 1 is answered in kind.
        assert ask(up, b"\x01" + push[1:]) == bytes.fromhex("01112201")
        stat = bytes.fromhex("02000100") + EUI + b'{"stat":{"time":"2014-01-12 08:59:28 GMT","rxnb":2}}'
        assert ask(up, stat) == bytes.fromhex("02000101")
        tx_ack = bytes.fromhex("02000105") + EUI + b'{"txpk_ack":{"error":"TOO_LATE"}}'
        up.send(tx_ack)
        assert ask(down, bytes.fromhex("02000002") + EUI) == bytes.fromhex("02000004")
    disk.close()
    found = frames(disk.path)
    assert [f.data for f in found] == [FRAME] * 2 and {f.gateway for f in found} == {EUI}
    radio = found[0].radio
    assert (radio.freq_hz, radio.sf, radio.rssi_qdbm, radio.snr_qdb) == (868_100_000, 9, -400, 22)
    assert found[0].time_us == RADIO["time_us"] and radio.counter_us == 3512348611
    # The messages come out again, one on a line.
    fmt, raw = messages(disk.path)
    assert fmt == "gwmp" and raw == b"".join(d[12:] + b"\n" for d in (push, push, stat, tx_ack))
    assert disk.syncs >= 2


def test_what_the_disk_refuses_is_not_acknowledged(running: tuple[Disk, Taker, Source]) -> None:
    disk, taker, source = running
    with forwarder(source.port) as s:  # type: ignore[attr-defined]
        disk.full = True
        for n in range(3):
            s.send(wrap_gwmp.push_data(FRAME + bytes((n,)), gateway=EUI, token=n, **RADIO))
        # A question beside it is answered: it says nothing of frames.
        assert ask(s, bytes.fromhex("02000002") + EUI)[3] == 4
        until(lambda: taker.tally.refused == 3)
        disk.full = False
        push = wrap_gwmp.push_data(FRAME, gateway=EUI, token=9, **RADIO)
        assert ask(s, push) == bytes.fromhex("02000901")
    assert taker.tally.refused == 3
    assert list(taker.tally.refusals.values()) == [3]
    assert [f.data for f in frames(disk.path)] == [FRAME]


def test_junk_is_counted_and_answered_by_nobody(running: tuple[Disk, Taker, Source]) -> None:
    disk, taker, source = running
    push = wrap_gwmp.push_data(FRAME, gateway=EUI, token=7, **RADIO)
    junk = [b"", b"\x02", b"\x02\0\0\0", b"\x09" + push[1:], push[:3] + b"\x09" + push[4:], b"\xff" * 60_000]
    # What only a server sends would put words into our own mouth.
    junk.append(wrap_gwmp.pull_resp(FRAME, freq_hz=868_100_000, sf=9, bw_hz=125_000, counter_us=0))
    head = bytes.fromhex("02000100") + EUI
    # Honest datagrams with bad content are answered, or they would come for ever.
    bad = [head + body for body in (b"{", b"[]", b'{"rxpk":[{"data":"!"}]}', b'{"rxpk":1}', b'{"a":1,"a":2}')]
    with forwarder(source.port) as s:  # type: ignore[attr-defined]
        for datagram in junk:
            s.send(datagram)
        for datagram in bad:
            assert ask(s, datagram) == bytes.fromhex("02000101")
        assert ask(s, push) == bytes.fromhex("02000701")
    assert sum(taker.tally.unreadable.values()) == len(junk) + len(bad)
    assert set(taker.tally.unreadable) == {"truncated", "bad_record", "bad_json", "duplicate_key"}
    assert [f.data for f in frames(disk.path)] == [FRAME]
    assert (disk.folder / "unreadable.bin").stat().st_size > 60_000


def test_a_burst_from_many(running: tuple[Disk, Taker, Source]) -> None:
    disk, taker, source = running
    count = 150  # a system gives a socket room for some hundreds
    with forwarder(source.port) as s:  # type: ignore[attr-defined]
        for n in range(count):
            gateway = n.to_bytes(8, "big")
            s.send(wrap_gwmp.push_data(FRAME, gateway=gateway, token=n, **RADIO))
        tokens = {int.from_bytes(s.recv(10)[1:3], "big") for _ in range(count)}
    assert tokens == set(range(count))
    assert len(frames(disk.path)) == count == len(taker.tally.gateways)
    # Many wait for the disk together.
    assert disk.syncs < count


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_what_comes_too_fast_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_tools.sources.udp.BUFFER", 4096)
    disk, taker = sink(tmp_path / "c.pcap")
    slow, taken = threading.Event(), taker.take

    def take(message: Message) -> None:
        slow.wait(10)
        taken(message)

    monkeypatch.setattr(taker, "take", take)
    with sources.start("udp://127.0.0.1:0", taker, print) as source, forwarder(source.port) as s:  # type: ignore[attr-defined]
        for n in range(500):
            s.send(wrap_gwmp.push_data(FRAME, gateway=EUI, token=n, **RADIO))
        slow.set()
        s.recv(10)
        # What was thrown away is told with the next one that comes.
        until(lambda: s.send(b"x") and taker.tally.frames + sum(taker.tally.lost.values()) >= 500)
    disk.close()
    assert taker.tally.lost["datagrams came faster than written"] > 100


@pytest.mark.parametrize(
    "text",
    [
        "udp://", "udp://127.0.0.1", "udp://:1700", "udp://h:99999", "udp://h:17/x", "udp://a@h:1700", "ws://h",
        "mqtt://", "mqtt://u:secret@h", "serial:", "udp:127.0.0.1:1700",
    ],
)  # fmt: skip
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(UsageError) as e:
        sources.address(text)
    assert "secret" not in str(e.value)


def test_addresses() -> None:
    assert sources.address("udp://[::1]:1700").host == "::1"
    assert sources.address("serial:/dev/ttyUSB0@9600") == sources.Address(
        "serial", path="/dev/ttyUSB0", baud=9600
    )
    found = sources.address("mqtts://me@broker.example/v3/app@ttn/#")
    assert (found.user, found.host, found.port, found.path) == ("me", "broker.example", -1, "v3/app@ttn/#")


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    disk, taker = sink(tmp_path / "c.pcap")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        with pytest.raises(PeerError, match="cannot listen"):
            sources.start(f"udp://127.0.0.1:{s.getsockname()[1]}", taker, print)
    disk.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_rotates_and_lists_its_files(tmp_path: Path, number: int) -> None:
    lamp = synth.Device("sign1", 1, name="lamp-1", kind="lamp")
    synth.keyring(tmp_path / "k.json", lamp)
    nwk = bytes(range(16))
    sessions = [{"dev_addr": "49be7df1", "nwk_s_key": nwk.hex(), "app_s_key": nwk.hex(), "name": "node"}]
    keys = {"format": "lanterne-lorawan-keys/1", "devices": [], "sessions": sessions}
    Path("lora.json").write_text(json.dumps(keys))
    Path("lora.json").chmod(0o600)
    capturing = Capturing(
        "udp://127.0.0.1:0",
        "-o",
        "out/",
        "--rotate",
        "2kB",
        "--json",
        "--keys",
        "k.json",
        "--keys",
        "lora.json",
    )
    sent = [lamp.send() for _ in range(20)]
    sent.append(lorawan_bench.data_frame(0x49BE7DF1, 2, nwk, nwk, 1, b"test"))
    with forwarder(capturing.port) as s:
        for n, frame in enumerate(sent):
            ask(s, wrap_gwmp.push_data(frame, gateway=EUI, token=n, **RADIO))
    code, out, err = capturing.end(number)
    assert code == output.INTERRUPTED and "interrupted: 21 frames kept in out" in err
    *rows, index = map(json.loads, out.splitlines())
    assert [r["state"] for r in rows[:20]] == ["signed"] * 20
    assert rows[20]["lorawan"]["mic"] == "good"
    assert len(index["files"]) > 3 and index["frames"] == 21 and index["refused"] == {}
    assert [f.data for file in index["files"] for f in frames(file["file"])] == sent


def test_a_killed_command_has_kept_what_it_answered(tmp_path: Path) -> None:
    capturing = Capturing("udp://127.0.0.1:0", "-o", "c.pcapng")
    with forwarder(capturing.port) as s:
        for n in range(5):
            ask(s, wrap_gwmp.push_data(FRAME + bytes((n,)), gateway=EUI, token=n, **RADIO))
    capturing.end(signal.SIGKILL)
    assert [f.data[-1] for f in frames("c.pcapng")] == list(range(5))


def test_a_full_disk_is_named_and_room_is_used_again(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk; with smaller files there is room."""
    program = (
        "import resource, signal, sys\n"
        "from host_tools import cli\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1010, 1010))\n"
        "sys.exit(cli.run(sys.argv[1:]))\n"
    )
    Path("limited.py").write_text(program)
    process = subprocess.Popen(
        [sys.executable, "limited.py", "capture", "udp://127.0.0.1:0", "-o", "c.pcap", "--json"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    port = int(process.stderr.readline().rpartition(":")[2])
    long, short = b"\xe0" * 400, b"\xe0" * 40
    with forwarder(port) as s:
        for n, frame in enumerate((long, long, long, short, long)):
            frame += bytes((n,))
            s.send(wrap_gwmp.push_data(frame, gateway=EUI, token=n, **RADIO))
            ask(s, bytes.fromhex("02000002") + EUI)
    process.send_signal(signal.SIGINT)
    err = json.loads(process.communicate(timeout=20)[1].splitlines()[-1])
    assert process.returncode == output.STORE_REFUSED
    assert err["error"] == "3 frames kept in c.pcap, 2 refused"
    assert err["hint"] == "2 cannot write c.pcap: the file has reached the size allowed here"
    assert [len(f.data) for f in frames("c.pcap")] == [401, 401, 41]


def test_options_that_go_with_a_gateway_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["capture", "udp://127.0.0.1:0", "-o", "c.pcap", "--store", "s.db"]) == output.USAGE
    assert "--store and --commander go with tcp:" in capsys.readouterr().err
    assert cli.run(["capture", "udp://127.0.0.1:0", "-o", "c.pcap", "--keep", "3"]) == output.USAGE
    assert cli.run(["capture", "udp://127.0.0.1:0", "-o", "c.pcap", "--dry-run"]) == 0
    assert not Path("c.pcap").exists()
    assert cli.run(["capture", "udp://127.0.0.1:0", "-o", "no/c.pcap"]) == output.STORE_REFUSED
    assert (
        cli.run(["capture", "udp://127.0.0.1:0", "-o", "c.pcap", "--keys", "none.json"]) == output.UNREADABLE
    )
    for out in ("c.gwmp", "c.jsonl", "c.pcap.gz"):
        assert cli.run(["capture", "udp://127.0.0.1:0", "-o", out, "--seconds", "0.1"]) == output.USAGE
        assert "is a .pcap or .pcapng" in capsys.readouterr().err
    assert cli.run(["capture", "udp://127.0.0.1:0", "-o", "c.pcap", "--format", "gwmp"]) == output.USAGE
    assert not list(Path().glob("c.*"))


def test_what_was_sent_comes_out_by_conversion(tmp_path: Path) -> None:
    capturing = Capturing("udp://127.0.0.1:0", "-o", "c.pcapng")
    sent = [wrap_gwmp.push_data(FRAME + bytes((n,)), gateway=EUI, token=n, **RADIO) for n in range(5)]
    with forwarder(capturing.port) as s:
        for datagram in sent:
            ask(s, datagram)
    capturing.end()
    assert cli.run(["capture", "c.pcapng", "-o", "back.gwmp"]) == 0
    assert Path("back.gwmp").read_bytes() == b"".join(d[12:] + b"\n" for d in sent)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(UsageError) as e:
        sources.need("serial")
    assert e.value.hint == "pip install 'lanterne[net]'"
