"""Small MicroPython programs as boards, for tests and for trying a part by hand."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path
from typing import Any

from . import build
from .board import Board
from .world import World


def folder(files: dict[str, str]) -> Path:
    """A root folder for `World.add_board(mpy_dir=...)` with these files (name -> text, dedented)."""
    texts = {name: textwrap.dedent(text).lstrip("\n") for name, text in files.items()}
    digest = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:24]
    root = build.cache_dir() / "script" / digest
    for name, text in texts.items():
        path = root / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return root


def add_script(world: World, name: str, text: str, **options: Any) -> Board:
    """A board whose main.py is `text`; it may return (`on_exit="end"`). Other options as `add_board`."""
    options.setdefault("on_exit", "end")
    return world.add_board(name, mpy_dir=folder({"main.py": text}), **options)


def run_script(text: str, until_s: float = 60.0, *, seed: int = 0, **options: Any) -> Board:
    """Run one program on one board to its end or to `until_s`; the board with its console and failures."""
    with World(seed) as world:
        board = add_script(world, "board", text, **options)
        world.run(until_s)
    return board
