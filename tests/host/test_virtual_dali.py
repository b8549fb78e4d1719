"""The DALI driver under the real interpreter on a virtual board: `esp32.RMT` out, `machine.time_pulse_us` in, with
the time that calls take there."""

from typing import Any

import pytest

from hw.virtual import World
from hw.virtual.board import Board
from hw.virtual.chips.dali_bus import DaliBus
from hw.virtual.chips.dali_gear import DaliGear
from hw.virtual.testing import run_script
from tests.host.virtual_bench import program

DRIVERS = [f"dali{n}" for n in ("", "_gear", "_setup", "_memory", "_commission")]
OPEN = """
    import time
    from esp32 import RMT
    from machine import Pin, time_pulse_us
    from firmware.drivers.dali import Bus, NoReply
    from firmware.drivers.dali_gear import Gear
    from firmware.drivers.errors import BusError
    bus = Bus(RMT(0, pin=Pin(25), clock_div=80, idle_level={idle}), Pin(34, Pin.IN), time_pulse_us, {tx}, {rx})
    gear = Gear(bus, 5)
    time.sleep_ms(800)
"""


def board(world: World, bus: DaliBus, text: str, **options: Any) -> Board:
    main = OPEN.format(idle=1 - bus.tx_low, tx=bus.tx_low, rx=bus.rx_low) + text
    return world.add_board(
        "lamp",
        mpy_dir=program(main, *DRIVERS, protocols=("dali", "dali_banks")),
        chips={"dali": bus},
        wiring={"dali": {"tx": 25, "rx": 34}},
        on_exit="end",
        heap="300k",
        **options,
    )


def run(bus: DaliBus, text: str, seconds: float = 30, seed: int = 1, **options: Any) -> list[str]:
    with World(seed) as world:
        b = board(world, bus, text, **options)
        world.run(seconds)
    assert b.failures == [], b.failures
    assert bus.violations == []
    return b.console


@pytest.mark.parametrize(("tx_low", "rx_low"), [(1, 0), (0, 1)])
@pytest.mark.parametrize("half_us", [370.0, 1e6 / 2400, 463.0])
def test_queries(tx_low: int, rx_low: int, half_us: float) -> None:
    gear = DaliGear(5, half_us=half_us)
    out = run(
        DaliBus([gear], tx_low=tx_low, rx_low=rx_low),
        """
    from firmware.protocols.dali import command, special
    bad = 0
    for value in range(0, 256, 5):
        bus.send(special(0xA3, value), 1)
        try:
            assert bus.query(command(5, 0x98), 1) == value
        except BusError:
            bad += 1
    print("garbled", bad)
    gear.set(500)
    t = time.ticks_us()
    print(gear.light(), gear.status())
    """,
    )
    # Calls of 20 to 80 us and 200 us once a frame are no reason to lose one.
    assert out == ["garbled 0", "505 36"]
    assert gear.level == 229


def test_nobody_and_a_dead_bus_are_told_apart() -> None:
    bus = DaliBus([DaliGear(5)])
    with World(2) as world:
        b = board(
            world,
            bus,
            """
    for g in (gear, Gear(bus, 6)):
        try:
            print(g.light())
        except NoReply as e:
            print(e)
    time.sleep_ms(4000)
    t = time.ticks_ms()
    try:
        gear.light()
    except BusError as e:
        print(e, time.ticks_diff(time.ticks_ms(), t) < 120)
    gear.set(100)
    time.sleep_ms(5000)
    print(gear.light())
    """,
        )
        world.at(4.0, lambda: bus.supply(False))
        world.at(9.0, lambda: bus.supply(True))
        world.run(15)
    assert b.failures == [] and bus.violations == []
    assert b.console == ["1000", "('dali', 'no reply')", "('dali', 'low') True", "1000"]


def test_commissioning_settings_and_banks() -> None:
    gears = [DaliGear() for _ in range(2)]
    out = run(
        DaliBus(gears),
        """
    from firmware.drivers.dali_commission import address_all
    print(address_all(bus, (5, 6)))
    from firmware.drivers import dali_setup
    print(dali_setup.store(gear, dali_setup.FAILURE, 254), dali_setup.store(gear, dali_setup.POWER_ON, 254))
    from firmware.drivers.dali_memory import values
    print(values(gear, 202)[11], values(gear, 205)[8])
    """,
        60,
    )
    assert out == ["[5, 6]", "True True", "60000 1"]
    assert sorted(g.short or 0 for g in gears) == [5, 6]


def test_same_seed_same_bytes() -> None:
    def once() -> list[tuple[int, int]]:
        bus = DaliBus([DaliGear(5)])
        run(bus, "\n    for i in range(5):\n        gear.light()\n", seed=4)
        return bus.frames

    assert once() == once()


@pytest.mark.parametrize("how", ["machine.reset()", "machine.deepsleep(60000)"])
def test_a_board_that_goes_lets_go_of_the_bus(how: str) -> None:
    """In the middle of a frame: no bus failure, the gear ignores the rest, the lamp stays as it was."""
    bus = DaliBus([DaliGear(5)])
    with World(3) as world:
        b = board(
            world,
            bus,
            f"""
    import machine
    if machine.reset_cause() == 1:
        gear.set(500)
        time.sleep_ms(100)
        RMT(1, pin=Pin(25), clock_div=80).write_pulses([417, 417, 833, 417, 30000, 417], 1)
        time.sleep_ms(5)
        {how}
    """,
        )
        world.run(4)
        assert bus.level == 1 and bus.gears[0].level == 229
    assert bus.violations == [] and b.boots == (2 if "reset" in how else 1)


def test_rmt_as_stock_1_25_has_it() -> None:
    bus = DaliBus([])
    b = run_script(
        """
        import time
        from esp32 import RMT
        from machine import Pin
        for args in ("0", "0, pin=Pin(25), clock_div=0", "9, pin=Pin(25)", "pin=Pin(25), resolution_hz=1000000"):
            try:
                eval("RMT(" + args + ")")
            except (TypeError, ValueError) as e:
                print(type(e).__name__)
        r = RMT(0, pin=Pin(25), clock_div=160, idle_level=False)
        print(RMT.source_freq(), r.clock_div(), RMT.PULSE_MAX)
        for pulses in ((), (0,), (40000,)):
            try:
                r.write_pulses(pulses, 0)
            except ValueError as e:
                print("refused")
        t = time.ticks_us()
        r.write_pulses((1000, 2000, 1500), 1)
        print(r.wait_done(), time.ticks_diff(time.ticks_us(), t) < 500)
        print(r.wait_done(timeout=5), time.ticks_diff(time.ticks_us(), t) // 1000)
        print(r.wait_done(timeout=50), time.ticks_diff(time.ticks_us(), t) // 1000)
        r.write_pulses([1000, 2000], 1)
        r.write_pulses([1000], 1)
        print(time.ticks_diff(time.ticks_us(), t) // 1000)
        """,
        chips={"probe": bus},
        wiring={"probe": {"rx": 34}},
    )
    assert b.failures == []
    assert b.console == [
        *("TypeError", "ValueError", "ValueError", "TypeError"),
        "80000000 160 32767",
        *("refused",) * 3,
        "False True",
        "False 5",
        "True 9",
        "15",
    ]
