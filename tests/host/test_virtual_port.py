"""The stock ways of the ESP32 port of MicroPython 1.25 that drivers written elsewhere rely on."""

from textwrap import dedent

from hw.virtual import World
from hw.virtual.chips.base import I2cChip, PinChip
from hw.virtual.testing import add_script
from tests.host.virtual_bench import EACH, lines


def test_old_names_of_modules_lead_to_the_stand_ins() -> None:
    """1.21 and later take utime for time; the built-in one would read the host's clock and sleep for real."""
    out = lines(
        """
        import utime, uos, umachine, uselect, usocket, uasyncio
        import time, os, machine, select, socket, asyncio
        from utime import sleep_ms, ticks_ms
        print(utime is time, uos is os, umachine is machine, uselect is select, usocket is socket)
        print(uasyncio is asyncio)
        t = ticks_ms()
        sleep_ms(3600000)
        print((ticks_ms() - t) // 1000)
        """,
        4000,
    )
    assert out == ["True True True True True", "True", "3600"]


def test_absent_names_and_modules_are_import_errors() -> None:
    out = lines(
        """
        for text in ("from machine import I2S", "from esp32 import PCNT", "from os import nothing",
                     "from time import strftime", "import neopixel", "import bluetooth"):
            try:
                exec(text)
            except ImportError as e:
                print(e)
        from machine import Pin, SPI, UART, Timer
        from os import statvfs, urandom
        """
    )
    assert out == [
        "can't import name I2S",
        "can't import name PCNT",
        "can't import name nothing",
        "can't import name strftime",
        "no module named 'neopixel'",
        "no module named 'bluetooth'",
    ]


def test_what_the_chip_has_and_the_host_has_not() -> None:
    out = lines(
        """
        import micropython, os
        micropython.alloc_emergency_exception_buf(100)
        print(os.uname().sysname, os.uname()[0], hasattr(os, "dupterm_notify"))
        """
    )
    assert out == ["esp32 esp32 False"]


def test_pins_by_number_object_and_again() -> None:
    out = lines(
        EACH
        + dedent("""
        import machine
        from machine import Pin, PWM, ADC, SoftI2C
        p = Pin(4, Pin.OUT)
        each("Pin(p) is p", "Pin(Pin(4), Pin.OUT, value=1)", "p()", "p.toggle()", "p.value()", "p.on()")
        each("p()")
        each("Pin('X4')", "Pin(99)", "Pin(1.5)")
        each("PWM(5, freq=1000).freq()", "ADC(1).read_u16()", "machine.time_pulse_us(6, 1, 10)")
        each("ADC(Pin(1)).width(ADC.WIDTH_12BIT)", "SoftI2C(scl=8, sda=9).scan()")
        each("p.irq(handler=print, trigger=Pin.IRQ_RISING, hard=True)")
        """),
        mcu="esp32s3",
    )
    assert out == [
        *("True", "Pin(4)", "1", "None", "0", "None", "1"),
        *("ValueError invalid pin",) * 3,
        *("1000", "0", "-2"),
        *("None", "[]"),
        "TypeError unexpected keyword argument 'hard'",
    ]


def test_pull_resistors() -> None:
    """A pull that is not named stays as it is (-1 in machine_pin.c), None takes it away."""
    out = lines(
        """
        from machine import Pin
        p = Pin(4, Pin.IN, Pin.PULL_UP)
        a = p(), Pin(4, Pin.IN)()
        b = Pin(4, Pin.IN, None)(), Pin(4, Pin.IN, pull=Pin.PULL_UP)(), Pin(4, Pin.IN, Pin.PULL_DOWN)()
        print(a, b)
        """
    )
    assert out == ["(1, 1) (0, 1, 0)"]


class Half(PinChip):
    """Half of what the converter takes with 11 dB."""

    def adc_uv(self, pin: str) -> int:
        return 1_550_000


def test_width_of_the_converter() -> None:
    out = lines(
        """
        from machine import ADC, Pin
        a = ADC(Pin(1), atten=ADC.ATTN_11DB)
        print(a.read())
        a.width(ADC.WIDTH_9BIT)
        print(a.read(), a.read_u16() >> 4)
        """,
        mcu="esp32s3",
        chips={"x": Half()},
        wiring={"x": {"v": 1}},
    )
    assert out == ["2047", "255 2047"]


def test_numbers_of_peripherals() -> None:
    out = lines(
        EACH
        + dedent("""
        from machine import SPI, SoftSPI, UART, I2C, Timer
        each("SPI(0)", "SPI(3)", "UART(3)", "I2C(2)", "Timer(4)")
        spi = SPI(2, baudrate=2000000, polarity=0, phase=0, bits=8, firstbit=SPI.MSB, sck=9, mosi=10, miso=11)
        soft = SoftSPI(100000, polarity=0, phase=0, sck=9, mosi=10, miso=11)
        each("spi.read(1, -9)", "soft.read(1, write=0)", "spi.write(7)")
        each("spi.write_readinto(b'ab', bytearray(1))")
        each("UART(2, 9600, tx=17, rx=18, timeout=10).read()", "UART(1, baudrate=9600).any()")
        each("Timer(0) is Timer(0)", "Timer(-1) is Timer(-1)")
        """),
        mcu="esp32s3",
    )
    assert out == [
        "ValueError SPI(0) doesn't exist",
        "ValueError SPI(3) doesn't exist",
        "ValueError UART(3) doesn't exist",
        "ValueError I2C(2) doesn't exist",
        "ValueError invalid Timer number, max 4",
        *("b'\\xff'",) * 2,
        "TypeError object with buffer protocol required",
        "ValueError buffers must be the same length",
        *("None", "0"),
        *("True", "False"),
    ]


def test_one_number_is_one_timer() -> None:
    """A driver that stops the timer it finds under the number stops the one that runs."""
    out = lines(
        """
        import time
        from machine import Timer
        n = [0]
        def count(t):
            n[0] += 1
        Timer(1, mode=Timer.PERIODIC, period=10, callback=count)
        time.sleep_ms(95)
        Timer(1).deinit()
        time.sleep_ms(100)
        print(n)
        Timer(1).init(mode=Timer.ONE_SHOT, period=10, callback=count)
        time.sleep_ms(100)
        print(n)
        """
    )
    assert out == ["[9]", "[10]"]


class Deaf(I2cChip):
    """Acknowledges its address and no data."""

    address = 0x20

    def write(self, data: bytes) -> bool:
        return not data


def test_a_handler_may_use_a_bus_whatever_it_answers() -> None:
    """What is refused to a soft interrupt's handler is its own affair, not that of the call it came in."""
    text = """
        import time
        from machine import I2C, Pin
        from esp32 import NVS
        bus = I2C(0, scl=Pin(22), sda=Pin(21))
        seen = []
        def handler(pin):
            for address in (0x20, 0x21):
                try:
                    bus.writeto(address, b"1")
                except OSError as e:
                    seen.append(e.errno)
            time.sleep_ms(2)
        button = Pin(4, Pin.IN)
        button.irq(handler, Pin.IRQ_RISING | Pin.IRQ_FALLING)
        time.sleep(2)
        space = NVS("a")
        n = 0
        while len(seen) < 40:
            n += 1
            space.set_i32("k", n)
        print(seen == [19, 19] * 20, space.get_i32("k") == n > 100)
        """
    with World() as world:
        board = add_script(world, "b", text, chips={"x": Deaf()}, wiring={"x": {"i2c": 0}})
        for i in range(20):
            world.set_input(board, 4, 1 - i % 2, at_s=1 + 0.1007 * i)
        world.run(10)
    assert board.failures == []
    assert board.console == ["True True"]


def test_interrupt_to_task_and_iterator() -> None:
    """The shape of asynchronous radio drivers: a flag set by a handler, a wait with a limit, `async for`,
    and a call put off with micropython.schedule."""
    text = """
        import asyncio, micropython, time
        from machine import Pin
        flag = asyncio.ThreadSafeFlag()
        class Edges:
            def __aiter__(self):
                return self
            async def __anext__(self):
                while True:
                    try:
                        await asyncio.wait_for_ms(flag.wait(), 1000)
                    except asyncio.TimeoutError:
                        raise StopAsyncIteration
                    return time.ticks_ms() // 100
        def put_off(_):
            flag.set()
        pin = Pin(4, Pin.IN)
        pin.irq(lambda p: micropython.schedule(put_off, 0), Pin.IRQ_RISING)
        async def main():
            async for t in Edges():
                print(t)
            print("end", time.ticks_ms() // 100)
        asyncio.run(main())
        """
    with World(costs={"boot": (0, 0)}) as world:
        board = add_script(world, "b", text)
        for i in range(6):
            world.set_input(board, 4, i % 2, at_s=0.45 + 0.2 * i)
        world.run(10)
    assert board.failures == []
    assert board.console == ["6", "10", "14", "end 24"]


def test_parts_of_the_system_that_programs_ask_for() -> None:
    out = lines(
        EACH
        + dedent("""
        import os, vfs, network, esp32
        from esp32 import NVS, Partition
        each("os.statvfs('/')[0]", "callable(vfs.mount)", "callable(os.mount)")
        each("Partition(Partition.RUNNING).info()[4]")
        each("network.WLAN(network.STA_IF).active(True)", "network.WLAN(network.STA_IF).isconnected()")
        each("NVS('x').get_i32('none')")
        """)
    )
    assert out == [
        *("4096", "True", "True", "factory"),
        *("True", "False"),
        "OSError (-4354, 'ESP_ERR_NVS_NOT_FOUND')",
    ]
