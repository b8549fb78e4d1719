"""Output files of the command line: `-` is standard output, a file appears whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from host_tools.commands.common import Settings
from host_tools.errors import InputError, StoreError, UsageError, unwritable
from host_tools.output import say

CAPTURES = (".pcap", ".rec")


@contextmanager
def opened(path: str | None, mode: int = 0o666) -> Iterator[IO[str]]:
    """A text stream for results: standard output for None and `-`, else a file that is replaced in one step.

    An interrupted or failing run leaves what was there before. A pipe or device is written as it is.
    """
    if path in (None, "-"):
        yield sys.stdout
        return
    target = Path(path or "")
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


def may_replace(settings: Settings, path: str) -> None:
    """Ask before a file that cannot be made again is replaced; StoreError where nobody can be asked."""
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
    for source in sources:
        if source == "-" or not Path(source).is_dir():
            found.append(source)
            continue
        inside = sorted(str(p) for p in Path(source).iterdir() if p.suffix in CAPTURES and p.is_file())
        if not inside:
            raise InputError(
                say(f"{source}: no capture in this folder", f"{source} : aucune capture dans ce dossier")
            )
        found += inside
    if found.count("-") > 1:
        raise UsageError(say("standard input can be read once", "l'entrée standard ne se lit qu'une fois"))
    return found
