"""An evening on which every lamp of one feeder gets its power in the same second: light, and who is heard when.

python -m bench.feeder [LAMPS [SF]]     (200 lamps at SF7 where nothing else is said)

One gateway, one channel, virtual time; receptions come from overlapping intervals on the virtual air, not from
a formula. The ALOHA figure beside it is what a formula would say of the first frames alone. The odds over many
evenings: `bench.feeder_odds`.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware.protocols import link
from firmware.protocols.airtime import time_on_air_us
from host_tools import sim

if TYPE_CHECKING:
    from hw.virtual.world import Entry, World

START_UTC = "2026-11-20T16:10:00Z"
HELLO_S = 300  # the spread of TRUST 4
HEARD_S = 600
#: What the virtual air says of a lost frame: others on the air, or the gateway did not listen.
COLLISIONS = ("busy", "collision", "captured", "header")
DEAF = ("late", "stopped", "not listening")
#: Lamps 15 m apart on both sides of a street; the gateway in its middle.
SPACING_M = 15


def scenario(lamps: int, sf: int) -> dict[str, Any]:
    """A street of `lamps` at SF `sf`, each with a checkpoint chain, reporting every 15 minutes."""
    boards: list[dict[str, Any]] = [
        {"name": "gateway", "kind": "gateway", "hw": "heltec_wifi_lora_32_v3", "at": [0, 10]}
    ]
    boards += [
        {
            "name": f"lamp-{n:03}",
            "kind": "lamp",
            "profile": "mac0",
            "hw": "heltec_wifi_lora_32_v3",
            "at": [(n - lamps // 2) * SPACING_M, 20 * (n % 2)],
            "interval_s": 900,
            "settings": {"default_level": 100},
        }
        for n in range(lamps)
    ]
    return {
        "title": f"{lamps} lamps of one feeder at dusk",
        "start_utc": START_UTC,
        "hours": 0.25,
        "cell": {"freq_khz": 869525, "sf": sf, "power_dbm": 14},
        "board": boards,
    }


@dataclass
class Evening:
    """What was seen. lit_s: seconds from power to full light; heard_s: to the first frame at the host.

    lost: transmissions that the gateway did not hear, by the virtual air's reason; last_hello_s: begin of the last
    repetition.
    """

    lamps: int
    sf: int
    lit_s: dict[str, float] = field(default_factory=dict)
    dark: set[str] = field(default_factory=set)
    first_s: dict[str, float] = field(default_factory=dict)
    heard_s: dict[str, float] = field(default_factory=dict)
    sent: int = 0
    repeated: int = 0
    heard: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    last_hello_s: float = 0.0
    airtime_us: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def aloha(self) -> float:
        """Share of first frames that pure ALOHA delivers: exp(-2 G), spread evenly, without capture."""
        us = time_on_air_us(link.HEADER + 46, self.sf)
        return math.exp(-2 * self.lamps * us / 1e6 / HELLO_S)


def evening(lamps: int, sf: int, folder: Path, seed: int = 1) -> Evening:
    """Run the first 15 minutes; the gateway has its power always, the lamps from second 1 on."""
    found = Evening(lamps, sf)
    seen: set[tuple[str, bytes]] = set()

    def transmit(e: Entry) -> None:
        if e.board == "gateway":
            return
        frame = bytes(e.what["payload"])
        found.sent += 1
        found.first_s.setdefault(e.board, e.what["start_us"] / 1e6)
        if (e.board, frame) in seen:
            found.repeated += 1
            found.last_hello_s = max(found.last_hello_s, e.what["start_us"] / 1e6)
        seen.add((e.board, frame))
        us = e.what["end_us"] - e.what["start_us"]
        found.airtime_us[e.board] = found.airtime_us.get(e.board, 0) + us

    def actuate(e: Entry) -> None:
        if e.what["level"] >= 99.5:
            found.lit_s.setdefault(e.board, e.t_us / 1e6)
        else:
            found.dark.add(e.board)

    def watch(world: World) -> None:
        world.observe("transmit", transmit)
        world.observe("actuate", actuate)
        for board in world.boards.values():
            chip = board.chips.get("lamp")
            if chip is not None and getattr(chip, "level", 0) >= 99.5:
                found.lit_s[board.name] = 0.0  # by the wiring alone, before any program

    began = time.monotonic()
    run = sim.Run(scenario(lamps, sf), folder, sim.Options(seed=seed, on_world=watch))
    result = run.execute()
    found.took_s = time.monotonic() - began
    origin_us = sim_start_us()
    for row in result.rows:
        if row.state != "rejected" and row.name.startswith("lamp-"):
            at = (row.received_at - origin_us) / 1e6
            found.heard_s[row.name] = min(at, found.heard_s.get(row.name, at))
            found.heard += row.receptions
    for t in run.air.transmissions:
        if t.sender == "gateway":
            found.answers += 1
        elif "gateway" not in t.heard:
            found.lost[t.lost.get("gateway", "not listening")] += 1
    found.failures = list(result.failures)
    return found


def sim_start_us() -> int:
    """The run's beginning in microseconds of Unix UTC."""
    return int(datetime.fromisoformat(START_UTC).timestamp()) * 1_000_000


def show(e: Evening) -> None:
    lit, heard, first = list(e.lit_s.values()), list(e.heard_s.values()), list(e.first_s.values())
    share = max(e.airtime_us.values(), default=0) / 9e8
    late = sum(t > HEARD_S for t in heard)
    print(f"{e.lamps} lamps at SF{e.sf}, 15 min, {e.took_s:.1f} s of computing")
    print(
        f"  light: {len(lit)} lamps, the last {max(lit, default=math.nan):.2f} s after power; dark {len(e.dark)}"
    )
    print(f"  first frames between {min(first, default=0):.0f} and {max(first, default=0):.0f} s")
    print(f"  heard: {len(heard)} lamps, the last after {max(heard, default=math.nan):.0f} s")
    print(f"  heard later than {HEARD_S} s: {late}")
    lost = sum(e.lost.values())
    print(
        f"  {e.sent} transmissions, {e.repeated} of them repeated, the last at {e.last_hello_s:.0f} s; "
        f"{e.answers} answers"
    )
    words = {name: sum(e.lost[r] for r in why) for name, why in (("collisions", COLLISIONS), ("deaf", DEAF))}
    words["other"] = lost - sum(words.values())
    print(
        f"  lost {lost / max(1, e.sent):.1%}: "
        + ", ".join(f"{name} {n}" for name, n in words.items())
        + f" ({', '.join(f'{r} {n}' for r, n in sorted(e.lost.items()))})"
    )
    print(f"  pure ALOHA would deliver {e.aloha:.0%} of the first frames")
    print(f"  airtime of the busiest lamp {share:.3%} of the quarter hour")
    for text in e.failures:
        print("  failed:", text)


def main(arguments: list[str] | None = None) -> int:
    given = [int(a) for a in arguments or []]
    lamps, sf = (given + [200, 7][len(given) :])[:2]
    with tempfile.TemporaryDirectory() as folder:
        found = evening(lamps, sf, Path(folder))
    show(found)
    return 1 if found.failures or len(found.heard_s) < lamps or found.dark else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
