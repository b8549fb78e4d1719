"""Several virtual boards: who hears whom, in which order, and who goes on when one is cut, killed or wrong."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from hw.virtual import State, Violation, World
from hw.virtual.chips.base import SpiChip
from hw.virtual.testing import add_script


class Ether:
    """What the test radios share."""

    def __init__(self) -> None:
        self.members: list[Talker] = []
        self.log: list[tuple[int, str, bytes]] = []


class Talker(SpiChip):
    """A radio in four commands: S sends the rest (it lasts 2 ms), L listens, O stops, R reads what came."""

    shared = True

    def __init__(self, ether: Ether, latency_us: int = 0) -> None:
        super().__init__()
        self.ether = ether
        self.latency_us = latency_us
        self.listening = False
        self.inbox = b""
        ether.members.append(self)

    def reset(self) -> None:
        self.listening = False
        self.inbox = b""

    @property
    def receptive(self) -> bool:
        return self.listening

    def transfer(self, mosi: bytes) -> bytes:
        op, rest = mosi[:1], mosi[1:]
        if op == b"S":
            self.ether.log.append((self.port.now_us, self.name, rest))
            self.port.emit("transmit", payload=rest)
            self.port.at(self.port.now_us + 2000, lambda: self._deliver(rest))
        elif op == b"L":
            self.listening = True
        elif op == b"O":
            self.listening = False
        elif op == b"R":
            out, self.inbox = self.inbox, b""
            self.port.set_pin("irq", 0)
            return b"\0" + bytes([len(out)]) + out
        return bytes(len(mosi))

    def _deliver(self, data: bytes) -> None:
        for other in self.ether.members:
            if other is not self and other.listening:
                other.inbox = data
                other.port.set_pin("irq", 1)


RADIO = """
import time, asyncio
from machine import Pin, SPI
cs, irq, spi = Pin(5, Pin.OUT, value=1), Pin(4, Pin.IN), SPI(1, 8000000)
def tell(b):
    cs.off()
    spi.write(b)
    cs.on()
def fetch():
    cs.off()
    r = spi.write_readinto(b"R" + bytes(40), buf)
    cs.on()
    return bytes(buf[2:2 + buf[1]])
buf = bytearray(41)
flag = asyncio.ThreadSafeFlag()
irq.irq(lambda p: flag.set(), Pin.IRQ_RISING)
"""


WIRING = {"radio": {"spi": 1, "cs": 5, "irq": 4}}


PING = (
    RADIO
    + """
import os
async def main():
    for i in range(20):
        await asyncio.sleep_ms(1000 + os.urandom(1)[0])
        tell(b"S%d" % i)
        tell(b"L")
        try:
            await asyncio.wait_for_ms(flag.wait(), 300)
            print(i, fetch(), time.ticks_ms())
        except asyncio.TimeoutError:
            print(i, "lost")
        tell(b"O")
asyncio.run(main())
"""
)


PONG = (
    RADIO
    + """
async def main():
    tell(b"L")
    while True:
        await flag.wait()
        got = fetch()
        await asyncio.sleep_ms(30)
        tell(b"Sre:" + got)
        tell(b"L")
asyncio.run(main())
"""
)


def ping_pong(seed: int, pings: int = 2, latency_us: int = 0) -> tuple[str, list[str], Ether]:
    ether = Ether()
    with World(seed) as world:
        pong = add_script(
            world, "pong", PONG, chips={"radio": Talker(ether, latency_us)}, wiring=WIRING, on_exit="repl"
        )
        boards = [
            add_script(world, f"ping{i}", PING, chips={"radio": Talker(ether, latency_us)}, wiring=WIRING)
            for i in range(pings)
        ]
        world.run(40)
        assert world.failures == []
        assert pong.state is State.WAITING
        return world.digest(), [line for b in boards for line in b.console], ether


def test_boards_hear_each_other() -> None:
    _, console, ether = ping_pong(1)
    assert len(console) == 40
    answered = [line for line in console if "b're:" in line]
    assert len(answered) >= 30
    times = [t for t, _, _ in ether.log]
    assert times == sorted(times)


def test_same_seed_same_transcript_and_another_seed_another() -> None:
    first = ping_pong(1)
    assert [ping_pong(1)[0] for _ in range(3)] == [first[0]] * 3
    assert ping_pong(2)[0] != first[0]


def test_a_declared_latency_changes_nothing() -> None:
    assert ping_pong(5, latency_us=2000)[0] == ping_pong(5)[0]


def test_two_sleepers_wake_in_order() -> None:
    with World() as world:
        seen: list[tuple[int, str]] = []
        world.observe("console", lambda e: seen.append((e.t_us, e.board + e.what)))
        for name, first, period in (("a", 100, 700), ("b", 300, 400)):
            add_script(
                world,
                name,
                f"""
                import time
                time.sleep_ms({first})
                for i in range(30):
                    time.sleep_ms({period})
                    print(i)
                """,
            )
        world.run(60)
    assert len(seen) == 60
    assert [t for t, _ in seen] == sorted(t for t, _ in seen)
    assert seen[0][1] == "b0"


def test_a_run_stops_where_it_was_told_and_goes_on() -> None:
    text = """
        import time
        while True:
            print(time.ticks_ms() // 1000)
            time.sleep(1)
        """
    with World() as world:
        board = add_script(world, "a", text)
        world.run(10)
        assert 9 <= len(board.console) <= 10
        world.run_for(10)
        assert 19 <= len(board.console) <= 20
    with World() as world:
        once = add_script(world, "a", text)
        world.run(20)
    assert once.console == board.console


def test_power_cut_and_back() -> None:
    with World() as world:
        board = add_script(
            world,
            "a",
            """
            import time, machine
            r = machine.RTC()
            print(machine.reset_cause(), r.memory(), time.time())
            r.memory(b"kept?")
            machine.Pin(2, machine.Pin.OUT, value=1)
            time.sleep(1000)
            """,
            on_exit="repl",
        )
        world.power_cut(board, at_s=5, back_s=3)
        world.run(6)
        assert board.state is State.OFF and board.level(2) == 0
        world.run(30)
        assert board.level(2) == 1
    assert board.console == ["1 b'' 0", "1 b'' 0"]
    assert [(e.t_us, e.what) for e in world.transcript if e.kind == "power"] == [
        (0, "on"),
        (5_000_000, "off"),
        (8_000_000, "on"),
    ]


def test_the_power_goes_at_the_third_transmission() -> None:
    ether = Ether()
    with World(1) as world:
        board = add_script(
            world, "a", PING, chips={"radio": Talker(ether)}, wiring=WIRING, on_exit="repl", restart_s=100
        )
        board.cut_on("transmit", 2)
        world.run(50)
        assert board.state is State.OFF
    assert len(ether.log) == 3


@pytest.mark.parametrize("policy", ["stop", "restart"])
def test_a_killed_board_is_noticed_and_the_others_go_on(policy: str) -> None:
    text = """
        import time
        while True:
            time.sleep(1)
            print("x")
        """
    with World() as world:
        victim = add_script(world, "victim", text, on_kill=policy)
        other = add_script(world, "other", text)
        world.run(5)
        assert victim.process is not None
        os.kill(victim.process.pid, signal.SIGKILL)
        world.run(20)
        assert "killed" in victim.failures[0]
        assert len(other.console) >= 18
        assert (len(victim.console) > 12) == (policy == "restart")


def test_an_unknown_leg_of_the_wiring_is_refused() -> None:
    with World() as world:
        with pytest.raises(ValueError, match="no such pin"):
            add_script(world, "a", "", chips={"r": Talker(Ether())}, wiring={"r": {"cs": 24}})
        with pytest.raises(ValueError, match="no cs"):
            add_script(world, "b", "", chips={"r": Talker(Ether())}, wiring={"r": {"irq": 4}})
        with pytest.raises(ValueError, match="no chip"):
            add_script(world, "c", "", wiring={"r": {"irq": 4}})


def test_a_violation_names_chip_time_and_rule() -> None:
    class Picky(Talker):
        def transfer(self, mosi: bytes) -> bytes:
            self.violate("DS 8.3.1: command while BUSY")
            return bytes(len(mosi))

    with World() as world:
        add_script(
            world, "a", RADIO + "time.sleep(3)\ntell(b'x')\n", chips={"radio": Picky(Ether())}, wiring=WIRING
        )
        with pytest.raises(Violation, match=r"board a, 3\.\d+ s .*radio at 3\d+ us: DS 8.3.1"):
            world.run(10)


def test_drift_of_the_crystal_and_of_the_sleep_clock() -> None:
    text = """
        import time, machine
        if machine.reset_cause() == 1:
            time.sleep(100)
            print("awake")
            machine.deepsleep(100000)
        print("again")
        """
    same = {"boot": (0, 0), "flash_erase": (45_000, 45_000), "flash_program": (400, 400)}
    with World(costs=same) as world:
        seen: dict[str, list[int]] = {"exact": [], "slow": []}
        world.observe("console", lambda e: seen[e.board].append(e.t_us))
        add_script(world, "exact", text)
        add_script(world, "slow", text, drift_ppb=20_000, sleep_drift_ppm=30_000)
        world.run(400)
    assert seen["slow"][0] - seen["exact"][0] == pytest.approx(2_000, abs=20)
    assert seen["slow"][1] - seen["exact"][1] == pytest.approx(3_000_000, abs=5_000)


def test_observers_get_everything_in_order() -> None:
    ether = Ether()
    seen: list[Any] = []
    with World(3) as world:
        world.observe("*", seen.append)
        for i in range(2):
            add_script(world, f"p{i}", PING, chips={"radio": Talker(ether)}, wiring=WIRING)
        world.run(30)
        assert [e.t_us for e in seen] == sorted(e.t_us for e in seen)
        sent = [e for e in seen if e.kind == "transmit"]
    assert [(e.t_us, e.what["payload"]) for e in sent] == [(t, p) for t, _, p in ether.log]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
def test_no_board_outlives_its_host(tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        textwrap.dedent(
            """
            import os
            from hw.virtual import World
            from hw.virtual.testing import add_script
            world = World()
            add_script(world, "sleeper", "import time\\nwhile True: time.sleep(1)\\n")
            # One that catches everything and asks for the time without end.
            add_script(world, "stubborn", '''
            import time
            while True:
                try:
                    time.ticks_ms()
                except BaseException:
                    pass
            ''')
            def end():
                print(*[b.process.pid for b in world.boards.values()], flush=True)
                os._exit(1)
            world.at(1, end)
            world.run(2)
            """
        )
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=env, timeout=30, check=False
    )
    pids = [int(p) for p in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    end = time.monotonic() + 20
    while alive := [p for p in pids if lives(p)]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)
