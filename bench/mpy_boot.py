# mypy: ignore-errors
"""Runs on a virtual board before the application: prints a line before and after `hello` is made and queued.

Put beside main.py by bench/boot.py. It imports nothing of the firmware, so that modules load in their own order.
"""

import builtins
import sys

_UPLINK = "firmware.roles.uplink"
_import = __import__  # by its name: as an attribute it is the interpreter's own again


def _load(name, *rest):
    module = _import(name, *rest)
    if name == _UPLINK:
        builtins.__import__ = _import
        _cover(sys.modules[name].Uplink)
    return module


def _cover(uplink):
    real = uplink.hello

    def hello(self, *values):
        print("greets")
        seq = real(self, *values)
        print("queued", seq)
        return seq

    uplink.hello = hello


builtins.__import__ = _load
