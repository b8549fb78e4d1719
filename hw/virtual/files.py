"""Files in a board's flash, read and written by the interpreter's own LittleFS on a copy of the partition."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .build import default_interpreter
from .flash import Flash, Partition

_MOUNT = """
import os, sys, vfs

class Image:
    def __init__(self, path):
        self.f = open(path, "r+b")
        self.n = os.stat(path)[6] // 4096
    def readblocks(self, block, buf, offset=0):
        self.f.seek(block * 4096 + offset)
        self.f.readinto(buf)
    def writeblocks(self, block, buf, offset=0):
        self.f.seek(block * 4096 + offset)
        self.f.write(buf)
    def ioctl(self, op, arg):
        return self.n if op == 4 else 4096 if op == 5 else 0

def copy(source, target):
    with open(source, "rb") as f, open(target, "wb") as g:
        while True:
            piece = f.read(4096)
            if not piece:
                break
            g.write(piece)

image = Image(sys.argv[1])
# Without the files' times: they are of this machine's clock, and LittleFS lays out its blocks by what it holds, so
# the same seed would not give the same bytes.
try:
    vfs.mount(vfs.VfsLfs2(image, mtime=False), "/image")
except OSError:
    if sys.argv[2] != "write":
        raise
    vfs.VfsLfs2.mkfs(image)
    vfs.mount(vfs.VfsLfs2(image, mtime=False), "/image")
for pair in range(3, len(sys.argv), 2):
    inside, outside = "/image/" + sys.argv[pair], sys.argv[pair + 1]
    if sys.argv[2] != "write":
        copy(inside, outside)
        continue
    at = inside.find("/", 7)
    while at > 0:
        try:
            os.mkdir(inside[:at])
        except OSError:
            pass
        at = inside.find("/", at + 1)
    copy(outside, inside)
vfs.umount("/image")
image.f.close()
"""


def _partition(flash: Flash, label: str) -> Partition:
    for partition in flash.table:
        if partition.label == label:
            return partition
    raise FileNotFoundError(f"no partition {label!r}")


def _interpret(folder: Path, verb: str, pairs: list[str]) -> None:
    script = folder / "mount.py"
    script.write_text(_MOUNT)
    command = [default_interpreter(), str(script), str(folder / "image"), verb, *pairs]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise FileNotFoundError((run.stderr or run.stdout).strip().splitlines()[-1])


def read_file(flash: Flash, path: str, partition: str = "vfs") -> bytes:
    """The content of `path` in a partition; FileNotFoundError when it is not there or nothing is mounted."""
    found = _partition(flash, partition)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "image").write_bytes(flash.mem[found.offset : found.offset + found.size])
        _interpret(folder, "read", [path.lstrip("/"), str(folder / "file")])
        return (folder / "file").read_bytes()


def write_files(flash: Flash, files: Mapping[str, bytes], partition: str = "vfs") -> None:
    """Put files into a partition before the board runs, as a flashing tool would; formats an empty one."""
    found = _partition(flash, partition)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "image").write_bytes(flash.mem[found.offset : found.offset + found.size])
        pairs = []
        for number, (path, content) in enumerate(sorted(files.items())):
            (folder / str(number)).write_bytes(content)
            pairs += [path.lstrip("/"), str(folder / str(number))]
        _interpret(folder, "write", pairs)
        flash.mem[found.offset : found.offset + found.size] = (folder / "image").read_bytes()
