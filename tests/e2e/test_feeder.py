"""An evening on which the lamps of one feeder get their power in the same second (EMBEDDED 10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.feeder import COLLISIONS, DEAF, HEARD_S, HELLO_S, Evening, evening


def judged(found: Evening, lamps: int) -> None:
    assert found.failures == []
    # Full light from the wiring on, and no program takes it away.
    assert len(found.lit_s) == lamps and max(found.lit_s.values()) <= 2 and found.dark == set()
    assert len(found.heard_s) == lamps and max(found.heard_s.values()) <= HEARD_S
    first = sorted(found.first_s.values())
    assert len(first) == lamps and first[-1] <= HELLO_S + 5
    assert first[-1] - first[0] > HELLO_S / 3, "spread over the five minutes"
    # Verbatim, at random moments, and not a second later.
    assert found.last_hello_s <= HEARD_S
    assert sum(found.lost.values()) < found.sent and set(found.lost) <= {*COLLISIONS, *DEAF}
    assert found.answers >= lamps, "each is told the time"
    # 1 % of an hour, a quarter of which was looked at.
    assert max(found.airtime_us.values()) <= 36_000_000


@pytest.mark.slow
def test_a_small_feeder(tmp_path: Path) -> None:
    judged(evening(16, 7, tmp_path), 16)


@pytest.mark.long
@pytest.mark.parametrize(("lamps", "sf"), [(200, 7), (64, 9)])
def test_a_whole_feeder(lamps: int, sf: int, tmp_path: Path) -> None:
    """At SF9 one channel does not hold 200 (`bench.feeder_odds`)."""
    found = evening(lamps, sf, tmp_path)
    judged(found, lamps)
    assert found.repeated > 0, "some hellos were lost on the air and went out again"
