"""asyncio over the virtual clock behaves as over the interpreter's own task queue: same program, both
ways."""

import os
import subprocess
from pathlib import Path

import pytest

from hw.virtual import build
from hw.virtual.testing import folder, run_script

ROOT = Path(__file__).resolve().parents[2]
INTERPRETERS: dict[str, str | None] = {"64": None}
if os.environ.get("LANTERNE_MPY32"):
    INTERPRETERS["32"] = str(ROOT / os.environ["LANTERNE_MPY32"])

PROGRAMS = {
    "sleeps come back in order": """
        import asyncio
        async def t(n, ms):
            for i in range(2):
                await asyncio.sleep_ms(ms)
                print(n, i)
        async def main():
            await asyncio.gather(t("a", 100), t("b", 140), t("c", 240))
        asyncio.run(main())
        """,
    "gather returns results and exceptions": """
        import asyncio
        async def ok(v):
            await asyncio.sleep_ms(5)
            return v
        async def bad():
            await asyncio.sleep_ms(10)
            raise ValueError("x")
        async def main():
            print(await asyncio.gather(ok(1), ok(2)))
            print(await asyncio.gather(ok(1), bad(), return_exceptions=True))
            try:
                await asyncio.gather(ok(1), bad())
            except ValueError as e:
                print("raised", e)
        asyncio.run(main())
        """,
    "wait_for in time and too late": """
        import asyncio
        async def work(ms):
            try:
                await asyncio.sleep_ms(ms)
                return ms
            except asyncio.CancelledError:
                print("cancelled", ms)
                raise
        async def main():
            print(await asyncio.wait_for(work(10), 1))
            try:
                await asyncio.wait_for_ms(work(300), 20)
            except asyncio.TimeoutError:
                print("timeout")
        asyncio.run(main())
        """,
    "cancel in all states": """
        import asyncio
        async def sleeper():
            try:
                await asyncio.sleep(10)
            finally:
                print("finally")
        async def outer(t):
            await t
        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(10)
                except asyncio.CancelledError:
                    print("again")
                    return 7
        async def main():
            t = asyncio.create_task(sleeper())
            o = asyncio.create_task(outer(t))
            await asyncio.sleep_ms(10)
            print(o.cancel(), t.done(), o.done())
            try:
                await o
            except asyncio.CancelledError:
                print("outer gone")
            print(t.done(), o.done(), o.cancel())
            s = asyncio.create_task(stubborn())
            await asyncio.sleep_ms(1)
            s.cancel()
            print(await s)
            n = asyncio.create_task(sleeper())
            n.cancel()
            try:
                await n
            except asyncio.CancelledError:
                print("never ran")
            try:
                asyncio.current_task().cancel()
            except RuntimeError as e:
                print(e)
        asyncio.run(main())
        """,
    "two wait for one": """
        import asyncio
        async def work():
            await asyncio.sleep_ms(20)
            return 5
        async def waiter(t, n):
            print(n, await t)
        async def main():
            t = asyncio.create_task(work())
            await asyncio.gather(waiter(t, "a"), waiter(t, "b"))
            print(await t)
        asyncio.run(main())
        """,
    "Event, Lock and flag": """
        import asyncio
        async def wait(e, n):
            await e.wait()
            print("event", n)
        async def locked(l, n):
            async with l:
                print("in", n)
                await asyncio.sleep_ms(5)
                print("out", n)
        async def setter(f):
            await asyncio.sleep_ms(15)
            f.set()
        async def main():
            e = asyncio.Event()
            ts = [asyncio.create_task(wait(e, i)) for i in range(3)]
            await asyncio.sleep_ms(5)
            ts[1].cancel()
            e.set()
            await asyncio.gather(ts[0], ts[2])
            l = asyncio.Lock()
            await asyncio.gather(*[locked(l, i) for i in range(3)])
            f = asyncio.ThreadSafeFlag()
            asyncio.create_task(setter(f))
            await f.wait()
            print("flag")
            try:
                await asyncio.wait_for_ms(f.wait(), 10)
            except asyncio.TimeoutError:
                print("no flag")
        asyncio.run(main())
        """,
    "an exception nobody awaits reaches the handler": """
        import asyncio
        def handler(loop, context):
            print("handler", repr(context["exception"]))
        async def bad():
            raise KeyError("k")
        async def main():
            asyncio.get_event_loop().set_exception_handler(handler)
            asyncio.create_task(bad())
            await asyncio.sleep_ms(5)
        asyncio.run(main())
        """,
    "equal times run in order of arrival": """
        import asyncio
        async def t(n):
            await asyncio.sleep_ms(0)
            print(n)
        async def main():
            for i in range(6):
                asyncio.create_task(t(i))
            await asyncio.sleep_ms(30)
        asyncio.run(main())
        """,
}


@pytest.mark.parametrize("width", INTERPRETERS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_same_output_as_the_built_in_queue(name: str, width: str) -> None:
    interpreter = INTERPRETERS[width] or build.default_interpreter()
    plain = subprocess.run(
        [interpreter, str(folder({"main.py": PROGRAMS[name]}) / "main.py")],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    board = run_script(PROGRAMS[name], interpreter=INTERPRETERS[width])
    assert board.failures == []
    assert board.console == plain.stdout.splitlines()
    assert board.console


def test_a_loop_that_only_waits_costs_no_real_time() -> None:
    board = run_script(
        """
        import asyncio, time
        async def main():
            await asyncio.sleep(3 * 86400)
            print(time.time() // 3600)
        asyncio.run(main())
        """,
        4 * 86400,
    )
    assert board.console == ["72"]


def test_the_queue_is_right_where_ticks_wrap() -> None:
    board = run_script(
        """
        import asyncio, time
        async def t(n, ms):
            await asyncio.sleep_ms(ms)
            print(n, time.ticks_ms() < 100000)
        async def main():
            await asyncio.gather(t("b", 4000), t("c", 6000), t("a", 1000))
        time.sleep_us(((1 << 30) - 3000 - time.ticks_ms()) * 1000)
        asyncio.run(main())
        """,
        1_200_000,
    )
    assert board.failures == []
    assert board.console == ["a False", "b True", "c True"]
