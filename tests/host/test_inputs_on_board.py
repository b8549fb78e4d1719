"""The drivers of inputs, outputs and I2C parts under the real interpreter, on a virtual board with the models:
the MCU's own bus calls and errors, soft interrupts, a reset."""

from typing import Any

from hw.virtual import World
from hw.virtual.board import Board
from hw.virtual.chips.actuator import Actuator
from hw.virtual.chips.ads1115 import ADS1115
from hw.virtual.chips.atecc608 import ATECC608
from hw.virtual.chips.base import Chip
from hw.virtual.chips.contact import Contact
from hw.virtual.chips.leak_rope import LeakRope, Puddle
from hw.virtual.chips.lis3dh import LIS3DH
from hw.virtual.chips.photocell import Photocell
from hw.virtual.chips.relay_lamp import RelayLamp
from tests.host.virtual_bench import program

DRIVERS = "lis3dh ads1115 pressure rope contact relay output photocell atecc608".split()


def run(
    text: str, chips: dict[str, Chip], wiring: dict[str, Any], seconds: float, world_does: Any = None
) -> Board:
    with World(5) as world:
        board = world.add_board(
            "b",
            mpy_dir=program(text, *DRIVERS),
            chips=chips,
            wiring=wiring,
            mcu="esp32s3",
            on_exit="end",
            heap="300k",
        )
        if world_does:
            world_does(world, board)
        world.run(seconds)
    assert board.failures == [], board.console
    for chip in chips.values():
        assert chip.violations == []
    return board


def test_i2c_parts() -> None:
    chips = {
        "tilt": LIS3DH(acceleration=(0.0, 4.903, 8.493)),
        "adc": ADS1115(volts=(1.2, 0.0, 0.0, 0.0)),
        "element": ATECC608(),
    }
    board = run(
        """
        import time
        from machine import I2C, Pin
        from firmware.drivers.ads1115 import ADS1115, Channel
        from firmware.drivers.atecc608 import ATECC608
        from firmware.drivers.errors import DriverError
        from firmware.drivers.lis3dh import LIS3DH
        from firmware.drivers.pressure import Pressure
        i2c = I2C(0, scl=Pin(42), sda=Pin(41), freq=400000)
        time.sleep_ms(10)
        tilt = LIS3DH(i2c)
        time.sleep_ms(tilt.start())
        print("tilt", tilt.tilt((0, 0, 1000)), tilt.mg)
        print("pressure", Pressure(Channel(ADS1115(i2c), 0), 400000, 2000000, 1000000).read_pa())
        sda = Pin(41, Pin.OPEN_DRAIN, value=1)
        def wake():
            sda(0)
            time.sleep_us(80)
            sda(1)
        element = ATECC608(i2c, wake=wake)
        print("element", element.serial() == bytes.fromhex("0123a1b2c3d4e5f6ee"), element.locked())
        start = time.ticks_ms()
        print("signature", len(element.sign(bytes(32))), time.ticks_ms() - start < 200)
        for part in (LIS3DH(i2c, 0x19).start, lambda: ADS1115(i2c, 0x49).read_uv(0)):
            try:
                part()
            except DriverError as e:
                print(type(e).__name__, e.args)
        """,
        dict(chips),
        {
            "tilt": {"i2c": 0},
            "adc": {"i2c": 0},
            "element": {"i2c": 0, "sda": 41},
        },
        10,
    )
    assert board.console == [
        "tilt 30 [0, 500, 866]",
        "pressure 500000",
        "element True (True, True)",
        "signature 64 True",
        "BusError ('lis3dh', 19)",
        "BusError ('ads1115', 19)",
    ]


def test_inputs_and_outputs() -> None:
    door = Contact(closed=True)
    rope = LeakRope()
    lock = Actuator(limit_s=1.0)
    lamp = RelayLamp(warm_s=10, cool_s=5)
    cell = Photocell(40.0)
    rope.puddles = [Puddle(1.0, 3.0)]

    def world_does(world: World, board: Board) -> None:
        world.at(2.0, door.open)
        world.at(2.5, door.close)
        world.at(4.5, lambda: lock.interlock(False))

    board = run(
        """
        import time
        from machine import ADC, Pin
        from firmware.drivers.contact import Contact
        from firmware.drivers.errors import DriverError
        from firmware.drivers.output import Output
        from firmware.drivers.photocell import Photocell
        from firmware.drivers.relay import Relay
        from firmware.drivers.rope import Rope
        relay = Relay(Pin(5, Pin.OUT, value=0), cool_ms=5000, warm_ms=10000)
        told = []
        door = Contact(Pin(7, Pin.IN, Pin.PULL_UP), irq=lambda: told.append(1))
        rope = Rope(ADC(Pin(2), atten=ADC.ATTN_11DB), Pin(3, Pin.OUT), Pin(4, Pin.OUT), 220000, 220000, 100000)
        print("rope", rope.read())
        table = (69000, 0, 1300000, 10, 2000000, 30, 2200000, 50, 3050000, 900)
        print("light", Photocell(ADC(Pin(1), atten=ADC.ATTN_11DB), table, 30000, 3080000).read_lux() > 20)
        time.sleep_ms(3000 - time.ticks_ms())
        door.update()
        print("door", door.state, door.changes, len(told) >= 2)
        lock = Output(Pin(15, Pin.OUT), Pin(16, Pin.IN), limit_ms=1000)
        time.sleep_ms(4000 - time.ticks_ms())
        lock.hold(time.ticks_ms())
        time.sleep_ms(700)  # the interlock opens, nobody polls
        print("lock", lock.active, lock.why)
        relay.set(False)
        time.sleep_ms(1000)
        try:
            relay.set(True)
        except DriverError as e:
            print(e.args[0], 3900 < e.args[1] <= 4000)
        time.sleep_ms(4100)
        relay.set(True)
        time.sleep_ms(1000)
        print("lamp", relay.on, relay.switched)
        """,
        {"door": door, "rope": rope, "lock": lock, "lamp": lamp, "cell": cell},
        {
            "door": {"contact": 7},
            "rope": {"a": 3, "b": 4, "sense": 2},
            "lock": {"drive": 15, "interlock": 16},
            "lamp": {"relay": 5},
            "cell": {"sense": 1},
        },
        20,
        world_does,
    )
    assert board.console == [
        "rope 1",
        "light True",
        "door True 2 True",
        "lock False 3",
        "relay True",
        "lamp True 2",
    ]
    assert lamp.strikes == 2 and lamp.closed
    assert not lock.driven
