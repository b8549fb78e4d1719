"""pcapng: everything the format allows is read, damage costs what it hit, and what is written others read."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.errors import InputError, StoreError
from host_tools.formats import loratap, pcapng, told
from host_tools.formats.blocks import blocks
from host_tools.formats.pcapng import PcapngWriter
from host_tools.frames import Frame, Network, Radio, Record
from tests.conftest import peer
from tests.formats.wrap_pcap import Blocks, pcap
from tests.formats.wrap_pcap import loratap as wrap
from tests.formats.wrap_pcap import pcapng as wrap_file

START_NS = 1_769_630_400_000_000_000
FRAMES = [bytes((0x40, n)) + bytes(range(n)) for n in range(1, 30)]
RECORDS = [(START_NS + n * 1_000_001_000, wrap(frame)) for n, frame in enumerate(FRAMES)]
EUI = "b827ebfffe87bd11"
MAKE = Blocks()


def read(data: bytes, notes: list[str] | None = None) -> list[Record]:
    """Of any file: the raws joined are the file."""
    found = list(pcapng.read(io.BytesIO(data), "x", notes))
    assert b"".join(r.raw for r in found) == data
    return found


def frames_in(data: bytes) -> list[Frame]:
    return [f for r in read(data) for f in r.frames]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_both_byte_orders_and_units_give_the_same_frames(big_endian: bool, nanoseconds: bool) -> None:
    data = wrap_file(RECORDS, big_endian=big_endian, nanoseconds=nanoseconds, name=EUI)
    assert pcapng.sniff(data[:4]) and not pcapng.sniff(pcap(RECORDS))
    found = frames_in(data)
    assert [(f.data, f.time_us) for f in found] == [
        (frame, ns // 1000) for frame, (ns, _) in zip(FRAMES, RECORDS, strict=True)
    ]
    assert {f.gateway.hex() for f in found} == {EUI}
    assert found[0].radio == Radio(868100000, 7, 125000, -400, 20)


@pytest.mark.parametrize(
    ("tsresol", "offset", "ticks", "time_us", "others"),
    [
        (None, None, 5_000_001, 5_000_001, ()),
        (6, 0, 5_000_001, 5_000_001, ()),
        (0, None, 7, 7_000_000, ()),
        (3, 100, 1500, 101_500_000, ()),
        (9, None, 1_000, 1, ()),
        (9, None, 1_999, 1, ("time_ns",)),
        (0x80, None, 3, 3_000_000, ()),
        (0x80 | 10, None, 1536, 1_500_000, ()),
        (0x80 | 20, None, 1, 0, ("time_ns",)),
        (0x80 | 127, None, (1 << 64) - 1, 0, ("time_ns",)),
        (127, None, 5, 0, ("time_ns",)),
        (0, None, (1 << 64) - 1, 0, ("time",)),
        (6, -10, 1_000_000, 0, ("time",)),
        (6, (1 << 63) - 1, 1, 0, ("time",)),
        (6, 253402300799, 999_999, 253402300799999999, ()),
        (6, 253402300799, 1_000_000, 0, ("time",)),
    ],
)
def test_time_units_and_offsets(
    tsresol: int | None, offset: int | None, ticks: int, time_us: int, others: tuple[str, ...]
) -> None:
    for make in (MAKE, Blocks(True)):
        data = make.section() + make.interface(tsresol=tsresol, tsoffset=offset)
        record = read(data + make.packet(wrap(FRAMES[3]), ticks))[-1]
        assert (record.frames[0].time_us, record.others) == (time_us, others)
        assert record.frames[0].data == FRAMES[3]


def test_every_kind_of_packet_block_and_others_between() -> None:
    for make in (MAKE, Blocks(True)):
        data = make.section((1, b"hello"), (2, b"box"))
        data += make.interface(EUI, tsresol=9, snaplen=30, more=[(11, b"\0lora")])
        data += make.block(4, b"\0" * 8) + make.block(0xBAD, b"12345678") + make.block(0x99, b"")
        data += make.packet(wrap(FRAMES[1]), 5000, options=[(1, b"a"), (1, b"b"), (4, b"\0" * 8)])
        data += make.simple(wrap(FRAMES[2]))
        data += make.simple(wrap(FRAMES[20])[:30], length=36)
        data += make.old_packet(wrap(FRAMES[4]), 9000, options=[(2, b"\0" * 4)])
        data += make.block(5, bytes(12)) + make.block(10, b"TLSK" + b"\0\0\0\0")
        found = read(data)
        assert [r.others for r in found] == [
            ("opt_comment", "shb_hardware"),
            ("if_option",),
            ("block.names",),
            ("block.custom",),
            ("block.unknown",),
            ("opt_comment", "epb_dropcount"),
            (),
            (),
            ("epb_option",),
            ("block.statistics",),
            ("block.secrets",),
        ]
        assert [(f.data, f.time_us, f.reason) for r in found for f in r.frames] == [
            (FRAMES[1], 5, ""),
            (FRAMES[2], 0, ""),
            (wrap(FRAMES[20])[:30], 0, "truncated"),
            (FRAMES[4], 9, ""),
        ]


def test_sections_have_their_own_byte_order_and_interfaces() -> None:
    big = Blocks(True)
    one = MAKE.section() + MAKE.interface(EUI) + MAKE.packet(wrap(FRAMES[1]), 1)
    two = big.section() + big.interface("0000000000000002", tsresol=3) + big.packet(wrap(FRAMES[2]), 1)
    later = MAKE.section(major=2) + MAKE.interface(EUI) + MAKE.packet(wrap(FRAMES[3]), 1)
    orphan = MAKE.section() + MAKE.packet(wrap(FRAMES[4]), 1)
    found = read(one + two + later + orphan + one)
    assert [(f.data, f.time_us, f.gateway[-1]) for r in found for f in r.frames] == [
        (FRAMES[1], 1, 0x11),
        (FRAMES[2], 1000, 2),
        (FRAMES[1], 1, 0x11),
    ]
    assert [r.reason for r in found if r.reason] == ["bad_record", "bad_record"]


def test_gateways_by_eui_or_name() -> None:
    cases: list[tuple[str, list[tuple[int, bytes]], str, tuple[str, ...]]] = [
        ("B8:27:eb:ff:fe:87:bd:11", [], EUI, ()),
        ("lora0", [], "", ("if_name",)),
        ("lora0", [(7, bytes.fromhex(EUI))], EUI, ()),
        ("", [(7, bytes(8))], "", ()),
        ("b827ebfffe87bd1", [], "", ("if_name",)),
        ("\x1b[31m\0", [], "", ("if_name",)),
    ]
    for name, more, gateway, others in cases:
        data = MAKE.section() + MAKE.interface(name, more=more)
        found = read(
            data + MAKE.packet(wrap(FRAMES[1]), 1) + MAKE.packet(wrap(b"x", version=1, gateway="01" * 8), 1)
        )
        assert (found[1].others, found[2].frames[0].gateway.hex()) == (others, gateway)
        assert found[3].frames[0].gateway == b"\1" * 8  # the packet itself knows best


def test_foreign_link_types_are_one_reason_each() -> None:
    data = MAKE.section() + MAKE.interface(linktype=1) + MAKE.interface()
    data += b"".join(MAKE.packet(wrap(f), 1, interface=n % 2) for n, f in enumerate(FRAMES))
    found = read(data)[3:]
    assert [r.reason for r in found[::2]] == ["foreign_link"] * 15
    assert [r.frames[0].data for r in found[1::2]] == FRAMES[1::2]


@pytest.mark.parametrize(
    "bad",
    [
        MAKE.packet(wrap(FRAMES[1]), 1, interface=1),
        MAKE.block(6, bytes(12)),
        MAKE.block(6, struct.pack("<IIIII", 0, 0, 0, 0xFFFFFFF0, 60)),
        MAKE.block(6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + bytes(8)),
        MAKE.block(2, struct.pack("<HHIIII", 7, 0, 0, 0, 0, 0)),
        MAKE.block(3, b""),
        MAKE.block(3, b"\xff\xff\xff\xff"),
        MAKE.block(1, b""),
    ],
)
def test_a_block_whose_fields_do_not_fit_is_one_reason(bad: bytes) -> None:
    data = MAKE.section() + MAKE.interface() + bad + MAKE.packet(wrap(FRAMES[5]), 1)
    found = read(data)
    assert [r.reason for r in found] == ["", "", "bad_record", ""]
    assert found[-1].frames[0].data == FRAMES[5]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(
    ("at", "value", "lost", "reason"),
    [
        (4, 0, 1, "bad_record"),
        (4, 3, 1, "bad_record"),
        (4, 52, 1, "bad_record"),
        (4, 0xFFFFFFFC, 1, "too_long"),
        (4, 1 << 20, 1, "truncated"),
        (0, 0x77777777, 1, ""),  # a kind that nobody knows
        (
            -4,
            0x01010101,
            0,
            "",
        ),  # only the length at the end is wrong: what follows says that the first is right
    ],
)
def test_damage_costs_its_own_block(big_endian: bool, at: int, value: int, lost: int, reason: str) -> None:
    make = Blocks(big_endian)
    parts = [make.packet(data, ns // 1000) for ns, data in RECORDS]
    bad = bytearray(parts[7])
    at %= len(bad)
    bad[at : at + 4] = make.number("I", value)
    parts[7] = bytes(bad)
    notes: list[str] = []
    found = read(make.section() + make.interface() + b"".join(parts), notes)
    frames = [f.data for r in found for f in r.frames]
    assert frames == FRAMES[:7] + FRAMES[7 + lost :]
    assert [r.reason for r in found if r.reason] == ([reason] if reason else [])
    assert len(notes) == (at != 0)


def test_a_file_cut_anywhere_gives_what_was_whole() -> None:
    parts = [MAKE.packet(data, ns // 1000) for ns, data in RECORDS[:4]]
    head = MAKE.section() + MAKE.interface()
    whole = head + b"".join(parts)
    borders = {len(head) + sum(map(len, parts[:n])): n for n in range(5)} | {len(MAKE.section()): 0}
    for end in range(12, len(whole)):
        notes: list[str] = []
        found = read(whole[:end], notes)
        count = max(n for border, n in borders.items() if border <= end) if end >= 28 else 0
        assert [f.data for r in found for f in r.frames] == FRAMES[:count], end
        assert [r.reason for r in found if r.reason] == ([] if end in borders else ["truncated"]), end
        assert len(notes) == (end not in borders)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (pcap(RECORDS), "not a capture file"),
        (b"\x0a\x0d\x0d\x0a" + bytes(30), "damaged"),
        (b"\x0a\x0d\x0d\x0a", "damaged"),
    ],
)
def test_a_foreign_file_is_one_line(content: bytes, word: str) -> None:
    with pytest.raises(InputError, match=word):
        read(content)


class Claims(io.RawIOBase):
    """Claims of a whole limit and of 4 GB, zeros and interfaces, over and over, and one true packet at the end."""

    def __init__(self, limit: int) -> None:
        claims = (struct.pack("<II", 6, limit) + struct.pack("<II", 3, 0xFFFFFFF0)) * 200
        rounds = [claims, bytes(1 << 18), MAKE.block(1, bytes(8)) * 100] * 24
        self.parts = [MAKE.section() + MAKE.interface(), *rounds, MAKE.packet(wrap(FRAMES[9]), 1)]
        self.left = b""

    def read1(self, size: int) -> bytes:
        self.left = self.left or (self.parts.pop(0) if self.parts else b"")
        piece, self.left = self.left[:size], self.left[size:]
        return piece


def test_bombs_stay_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_tools.formats.blocks.MAX_BLOCK", 1 << 20)
    monkeypatch.setattr(pcapng, "MAX_INTERFACES", 500)
    tracemalloc.start()
    notes: list[str] = []
    frames: list[Frame] = []
    longest, reasons = 0, set()
    for record in pcapng.read(Claims(1 << 20), "x", notes):  # type: ignore[arg-type]
        longest = max(longest, len(record.raw))
        frames += record.frames
        reasons.add(record.reason)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [f.data for f in frames] == [FRAMES[9]]
    assert longest <= 1 << 17 and len(notes) < 20
    assert reasons == {"", "truncated", "too_many", "bad_record"}
    assert peak < 6 << 20


FULL = Frame(
    FRAMES[6],
    START_NS // 1000,
    Radio(868300000, 12, 62500, -111 * 4 - 3, 30, 0x12, 7, 3_512_348_611, 5, 1, "bad"),
    "",
    bytes.fromhex(EUI),
)
KEPT = [
    Frame(FRAMES[1], START_NS // 1000),
    FULL,
    Frame(b"\x01\x02", 5, FULL.radio, "", b"", Network(b"\1" * 8, 0x26011BDA, 70000, 10, True)),
    Frame(b"clear", 5, Radio(), "", b"\2" * 8, Network()),
    Frame(b"no header", 6, reason="truncated"),
    Frame(wrap(FRAMES[3]), 7, reason="bad_record", gateway=b"\3" * 8),
    Frame(b"", 0, gateway=b"\3" * 8),
    Frame(FRAMES[2], 253402300799999999, Radio(crc="none", channel=0, chain=0, counter_us=0)),
]


@pytest.mark.parametrize("version", loratap.VERSIONS)
def test_what_is_written_is_read_back_whole(tmp_path: Path, version: int) -> None:
    path = tmp_path / "c.pcapng"
    with PcapngWriter(path, version) as writer:
        for frame in KEPT:
            writer.add(frame)
        writer.remark(["of nobody"])
        writer.add(KEPT[0])
        writer.add(Frame(FRAMES[3], 1, gateway=b"\4" * 8))
        writer.write(9, wrap(FRAMES[4]))
        writer.sync()
    notes: list[str] = []
    found = read(path.read_bytes(), notes)
    assert [f for r in found for f in r.frames][:-1] == [
        *KEPT,
        KEPT[0],
        Frame(FRAMES[3], 1, gateway=b"\4" * 8),
    ]
    assert found[-1].frames[0].data == FRAMES[4] and not notes
    assert [r.others for r in found if r.others] == [("opt_comment",)]


def test_each_frame_alone_is_a_block() -> None:
    for frame in KEPT:
        assert frames_in(pcapng.head() + pcapng.pack(frame)) == [frame]
    assert loratap.HOLDS[1] <= pcapng.HOLDS


def test_long_comments_are_split_between_characters() -> None:
    text = "é€" * 60_000
    data = pcapng.section() + pcapng.interface() + pcapng.packet(KEPT[0], comments=[text, "x"])
    *_, last = blocks(io.BytesIO(data), "x")
    from host_tools.formats.blocks import comments

    found = [c.decode() for c in comments(last)]
    assert "".join(found[:-1]) == text and found[-1] == "x" and len(found) == 6


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"{", b'{"x":1}', b'{"radio":[]}', b'{"radio":{"freq":1}}', b'{"radio":{"sf":1e999}}',
        b'{"radio":{"sf":true}}', b'{"radio":{"crc":"\\u001b"}}', b'{"network":{"dev_eui":"zz"}}', b"[" * 4000,
        b'{"network":{"fport":256}}', b'{"reason":"../x"}', b'{"reason":["a"]}', b'{"gateway":1}', b"\xff",
        b'{"gateway":"00"}', b'{"radio":{"sf":' + b"9" * 4000 + b"}}", b" " * 5000, b'{"network":{"confirmed":1}}',
    ],
)  # fmt: skip
def test_a_comment_that_nobody_wrote_changes_nothing(text: bytes) -> None:
    data = MAKE.section() + MAKE.interface()
    plain = frames_in(data + MAKE.packet(wrap(FRAMES[1]), 1))
    record = read(data + MAKE.packet(wrap(FRAMES[1]), 1, options=[(1, told.PREFIX.encode() + text)]))[-1]
    assert (list(record.frames), record.others) == (plain, ("lanterne_frame",))


def test_append_goes_on_in_a_new_section(tmp_path: Path) -> None:
    path = tmp_path / "c.pcapng"
    with PcapngWriter(path) as writer:
        writer.add(FULL)
    whole = path.read_bytes()
    for torn, saved in ((b"", False), (pcapng.pack(FULL)[:-5], True), (bytes(1 << 23), False)):
        path.write_bytes(whole + torn)
        with PcapngWriter(path, append=True) as writer:
            writer.add(KEPT[0])
            with pytest.raises(StoreError, match="in use by another program"):
                PcapngWriter(path)
        assert path.read_bytes()[: len(whole)] == whole
        assert frames_in(path.read_bytes()) == [FULL, KEPT[0]]
        assert (tmp_path / "c.pcapng.cut").exists() == saved
        (tmp_path / "c.pcapng.cut").unlink(missing_ok=True)
    for other in (b"something of somebody else", whole + os.urandom(1) * (1 << 23)):
        path.write_bytes(other)
        with pytest.raises(InputError):
            PcapngWriter(path, append=True)
        assert path.read_bytes() == other


def test_a_full_device_is_one_line() -> None:
    with pytest.raises(StoreError, match="disk is full"):
        PcapngWriter("/dev/full")


def test_a_pipe_can_be_written(tmp_path: Path) -> None:
    """Wireshark reads a live capture from one."""
    os.mkfifo(tmp_path / "pipe")
    source = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with PcapngWriter(tmp_path / "pipe") as writer:
        writer.add(FULL)
        writer.sync()
        assert frames_in(os.read(source, 65536)) == [FULL]
    os.close(source)


def test_a_refused_write_leaves_a_whole_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of which gateways were named in it."""
    path = tmp_path / "c.pcapng"
    frames = [Frame(FRAMES[n], n, gateway=bytes([n]) * 8) for n in range(1, 5)]
    with PcapngWriter(path) as writer:
        writer.add(frames[0])
        there = path.read_bytes()
        with monkeypatch.context() as m:
            m.setattr(writer._stream, "write", lambda data: os.write(os.open("/dev/full", os.O_WRONLY), data))
            for _ in range(2):
                with pytest.raises(StoreError, match="disk is full"):
                    writer.add(frames[1])
        assert path.read_bytes() == there
        for frame in [*frames[2:], frames[1], frames[0]]:
            writer.add(frame)
    assert frames_in(path.read_bytes()) == [frames[0], *frames[2:], frames[1], frames[0]]


def test_damage_anywhere_gives_records_or_one_line() -> None:
    chance = random.Random(5)
    whole = wrap_file(RECORDS, big_endian=True)
    refused = kept = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data)) if chance.random() < 0.7 else chance.randrange(60)
            data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        try:
            kept += sum(len(r.frames) for r in read(bytes(data), []))
        except InputError as e:
            refused += 1
            assert "\n" not in str(e)
    assert 5 < refused < 150
    assert kept > 15 * (300 - refused)


def test_a_pipe_gives_each_record_when_it_is_there() -> None:
    """A capture that is being written is decoded while it grows."""
    source, sink = os.pipe()
    with os.fdopen(source, "rb") as stream:
        os.write(sink, MAKE.section() + MAKE.interface())
        records = pcapng.read(stream, "x")
        assert [len(next(records).raw), len(next(records).raw)] == [28, 20]
        for data, ns in ((d, ns) for ns, d in RECORDS[:5]):
            os.write(sink, MAKE.packet(data, ns // 1000))
            assert next(records).frames[0].time_us == ns // 1000
        os.close(sink)
        assert list(records) == []


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_behind_a_section_give_records(data: bytes, big_endian: bool) -> None:
    make = Blocks(big_endian)
    read(make.section() + make.interface() + data)
    read(
        make.section() + make.block(6, data) + make.block(1, data) + make.block(3, data) + make.block(2, data)
    )


def tshark(path: Path, *columns: str) -> list[list[str]]:
    program = peer("tshark")
    more = [part for column in columns for part in ("-e", column)]
    command = [program, "-r", str(path), "-T", "fields", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_tshark_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "c.pcapng"
    join = bytes.fromhex("00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913")
    radio = Radio(869525000, 9, 125000, -80 * 4, 26, 0x34, 5, 77, 3, 1, "ok")
    gateways = [bytes.fromhex(EUI), b"", b"\2" * 8]
    with PcapngWriter(path) as writer:
        for n in range(6):
            writer.add(Frame(join, 1_769_630_400_123_456 + n, radio, "", gateways[n % 3]), ["one", "two"])
    assert tshark(
        path, "frame.time_epoch", "frame.interface_id", "frame.interface_name", "loratap.channel.frequency",
        "loratap.channel.sf", "loratap.rssi.packet", "loratap.rssi.snr", "loratap.syncword",
        "lorawan.join_request.deveui", "frame.len",
    ) == [
        [
            f"1769630400.{123456 + n}000", str(n % 3), [EUI, "unknown", "02" * 8][n % 3], "869525000", "9",
            "59", "26", "0x34", "00:af:ee:7c:f5:ed:6f:1e", "38",
        ]
        for n in range(6)
    ]  # fmt: skip
    texts = tshark(path, "frame.comment")[0][0]
    assert texts.endswith(",one,two") and "counter_us" in texts


def test_tshark_reads_what_the_tests_wrap(tmp_path: Path) -> None:
    """So that they are not wrong in the same way as the reader."""
    path = tmp_path / "w.pcapng"
    path.write_bytes(wrap_file(RECORDS, big_endian=True, nanoseconds=True, name=EUI))
    columns = ("frame.time_epoch", "frame.interface_name", "loratap.rssi.packet", "frame.len")
    assert tshark(path, *columns) == [
        [f"{ns // 10**9}.{ns % 10**9:09d}", EUI, "39", str(len(data))] for ns, data in RECORDS
    ]


def test_an_empty_capture_is_one_that_others_read(tmp_path: Path) -> None:
    PcapngWriter(tmp_path / "c.pcapng").close()
    assert tshark(tmp_path / "c.pcapng", "frame.number") == []
    assert [r.reason for r in read((tmp_path / "c.pcapng").read_bytes())] == [""]


def test_what_others_write_is_read(tmp_path: Path) -> None:
    source = tmp_path / "a.pcap"
    times = [(ns // 1000, frame) for (ns, _), frame in zip(RECORDS, FRAMES, strict=True)]
    for program, nanoseconds in (("editcap", False), ("mergecap", True)):
        source.write_bytes(pcap(RECORDS, nanoseconds=nanoseconds))
        out = tmp_path / f"{program}.pcapng"
        files = [str(source), str(out)] if program == "editcap" else ["-w", str(out), str(source)]
        subprocess.run([peer(program), "-F", "pcapng", *files], capture_output=True, check=True)
        found = read(out.read_bytes())
        assert [(f.time_us, f.data) for r in found for f in r.frames] == times, program
        assert not [r.reason for r in found if r.reason]


def test_text2pcap_with_a_frame_typed_by_hand_is_read(tmp_path: Path) -> None:
    record = wrap(FRAMES[9])
    text = "".join(f"{n:06x} {record[n : n + 16].hex(' ')}\n" for n in range(0, len(record), 16))
    (tmp_path / "a.txt").write_text(text)
    command = [peer("text2pcap"), "-n", "-l", "270", str(tmp_path / "a.txt"), str(tmp_path / "a.pcapng")]
    subprocess.run(command, capture_output=True, check=True)
    assert [f.data for f in frames_in((tmp_path / "a.pcapng").read_bytes())] == [FRAMES[9]]
