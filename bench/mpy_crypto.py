# mypy: ignore-errors
"""Runs under MicroPython: measures the device cryptography, prints `name value` lines.

usage: micropython -X heapsize=SIZE bench/mpy_crypto.py FOLDER speed|memory
FOLDER holds the compiled `firmware` package, so that no heap goes to the compiler.
"""

import gc
import sys
import time

sys.path[:] = [sys.argv[1]]  # FOLDER alone: a firmware package in the working directory would shadow it

from firmware.protocols import ed25519, ed25519_verify  # noqa: E402

_SEED = bytes(range(32))
_PUBLIC = (
    b"\x03\xa1\x07\xbf\xf3\xce\x10\xbe\x1d\x70\xdd\x18\xe7\x4b\xc0\x99"
    b"\x67\xe4\xd6\x30\x9b\xa5\x0d\x5f\x1d\xdc\x86\x64\x12\x55\x31\xb8"
)
_MESSAGE = bytes(60)
_PRIME = (1 << 255) - 19


def once_us(call):
    """Microseconds of one call after a collection; collections during the call count."""
    gc.collect()
    start = time.ticks_us()
    call()
    return time.ticks_diff(time.ticks_us(), start)


def median_us(calls, rounds):
    """Median of each call, one of each per round, so that a slow moment of the machine falls on all."""
    times = [[once_us(call) for call in calls] for _ in range(rounds)]
    return [sorted([t[i] for t in times])[rounds // 2] for i in range(len(calls))]


def loop_ns(call, count):
    """Nanoseconds per call of a short operation, loop included: median of five runs after a collection."""

    def loop():
        for _ in range(count):
            call()

    return median_us([loop], 5)[0] * 1000 // count


def garbage(call):
    """Bytes a call allocates, kept or not; the heap must be large enough to need no collection."""
    call()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    call()
    used = gc.mem_alloc() - before
    gc.enable()
    return used


def speed():
    x = int.from_bytes(_PUBLIC, "little")
    signature = ed25519.sign(_SEED, _PUBLIC, _MESSAGE)
    calls = (
        lambda: pow(x, _PRIME - 2, _PRIME),
        lambda: ed25519.sign(_SEED, _PUBLIC, _MESSAGE),
        lambda: ed25519_verify.verify(_PUBLIC, _MESSAGE, signature),
    )
    print("pow_us {}\nsign_us {}\nverify_us {}".format(*median_us(calls, 11)))


def short_operations():
    from hashlib import sha256

    from firmware.protocols import ccm
    from firmware.protocols.hmac256 import Hmac, hkdf
    from firmware.protocols.sha512 import sha512

    mac = Hmac(bytes(32))
    data, key, nonce, aad, plain = bytes(48), bytes(16), bytes(13), bytes(30), bytes(20)
    sealed = ccm.seal(key, nonce, aad, plain)
    return (
        ("sha256_48", lambda: sha256(data).digest()),
        ("hmac_48", lambda: mac.digest(data)),
        ("hmac_48_new_key", lambda: Hmac(plain).digest(data)),
        ("hkdf_32", lambda: hkdf(data, key, aad, 32)),
        ("ccm_seal_20", lambda: ccm.seal(key, nonce, aad, plain)),
        ("ccm_open_20", lambda: ccm.open(key, nonce, aad, sealed)),
        ("sha512_60", lambda: sha512(_MESSAGE)),
    )


def memory():
    print("sign_bytes", garbage(lambda: ed25519.sign(_SEED, _PUBLIC, _MESSAGE)))
    signature = ed25519.sign(_SEED, _PUBLIC, _MESSAGE)
    print("verify_bytes", garbage(lambda: ed25519_verify.verify(_PUBLIC, _MESSAGE, signature)))
    for name, call in short_operations():
        print(name + "_bytes", garbage(call))
        print(name + "_ns", loop_ns(call, 200))


if sys.argv[2] == "speed":
    speed()
else:
    memory()
