"""Run a MicroPython program on a virtual board: `python -m hw.virtual run SCRIPT [options]`.

With --chip and --wire the program meets the chip models, so that a driver from anywhere can be tried:

    python -m hw.virtual run try_radio.py --path DIR_WITH_THE_DRIVER --board heltec_wifi_lora_32_v3 --chip
    radio=sx1262
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import costs, hwboard
from .board import Board
from .chips.base import Chip, I2cChip, UartChip
from .chips.dali_gear import DaliGear
from .console import PtyConsole
from .lines import State
from .service import Violation
from .world import Entry, World

#: After a board that is stuck.
HINT = """\
A loop that only looks at a variable lets no virtual time pass, so that no interrupt can come in it; on the chip it
would burn power. Put `machine.idle()` or `time.sleep_ms(1)` into it."""


def make_chip(model: str, options: dict[str, Any]) -> Chip:
    """The model in `hw/virtual/chips/<model>.py`, made with `options`.

    dali_bus: `gears` is their number, with the short addresses from 0 on (1), or a list of short addresses (null:
    none yet).
    """
    if model == "dali_bus":
        gears = options.get("gears", 1)
        shorts = range(gears) if isinstance(gears, int) else gears
        options = options | {"gears": [DaliGear(short) for short in shorts]}
    module = importlib.import_module(f"hw.virtual.chips.{model}")
    classes = [
        c
        for _, c in inspect.getmembers(module, inspect.isclass)
        if c.__module__ == module.__name__ and issubclass(c, Chip)
    ]
    if len(classes) != 1:
        raise ValueError(f"chips/{model}.py defines {len(classes)} models, not one")
    chip: Chip = classes[0](**options)
    return chip


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _pairs(items: list[str], what: str) -> list[tuple[str, str]]:
    out = []
    for item in items:
        key, mark, value = item.partition("=")
        if not mark:
            raise SystemExit(f"--{what} {item}: NAME=VALUE is wanted")
        out.append((key, value))
    return out


def _root(script: Path, paths: list[str], folder: str) -> Path:
    """A root folder for the board: the script as main.py, and what the other folders hold."""
    root = Path(folder)
    for path in paths:
        for entry in Path(path).resolve().iterdir():
            (root / entry.name).symlink_to(entry)
    main = root / "main.py"
    main.unlink(missing_ok=True)
    shutil.copyfile(script, main)
    return root


def _add(world: World, args: argparse.Namespace, root: Path) -> Board:
    hw = hwboard.load(args.board) if args.board else None
    options: dict[str, dict[str, Any]] = {}
    for key, value in _pairs(args.set, "set"):
        part, _, name = key.partition(".")
        options.setdefault(part, {})[name] = _value(value)
    chips: dict[str, Chip] = {}
    wiring: dict[str, dict[str, int]] = {}
    for part, model in _pairs(args.chip, "chip"):
        chip = chips[part] = make_chip(model, options.get(part, {}))
        wiring[part] = {}
        if hw:
            bus = (
                {"i2c": 0} if isinstance(chip, I2cChip) else {"uart": 1} if isinstance(chip, UartChip) else {}
            )
            wiring[part] |= hw.wiring.get(part) or hw.wiring.get(model) or bus
    for key, value in _pairs(args.wire, "wire"):
        part, _, leg = key.partition(".")
        wiring.setdefault(part, {})[leg] = int(value)
    board = world.add_board(
        "board",
        mpy_dir=root,
        heap=args.heap,
        interpreter=args.interpreter,
        chips=chips,
        wiring=wiring,
        mcu=hw.mcu if hw else args.mcu,
        sockets=args.sockets,
        network=args.sockets,
        on_exit="end",
    )
    if hw:
        # The pins count, whatever number the program gives its bus.
        for number, pins in hw.i2c_pins.items():
            board.i2c_pins.setdefault(number, pins)
        for number, pins in hw.uart_pins.items():
            board.uart_pins.setdefault(number, pins)
    return board


def run(args: argparse.Namespace) -> int:
    """The command `run`: 0 when the program ended or ran to the end without a failure, else 1."""
    with tempfile.TemporaryDirectory() as folder, World(args.seed, args.start) as world:
        board = _add(world, args, _root(Path(args.script), args.path, folder))

        def show(e: Entry) -> None:
            print(
                f"{e.t_us / 1e6:12.6f}  {e.kind if e.kind != 'console' else ''}  {e.what}".rstrip(),
                flush=True,
            )

        for kind in ("console", *args.show):
            world.observe(kind, show)
        try:
            if args.pty:
                console = PtyConsole(world, board)
                print(f"console: {console.path}", file=sys.stderr)
                console.run(args.until, args.pace)
                console.close()
            else:
                while board.state is not State.REPL and world.time_s < args.until:
                    world.run(min(args.until, world.time_s + 10))
        except Violation as e:
            print(f"violation: {e}", file=sys.stderr)
            return 1
        for text in world.failures:
            print(text, file=sys.stderr)
        if any(" stuck: " in text for text in world.failures):
            print(HINT, file=sys.stderr)
        peak = f"heap peak {board.heap_peak / 1024:.0f} KB, " if board.heap_peak else ""
        print(
            f"{board.state.value} at {world.time_s:g} s: {peak}{board.mah:.3f} mAh (model)", file=sys.stderr
        )
        return 1 if world.failures else 0


def table(args: argparse.Namespace) -> int:
    """The command `costs`: the cost table as text."""
    print(f"cost table {costs.VERSION}: microseconds, typical and worst (model, not measured on hardware)")
    for row in costs.TABLE:
        print(f"{row.what:22} {row.typical_us:9} {row.worst_us:9}  {row.per or '-':24} {row.source}")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hw.virtual", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("run", help="run a program on a virtual board")
    p.set_defaults(call=run)
    p.add_argument("script")
    p.add_argument("--path", action="append", default=[], metavar="DIR", help="modules the program imports")
    p.add_argument("--board", choices=hwboard.names(), help="pins of a known board")
    p.add_argument("--mcu", default="esp32", help="without --board: esp32 or esp32s3")
    p.add_argument("--chip", action="append", default=[], metavar="PART=MODEL")
    p.add_argument("--set", action="append", default=[], metavar="PART.OPTION=VALUE", help="of a model")
    p.add_argument("--wire", action="append", default=[], metavar="PART.LEG=PIN", help="also spi, i2c, uart")
    p.add_argument("--until", type=float, default=3600.0, metavar="S", help="virtual seconds (3600)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--start", default="2026-03-01T00:00:00Z", metavar="UTC")
    p.add_argument("--heap", default="150k")
    p.add_argument("--interpreter", help="another MicroPython")
    p.add_argument("--show", action="append", default=[], metavar="KIND", help="pin, pwm, transmit, ... or *")
    p.add_argument("--sockets", action="store_true", help="real sockets")
    p.add_argument("--pty", action="store_true", help="console on a pseudo terminal, in real time")
    p.add_argument("--pace", type=float, default=1.0, help="with --pty: virtual over real time")
    p = commands.add_parser("costs", help="what work costs on a virtual board")
    p.set_defaults(call=table)
    args = parser.parse_args(argv)
    code: int = args.call(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
