"""Link frames of private LoRa: LoRaWAN proprietary frames that name tenant, device and port.

MHDR 0xE0 | type | tenant tag | short address (2, big endian) | number (2, big endian) | body, on downlinks
followed by a 4-byte MAC under the link key. `type` is the port; bit 7 set means downlink. What is in the
header is a hint for routing: trust comes from the COSE frame in the body.
"""

from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const
from firmware.protocols.hmac256 import Hmac, equal

MHDR = const(0xE0)
HEADER = const(7)
MAC = const(4)  # more bytes, on downlinks
_DOWN = const(0x80)
_MAX = const(255)


def _pack(kind, tag, address, number, body, room):
    if not (0 <= tag < 256 and 0 <= address < 65536 and 0 <= number < 65536):
        raise WireError("out_of_range")
    if HEADER + len(body) + room > _MAX:
        raise WireError("too_long")
    out = bytearray(HEADER)
    out[0] = MHDR
    out[1] = kind
    out[2] = tag
    out[3] = address >> 8
    out[4] = address & 255
    out[5] = number >> 8
    out[6] = number & 255
    return bytes(out) + body


def _mac(frame, k_link):
    return Hmac(k_link).mac(b"LK1", frame)[:MAC]


def pack_up(port, tag, address, number, body):
    """An uplink of at most 255 bytes; `number` is the low 16 bits of the body's sequence number.

    WireError: out_of_range, too_long.
    """
    if not 0 <= port < _DOWN:
        raise WireError("out_of_range")
    return _pack(port, tag, address, number, body, 0)


def pack_down(port, tag, address, number, body, k_link):
    """A downlink with its MAC under the 16-byte link key; `number` is the gateway's. Errors as `pack_up`."""
    if not 0 <= port < _DOWN:
        raise WireError("out_of_range")
    frame = _pack(port | _DOWN, tag, address, number, body, MAC)
    return frame + _mac(frame, k_link)


def parse(frame):
    """(is_down, port, tag, address, number, body), body without the MAC, which is not checked here.

    WireError: not_link, truncated, too_long.
    """
    size = len(frame)
    if not size or frame[0] != MHDR:
        raise WireError("not_link")
    if size > _MAX:
        raise WireError("too_long")
    if size < HEADER:
        raise WireError("truncated")
    down = frame[1] >= _DOWN
    end = size
    if down:
        end -= MAC
        if end < HEADER:
            raise WireError("truncated")
    return (
        down,
        frame[1] & 127,
        frame[2],
        frame[3] << 8 | frame[4],
        frame[5] << 8 | frame[6],
        bytes(memoryview(frame)[HEADER:end]),
    )


def check_down(frame, k_link):
    """True when a downlink's MAC fits the link key."""
    end = len(frame) - MAC
    view = memoryview(frame)
    return end >= HEADER and frame[1] >= _DOWN and equal(_mac(view[:end], k_link), view[end:])
