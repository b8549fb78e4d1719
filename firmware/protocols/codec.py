"""Readings to payload bytes, from the field table: det([message type, {key: value, ...}]).

The inner loop is viper: an encoding costs about as much as one SHA-256 of 40 bytes, as bytecode it was
four times that. It runs as ordinary Python where there is no viper.
"""

from firmware.protocols.cbor import WireError, head_len, put_bytes, put_head, put_int
from firmware.protocols.compat import const, micropython
from firmware.protocols.schema import HEADER, MAX_COUNT, load

if not hasattr(micropython, "heap_lock"):  # CPython: what viper casts would do to a buffer

    def ptr8(buf):
        return buf

    ptr32 = ptr8

_PAD_HEAD = const(0x17)  # key 23
_GAP = const(26)  # no byte string item is 25 bytes long: 1 + 23, then 2 + 24

_ABSENT = None
_ZERO = 0
# -2^30: the bits that no non-negative small integer of a 32-bit chip has. Written so that no step of making
# it is an object: `value & high` would allocate with one.
_HIGH = -0x20000000 * 2


@micropython.viper
def _encode(b, start: int, message, values) -> int:
    # A viper int is cut to the machine word without a word: what `high` is compared with is the object
    # itself, so that 2^32 + 5 is not taken for 5. Asking for the length of `b` would cost more than two
    # fields, so a read at the far end proves the room (IndexError).
    absent = _ABSENT
    high = _HIGH
    buf = ptr8(b)
    table = ptr32(message)
    last = table[1]
    if start < 0:
        raise WireError("too_long")
    b[start + table[5] - 1]
    pos = start + 3
    pairs = 0xA0
    at = 6
    for value in values:
        if at >= last:
            raise WireError("wrong_shape")
        if value or value is not absent:
            key = table[at]
            pairs += 1
            if key == 1 and pairs == 0xA2:
                raise WireError("time_twice")
            if key > 255:
                pos = int(_special(b, pos, value, key, table[at + 1], table[at + 2]))
                b[pos - 1 + (key >> 12)]
            else:
                x = int(value)
                if x + table[at + 1] < 0 or x > table[at + 2]:
                    raise WireError("out_of_range")
                major = 0
                if value & high:
                    if value < high or value > _ZERO:
                        raise WireError("out_of_range")
                    x = -1 - x
                    major = 0x20
                buf[pos] = key & 31
                pos += 1
                if x < 24:
                    buf[pos] = major | x
                    pos += 1
                elif x < 256:
                    buf[pos] = major | 0x18
                    buf[pos + 1] = x
                    pos += 2
                elif x < 65536:
                    buf[pos] = major | 0x19
                    buf[pos + 1] = x >> 8
                    buf[pos + 2] = x & 255
                    pos += 3
                else:
                    buf[pos] = major | 0x1A
                    buf[pos + 1] = x >> 24
                    buf[pos + 2] = x >> 16 & 255
                    buf[pos + 3] = x >> 8 & 255
                    buf[pos + 4] = x & 255
                    pos += 5
        at += 3
    if at != last:
        raise WireError("wrong_shape")
    buf[start] = 0x82
    buf[start + 1] = table[0]
    buf[start + 2] = pairs
    return -pos if table[4] else pos


def _special(buf, pos, value, key, low, hi):
    kind = key >> 8 & 15
    pos = put_int(buf, pos, key & 31)
    if kind == 1:
        return _vector(buf, pos, value, -low, hi)
    if kind == 2:
        if not low <= len(value) <= hi:
            raise WireError("out_of_range")
        return put_bytes(buf, pos, value)
    if kind == 3:
        raise WireError("unknown_key")
    # `hi` << 16 would be an object; a part of the last step counts as one more.
    if value < -low or (value >> 16) + (1 if value & 65535 else 0) > hi:
        raise WireError("out_of_range")
    return put_int(buf, pos, value)


def _vector(buf, pos, values, lo, hi):
    if not 1 <= len(values) <= MAX_COUNT:
        raise WireError("out_of_range")
    pos = put_head(buf, pos, 4, len(values))
    last = 0
    for value in values:
        if not lo <= value <= hi:
            raise WireError("out_of_range")
        pos = put_int(buf, pos, value - last)
        last = value
    return pos


@micropython.native
def encode_into(buf, pos, message, values, clear=False, room=255):
    """Write the payload of one reading into the bytearray `buf` from `pos` on; returns its end.

    `message` comes from `schema.message`; `values` holds a scaled integer (a list of them for a vector,
    bytes for a byte string) at the place of each key, None where nothing was measured: see `blank`.
    `clear`: the frame will be readable by others, fields of class 1 are refused. `room`: the bytes that the
    carrier has for the payload; a message of fixed length takes the largest of its lengths within.
    Allocates nothing (bundle hashes, vectors and integers below 2^30 included).

    WireError: out_of_range, wrong_shape, time_twice, class1_in_clear, unknown_key (reserved), too_long;
    `buf` then holds part of the payload.
    """
    try:
        if clear:
            _refuse_class1(message, values)
        end = _encode(buf, pos, message, values)
        if end < 0:
            return _pad(buf, pos, -end, message, room)
        return end
    except IndexError:
        raise WireError("too_long")
    except (TypeError, ValueError):  # a float, a text
        raise WireError("wrong_shape")


def _refuse_class1(message, values):
    for i in range(len(values)):
        if values[i] is not None and message[HEADER + 3 * i] & 32:
            raise WireError("class1_in_clear")


def _pad(buf, start, pos, message, room):
    length = message[4] if room >= message[4] else message[3]
    rest = length - (pos - start)
    if rest < 2 or length > room:
        raise WireError("too_long")
    buf[start + 2] += 1
    pos = put_int(buf, pos, 23)
    if rest == _GAP:
        pos = put_head(buf, pos, 4, 1)
        zeros = 23
    else:
        zeros = rest - (2 if rest < _GAP else 3)
    pos = put_head(buf, pos, 2, zeros)
    if pos + zeros > len(buf):
        raise WireError("too_long")
    for _ in range(zeros):
        buf[pos] = 0
        pos += 1
    return pos


def blank(message):
    """A list of values for `encode_into` in which nothing was measured; the place of a field is its key."""
    return [None] * ((message[1] - HEADER) // 3)


def max_len(message):
    """Bytes of the longest payload of a message; `encode_into` asks for that much room in `buf`."""
    if message[4]:
        return message[4]
    total = message[5]
    for at in range(HEADER, message[1], 3):
        kind = message[at] >> 8 & 15
        hi = message[at + 2]
        if kind == 1:
            # Key, count, the first value, then differences of at most the range.
            total += 3 + MAX_COUNT * head_len(hi + message[at + 1])
        elif kind == 2:
            total += 1 + head_len(hi) + hi
        elif kind == 4:
            total += 6
    return total


def decode(payload):
    """(message type, {field name: scaled integer, list or bytes}) of a payload; for hosts.

    WireError for anything that `encode_into` cannot have written.
    """
    return load("reader").decode(payload)
