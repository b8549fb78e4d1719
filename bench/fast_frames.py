"""Captures of a city for the benches of decoding: pcap with LoRaTap headers of version 0, many devices in turn.

Made from the specification with pyca/cryptography and hashlib, so that nothing measured makes its own input.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from host_tools.lorawan.keysfile import Keys, Session
from provisioning.keyring import Keyring
from provisioning.record import KeyRecord, pins

TENANT = bytes.fromhex("ff11223344556677")
START_S = 1_790_000_000
_ALGS = {"mac0": (4, 17), "encrypt0": (10, 16), "sign1": (-19, 18)}
_TAP = struct.pack(">BBHIBBBBBbB", 0, 0, 15, 868100000, 1, 9, 69, 0, 0, 20, 0x34)


def _key(label: str, number: int, length: int) -> bytes:
    return hashlib.sha256(b"%s %d" % (label.encode(), number)).digest()[:length]


class _Device:
    def __init__(self, number: int, profile: str) -> None:
        self.number, self.profile = number, profile
        self.device = bytes.fromhex("70b3d57e") + number.to_bytes(4, "big")
        self.addr = 0x26000000 + number
        self.seed = Ed25519PrivateKey.from_private_bytes(_key("seed", number, 32))
        self.public = self.seed.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.mac_key, self.enc_key = _key("mac", number, 32), _key("enc", number, 16)
        self.leaf, self.nwk, self.app = (
            _key("leaf", number, 32),
            _key("nwk", number, 16),
            _key("app", number, 16),
        )
        alg, tag = _ALGS[profile]
        # The head of ext_aad and, behind it, the number.
        self._aad = b"\x89" + b"".join(cbor2.dumps(v) for v in (1, alg, tag, 0, TENANT, self.device, 1, 0))
        self._hmac = HMAC(self.mac_key, SHA256())
        self._ccm = AESCCM(self.enc_key, tag_length=8)
        self._cmac = CMAC(algorithms.AES(self.nwk))
        self._ecb = Cipher(algorithms.AES(self.app), modes.ECB()).encryptor()

    def record(self) -> KeyRecord:
        used = {"mac0": {"mac-up": self.mac_key}, "encrypt0": {"enc-up": self.enc_key}, "sign1": {}}
        keys = used[self.profile] | {"leaf": self.leaf}
        return KeyRecord(
            TENANT, self.device, f"bin-{self.number}", "bin", 1, self.profile, 0, 0, self.number >> 16 & 255,
            self.number & 0xFFFF or 1, self.public, pins(self.profile), keys=keys,
        )  # fmt: skip

    def cose(self, seq: int) -> bytes:
        n = seq * 7919 + self.number
        payload = cbor2.dumps(
            [
                3,
                {
                    0: 20_000_000 + 60 * seq,
                    2: 3000 + n % 600,
                    4: n % 101,
                    5: n % 20000,
                    8: n % 500 - 100,
                    9: n % 30,
                },
            ]
        )
        aad = self._aad + cbor2.dumps(seq)
        aad = b"\x58" + bytes((len(aad),)) + aad if len(aad) > 23 else bytes((0x40 + len(aad),)) + aad
        head = b"\x40\xa1\x06\x43" + seq.to_bytes(4, "big")[1:]
        body = cbor2.dumps(payload)
        if self.profile == "mac0":
            mac = self._hmac.copy()
            mac.update(b"\x84\x64MAC0\x40" + aad + body)
            return b"\x84" + head + body + b"\x48" + mac.finalize()[:8]
        if self.profile == "sign1":
            signature = self.seed.sign(b"\x84\x6aSignature1\x40" + aad + body)
            return b"\x84" + head + body + b"\x58\x40" + signature
        nonce = b"\x01" + self.device + seq.to_bytes(4, "big")
        sealed = self._ccm.encrypt(nonce, payload, b"\x83\x68Encrypt0\x40" + aad)
        return b"\x83" + head + cbor2.dumps(sealed)

    def link(self, seq: int) -> bytes:
        n = self.number
        head = struct.pack(">BBBHH", 0xE0, 10, n >> 16 & 255, n & 0xFFFF or 1, seq & 0xFFFF)
        return head + self.cose(seq)

    def lorawan(self, seq: int) -> bytes:
        body = self.cose(seq)
        where = struct.pack("<IIB", self.addr, seq, 0)
        blocks = b"".join(b"\x01\0\0\0\0\0" + where + bytes((i,)) for i in range(1, -(-len(body) // 16) + 1))
        stream = self._ecb.update(blocks)[: len(body)]
        sealed = (int.from_bytes(body, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(body), "big")
        frame = b"\x40" + struct.pack("<IBH", self.addr, 0x80, seq & 0xFFFF) + b"\x0a" + sealed
        mac = self._cmac.copy()
        mac.update(b"\x49\0\0\0\0\0" + where + bytes((len(frame),)) + frame)
        return frame + mac.finalize()[:4]


class City:
    """devices of one profile that send in turn. tampered: the share of frames with one bit turned over."""

    def __init__(self, profile: str, devices: int = 1000) -> None:
        self.devices = [_Device(n + 1, profile) for n in range(devices)]

    def keyrings(self) -> list[Keyring]:
        return [Keyring("reader", TENANT, [d.record() for d in self.devices])]

    def keys(self) -> Keys:
        return Keys((), [Session(d.addr, d.nwk, d.app, d.device) for d in self.devices])

    def frames(self, count: int, carrier: str, tampered: float = 0.0, first: int = 0) -> Iterator[bytes]:
        dice = random.Random(4)
        several = len(self.devices)
        for n in range(first, first + count):
            seq, which = divmod(n, several)
            device = self.devices[which]
            frame = device.link(seq + 1) if carrier == "link" else device.lorawan(seq + 1)
            if tampered and dice.random() < tampered:
                changed = bytearray(frame)
                changed[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
                frame = bytes(changed)
            yield frame

    def capture(self, path: Path, count: int, carrier: str, tampered: float = 0.0, first: int = 0) -> Path:
        """Write a capture of `count` frames from number `first` on."""
        with path.open("wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 270))
            for n, frame in enumerate(self.frames(count, carrier, tampered, first), first):
                size = len(_TAP) + len(frame)
                out.write(
                    struct.pack("<IIII", START_S + n // 100, n % 100 * 10000, size, size) + _TAP + frame
                )
        return path

    def wireshark(self, folder: Path) -> None:
        """The keys as tshark 4.0 takes them: DevAddr as on the air, NwkSKey, AppSKey, any JoinEUI."""
        lines = [
            f'"{d.addr.to_bytes(4, "little").hex()}","{d.nwk.hex()}","{d.app.hex()}","0000000000000000"'
            for d in self.devices
        ]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "encryption_keys_lorawan").write_text("\n".join(lines) + "\n")


def summary(found: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in found.items())
