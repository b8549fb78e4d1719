"""AES-CCM-16-64-128 (COSE algorithm 10, RFC 9053 section 4.2): AES-128, 13-byte nonce, 8-byte tag.

RFC 3610 with L = 2, M = 8. The key stream is one ECB call over the counter blocks and the tag one CBC call
over the formatted blocks, so the loop over blocks runs in the interpreter's C code.
"""

from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const
from firmware.protocols.hmac256 import equal

_ECB = const(1)
_CBC = const(2)
_TAG = const(8)

try:
    from cryptolib import aes  # type: ignore[assignment] - the class below has the same calls
except ImportError:  # CPython
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    class aes:  # noqa: N801 - stands in for MicroPython's cryptolib.aes
        def __init__(self, key, mode, iv=b""):
            cipher = Cipher(algorithms.AES(key), modes.CBC(iv) if mode == _CBC else modes.ECB())
            self._context = cipher.encryptor()

        def encrypt(self, data, out):
            out[:] = self._context.update(data)


def _stream(key, nonce, length):
    # RFC 3610 2.3: A_n = flags (L - 1) || nonce || n; S_0 covers the tag, S_1.. the text.
    if len(key) != 16 or len(nonce) != 13:
        raise ValueError("key or nonce length")
    if length > 0xFFFF:
        raise WireError("too_long")
    stream = bytearray((length + 31) // 16 * 16)
    for i in range(0, len(stream), 16):
        stream[i] = 1
        stream[i + 1 : i + 14] = nonce
        stream[i + 14] = i >> 12
        stream[i + 15] = (i >> 4) & 255
    aes(key, _ECB).encrypt(stream, stream)
    return stream


def _mac(key, nonce, aad, text):
    # RFC 3610 2.2: B_0 = flags || nonce || length; length and bytes of the aad; the text; each zero-padded.
    n = len(aad)
    if n >= 0xFF00:
        raise WireError("too_long")
    start = 16 + ((n + 17) // 16 * 16 if n else 0)
    m = bytearray(start + (len(text) + 15) // 16 * 16)
    m[0] = 0x59 if n else 0x19
    m[1:14] = nonce
    m[14] = len(text) >> 8
    m[15] = len(text) & 255
    if n:
        m[16] = n >> 8
        m[17] = n & 255
        m[18 : 18 + n] = aad
    m[start : start + len(text)] = text
    aes(key, _CBC, bytes(16)).encrypt(m, m)
    return memoryview(m)[-16 : _TAG - 16]


def _xor(stream, start, data):
    for i in range(len(data)):
        stream[start + i] ^= data[i]


def seal(key, nonce, aad, plaintext):
    """Ciphertext || 8-byte tag. No two texts may share (key, nonce): the caller's counter sees to it.

    ValueError when the key is not 16 or the nonce not 13 bytes; WireError("too_long") above 65535 bytes of
    text or 65279 of aad.
    """
    n = len(plaintext)
    stream = _stream(key, nonce, n)
    _xor(stream, 16, plaintext)
    _xor(stream, 0, _mac(key, nonce, aad, plaintext))
    return bytes(stream[16 : 16 + n]) + bytes(stream[:_TAG])


def open(key, nonce, aad, sealed):
    """The plaintext; WireError("bad_tag") when an input differs from what was sealed or `sealed` is short."""
    n = len(sealed) - _TAG
    if n < 0:
        raise WireError("bad_tag")
    view = memoryview(sealed)
    stream = _stream(key, nonce, n)
    _xor(stream, 16, view[:n])
    text = bytes(memoryview(stream)[16 : 16 + n])
    _xor(stream, 0, _mac(key, nonce, aad, text))
    if not equal(memoryview(stream)[:_TAG], view[n:]):
        raise WireError("bad_tag")
    return text
