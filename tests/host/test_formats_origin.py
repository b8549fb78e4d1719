"""Any file made into pcapng comes out of it again byte for byte, also after other programs have been at it."""

from __future__ import annotations

import io
import os
import subprocess
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.errors import InputError, StoreError
from host_tools.formats import origin, pcap, pcapng
from host_tools.formats.pcapng import PcapngWriter
from host_tools.frames import Frame, Radio, Record
from tests.conftest import peer
from tests.formats import wrap_pcap

TRAFFIC = [(1_769_630_400_000_000_000 + n * 1_000_007, bytes((0x40, n)) + bytes(n)) for n in range(12)]


def convert(records: Iterable[Record], path: Path, fmt: str = "x", version: int = 0) -> bytes:
    with PcapngWriter(path, version) as writer, origin.Keeper(writer, fmt) as keeper:
        for record in records:
            keeper.write(record)
    return path.read_bytes()


def back(path: Path) -> bytes:
    with path.open("rb") as f:
        return b"".join(origin.restore(f, str(path)))


def lines(data: bytes) -> Iterator[Record]:
    """Records as a reader of JSON lines gives them: some with frames, some without, some with several."""
    for n, raw in enumerate(data.splitlines(keepends=True)):
        count = raw.count(b"{") if raw.startswith(b"{") else 0
        frames = tuple(Frame(bytes((0x40, n % 256, k)), 1_000_000 * n) for k in range(count))
        yield Record(raw, frames, (), "" if count else "bad_json")


def gateway_records(data: bytes) -> Iterator[Record]:
    """Two length bytes and a record, as host_tools/gwrecord.py reads them."""
    at = 0
    while at < len(data):
        size = 2 + int.from_bytes(data[at : at + 2], "big")
        raw = data[at : at + size]
        yield Record(raw, (Frame(raw[2:], at),) if len(raw) == size else (), (), "")
        at += size


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("nanoseconds", [False, True])
@pytest.mark.parametrize("cut", [0, 7])
def test_pcap_in_all_variants(
    tmp_path: Path, version: int, big_endian: bool, nanoseconds: bool, cut: int
) -> None:
    records = [(ns, wrap_pcap.loratap(f, version=version, gateway="01" * 8)) for ns, f in TRAFFIC]
    data = wrap_pcap.pcap(records, big_endian=big_endian, nanoseconds=nanoseconds)
    data = data[: len(data) - cut]
    found = list(pcap.read(io.BytesIO(data), "a"))
    assert pcap.sniff(data[:4]) and b"".join(r.raw for r in found) == data
    out = tmp_path / "o.pcapng"
    convert(found, out, "pcap", version)
    assert back(out) == data
    frames = [f for r in found for f in r.frames]
    assert [(f.data, f.time_us) for f in frames] == [
        (f, ns // 1000) for ns, f in TRAFFIC[: len(TRAFFIC) - (cut > 0)]
    ]
    assert ["time_ns" in r.others for r in found[1:12]] == [nanoseconds and n > 0 for n in range(11)][
        : len(found) - 1
    ]
    with out.open("rb") as f:
        again = list(pcapng.read(f, "o"))
    # The capture says the same, and its comments are no news to anybody.
    assert [f for r in again for f in r.frames] == frames
    assert not [r.others for r in again if r.others]
    assert not origin.side_file(out).exists()


def test_a_damaged_pcap_comes_back_too(tmp_path: Path) -> None:
    data = wrap_pcap.pcap([(ns, wrap_pcap.loratap(f)) for ns, f in TRAFFIC])
    for rest, reason in (
        (bytes(200_000), ""),
        (b"\1" * 12 + b"\xf0\xff\xff\xff" + b"x" * 200_000, "too_long"),
        (b"torn", "truncated"),
    ):
        found = list(pcap.read(io.BytesIO(data + rest), "a", []))
        assert [r.reason for r in found if r.reason] == [reason] * bool(reason)
        convert(found, tmp_path / "o.pcapng")
        assert back(tmp_path / "o.pcapng") == data + rest


def test_pcap_records_packed_are_what_the_format_says() -> None:
    frame = Frame(TRAFFIC[3][1], 1_769_630_400_000_003, Radio(868100000, 7, 125000, -400, 20))
    record = wrap_pcap.loratap(frame.data)
    record = (
        record[:11] + b"\0\0" + record[13:]
    )  # what is not known is 0 in version 0, and 255 in the wrapper
    packed = wrap_pcap.pcap([(frame.time_us * 1000, record)])
    assert pcap.pack(frame) == packed[24:]
    assert pcap.head()[:16] + pcap.head()[20:] == packed[:16] + packed[20:24]
    (found,) = [r for r in pcap.read(io.BytesIO(pcap.head() + pcap.pack(frame)), "a") if r.frames]
    assert found.frames == (frame,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\xff\xfe garbage without an end",
        b'{"a":1}\r\n\r\n{"b":2}\n\n\n',
        b'\r\n garbage \x00\x1b\r{"c":{}}\r\n{"d":1}',
        b'{"e":1}\n' * 300 + b"tail " * 5000,
        b"x" * 100_000 + b'\n{"f":1}\n' + b"y" * 100_000,
    ],
)
def test_lines_of_any_kind(tmp_path: Path, data: bytes) -> None:
    out = tmp_path / "o.pcapng"
    one = convert(lines(data), out, "gwmp")
    assert back(out) == data
    assert convert(lines(data), tmp_path / "p.pcapng", "gwmp") == one
    with out.open("rb") as f:
        assert origin.restore(f, "o").fmt == "gwmp"


def test_gateway_records(tmp_path: Path) -> None:
    data = b"".join(len(f).to_bytes(2, "big") + f for _, f in TRAFFIC) + b"\0"
    convert(gateway_records(data), tmp_path / "o.pcapng", "gwrecord")
    assert back(tmp_path / "o.pcapng") == data


def test_pcapng_of_a_pcapng_with_an_origin(tmp_path: Path) -> None:
    inner = convert(lines(b'{"a":1}\nx\n{"b":2}\n'), tmp_path / "a.pcapng", "inner")
    found = list(pcapng.read(io.BytesIO(inner), "a"))
    convert(found, tmp_path / "b.pcapng", "pcapng")
    assert back(tmp_path / "b.pcapng") == inner


def test_long_records_go_beside_in_bounded_memory(tmp_path: Path) -> None:
    """More than 10 MB: lines of 3 MB with and without frames, much garbage between, many short ones."""
    small = b'{"s":1}\n' * 100
    pieces = [b"{" + b"a" * 3_000_000 + b"\n", b"g" * 900_000 + b"\n", b"h" * 900_000 + b"\n", small] * 3
    out = tmp_path / "o.pcapng"
    tracemalloc.start()
    convert((r for p in pieces for r in lines(p)), out)
    peak = tracemalloc.get_traced_memory()[1]
    restored = tmp_path / "restored"
    with out.open("rb") as f, restored.open("wb") as g:
        for part in origin.restore(f, str(out)):
            g.write(part)
    peak = max(peak, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert restored.read_bytes() == b"".join(pieces)
    side = origin.side_file(out)
    assert side.stat().st_size > 10_000_000 and out.stat().st_size < 200_000
    assert peak < 25_000_000
    moved = side.rename(tmp_path / "elsewhere")
    with out.open("rb") as f:
        assert b"".join(origin.restore(f, str(out), moved)) == b"".join(pieces)
    moved.rename(side)
    side.write_bytes(side.read_bytes()[:-1])
    with pytest.raises(InputError, match="too short"):
        back(out)
    side.unlink()
    with pytest.raises(InputError, match="there is no such file"):
        back(out)


def test_what_is_missing_changed_or_twice_is_said(tmp_path: Path) -> None:
    data = b"".join(b'{"n":%d}\n' % n for n in range(20))
    out = tmp_path / "o.pcapng"
    whole = convert(lines(data), out)
    parts = [r.raw for r in pcapng.read(io.BytesIO(whole), "o")]

    def fails(*blocks: bytes) -> str:
        out.write_bytes(b"".join(blocks))
        with pytest.raises(InputError) as e:
            back(out)
        assert "\n" not in str(e.value)
        return str(e.value)

    assert "holds no original" in fails(*parts[:2])
    assert "incomplete; byte 8 and" in fails(*parts[:3], *parts[4:])
    assert "incomplete; byte 152 and" in fails(*parts[:-2])
    assert "twice" in fails(*parts, parts[4])
    assert "two captures in one" in fails(whole, whole)
    other = convert(lines(data), tmp_path / "p.pcapng", "y")
    assert "several files" in fails(whole, other)
    assert "was changed" in fails(whole.replace(b" eyJuIjo1", b" eyJuIjo3"))
    assert "damaged" in fails(whole.replace(b" eyJuIjo1", b" *yJuIjo1"))
    assert "damaged" in fails(whole.replace(b" eyJuIjo1", b" =yJuIjo1"))
    # Another order is put right.
    out.write_bytes(b"".join(parts[:2] + parts[2:][::-1]))
    assert back(out) == data


def test_an_interrupted_conversion_is_no_whole_source(tmp_path: Path) -> None:
    out = tmp_path / "o.pcapng"
    with pytest.raises(KeyboardInterrupt), PcapngWriter(out) as writer, origin.Keeper(writer, "x") as keeper:
        for record in lines(b'{"a":1}\n{"b":1}\nx\n'):
            keeper.write(record)
        raise KeyboardInterrupt
    with out.open("rb") as f:
        assert len([f for r in pcapng.read(f, "o") for f in r.frames]) == 2
    with pytest.raises(InputError, match="incomplete"):
        back(out)


def test_a_format_has_a_name(tmp_path: Path) -> None:
    with (
        PcapngWriter(tmp_path / "o.pcapng") as writer,
        pytest.raises(ValueError, match="no name of a format"),
    ):
        origin.Keeper(writer, "two words")


def test_a_place_that_refuses_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "o.pcapng"
    origin.side_file(out).mkdir()
    with pytest.raises(StoreError, match="folder"):
        convert([Record(bytes(origin.LONG + 1))], out)


def test_other_programs_keep_it(tmp_path: Path) -> None:
    """What host_tools/formats/origin.py says of them."""
    data = b"head\n" + b"".join(b'{"n":%d}\r\n' % n for n in range(9)) + b"z" * 100_000
    out, made = tmp_path / "o.pcapng", tmp_path / "made.pcapng"
    convert(lines(data), out)

    def run(*line: str) -> None:
        subprocess.run([peer(line[0]), *line[1:]], capture_output=True, check=True)

    run("editcap", "-F", "pcapng", str(out), str(made))
    assert back(made) == data
    run("mergecap", "-F", "pcapng", "-w", str(made), str(out))
    assert back(made) == data
    run("mergecap", "-F", "pcapng", "-w", str(made), str(out), str(out))
    with pytest.raises(InputError, match=r"twice|several"):
        back(made)
    run("editcap", "-F", "pcapng", "-r", str(out), str(made), "3-5")
    with pytest.raises(InputError, match="incomplete"):
        back(made)
    run("editcap", "-F", "pcap", str(out), str(made))
    with pytest.raises(InputError, match="not a capture file"):
        back(made)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 3))), st.integers(1, 60))
def test_any_records_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raws: list[tuple[bytes, int]], long: int
) -> None:
    monkeypatch.setattr(origin, "LONG", long)
    monkeypatch.setattr(origin, "_PART", 7)
    out = tmp_path / "o.pcapng"
    convert([Record(raw, (Frame(raw, 5),) * count) for raw, count in raws], out)
    assert back(out) == b"".join(raw for raw, _ in raws)
    with out.open("rb") as f:
        assert [f.data for r in pcapng.read(f, "o") for f in r.frames] == [
            raw for raw, count in raws for _ in range(count)
        ]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(
    st.binary(max_size=40),
    st.from_regex(origin._COMMENT, fullmatch=True).map(lambda m: m.encode("ascii", "replace")),
    st.builds(lambda o, d: b"x %d file %d %d" % (o, *d), st.integers(0, 9), st.tuples(*[st.integers(0, 9)] * 2)),
), max_size=6))  # fmt: skip
def test_any_comments_give_pieces_or_one_line(tmp_path: Path, texts: list[bytes]) -> None:
    make = wrap_pcap.Blocks()
    data = (
        make.section()
        + make.interface()
        + make.packet(b"", 0, options=[(1, pcapng.ORIGIN_PREFIX.encode() + text) for text in texts])
    )
    out = tmp_path / "o.pcapng"
    out.write_bytes(data)
    origin.side_file(out).write_bytes(os.urandom(9))
    with pytest.raises(InputError):
        back(out)
