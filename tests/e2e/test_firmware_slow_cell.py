"""A cell at SF12, where a frame holds 51 bytes: readings shorten, reporting intervals are long, nothing fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.firmware_world import BIN, METER, Yard

pytestmark = pytest.mark.slow

LEAK = {**METER, "water": {"file": "none", "start": "2016-06-17T16:00:00"}}
SLOW_BIN = {**BIN, "interval_s": 3600, "settings": {**BIN["settings"], "heartbeat_s": 3600}}


@pytest.mark.parametrize("board", [LEAK, SLOW_BIN], ids=["leak", "bin"])
def test_a_slow_cell(board: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANTERNE_DATA", raising=False)  # the synthetic water
    name = board["name"]
    with Yard(tmp_path, board, sf=12) as yard:
        yard.run(6 * 3600 + 900)
        assert yard.board(name).failures == [] and yard.lives == [name]
        assert [line for line in yard.board(name).console if "task" in line or "too_long" in line] == []
        found = [r for r in yard.decoded(name).rows if r.type == name]
        assert len(found) == 6
        assert [r.seq for r in found] == list(range(2, 8))
        assert all(len(body) <= 51 for _, _, body in yard.air.of(name))
        lengths = {len(data) for _, n, data in yard.air.sent[1:]}
        assert len(lengths) == 1 or name == "bin", "class 1: the length tells nothing"
