# runs: micropython
"""A failing task starts again, others go on, and the watchdog starves when a critical task is silent."""

import asyncio

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
