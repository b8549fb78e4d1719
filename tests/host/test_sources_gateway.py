"""Our gateways on TCP, with files that follow each other, the view, and the original records."""

from __future__ import annotations

import json
import re
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

from host_tools import output
from host_tools.intake import Intake
from host_tools.rotation import Rule
from host_tools.sources.taker import Counted
from host_tools.store import Store
from provisioning.keyring import Keyring
from tests.host import synth
from tests.host.live_bench import Capturing, frames, messages
from tests.host.test_cli_capture import record

pytestmark = pytest.mark.usefixtures("quiet_place")


def send(port: int, *records: bytes) -> list[object]:
    answers = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        stream = s.makefile("rb")
        for item in records:
            s.sendall(item)
            answers.append(cbor2.loads(stream.read(int.from_bytes(stream.read(2), "big"))))
    return answers


def test_records_come_out_of_each_file_again(tmp_path: Path) -> None:
    lamp = synth.Device("sign1", 1, name="lamp-1", kind="lamp")
    synth.keyring(tmp_path / "k.json", lamp)
    sent = [record(n, lamp.send()) for n in range(1, 31)]
    capturing = Capturing(
        "tcp:127.0.0.1:0", "-o", "c.pcapng", "--rotate", "4kB", "--keep", "50", "--keys", "k.json",
        "--store", "s.db", "--json", mark="listening on",
    )  # fmt: skip
    # A record that comes again is answered again, and kept once.
    assert [a[1] for a in send(capturing.port, *sent, sent[0])] == [*range(1, 31), 1]  # type: ignore[index]
    send(capturing.port, b"\0\x04junk")
    code, out, err = capturing.end(signal.SIGINT)
    assert code == output.INTERRUPTED and "30 frames kept in c-*.pcapng, 1 unreadable records" in err
    *rows, index = map(json.loads, out.splitlines())
    assert [r["state"] for r in rows] == ["signed"] * 30
    paths = [Path(file["file"]) for file in index["files"]]
    assert len(paths) > 2 and index["unreadable"] == {"bad_record": 1}
    assert [f.data for p in paths for f in frames(p)] == [cbor2.loads(r[2:])[12] for r in sent]
    found = [messages(p) for p in paths]
    assert {fmt for fmt, _ in found} == {"gwrecord"} and b"".join(raw for _, raw in found) == b"".join(sent)


def test_without_a_terminal_the_view_is_lines_and_the_index_a_table() -> None:
    capturing = Capturing("tcp:127.0.0.1:0", "-o", "here/", "--view", "--rotate", "1d", mark="listening on")
    send(capturing.port, record(1, synth.Device("mac0", 2).send()))
    code, out, err = capturing.end(signal.SIGTERM)
    assert code == output.INTERRUPTED and "1 frames kept in here" in err and "\x1b" not in err
    assert out.splitlines()[0].split() == ["file", "frames", "bytes", "first", "last"]
    assert re.match(r"here/capture-000001-\d{8}T\d{6}Z\.pcapng\s+1\s+\d+\s+20", out.splitlines()[1])


def test_a_store_that_refuses_leaves_the_old_capture_alone(tmp_path: Path) -> None:
    """The files are begun last."""
    synth.capture(tmp_path / "c.pcap", [b"\xe0old"])
    before = Path("c.pcap").read_bytes()
    Path("s.db").write_bytes(b"no store")
    done = subprocess.run(
        [sys.executable, "-m", "host_tools.cli", "capture", "tcp:127.0.0.1:0", "-o", "c.pcap", "--yes", "--store",
         "s.db", "--seconds", "1"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == output.STORE_REFUSED and Path("c.pcap").read_bytes() == before


def test_what_a_full_disk_refuses_comes_again_and_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = synth.Device("mac0", 2)
    ring = Keyring.load(synth.keyring(tmp_path / "k.json", device))
    files = Counted(tmp_path / "c.pcap", Rule(400))
    taker = Intake([ring], lambda: files, tmp_path / "s.db")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    data = [record(n, device.send())[2:] for n in range(1, 8)]
    for item in data[:3]:
        taker.handle(item)
    full = files.path.stat().st_size + 20
    monkeypatch.setattr(files, "_due", lambda: False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, before[1]))
    try:
        for item in data[3:]:
            with pytest.raises(Exception, match="the size allowed here"):
                taker.handle(item)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert taker.refused == files.tally.refused == 4
    monkeypatch.undo()
    for item in data[3:]:
        taker.handle(item)
    assert taker.refused == files.tally.refused == 0
    taker.close()
    assert len([f for e in files.entries for f in frames(e.path)]) == 7 == files.frames
    assert len(files.entries) > 1
    with Store(tmp_path / "s.db") as store:
        assert store.counts()["reception"] == 7
