"""What a program written for stock MicroPython 1.25 on an ESP32 meets: calls and refusals of `machine` and `time`
as its C sources have them."""

from typing import Any

import pytest

from hw.virtual import World
from hw.virtual.chips.base import I2cChip, PinChip, UartChip
from hw.virtual.testing import add_script, run_script
from tests.host.virtual_bench import EACH, lines


def tried(*what: str, before: str = "", **options: Any) -> list[str]:
    """What each expression gives, or its exception."""
    return lines(EACH + before + "".join(f"\neach({w!r})" for w in what), **options)


class Memory(I2cChip):
    """Registers; acknowledges up to `room` bytes behind the register."""

    address = 0x20

    def __init__(self, room: int = 99) -> None:
        super().__init__()
        self.room = room
        self.at = 0
        self.cells = bytearray(256)
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> bool:
        if data:
            self.writes.append(data)
            if len(data) > 1 + self.room:
                return False
            self.at = data[0]
            self.cells[self.at : self.at + len(data) - 1] = data[1:]
        return True

    def read(self, n: int) -> bytes:
        return bytes(self.cells[self.at : self.at + n])


class Talker(UartChip):
    """`count` times `text`, one in every `period_ms`, from 100 ms on; keeps what it hears."""

    def __init__(self, text: bytes = b"abcd", period_ms: int = 100, count: int = 3, uart: int = 1) -> None:
        super().__init__()
        self.uart = uart
        self.text = text
        self.period_ms = period_ms
        self.count = count
        self.heard: list[bytes] = []

    def configure(self, baud: int, bits: int, parity: int | None, stop: int) -> None:
        for i in range(self.count):
            self.port.at(
                self.port.now_us + (100 + i * self.period_ms) * 1000,
                lambda: self.port.uart_send(self.uart, self.text),
            )

    def receive(self, data: bytes) -> None:
        self.heard.append(data)


def test_converter_in_its_stock_forms() -> None:
    assert tried(
        "a.atten(ADC.ATTN_11DB)",
        "a.read_uv() // 10000",
        "ADC(Pin(32), ADC.ATTN_11DB)",
        "a.atten(4)",
        "ADC(Pin(5))",
        "a.block().connect(4, atten=ADC.ATTN_11DB).read_uv() // 10000",
        "machine.ADCBlock(1, bits=9).connect(Pin(33)).read()",
        "machine.ADCBlock(2).connect(Pin(33))",
        before="a = ADC(Pin(32))",
        chips={"x": Half()},
        wiring={"x": {"v": 32}},
    ) == [
        *("None", "154"),
        "TypeError __init__() takes 2 positional arguments but 3 were given",
        "ValueError invalid atten",
        "ValueError invalid pin",
        *("154", "0"),
        "ValueError no matching ADC channel",
    ]
    assert tried("ADC(Pin(5)).read_u16()", "ADC(Pin(21))", mcu="esp32s3") == ["0", "ValueError invalid pin"]


class Half(PinChip):
    """Half of what the converter takes with 11 dB."""

    def adc_uv(self, pin: str) -> int:
        return 1_550_000


def serial(text: str, model: Talker, until_s: float = 10) -> list[str]:
    before = "u = UART(1, 9600, tx=17, rx=16, timeout={})\nt = time.ticks_ms()\n"
    return lines(
        EACH + before.format(text[: text.index("|")]) + text[text.index("|") + 1 :],
        until_s,
        chips={"x": model},
        wiring={"x": {"uart": 1}},
    )


def test_a_uart_read_waits_for_all_bytes() -> None:
    """uart_read_bytes of the driver begins its time-out anew with each piece; the stream layer asks again for what
    is missing, so that a read that falls short ends two time-outs after its last byte."""
    spent = "print(r, (time.ticks_ms() - t) // 10)"
    assert serial("150|r = u.read(10)\n" + spent, Talker()) == ["b'abcdabcdab' 30"]
    assert serial("150|r = u.read(13)\n" + spent, Talker()) == ["b'abcdabcdabcd' 60"]
    assert serial("150|r = u.read()\n" + spent, Talker()) == ["b'abcdabcdabcd' 60"]
    assert serial("150|r = u.read(5)\n" + spent, Talker(count=0)) == ["None 15"]
    assert serial("50|r = u.read(5)\n" + spent, Talker()) == ["None 5"]
    assert serial("0|r = u.read(5)\n" + spent, Talker()) == ["None 0"]
    assert serial("0|time.sleep_ms(150)\nr = u.read(9)\n" + spent, Talker()) == ["b'abcd' 15"]
    buffer = "b = bytearray(6)\nr = u.readinto(b{})\nprint(b)\n" + spent
    assert serial("150|" + buffer.format(""), Talker()) == ["bytearray(b'abcdab')", "6 20"]
    assert serial("150|" + buffer.format(", 5"), Talker()) == ["bytearray(b'abcda\\x00')", "5 20"]
    assert serial("150|" + buffer.format(""), Talker(count=1)) == ["bytearray(b'abcd\\x00\\x00')", "4 40"]


def test_what_is_no_buffer_is_a_type_error_and_nothing_else() -> None:
    """Nothing of it may lie in the pipe to the host: the next calls have to work."""
    words = "array('H', [0x0102, 0x0304, 0x0506])"
    model, talker = Memory(), Talker(count=0)
    out = tried(
        *("i.writeto(0x20, [1, 2])", "i.writeto(0x20, 4)", "i.writeto(0x20, None)", "u.write([1])"),
        *("i.readfrom_into(0x20, b'ab')", "i.readfrom_into(0x20, [1, 2])", "s.write((1, 2))"),
        "s.write_readinto(b'ab', 'cd')",
        *(f"i.writeto(0x20, {words})", f"u.write({words})"),
        *(f"s.write({words})", "i.readfrom_into(0x20, into)", "into"),
        "len(i.readfrom(0x20, 240))",
        *("i.writeto_mem(0x20, 3, 4)", "i.writeto_mem(0x20, 3, 'xy')", "i.writeto_mem(0x20, 0x103, b'z')"),
        *("i.readfrom_mem(addr=0x20, memaddr=3, arg=2)", "i.writeto_mem(0x20, 1, b'', addrsize=12)"),
        "i.writevto(0x20, (b'a', bytearray(b'b'), 'c'))",
        before="""
from array import array
into = array("H", [0, 0])
s = machine.SPI(1)
i = I2C(0, scl=Pin(22), sda=Pin(21))
u = UART(1, 9600, tx=17, rx=16)
""",
        chips={"x": model, "y": talker},
        wiring={"x": {"i2c": 0}, "y": {"uart": 1}},
    )
    refused = "TypeError object with buffer protocol required"
    assert out == [refused] * 8 + [
        *("6", "6", "None", "None", "array('H', [1025, 1539])", "240"),
        *(refused, "None", "None", "b'zy'"),
        *("ValueError invalid addrsize", "3"),
    ]
    raw = bytes.fromhex("020104030605")
    assert model.writes == [raw, b"\x03xy", b"\x03z", b"\x03", b"abc"]
    assert talker.heard == [raw]


def test_the_clock_takes_no_floats() -> None:
    out = tried(
        *("time.sleep_us(1.5)", "time.sleep_ms(1.5)", "time.sleep(0.5)", "type(time.ticks_us())"),
        "Timer(0).init(period=1.5, callback=print)",
        "machine.time_pulse_us(Pin(4), 1, 10.5)",
        "type(time.ticks_us())",
    )
    assert [line.partition(" ")[0] for line in out] == [
        *("TypeError", "TypeError", "None", "<class"),
        *("TypeError", "TypeError", "<class"),
    ]
    assert out[3] == out[6] == "<class 'int'>"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("from machine import *\nprint(Pin, I2C, ADC, Signal, PWRON_RESET, Timer.PERIODIC)", "<class 'Pin'>"),
        ("from time import *\nprint(sleep_ms(1), gmtime(0)[0])", "None 2000"),
        ("from esp32 import *\nprint(NVS('a'))", "<NVS"),
        ("import machine\nprint(hasattr(machine, '__all__'), hasattr(machine, 'nothing'))", "False False"),
    ],
)
def test_everything_of_a_module(text: str, says: str) -> None:
    assert lines(text)[0].startswith(says)


@pytest.mark.parametrize(("model", "wired"), [(1, 2), (2, 1), (0, 1)])
def test_the_wiring_says_where_a_part_is(model: int, wired: int) -> None:
    """Whatever UART it was made with."""
    part = Talker(count=1, uart=model)
    out = lines(
        f"""
        from machine import UART
        import time
        u = UART({wired}, 9600)
        u.write(b"x")
        time.sleep_ms(200)
        print(u.read())
        """,
        chips={"x": part},
        wiring={"x": {"uart": wired}},
    )
    assert out == ["b'abcd'"] and part.heard == [b"x"] and part.uart == wired


def test_refused_data_on_both_kinds_of_bus() -> None:
    """The chip's driver says ESP_FAIL for a missing acknowledgement of any byte; software counts them."""
    out = tried(
        "I2C(0, scl=Pin(22), sda=Pin(21)).writeto(0x20, b'abc')",
        "I2C(0).writeto_mem(0x20, 1, b'abc')",
        "SoftI2C(scl=Pin(22), sda=Pin(21)).writeto(0x20, b'abc')",
        "SoftI2C(scl=Pin(22), sda=Pin(21)).writeto(0x20, b'ab')",
        "SoftI2C(scl=Pin(22), sda=Pin(21)).writeto(0x21, b'ab')",
        chips={"x": Memory(1)},
        wiring={"x": {"i2c": 0}},
    )
    nobody = "OSError [Errno 19] ENODEV"
    assert out == [nobody, nobody, "0", "2", nobody]


def test_a_line_that_something_holds_low() -> None:
    text = """
        from machine import I2C, Pin
        import time
        i = I2C(0, scl=Pin(22), sda=Pin(21))
        for n in range(2):
            try:
                print(i.readfrom_mem(0x20, 0, 1))
            except OSError as e:
                print(e.errno)
            time.sleep(2)
        """
    with World() as world:
        board = add_script(world, "b", text, chips={"x": Memory()}, wiring={"x": {"i2c": 0}})
        board.stuck_i2c.add(0)
        world.at(1.5, lambda: board.stuck_i2c.clear())
        world.run(10)
    assert board.console == ["116", "b'\\x00'"] and board.failures == []


BUSES = (
    *("I2C(0, scl=Pin(22), sda=Pin(21)).scan()", "I2C(1, scl=22, sda=21).scan()"),
    *("SoftI2C(scl=22, sda=21).scan()", "SoftI2C(Pin(21), Pin(22)).scan()", "I2C(0, scl=18, sda=19).scan()"),
)


def test_the_pins_say_which_bus_it_is() -> None:
    """Under any number, in hardware or software, where the wiring names them and where the program did."""
    named = {"i2c": 0, "scl": 22, "sda": 21}
    everywhere = ["[32]", "[32]", "[32]", "[]", "[]"]
    assert tried(*BUSES, chips={"x": Memory()}, wiring={"x": named}) == everywhere
    assert tried(*BUSES, chips={"x": Memory()}, wiring={"x": {"i2c": 0}}) == everywhere
    assert tried(*BUSES[2:], chips={"x": Memory()}, wiring={"x": {"i2c": 1}}) == ["[32]", "[]", "[]"]
    assert tried("I2C(0).scan()", "I2C(1).scan()", chips={"x": Memory()}, wiring={"x": named}) == [
        "[32]",
        "[]",
    ]
    two = {"x": {"i2c": 0}, "y": {"i2c": 1}}
    other = Memory()
    other.address = 0x30
    assert tried(*BUSES[:2], chips={"x": Memory(), "y": other}, wiring=two) == ["[32]", "[32]"]
    with pytest.raises(ValueError, match=r"bus 0 on pins \(22, 21\) and \(18, 19\)"):
        run_script(
            "", chips={"x": Memory(), "y": other}, wiring={"x": named, "y": {"i2c": 0, "scl": 18, "sda": 19}}
        )


@pytest.mark.parametrize(
    ("made", "heard", "read"),
    [
        ("UART(2, 9600, tx=14, rx=34)", True, True),
        ("UART(1, 9600, tx=14, rx=34)", True, True),
        ("UART(1, 9600)", True, True),
        ("UART(2, 9600)", False, False),
        ("UART(1, 9600, tx=17, rx=16)", False, False),
        ("UART(2, 9600, tx=17, rx=34)", False, True),
        ("UART(2, 9600, tx=14, rx=16)", True, False),
    ],
)
def test_the_pins_say_which_uart_it_is(made: str, heard: bool, read: bool) -> None:
    part = Talker(count=0)
    part.reset = lambda: part.port.at(700_000, lambda: part.port.uart_send(1, b"abcd"))  # type: ignore
    out = tried(
        "u.write(b'x')",
        "time.sleep_ms(500)",
        "u.read()",
        before=f"u = {made}",
        chips={"x": part},
        wiring={"x": {"uart": 1, "uart_tx": 14, "uart_rx": 34}},
    )
    assert out[2] == ("b'abcd'" if read else "None") and bool(part.heard) == heard


def test_software_buses_byte_by_byte() -> None:
    model = Memory()
    out = tried(
        *("i.start()", "i.write(b'\\x40\\x05ab')", "i.stop()", "i.readfrom_mem(0x20, 5, 2)"),
        *(
            "i.start()",
            "i.write(b'\\x40\\x05')",
            "i.start()",
            "i.write(b'\\x41')",
            "i.readinto(into)",
            "i.stop()",
        ),
        *("into", "i.start()", "i.write(b'\\x50')", "i.stop()"),
        before="i = SoftI2C(scl=22, sda=21)\ninto = bytearray(2)",
        chips={"x": model},
        wiring={"x": {"i2c": 0}},
    )
    assert out == [
        *("None", "4", "None", "b'ab'"),
        *("None", "2", "None", "1", "None", "None"),
        *("bytearray(b'ab')", "None", "0", "None"),
    ]
    assert model.writes == [b"\x05ab", b"\x05", b"\x05"]


def test_constants_and_limits() -> None:
    out = tried(
        "UART.INV_TX, UART.INV_RX, UART.INV_RTS, UART.INV_CTS, UART.RTS, UART.CTS",
        *("UART(1, invert=UART.INV_TX | UART.INV_RX).sendbreak()", "UART(1, 9600, 8, 1).sendbreak()"),
        *("UART(1, invert=16)", "UART(1, flow=4)", "UART(1, tx=34, rx=35)"),
        *("PWM(Pin(34))", "PWM(Pin(4)).duty_u16(70000)", "PWM(Pin(4), freq=1000, duty=2000)"),
        *("PWM(Pin(4)).duty_ns(-1)", "PWM(Pin(4), freq=50, duty_ns=1500000).duty_u16()"),
        "Pin.WAKE_LOW, Pin.WAKE_HIGH, Pin.DRIVE_0, Pin.DRIVE_3",
        "Pin(4, Pin.OUT, drive=Pin.DRIVE_3)",
        *("Timer(0).init(mode=Timer.ONE_SHOT, period=10, tick_hz=1000, callback=None)", "Timer(0).value()"),
    )
    assert out == [
        *("(32, 4, 64, 8, 1, 2)", "None", "OSError [Errno 1] EPERM"),
        *("ValueError invalid mask",) * 2,
        *("OSError [Errno 1] EPERM: ESP_FAIL", "ValueError PWM not supported on Pin(34)"),
        *("ValueError duty out of range",) * 3,
        *("4915", "(4, 5, 0, 3)", "Pin(4)", "None", "0"),
    ]


def test_a_write_of_nothing_is_not_heard() -> None:
    part = Talker(count=0)
    out = tried(
        *("u.write(b'')", "u.write('ab')", "u.flush()"),
        before="u = UART(1, 9600)",
        chips={"x": part},
        wiring={"x": {"uart": 1}},
    )
    assert out == ["0", "2", "None"] and part.heard == [b"ab"]


def test_what_boot_files_ask_for() -> None:
    assert lines("import esp\nesp.osdebug(None)\nprint(esp.flash_size(), esp.flash_user_start() > 0)") == [
        "4194304 True"
    ]
