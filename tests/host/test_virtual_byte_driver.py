"""A radio driver in another manner than ours on two boards: one SPI call per byte, chip select low before it
waits for BUSY, the command status checked in every byte, all that follows set-up in interrupt handlers."""

from typing import Any

from hw.virtual import World
from hw.virtual.air import Air
from hw.virtual.chips.sx1262 import SX1262
from hw.virtual.testing import add_script

RADIO = {"spi": 1, "cs": 8, "busy": 13, "dio1": 14, "reset": 12}
DRIVER = """
    import utime
    from machine import SPI, Pin

    class Failed(Exception):
        pass

    spi = SPI(1, baudrate=2000000, sck=Pin(9), mosi=Pin(10), miso=Pin(11))
    cs = Pin(8, mode=Pin.OUT, value=1)
    irq = Pin(14, mode=Pin.IN)
    reset = Pin(12, mode=Pin.OUT)
    busy = Pin(13, mode=Pin.IN)

    def settled():
        while busy.value():
            utime.sleep_ms(1)

    def command(op, *args, wait=True):
        cs.value(0)
        settled()
        spi.write(bytes([op]))
        try:
            for a in args:
                status = spi.read(1, write=a)[0]
                if status >> 1 & 7 in (4, 5) or status in (0, 255):
                    raise Failed(hex(op), hex(status))
        finally:
            cs.value(1)
        if wait:
            utime.sleep_us(1)
            settled()

    def ask(n, *head):
        cs.value(0)
        settled()
        for h in head:
            spi.write(bytes([h]))
        spi.read(1)
        r = bytes(spi.read(1, write=0)[0] for i in range(n))
        cs.value(1)
        return r

    def start():
        for level in (1, 0, 1):
            reset.value(level)
            utime.sleep_us(150)
        tries = 0
        while True:
            tries += 1
            try:
                command(0x80, 0)
                break
            except Failed:
                utime.sleep_ms(10)
        command(0x8F, 0, 0)
        command(0x8A, 1)
        command(0x93, 0x20)
        command(0x88, 3, 20, 10, 0, 0, 0, 0)
        command(0x02, 3, 255)
        command(0x08, *[0] * 8)
        command(0x97, 2, 0, 1, 64)
        command(0x07, 0, 0)
        command(0x89, 0x7F)
        command(0x8B, 7, 4, 1, 0)
        command(0x0D, 0x07, 0x40, 0x14, 0x24)
        command(0x9D, 1)
        command(0x96, 1)
        command(0x98, 0xD7, 0xDB)
        command(0x86, *(868100000 * 16384 // 15625).to_bytes(4, "big"))
        command(0x95, 4, 7, 0, 1)
        command(0x8E, -5, 4)
        command(0x0D, 0x08, 0xD8, ask(1, 0x1D, 0x08, 0xD8)[0] | 0x1E)
        return tries, ask(1, 0x11)[0]

    def send(data):
        command(0x80, 0)
        command(0x8C, 0, 8, 0, len(data), 1, 0)
        command(0x08, 2, 1, 0, 1, 0, 0, 0, 0)
        command(0x0E, 0, *data)
        command(0x02, 3, 255)
        command(0x0D, 0x08, 0x89, ask(1, 0x1D, 0x08, 0x89)[0] | 4)
        command(0x83, 0, 0, 0)

    def listen():
        command(0x8C, 0, 8, 0, 255, 1, 0)
        command(0x08, 2, 0x62, 0, 2, 0, 0, 0, 0)
        command(0x02, 3, 255)
        command(0x82, 255, 255, 255)

    def received():
        command(0x80, 0)
        n, at = ask(2, 0x13)
        data = ask(n, 0x1E, at)
        rssi, snr, _ = ask(3, 0x14)
        command(0x02, 3, 255)
        return data, -rssi // 2, snr / 4
    """
ANSWER = """
    def on_irq(pin):
        flags = int.from_bytes(ask(2, 0x12), "big")
        if flags & 1:
            listen()
        elif flags & 2:
            data, rssi, snr = received()
            print(data, rssi, snr)
            if data[-1] < 6:
                utime.sleep_ms(5)
                send(data[:-1] + bytes([data[-1] + 1]))
            else:
                listen()

    print(start())
    irq.irq(trigger=Pin.IRQ_RISING, handler=on_irq)
    """


def two(a: str, b: str, seconds: float = 5.0, **chip: Any) -> tuple[Air, list[list[str]]]:
    air = Air(2, links={("a", "b"): 105.0})
    chips = {n: SX1262(air, name=n, **chip) for n in "ab"}
    with World(2, air=air) as world:
        boards = [
            add_script(
                world,
                n,
                DRIVER + ANSWER + text,
                mcu="esp32s3",
                chips={"radio": chips[n]},
                wiring={"radio": RADIO},
                heap="400k",
            )
            for n, text in (("a", a), ("b", b))
        ]
        world.run(seconds)
    for board, c in zip(boards, chips.values(), strict=True):
        assert board.failures == [], board.console
        assert c.violations == []
    return air, [board.console for board in boards]


def test_packets_go_to_and_fro_between_handlers() -> None:
    air, (a, b) = two(
        """
    listen()
    utime.sleep_ms(1000)
    command(0x80, 0)
    send(b"ping\\x01")
    utime.sleep_ms(2000)
    """,
        """
    listen()
    utime.sleep_ms(4000)
    """,
    )
    # Start-up without the TCXO: the first command shows it (0xAA), the second does not.
    assert a[0] == b[0] == "(2, 1)"
    # -5 dBm and twice 2 dBi over 105 dB; the noise floor is at -117 dBm.
    assert b[1:] == [rf"b'ping\x0{i}' -106 11.0" for i in (1, 3, 5)]
    assert a[1:] == [rf"b'ping\x0{i}' -106 11.0" for i in (2, 4, 6)]
    assert {t.power_dbm for t in air.transmissions} == {-5}


def test_a_command_in_the_same_selection_that_wakes() -> None:
    air, (a, b) = two(
        """
    for mode in (4, 0):
        command(0x80, 0)
        command(0x84, mode, wait=False)
        utime.sleep_us(500)
        utime.sleep_ms(300)
        print(ask(1, 0x11))
        if not mode:
            print(start())
        send(b"awake\\x07")
        utime.sleep_ms(300)
    """,
        """
    listen()
    utime.sleep_ms(4000)
    """,
    )
    # LoRa is remembered, then forgotten; the cold start shows again that the TCXO had no supply.
    assert a == ["(2, 1)", r"b'\x01'", r"b'\x00'", "(2, 1)"]
    assert b[1:] == [r"b'awake\x07' -106 11.0"] * 2
    assert len(air.transmissions) == 2


def test_a_module_with_a_crystal() -> None:
    _, (a, b) = two("", "", tcxo=False)
    assert a == b == ["(1, 1)"]
