"""Basics Stations, as reference/lora.md 3.6 has them: discovery, configuration, what they hear."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools import sources
from host_tools.errors import PeerError
from host_tools.sources import Source
from host_tools.sources.taker import Taker
from tests.conftest import package
from tests.formats import wrap_lns
from tests.host import lorawan_bench
from tests.host.live_bench import RADIO, Capturing, Disk, frames, messages, sink, until

pytestmark = pytest.mark.usefixtures("quiet_place")
EUI = 0xAA555A0000000101
ID6 = "aa55:5a00:0:101"
KEY = bytes(range(16))
DATA = lorawan_bench.data_frame(0x49BE7DF1, 2, KEY, KEY, 1, b"test")
JOIN = lorawan_bench.request(KEY, bytes(8), bytes(range(8)), 7)
OURS = bytes.fromhex("e00a770001") + bytes(20)
VERSION = {"msgtype": "version", "station": "2.0.6", "model": "linux", "protocol": 2, "features": ""}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Disk, Taker, Source]]:
    package("websockets")
    disk, taker = sink(tmp_path / "c.pcapng")
    with sources.start("ws://127.0.0.1:0", taker, lambda text: None) as source:
        yield disk, taker, source
    disk.close()


def connect(uri: str) -> Any:
    return package("websockets.sync.client").connect(uri, open_timeout=10)


def station(port: int, eui: int = EUI, router: Any = ID6) -> tuple[Any, dict[str, Any]]:
    """Discovery and the first words of a station: its connection and its configuration."""
    with connect(f"ws://127.0.0.1:{port}/router-info") as s:
        s.send(json.dumps({"router": router}))
        told = json.loads(s.recv(timeout=10))
    assert told["router"].lower() == wrap_lns.id6(eui.to_bytes(8, "little"))
    assert "error" not in told and told["muxs"]
    s = connect(told["uri"]).__enter__()
    s.send(json.dumps(VERSION))
    return s, json.loads(s.recv(timeout=10))


def test_a_station_finds_its_way_and_is_configured(running: tuple[Disk, Taker, Source]) -> None:
    _, _, source = running
    s, config = station(source.port)  # type: ignore[attr-defined]
    s.close()
    assert config["msgtype"] == "router_config" and config["region"] == "EU863"
    assert config["freq_range"] == [863000000, 870000000]
    assert config["NetID"] is None and config["JoinEui"] is None
    # reference/lora.md 3.1: DR0 is SF12, DR5 SF7, DR6 SF7 at 250 kHz, DR7 FSK; 16 entries [sf, kHz, dnonly].
    assert len(config["DRs"]) == 16 and all(len(rate) == 3 for rate in config["DRs"])
    assert config["DRs"][:8] == [[12, 125, 0], [11, 125, 0], [10, 125, 0], [9, 125, 0], [8, 125, 0], [7, 125, 0],
                                 [7, 250, 0], [0, 0, 0]]  # fmt: skip
    [board] = config["sx1301_conf"]
    heard = set()
    for n in range(8):
        channel = board[f"chan_multiSF_{n}"]
        # A radio hears 925 kHz of bandwidth at most: 400 kHz to each side and half a channel.
        assert channel["enable"] and abs(channel["if"]) <= 400_000
        heard.add(board[f"radio_{channel['radio']}"]["freq"] + channel["if"])
    wanted = [868.1, 868.3, 868.5, 867.1, 867.3, 867.5, 867.7, 867.9]
    assert heard == {round(mhz * 1e6) for mhz in wanted} == {row[0] for row in config["upchannels"]}
    assert board["chan_Lora_std"]["spread_factor"] == 7


@pytest.mark.parametrize("router", [ID6, "aa55:5a00::101", "AA-55-5A-00-00-00-01-01", EUI])
def test_names_of_a_router(running: tuple[Disk, Taker, Source], router: Any) -> None:
    s, _ = station(running[2].port, router=router)  # type: ignore[attr-defined]
    s.close()


def test_what_a_station_hears_is_kept(running: tuple[Disk, Taker, Source]) -> None:
    disk, taker, source = running
    s, _ = station(source.port)  # type: ignore[attr-defined]
    sent = [wrap_lns.wrap(data, **RADIO) for data in (DATA, JOIN, OURS)]
    for line in sent:
        s.send(line.decode())
    s.close()
    until(lambda: taker.tally.frames == 3)
    disk.close()
    found = frames(disk.path)
    assert [f.data for f in found] == [DATA, JOIN, OURS]
    assert {f.gateway for f in found} == {EUI.to_bytes(8, "big")}
    assert {(f.radio.freq_hz, f.radio.sf, f.radio.bw_hz) for f in found} == {(868_100_000, 9, 125_000)}
    fmt, raw = messages(disk.path)
    assert fmt == "lns" and [json.loads(line) for line in raw.splitlines() if line] == [
        VERSION,
        *map(json.loads, sent),
    ]


def test_hostile_stations_stop_nobody(running: tuple[Disk, Taker, Source]) -> None:
    disk, taker, source = running
    port = source.port  # type: ignore[attr-defined]
    with connect(f"ws://127.0.0.1:{port}/router-info") as s:
        s.send("[1e999]")
        assert "error" in json.loads(s.recv(timeout=10))
    closed = package("websockets.exceptions").ConnectionClosed
    with connect(f"ws://127.0.0.1:{port}/../etc/passwd") as s, pytest.raises(closed):
        s.recv(timeout=10)
    bad, _ = station(port)
    rates = {"msgtype": "router_config", "DRs": [[5, 500, 0]] * 16}
    for text in ("", "{", "[]", "\0", '{"msgtype":"updf"}', '{"a":1,"a":2}', json.dumps(rates)):
        bad.send(text)
    bad.send(b"\xff\xfe")
    bad.send("[" * 10_000)
    until(lambda: sum(taker.tally.unreadable.values()) == 9)
    # The word of a station is no server's: its own data rates stay.
    bad.send(wrap_lns.wrap(DATA, **RADIO).decode())
    until(lambda: taker.tally.frames == 1)
    # One message is at most a megabyte; the connection ends with it, and the others stay.
    bad.send("x" * (2 << 20))
    with pytest.raises(closed):
        bad.recv(timeout=10)
    good, _ = station(port, 5, "::5")
    good.send(wrap_lns.wrap(JOIN, **RADIO).decode())
    until(lambda: taker.tally.frames == 2)
    good.close()
    assert [(f.data, f.radio.sf) for f in frames(disk.path)] == [(DATA, 9), (JOIN, 9)]


def test_a_full_disk_is_counted_and_goes_by(running: tuple[Disk, Taker, Source]) -> None:
    disk, taker, source = running
    s, _ = station(source.port)  # type: ignore[attr-defined]
    disk.full = True
    s.send(wrap_lns.wrap(DATA, **RADIO).decode())
    until(lambda: taker.tally.refused == 1)
    disk.full = False
    s.send(wrap_lns.wrap(JOIN, **RADIO).decode())
    until(lambda: taker.tally.frames == 1)
    s.close()
    assert [f.data for f in frames(disk.path)] == [JOIN]


def test_a_crowd_of_silent_stations_makes_room(
    running: tuple[Disk, Taker, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, taker, source = running
    monkeypatch.setattr("host_tools.sources.lns.MAX_STATIONS", 4)
    port = source.port  # type: ignore[attr-defined]
    talking, _ = station(port)
    silent = []
    for n in range(12):
        silent.append(connect(f"ws://127.0.0.1:{port}/traffic/{n:016x}").__enter__())
        talking.send(wrap_lns.wrap(DATA, **RADIO).decode())
        until(lambda wanted=n + 1: taker.tally.frames == wanted)  # type: ignore[misc]
    talking.close()


def test_a_defect_costs_one_message(
    running: tuple[Disk, Taker, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, taker, source = running
    s, _ = station(source.port)  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr("host_tools.sources.lns.record_of", lambda *_: 1 / 0)
        s.send(wrap_lns.wrap(DATA, **RADIO).decode())
        until(lambda: taker.tally.lost)
    s.send(wrap_lns.wrap(DATA, **RADIO).decode())
    until(lambda: taker.tally.frames == 1)
    s.close()
    assert dict(taker.tally.lost) == {"a defect of lanterne: ZeroDivisionError('division by zero')": 1}


def test_an_address_that_is_taken(running: tuple[Disk, Taker, Source]) -> None:
    with pytest.raises(PeerError, match="cannot listen"):
        sources.start(f"ws://127.0.0.1:{running[2].port}", running[1], print)  # type: ignore[attr-defined]


def test_the_command_ends_while_stations_are_there(tmp_path: Path) -> None:
    package("websockets")
    capturing = Capturing("ws://127.0.0.1:0", "-o", "c.pcap")
    s, _ = station(capturing.port)
    capturing.line("station aa555a0000000101 is here")
    for n in range(10):
        s.send(wrap_lns.wrap(DATA[:-1] + bytes((n,)), **RADIO).decode())
    until(lambda: Path("c.pcap").exists() and len(frames("c.pcap")) == 10)
    code, _, err = capturing.end(signal.SIGINT)
    assert code == 130 and "10 frames kept in c.pcap" in err
    with pytest.raises(package("websockets.exceptions").ConnectionClosed):
        s.recv(timeout=10)
