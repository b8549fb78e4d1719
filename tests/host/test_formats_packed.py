"""Packed captures: opened as streams, bombs and damage ended by name with what was unpacked until then kept."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.errors import InputError
from host_tools.formats import packed, pcap, pcapng
from host_tools.frames import Frame, Radio
from tests.conftest import package, peer
from tests.formats.wrap_pcap import heard
from tests.formats.wrap_pcap import pcap as wrap_pcap
from tests.formats.wrap_pcap import pcapng as wrap_pcapng

TEXT = b"".join(b'{"n":%d}\r\n' % n for n in range(40_000))


def unpack(data: bytes, limit: int | None = None) -> tuple[bytes, list[str]]:
    notes: list[str] = []
    return packed.open_packed(io.BytesIO(data), "x", notes, limit).read(), notes


def zstd(data: bytes) -> bytes:
    """By its own program; the test skips where Python cannot unpack it."""
    if sys.version_info < (3, 14):
        package("zstandard")
    return subprocess.run([peer("zstd"), "-q", "-c"], input=data, capture_output=True, check=True).stdout


PACKERS = [gzip.compress, zstd]


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("data", [b"", b"x", TEXT, bytes(300_000), random.Random(1).randbytes(300_000)])
def test_one_and_several_parts(pack: Callable[[bytes], bytes], data: bytes) -> None:
    one = pack(data)
    assert unpack(one) == (data, [])
    assert unpack(one * 3) == (data * 3, [])
    assert unpack(one + pack(b"") + one) == (data * 2, [])


def test_what_is_not_packed_passes_through() -> None:
    for data in (b"", b"a", TEXT, b"\x1f", b"\x28\xb5\x2f"):
        assert unpack(data) == (data, [])
    buffered = io.BufferedReader(io.BytesIO(TEXT))
    assert packed.open_packed(buffered, "x") is buffered
    assert buffered.read() == TEXT


def test_padding_is_no_damage_and_other_bytes_are() -> None:
    one = gzip.compress(TEXT)
    assert unpack(one + bytes(100_000)) == (TEXT, [])
    assert unpack(one + bytes(10) + one) == (TEXT * 2, [])
    for rest in (b"garbage", b"\x1f", bytes(9) + b"g", gzip.compress(b"")[1:]):
        assert unpack(one + rest) == (TEXT, ["x holds something else than gzip behind its end; not read on"])


@pytest.mark.parametrize("pack", PACKERS)
def test_cut_anywhere(pack: Callable[[bytes], bytes]) -> None:
    one = pack(TEXT)
    for end in [*range(6, 40), *range(len(one) - 40, len(one)), len(one) // 2]:
        data, notes = unpack(one[:end])
        assert TEXT.startswith(data)
        assert notes == [f"x is cut in the middle, after {len(data)} bytes unpacked"]
    data, notes = unpack(one + one[:-1])
    assert data.startswith(TEXT) and len(notes) == 1
    assert len(unpack(one[: len(one) // 2])[0]) > len(TEXT) // 4


@pytest.mark.parametrize("pack", PACKERS)
def test_damage_ends_it_by_name(pack: Callable[[bytes], bytes]) -> None:
    one = bytearray(pack(TEXT))
    one[len(one) // 2] ^= 0x55
    data, notes = unpack(bytes(one))
    assert len(notes) == 1 and ("damaged after" in notes[0] or "cut" in notes[0])
    assert data[:1000] == TEXT[:1000]
    assert "\n" not in notes[0]


@pytest.mark.parametrize("pack", PACKERS)
def test_a_bomb_ends_in_bounded_memory(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "FREE", 4 << 20)
    layer = pack(bytes(8 << 20))
    bomb = layer * 20
    tracemalloc.start()
    notes: list[str] = []
    stream = packed.open_packed(io.BytesIO(bomb), "x", notes)
    total = 0
    while part := stream.read(1 << 16):
        total += len(part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 4 << 20 <= total < 90 << 20
    assert notes == ["x unpacks to more than 1000 times its size: a bomb; not read on"]
    assert peak < 40 << 20
    # As much of something that is no bomb is read to its end.
    noise = random.Random(2).randbytes(5 << 20)
    assert unpack(pack(noise)) == (noise, [])


@pytest.mark.parametrize("pack", PACKERS)
def test_a_limit_is_kept_to_the_byte(pack: Callable[[bytes], bytes]) -> None:
    assert unpack(pack(TEXT), len(TEXT)) == (TEXT, [])
    assert unpack(pack(TEXT), len(TEXT) - 1) == (
        TEXT[:-1],
        [f"x unpacks to more than {len(TEXT) - 1} bytes; not read on"],
    )
    assert unpack(pack(TEXT), 0)[0] == b""


def test_skippable_frames_and_large_windows_of_zstd() -> None:
    one = zstd(TEXT)
    skip = b"\x5a\x2a\x4d\x18" + (9).to_bytes(4, "little") + b"nine more"
    assert unpack(skip + one + skip + one) == (TEXT * 2, [])
    # A frame of one raw block that wants a window of 2 GiB.
    data, notes = unpack(b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x09\x00\x00x")
    assert data == b"" and "damaged" in notes[0]


def test_zstd_without_a_module_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(InputError, match=r"x is a zstd file, which Python reads from 3.14 on") as e:
        unpack(b"\x28\xb5\x2f\xfd" + bytes(20))
    assert e.value.hint == "unzstd unpacks it"


def test_others_are_refused_with_a_hint() -> None:
    holder = io.BytesIO()
    with zipfile.ZipFile(holder, "w") as z:
        z.writestr("a", "b")
    for data, kind in (
        (lzma.compress(TEXT), "xz"),
        (bz2.compress(TEXT), "bzip2"),
        (holder.getvalue(), "zip"),
        (b"\x04\x22\x4d\x18" + bytes(9), "lz4"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(9), "7z"),
        (b"\x1f\x9d\x90" + bytes(9), "compress"),
    ):
        with pytest.raises(InputError, match=f"x is a {kind} file; captures are read unpacked") as e:
            unpack(data)
        assert "unpacks it" in e.value.hint or "7z x" in e.value.hint


def test_a_pipe_gives_what_it_has(tmp_path: Path) -> None:
    """Also in single bytes, and before the other side is through."""
    for data in (gzip.compress(TEXT[:1000]), TEXT[:1000]):
        read, write = os.pipe()
        with os.fdopen(read, "rb") as stream:
            os.write(write, data[:1])
            # What is there is less than what tells the kind; the rest comes while the head is waited for.
            os.write(write, data[1:200])
            found = packed.open_packed(stream, "x")
            os.write(write, data[200:])
            os.close(write)
            assert found.read() == TEXT[:1000]


def test_packed_captures_are_read() -> None:
    chance, time_us = random.Random(3), 1_769_630_400_123_456
    frames = [b"\x40" + chance.randbytes(20) for _ in range(20)]
    records = [
        heard(
            data, time_us=time_us, freq_hz=868500000, sf=9, bw_hz=125000, rssi_qdbm=-400, snr_qdb=20, counter_us=7,
            channel=2, chain=1, gateway=b"\1" * 8, version=1,
        )
        for data in frames
    ]  # fmt: skip
    radio = Radio(868500000, 9, 125000, -400, 20, 0x34, 5, 7, 2, 1, "ok")
    for wrap, reader in ((wrap_pcap, pcap), (wrap_pcapng, pcapng)):
        data = gzip.compress(wrap(records, big_endian=True))
        notes: list[str] = []
        stream = packed.open_packed(io.BytesIO(data), "x", notes)
        found = [f for r in reader.read(stream, "x", notes) for f in r.frames]
        assert found == [Frame(frame, time_us, radio, "", b"\1" * 8) for frame in frames]
        assert not notes
        stream = packed.open_packed(io.BytesIO(data[:-60]), "x", notes)
        whole = [f for r in reader.read(stream, "x", notes) for f in r.frames]
        assert 10 < len(whole) < 20 and whole == found[: len(whole)]
        assert len(notes) == 2 and all("cut in the middle" in note for note in notes)


class Broken(io.RawIOBase):
    """A disk that fails after the first bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data:
            raise OSError(5, "Input/output error")
        part, self._data = self._data[: len(buffer)], b""
        buffer[: len(part)] = part
        return len(part)


def test_a_failing_disk_is_the_readers_to_tell() -> None:
    source: BinaryIO = io.BufferedReader(Broken(gzip.compress(os.urandom(1000))[:500]))
    with pytest.raises(OSError, match="Input/output"):
        packed.open_packed(source, "x").read()


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x1f\x8b\x08", b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x28\xb5\x2f\xfd"]),
)
def test_any_bytes_give_bytes_or_one_line(data: bytes, head: bytes) -> None:
    try:
        _, notes = unpack(head + data)
    except InputError as e:
        notes = [str(e)]
    assert len(notes) <= 1 and not any("\n" in note for note in notes)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=3), st.integers(0, 3))
def test_mutated_files_give_bytes_or_one_line(at: int, new: bytes, gone: int) -> None:
    data = bytearray(gzip.compress(TEXT[:2000]) * 2)
    data[at : at + gone] = new
    try:
        _, notes = unpack(bytes(data))
    except InputError as e:
        notes = [str(e)]
    assert len(notes) <= 1
