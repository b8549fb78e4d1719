"""The odds of the schedule of hello: few boards unheard after ten minutes, and a model that can tell otherwise."""

from __future__ import annotations

import pytest

from bench import feeder_odds
from bench.feeder_odds import odds


def test_two_hundred_boards_are_heard() -> None:
    found = odds(200, 7, 20)
    assert found.boards == 4000 and found.unheard / found.boards < 1e-3
    assert found.unanswered / found.boards < 1e-2
    assert found.sent / found.boards < 3, "an answer ends it"
    assert 0.05 < found.loss < 0.37 and set(found.lost) == {"collision", "deaf"}


def test_one_board_at_37_percent_loss() -> None:
    found = odds(1, 7, 20000, answers=False, loss=0.37)
    assert found.loss == pytest.approx(0.37, abs=0.005)
    assert found.sent > 6.99 * 20000, "six hellos and a reading"
    assert found.unheard / found.boards < 1.3e-3, "0.37 to the seventh: 0.95 of 1000"


def test_too_many_boards_are_too_many() -> None:
    assert odds(200, 9, 3).unheard > 0
    # As it was: hello once, and nobody says it again.
    single = odds(200, 7, 3, moments_of=lambda quiet, part: [quiet + part(300000 - quiet)])
    assert single.unheard / single.boards > 1e-3


def test_the_same_seed_is_the_same_evening(capsys: pytest.CaptureFixture[str]) -> None:
    assert odds(40, 7, 2) == odds(40, 7, 2)
    assert feeder_odds.main(["10", "7", "2"]) == 0
    assert "unheard after 600 s" in capsys.readouterr().out
