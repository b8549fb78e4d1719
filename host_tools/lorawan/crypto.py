"""AES of LoRaWAN: MICs, payload cipher, join accepts, session keys. TS001-1.0.4 sections 4.3.3, 4.4 and 6.2.

AES-CMAC is RFC 4493. All keys have 16 bytes. The functions of 1.1 are named so.
"""

from __future__ import annotations

import struct
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

UP, DOWN = 0, 1
_B0 = struct.Struct("<BIBIIBB")
_B1 = struct.Struct("<BHBBBIIBB")
_AI = struct.Struct("<BIBIIB")
_LAST = tuple(bytes((i,)) for i in range(256))


class Aes:
    """One key with its contexts: a copy of a made one costs a fifth of making it. repr shows no key."""

    __slots__ = ("_cmac", "_ecb", "key")

    def __init__(self, key: bytes) -> None:
        if len(key) != 16:
            raise ValueError("a LoRaWAN key has 16 bytes")
        self.key = key
        self._cmac: CMAC | None = None
        self._ecb: CipherContext | None = None

    def __repr__(self) -> str:
        return "Aes(...)"

    def cmac(self, message: bytes) -> bytes:
        if self._cmac is None:
            self._cmac = CMAC(algorithms.AES(self.key))
        context = self._cmac.copy()
        context.update(message)
        return context.finalize()

    def encrypt(self, blocks: bytes) -> bytes:
        """ECB of whole blocks."""
        if self._ecb is None:
            self._ecb = Cipher(algorithms.AES(self.key), modes.ECB()).encryptor()
        return self._ecb.update(blocks)


def data_mic(nwk: Aes, direction: int, dev_addr: int, fcnt: int, message: bytes) -> bytes:
    """MIC of a data frame without its own; fcnt: all 32 bits."""
    return nwk.cmac(_B0.pack(0x49, 0, direction, dev_addr, fcnt, 0, len(message)) + message)[:4]


def data_mic_up_11(
    forwarding: Aes,
    serving: Aes,
    dev_addr: int,
    fcnt: int,
    message: bytes,
    acked: int = 0,
    dr: int = 0,
    channel: int = 0,
) -> bytes:
    """MIC of an uplink of 1.1 (section 4.4): two bytes of each key. acked: 16 bits of the counter acknowledged."""
    b1 = _B1.pack(0x49, acked, dr, channel, UP, dev_addr, fcnt, 0, len(message))
    return serving.cmac(b1 + message)[:2] + data_mic(forwarding, UP, dev_addr, fcnt, message)[:2]


def crypt(key: Aes, direction: int, dev_addr: int, fcnt: int, body: bytes) -> bytes:
    """FRMPayload to clear and back. key: NwkSKey on port 0, else AppSKey."""
    size = len(body)
    if not size:
        return b""
    head = _AI.pack(1, 0, direction, dev_addr, fcnt, 0)
    if size <= 16:
        stream = key.encrypt(head + b"\x01")
    else:
        stream = key.encrypt(b"".join([head + _LAST[i] for i in range(1, (size + 15) // 16 + 1)]))
    return (int.from_bytes(body, "big") ^ int.from_bytes(stream[:size], "big")).to_bytes(size, "big")


def crypt_fopts_11(key: Aes, direction: int, dev_addr: int, fcnt: int, fopts: bytes) -> bytes:
    """FOpts of 1.1 to clear and back, as its section 4.3.1.6 has it: one block whose last byte is 0."""
    stream = key.encrypt(_AI.pack(1, 0, direction, dev_addr, fcnt, 0) + b"\x00")
    return bytes(a ^ b for a, b in zip(fopts, stream, strict=False))


def join_mic(app: Aes, message: bytes) -> bytes:
    """MIC of a join request, or of a join accept in clear with its MHDR, each without the MIC."""
    return app.cmac(message)[:4]


def join_accept_mic_11(js_int: Aes, join_type: int, join_eui: bytes, dev_nonce: int, message: bytes) -> bytes:
    """MIC of a join accept of 1.1 with OptNeg set (section 6.2.3). join_type: 0xFF after a join request."""
    head = bytes((join_type,)) + join_eui[::-1] + dev_nonce.to_bytes(2, "little")
    return js_int.cmac(head + message)[:4]


def open_join_accept(app: Aes, frame: bytes) -> bytes | None:
    """A join accept in clear, with its MIC and without MHDR; None when the MIC is not of this key.

    The network applies AES decryption, so that a device needs encryption only (section 6.2.6).
    """
    clear = app.encrypt(frame[1:])
    return clear if compare_digest(join_mic(app, frame[:1] + clear[:-4]), clear[-4:]) else None


def session_keys(app: Aes, join_nonce: int, net_id: int, dev_nonce: int) -> tuple[bytes, bytes]:
    """(NwkSKey, AppSKey) of 1.0.x."""
    rest = join_nonce.to_bytes(3, "little") + net_id.to_bytes(3, "little") + dev_nonce.to_bytes(2, "little")
    keys = app.encrypt(b"\x01" + rest + bytes(7) + b"\x02" + rest + bytes(7))
    return keys[:16], keys[16:]


def session_keys_11(
    nwk: Aes, app: Aes, join_nonce: int, join_eui: bytes, dev_nonce: int
) -> tuple[bytes, bytes, bytes, bytes]:
    """(FNwkSIntKey, SNwkSIntKey, NwkSEncKey, AppSKey) of 1.1 (section 6.2.3)."""
    rest = join_nonce.to_bytes(3, "little") + join_eui[::-1] + dev_nonce.to_bytes(2, "little") + bytes(2)
    three = nwk.encrypt(b"\x01" + rest + b"\x03" + rest + b"\x04" + rest)
    return three[:16], three[16:32], three[32:], app.encrypt(b"\x02" + rest)


def join_server_keys_11(nwk: Aes, dev_eui: bytes) -> tuple[bytes, bytes]:
    """(JSIntKey, JSEncKey) of 1.1 (section 6.1.1.4)."""
    rest = dev_eui[::-1] + bytes(7)
    keys = nwk.encrypt(b"\x06" + rest + b"\x05" + rest)
    return keys[:16], keys[16:]
