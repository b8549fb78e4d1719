"""Rows into files with types: Parquet, SQLite, DuckDB. Each file appears whole or not at all."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from host_tools.errors import StoreError, UsageError, unwritable
from host_tools.output import say

if TYPE_CHECKING:
    from host_tools.rows import Row

# Format: module of this package, what it needs, whether it can be written to a pipe.
_MODULES = {
    "parquet": ("host_tools.outputs.parquet", "pyarrow", True),
    "sqlite": ("host_tools.outputs.sqlite", "", False),
    "duckdb": ("host_tools.outputs.duck", "duckdb", False),
}
FORMATS = tuple(_MODULES)
SUFFIXES = {
    ".parquet": "parquet",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
}
_SQLITE, _DUCKDB = b"SQLite format 3\0", b"DUCK"


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def extra(package: str) -> ModuleType:
    """A package of the extra `data`; UsageError that says how to get it."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UsageError(
            say(f"this needs the package {package}", f"le paquet {package} est nécessaire"),
            "pip install 'lanterne[data]'",
        ) from None


def check(form: str, path: str | None) -> None:
    """UsageError where this format cannot go there, or its package is missing: before anything is decoded."""
    _, package, pipe = _MODULES[form]
    if path in (None, "-"):
        raise UsageError(
            say(f"{form} needs a file: -o rows.{form}", f"{form} veut un fichier : -o lignes.{form}")
        )
    target = Path(path or "")
    if not pipe and target.exists() and not target.is_file():
        raise UsageError(
            say(f"{form} cannot be written to {path}", f"{form} ne peut s'écrire dans {path}"),
            say("a file, or --format parquet", "un fichier, ou --format parquet"),
        )
    if package:
        extra(package)


def write(rows: Sequence[Row], path: str, form: str) -> None:
    """Write rows, in the order given, to a file that takes its place in one step.

    StoreError for a place that refuses, and for what rows never replace: keys, captures, databases that are
    not such an output.
    """
    check(form, path)
    target = Path(path)
    module = importlib.import_module(_MODULES[form][0])
    errors: tuple[type[Exception], ...] = module.errors()
    writer: Callable[[Sequence[Row], Path], None] = module.write
    with _placed(target) as place:
        try:
            writer(rows, place)
        except OSError as e:
            raise unwritable(target, e) from None
        except errors as e:
            first = str(e).partition("\n")[0]
            raise StoreError(
                say(f"cannot write {target}: {first}", f"impossible d'écrire {target} : {first}")
            ) from None


@contextmanager
def _placed(target: Path) -> Iterator[Path]:
    """Where to write what is to stand at `target`: beside it, or itself where it is a pipe or a device."""
    _may_take(target)
    if target.exists() and not target.is_file():
        yield target
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        # Nobody's file, and no link to one.
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        made = temporary.stat().st_mode & 0o777
        temporary.unlink()
    except OSError as e:
        raise unwritable(target, e) from None
    try:
        yield temporary
        try:
            temporary.chmod(made)
            with temporary.open("rb") as f:
                os.fsync(f.fileno())
            temporary.replace(target)
        except OSError as e:
            raise unwritable(target, e) from None
    finally:
        for end in ("", "-journal", "-wal", ".wal", "-shm"):
            temporary.with_name(temporary.name + end).unlink(missing_ok=True)


def _may_take(target: Path) -> None:
    from host_tools.commands.files import keep_from

    try:
        with target.open("rb") as f:
            head = f.read(72) if target.is_file() else b""
    except FileNotFoundError:
        return
    except OSError as e:
        raise unwritable(target, e) from None
    if head.startswith(_SQLITE):
        if head[68:72] == APPLICATION.to_bytes(4, "big"):
            return
    elif head[8:12] == _DUCKDB:
        if _own_duckdb(target):
            return
        raise StoreError(
            say(
                f"{target} holds a database and is not overwritten", f"{target} contient une base de données"
            ),
            say("choose another name", "choisir un autre nom"),
        )
    keep_from(target)


# In the header of an SQLite file of rows (sqlite.org/fileformat2.html 1.3.14): "LRow".
APPLICATION = 0x4C526F77


def _own_duckdb(path: Path) -> bool:
    if not has("duckdb"):
        return False
    duckdb = importlib.import_module("duckdb")
    try:
        base = duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"})
    except duckdb.Error:
        return False
    try:
        found = base.execute("SELECT count(*) FROM about WHERE name = 'format'").fetchone()
        return bool(found == (1,))
    except duckdb.Error:
        return False
    finally:
        base.close()


__all__ = ["APPLICATION", "FORMATS", "SUFFIXES", "check", "extra", "has", "write"]
