# mypy: ignore-errors
"""Runs on a virtual board before the application: prints a line before and after `hello` is made and queued.

Put beside main.py by bench/boot.py.
"""

from firmware.roles.uplink import Uplink

_hello = Uplink.hello


def hello(self, *values):
    print("greets")
    seq = _hello(self, *values)
    print("queued", seq)
    return seq


Uplink.hello = hello
