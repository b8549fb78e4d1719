"""The field table for hosts: rows, their compiled form, payload bytes to readings. No device carries this."""

from firmware.protocols import cbor, schema
from firmware.protocols.cbor import WireError
from firmware.protocols.schema import common

_KINDS = {"vector": 1, "bytes": 2, "reserved": 3}
_WIDE = 4  # upper bound from 2^30 up; the word holds its high bits, `hi` >> 16

# The most that a payload can hold: type, pairs, and a vector of 24 in each of the 24 keys.
_MAX_ITEMS = 640

_tables = {}


def _module(mtype):
    return __import__("firmware.protocols.schema." + schema.TYPES[mtype][1], None, None, ["ROWS"])


def rows(mtype):
    """See `schema.rows`."""
    module = _module(mtype)
    return common.ROWS + module.ROWS + ((common.PAD_ROW,) if module.LENGTHS[0] else ())


def index(mtype, name):
    """See `schema.index`."""
    for row in rows(mtype):
        if row[1] == name:
            return row[0]
    raise KeyError(name)


def compiled(mtype):
    """The words of `schema.message` as a list."""
    lengths = _module(mtype).LENGTHS
    words = [mtype, 0, 0, lengths[0], lengths[1], 3]
    for row in rows(mtype):
        key, lo, hi, privacy = row[0], row[5], row[6], row[7]
        if key == schema.PAD:
            continue
        kind = _KINDS.get(row[2], 0)
        if hi >> 30:
            kind = _WIDE
            hi >>= 16
        words += [key | privacy << 5 | kind << 8, lo if kind == 2 else -lo, hi]
        words[2] |= privacy & 1
        if not kind and key:  # only one of the two times
            words[5] += _longest(words, len(words) - 3)
    words[1] = len(words)
    rest = 0
    for at in range(len(words) - 3, schema.HEADER, -3):
        if words[at] >> 8:
            words[at] |= rest << 12
        else:
            rest += _longest(words, at)
    return words


def _longest(words, at):
    return 1 + max(cbor.head_len(words[at + 2]), cbor.head_len(words[at + 1] - 1))


def _table(mtype):
    found = _tables.get(mtype)
    if found is None:
        found = {}
        for row in rows(mtype):
            if row[2] != "reserved" and row[0] != schema.PAD:
                found[row[0]] = row
        _tables[mtype] = found
    return found


def decode(payload):
    """See `codec.decode`."""
    parts = cbor.decode(payload, 0, None, 3, _MAX_ITEMS)
    if not isinstance(parts, list) or len(parts) != 2:
        raise WireError("wrong_shape")
    mtype, pairs = parts
    if not _is_int(mtype) or not isinstance(pairs, dict):
        raise WireError("wrong_shape")
    if mtype not in schema.TYPES:
        raise WireError("unknown_type")
    if 0 in pairs and 1 in pairs:
        raise WireError("time_twice")
    message = schema.message(mtype)
    if message[4]:
        _check_pad(len(payload), (message[3], message[4]), pairs)
    found = {}
    table = _table(mtype)
    for key, value in pairs.items():
        row = table.get(key)
        if row is None:
            raise WireError("unknown_key")
        found[row[1]] = _field(row, value)
    return mtype, found


def _is_int(value):
    return isinstance(value, int) and value is not True and value is not False


def _field(row, value):
    shape, lo, hi = row[2], row[5], row[6]
    if shape == "vector":
        return _vector(value, lo, hi)
    if shape == "bytes":
        if not isinstance(value, bytes):
            raise WireError("wrong_shape")
        size = len(value)
    else:
        size = value
    if not _is_int(size):
        raise WireError("wrong_shape")
    if not lo <= size <= hi:
        raise WireError("out_of_range")
    return value


def _vector(values, lo, hi):
    if not isinstance(values, list):
        raise WireError("wrong_shape")
    if not 1 <= len(values) <= schema.MAX_COUNT:
        raise WireError("out_of_range")
    found = []
    last = 0
    for step in values:
        if not _is_int(step):
            raise WireError("wrong_shape")
        last += step
        if not lo <= last <= hi:
            raise WireError("out_of_range")
        found.append(last)
    return found


def _check_pad(size, lengths, pairs):
    # Deterministic order puts key 23 last: it is the greatest key that a message may have.
    pad = pairs.pop(schema.PAD, None)
    if isinstance(pad, list) and len(pad) == 1 and isinstance(pad[0], bytes) and len(pad[0]) == 23:
        pad = pad[0]
    if not isinstance(pad, bytes) or any(pad) or size not in lengths:
        raise WireError("bad_pad")
