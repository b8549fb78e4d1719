"""One virtual board: its clock, memories and costs, seen from MicroPython programs."""

import os
from pathlib import Path

import pytest

from hw.virtual import World
from hw.virtual.testing import add_script, run_script
from hw.virtual.world import STAND_IN_KB
from tests.host.virtual_bench import lines

ROOT = Path(__file__).resolve().parents[2]


def test_clock_wraps_and_starts_in_2000() -> None:
    out = lines(
        """
        import time
        print(time.gmtime(0)[:3], time.time(), time.gmtime()[0])
        print(time.ticks_add((1 << 30) - 1, 2), time.ticks_diff(1, (1 << 30) - 1))
        print(time.mktime((2026, 3, 1, 12, 30, 5, 0, 0)), time.gmtime(825683405)[:6])
        day = 86400
        time.sleep(12 * day)
        a = time.ticks_ms()
        time.sleep(day)
        b = time.ticks_ms()
        print(a > 1036000000, b < a, time.ticks_diff(b, a) // 1000)
        """,
        14 * 86400,
    )
    assert out == [
        "(2000, 1, 1) 0 2000",
        "1 2",
        "825683405 (2026, 3, 1, 12, 30, 5)",
        "True True 86400",
    ]


def test_nvs_has_the_limits_of_the_chip() -> None:
    out = lines(
        """
        import esp32
        n = esp32.NVS("cfg")
        n.set_i32("a", -5)
        n.set_blob("b", b"hello")
        n.commit()
        buf = bytearray(8)
        print(n.get_i32("a"), n.get_blob("b", buf), buf[:5], n.get_i32("preset"))
        def name(f, *a):
            try:
                f(*a)
            except Exception as e:
                print(type(e).__name__, e.args[-1])
        name(n.get_i32, "none")
        name(n.get_i32, "b")
        name(n.set_i32, "0123456789abcdef", 1)
        name(n.set_i32, "q", 1 << 31)
        name(n.get_blob, "b", bytearray(2))
        name(esp32.NVS, "0123456789abcdef")
        n.erase_key("a")
        name(n.get_i32, "a")
        i = 0
        try:
            while True:
                n.set_blob("k%d" % i, bytes(1000))
                i += 1
        except OSError as e:
            print(i, e.args[1])
        """,
        nvs={"cfg": {"preset": 7}},
    )
    assert out == [
        "-5 5 bytearray(b'hello') 7",
        "OSError ESP_ERR_NVS_NOT_FOUND",
        "OSError ESP_ERR_NVS_NOT_FOUND",
        "OSError ESP_ERR_NVS_KEY_TOO_LONG",
        "OverflowError overflow converting long int to machine word",
        "OSError ESP_ERR_NVS_INVALID_LENGTH",
        "OSError ESP_ERR_NVS_INVALID_NAME",
        "OSError ESP_ERR_NVS_NOT_FOUND",
        "18 ESP_ERR_NVS_NOT_ENOUGH_SPACE",  # 24 KB: 5 pages of 126 entries, 34 for a blob of 1000 bytes
    ]


def test_timer_callbacks_come_in_time() -> None:
    out = lines(
        """
        import time
        from machine import Timer
        seen = []
        t = Timer(0)
        t.init(period=100, callback=lambda t: seen.append(time.ticks_ms()))
        s = time.ticks_ms()
        time.sleep_ms(1050)
        t.deinit()
        time.sleep_ms(500)
        print(len(seen), [x - s for x in seen][:3])
        Timer(1).init(mode=Timer.ONE_SHOT, period=50, callback=lambda t: seen.append(0))
        time.sleep_ms(500)
        print(len(seen))
        """
    )
    assert out == ["10 [100, 200, 300]", "11"]


def test_hidden_hardware_is_hidden() -> None:
    out = lines(
        """
        import os, sys, machine, esp32
        print(sys.platform, hasattr(esp32, "PCNT"), machine.freq(), len(machine.unique_id()))
        print(os.urandom(4) != os.urandom(4), len(os.urandom(16)))
        for pin in (34, 40, 6):
            try:
                machine.Pin(pin, machine.Pin.OUT)
            except ValueError as e:
                print(pin, e)
        print(machine.Pin(2) is machine.Pin(2))
        """
    )
    assert out == [
        "esp32 False 160000000 6",
        "True 16",
        "34 pin can only be input",
        "40 invalid pin",
        "6 invalid pin",
        "True",
    ]


def test_work_is_charged() -> None:
    from hw.virtual.testing import folder

    root = folder(
        {
            "crypto/__init__.py": "",
            "crypto/ed25519.py": "def sign(a):\n    return verify(a)\ndef verify(a):\n    return a + 1\n",
            "main.py": """
                import time, gc
                t = time.ticks_ms()
                from crypto import ed25519
                print(time.ticks_ms() - t > 3)
                t = time.ticks_ms()
                print(ed25519.sign(1), 150 <= time.ticks_ms() - t <= 286)
                t = time.ticks_ms()
                gc.collect()
                print(16 <= time.ticks_ms() - t <= 40)
                """,
        }
    )
    with World(seed=3) as world:
        board = world.add_board("b", mpy_dir=root, on_exit="end")
        world.run(20)
    assert board.failures == []
    assert board.console == ["True", "2 True", "True"]


def test_collections_that_run_by_themselves_are_charged() -> None:
    board = run_script(
        """
        import asyncio
        async def main():
            for i in range(100):
                bytearray(3000)
                await asyncio.sleep_ms(10)
        asyncio.run(main())
        """
    )
    assert board.gc_passes >= 2
    assert 60_000 < board.heap_peak < 150 * 1024


def test_the_heap_is_limited() -> None:
    board = run_script("x = bytearray(140000)\nprint('fits')\n", heap="150k")
    assert "MemoryError" in board.failures[0]


@pytest.mark.skipif("LANTERNE_MPY32" not in os.environ, reason="no 32-bit interpreter named")
def test_32_bit_interpreter() -> None:
    out = lines(
        """
        import sys, time, asyncio, gc
        from machine import Pin, SPI
        import esp32
        async def tick(n):
            for i in range(3):
                await asyncio.sleep_ms(100)
            return n
        async def main():
            print(await asyncio.gather(tick(1), tick(2)))
            e = asyncio.Event()
            e.set()
            await e.wait()
        asyncio.run(main())
        esp32.NVS("a").set_i32("b", -1 << 31)
        print(esp32.NVS("a").get_i32("b"))
        time.sleep(2000)
        print(time.ticks_ms() // 1000, sys.maxsize > 1 << 32)
        gc.collect()
        """,
        3000,
        interpreter=str(ROOT / os.environ["LANTERNE_MPY32"]),
        heap="100k",
    )
    assert out == ["[1, 2]", "-2147483648", "2000 False"]


def test_the_calendar_can_be_right_from_the_start() -> None:
    with World(start_utc="2026-11-20T16:00:00Z") as world:
        text = "import time\ntime.sleep(60)\nprint(time.gmtime()[:5])\n"
        right = add_script(world, "a", text, rtc_set=True)
        cold = add_script(world, "b", text)
        world.run(100)
    assert right.console == ["(2026, 11, 20, 16, 1)"]
    assert cold.console == ["(2000, 1, 1, 0, 1)"]


def test_what_the_stand_ins_hold_of_the_heap() -> None:
    held = int(
        lines(
            """
            import time, select, _va, esp32, machine, gc
            from machine import Pin, SPI, PWM, WDT, ADC
            esp32.NVS, esp32.Partition, time.gmtime
            gc.collect()
            print(gc.mem_alloc())
            """
        )[0]
    )
    # 3,000 bytes are not theirs: this program, the interpreter's own start, the mounted LittleFS.
    assert STAND_IN_KB - 3 < (held - 3000) / 1024 <= STAND_IN_KB
