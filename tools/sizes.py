"""What each firmware module costs: bytes of its .mpy, bytes of heap it keeps once imported.

usage: python -m tools.sizes [--check | --renew]

`--renew` writes docs/sizes.csv, `--check` fails when a module is missing from it, when a row has no module
any more, or when one of the two figures has grown by 10 % or more. Without either the table is printed.

The heap is that of the 64-bit interpreter (a chip needs about 0.74 of it), measured by importing every module
in the order of its imports. The string pool and the table of modules are grown beforehand, so that their
doubling is charged to nobody; modules of the hardware are empty shells.
"""

from __future__ import annotations

import ast
import csv
import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from host_tools.bundle import (
    HOST_ONLY,
    BundleError,
    board_path,
    content,
    imports_of,
    kinds,
    module_file,
    sources,
    transformed,
)

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "sizes.csv"
GROWTH_PERCENT = 10
# The store of strings grows by 128 bytes at a time and a block has 32: less than this says nothing.
HEAP_NOISE = 256
HEAP = "16m"

_SHELLS = ("machine", "esp32", "network", "onewire", "ds18x20")
_MEASURE = """
import gc, sys
sys.path[:] = ['.', '.frozen']
for n in range(2600):
    hasattr(gc, 'pool%d' % n)
for n in range(200):
    sys.modules['m%d' % n] = None
for n in range(200):
    del sys.modules['m%d' % n]
import asyncio, machine, esp32, network
for name in NAMES:
    gc.collect()
    gc.collect()
    before = gc.mem_alloc()
    __import__(name)
    gc.collect()
    gc.collect()
    print('@', name, gc.mem_alloc() - before)
"""


class Size(NamedTuple):
    mpy_bytes: int
    heap_bytes: int


class _Outside(ast.NodeTransformer):
    """Leaves out the bodies of functions: what they import is loaded when they are called."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        return None

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        return None


def every_module() -> list[str]:
    """Dotted names of all modules a board may load, each behind what importing it imports."""
    names = []
    for path in (ROOT / "firmware").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in ("firmware.boot", "firmware.main", *HOST_ONLY):
            names.append(name)
    order: list[str] = []
    for name in sorted(names):
        _place(name, set(names), order, ())
    return order


def _place(name: str, known: set[str], order: list[str], above: tuple[str, ...]) -> None:
    if name in order or name in above or name not in known:
        return
    path = module_file(name)
    assert path is not None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    wanted = imports_of(_Outside().visit(ast.parse(path.read_text())), package)
    for parent in (name.rpartition(".")[0], *sorted(wanted)):
        _place(parent, known, order, (*above, name))
    order.append(name)


def heap_of(names: list[str], tree: Path) -> dict[str, int]:
    """Heap bytes that each module keeps, imported in this order from a folder of .mpy files."""
    for shell in _SHELLS:
        (tree / (shell + ".py")).write_text("def __getattr__(name):\n    return object\n")
    script = tree / "measure.py"
    script.write_text(_MEASURE.replace("NAMES", repr(tuple(names))))
    micropython = Path(sys.executable).with_name("micropython")
    done = subprocess.run(
        [str(micropython), "-X", "heapsize=" + HEAP, "measure.py"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith("@ "):
            _, name, size = line.split()
            found[name] = int(size)
    missing = [n for n in names if n not in found]
    if missing:
        raise BundleError(f"{missing[0]} does not import: {(done.stderr or done.stdout).strip()[-400:]}")
    return found


def sized(texts: dict[str, str]) -> dict[str, Size]:
    """Sizes of modules, in the order in which they are imported."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        files = {}
        for name, text in texts.items():
            path = module_file(name)
            assert path is not None
            data = content(name, text, "x64", mpy=True)
            files[name] = len(data)
            target = tree / board_path(name, path, ".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        heap = heap_of(list(texts), tree)
    return {name: Size(files[name], heap[name]) for name in texts}


def measure() -> dict[str, Size]:
    """Sizes of every module as it is, then of each bundle with its usual parts, under `bundle role/kind`."""
    order = every_module()
    texts = {}
    for name in order:
        path = module_file(name)
        assert path is not None
        texts[name] = transformed(name, path)
    table = dict(sorted(sized(texts).items()))
    for kind in kinds():
        role = "gateway" if kind == "gateway" else "node"
        inside = sources(role, kind, usual=True)
        found = sized({name: inside[name] for name in order if name in inside}).values()
        table[f"bundle {role}/{kind}"] = Size(
            sum(s.mpy_bytes for s in found), sum(s.heap_bytes for s in found)
        )
    return table


def as_csv(table: dict[str, Size]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("module", *Size._fields))
    for name, size in table.items():
        writer.writerow((name, *size))
    return text.getvalue()


def read_csv(text: str) -> dict[str, Size]:
    rows = list(csv.reader(io.StringIO(text)))
    return {row[0]: Size(int(row[1]), int(row[2])) for row in rows[1:]}


def complaints(old: dict[str, Size], new: dict[str, Size]) -> list[str]:
    """Why the table must be renewed on purpose: one line per module."""
    found = [f"{name} is not in the table" for name in new if name not in old]
    found += [f"{name} is in the table and no longer there" for name in old if name not in new]
    for name, was in old.items():
        now = new.get(name)
        if now is None:
            continue
        for what, before, after, noise in (
            (".mpy", was.mpy_bytes, now.mpy_bytes, 0),
            ("heap", was.heap_bytes, now.heap_bytes, HEAP_NOISE),
        ):
            if (after - before) * 100 >= GROWTH_PERCENT * before and after - before > noise:
                found.append(f"{name} has grown from {before} to {after} bytes of {what}")
    return found


def main(arguments: list[str]) -> int:
    table = measure()
    if arguments == ["--renew"]:
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        TABLE.write_text(as_csv(table))
        return 0
    if arguments != ["--check"]:
        print(as_csv(table), end="")
        return 0
    wrong = complaints(read_csv(TABLE.read_text()) if TABLE.is_file() else {}, table)
    for line in wrong:
        print(line)
    if wrong:
        print("if that is wanted: make sizes")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BundleError as e:
        sys.exit(f"sizes: {e}")
