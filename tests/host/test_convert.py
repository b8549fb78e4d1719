"""Conversions between formats: what is kept, what is told to be lost, and the original byte for byte."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from host_tools import capture, formats
from host_tools.convert import convert
from host_tools.errors import InputError, UsageError
from tests.host import synth
from tests.host.test_formats_same import FORMATS, heard

TRAFFIC = [(synth.Device("mac0", 2).link(10, n, bytes(30)), heard(n)) for n in range(1, 30)]
SUFFIX = {
    "GWMP": ".gwmp",
    "Basics Station": ".lns",
    "ChirpStack JSON": ".jsonl",
    "ChirpStack protobuf": ".pb",
    "The Things Stack": ".tts",
    "gateway records": ".rec",
    "hex lines": ".hex",
}


def suffix(name: str) -> str:
    return SUFFIX.get(name, ".pcap" if name.startswith("pcap,") else ".pcapng")


@pytest.mark.parametrize("name", [n for n in FORMATS if n != "pcapng"])
def test_there_and_back_is_the_same_file(tmp_path: Path, name: str) -> None:
    content = FORMATS[name](TRAFFIC)
    if name in SUFFIX and name not in ("ChirpStack protobuf", "gateway records"):
        # What people's files are like.
        content = b"\r\n" + content.replace(b"\n", b"\r\n", 3) + b'{"stat": {"rxnb": 2}}\n\n'
    source, between, back = (
        tmp_path / ("a" + suffix(name)),
        tmp_path / "b.pcapng",
        tmp_path / ("c" + suffix(name)),
    )
    source.write_bytes(content)
    done = convert(source, between)
    assert done.frames == len(TRAFFIC) and done.original == str(between)
    again = convert(between, back)
    assert again.restored and back.read_bytes() == content
    assert [f.data for f in formats.frames(between)] == [data for data, _ in TRAFFIC]
    assert list(formats.frames(between)) == list(formats.frames(source)), "radio values travel, too"


@pytest.mark.parametrize("name", FORMATS)
def test_what_each_target_keeps(tmp_path: Path, name: str) -> None:
    source = tmp_path / "a"
    source.write_bytes(FORMATS[name](TRAFFIC))
    mine = list(formats.frames(source))
    for target in [*sorted({suffix(n) for n in FORMATS} - {".jsonl"}), ".chirpstack"]:
        out = tmp_path / f"b{target}"
        done = convert(source, out)
        if "frame" in done.lost:
            # Of a frame without gateway and frequency nobody could tell that it is one.
            assert name == "hex lines" and target in (".pb", ".rec")
            continue
        theirs = list(formats.frames(out))
        assert [f.data for f in theirs] == [f.data for f in mine], target
        changed = set()
        for a, b in zip(mine, theirs, strict=True):
            changed |= {n for n in ("time_us", "gateway") if getattr(a, n) != getattr(b, n)}
            changed |= {
                f"radio.{n}" for n in a.radio.__slots__ if getattr(a.radio, n) != getattr(b.radio, n)
            } - {f"radio.{n}" for n in a.radio.__slots__ if getattr(a.radio, n) in (0, None, "")}
        if target != ".pcapng":
            assert changed <= set(done.lost), (target, changed, done.lost)
            assert bool(done.lost) == bool(done.original), target
            if done.original:
                assert convert(done.original, tmp_path / f"c{suffix(name)}").restored or name == "pcapng"
        else:
            assert changed == set()


def test_what_cannot_be(tmp_path: Path) -> None:
    source = synth.capture(tmp_path / "a.pcap", [data for data, _ in TRAFFIC])
    for out, word in (("b.xyz", "which format"), ("b.json", "which JSON"), ("b.db", "which format")):
        with pytest.raises(UsageError, match=word):
            convert(source, tmp_path / out)
    with pytest.raises(UsageError, match="the input itself"):
        convert(source, source)
    with pytest.raises(UsageError, match="no format 'x'"):
        convert(source, tmp_path / "b", "x")
    (tmp_path / "keys").write_text('{"format": "something"}')
    with pytest.raises(InputError, match="not a capture"):
        convert(tmp_path / "keys", tmp_path / "b.pcapng")
    assert not (tmp_path / "b.pcapng").exists()


def test_a_packed_file_is_read_and_given_back_unpacked(tmp_path: Path) -> None:
    content = FORMATS["GWMP"](TRAFFIC)
    (tmp_path / "a.gwmp.gz").write_bytes(gzip.compress(content))
    assert convert(tmp_path / "a.gwmp.gz", tmp_path / "b.pcapng").frames == len(TRAFFIC)
    convert(tmp_path / "b.pcapng", tmp_path / "c.gwmp")
    assert (tmp_path / "c.gwmp").read_bytes() == content


def test_unreadable_records_are_counted_and_kept_in_the_original(tmp_path: Path) -> None:
    content = FORMATS["GWMP"](TRAFFIC) + b'{"rxpk": [{"data": "?"}]}\n{"rxpk": 1e999}\n'
    (tmp_path / "a.gwmp").write_bytes(content)
    done = convert(tmp_path / "a.gwmp", tmp_path / "b.pcap")
    assert (done.frames, done.unreadable, done.original) == (29, 2, str(tmp_path / "b.pcap.origin.pcapng"))
    convert(done.original, tmp_path / "c.gwmp")
    assert (tmp_path / "c.gwmp").read_bytes() == content
    assert len(list(capture.read(tmp_path / "b.pcap"))) == 29
