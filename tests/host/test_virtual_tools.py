"""Around the virtual board: command line, serial console, pty, flash images, pins of real boards."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hw.virtual import State, World, hwboard
from hw.virtual.chips.base import PinChip
from hw.virtual.console import PtyConsole, VirtualSerial
from hw.virtual.costs import TABLE, Costs
from hw.virtual.files import write_files
from hw.virtual.testing import add_script, run_script

ROOT = Path(__file__).resolve().parents[2]

ECHO = """
import sys, select, micropython
micropython.kbd_intr(-1)
p = select.poll()
p.register(sys.stdin, select.POLLIN)
while True:
    p.poll()
    c = sys.stdin.buffer.read(1)
    sys.stdout.buffer.write(bytes([c[0] ^ 0x20]))
"""


def command(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hw.virtual", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_run_a_script_from_the_command_line(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("import helper, time\ntime.sleep(2)\nprint('helper', helper.x)\nhelper.pin()\n")
    lib = tmp_path / "lib"
    lib.mkdir()
    (lib / "helper.py").write_text(
        "x = 5\ndef pin():\n    from machine import Pin\n    Pin(4, Pin.OUT, value=1)\n"
    )
    lamp = ["--chip", "lamp=lamp_0_10v", "--set", "lamp.rated_w=40", "--show", "pin"]
    done = command("run", str(script), "--path", str(lib), "--board", "heltec_wifi_lora_32_v3", *lamp)
    assert done.returncode == 0, done.stderr
    assert "helper 5" in done.stdout and "pin  (4, 1)" in done.stdout
    assert "mAh (model)" in done.stderr


def test_a_failing_script_and_a_wrong_option_exit_with_1(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("1 / 0\n")
    done = command("run", str(script))
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert command("run", str(script), "--chip", "radio").returncode == 1
    assert "ed25519.sign" in command("costs").stdout


DALI = """
import time
from machine import Pin, disable_irq, enable_irq
tx, rx = Pin(2, Pin.OUT, value=0), Pin(6, Pin.IN)

def ask(frame):
    levels = [1]
    for i in range(16, -1, -1):
        bit = 1 if i == 16 else frame >> i & 1
        levels += [1 - bit, bit]
    t = time.ticks_us()
    for i, level in enumerate(levels + [1]):
        while time.ticks_diff(time.ticks_us(), t) < 416 * i:
            pass
        tx(1 - level)
    end = time.ticks_add(time.ticks_us(), 20000)
    while time.ticks_diff(end, time.ticks_us()) > 0:
        if not rx():
            return True
    return False

time.sleep_ms(500)
for short in (0, 1, 2, 5):
    print(short, ask((short << 1 | 1) << 8 | 0x91))
    time.sleep_ms(50)
"""


@pytest.mark.parametrize(("gears", "there"), [(None, [0]), ("2", [0, 1]), ("0", []), ("[5, null]", [5])])
def test_gear_on_a_dali_line_from_the_command_line(
    tmp_path: Path, gears: str | None, there: list[int]
) -> None:
    """QUERY CONTROL GEAR PRESENT by a program that sends and listens by hand."""
    script = tmp_path / "s.py"
    script.write_text(DALI)
    option = [] if gears is None else ["--set", f"dali.gears={gears}"]
    done = command(
        "run", str(script), "--board", "heltec_wifi_lora_32_v3", "--chip", "dali=dali_bus", *option
    )
    assert done.returncode == 0, done.stderr
    said = [line.split()[1:] for line in done.stdout.splitlines()]
    assert said == [[str(short), str(short in there)] for short in (0, 1, 2, 5)]


def test_parts_are_found_by_the_boards_pins(tmp_path: Path) -> None:
    """Whatever the program calls its buses, and whatever the part is called."""
    script = tmp_path / "s.py"
    script.write_text(
        "import time\nfrom machine import I2C, SoftI2C, UART\n"
        "u = UART(2, 9600, tx=47, rx=48)\n"
        "print(I2C(1, scl=42, sda=41).scan(), SoftI2C(scl=42, sda=41).scan(), I2C(0, scl=9, sda=8).scan())\n"
        "time.sleep(1)\nprint(u.any() > 3)\n"
    )
    chips = ["--chip", "mine=ina219", "--chip", "far=a02yyuw", "--set", "far.uart=2"]
    done = command("run", str(script), "--board", "heltec_wifi_lora_32_v3", *chips)
    assert done.returncode == 0, done.stderr
    assert [line.split(maxsplit=1)[1] for line in done.stdout.splitlines()] == ["[64] [64] []", "True"]


def test_a_loop_that_waits_for_a_variable_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hw.virtual import __main__ as program

    monkeypatch.setattr(program, "World", lambda seed, start: World(seed, start, hang_s=0.5))
    script = tmp_path / "s.py"
    script.write_text("flag = 0\nwhile not flag:\n    pass\n")
    assert program.main(["run", str(script)]) == 1
    assert "stuck: " in (said := capsys.readouterr().err) and "machine.idle()" in said
    script.write_text(
        "import machine\nn = [0]\n"
        "machine.Timer(0, mode=machine.Timer.ONE_SHOT, period=9, callback=lambda t: n.append(1))\n"
        "while len(n) < 2:\n    machine.idle()\nprint('got it')\n"
    )
    assert program.main(["run", str(script)]) == 0
    assert "got it" in capsys.readouterr().out


def test_a_serial_port_in_virtual_time() -> None:
    with World() as world:
        board = add_script(world, "b", ECHO)
        world.run(1)
        port = VirtualSerial(world, board, timeout=0.5)
        port.write(b"hello\x03")
        assert port.read(6) == b"HELLO\x23"
        before = world.time_s
        assert port.read(1) == b""
        assert world.time_s == pytest.approx(before + 0.5)
        port.close()


def test_another_program_talks_over_a_pty() -> None:
    with World() as world:
        board = add_script(world, "b", ECHO)
        world.run(1)
        console = PtyConsole(world, board)
        got = bytearray()

        def peer() -> None:
            fd = os.open(console.path, os.O_RDWR | os.O_NOCTTY)
            os.write(fd, b"abc")
            while len(got) < 3:
                got.extend(os.read(fd, 10))
            os.close(fd)

        thread = threading.Thread(target=peer, daemon=True)
        thread.start()
        console.run(3, pace=4)
        thread.join(5)
        console.close()
    assert got == b"ABC"


def test_a_board_boots_from_its_flash() -> None:
    with World() as world:
        board = world.add_board("b", on_exit="end", power_at_s=None)
        write_files(
            board.flash,
            {
                "boot.py": b"print('boot')\n",
                "main.py": b"import lib1\nprint(lib1.x)\nopen('kept', 'w').write('1')\n",
                "lib/lib1.py": b"x = 7\n",
            },
        )
        world.power_on(board)
        world.run(5)
        assert board.failures == []
        assert board.console == ["boot", "7"]
        copy = board.flash.image()
    with World() as world:
        again = world.add_board("c", image=copy, on_exit="end")
        world.run(5)
        assert again.console == ["boot", "7"]


class Lamp(PinChip):
    """Full light while its leg floats or is low."""

    def __init__(self) -> None:
        super().__init__()
        self.on = False

    def reset(self) -> None:
        self.on = True

    def pin_changed(self, pin: str, level: int) -> None:
        self.on = not level


def test_a_lamp_is_on_in_reset_with_a_corrupt_file_system_and_without_program() -> None:
    lamps = {name: Lamp() for name in ("dead", "corrupt", "off", "asleep")}
    with World() as world:
        boards = {
            name: add_script(
                world,
                name,
                "from machine import Pin, deepsleep\nPin(4, Pin.OUT, value=1)\n"
                + {
                    "dead": "1 / 0\n",
                    "corrupt": "",
                    "off": "import time\ntime.sleep(1000)\n",
                    "asleep": "deepsleep()\n",
                }[name],
                chips={"lamp": lamp},
                wiring={"lamp": {"dim": 4}},
            )
            for name, lamp in lamps.items()
        }
        start = boards["corrupt"].flash.partition("vfs").offset
        boards["corrupt"].flash.load(bytes(8192), start)
        world.run(5)
        assert not lamps["off"].on
        assert lamps["corrupt"].on and lamps["asleep"].on
        assert "corrupted" in boards["corrupt"].console[-1]
        assert boards["asleep"].state is State.SLEEPING
        world.power_cut("off")
        world.run(6)
        assert lamps["off"].on
        # At the prompt of stock MicroPython the pins stay as the program left them.
        assert not lamps["dead"].on
        world.power_cut("dead", back_s=1)
        world.run(7)
        assert lamps["dead"].on


def test_hold_keeps_a_pin_through_deep_sleep() -> None:
    board = run_script(
        """
        import machine
        from machine import Pin
        Pin(4, Pin.OUT, value=1, hold=True)
        Pin(5, Pin.OUT, value=1)
        machine.deepsleep(1000000)
        """
    )
    assert board.state is State.SLEEPING
    assert board.level(4) == 1 and board.level(5) == 0


def test_pins_of_real_boards() -> None:
    for name in hwboard.names():
        hw = hwboard.load(name)
        assert {"radio", "lamp", "meter"} <= set(hw.wiring)
        legs = {"busy", "dio1"} if hw.about["radio"]["chip"] == "sx1262" else {"dio0"}
        assert {"spi", "cs", "reset"} | legs == set(hw.wiring["radio"])
        assert {"nvs", "vfs", "store"} <= {p.label for p in hw.table}
    with pytest.raises(ValueError, match="no board"):
        hwboard.load("none")


def test_the_cost_table_is_whole() -> None:
    assert all(0 <= row.typical_us <= row.worst_us and row.source for row in TABLE)
    costs = Costs({"gc": (1, 2)})
    assert costs.draw("gc", 0.0) == 1 and costs.typical("ed25519.sign") == 150_000
    assert [f[0] for f in costs.functions("firmware.protocols.ed25519")] == ["sign", "verify", "public_key"]
    with pytest.raises(KeyError, match="no row"):
        Costs({"typo": (1, 2)})
