"""Deterministic CBOR: the subset of RFC 8949 that Lanterne sends, and a strict reader of it.

Integers of 64 bits, byte strings, UTF-8 text, arrays, maps with integer keys, false, true, null; all of
them in the one encoding of RFC 8949 4.2.1. No tags, no floats, nothing of indefinite length.
The `put_*` writers allocate nothing (integers from 2^30 up are heap objects on a 32-bit chip anyway).
"""

from firmware.protocols.compat import const

_DEPTH = const(8)  # of what `encode` is given; our own structures need 3


class WireError(Exception):
    """The only error of the wire format. `args[0]` is the name of a reason in `reasons`."""


def put_head(buf, pos, major, value):
    """Write the head of an item of type `major` (0..7) with argument `value` (0..2^64-1).

    Returns the position after it. WireError: out_of_range, or too_long where `buf` ends before.
    """
    first = major << 5
    try:
        if value < 24:
            if value < 0:
                raise WireError("out_of_range")
            buf[pos] = first | value
            return pos + 1
        if value < 256:
            buf[pos] = first | 24
            buf[pos + 1] = value
            return pos + 2
        if value < 65536:
            buf[pos] = first | 25
            buf[pos + 1] = value >> 8
            buf[pos + 2] = value & 255
            return pos + 3
        # Halves, because 2^30 and more would be objects on a 32-bit chip.
        high = value >> 16
        if high < 65536:
            buf[pos] = first | 26
            end = pos + 5
        elif high < 1 << 48:
            buf[pos] = first | 27
            buf[pos + 1] = high >> 40
            buf[pos + 2] = high >> 32 & 255
            buf[pos + 3] = high >> 24 & 255
            buf[pos + 4] = high >> 16 & 255
            end = pos + 9
        else:
            raise WireError("out_of_range")
        buf[end - 4] = high >> 8 & 255
        buf[end - 3] = high & 255
        buf[end - 2] = value >> 8 & 255
        buf[end - 1] = value & 255
        return end
    except IndexError:
        raise WireError("too_long")


def put_int(buf, pos, value):
    """Write an integer of -2^64..2^64-1; returns the position after it. Errors as `put_head`."""
    if value < 0:
        return put_head(buf, pos, 1, -1 - value)
    return put_head(buf, pos, 0, value)


def put_bytes(buf, pos, data):
    """Write a byte string; returns the position after it. WireError too_long where `buf` ends before."""
    pos = put_head(buf, pos, 2, len(data))
    return put_raw(buf, pos, data)


def put_raw(buf, pos, data):
    """Copy `data` as it is; returns the position after it. WireError too_long where `buf` ends before."""
    if len(data) > len(buf) - pos:
        raise WireError("too_long")
    # A slice assignment would allocate its slice object.
    for byte in data:
        buf[pos] = byte
        pos += 1
    return pos


def head_len(value):
    """Bytes of the head with argument `value`; those of the integer `value` too, if it is not negative."""
    return 1 if value < 24 else 2 if value < 256 else 3 if value < 65536 else 5 if value >> 16 < 65536 else 9


def encode(obj):
    """The deterministic encoding of int, bytes, str, list, tuple, bool, None or dict with int keys.

    WireError: not_encodable (another type, float included), out_of_range, too_deep.
    """
    size = 64
    while True:
        buf = bytearray(size)
        try:
            return bytes(memoryview(buf)[: _put(buf, 0, obj, _DEPTH)])
        except WireError as e:
            if e.args[0] != "too_long":
                raise
        size *= 4


def _put(buf, pos, obj, depth):
    if obj is None or obj is True or obj is False:
        return put_head(buf, pos, 7, 22 if obj is None else 21 if obj else 20)
    if isinstance(obj, int):
        return put_int(buf, pos, obj)
    if isinstance(obj, (bytes, bytearray, memoryview)):
        return put_bytes(buf, pos, obj)
    if isinstance(obj, str):
        obj = obj.encode()
        return put_raw(buf, put_head(buf, pos, 3, len(obj)), obj)
    is_map = isinstance(obj, dict)
    if not is_map and not isinstance(obj, (list, tuple)):
        raise WireError("not_encodable")
    if not depth:
        raise WireError("too_deep")
    pos = put_head(buf, pos, 5 if is_map else 4, len(obj))
    for item in _in_order(obj) if is_map else obj:
        pos = _put(buf, pos, item, depth - 1)
        if is_map:
            pos = _put(buf, pos, obj[item], depth - 1)
    return pos


def _in_order(keys):
    # Bytewise order of integer keys: 0, 1, 2 ..., then -1, -2 ...
    for key in keys:
        if key is True or key is False or not isinstance(key, int):
            raise WireError("not_encodable")
    found = sorted(keys)
    return [key for key in found if key >= 0] + [key for key in reversed(found) if key < 0]


# Callers check what they got; to a type checker it is anything (there is no typing to import the name from).
def decode(data, start=0, end=None, max_depth=4, max_items=256) -> "Any":  # noqa: F821  # pyright: ignore[reportUndefinedVariable] - see above
    """The one item that fills `data[start:end]`: int, bytes, str, list, dict, bool or None.

    Anything but the deterministic encoding of one item is a WireError and nothing else. At most
    `max_items` items (map keys count) in `max_depth` nested arrays and maps; time and memory are
    linear in the length of the data.
    """
    if end is None:
        end = len(data)
    state = [start, max_items]
    obj = _item(data, end, state, max_depth)
    if state[0] != end:
        raise WireError("trailing")
    return obj


def _argument(data, end, state, first):
    """The argument behind the head byte `first`, in 1, 2, 4 or 8 bytes from state[0] on."""
    info = first & 31
    if info > 27:
        # 31 starts an indefinite string, array or map; the rest is ill-formed.
        raise WireError("indefinite" if info == 31 and first > 0x40 else "reserved")
    pos = state[0]
    size = 1 << info - 24
    if size > end - pos:
        raise WireError("truncated")
    value = 0
    for i in range(size):
        value = value << 8 | data[pos + i]
    if value < 24 or (size > 1 and not value >> (size << 2)):
        raise WireError("not_canonical")
    state[0] = pos + size
    return value


def _item(data, end, state, depth):
    pos = state[0]
    if pos >= end:
        raise WireError("truncated")
    if not state[1]:
        raise WireError("too_many")
    state[1] -= 1
    first = data[pos]
    pos += 1
    state[0] = pos
    major = first >> 5
    if major > 5:
        return _special(first)
    value = first & 31
    if value > 23:
        value = _argument(data, end, state, first)
        pos = state[0]
    if major < 2:
        return -1 - value if major else value
    if value > end - pos:  # each element takes at least one byte
        raise WireError("truncated")
    if major < 4:
        state[0] = pos + value
        found = bytes(data[pos : pos + value])
        return _text(found) if major == 3 else found
    if not depth:
        raise WireError("too_deep")
    if major == 4:
        return [_item(data, end, state, depth - 1) for _ in range(value)]
    return _map(data, end, state, depth - 1, value)


def _map(data, end, state, depth, pairs):
    found = {}
    last = b""
    for _ in range(pairs):
        pos = state[0]
        key = _item(data, end, state, 0)
        if data[pos] >> 5 > 1:
            raise WireError("bad_key")
        raw = bytes(data[pos : state[0]])
        if raw <= last:
            raise WireError("duplicate_key" if raw == last else "unsorted")
        last = raw
        found[key] = _item(data, end, state, depth)
    return found


def _special(byte):
    if byte < 0xE0:
        raise WireError("tag_not_allowed")
    if byte == 0xF4 or byte == 0xF5:
        return byte == 0xF5
    if byte == 0xF6:
        return None
    if byte < 0xF9:
        raise WireError("simple_not_allowed")
    if byte < 0xFC:
        raise WireError("float_not_allowed")
    raise WireError("indefinite" if byte == 0xFF else "reserved")


def _text(raw):
    # MicroPython's own check passes overlong forms and surrogates: RFC 3629 section 4 by hand.
    need = 0
    low = 0x80
    high = 0xBF
    for byte in raw:
        if need:
            if not low <= byte <= high:
                raise WireError("bad_utf8")
            need -= 1
            low = 0x80
            high = 0xBF
        elif byte >= 0x80:
            if not 0xC2 <= byte <= 0xF4:
                raise WireError("bad_utf8")
            need = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
            if byte == 0xE0:
                low = 0xA0
            elif byte == 0xED:
                high = 0x9F
            elif byte == 0xF0:
                low = 0x90
            elif byte == 0xF4:
                high = 0x8F
    if need:
        raise WireError("bad_utf8")
    return str(raw, "utf-8")
