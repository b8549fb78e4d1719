# The C module under the frozen `onewire`: a request is a reset, or the slots of a bit or a byte.
import _vb as b


def _go(pin, x):
    b.charge(b.cfg[2])
    return b.call(49, pin.n, x)[0]


def reset(pin):
    return _go(pin, 0) > 0


def readbit(pin):
    return _go(pin, 257)


def readbyte(pin):
    return _go(pin, 264)


def writebit(pin, v):
    _go(pin, 513 | (1 if v else 0) << 16)


def writebyte(pin, v):
    _go(pin, 520 | (v & 255) << 16)


def crc8(data):
    # Maxim's: x^8 + x^5 + x^4 + 1, least bit first.
    r = 0
    for v in data:
        r ^= v
        for _ in range(8):
            r = r >> 1 ^ (0x8C if r & 1 else 0)
    return r
