"""One virtual board: its clock, pins, buses, memories and lives, seen from MicroPython programs."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hw.virtual import State, Violation, World
from hw.virtual.chips.base import I2cChip, PinChip, SpiChip, UartChip
from hw.virtual.testing import add_script, run_script
from hw.virtual.world import STAND_IN_KB

ROOT = Path(__file__).resolve().parents[2]


def lines(text: str, until_s: float = 60.0, **options: Any) -> list[str]:
    board = run_script(text, until_s, **options)
    assert board.failures == []
    return board.console


class Echo(SpiChip):
    """Answers each transfer with the complement of what it got since it was selected."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []
        self.busy_us = 0

    def select(self, active: bool) -> None:
        if active:
            self.calls.clear()
        elif self.busy_us:
            self.port.set_pin("busy", 1)
            self.port.at(self.port.now_us + self.busy_us, lambda: self.port.set_pin("busy", 0))

    def transfer(self, mosi: bytes) -> bytes:
        self.calls.append(mosi)
        return bytes(b ^ 0xFF for b in mosi)


def test_blink_changes_the_pin_at_the_right_instants() -> None:
    with World() as world:
        edges: list[tuple[int, Any]] = []
        world.observe("pin", lambda e: edges.append((e.t_us, e.what)))
        add_script(
            world,
            "blink",
            """
            import time
            from machine import Pin
            led = Pin(2, Pin.OUT, value=0)
            for i in range(4):
                led.value(i & 1 ^ 1)
                time.sleep_ms(250)
            """,
        )
        world.run(5)
    assert [what for _, what in edges] == [(2, 1), (2, 0), (2, 1), (2, 0)]
    times = [t for t, _ in edges]
    # 250 ms and the 6 us that the pin access costs
    assert [b - a for a, b in pairwise(times)][:3] == [250_006] * 3


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


def test_spi_echo_and_busy_pin() -> None:
    chip = Echo()
    chip.busy_us = 700
    out = lines(
        """
        import time
        from machine import Pin, SPI
        cs, busy = Pin(5, Pin.OUT, value=1), Pin(4, Pin.IN)
        spi = SPI(1, 8000000)
        cs.off()
        spi.write(b"\\x01\\x02")
        print(spi.read(2, 0x0f))
        w = bytearray(b"\\x10\\x20")
        spi.write_readinto(w, w)
        print(w)
        t = time.ticks_us()
        cs.on()
        n = 0
        while busy.value():
            n += 1
        t = time.ticks_diff(time.ticks_us(), t)
        print(busy.value(), n > 10, 700 <= t < 720 or t)
        print(spi.read(2))
        """,
        chips={"echo": chip},
        wiring={"echo": {"spi": 1, "cs": 5, "busy": 4}},
    )
    assert out == [
        "b'\\xf0\\xf0'",
        "bytearray(b'\\xef\\xdf')",
        "0 True True",
        "b'\\xff\\xff'",  # nobody is selected: the line is pulled up
    ]
    assert chip.calls == [b"\x01\x02", b"\x0f\x0f", b"\x10\x20"]


class Register(I2cChip):
    address = 0x44

    def __init__(self) -> None:
        super().__init__()
        self.memory = bytearray(range(16))
        self.at = 0

    def write(self, data: bytes) -> bool:
        if data:
            self.at = data[0]
            if self.at > 15:
                return False
            self.memory[self.at : self.at + len(data) - 1] = data[1:]
        return True

    def read(self, n: int) -> bytes:
        return bytes(self.memory[self.at : self.at + n])


def test_i2c_registers_scan_and_nack() -> None:
    out = lines(
        """
        from machine import Pin, I2C, SoftI2C
        bus = I2C(0, scl=Pin(22), sda=Pin(21))
        print(bus.scan(), bus.readfrom_mem(0x44, 3, 2))
        bus.writeto_mem(0x44, 3, b"\\xaa\\xbb")
        bus.writeto(0x44, b"\\x03")
        print(bus.readfrom(0x44, 3))
        for call in (lambda: bus.writeto(0x45, b"x"), lambda: bus.writeto(0x44, b"\\x20")):
            try:
                call()
            except OSError as e:
                print(e.errno)
        print(SoftI2C(Pin(19), Pin(18)).scan())
        """,
        chips={"reg": Register()},
        wiring={"reg": {"i2c": 0}},
    )
    assert out == ["[68] b'\\x03\\x04'", "b'\\xaa\\xbb\\x05'", "19", "5", "[]"]


class Meter(UartChip):
    """Answers each line after 20 ms."""

    def receive(self, data: bytes) -> None:
        answer = data.upper()
        self.port.at(self.port.now_us + 20_000, lambda: self.port.uart_send(2, answer))


def test_uart_answer_time_limit_and_overflow() -> None:
    out = lines(
        """
        import time, asyncio
        from machine import UART
        u = UART(2, 9600, timeout=100)
        t = time.ticks_ms()
        u.write(b"hello\\n")
        print(u.any(), u.readline(), time.ticks_ms() - t)
        print(u.read(1), time.ticks_ms() - t > 120)
        u.write(b"x" * 300)
        time.sleep(1)
        print(u.any(), len(u.read()))
        u = UART(2, 9600, timeout=0)
        async def main():
            r = asyncio.StreamReader(u)
            asyncio.StreamWriter(u).write(b"abc\\n")
            print(await r.readline())
        asyncio.run(main())
        """,
        chips={"meter": Meter()},
        wiring={"meter": {"uart": 2}},
    )
    # 6 bytes at 9600 baud last 6.25 ms
    assert out == ["0 b'HELLO\\n' 26", "None True", "256 256", "b'ABC\\n'"]


class Panel(PinChip):
    """A push button, a lamp on PWM and a light sensor."""

    def __init__(self) -> None:
        super().__init__()
        self.duty: list[tuple[int, int]] = []

    def reset(self) -> None:
        self.port.at(2_000_000, lambda: self.port.set_pin("button", 1))
        self.port.at(2_004_000, lambda: self.port.set_pin("button", 0))

    def pwm_changed(self, pin: str, freq_hz: int, duty_u16: int) -> None:
        self.duty.append((freq_hz, duty_u16))

    def adc_uv(self, pin: str) -> int:
        return 1_550_000


def test_interrupt_wakes_a_sleeper_pwm_adc_and_pulse() -> None:
    panel = Panel()
    out = lines(
        """
        import time, asyncio
        from machine import Pin, PWM, ADC, time_pulse_us
        button = Pin(13, Pin.IN)
        flag = asyncio.ThreadSafeFlag()
        edges = []
        def isr(pin):
            edges.append((pin is button, time.ticks_us()))
            flag.set()
        button.irq(isr, Pin.IRQ_RISING)
        async def main():
            await asyncio.wait_for(flag.wait(), 10)
            print(len(edges), edges[0][0], time.ticks_diff(time.ticks_us(), edges[0][1]) < 2000)
            try:
                await asyncio.wait_for_ms(flag.wait(), 500)
            except asyncio.TimeoutError:
                print("late")
        asyncio.run(main())
        p = PWM(Pin(25), 1000, duty_u16=32768)
        p.duty_u16(65535)
        p.deinit()
        a = ADC(Pin(34), atten=ADC.ATTN_11DB)
        print(a.read_uv() // 10000, a.read_u16() // 328)
        print(time_pulse_us(Pin(12), 1, 1000))
        try:
            button.irq(isr, hard=True)
        except TypeError:
            print("soft only")
        """,
        chips={"panel": panel},
        wiring={"panel": {"button": 13, "lamp": 25, "light": 34}},
    )
    assert out == ["1 True True", "late", "154 99", "-2", "soft only"]
    assert panel.duty[:3] == [(1000, 32768), (1000, 65535), (0, 0)]


def test_pulse_length_is_measured() -> None:
    out = lines(
        """
        from machine import Pin, time_pulse_us
        print(time_pulse_us(Pin(13), 1, 10000000))
        """,
        chips={"panel": Panel()},
        wiring={"panel": {"button": 13}},
    )
    assert out == ["4000"]


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


def test_two_selected_chips_end_the_run() -> None:
    with World() as world:
        add_script(
            world,
            "b",
            """
            from machine import Pin, SPI
            Pin(5, Pin.OUT, value=0), Pin(6 + 9, Pin.OUT, value=0)
            SPI(1).write(b"x")
            """,
            chips={"one": Echo(), "two": Echo()},
            wiring={"one": {"spi": 1, "cs": 5}, "two": {"spi": 1, "cs": 15}},
        )
        with pytest.raises(Violation, match="one and two: two chips selected"):
            world.run(5)


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
