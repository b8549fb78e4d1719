"""What a gateway tells the store about one frame, and what the store answers; deterministic CBOR.

Record: [1, EUI, boot, number, time_ms, quality, rx_us, freq_hz, sf, bw_hz, rssi_dbm, snr_qdb, frame].
Answer: [2, number, [[tag, address, port, body, window], ...]]. On a stream each has two length bytes,
big endian, before it. (gateway, boot, number) names a record for ever; nothing in it is trusted more
than the gateway is.
"""

from firmware.protocols.cbor import WireError, decode, encode

# Bounds of the integers of a record, from `boot` to `snr_qdb`; rx_us is the 32-bit microsecond counter.
_LOW = (0, 0, 0, 0, 0, 1, 5, 1, -200, -200)
_HIGH = (0xFFFFFFFF, 0xFFFFFFFF, 1 << 48, 3, 0xFFFFFFFF, 3000000000, 12, 1000000, 50, 200)


def _check(values, low, high):
    for i in range(len(low)):
        if type(values[i]) is not int:
            raise WireError("wrong_shape")
        if not low[i] <= values[i] <= high[i]:
            raise WireError("out_of_range")


def _blob(value, low, high):
    if not isinstance(value, (bytes, bytearray, memoryview)) or not low <= len(value) <= high:
        raise WireError("wrong_shape")


def pack(eui, boot, number, time_ms, quality, rx_us, freq_hz, sf, bw_hz, rssi_dbm, snr_qdb, frame):
    """A record. `time_ms`: ms since the wire epoch at the end of reception, 0 unknown; `quality` 0..3 of
    that clock; `snr_qdb` in quarters of a dB; `frame` 1..255 bytes as heard. WireError."""
    fields = (boot, number, time_ms, quality, rx_us, freq_hz, sf, bw_hz, rssi_dbm, snr_qdb)
    _check(fields, _LOW, _HIGH)
    _blob(eui, 8, 8)
    _blob(frame, 1, 255)
    return encode((1, eui) + fields + (frame,))


def parse(data):
    """The 12 fields of a record after its leading 1. WireError."""
    items = decode(data, 0, None, 1, 14)
    if not isinstance(items, list) or len(items) != 13 or items[0] != 1:
        raise WireError("wrong_shape")
    _blob(items[1], 8, 8)
    _check(items[2:12], _LOW, _HIGH)
    _blob(items[12], 1, 255)
    return tuple(items[1:])


def _downlinks(rows):
    if len(rows) > 8:
        raise WireError("too_many")
    for row in rows:
        if not isinstance(row, (list, tuple)) or len(row) != 5:
            raise WireError("wrong_shape")
        _check(row, (0, 0, 0), (255, 65535, 127))
        _blob(row[3], 1, 244)
        _check(row[4:], (0,), (1,))
    return rows


def pack_answer(number, downlinks):
    """An answer to record `number` with up to 8 downlinks (tag, address, port, body, window).

    `window` 1: one second after the end of that record's frame; 0: now. WireError.
    """
    _check((number,), (0,), (0xFFFFFFFF,))
    return encode((2, number, _downlinks(downlinks)))


def parse_answer(data):
    """(number, [[tag, address, port, body, window], ...]). WireError."""
    items = decode(data, 0, None, 3, 52)
    if not isinstance(items, list) or len(items) != 3 or items[0] != 2 or not isinstance(items[2], list):
        raise WireError("wrong_shape")
    _check(items[1:2], (0,), (0xFFFFFFFF,))
    return items[1], _downlinks(items[2])


def prefixed(data):
    """`data` as it goes on a stream."""
    return bytes((len(data) >> 8, len(data) & 255)) + data
