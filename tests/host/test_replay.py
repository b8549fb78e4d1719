"""Replay: the same bytes for the same seed, every fault told, and each refused frame traced to its fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host_tools import capture, decode, faults, replay
from host_tools.errors import InputError, UsageError
from host_tools.faults import Fault, Faults
from provisioning.tenant import Tenant
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_decode import printed


@pytest.fixture
def night(tmp_path: Path) -> tuple[Path, Path]:
    """A capture of three devices, and a reader's keyring."""
    devices = [Device("sign1", 1, kind="lamp"), Device("mac0", 2), Device("encrypt0", 3, kind="leak")]
    frames = [f for d in devices for f in [d.hello(), *d.run(40)]]
    return synth.capture(tmp_path / "in.pcap", frames), synth.keyring(tmp_path / "keys.json", *devices)


def frames_of(path: Path) -> list[bytes]:
    return [f.data for f in capture.read(path)]


def test_clean_is_the_same_bytes_and_rows(night: tuple[Path, Path], tmp_path: Path) -> None:
    source, keys = night
    report = replay.replay(source, tmp_path / "out.pcap")
    assert report.entries == []
    assert (tmp_path / "out.pcap").read_bytes() == source.read_bytes()
    before, after = decode.decode([source], [keys]), decode.decode([tmp_path / "out.pcap"], [keys])
    assert replay.compare(before.rows, after.rows) == replay.Comparison(True, [])


def test_the_same_seed_gives_the_same_bytes(night: tuple[Path, Path], tmp_path: Path) -> None:
    source, _ = night
    wanted = Faults(
        (
            *(Fault(kind, rate=0.1) for kind in faults.KINDS if kind not in faults.RANGES),
            Fault("clock_drift", ppm=20.0, offset_ms=-5),
            Fault("backhaul_cut", start_s=60.0, end_s=300.0),
        )
    )
    outputs = []
    for n, seed in enumerate((1, 1, 2)):
        out = tmp_path / f"{n}.pcap"
        outputs.append((replay.replay(source, out, wanted, seed).as_json(), out.read_bytes()))
    assert outputs[0] == outputs[1]
    assert outputs[0][1] != outputs[2][1]


@pytest.mark.parametrize("kind", ("drop", "reorder", *faults.ADDED, *faults.DAMAGE))
def test_each_fault_is_told_and_traced(night: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    source, keys = night
    out = tmp_path / "out.pcap"
    report = replay.replay(source, out, Faults((Fault(kind, nth=7),)), 3)
    before, after = frames_of(source), frames_of(out)
    assert report.records == len(after)
    struck = [n for n in range(1, len(before) + 1) if n % 7 == 0]
    assert [e["input"] for e in report.entries] == struck
    for e in report.entries:
        assert e["fault"] == kind
        if kind == "drop":
            assert e["output"] is None
        else:
            assert e["frame_after"] == replay._short(after[e["output"] - 1])
        assert e["frame_before"] == replay._short(before[e["input"] - 1])
    rows = {r.frame: r for r in decode.decode([out], [keys]).rows}
    for e in report.entries:
        row = rows.get(e["frame_after"] or e["frame_before"])
        if kind == "drop":
            assert row is None
        elif kind in ("duplicate", "reorder"):
            assert row is not None
            assert row.receptions == (2 if kind == "duplicate" else 1)
        elif kind == "foreign_device":
            assert row is not None
            assert (row.state, row.reason) == ("unverified", "unknown_device")
        elif kind == "wrong_key":
            assert row is not None
            assert row.state == "rejected"
            assert row.reason in ("bad_tag", "bad_signature")
        else:
            assert row is not None
            assert row.state in ("rejected", "unverified")


def test_added_frames_change_no_other_row(night: tuple[Path, Path], tmp_path: Path) -> None:
    source, keys = night
    added = Faults(tuple(Fault(k, rate=0.3) for k in ("wrong_key", "foreign_device", "duplicate", "reorder")))
    report = replay.replay(source, tmp_path / "out.pcap", added, 4)
    before, after = decode.decode([source], [keys]).rows, decode.decode([tmp_path / "out.pcap"], [keys]).rows
    new = {e["frame_after"] for e in report.entries if e["fault"] in ("wrong_key", "foreign_device")}
    assert new
    kept = [r for r in after if r.frame not in new]
    assert [(r.frame, r.state, r.reason) for r in kept] == [(r.frame, r.state, r.reason) for r in before]
    assert {r.frame for r in after if r.state in ("rejected", "unverified")} == new
    lines = replay.compare(before, after).lines
    assert sum(line.startswith("new: ") for line in lines) == len(new)
    assert all(line.startswith("new: ") or "received 2 times" in line for line in lines)


def test_reordering_alone_changes_no_row(night: tuple[Path, Path], tmp_path: Path) -> None:
    source, keys = night
    out = tmp_path / "out.pcap"
    replay.replay(source, out, Faults((Fault("reorder", rate=0.5, by=30),)), 5)
    assert frames_of(out) != frames_of(source)
    assert sorted(frames_of(out)) == sorted(frames_of(source))
    assert printed(decode.decode([out], [keys]).rows, "json") == printed(
        decode.decode([source], [keys]).rows, "json"
    )


def test_a_faults_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(
        '[[fault]]\nkind = "bit_flip"\nrate = 0.02\n[[fault]]\nkind = "drop"\nat = [3, 17]\n'
        '[[fault]]\nkind = "reorder"\nnth = 9\nby = 4\n'
    )
    assert faults.load(path) == Faults(
        (Fault("bit_flip", rate=0.02), Fault("drop", at=frozenset((3, 17))), Fault("reorder", nth=9, by=4))
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[[fault]\n", "not a TOML file"),
        ("x = 1\n", "something else"),
        ("fault = 3\n", "something else"),
        ('[[fault]]\nkind = "explode"\nrate = 1\n', "no kind of fault"),
        ('[[fault]]\nkind = "drop"\n', "one of rate, nth and at"),
        ('[[fault]]\nkind = "drop"\nrate = 0.1\nnth = 4\n', "one of rate, nth and at"),
        ('[[fault]]\nkind = "drop"\nrate = 2\n', "0 to 1"),
        ('[[fault]]\nkind = "drop"\nrate = true\n', "0 to 1"),
        ('[[fault]]\nkind = "drop"\nnth = 0\n', "from 1"),
        ('[[fault]]\nkind = "drop"\nat = []\n', "list"),
        ('[[fault]]\nkind = "drop"\nat = [0]\n', "list"),
        ('[[fault]]\nkind = "drop"\nnth = 3\nhow = 1\n', "no 'how'"),
        ('[[fault]]\nkind = "reorder"\nnth = 3\nby = 0\n', "by is"),
    ],
)
def test_a_wrong_faults_file_is_one_line(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=word) as e:
        faults.load(path)
    assert "\n" not in str(e.value)


def test_only_lab_tenants_seal_test_frames(night: tuple[Path, Path], tmp_path: Path) -> None:
    source, _ = night
    real = Tenant.create(tmp_path / "real", "Commune")
    wanted = Faults((Fault("wrong_key", nth=5, tenant=str(real.folder)),))
    with pytest.raises(UsageError, match="no lab tenant"):
        replay.replay(source, tmp_path / "out.pcap", wanted)
    lab = Tenant.create(tmp_path / "lab", lab=True)
    report = replay.replay(
        source, tmp_path / "out.pcap", Faults((Fault("wrong_key", nth=5, tenant=str(lab.folder)),))
    )
    assert len(report.entries) > 10


def test_the_input_is_not_overwritten(night: tuple[Path, Path]) -> None:
    source, _ = night
    before = source.read_bytes()
    with pytest.raises(UsageError, match="the input itself"):
        replay.replay(source, source)
    assert source.read_bytes() == before


def test_damaged_records_pass_through(tmp_path: Path) -> None:
    source = synth.capture(tmp_path / "in.pcap", [b"", b"\xe0", b"\xe0\x0a\x01"])
    for kind in faults.KINDS:
        fault = Fault(kind, nth=1, ppm=1.0, start_s=0, end_s=5)
        replay.replay(source, tmp_path / "out.pcap", Faults((fault,)))
    replay.replay(source, tmp_path / "out.pcap")
    assert frames_of(tmp_path / "out.pcap") == [b"", b"\xe0", b"\xe0\x0a\x01"]


def test_the_report_is_json(night: tuple[Path, Path], tmp_path: Path) -> None:
    report = replay.replay(night[0], tmp_path / "out.pcap", Faults((Fault("drop", nth=10),)))
    found = json.loads(report.as_json())
    assert found["records"] == report.records
    assert [f["fault"] for f in found["faults"]] == ["drop"] * len(report.entries)
