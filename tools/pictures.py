"""The pictures of the README: the demonstration's own terminal output as SVG.

usage: python -m tools.pictures [--check]

Runs the demonstration (seed 1, the water series that is shipped) and writes what it draws to docs/pictures:
`night.svg`, the live table at an instant of the night, and `result.svg`, what stands on the terminal at the
end. Nothing is retouched; the font is the viewer's, because a picture must fetch nothing. `--check` writes
nothing and fails when a picture is missing or fetches something.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from host_tools import demo, live

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
NAMES = ("night.svg", "result.svg")
COLUMNS = 112
#: Virtual seconds at which the live table is kept: half past one at night.
AT_S = 9.5 * 3600
TITLE = "make demo"

# rich's own frame without its fonts, which it would load from the network.
FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<!-- Made by tools/pictures.py from the output of `make demo`. -->
<style>
.{unique_id}-matrix {{
    font-family: "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace;
    font-size: {char_height}px;
    line-height: {line_height}px;
    font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Recorder(Console):
    """Keeps what it is given, with its styles, and shows nothing; breaks long lines as a terminal does."""

    def __init__(self) -> None:
        super().__init__(
            record=True, width=COLUMNS, file=io.StringIO(), force_terminal=False, color_system="truecolor"
        )

    def print(self, *objects: Any, **how: Any) -> None:
        super().print(*objects, **{**how, "soft_wrap": False})


class Kept(live.LiveTable):
    """The live table; what it shows at AT_S is kept."""

    picture = ""

    def progress(self, at_s: float, total_s: float) -> None:
        super().progress(at_s, total_s)
        if at_s >= AT_S and not Kept.picture:
            console = Recorder()
            console.print(self._draw())
            Kept.picture = svg(console, "night")


def svg(console: Console, name: str) -> str:
    text = console.export_svg(title=TITLE, code_format=FRAME, unique_id=f"lanterne-{name}")
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def draw() -> dict[str, str]:
    """Both pictures, by file name. RuntimeError when the demonstration fails."""
    console = Recorder()
    printed = io.StringIO()
    for name, new in (("LiveTable", Kept), ("Console", lambda: console)):
        setattr(demo, name, new)
    os.environ.pop("LANTERNE_DATA", None)
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
    ):
        if demo.main(["demo-out"]):
            raise RuntimeError("the demonstration failed")
    console.print(Text(printed.getvalue().rstrip()))
    if not Kept.picture:
        raise RuntimeError("the night was over before the picture")
    return {"night.svg": Kept.picture, "result.svg": svg(console, "result")}


def check() -> list[str]:
    """What is wrong with the pictures that are there."""
    wrong = []
    for name in NAMES:
        path = FOLDER / name
        if not path.is_file():
            wrong.append(f"docs/pictures/{name} is missing: python -m tools.pictures")
        elif "url(http" in path.read_text() or "href" in path.read_text():
            wrong.append(f"docs/pictures/{name} fetches something")
    return wrong


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        wrong = check()
        print("\n".join(wrong), file=sys.stderr)
        return 1 if wrong else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in draw().items():
        (FOLDER / name).write_text(text)
        print(f"{len(text) / 1024:6.1f} KB docs/pictures/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
