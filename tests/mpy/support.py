"""What the tests that run under both interpreters share; plain functions, no pytest."""

import json
import os
import sys

MICROPYTHON = sys.implementation.name == "micropython"


class Skip(Exception):  # noqa: N818 - not an error
    """Raised to skip a test by name; the runner and pytest's wrapper both report the reason."""


def skip(reason):
    if not MICROPYTHON:
        import pytest

        pytest.skip(reason)
    raise Skip(reason)


def raises(error, call, *args):
    """The exception that `call(*args)` raises; fails when it raises none or another kind."""
    try:
        call(*args)
    except error as e:
        return e
    raise AssertionError("nothing raised")


def heap_locked(call):
    """Run `call()` with the heap locked: any allocation is a MemoryError. Plain call on CPython.

    Arguments would be packed into a tuple, which allocates: bind them beforehand.
    """
    if not MICROPYTHON:
        return call()
    import micropython

    micropython.heap_lock()
    try:
        return call()
    finally:
        micropython.heap_unlock()


def data_dir(name):
    """Folder `name` of the test data in LANTERNE_DATA; skips by name when there is none."""
    top = os.getenv("LANTERNE_DATA")
    if not top:
        skip("LANTERNE_DATA is not set: no " + name)
    path = top + "/" + name
    try:
        os.stat(path)
    except OSError:
        skip("no " + path)
    return path


def load_json(path):
    with open(path) as f:
        return json.load(f)
