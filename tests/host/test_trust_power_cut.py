"""Power cuts at every write with every tear, and the signatures of what survives, by cryptography."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.host.test_trust_vectors import peer_aad

# Written for both interpreters, without types.
device: Any = import_module("tests.mpy.test_uplink")
cuts: Any = import_module("tests.mpy.test_uplink_cuts")

# One tear in every test run, the others in the long one.
TEARS = [pytest.param(t, marks=pytest.mark.slow if t == 2 else pytest.mark.long) for t in range(5)]


@pytest.mark.parametrize("tear", TEARS)
def test_200_frames_cut_at_every_write_with_every_tear(tear: int) -> None:
    board, found, where = cuts.snapshots(200, lambda _: (tear,))
    assert len(found) > 230
    most = 0
    for snapshot, place in zip(found, where, strict=True):
        most = max(most, cuts.check_cut(board, snapshot, place))
    assert most >= 8


@pytest.mark.parametrize("tear", TEARS)
def test_cuts_while_frames_become_leaves(tear: int) -> None:
    board, found, where = cuts.snapshots(45, lambda _: (tear,), before=530)
    assert len(found) > 80
    for snapshot, place in zip(found, where, strict=True):
        cuts.check_cut(board, snapshot, place)


def test_signatures_of_checkpoints() -> None:
    board = device.Board()
    board.hello()
    board.put(100)
    public = Ed25519PublicKey.from_public_bytes(board.record["public_key"])
    checked = 0
    for seq, (port, frame) in device.committed(board, board.ring.last[0]).items():
        if port == 11:
            protected, header, payload, signature = cbor2.loads(frame)
            assert protected == b"" and header == {6: seq.to_bytes(3, "big")}
            aad = peer_aad(board.record, "sign1", 1, 0, seq)
            public.verify(signature, cbor2.dumps(["Signature1", b"", aad, payload]))
            checked += 1
    assert checked >= 4


def test_a_flash_write_more_than_needed_would_show() -> None:
    """Writes of 200 frames: one record each, blocks of 64, and the checkpoints' own records."""
    board, found, where = cuts.snapshots(200, lambda _: (0,))
    last = board.ring.last[0]
    checkpoints = sum(f[0] == 11 for f in device.committed(board, last).values())
    files = [name for kind, name in where if kind]
    new = {name for name in files if name.startswith("r/")}
    assert sum(not kind for kind, _ in where) == (last - 1) // 64
    # A frame's record, a checkpoint's second one, and the creation of each file but the first.
    assert len([n for n in files if n.startswith("r/")]) == last + checkpoints + len(new) - 1
    assert len(found) == len(where)
