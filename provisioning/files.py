"""Files that hold keys: 0600 in 0700 folders, replaced in one step, refused when others may read them.

A cut or a crash leaves the old file or the new one, never half of one. Two operators at once wait for each
other on a lock that the operating system releases when its holder dies.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host_tools.errors import InputError, StoreError, unreadable, unwritable

MAX_JSON = 256 << 20  # bytes; chosen, so that a wrong path does not fill the memory
LOCK_WAIT_S = 10.0

_POSIX = os.name == "posix"


def make_folder(path: Path) -> None:
    """Make a folder for secrets, or check that the one there is closed to others."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise unwritable(path, e) from None
    check_private(path, "is to hold keys")


def check_private(path: Path, what: str = "holds keys") -> None:
    """InputError when anyone but the owner may use `path`. Windows keeps no such bits: nothing is checked."""
    if not _POSIX:
        return
    try:
        found = path.stat()
    except OSError as e:
        raise unreadable(path, e) from None
    if found.st_mode & 0o077:
        wanted = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise InputError(
            f"{path} {what} and is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
            f"chmod {wanted} {path}",
        )
    if found.st_uid not in (os.getuid(), 0):
        raise InputError(f"{path} {what} and belongs to another user")


def write_private(path: Path, data: bytes, replace: bool = True) -> None:
    """Write `data` as a 0600 file in one step; with `replace` False a file that is there is refused.

    On return the content and its name are on the disk. StoreError names what refused.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(temporary, flags, 0o600)
    except OSError as e:
        raise unwritable(path, e) from None
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        if replace:
            temporary.replace(path)
        elif _POSIX:
            # link() refuses a name that is taken; rename() would not.
            os.link(temporary, path)
            temporary.unlink()
        else:
            temporary.rename(path)
        _sync_folder(path.parent)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, e) from None


def _sync_folder(folder: Path) -> None:
    if not _POSIX:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_private(path: Path) -> bytes:
    """The content of a file with keys; InputError when it is missing, open to others or over-long."""
    try:
        # What is no file of keys at all needs no other permissions, but another path.
        if path.is_file() and not _may_be_json(path):
            raise InputError(f"{path} is not a JSON file of Lanterne")
        if not path.is_dir():
            check_private(path)
        with path.open("rb") as f:
            data = f.read(MAX_JSON + 1)
    except OSError as e:
        raise unreadable(path, e) from None
    if len(data) > MAX_JSON:
        raise InputError(f"{path} is larger than any file of keys")
    return data


def _may_be_json(path: Path) -> bool:
    with path.open("rb") as f:
        return f.read(64).lstrip(b" \t\r\n").startswith(b"{")


def dump_json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def load_json(path: Path, wanted: str) -> dict[str, Any]:
    """The object in a private JSON file whose "format" is `wanted`; InputError in one line otherwise."""
    data = read_private(path)
    try:
        found = json.loads(data, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        # The parser's own text would quote the file.
        raise InputError(f"{path} is not a JSON file of Lanterne") from None
    form = found.get("format") if isinstance(found, dict) else None
    if form != wanted:
        if isinstance(form, str) and form.startswith("lanterne-") and len(form) < 40:
            raise InputError(f"{path} is a {form} file; a {wanted} file is needed here")
        raise InputError(f"{path} is not a {wanted} file")
    return dict(found)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


@contextmanager
def locked(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold the lock file beside `path`; StoreError when another program keeps it for `wait_s` seconds."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as e:
        raise unwritable(path, e) from None
    try:
        end = time.monotonic() + wait_s
        while not _try_lock(handle):
            if time.monotonic() > end:
                raise StoreError(f"{path} is in use by another program", "try again when it has ended")
            time.sleep(0.02)
        try:
            yield
        finally:
            _unlock(handle)
    finally:
        os.close(handle)


if _POSIX:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)

else:  # pragma: no cover - Windows
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
