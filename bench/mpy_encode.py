# mypy: ignore-errors
"""Runs under MicroPython or CPython: what encoding one reading costs, as `name nanoseconds` lines.

usage: micropython -X heapsize=SIZE bench/mpy_encode.py FOLDER
FOLDER holds the compiled `firmware` package. The payload is the golden vector site_24: 24 bytes, 6 fields.
"""

import gc
import hashlib
import sys
import time

sys.path[0] = sys.argv[1]  # instead of this folder, and before any other firmware package

from firmware.protocols import cbor, codec, schema  # noqa: E402

_ROUNDS = 9
_CALLS = 4000
_HEX = "8205a6001a01ab3f8004184b0519019c06183f0718800801"
_MESSAGE = schema.message(5)
_VALUES = [28000128, None, None, None, 75, 412, 63, 128, 1]
_AS_DICT = {0: 28000128, 4: 75, 5: 412, 6: 63, 7: 128, 8: 1}
_BUF = bytearray(64)
_DATA = bytes(40)


def naive(obj):
    """What one writes first: recursion over types, new bytes at each step, the order of the dict."""
    if isinstance(obj, int):
        return _head(0, obj) if obj >= 0 else _head(1, -1 - obj)
    if isinstance(obj, list):
        return _head(4, len(obj)) + b"".join([naive(item) for item in obj])
    if isinstance(obj, dict):
        return _head(5, len(obj)) + b"".join([naive(key) + naive(obj[key]) for key in sorted(obj)])
    raise TypeError


def _head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    if value < 256:
        return bytes([major << 5 | 24, value])
    if value < 65536:
        return bytes([major << 5 | 25]) + value.to_bytes(2, "big")
    return bytes([major << 5 | 26]) + value.to_bytes(4, "big")


def nothing():
    pass


def table():
    return codec.encode_into(_BUF, 0, _MESSAGE, _VALUES)


def sha256_40():
    return hashlib.sha256(_DATA).digest()


def dict_naive():
    return naive([5, _AS_DICT])


def dict_ours():
    return cbor.encode([5, _AS_DICT])


def decode():
    return codec.decode(_PAYLOAD)


def clock_us():
    return time.ticks_us() if hasattr(time, "ticks_us") else time.perf_counter_ns() // 1000


def round_of(call):
    gc.collect()
    start = clock_us()
    for _ in range(_CALLS):
        call()
    return (clock_us() - start) * 1000 // _CALLS


def allocated(call):
    """Heap bytes that one call takes, garbage included; 0 where the interpreter does not tell."""
    if not hasattr(gc, "mem_alloc"):
        return 0
    call()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    call()
    after = gc.mem_alloc()
    gc.enable()
    return after - before


_PAYLOAD = bytes(_BUF[: table()])
if _PAYLOAD.hex() != _HEX or dict_naive() != _PAYLOAD or dict_ours() != _PAYLOAD:
    raise SystemExit("the encoders disagree")
_CONTENDERS = (nothing, table, sha256_40, dict_naive, dict_ours, decode)
_found = {}
for _ in range(_ROUNDS):
    for _call in _CONTENDERS:
        _found.setdefault(_call.__name__, []).append(round_of(_call))
_idle = sorted(_found["nothing"])[_ROUNDS // 2]
for _call in _CONTENDERS[1:]:
    _times = sorted(_found[_call.__name__])
    print(_call.__name__, _times[_ROUNDS // 2] - _idle, _times[0] - _idle, allocated(_call))
