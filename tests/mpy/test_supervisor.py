# runs: micropython
"""A failing task starts again, others go on, and the watchdog starves when a critical task is silent."""

import asyncio

from firmware import supervisor
from firmware.supervisor import Supervisor


def run(coro):
    return asyncio.run(coro)


def test_a_failing_task_starts_again_and_others_go_on():
    events = []

    async def shaky():
        events.append("start")
        if len(events) == 1:
            raise ValueError("once")
        events.append("done")

    async def main():
        it = Supervisor()
        task = it.spawn("shaky", shaky)
        await asyncio.wait_for_ms(task, 3000)
        return it.failures

    assert run(main()) == 1
    assert events == ["start", "start", "done"]


class Clock:
    """`time` and `asyncio` of the module under test, in no real time."""

    CancelledError = asyncio.CancelledError

    def __init__(self, start=1000):
        self.ms = start
        self.slept = []

    def ticks_ms(self):
        return self.ms % (1 << 30)

    def ticks_diff(self, a, b):
        return (a - b + (1 << 29)) % (1 << 30) - (1 << 29)

    async def sleep_ms(self, ms):
        self.slept.append(ms)
        self.ms += ms


def waits(lives_ms, start=1000):
    """How long the supervisor waits after lives of these lengths."""
    clock = Clock(start)
    lives = list(lives_ms)

    async def task():
        if not lives:
            return
        clock.ms += lives.pop(0)
        raise ValueError

    supervisor.time, real = clock, supervisor.time
    supervisor.asyncio, loop = clock, supervisor.asyncio
    try:
        asyncio.run(Supervisor()._keep("x", task))
    finally:
        supervisor.time = real
        supervisor.asyncio = loop
    return clock.slept


def test_waits_double_up_to_a_minute_and_begin_anew_after_a_long_life():
    assert waits([5] * 9) == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]
    assert waits([5, 5, 5, 3600000, 5]) == [1000, 2000, 4000, 1000, 2000]
    assert waits([5, 5, 59999, 5]) == [1000, 2000, 4000, 8000]
    assert waits([5, 5, 100000], (1 << 30) - 50000) == [1000, 2000, 1000], "ticks wrap"


def test_watchdog_is_fed_while_critical_tasks_live():
    fed = []

    async def main():
        it = Supervisor(lambda: fed.append(1))

        async def worker():
            it.alive("worker")
            await asyncio.sleep_ms(50)

        it.spawn("worker", worker, silent_ms=1000)
        watch = asyncio.create_task(it.watch())
        await asyncio.sleep_ms(20)
        watch.cancel()

    run(main())
    assert fed == [1]


def test_watchdog_starves_when_a_critical_task_is_silent():
    fed = []

    async def main():
        it = Supervisor(lambda: fed.append(1))

        async def stuck():
            await asyncio.sleep_ms(500)

        it.spawn("stuck", stuck, silent_ms=10)
        await asyncio.sleep_ms(30)
        watch = asyncio.create_task(it.watch())
        await asyncio.sleep_ms(20)
        watch.cancel()

    run(main())
    assert fed == []
