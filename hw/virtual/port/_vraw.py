# The bytes of an array of wider elements, to be read into.
from uctypes import addressof, bytearray_at


def raw(d):
    if isinstance(d, (bytes, str)):
        d = 0  # not to be written
    return bytearray_at(addressof(d), len(bytes(memoryview(d))))
