"""Files of the command line: `-` is a standard stream, an output appears whole or not at all, and no output
takes the place of what cannot be made again.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from host_tools import formats
from host_tools.commands.common import Settings
from host_tools.errors import InputError, StoreError, UsageError, unwritable
from host_tools.output import say

# Sources of the command tree that this version cannot read from.
_SCHEMES = re.compile(r"(udp|mqtts?|wss?|serial|air):")
_KEYS = re.compile(
    rb'\s*\{[^{]*"format"\s*:\s*"lanterne-(keyring|tenant|root|seed|registry|commander|lorawan-keys)/'
)


def contents(path: str | Path) -> str:
    """What a file that is there holds: "capture", "store", a kind of key file such as "keyring", or ""."""
    try:
        with Path(path).open("rb") as f:
            head = f.read(4096) if Path(path).is_file() else b""
    except OSError:
        return ""
    keys = _KEYS.match(head)
    if keys:
        return keys[1].decode()
    if formats.binary(head):
        return "capture"
    return "store" if head.startswith(b"SQLite format 3\0") else ""


def keep_from(path: str | Path, *replaceable: str) -> None:
    """StoreError where `path` holds keys, a capture or a store, unless its kind is among `replaceable`."""
    found = contents(path)
    if not found or found in replaceable:
        return
    what = {
        "capture": say("a capture", "une capture"),
        "store": say("a database", "une base de données"),
    }.get(found, say("keys or a registry", "des clés ou un registre"))
    raise StoreError(
        say(f"{path} holds {what} and is not overwritten", f"{path} contient {what} et n'est pas remplacé"),
        say("choose another name", "choisir un autre nom"),
    )


def distinct(first: str, second: str) -> None:
    """UsageError where two outputs are one file."""
    if Path(first).resolve() == Path(second).resolve():
        raise UsageError(say(f"{first} cannot be two outputs at once", f"{first} ne peut servir deux fois"))


def source_of(text: str) -> str:
    """A source that this version can read; UsageError for those that are not built yet."""
    if not text:
        raise UsageError(say("a source has no name", "une source n'a pas de nom"))
    if _SCHEMES.match(text) and not Path(text).exists():
        raise UsageError(
            say(f"not built yet: to read from {text}", f"pas encore construit : lire {text}"),
            say("a file, a folder or - can be read", "un fichier, un dossier ou - se lisent"),
        )
    return text


@contextmanager
def opened(path: str | None, mode: int = 0o666) -> Iterator[IO[str]]:
    """A text stream for results: standard output for None and `-`, else a file that is replaced in one step.

    An interrupted or failing run leaves what was there before. A pipe or device is written as it is.
    StoreError for a file of keys, a capture or a store, which rows never replace.
    """
    if path in (None, "-"):
        yield sys.stdout
        return
    target = Path(path or "")
    keep_from(target)
    special = target.exists() and not target.is_file()
    temporary = target if special else target.with_name(f".{target.name}.{os.getpid()}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | (0 if special else os.O_EXCL)
        stream = os.fdopen(os.open(temporary, flags, mode), "w", encoding="utf-8", newline="")
    except OSError as e:
        raise unwritable(target, e) from None
    try:
        with stream:
            yield stream
        if not special:
            temporary.replace(target)
    except BrokenPipeError:
        raise
    except OSError as e:
        raise unwritable(target, e) from None
    finally:
        if not special:
            temporary.unlink(missing_ok=True)


def may_replace(settings: Settings, path: str, *kinds: str) -> None:
    """Ask before a file that cannot be made again is replaced; StoreError where nobody can be asked.

    kinds: what may be replaced at all, as in `keep_from`.
    """
    keep_from(path, *kinds)
    if not Path(path).exists() or settings.yes:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        if click.confirm(say(f"Replace {path}?", f"Remplacer {path} ?"), err=True):
            return
        raise StoreError(say(f"{path} was left as it is", f"{path} reste inchangé"))
    raise StoreError(
        say(f"{path} exists already", f"{path} existe déjà"),
        say("another name, or --yes to replace it", "un autre nom, ou --yes pour le remplacer"),
    )


def captures(sources: Sequence[str]) -> list[str]:
    """The capture files that SOURCE names: files and `-` as they are, folders by what they hold."""
    found: list[str] = []
    for source in map(source_of, sources):
        if source == "-" or not Path(source).is_dir():
            found.append(source)
            continue
        inside = sorted(str(p) for p in Path(source).iterdir() if formats.is_named(p) and p.is_file())
        if not inside:
            raise InputError(
                say(f"{source}: no capture in this folder", f"{source} : aucune capture dans ce dossier")
            )
        found += inside
    if found.count("-") > 1:
        raise UsageError(say("standard input can be read once", "l'entrée standard ne se lit qu'une fois"))
    return found
