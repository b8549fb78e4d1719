"""What keyrings and LoRaWAN keys say, as arrays. Only what is beyond doubt is here: for the rest, as devices of
two tenants with one EUI, or a DevAddr with two sessions, the careful path decides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from firmware.protocols import cose
from host_tools import carried
from host_tools.fast import blocks
from host_tools.fast.careful import Careful
from host_tools.lorawan.crypto import Aes
from host_tools.lorawan.keysfile import Keys, Session
from host_tools.lorawan.sessions import FIRST_BANDS
from host_tools.verdict import UP
from host_tools.view import Epoch
from provisioning.record import STRUCTURES

Array = np.ndarray[Any, Any]

PURPOSES = 11
# Heads of CBOR integers below 2^24: of how many bytes of the number the frame's own three are, see `tail`.
CLASSES = ((24, 1), (256, 1), (65536, 2), (1 << 24, 3))
PER_EPOCH = PURPOSES * len(CLASSES)
# Bands of 65536 counters in which a verified frame opens no band that is not open from the beginning.
BANDS = FIRST_BANDS - 1
_KEPT = 1 << 15
# In the place of a device: no epoch, direction or number looks like it.
_ANY = b"\xff" * 8


class Ring:
    """epochs: by device and epoch, which is the order of rows. kinds: COSE tag by epoch and purpose, 0 where
    that epoch refuses every frame of the purpose."""

    def __init__(self, careful: Careful, keys: Keys) -> None:
        known: dict[tuple[str, int], list[Epoch]] = {}
        for epoch in careful.epochs.values():
            known.setdefault((epoch.record.device.hex(), epoch.record.epoch), []).append(epoch)
        self.epochs = [known[k][0] for k in sorted(known) if len(known[k]) == 1]
        number = {e.key: n for n, e in enumerate(self.epochs)}
        self.kinds = np.zeros((len(self.epochs), PURPOSES), np.uint8)
        for n, epoch in enumerate(self.epochs):
            record = epoch.record
            for purpose, pin in record.purposes.items():
                if pin.key == "sign" or pin.key in record.keys:
                    self.kinds[n, purpose] = STRUCTURES[pin.structure]
        rows: list[list[int]] = []
        link, row_of = {}, {}
        for address, epochs in careful.candidates().items():
            if any(e.key not in number for e in epochs):
                continue
            row_of[address] = len(rows)
            rows.append([number[e.key] for e in epochs])
            if address[0] != carried.LORAWAN:
                link[address[0] << 16 | address[1]] = row_of[address]
        self.deep = max(map(len, rows), default=0)
        self.candidates = np.full((len(rows) + 1, self.deep + 1), -1, np.int32)
        for n, row in enumerate(rows):
            self.candidates[n, : len(row)] = row
        self._link = _Lookup(link)
        self.ciphers = blocks.Ciphers()
        self._prefixes: dict[int, Any] = {}
        self._structures: dict[tuple[Any, ...], tuple[bytes, bytes]] = {}
        self._sessions(keys, row_of)

    def _sessions(self, keys: Keys, row_of: dict[tuple[int, int], int]) -> None:
        by_addr: dict[int, list[Session]] = {}
        for given in keys.sessions:
            by_addr.setdefault(given.dev_addr, []).append(given)
        self.sessions: list[Session] = []
        self.nwk: list[Aes] = []
        rows: list[int] = []
        found: dict[int, int] = {}
        for addr, some in sorted(by_addr.items()):
            one = some[0]
            row = row_of.get((carried.LORAWAN, int.from_bytes(one.dev_eui, "big"))) if one.dev_eui else None
            if len(some) > 1 or row is None or not one.app_s_key or one.fcnt_up >> 16 >= BANDS:
                continue
            found[addr] = len(rows)
            rows.append(row)
            self.sessions.append(one)
            self.nwk.append(Aes(one.nwk_s_key))
        self._session = _Lookup(found)
        self.session_rows = np.array(rows, np.int64)
        self.bands = np.array([s.fcnt_up >> 16 for s in self.sessions], np.int64)
        made = b"".join(blocks.subkeys(s.nwk_s_key, self.ciphers) for s in self.sessions)
        self.subkeys = np.frombuffer(made, np.uint8).reshape(-1, 2, 16)

    def link_rows(self, addresses: Array) -> Array:
        """The row of `candidates` for tag << 16 | address; -1 none."""
        return self._link(addresses)

    def sessions_of(self, addresses: Array) -> Array:
        return self._session(addresses)

    # What is sealed with a frame

    def group(self, epochs: Array, purposes: Array, seqs: Array) -> Array:
        """Frames of one number here differ in the tail of what is sealed alone."""
        size = np.searchsorted(np.array([c[0] for c in CLASSES]), seqs, side="right")
        return (epochs.astype(np.int64) * PURPOSES + purposes) * len(CLASSES) + size

    def structure(self, group: int, payload: bool = True) -> tuple[bytes, int]:
        """What is sealed up to the bytes of the number that the frame has, too, and how many these are.

        payload: with the structure's last item, whose head and bytes follow in the frame as in the structure.
        """
        rest, size = divmod(group, len(CLASSES))
        n, purpose = divmod(rest, PURPOSES)
        record = self.epochs[n].record
        kind = int(self.kinds[n, purpose])
        alg, tail = record.purposes[purpose].alg, CLASSES[size][1]
        # Devices differ in eight bytes of it.
        key = (alg, kind, purpose, record.tenant, record.epoch, size, payload)
        if key not in self._structures:
            low = CLASSES[size - 1][0] if size else 1
            aad = cose.ext_aad(alg, kind, purpose, record.tenant, _ANY, record.epoch, UP, low)
            if not payload:
                whole = bytes(cose.enc_structure(aad))[:-tail]
            elif kind == cose.MAC0:
                whole = bytes(cose.to_be_maced(aad, b""))[: -1 - tail]
            else:
                whole = bytes(cose.to_be_signed(aad, b""))[: -1 - tail]
            # Behind the device stand the epoch, the direction and the number alone.
            self._structures[key] = (whole[: whole.rindex(_ANY)], whole[whole.rindex(_ANY) + 8 :])
        begin, end = self._structures[key]
        return begin + record.device + end, tail

    def mac(self, group: int) -> tuple[HMAC, int]:
        """The HMAC that has taken in `structure`, and the bytes of the number that it still misses."""
        found = self._prefixes.get(group)
        if found is None:
            if len(self._prefixes) >= _KEPT:
                self._prefixes.clear()
            n, purpose = divmod(group // len(CLASSES), PURPOSES)
            record = self.epochs[n].record
            head, tail = self.structure(group)
            made = HMAC(record.keys[record.purposes[purpose].key], SHA256())
            made.update(head)
            found = self._prefixes[group] = (made, tail)
        return found

    def key(self, group: int) -> bytes:
        """The key of a group's frames under encrypt0."""
        n, purpose = divmod(group // len(CLASSES), PURPOSES)
        record = self.epochs[n].record
        return record.keys[record.purposes[purpose].key]


class _Lookup:
    """A dictionary of whole numbers for arrays."""

    def __init__(self, found: dict[int, int]) -> None:
        self._keys = np.array(sorted(found), np.int64)
        self._values = np.array([*(found[k] for k in sorted(found)), -1], np.int64)

    def __call__(self, wanted: Array) -> Array:
        at = np.searchsorted(self._keys, wanted)
        if not len(self._keys):
            return np.full(len(wanted), -1, np.int64)
        hit = self._keys[np.minimum(at, len(self._keys) - 1)] == wanted
        return np.where(hit, self._values[at], -1)
