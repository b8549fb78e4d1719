"""Several processes for one decoding: each verifies every n-th chunk, then each puts groups of devices together.

Only children of a fork know what their parent knows without being told, keys included; where there is no fork, one
process does all. Threads would not help: all but Ed25519 holds the interpreter's lock (measured).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host_tools.fast import records
from host_tools.fast.spool import Spool
from host_tools.frames import Frame
from host_tools.outputs import extra

if TYPE_CHECKING:
    from host_tools.fast import _Group, _Run

# What the children work on, set before they are made.
_run: _Run | None = None


def possible() -> bool:
    return "fork" in multiprocessing.get_all_start_methods()


def read(run: _Run) -> None:
    """Take the frames of all captures in, each worker every n-th chunk of each."""
    run.folder = run.spool.folder  # made before the children are
    for found in _each(run, _read_part, run.workers):
        left, frames, fast, types, purposes, notes = found
        run.careful.add_all(left)
        run.types |= types
        run.purposes |= purposes
        run.notes += notes
        run.count(frames, fast)


def _read_part(part: int) -> tuple[list[Frame], int, int, set[int], set[int], list[str]]:
    run = _run
    assert run is not None and run.folder is not None
    run.types, run.purposes, run.notes = set(), set(), []
    folder = run.folder / str(part)
    folder.mkdir()
    spool = Spool(run.groups, folder)
    left: list[Frame] = []
    frames = 0
    for number, path, head in run.captures():
        for chunk in records.chunks(path, head, run.notes, part, run.workers, run.size):
            found, some, total = run.chunk(chunk, number)
            spool.add(found)
            run.note(found)
            left += some
            frames += total
    spool.flush()
    return left, frames, frames - len(left), run.types, run.purposes, run.notes


def groups(run: _Run) -> Iterator[_Group]:
    """Groups of devices in their order."""
    run.folder = run.spool.folder
    for group in _each(run, _group, len(run.bounds)):
        if isinstance(group.table, Path):
            file = group.table
            pa = extra("pyarrow")
            with pa.memory_map(str(file)) as source:
                group.table = pa.ipc.open_stream(source).read_all()
                yield group
            file.unlink()
        else:
            yield group


def _group(number: int) -> _Group:
    run = _run
    assert run is not None and run.folder is not None
    done = run.group(number)
    if done.table is not None:
        pa = extra("pyarrow")
        file = run.folder / f"{number}.arrow"
        table = done.table.combine_chunks()
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        done.table = file
    return done


def _each(run: _Run, what: Any, jobs: int) -> Iterator[Any]:
    """The results of some jobs in their order."""
    global _run
    _run = run
    try:
        with multiprocessing.get_context("fork").Pool(run.workers) as pool:
            yield from pool.imap(what, range(jobs))
    finally:
        _run = None
