"""The drivers under the real interpreter, on virtual boards with the models: what the shim cannot show (a bus
transfer at a time, soft interrupts, boards that run apart, reset and deep sleep of the microcontroller)."""

import re
from typing import Any

import pytest

from hw.virtual import World
from hw.virtual.air import Air
from hw.virtual.board import Board
from hw.virtual.chips.a02yyuw import A02YYUW
from hw.virtual.chips.battery import Battery
from hw.virtual.chips.lamp_0_10v import Lamp010V
from hw.virtual.chips.pulse_meter import PulseMeter
from hw.virtual.chips.sx1262 import SX1262
from tests.host.virtual_bench import program

DRIVERS = "sx126x sx126x_setup radio_cad radio_sync a02yyuw pulse dimmer_pwm battery".split()
RADIO = {"spi": 1, "cs": 8, "busy": 13, "dio1": 14, "reset": 12}
OPEN = """
    from machine import Pin, SPI
    import time
    from firmware.drivers.radio_sync import SyncSX1262
    spi = SPI(1, 8000000, sck=Pin(9), mosi=Pin(10), miso=Pin(11))
    radio = SyncSX1262(
        spi, Pin(8, Pin.OUT, value=1), Pin(13, Pin.IN), Pin(14, Pin.IN), Pin(12, Pin.OUT, value=1),
        dio3_tcxo_millivolts=1800, lora_cfg={"freq_khz": 868100, "sf": 7, "syncword": 0x34},
    )
"""


def board(world: World, name: str, text: str, chips: dict[str, Any], wiring: dict[str, Any]) -> Board:
    root = program(text, *DRIVERS, protocols=("airtime",))
    return world.add_board(
        name, mpy_dir=root, chips=chips, wiring=wiring, mcu="esp32s3", on_exit="end", heap="300k"
    )


def pair(sender: str, receiver: str, seconds: float = 10, seed: int = 1) -> tuple[Air, Board, Board]:
    """Two boards in radio contact; both programs get an opened `radio`."""
    air = Air(seed, links={("a", "b"): 100.0})
    chips = {n: SX1262(air, name=n) for n in "ab"}
    with World(seed, air=air) as world:
        boards = [
            board(world, n, OPEN + text, {"radio": chips[n]}, {"radio": RADIO})
            for n, text in (("a", sender), ("b", receiver))
        ]
        world.run(seconds)
    for b, chip in zip(boards, chips.values(), strict=True):
        assert b.failures == [], b.console
        assert chip.violations == chip.advisories == []
    return air, boards[0], boards[1]


def test_packets_cross() -> None:
    air, a, b = pair(
        """
    time.sleep_ms(500)
    for i in range(3):
        radio.send(bytes([i]) * (20 * i + 1))
        time.sleep_ms(200)
    print("sent", radio.is_idle())
    """,
        """
    radio.start_recv(continuous=True)
    while time.ticks_ms() < 5000:
        time.sleep_ms(20)
        packet = radio.poll_recv()
        if packet is not True:
            print(len(packet), packet[0], packet.rssi, packet.snr, packet.valid_crc)
    """,
    )
    assert a.console[-1] == "sent True"
    assert b.console == ["1 0 -82 52 True", "21 1 -82 52 True", "41 2 -82 52 True"]
    assert [len(t.payload) for t in air.transmissions] == [1, 21, 41]
    assert {t.power_dbm for t in air.transmissions} == {14}


def test_question_and_answer_in_a_timed_window() -> None:
    _, a, b = pair(
        """
    time.sleep_ms(300)
    radio.send(b"question")
    time.sleep_ms(900)
    print(radio.recv(timeout_ms=300))
    radio.sleep()
    time.sleep_ms(100)
    print(radio.recv(timeout_ms=50))
    """,
        """
    packet = radio.recv(timeout_ms=2000)
    at = time.ticks_add(packet.ticks_ms, 1000)
    radio.send(b"answer to " + packet, tx_at_ms=at)
    """,
    )
    assert a.console == ["bytearray(b'answer to question')", "None"]
    assert b.console == []


def test_interrupt_wakes_and_its_time_is_kept() -> None:
    air, _, b = pair(
        """
    time.sleep_ms(1000)
    radio.send(b"x" * 24)
    """,
        """
    fired = []
    radio.set_irq_callback(lambda: fired.append(time.ticks_ms()))
    radio.start_recv(timeout_ms=5000)
    while not radio.irq_triggered():
        time.sleep_ms(700)
    print(fired[0], radio.poll_recv().ticks_ms)
    """,
    )
    fired, kept = (int(x) for x in b.console[0].split())
    assert fired == kept
    end_ms = air.transmissions[0].end_us / 1000
    # The board counts from its own reset, some tens of milliseconds after power-on.
    assert -700 < kept - end_ms < 20


def test_channel_activity() -> None:
    _, _, b = pair(
        """
    time.sleep_ms(1000)
    radio.configure({"sf": 12})
    radio.send(b"x" * 50)
    """,
        """
    radio.configure({"sf": 12})
    found = []
    for i in range(8):
        found.append(radio.cad())
        time.sleep_ms(400)
    print(found)
    """,
        20,
    )
    # Looks 0.5 s apart at a packet of 2.3 s.
    assert re.fullmatch(r"\[(False, )+(True, ){4,5}(False, )*False\]", b.console[0])


def test_same_seed_same_record() -> None:
    text = "time.sleep_ms(200)\n    for i in range(5):\n        radio.send(bytes([i]) * 30)\n"
    listen = "print(radio.recv(timeout_ms=3000))"

    def run(seed: int) -> list[tuple[int, int, bytes]]:
        air, _, _ = pair("\n    " + text, "\n    " + listen + "\n", seed=seed)
        return [(t.start_us, t.end_us, t.payload) for t in air.transmissions]

    assert run(3) == run(3)


def test_furniture() -> None:
    """Range sensor, supply, lamp output and pulses on one board, as the site kind has them."""
    chips: dict[str, Any] = {
        "range": A02YYUW(1, 1.234, switched=True),
        "battery": Battery(3.7, switch_level=0),
        "lamp": Lamp010V(),
        "meter": PulseMeter([(0, 0.0), (60_000_000, 30.0)], bounces=3),
    }
    text = """
    from machine import ADC, PWM, UART, Pin
    import time
    from firmware.drivers.a02yyuw import A02YYUW
    from firmware.drivers.battery import Supply
    from firmware.drivers.dimmer_pwm import DimmerPWM
    from firmware.drivers.pulse import PulseCounter
    pulses = PulseCounter(Pin(7, Pin.IN, Pin.PULL_UP))
    lamp = DimmerPWM(PWM(Pin(4), freq=1000, duty_u16=0))
    time.sleep_ms(5000)
    lamp.set(400)
    sensor = A02YYUW(UART(1, baudrate=9600, tx=47, rx=48), Pin(16, Pin.OUT, value=0))
    time.sleep_ms(sensor.start())
    print(sensor.read_mm())
    sensor.stop()
    supply = Supply(ADC(Pin(1)), 49, 10, Pin(37, Pin.OUT), 0)
    print(abs(supply.read_mv() - 3700) < 10)
    while time.ticks_ms() < 65000:
        time.sleep_ms(1000)
    print(pulses.update())
    """
    with World(2) as world:
        b = board(
            world,
            "site",
            text,
            chips,
            {
                "range": {"uart": 1, "power": 16},
                "battery": {"sense": 1, "switch": 37},
                "lamp": {"dim": 4, "relay": 5},
                "meter": {"pulse": 7},
            },
        )
        world.run(3)
        assert chips["lamp"].level == 100
        world.run(30)
        assert chips["lamp"].level == pytest.approx(40, abs=0.05)
        world.run(75)
    assert b.failures == []
    assert b.console == ["1234", "True", "30"]
    assert all(c.violations == [] for c in chips.values())


@pytest.mark.parametrize("how", ["raise ValueError()", "machine.reset()", "machine.deepsleep(3000)"])
def test_lamp_is_on_while_the_board_is_not(how: str) -> None:
    """A crash loop, resets and deep sleep let go of the pins: full light each time."""
    lamp = Lamp010V()
    text = f"""
    import machine, time
    from firmware.drivers.dimmer_pwm import DimmerPWM
    lamp = DimmerPWM(machine.PWM(machine.Pin(4), freq=1000, duty_u16=0))
    lamp.set(100)
    time.sleep_ms(200)
    try:
        {how}
    finally:
        machine.reset()
    """
    with World(2) as world:
        b = board(world, "lamp", text, {"lamp": lamp}, {"lamp": {"dim": 4, "relay": 5}})
        levels = []
        for tenth in range(1, 60):
            world.run(tenth / 10)
            levels.append(lamp.level)
    assert b.boots >= 2
    assert 100 in levels and 10 in levels
    assert set(levels) == {10, 100}
