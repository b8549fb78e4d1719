"""Pins and buses of a virtual board, seen from MicroPython programs."""

from itertools import pairwise
from typing import Any

import pytest

from hw.virtual import Violation, World
from hw.virtual.chips.base import I2cChip, SpiChip, UartChip
from hw.virtual.testing import add_script
from tests.host.virtual_bench import Panel, lines


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
    assert out == ["[68] b'\\x03\\x04'", "b'\\xaa\\xbb\\x05'", "19", "19", "[]"]


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
