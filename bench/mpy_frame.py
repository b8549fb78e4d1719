# mypy: ignore-errors
"""Runs under MicroPython: time and heap of one frame, prints `name value` lines.

usage: micropython -X heapsize=SIZE bench/mpy_frame.py FOLDER
FOLDER holds the compiled `firmware` package.
"""

import gc
import sys
import time

sys.path[:] = [sys.argv[1]]  # FOLDER alone: a firmware package in the working directory would shadow it

from hashlib import sha256  # noqa: E402

import micropython  # noqa: E402

from firmware.protocols import chain, cose, keys  # noqa: E402
from firmware.protocols.codec import blank, encode_into  # noqa: E402
from firmware.protocols.opener import Opener  # noqa: E402
from firmware.protocols.schema import message  # noqa: E402
from firmware.protocols.seal import Sealer  # noqa: E402

_TENANT = b"\xff1234567"
_DEVICE = b"device00"
_ROUNDS = 9
_COUNT = 300

ROWS = message(5)
VALUES = blank(ROWS)
for _key, _value in ((0, 28000128), (4, 75), (5, 412), (6, 63), (7, 128), (8, 1)):
    VALUES[_key] = _value
BUF = bytearray(64)
VIEW = memoryview(BUF)
WORK = bytearray(160)
DATA = bytes(40)
PAYLOAD = bytes(24)
TAG = bytes(8)
AAD = cose.ext_aad(4, 17, 0, _TENANT, _DEVICE, 3, 0, 70123)
H = bytes(32)


def record(profile):
    held = {"sign": bytes(range(32))}
    for label in keys.LABELS:
        held[label] = keys.derive(bytes(32), _TENANT, label, _DEVICE, 3)
    return {
        "tenant": _TENANT,
        "device": _DEVICE,
        "epoch": 3,
        "profile": profile,
        "public_key": bytes(32),
        "keys": held,
        "purposes": keys.purposes(profile),
    }


MAC0 = Sealer(record("mac0"))
ENCRYPT0 = Sealer(record("encrypt0"))
OPENER = Opener(record("mac0"))
COMMAND = Sealer(record("mac0"), 1).seal(2, 0x10000001, bytes(16))


def payload():
    return encode_into(BUF, 0, ROWS, VALUES)


def structures():
    encode_into(BUF, 0, ROWS, VALUES)
    cose.ext_aad_into(WORK, 0, 4, 17, 0, _TENANT, _DEVICE, 3, 0, 70123)
    cose.to_be_maced_into(WORK, 0, AAD, PAYLOAD)
    cose.pack_into(WORK, 0, 70123, PAYLOAD, TAG)


def chained():
    end = payload()
    MAC0.seal(0, 70123, VIEW[:end])
    return chain.step(H, MAC0.leaf(0, 70123, VIEW[:end]))


CALLS = (
    ("sha256_40", lambda: sha256(DATA).digest()),
    ("payload_of_24", payload),
    ("payload_and_structures", structures),
    ("mac0_frame", lambda: MAC0.seal(0, 70123, VIEW[: payload()])),
    ("mac0_frame_leaf_and_chain", chained),
    ("encrypt0_frame", lambda: ENCRYPT0.seal(0, 70123, VIEW[: payload()])),
    ("open_a_command", lambda: OPENER.open(2, 1, 0x10000001, COMMAND)),
)


def loop_ns(call):
    gc.collect()
    start = time.ticks_us()
    for _ in range(_COUNT):
        call()
    return time.ticks_diff(time.ticks_us(), start) * 1000 // _COUNT


def garbage(call):
    call()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    call()
    used = gc.mem_alloc() - before
    gc.enable()
    return used


def main():
    assert payload() == 24
    # One of each per round, so that a slow moment of the machine falls on all.
    rounds = [[loop_ns(call) for _, call in CALLS] for _ in range(_ROUNDS)]
    for i in range(len(CALLS)):
        name, call = CALLS[i]
        print(name + "_ns", sorted([r[i] for r in rounds])[_ROUNDS // 2])
        print(name + "_bytes", garbage(call))
    locked = 1
    micropython.heap_lock()
    try:
        structures()
    except MemoryError:
        locked = 0
    micropython.heap_unlock()
    print("structures_locked", locked)


main()
