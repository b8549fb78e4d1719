"""Facts of the interpreter that decide the firmware's style that no other test would notice."""

import struct

from tests.mpy.support import MICROPYTHON, heap_locked, raises


def test_struct_pack_wraps_silently():
    # Why every field is range-checked before packing.
    if MICROPYTHON:
        assert struct.pack(">B", 300) == b","
    else:
        raises(struct.error, struct.pack, ">B", 300)


def test_heap_lock_catches_an_allocation():
    if MICROPYTHON:
        raises(MemoryError, heap_locked, lambda: bytearray(100))


def test_small_integers_do_not_allocate():
    buf = bytearray(4)

    def work():
        n = 0x3FFFFFFF
        buf[0] = n & 0xFF
        return n

    assert heap_locked(work) == 0x3FFFFFFF
