"""LoRaWAN traffic for tests, made from the specification's text (TS001-1.0.4) with nothing of host_tools.lorawan.

The payload cipher is run as AES-CTR here, which it is a case of: 16 bytes whose last one counts from 1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from host_tools.frames import Frame

START_US = 1_790_000_000_000_000


def cmac(key: bytes, message: bytes) -> bytes:
    made = CMAC(algorithms.AES(key))
    made.update(message)
    return made.finalize()


def ecb(key: bytes, blocks: bytes, decrypt: bool = False) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.ECB())
    return (cipher.decryptor() if decrypt else cipher.encryptor()).update(blocks)


def crypted(key: bytes, down: int, addr: int, fcnt: int, body: bytes) -> bytes:
    start = b"\x01\0\0\0\0" + bytes((down,)) + struct.pack("<II", addr, fcnt) + b"\0\x01"
    return Cipher(algorithms.AES(key), modes.CTR(start)).encryptor().update(body)


def data_frame(
    addr: int,
    fcnt: int,
    nwk: bytes,
    app: bytes = b"",
    port: int | None = None,
    payload: bytes = b"",
    *,
    fopts: bytes = b"",
    down: bool = False,
    confirmed: bool = False,
    bits: int = 0,
) -> bytes:
    """bits: the upper half of FCtrl."""
    mtype = 2 + 2 * confirmed + down
    out = bytes((mtype << 5,)) + struct.pack("<I", addr) + bytes((bits << 4 | len(fopts),))
    out += struct.pack("<H", fcnt & 0xFFFF) + fopts
    if port is not None:
        out += bytes((port,)) + crypted(app if port else nwk, int(down), addr, fcnt, payload)
    b0 = b"\x49\0\0\0\0" + bytes((down,)) + struct.pack("<II", addr, fcnt) + b"\0" + bytes((len(out),))
    return out + cmac(nwk, b0 + out)[:4]


def request(app_key: bytes, join_eui: bytes, dev_eui: bytes, nonce: int) -> bytes:
    out = b"\0" + join_eui[::-1] + dev_eui[::-1] + struct.pack("<H", nonce)
    return out + cmac(app_key, out)[:4]


def accept(
    app_key: bytes,
    join_nonce: int,
    net_id: int,
    addr: int,
    cf_list: bytes = b"",
    settings: int = 0,
    delay: int = 1,
) -> bytes:
    clear = join_nonce.to_bytes(3, "little") + net_id.to_bytes(3, "little") + struct.pack("<I", addr)
    clear += bytes((settings, delay)) + cf_list
    return b"\x20" + ecb(app_key, clear + cmac(app_key, b"\x20" + clear)[:4], decrypt=True)


def derived(app_key: bytes, join_nonce: int, net_id: int, dev_nonce: int) -> tuple[bytes, bytes]:
    rest = join_nonce.to_bytes(3, "little") + net_id.to_bytes(3, "little") + struct.pack("<H", dev_nonce)
    nwk, app = (ecb(app_key, (bytes((n,)) + rest).ljust(16, b"\0")) for n in (1, 2))
    return nwk, app


def frame(data: bytes, time_s: float = 0) -> Frame:
    """time_s: seconds after START_US; below zero: no time."""
    return Frame(data, START_US + int(time_s * 1_000_000) if time_s >= 0 else 0)


@dataclass
class Node:
    """A device and its network, both honest."""

    number: int
    app_key: bytes = b""
    join_eui: bytes = bytes.fromhex("70b3d57ed0000001")
    net_id: int = 0x13
    nonce: int = 0
    join_nonce: int = 0
    addr: int = 0
    nwk: bytes = b""
    app: bytes = b""
    up: int = 0
    down: int = 0
    dev_eui: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.dev_eui = bytes.fromhex("70b3d57ed1") + self.number.to_bytes(3, "big")
        self.app_key = self.app_key or cmac(bytes(16), b"AppKey%d" % self.number)

    def personal(self, addr: int) -> Node:
        """Personalised: keys and address without a join."""
        self.addr = addr
        self.nwk, self.app = cmac(self.app_key, b"nwk"), cmac(self.app_key, b"app")
        return self

    def ask(self) -> bytes:
        self.nonce += 1
        return request(self.app_key, self.join_eui, self.dev_eui, self.nonce)

    def answer(self, addr: int, nonce: int | None = None, settings: int = 0) -> bytes:
        """Of the network, to the last request or to another; the session begins."""
        self.join_nonce += 1
        self.addr, self.up, self.down = addr, 0, 0
        asked = self.nonce if nonce is None else nonce
        self.nwk, self.app = derived(self.app_key, self.join_nonce, self.net_id, asked)
        return accept(self.app_key, self.join_nonce, self.net_id, addr, settings=settings)

    def send(self, payload: bytes = b"", port: int | None = 10, fopts: bytes = b"", bits: int = 8) -> bytes:
        made = data_frame(self.addr, self.up, self.nwk, self.app, port, payload, fopts=fopts, bits=bits)
        self.up += 1
        return made

    def order(self, payload: bytes = b"", port: int | None = 12, fopts: bytes = b"") -> bytes:
        made = data_frame(self.addr, self.down, self.nwk, self.app, port, payload, fopts=fopts, down=True)
        self.down += 1
        return made
