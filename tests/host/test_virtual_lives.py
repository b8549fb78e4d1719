"""The lives of a virtual board: sleep, reset, watchdog, a program that ends, and its console."""

from hw.virtual import State, World
from hw.virtual.testing import add_script, run_script
from tests.host.virtual_bench import Panel, lines


def test_deep_sleep_is_a_restart_that_keeps_rtc_memory() -> None:
    board = run_script(
        """
        import machine, time
        rtc = machine.RTC()
        step = rtc.memory()
        print(machine.reset_cause(), machine.wake_reason(), step, time.time())
        if not step:
            rtc.datetime((2026, 3, 1, 6, 12, 0, 0, 0))
            rtc.memory(b"1")
            machine.deepsleep(60000)
        if step == b"1":
            rtc.memory(b"2")
            machine.reset()
        if step == b"2":
            rtc.memory(b"3")
            machine.WDT(timeout=3000)
            time.sleep(10)
        try:
            rtc.memory(bytes(2049))
        except ValueError:
            print("full")
        """,
        200,
    )
    assert [line.split()[0] for line in board.console] == ["1", "4", "2", "3", "full"]
    seen = [line.split() for line in board.console[:4]]
    assert [s[1] for s in seen[:2]] == ["0", "4"]
    assert 60 <= int(seen[1][3]) - 825681600 <= 62
    assert board.boots == 4


def test_pin_wakes_from_deep_and_light_sleep() -> None:
    out = lines(
        """
        import machine, esp32, time
        from machine import Pin
        print(machine.wake_reason())
        esp32.wake_on_ext0(Pin(13), esp32.WAKEUP_ANY_HIGH)
        if machine.reset_cause() == machine.PWRON_RESET:
            machine.deepsleep(600000)
        t = time.ticks_ms()
        machine.lightsleep(300)
        print(machine.wake_reason(), time.ticks_ms() - t)
        """,
        100,
        chips={"panel": Panel()},
        wiring={"panel": {"button": 13}},
    )
    assert out == ["0", str(2), "4 300"]


def test_an_exception_that_leaves_main_is_a_failure_with_its_traceback() -> None:
    with World() as world:
        board = add_script(world, "b", "x = 1\nraise ValueError('boom')\n")
        other = add_script(world, "c", "pass", on_exit="repl")
        world.run(5)
        assert board.state is State.REPL
        assert "line 2" in board.failures[0] and "ValueError: boom" in board.failures[0]
        assert "returned" in other.failures[0]
        assert len(world.failures) == 2


def test_a_loop_without_time_is_found_and_its_watchdog_bites() -> None:
    with World(hang_s=0.3) as world:
        board = add_script(
            world,
            "b",
            """
            import machine
            print(machine.reset_cause())
            if machine.reset_cause() == 1:
                machine.WDT(timeout=2000)
                while True:
                    pass
            """,
        )
        world.run(10)
    assert board.console == ["1", "3"]
    assert "stuck" in board.failures[0]


def test_console_input_ctrl_c_and_lost_bytes() -> None:
    with World() as world:
        board = add_script(
            world,
            "b",
            """
            import sys, time, select, micropython
            p = select.poll()
            p.register(sys.stdin, select.POLLIN)
            print(p.poll(10))
            print(len(p.poll(5000)), sys.stdin.buffer.read(3))
            time.sleep(2)
            n = 0
            while p.poll(0):
                sys.stdin.read(1)
                n += 1
            print(n)
            try:
                time.sleep(10)
            except KeyboardInterrupt:
                print("ctrl-c")
            micropython.kbd_intr(-1)
            time.sleep(2)
            sys.stdout.write("end\\n")
            """,
        )
        world.console_write("b", b"abc", at_s=2)
        world.console_write("b", b"x" * 1000, at_s=3)
        world.console_write("b", b"\x03", at_s=5)
        world.console_write("b", b"\x03", at_s=6)
        world.run(20)
    assert board.console == ["[]", "1 b'abc'", "259", "ctrl-c", "end"]
    assert board.console_lost == 741


def test_ctrl_c_turned_off_in_boot_is_on_again_in_main() -> None:
    from hw.virtual.testing import folder

    root = folder(
        {
            "boot.py": "import micropython\nmicropython.kbd_intr(-1)\n",
            "main.py": """
                import time
                try:
                    time.sleep(5)
                except KeyboardInterrupt:
                    print("interrupted")
                """,
        }
    )
    with World() as world:
        board = world.add_board("b", mpy_dir=root, on_exit="end")
        world.console_write("b", b"\x03", at_s=2)
        world.run(10)
    assert board.console == ["interrupted"]
