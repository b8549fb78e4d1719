"""What a board keeps: settings, keys and numbers lost, damaged, recovered, and written anew by a bench.

What the board says after a recovery is checked with keys derived here from the specification (TRUST 0, 11).
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

import cbor2
import pytest

from hw.virtual import files
from tests.e2e.firmware_world import Yard, answer, store
from tests.host import synth

pytestmark = pytest.mark.slow

LAMP: dict[str, Any] = {"name": "lamp", "kind": "lamp", "profile": "mac0", "interval_s": 60}
OTHER: dict[str, Any] = {**LAMP, "name": "other"}
GPS_S = 1_479_000_000


def owner(yard: Yard, name: str) -> str:
    """What marks the board's own records, read from NVS."""
    found = [k[5:] for _, k in yard.board(name).nvs.data if k.startswith("count")]
    assert len(found) == 1
    return found[0]


def forget_numbers(yard: Yard, name: str, nvs: bool = True, file: bool = True) -> None:
    """Lose the copies of the counters of a board that is off."""
    board = yard.board(name)
    mark = "count" + owner(yard, name)
    if nvs:
        del board.nvs.data["lanterne", mark]
    if file:
        files.write_files(board.flash, {mark + ".a": b"", mark + ".b": b"\0" * 40}, "store")


def device(yard: Yard, name: str, epoch: int) -> synth.Device:
    """The device with its keys of an epoch, which all follow from K_dev of its enrolment."""
    record = yard.tenant.registry.find(name)
    secrets = yard.tenant.secrets(record)
    return synth.Device(
        "mac0",
        record.link_address,
        kind="lamp",
        tenant=yard.tenant.id,
        tag=record.link_tag,
        epoch=epoch,
        device=record.device,
        secret=secrets.k_dev,
        seed=secrets.seed,
    )


def assert_made_by(frames: list[tuple[int, int, bytes]], maker: synth.Device) -> None:
    """Every frame verifies under the keys of that epoch: Mac0 or, for checkpoints, the signature."""
    public = maker.signer.public_key()
    for port, _, body in frames:
        _, header, payload, tag = cbor2.loads(body)
        seq = int.from_bytes(header[6], "big")
        purpose = {10: 0, 11: 1, 12: 3}[port]
        aad = maker.aad(purpose, seq, "sign1" if port == 11 else "mac0")
        if port == 11:
            public.verify(tag, synth.det(["Signature1", b"", aad, payload]))
        else:
            key = maker.key("mac-up")
            assert hmac.digest(key, synth.det(["MAC0", b"", aad, payload]), "sha256")[:8] == tag


def test_one_copy_of_the_numbers_is_enough(tmp_path: Path) -> None:
    with Yard(tmp_path, LAMP) as yard:
        for lost in ({"nvs": True, "file": False}, {"nvs": False, "file": True}):
            yard.run(700)
            yard.world.power_cut("lamp")
            yard.run(1)
            forget_numbers(yard, "lamp", **lost)
            yard.world.power_on("lamp")
        yard.run(700)
        yard.air.assert_no_number_twice("lamp")
        assert {port for port, _, _ in yard.air.of("lamp")} == {10, 11}
        hellos = [r for r in yard.decoded("lamp").rows if r.type == "hello"]
        assert [h.values["boot_count"] for h in hellos] == [1, 2, 3]


def test_numbers_lost_recover_over_the_air(tmp_path: Path) -> None:
    """Request, silence, request an hour later, answer: a new epoch from number 1, nothing else in between."""
    said: list[bytes] = []
    with (
        store(lambda n, record: answer(record, *_down(record, said))) as sink,
        Yard(tmp_path, LAMP, sink=f"tcp:127.0.0.1:{sink.port}") as yard,
    ):
        yard.run(1500)
        old = yard.air.of("lamp")
        assert len(old) > 15
        assert_made_by(old, device(yard, "lamp", 1))
        yard.world.power_cut("lamp")
        yard.run(1)
        forget_numbers(yard, "lamp")
        yard.world.power_on("lamp")
        yard.run(4200)
        requests = yard.air.of("lamp")[len(old) :]
        assert {(port, number) for port, number, _ in requests} == {(13, 0)}
        assert 1 <= len(requests) <= 2
        # From now on the store answers what it hears, with the nonce of the request under the recover key.
        maker = device(yard, "lamp", 1)
        nonces = [_nonce(maker, body) for _, _, body in requests]
        assert len(set(nonces)) == len(nonces)
        said.append(b"")
        _Answering.maker = maker
        yard.run(6000)
        everything = yard.air.of("lamp")[len(old) :]
        new = [f for f in everything if f[0] != 13]
        assert len([f for f in everything if f[0] == 13]) <= len(requests) + 2
        assert len(new) > 15
        assert "recovered" in yard.board("lamp").console
        fresh = device(yard, "lamp", 2)
        assert_made_by(new, fresh)
        numbers = [n for _, n, _ in new]
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1)), "the epoch begins at 1"
        hello = cbor2.loads(cbor2.loads(new[0][2])[2])
        assert hello[0] == 1 and hello[1][11] == 1 and hello[1][6] == 0, "recovered, and nothing before"
        assert_chain(new, fresh)
        # The keys are others, so the numbers may be: each (epoch, number) still has one frame.
        seen: dict[tuple[int, int], bytes] = {}
        for epoch, frames in ((1, old), (2, new)):
            for _, number, body in frames:
                assert seen.setdefault((epoch, number), body) == body
        # It lasts over a power cut, and is told once.
        yard.world.power_cut("lamp")
        yard.world.power_on("lamp", yard.world.time_s + 5)
        yard.run(700)
        after = yard.air.of("lamp")[len(old) + len(everything) :]
        assert after and {p for p, _, _ in after} <= {10, 11}
        assert_made_by(after, fresh)


class _Answering:
    maker: synth.Device


def _nonce(maker: synth.Device, body: bytes) -> bytes:
    _, header, payload, tag = cbor2.loads(body)
    assert header == {6: b"\0\0\0"}
    aad = synth.det([1, 4, 17, 4, maker.tenant, maker.device, maker.epoch, 0, 0])
    assert hmac.digest(maker.key("recover"), synth.det(["MAC0", b"", aad, payload]), "sha256")[:8] == tag
    (nonce,) = cbor2.loads(payload)
    assert len(nonce) == 16
    return bytes(nonce)


def _down(record: list[Any], said: list[bytes]) -> list[list[Any]]:
    """The downlinks after a record: the answer to a request to recover, once the test wants it."""
    frame = record[12]
    if not said or frame[1] != 13:
        return []
    maker = _Answering.maker
    payload = synth.det([_nonce(maker, frame[7:]), 2, GPS_S])
    aad = synth.det([1, 4, 17, 4, maker.tenant, maker.device, maker.epoch, 1, 0])
    tag = hmac.digest(maker.key("recover"), synth.det(["MAC0", b"", aad, payload]), "sha256")[:8]
    body = synth.det([b"", {6: b"\0\0\0"}, payload, tag])
    return [[maker.tag, maker.address, 13, body, 1]]


def assert_chain(frames: list[tuple[int, int, bytes]], maker: synth.Device) -> None:
    """Every checkpoint has the head that follows from the frames before it (TRUST 3)."""
    h, n, checkpoints = maker.h, 0, 0
    for port, _, body in sorted(set(frames), key=lambda f: f[1]):
        _, header, payload, _ = cbor2.loads(body)
        seq = int.from_bytes(header[6], "big")
        if port == 11:
            assert cbor2.loads(payload) == [n, h[:16]]
            h, n, checkpoints = h[:16], 0, checkpoints + 1
        else:
            h = hashlib.sha256(h + maker.leaf(0 if port == 10 else 3, seq, payload)).digest()
            n += 1
    assert checkpoints


@pytest.mark.parametrize("name", ["cfg", "key"])
def test_damaged_settings_and_keys_come_from_the_other_copy(tmp_path: Path, name: str) -> None:
    with Yard(tmp_path, LAMP) as yard:
        board = yard.board("lamp")
        yard.run(400)
        whole = board.nvs.data["lanterne", name]
        assert isinstance(whole, bytes)
        for nvs in (whole[:-1], b"", whole[:20] + bytes((whole[20] ^ 1,)) + whole[21:], b"\xa1\x01", None):
            yard.world.power_cut("lamp")
            yard.run(1)
            if nvs is None:
                del board.nvs.data["lanterne", name]
            else:
                board.nvs.data["lanterne", name] = nvs
            yard.world.power_on("lamp")
            yard.run(400)
            mended = board.nvs.data["lanterne", name]
            assert isinstance(mended, bytes) and mended[4:-4] == whole[4:-4], "and mends it"
        yard.air.assert_no_number_twice("lamp")
        assert len([r for r in yard.decoded("lamp").rows if r.type == "hello"]) == 6
        yard.world.power_cut("lamp")
        yard.run(1)
        before = len(yard.air.sent)
        board.nvs.data["lanterne", name] = whole[:-1]
        files.write_files(board.flash, {f"{name}.a": b"", f"{name}.b": b"\xff" * 60}, "store")
        yard.world.power_on("lamp")
        yard.run(3600)
        assert board.console[-1] == "needs provisioning"
        assert len(yard.air.sent) == before


def test_new_settings_for_the_same_device_keep_its_numbers(tmp_path: Path) -> None:
    with Yard(tmp_path, LAMP) as yard:
        yard.run(1200)
        before = len(yard.air.of("lamp"))
        yard.world.power_cut("lamp")
        yard.run(1)
        yard.provision("lamp", yard.cfg("lamp", interval_s=20))
        yard.world.power_on("lamp")
        yard.run(1200)
        yard.air.assert_no_number_twice("lamp")
        after = yard.air.of("lamp")[before:]
        assert len(after) > 1.5 * before, "reported more often"
        numbers = yard.air.numbers("lamp")
        assert min(numbers[before:]) > max(numbers[:before])
        rows = yard.decoded("lamp").rows
        last = max(r.seq or 0 for r in rows if r.type == "checkpoint")
        assert {r.state for r in rows if (r.seq or 0) <= last} == {"signed"}, "one chain"


def test_a_board_that_becomes_another_device_and_again_the_first(tmp_path: Path) -> None:
    """An old store partition is no part of the new device: its numbers begin at 1 with its own chain. Taken
    back with the keys of before, the board never gives a number of theirs again."""
    with Yard(tmp_path, LAMP, OTHER) as yard:
        board = yard.board("lamp")
        yard.world.power_cut("other", 0)
        yard.run(1500)
        first = yard.air.of("lamp")
        yard.world.power_cut("lamp")
        yard.run(1)
        yard.provision("lamp", yard.cfg("other"))
        yard.world.power_on("lamp")
        yard.run(1500)
        second = yard.air.of("lamp")[len(first) :]
        maker = device(yard, "other", 1)
        assert_made_by(second, maker)
        # Hello goes out again where nobody answers.
        assert sorted({n for _, n, _ in second}) == list(range(1, len({n for _, n, _ in second}) + 1))
        assert_chain(second, maker)
        yard.world.power_cut("lamp")
        yard.run(1)
        # No copy holds the first device's keys any more.
        found = board.nvs.data["lanterne", "key"]
        for copy in (found, _file(yard, "key.a"), _file(yard, "key.b")):
            assert isinstance(copy, bytes) and copy[4:-4] == yard.cfg("other")["key"]
        yard.provision("lamp", yard.cfg("lamp"))
        yard.world.power_on("lamp")
        yard.run(8000)
        third = yard.air.of("lamp")[len(first) + len(second) :]
        used = {number for _, number, _ in first}
        assert third and all(port == 13 or number not in used for port, number, _ in third)
        assert {port for port, _, _ in third} == {13}, "its chain is gone, so it asks for a new epoch"


def test_a_cut_while_new_settings_are_taken_over(tmp_path: Path) -> None:
    """Between the writes of two maps nothing is lost: in the end both are there twice and no number is used
    again."""
    with Yard(tmp_path, LAMP) as yard:
        board = yard.board("lamp")
        maps = yard.cfg("lamp")
        for units in range(0, 60, 3):
            yard.provision("lamp", maps)
            board.flash.cut_after(units)
            yard.run(15)
        board.flash.cut_after(None)
        yard.world.power_cut("lamp")
        yard.world.power_on("lamp", yard.world.time_s + 1)
        yard.run(1000)
        assert yard.air.of("lamp") and {p for p, _, _ in yard.air.of("lamp")} <= {10, 11}
        yard.air.assert_no_number_twice("lamp")
        for name in ("cfg", "key"):
            kept = board.nvs.data["lanterne", name]
            assert isinstance(kept, bytes) and kept[4:-4] == maps[name]
            copies = [_file(yard, f"{name}.{suffix}") for suffix in "ab"]
            assert kept in copies


def _file(yard: Yard, name: str) -> bytes:
    try:
        return files.read_file(yard.board("lamp").flash, name, "store")
    except FileNotFoundError:
        return b""
