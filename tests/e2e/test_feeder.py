"""An evening on which the lamps of one feeder get their power in the same second (EMBEDDED 10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.feeder import HEARD_S, HELLO_S, Evening, evening


def judged(found: Evening, lamps: int) -> None:
    assert found.failures == []
    # Full light from the wiring on, and no program takes it away.
    assert len(found.lit_s) == lamps and max(found.lit_s.values()) <= 2 and found.dark == set()
    assert len(found.heard_s) == lamps and max(found.heard_s.values()) <= HEARD_S
    first = sorted(found.first_s.values())
    assert len(first) == lamps and first[-1] <= HELLO_S + 5
    assert first[-1] - first[0] > HELLO_S / 3, "spread over the five minutes"
    # 1 % of an hour, a quarter of which was looked at.
    assert max(found.airtime_us.values()) <= 36_000_000


@pytest.mark.slow
def test_a_small_feeder(tmp_path: Path) -> None:
    judged(evening(16, 7, tmp_path), 16)


@pytest.mark.long
@pytest.mark.parametrize("sf", [7, 9])
def test_two_hundred_lamps(sf: int, tmp_path: Path) -> None:
    found = evening(200, sf, tmp_path)
    judged(found, 200)
    assert found.repeated > 0, "some hellos were lost on the air and went out again"
