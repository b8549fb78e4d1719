"""The gateway on its board, with a store that is away, talks nonsense, breaks off or says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.firmware_world import Yard, answer, free_port, store

pytestmark = pytest.mark.slow

LAMP: dict[str, Any] = {"name": "lamp", "kind": "lamp", "profile": "mac0", "interval_s": 30}
QUEUE = 64


def test_a_store_that_is_down_for_an_hour_and_back(tmp_path: Path) -> None:
    """The queue holds the newest; what comes out is in order and as it was heard."""
    port = free_port()
    with Yard(tmp_path, LAMP, sink=f"tcp:127.0.0.1:{port}") as yard:
        yard.run(3600)
        heard = [d for _, n, d in yard.air.sent if n == "lamp"]
        assert len(heard) > QUEUE + 30, "else nothing overflows"
        gateway = yard.board("gateway")
        # 1, 2, 4 .. 60 s: an hour of trying is no storm.
        tries = [line for line in gateway.console if line.startswith("sink:")]
        assert 55 <= len(tries) <= 75
        with store(lambda n, record: answer(record), port) as sink:
            yard.run(300)
            numbers = sink.numbers()
            heard = [d for _, n, d in yard.air.sent if n == "lamp"]
            frames = [r[12] for r in sink.records]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert len(numbers) >= QUEUE
            assert frames == heard[len(heard) - len(frames) :], "the newest, in order, verbatim"
            assert sink.connections == 1
        # Gone again, and back: nothing that fits the queue is lost.
        yard.run(1200)
        with store(lambda n, record: answer(record), port) as sink:
            yard.run(200)
            assert sink.numbers()[0] in (numbers[-1], numbers[-1] + 1)
            assert sink.numbers() == list(range(sink.numbers()[0], sink.numbers()[0] + len(sink.records)))
        assert yard.lives.count("gateway") == 1 and gateway.failures == []
        assert not [line for line in gateway.console if "Error:" in line and not line.startswith("sink:")]


def test_a_store_that_talks_nonsense_breaks_off_or_says_nothing(tmp_path: Path) -> None:
    """Whatever it does, each record is told again until it is answered as its own, then the next one is."""
    odd: list[Any] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\xff" + bytes(5000),
        b"\0\0",
        b"\0\x05hello",
        b"\x01",
        "close",
        None,
        lambda record: answer([*record[:3], record[3] + 1, *record[4:]]),
        lambda record: answer(record)[:-1],
        lambda record: answer(record, [record[12][2], 0xFFFF, 12, b"stranger", 0]),
        lambda record: answer(record) + answer(record),  # the second is nobody's
    ]

    def serve(n: int, record: list[Any]) -> Any:
        if n > len(odd):
            return answer(record)
        said = odd[n - 1]
        return said(record) if callable(said) else said

    with store(serve) as sink, Yard(tmp_path, LAMP, sink=f"tcp:127.0.0.1:{sink.port}") as yard:
        gateway = yard.board("gateway")
        # How long real time may pass while the store says nothing.
        gateway.options = gateway.options._replace(barrier_ms=200)
        yard.run(1800)
        numbers = sink.numbers()
        assert numbers == sorted(numbers), "in order, some of them again"
        frames = {r[3]: r[12] for r in sink.records}
        heard = [d for _, n, d in yard.air.sent if n == "lamp"]
        assert [frames[n] for n in range(1, len(heard) + 1)] == heard
        refused = sum(not callable(o) for o in odd) + 2  # another's number, cut short
        assert refused <= len(numbers) - len(heard) <= refused + 2
        assert yard.lives.count("gateway") == 1 and gateway.failures == []
        text = "\n".join(gateway.console)
        assert "Traceback" not in text and "task" not in text
        assert "downlink: unknown_device" in text
        assert [n for _, n, _ in yard.air.sent if n == "gateway"] == []


def test_boot_numbers_never_come_again(tmp_path: Path) -> None:
    """(gateway, boot, number) names a record for ever, also when one copy of the count is lost, or both."""
    with store(lambda n, record: answer(record)) as sink:
        sink_name = f"tcp:127.0.0.1:{sink.port}"
        with Yard(tmp_path, LAMP, sink=sink_name) as yard:
            board = yard.board("gateway")
            for life in range(4):
                yard.run(330)  # a node's hello comes within five minutes
                yard.world.power_cut("gateway")
                yard.run(1)
                key = next(k for k in board.nvs.data if k[1].startswith("boot"))
                if life >= 1:
                    del board.nvs.data[key]
                if life >= 2:
                    part = board.flash.partition("store")
                    board.flash.load(b"\xff" * part.size, part.offset)
                yard.world.power_on("gateway")
            yard.run(330)
        boots = []
        for record in sink.records:
            if record[2] not in boots:
                boots.append(record[2])
        assert boots[:3] == [1, 2, 3]
        assert len(boots) >= 4 and len(set(boots)) == len(boots)
        keys = [(r[2], r[3]) for r in sink.records]
        assert len(set(keys)) == len(keys)
