"""What can go wrong for whoever uses the tools: one class per exit code, one clear line each.

No message ever holds a key, a seed or a payload of privacy class 1.
"""

from __future__ import annotations

import errno
from pathlib import Path


class ToolError(Exception):
    """`str(e)` is the line that says what is wrong, `e.hint` what to do about it (may be empty)."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class VerdictError(ToolError):
    """A verdict is negative."""

    exit_code = 1


class UsageError(ToolError):
    """What was asked for cannot be asked, or is refused by a rule."""

    exit_code = 2


class InputError(ToolError):
    """Input is missing, unreadable or of a foreign format."""

    exit_code = 3


class PeerError(ToolError):
    """A device or peer does not answer."""

    exit_code = 4


class StoreError(ToolError):
    """The place where results go refuses them."""

    exit_code = 5


_READING = {
    errno.ENOENT: "there is no such file",
    errno.EISDIR: "this is a folder, not a file",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ENOTDIR: "part of this path is not a folder",
    errno.ELOOP: "this is a symbolic link, or a loop of them",
}
_WRITING = {
    errno.ENOSPC: "the disk is full",
    errno.EFBIG: "the file has reached the size allowed here",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "no permission to write it",
    errno.EPERM: "no permission to write it",
    errno.ENOENT: "its folder does not exist",
    errno.ENOTDIR: "part of this path is not a folder",
    errno.EISDIR: "this is a folder, not a file",
    errno.EEXIST: "it exists already",
    errno.ELOOP: "this is a symbolic link, or a loop of them",
}


def unreadable(path: Path | str, error: OSError) -> InputError:
    """The one line for a file that cannot be read."""
    return InputError(f"cannot read {path}: {_READING.get(error.errno or 0, error.strerror or str(error))}")


def unwritable(path: Path | str, error: OSError) -> StoreError:
    """The one line for a file that cannot be written."""
    return StoreError(f"cannot write {path}: {_WRITING.get(error.errno or 0, error.strerror or str(error))}")
