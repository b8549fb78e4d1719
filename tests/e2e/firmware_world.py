"""Boards of a scenario of one's own for the firmware's tests: single boards, what they put on the air, and a
store that is told what to do. What went on the air is read here from the bytes, with no code of ours."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cbor2

from host_tools import decode, intake, sim
from host_tools.commander import Commander
from hw.virtual import World
from hw.virtual.board import Board
from hw.virtual.world import Entry
from tests.host import synth

START_UTC = "2026-11-20T16:00:00Z"
HELTEC = "heltec_wifi_lora_32_v3"

BIN: dict[str, Any] = {
    "name": "bin",
    "kind": "bin",
    "profile": "mac0",
    "interval_s": 900,
    "settings": {"empty_mm": 1200, "full_mm": 200},
    "distance_m": [[0, 0.7]],
}
#: A leak meter, without its water.
METER: dict[str, Any] = {
    "name": "leak",
    "kind": "leak",
    "profile": "encrypt0",
    "settings": {"litres_per_pulse": 1},
}


def scenario(*boards: dict[str, Any], sf: int = 7) -> dict[str, Any]:
    """A gateway and some nodes, 100 m around it."""
    gateway = {"name": "gateway", "kind": "gateway", "hw": HELTEC, "at": [0, 0]}
    nodes = [{"hw": HELTEC, "at": [100, 10 * i], **b} for i, b in enumerate(boards)]
    return {
        "title": "test",
        "start_utc": START_UTC,
        "hours": 1,
        "cell": {"freq_khz": 869525, "sf": sf, "power_dbm": 14},
        "board": [gateway, *nodes],
    }


def write_plan(folder: Path, name: str, levels: Iterable[tuple[str, int]], **program: Any) -> str:
    """Path of a plan in UTC for each day, at Angers, with these levels from a time of day on and what else its one
    program has."""
    fixed = [{"startTime": t, "command": {"state": {"level": n}}} for t, n in levels]
    found = {
        "format": "lanterne-plan/1",
        "timezone": "UTC0",
        "latitude": 47.4736,
        "longitude": -0.5542,
        "dayOffset": 12,
        "defaultLightState": 100,
        "controlPrograms": [{"id": "p", "fixedTimeControls": fixed, **program}],
        "calendar": {"rules": [], "defaultProgram": "p"},
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(found))
    return str(path)


class Air:
    """Every transmission of some boards: (virtual us, board, bytes)."""

    def __init__(self, world: World) -> None:
        self.sent: list[tuple[int, str, bytes]] = []
        world.observe("transmit", self._heard)

    def _heard(self, entry: Entry) -> None:
        self.sent.append((entry.t_us, entry.board, bytes(entry.what["payload"])))

    def of(self, name: str) -> list[tuple[int, int, bytes]]:
        """(port, low 16 bits of the number, body) of a node's uplinks."""
        return [(d[1], d[5] << 8 | d[6], d[7:]) for _, n, d in self.sent if n == name]

    def assert_no_number_twice(self, name: str) -> None:
        """No number ever carries two different frames; the number is in the COSE header, too."""
        seen: dict[int, tuple[int, bytes]] = {}
        for port, number, body in self.of(name):
            if port == 13:
                continue
            piv = int.from_bytes(cbor2.loads(body)[1][6], "big")
            assert piv & 0xFFFF == number
            assert seen.setdefault(piv, (port, body)) == (port, body), f"number {piv} was used twice"

    def numbers(self, name: str) -> list[int]:
        return [n for port, n, _ in self.of(name) if port != 13]


class Yard:
    """A world with some boards of a scenario, provisioned into `folder`."""

    def __init__(
        self,
        folder: Path,
        *boards: dict[str, Any],
        sf: int = 7,
        seed: int = 1,
        sink: str = "",
        nodes: bool = True,
        options: sim.Options | None = None,
    ) -> None:
        """sink: the gateway's; without one there is no gateway in the world, only in the registry."""
        from hw.virtual.air import Air as Ether

        self.folder = folder
        self.scenario = scenario(*boards, sf=sf)
        self.run_ = sim.Run(self.scenario, folder, options or sim.Options(seed=seed))
        self.tenant = self.run_.provision()
        self.run_.air = Ether(seed)
        self.world = World(seed=seed, start_utc=START_UTC, air=self.run_.air, keep=())
        self.air = Air(self.world)
        self.lives: list[str] = []
        self.world.observe("boot", lambda e: self.lives.append(e.board))
        for b in self.scenario["board"]:
            own = sink if b["kind"] == "gateway" else ""
            if own or (b["kind"] != "gateway" and nodes):
                self.run_._add(self.world, self.tenant, b, own)

    def __enter__(self) -> Yard:
        return self

    def __exit__(self, *exc: object) -> None:
        self.world.close()

    def board(self, name: str) -> Board:
        return self.world.boards[name]

    def run(self, seconds: float) -> None:
        """Let so much more time pass."""
        self.world.run_for(seconds)

    def cut_as_it_writes(self, name: str, units: int, seconds: float) -> None:
        """Let time pass, in which the supply goes while the flash works, after so many units of it."""
        flash = self.board(name).flash
        flash.cut_after(units)
        self.run(seconds)
        flash.cut_after(None)

    def cfg(self, name: str, **changes: Any) -> dict[str, bytes]:
        """The bare maps that provisioning writes for a board, with changes of its scenario row."""
        b = next(b for b in self.scenario["board"] if b["name"] == name) | changes
        return self.run_.image(self.tenant, b, dict(b.get("settings", {})), "")

    def provision(self, board: str, maps: dict[str, bytes]) -> None:
        """What a bench does with a board that is off: it writes NVS and leaves the rest."""
        for key, blob in maps.items():
            self.board(board).nvs.data["lanterne", key] = blob

    def decoded(self, name: str) -> decode.Result:
        """What the host makes of everything that a node ever transmitted."""
        path = synth.capture(self.folder / "air.pcap", [d for _, n, d in self.air.sent if n == name])
        return decode.decode([path], [self.folder / "keys.json"])


@contextlib.contextmanager
def answering(folder: Path, *boards: dict[str, Any], seed: int = 1) -> Iterator[tuple[intake.Intake, str]]:
    """A store with a commander on a socket, with the keys of a yard that is not made yet; and its address."""
    with Yard(folder / "keys", *boards, nodes=False, seed=seed) as yard:
        reader, commander = yard.run_.reader, Commander(yard.run_.commander, folder / "issued.json")
    taker = intake.Intake([reader], folder / "capture.pcap", folder / "readings.db", commander)
    try:
        with intake.IntakeServer(taker) as server:
            yield taker, f"tcp:127.0.0.1:{server.port}"
    finally:
        taker.close()


class Store(threading.Thread):
    """A store's end of the line. `serve(number, record)` gives what is said to each record: bytes that are
    sent as they are, None for silence, "close" to end the connection half-way through nothing."""

    def __init__(self, serve: Callable[[int, list[Any]], bytes | str | None], port: int = 0) -> None:
        super().__init__(daemon=True)
        self.serve = serve
        self.records: list[list[Any]] = []
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while head := _exactly(connection, 2):
                record = cbor2.loads(_exactly(connection, int.from_bytes(head, "big")))
                self.records.append(record)
                said = self.serve(len(self.records), record)
                if isinstance(said, str):
                    return
                if said is not None:
                    connection.sendall(said)

    def close(self) -> None:
        # Closing alone would leave a thread that waits for connections with the next one.
        for connection in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.join()
        self._socket.close()

    def numbers(self) -> list[int]:
        return [r[3] for r in self.records]


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            return b""
        found += piece
    return found


def answer(record: list[Any], *downlinks: list[Any]) -> bytes:
    """The right answer to a record, with its length."""
    body = cbor2.dumps([2, record[3], list(downlinks)], canonical=True)
    return len(body).to_bytes(2, "big") + body


@contextlib.contextmanager
def store(serve: Callable[[int, list[Any]], bytes | str | None], port: int = 0) -> Iterator[Store]:
    found = Store(serve, port)
    try:
        yield found
    finally:
        found.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as s:
        return int(s.getsockname()[1])
