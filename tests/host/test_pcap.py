"""Capture files: every variant read, damage told and survived, nothing lost when a write is refused."""

from __future__ import annotations

import os
import random
import resource
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import capture, formats
from host_tools.capture import CaptureWriter, Frame
from host_tools.convert import convert
from host_tools.errors import InputError, StoreError, UsageError
from host_tools.formats import loratap
from host_tools.formats.loratap import Radio
from host_tools.formats.pcap import PcapReader, PcapWriter
from tests.host import synth

ROOT = Path(__file__).resolve().parents[2]
FRAMES = [bytes((0xE0, 10, n)) + bytes(n) for n in range(40)]


def frames_in(path: Path, notes: list[str] | None = None) -> list[bytes]:
    return [f.data for f in capture.read(path, notes)]


def pcap_of(order: str, magic: int, unit: int, network: int = 270) -> bytes:
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, network)]
    for n, frame in enumerate(FRAMES):
        record = loratap.pack(Radio(sf=9), frame)
        out += [struct.pack(order + "IIII", 1000 + n, n * unit, len(record), len(record)), record]
    return b"".join(out)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1), (0xA1B23C4D, 1000)])
def test_all_four_variants_give_the_same_frames(tmp_path: Path, order: str, magic: int, unit: int) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap_of(order, magic, unit))
    found = list(capture.read(path))
    assert [f.data for f in found] == FRAMES
    assert [f.time_us for f in found] == [(1000 + n) * 1_000_000 + n for n in range(40)]


def test_what_is_written_is_what_the_format_says(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "c.pcap") as writer:
        writer.write(
            Frame(b"\xe0abc", 1_769_630_400_123_456, Radio(868100000, 10, 125000, -80 * 4, 26, 0x34))
        )
    data = (tmp_path / "c.pcap").read_bytes()
    assert data[:24] == bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 0e010000")
    assert data[24:40] == struct.pack("<IIII", 1_769_630_400, 123_456, 19, 19)
    # version 0, length 15, 868.1 MHz, 125 kHz, SF10, -80 dBm, SNR 6.5 dB, LoRaWAN's sync word
    assert data[40:] == bytes.fromhex("00 00 000f 33be27a0 01 0a 3b 00 00 1a 34") + b"\xe0abc"


@pytest.mark.parametrize(
    ("rssi_dbm", "snr_qdb", "coded"),
    [(-80, 8, 59), (-139, 0, 0), (-200, 8, 0), (200, 8, 254), (-130, -20, 36), (-70, -4, 254)],
)
def test_rssi_coding(rssi_dbm: int, snr_qdb: int, coded: int) -> None:
    # -139 dBm plus whole dB, or plus quarters where the packet is below the noise.
    record = loratap.pack(Radio(rssi_qdbm=rssi_dbm * 4, snr_qdb=snr_qdb), b"")
    assert record[10] == coded
    if coded not in (0, 254):
        assert loratap.unpack(record)[0].rssi_qdbm == rssi_dbm * 4


def test_version_1_headers_are_read() -> None:
    v1 = bytes.fromhex("01000023 33be27a0 01 0a 3b 00 00 1a 34") + bytes(20)
    radio, frame = loratap.unpack(v1 + b"\xe0abc")
    assert (frame, radio.sf, radio.rssi_qdbm) == (b"\xe0abc", 10, -320)


@pytest.mark.parametrize(
    "record", [b"", bytes(14), b"\x00\x00\x00\x10" + bytes(20), b"\x02\x00\x00\x0f" + bytes(20)]
)
def test_a_record_without_a_whole_header_becomes_a_refused_frame(tmp_path: Path, record: bytes) -> None:
    with PcapWriter(tmp_path / "c.pcap") as writer:
        writer.write(1, record)
        writer.write(2, loratap.pack(Radio(), FRAMES[3]))
    found = list(capture.read(tmp_path / "c.pcap"))
    assert [(f.data, f.reason) for f in found] == [(record, "truncated"), (FRAMES[3], "")]


@pytest.mark.parametrize("cut", range(1, 62))
def test_a_file_cut_anywhere_gives_what_was_whole(tmp_path: Path, cut: int) -> None:
    whole = pcap_of("<", 0xA1B2C3D4, 1)
    path = tmp_path / "c.pcap"
    path.write_bytes(whole[:-cut])
    notes: list[str] = []
    found = frames_in(path, notes)
    assert found == FRAMES[: len(found)]
    # The last two records have 16 + 15 + 42 and 16 + 15 + 41 bytes.
    assert len(found) == 39
    assert len(notes) == 1
    assert "record 40" in notes[0]


def test_a_cut_at_a_border_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap_of("<", 0xA1B2C3D4, 1)[: -(16 + 15 + 42)])
    notes: list[str] = []
    assert len(frames_in(path, notes)) == 39
    assert notes == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello", "not a capture"),
        (b"\x0a\x0d\x0d\x0a" + bytes(30), "pcapng"),
        (pcap_of("<", 0xA1B2C3D4, 1)[:20], "cut in the middle of its header"),
        (pcap_of("<", 0xA1B2C3D4, 1, 147), "link type 147"),
        (pcap_of("<", 0xA1B2C3D4, 1)[:4] + b"\x01" + pcap_of("<", 0xA1B2C3D4, 1)[5:], "version 1"),
        (os.urandom(400).replace(b"\xa1", b"x").replace(b"\x0a", b"x"), "not a capture"),
    ],
)
def test_a_foreign_file_is_one_line(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(content)
    with pytest.raises(InputError, match=word) as e:
        frames_in(path)
    assert str(path) in str(e.value)
    assert "\n" not in str(e.value)


def test_a_wrong_path_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        frames_in(tmp_path / "none.pcap")
    with pytest.raises(InputError, match="folder"):
        frames_in(tmp_path)
    with pytest.raises(StoreError, match="folder does not exist"):
        CaptureWriter(tmp_path / "no" / "c.pcap")
    with pytest.raises(StoreError, match="folder"):
        CaptureWriter(tmp_path)


def test_damage_anywhere_gives_frames_or_one_line(tmp_path: Path) -> None:
    chance = random.Random(12)
    whole = pcap_of("<", 0xA1B2C3D4, 1)
    path = tmp_path / "c.pcap"
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(40)
            data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        path.write_bytes(data)
        try:
            frames_in(path, [])
        except InputError as e:
            refused += 1
            assert "\n" not in str(e)
    assert 20 < refused < 380


def test_a_claimed_length_of_gigabytes_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(
        pcap_of("<", 0xA1B2C3D4, 1) + struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0) + bytes(64)
    )
    notes: list[str] = []
    assert frames_in(path, notes) == FRAMES
    assert "claims 4294967280 bytes" in notes[0]


def test_each_record_is_on_its_way_at_once(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c.pcap")
    for n, frame in enumerate(FRAMES, 1):
        writer.write(Frame(frame, 0))
        assert len(frames_in(tmp_path / "c.pcap")) == n
    writer.close()


def test_append_goes_on_after_a_torn_record(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    with CaptureWriter(path) as writer:
        writer.write(Frame(FRAMES[1], 5))
    whole = path.read_bytes()
    path.write_bytes(whole + b"torn record")
    with CaptureWriter(path, append=True) as writer:
        writer.write(Frame(FRAMES[2], 6))
    assert path.read_bytes()[: len(whole)] == whole
    assert frames_in(path) == FRAMES[1:3]
    # Not even what was torn is thrown away.
    assert (tmp_path / "c.pcap.cut").read_bytes() == b"torn record"
    (tmp_path / "other").write_bytes(b"something of somebody else")
    with pytest.raises(InputError):
        CaptureWriter(tmp_path / "other", append=True)
    assert (tmp_path / "other").read_bytes() == b"something of somebody else"


def test_append_never_cuts_off_true_frames(tmp_path: Path) -> None:
    """A broken length in the middle makes the rest unreadable; it is no torn end."""
    path = tmp_path / "c.pcap"
    with CaptureWriter(path) as writer:
        for n in range(3000):
            writer.write(Frame(FRAMES[1], n + 1))
    broken = bytearray(path.read_bytes())
    broken[24 + 5 * (16 + 15 + len(FRAMES[1])) + 11] = 0x40
    path.write_bytes(broken)
    with pytest.raises(InputError, match="damaged in the middle"):
        CaptureWriter(path, append=True)
    assert path.read_bytes() == broken
    assert [p.name for p in tmp_path.iterdir()] == ["c.pcap"]


def test_append_goes_on_over_zeros(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    with CaptureWriter(path) as writer:
        writer.write(Frame(FRAMES[1], 5))
    with path.open("r+b") as f:
        f.truncate(1 << 20)
    with CaptureWriter(path, append=True) as writer:
        writer.write(Frame(FRAMES[2], 6))
    notes: list[str] = []
    assert frames_in(path, notes) == FRAMES[1:3] and notes == []
    assert [p.name for p in tmp_path.iterdir()] == ["c.pcap"]


def test_a_second_writer_is_refused_before_anything_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    with CaptureWriter(path) as writer:
        writer.write(Frame(FRAMES[1], 5))
        there = path.read_bytes()
        for append in (True, False):
            with pytest.raises(StoreError, match="in use by another program"):
                CaptureWriter(path, append=append)
            assert path.read_bytes() == there
        writer.write(Frame(FRAMES[2], 6))
    assert frames_in(path) == FRAMES[1:3]


def test_a_pipe_can_be_written(tmp_path: Path) -> None:
    """Wireshark reads a live capture from one; it can neither be locked nor cut nor synced."""
    os.mkfifo(tmp_path / "pipe")
    read = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with CaptureWriter(tmp_path / "pipe") as writer:
        writer.write(Frame(FRAMES[1], 5))
        writer.sync()
        data = os.read(read, 65536)
    os.close(read)
    (tmp_path / "c.pcap").write_bytes(data)
    assert frames_in(tmp_path / "c.pcap") == FRAMES[1:2]


def test_a_full_device_is_one_line() -> None:
    with pytest.raises(StoreError, match="disk is full"):
        PcapWriter("/dev/full")


def test_a_full_disk_keeps_what_was_received(tmp_path: Path) -> None:
    """A process whose files may have 1010 bytes: the file ends after its last whole record."""
    code = (
        "import resource, signal, sys\n"
        "from host_tools.capture import CaptureWriter, Frame\n"
        "from host_tools.errors import StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1010, 1010))\n"
        "w = CaptureWriter(sys.argv[1])\n"
        "try:\n"
        "    for n in range(100): w.write(Frame(bytes([0xE0] * 30), n))\n"
        "except StoreError as e: print(e)\n"
    )
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c.pcap")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"cannot write {tmp_path}/c.pcap: the file has reached the size allowed here"
    ]
    notes: list[str] = []
    assert len(frames_in(tmp_path / "c.pcap", notes)) == (1010 - 24) // 61
    assert notes == []


def test_conversion_is_the_same_bytes_for_the_same_input(tmp_path: Path) -> None:
    one = synth.capture(tmp_path / "a.pcap", FRAMES)
    done = convert(one, tmp_path / "b.pcap")
    assert (done.frames, done.unreadable, done.lost, done.original) == (40, 0, {}, "")
    assert (tmp_path / "b.pcap").read_bytes() == one.read_bytes()
    with pytest.raises(UsageError, match="the input itself"):
        convert(one, one)
    assert frames_in(one) == FRAMES


def test_gateway_records_become_a_capture(tmp_path: Path) -> None:
    from tests.host.test_intake import record

    records = [record(n, FRAMES[n]) for n in range(1, 20)]
    records.insert(3, records[2])  # sent twice
    records.insert(5, b"\x8d\x01\x48 no record")
    data = b"".join(len(r).to_bytes(2, "big") + r for r in records)
    (tmp_path / "a.rec").write_bytes(data + b"\x00")
    notes: list[str] = []
    found = list(capture.read(tmp_path / "a.rec", notes))
    assert [f.data for f in found] == FRAMES[1:20]
    assert found[0].time_us == synth.START_US + 1_000_000
    assert notes == [
        f"{tmp_path}/a.rec is cut in the middle of record 22",
        f"{tmp_path}/a.rec: records left out: 1 x bad_record, 1 x truncated",
    ]
    for name in ("x.pcap", "y.pcap"):
        assert convert(tmp_path / "a.rec", tmp_path / name).unreadable == 2
    assert (tmp_path / "x.pcap").read_bytes() == (tmp_path / "y.pcap").read_bytes()
    assert frames_in(tmp_path / "x.pcap") == FRAMES[1:20]
    assert formats.detect(data) == "gwrecord"


def test_tshark_reads_the_frames(tmp_path: Path) -> None:
    from tests.conftest import peer

    program = peer("tshark")
    with CaptureWriter(tmp_path / "c.pcap") as writer:
        for n, frame in enumerate(FRAMES):
            writer.write(Frame(frame, synth.START_US + n, Radio(869525000, 9, 125000, -320, 20)))
    columns = [
        "-T",
        "fields",
        "-e",
        "loratap.channel.frequency",
        "-e",
        "loratap.channel.sf",
        "-e",
        "frame.len",
    ]
    done = subprocess.run(
        [program, "-r", str(tmp_path / "c.pcap"), *columns], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"869525000\t9\t{15 + len(f)}" for f in FRAMES]


def test_reading_from_a_pipe(tmp_path: Path) -> None:
    path = synth.capture(tmp_path / "a.pcap", FRAMES)
    code = "from host_tools.capture import read; print(sum(1 for _ in read('-')))"
    cat = shutil.which("cat") or "cat"
    feed = subprocess.Popen([cat, str(path)], stdout=subprocess.PIPE)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdin=feed.stdout, capture_output=True, text=True, check=True
    )
    feed.wait()
    assert done.stdout == "40\n"


def test_reader_counts(tmp_path: Path) -> None:
    path = synth.capture(tmp_path / "a.pcap", FRAMES)
    with path.open("rb") as f:
        reader = PcapReader(f, "a")
        assert len(list(reader)) == reader.count == 40
        assert reader.cut == ""
