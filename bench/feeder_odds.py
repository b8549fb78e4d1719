"""How likely a board of a feeder is not heard in time: the schedule of hello in a small Monte Carlo.

python -m bench.feeder_odds [LAMPS [SF [EVENINGS]]]     (200 lamps at SF7, 200 evenings)

Per evening: the moments of `firmware.roles.greeting`, a gateway with one channel that is deaf while it answers and
keeps to a tenth of the time, capture at 6 dB in a street. Thousands of evenings in the time that the virtual air
takes for one; `bench.feeder` is that one, of real boards.
"""

from __future__ import annotations

import heapq
import math
import random
import sys
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from firmware.protocols.airtime import time_on_air_us
from firmware.roles.greeting import END_MS, moments

HELLO, READING, TIME = 53, 40, 42  # bytes on the air, as `bench.feeder` finds them
LONGEST = {7: 229, 8: 229, 9: 122, 10: 58, 11: 58, 12: 58}
SPACING_M = 15
CAPTURE_DB = 6
EXPONENT = 2.32
TURN_MS = 200  # of the gateway's answer, after the uplink
#: An answer is of use for so long (TRUST 4: the age that an echo of time may have).
USE_MS = 60000
DUTY = 10


Moments = Callable[[int, Callable[[int], int]], list[int]]


@dataclass
class Odds:
    """Of all evenings: unheard boards after 600 s, transmissions, and what became of those that were lost."""

    boards: int = 0
    unheard: int = 0
    unanswered: int = 0
    sent: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    last_s: list[float] = field(default_factory=list)

    @property
    def loss(self) -> float:
        return sum(self.lost.values()) / max(1, self.sent)


@dataclass
class _Frame:
    board: int
    start: float
    end: float
    hello: bool
    ok: str = ""


class Evening:
    """One evening; ms since the power came."""

    def __init__(
        self, lamps: int, sf: int, seed: int, answers: bool, loss: float, moments_of: Moments = moments
    ) -> None:
        self.random = random.Random(seed)
        self.sf = sf
        self.answers = answers
        self.loss = loss
        self.symbol = 2**sf / 125
        quiet = self._air(LONGEST[sf]) * 99
        self.moments = [moments_of(int(quiet), self._part) for _ in range(lamps)]
        self.power = [
            -10 * EXPONENT * math.log10(max(15, math.hypot((n - lamps // 2) * SPACING_M, 10)))
            for n in range(lamps)
        ]
        self.answered = [math.inf] * lamps
        self.heard = [math.inf] * lamps
        self.free = [0.0] * lamps
        self.frames: list[_Frame] = []
        self.deaf: deque[tuple[float, float]] = deque()
        self.gateway_free = 0.0

    def _air(self, size: int) -> float:
        return float(time_on_air_us(size, self.sf)) / 1000

    def _part(self, ms: int) -> int:
        return self.random.randrange(65536) * ms >> 16

    def run(self, found: Odds) -> None:
        """All that is sent until 600 s, in the order of its ends, so that answers can stop what follows."""
        todo: list[tuple[float, int, int, int]] = []
        for n, row in enumerate(self.moments):
            for ms in row:
                heapq.heappush(todo, (ms, 0, n, 1))
            # The first reading follows as soon as it may.
            heapq.heappush(todo, (row[0] + 1, 0, n, 0))
        queue: deque[tuple[float, int]] = deque()
        while todo:
            at, what, n, hello = heapq.heappop(todo)
            if at > END_MS:
                break
            if what == 0:
                if hello and self.answered[n] <= at:
                    continue
                if at < self.free[n]:
                    heapq.heappush(todo, (self.free[n], 0, n, hello))
                    continue
                air = self._air(HELLO if hello else READING)
                self.free[n] = at + 100 * air
                frame = _Frame(n, at, at + air, bool(hello))
                self.frames.append(frame)
                heapq.heappush(todo, (frame.end, 1, len(self.frames) - 1, hello))
            elif what == 1:
                frame = self.frames[n]
                found.sent += 1
                why = self._lost(frame)
                if why:
                    found.lost[why] += 1
                    continue
                new = self.heard[frame.board] > frame.end or not hello
                self.heard[frame.board] = min(self.heard[frame.board], frame.end)
                if self.answers and new and self.answered[frame.board] == math.inf:
                    queue.append((frame.end, frame.board))
                    heapq.heappush(todo, (max(frame.end + TURN_MS, self.gateway_free), 2, 0, 0))
            elif queue:
                if at < self.gateway_free:
                    heapq.heappush(todo, (self.gateway_free, 2, 0, 0))
                    continue
                end, board = queue.popleft()
                if at - end > USE_MS:
                    heapq.heappush(todo, (at, 2, 0, 0))
                    continue
                air = self._air(TIME)
                self.gateway_free = at + DUTY * air
                self.deaf.append((at, at + air))
                self.answered[board] = min(self.answered[board], at + air)
        found.boards += len(self.heard)
        found.unheard += sum(t > END_MS for t in self.heard)
        found.unanswered += sum(t > END_MS for t in self.answered)
        found.last_s.append(max(self.heard) / 1000)

    def _lost(self, f: _Frame) -> str:
        begin = f.start + 3 * self.symbol  # five symbols of preamble are enough
        for a, b in self.deaf:
            if a < f.end and b > begin:
                return "deaf"
        for o in reversed(self.frames):
            if o.start < f.start - 3000:
                break
            if o is f or o.start >= f.end or o.end <= begin:
                continue
            stronger = self.power[f.board] - self.power[o.board]
            locked = f.start + 5 * self.symbol > o.start + 12.25 * self.symbol
            if stronger < CAPTURE_DB or (o.start < f.start and locked):
                return "collision"
        return "loss" if self.loss and self.random.random() < self.loss else ""


def odds(
    lamps: int,
    sf: int,
    evenings: int,
    *,
    answers: bool = True,
    loss: float = 0.0,
    moments_of: Moments = moments,
) -> Odds:
    """The sum of so many evenings. answers: a gateway answers; loss: chance that a frame is lost for no other
    reason; moments_of: another schedule."""
    found = Odds()
    for seed in range(evenings):
        Evening(lamps, sf, seed, answers, loss, moments_of).run(found)
    return found


def show(lamps: int, sf: int, name: str, o: Odds) -> None:
    print(
        f"{lamps} lamps at SF{sf}, {name}: {o.sent / max(1, o.boards):.2f} frames a board, lost {o.loss:.1%} "
        f"({', '.join(f'{k} {v / o.sent:.1%}' for k, v in o.lost.most_common())}); unheard after 600 s "
        f"{o.unheard / o.boards:.1e} of the boards, unanswered {o.unanswered / o.boards:.1%}"
    )


def main(arguments: list[str] | None = None) -> int:
    given = [int(a) for a in arguments or []]
    lamps, sf, evenings = (given + [200, 7, 200][len(given) :])[:3]
    show(lamps, sf, "answered", odds(lamps, sf, evenings))
    show(lamps, sf, "nobody answers", odds(lamps, sf, evenings, answers=False))
    show(1, sf, "one board, 37 % lost anyway", odds(1, sf, 200 * evenings, answers=False, loss=0.37))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
