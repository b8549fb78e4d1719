"""Devices that send, made from the text of the specification with cbor2, hashlib and pyca/cryptography only.

Nothing of firmware/ or host_tools/ is used, so that what it sends tests them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TENANT = bytes.fromhex("ff11223344556677")
ALGS = {"mac0": (4, 17), "encrypt0": (10, 16), "sign1": (-19, 18)}
PORTS = {0: 10, 1: 11, 2: 12, 3: 12, 4: 13}
START_US = 1_769_630_400_000_000  # 2026-01-28T20:00:00Z


def det(value: Any) -> bytes:
    return cbor2.dumps(value, canonical=True)


class Device:
    """One device in one epoch; `send` and `checkpoint` return link frames and move the chain on."""

    def __init__(
        self,
        profile: str,
        address: int = 1,
        *,
        name: str = "",
        kind: str = "bin",
        tenant: bytes = TENANT,
        tag: int = 0x77,
        epoch: int = 1,
        device: bytes = b"",
        secret: bytes = b"",
        seed: bytes = b"",
    ) -> None:
        self.profile, self.address, self.tag, self.kind = profile, address, tag, kind
        self.tenant, self.epoch = tenant, epoch
        self.device = device or bytes.fromhex("70b3d57ed000") + address.to_bytes(2, "big")
        self.name = name or f"{kind}-{address}"
        self.k_dev = secret or hashlib.sha256(b"k" + tenant + self.device + bytes((epoch,))).digest()
        self.signer = Ed25519PrivateKey.from_private_bytes(seed or hashlib.sha256(b"s" + self.k_dev).digest())
        self.public = self.signer.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.seq = 0
        self.h = hashlib.sha256(
            det(["LC1", tenant, self.device, epoch, hashlib.sha256(self.public).digest()])
        ).digest()[:16]
        self.n = 0
        self.pins = {0: profile, 1: "sign1", 2: "encrypt0" if profile == "encrypt0" else "mac0", 3: profile}

    def key(self, label: str) -> bytes:
        info = det(["lanterne/1", label, self.device, self.epoch])
        length = 16 if label[:3] == "enc" or label == "link" else 32
        return HKDF(algorithm=SHA256(), length=length, salt=self.tenant, info=info).derive(self.k_dev)

    def aad(self, purpose: int, seq: int, structure: str = "", direction: int = 0) -> bytes:
        alg, tag = ALGS[structure or self.pins[purpose]]
        return det([1, alg, tag, purpose, self.tenant, self.device, self.epoch, direction, seq])

    def cose(self, purpose: int, seq: int, payload: bytes, structure: str = "") -> bytes:
        structure = structure or self.pins[purpose]
        aad = self.aad(purpose, seq, structure)
        header = {6: (seq & 0xFFFFFF).to_bytes(3, "big")}
        if structure == "mac0":
            tag = hmac.digest(self.key("mac-up"), det(["MAC0", b"", aad, payload]), "sha256")[:8]
            return det([b"", header, payload, tag])
        if structure == "sign1":
            return det([b"", header, payload, self.signer.sign(det(["Signature1", b"", aad, payload]))])
        nonce = bytes((self.epoch & 255,)) + self.device + struct.pack(">I", seq)
        sealed = AESCCM(self.key("enc-up"), tag_length=8).encrypt(nonce, payload, det(["Encrypt0", b"", aad]))
        return det([b"", header, sealed])

    def link(self, port: int, number: int, body: bytes) -> bytes:
        return struct.pack(">BBBHH", 0xE0, port, self.tag, self.address, number & 0xFFFF) + body

    def leaf(self, purpose: int, seq: int, payload: bytes) -> bytes:
        r = hmac.digest(self.key("leaf"), struct.pack(">I", seq), "sha256")[:16]
        return hashlib.sha256(det(["LL1", self.aad(purpose, seq), payload, r])).digest()

    def seal(self, purpose: int, seq: int, payload: bytes) -> bytes:
        """A link frame under a number of the caller's choice, which leaves the chain as it is."""
        return self.link(PORTS[purpose], seq, self.cose(purpose, seq, payload))

    def send(self, payload: bytes = b"", purpose: int = 0) -> bytes:
        self.seq += 1
        payload = payload or self.reading(self.seq)
        self.h = hashlib.sha256(self.h + self.leaf(purpose, self.seq, payload)).digest()
        self.n += 1
        return self.seal(purpose, self.seq, payload)

    def reading(self, n: int) -> bytes:
        """A reading of this kind that tells its number."""
        time = 2_400_000 + 60 * n
        if self.kind == "lamp":
            return det([2, {0: time, 4: n % 101, 7: 400 + n % 50}])
        if self.kind == "leak":
            body = [4, {0: time, 4: 1000 + n, 5: n % 1000, 7: n % 3}]
            size = len(det(body))
            # 24 zeros and more take a head of two bytes; 26 is the shorter fixed length.
            return det([4, {**body[1], 23: bytes(26 - size - 2)}])  # type: ignore[dict-item]
        return det([3, {0: time, 2: 3300 + n % 100, 4: n % 101, 5: n % 20000}])

    def hello(self, last_seq: int = 0) -> bytes:
        return self.send(det([1, {4: 1, 5: 1, 6: last_seq, 7: bytes(8), 8: 0, 9: 0, 10: 0, 11: 0}]))

    def checkpoint_payload(self) -> bytes:
        self.seq += 1
        payload = det([self.n, self.h[:16]])
        self.h, self.n = self.h[:16], 0
        return payload

    def checkpoint(self) -> bytes:
        payload = self.checkpoint_payload()
        return self.seal(1, self.seq, payload)

    def fragments(self, size: int = 47) -> list[bytes]:
        """The next checkpoint as link frames of `size` bytes of body."""
        payload = self.checkpoint_payload()
        whole = self.cose(1, self.seq, payload)
        step = size - 3
        parts = [whole[i : i + step] for i in range(0, len(whole), step)]
        return [
            self.link(11, self.seq, struct.pack(">HB", self.seq & 0xFFFF, i << 4 | len(parts) - 1) + part)
            for i, part in enumerate(parts)
        ]

    def run(self, frames: int, every: int = 16, fragment: bool = False) -> list[bytes]:
        """`frames` readings with a checkpoint after each `every`."""
        found = []
        for _ in range(frames):
            found.append(self.send())
            if self.profile != "sign1" and self.n == every:
                found += self.fragments() if fragment else [self.checkpoint()]
        return found

    def record(self, **changes: Any) -> dict[str, Any]:
        """The key record of a reader (TRUST 13)."""
        up = {"mac0": "mac-up", "encrypt0": "enc-up", "sign1": "sign"}[self.profile]
        keys = {"leaf": self.key("leaf").hex()}
        if up != "sign":
            keys[up] = self.key(up).hex()
        rows = {n: (s, up if n in (0, 3) else "sign") for n, s in self.pins.items() if n != 2}
        found = {
            "tenant": self.tenant.hex(),
            "device": self.device.hex(),
            "name": self.name,
            "kind": self.kind,
            "epoch": self.epoch,
            "profile": self.profile,
            "header": "implicit",
            "gen": 0,
            "protection": 0,
            "status": "active",
            "link": {"tag": f"{self.tag:02x}", "address": self.address},
            "purposes": {str(n): {"structure": s, "alg": ALGS[s][0], "key": k} for n, (s, k) in rows.items()},
            "public_key": self.public.hex(),
            "keys": keys,
        }
        return {**found, **changes}


def keyring(path: Path, *devices: Device, **changes: Any) -> Path:
    """A reader's keyring file of some devices of one tenant; `changes` go into every record."""
    found = {
        "format": "lanterne-keyring/1",
        "role": "reader",
        "tenant": devices[0].tenant.hex(),
        "devices": [d.record(**changes) for d in devices],
    }
    path.write_text(json.dumps(found))
    path.chmod(0o600)
    return path


def capture(path: Path, frames: list[bytes], start_us: int = START_US, step_us: int = 1_000_000) -> Path:
    """A LoRaTap capture (version 0), one frame each `step_us`."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 270)]
    for i, frame in enumerate(frames):
        at = start_us + i * step_us
        tap = struct.pack(">BBHIBBBBBbB", 0, 0, 15, 869525000, 1, 9, 69, 0, 0, 20, 0x34)
        out.append(struct.pack("<IIII", at // 10**6, at % 10**6, 15 + len(frame), 15 + len(frame)))
        out.append(tap + frame)
    path.write_bytes(b"".join(out))
    return path
