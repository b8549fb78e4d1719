"""Pins of a virtual board as a program for stock MicroPython finds them: levels, interrupts, pulses."""

from hw.virtual import World
from hw.virtual.chips.base import PinChip
from hw.virtual.testing import add_script
from tests.host.test_virtual_stock import tried
from tests.host.virtual_bench import lines


class Leg(PinChip):
    """Keeps what happens on the leg `a`, and may hold it at a level."""

    def __init__(self, holds: int | None = None) -> None:
        super().__init__()
        self.holds = holds
        self.seen: list[int | None] = []

    def reset(self) -> None:
        if self.holds is not None:
            self.port.set_pin("a", self.holds)

    def pin_changed(self, pin: str, level: int) -> None:
        self.seen.append(level)

    def floating(self, pin: str) -> None:
        self.seen.append(None)


class Sensor(PinChip):
    """Of the kind of a DHT: when the line was low for 1 ms, it gives `bits` after 80 us low and 80 us high, each
    50 us low and 26 or 70 us high."""

    def __init__(self, bits: str) -> None:
        super().__init__()
        self.bits = bits
        self.low_us: int | None = None

    def pin_changed(self, pin: str, level: int) -> None:
        if level and self.low_us is not None and self.port.now_us - self.low_us >= 1000:
            t = self.port.now_us + 30
            runs = [80, 80]
            for bit in self.bits:
                runs += [50, 70 if bit == "1" else 26]
            for i, us in enumerate([*runs, 50]):
                self.port.at(t, lambda i=i: self.port.set_pin("data", i & 1))  # type: ignore[misc]
                t += us
            self.port.at(t, lambda: self.port.set_pin("data", 1))
        self.low_us = None if level else self.port.now_us


class Edges(PinChip):
    """When the leg changed."""

    def __init__(self) -> None:
        super().__init__()
        self.edges: list[tuple[int, int]] = []

    def pin_changed(self, pin: str, level: int) -> None:
        self.edges.append((self.port.now_us, level))

    def runs(self) -> list[tuple[int, int]]:
        """Level and length of each, without the long ones between the trains."""
        pairs = zip(self.edges, self.edges[1:], strict=False)
        return [(level, b - a) for (a, level), (b, _) in pairs if b - a < 2000 and (level or b - a == 500)]


def test_an_input_keeps_what_is_written_to_it_for_later() -> None:
    leg = Leg()
    out = lines(
        """
        from machine import Pin
        p = Pin(4, Pin.IN)
        p(1)
        p.value(0)
        p.on()
        print(p())
        p.init(Pin.OUT)
        print(p())
        """,
        chips={"x": leg},
        wiring={"x": {"a": 4}},
    )
    assert out == ["0", "1"] and leg.seen == [None, 1]


def test_an_open_drain() -> None:
    """High lets go: what others do with the line is what is read."""
    text = """
        from machine import Pin
        p = Pin(4, Pin.OPEN_DRAIN, value=1)
        print(p())
        p(0)
        print(p())
        p(1)
        print(p())
        p.init(Pin.IN)
        """
    for holds, reads in ((None, "1"), (1, "1"), (0, "0")):
        leg = Leg(holds)
        out = lines(text, chips={"x": leg}, wiring={"x": {"a": 4}})
        assert out == [reads, "0", reads] and leg.seen == [None, 1, 0, 1, None], holds


def test_a_line_that_both_ends_pull_low() -> None:
    """By hand, as drivers do that measure times between edges themselves."""
    out = lines(
        """
        from machine import Pin
        import time
        p = Pin(4, Pin.OPEN_DRAIN, value=1)
        time.sleep_ms(10)
        p(0)
        time.sleep_ms(2)
        p(1)
        bits = ""
        def run(level):
            t = time.ticks_us()
            while p() == level:
                if time.ticks_diff(time.ticks_us(), t) > 200:
                    raise ValueError
            return time.ticks_diff(time.ticks_us(), t)
        run(1), run(0), run(1)
        for i in range(16):
            run(0)
            bits += "1" if run(1) > 48 else "0"
        print(bits)
        """,
        chips={"x": Sensor("1011000111110010")},
        wiring={"x": {"data": 4}},
    )
    assert out == ["1011000111110010"]


def test_interrupt_objects_and_wake_pins() -> None:
    text = """
        import machine, time
        from machine import Pin
        seen = []
        p = Pin(4, Pin.IN)
        irq = p.irq(lambda p: seen.append(p()), Pin.IRQ_RISING)
        print(irq.trigger(), p.irq().trigger())
        time.sleep(2)
        print(irq.trigger(Pin.IRQ_FALLING))
        time.sleep(2)
        print(seen)
        for k in ({"wake": 9}, {"wake": machine.SLEEP}):
            try:
                p.irq(trigger=Pin.WAKE_HIGH, **k)
            except ValueError as e:
                print(e)
        try:
            Pin(16, Pin.IN).irq(trigger=Pin.WAKE_LOW, wake=machine.SLEEP)
        except ValueError as e:
            print(e)
        t = time.ticks_ms()
        machine.lightsleep(20000)
        print((time.ticks_ms() - t + 500) // 1000, machine.wake_reason() == machine.PIN_WAKE)
        """
    with World(costs={"boot": (0, 0)}) as world:
        board = add_script(world, "b", text)
        for at_s, level in ((1, 1), (1.5, 0), (2.5, 1), (3, 0), (9, 1)):
            world.set_input(board, 4, level, at_s=at_s)
        world.run(30)
    assert board.failures == []
    assert board.console == ["1 1", "1", "[1, 0]", "bad wake value", "invalid pin for wake", "5 True"]


def test_signals_and_bits_of_lights() -> None:
    leg = Leg()
    out = tried(
        *("s.on()", "s.value()", "p()", "s(0)", "s()", "s.off()", "p.value()", "Signal(4)"),
        "(machine.bitstream(Pin(4), 0, (10000, 20000, 30000, 40000), b'\\x01'), time.sleep_ms(1))[0]",
        before="p = Pin(4, Pin.OUT)\ns = Signal(p, invert=True)",
        chips={"x": leg},
        wiring={"x": {"a": 4}},
    )
    assert out == ["None", "1", "0", "None", "0", "None", "1", "TypeError pin expected", "None"]
    assert [x for x in leg.seen if x is not None][-16:] == [1, 0] * 8


def test_pulses_with_a_level_for_each() -> None:

    out = tried(
        *("r.write_pulses(500, [1, 1, 0, 1])", "r.wait_done(timeout=10)"),
        *("r.write_pulses((300, 200, 100), (0, 1, 1))", "r.wait_done(timeout=10)"),
        *("r.write_pulses((1, 2), (1,))", "r.write_pulses(5, ())", "r.write_pulses([300, 200], 1)"),
        before="import esp32\nr = esp32.RMT(0, pin=Pin(18), clock_div=80)",
        chips={"x": (edges := Edges())},
        wiring={"x": {"a": 18}},
    )
    assert out[:4] == ["None", "True", "None", "True"]
    assert out[4:] == [
        "ValueError duration and data must have same length",
        *("ValueError No pulses", "None"),
    ]
    assert edges.runs()[:4] == [(1, 1000), (0, 500), (1, 500), (1, 300)]
