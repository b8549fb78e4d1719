"""`lanterne decode` from the command line: rows, filters, formats, files, and each way it can go wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import cli, decode, output
from host_tools.commands.decode import moment
from host_tools.commands.files import captures
from tests.host.synth import Device, capture, keyring

pytestmark = pytest.mark.usefixtures("quiet_place")


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert cli.run(["decode", *arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def files(sample: Path) -> list[str]:
    return [str(sample / "capture.pcap"), "--keys", str(sample / "reader.json")]


def test_rows_and_states(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, *files)
    assert len(found) == 17
    assert [r["state"] for r in found].count("signed") == 14
    assert {r["reason"] for r in found if r["state"] == "rejected"} == {"bad_signature", "bad_tag"}
    [first] = [r for r in found if r["name"] == "lamp-1" and r["seq"] == 1]
    # The lamp of tests/host/synth.py: number 1 is level 1 and power 40.1 W.
    assert first["values"] == {"level_percent": 1, "power_w": 40.1}


def test_without_keys_every_frame_is_unverified(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {r["state"] for r in rows(capsys, str(sample / "capture.pcap"))} == {"unverified"}


def test_strict_turns_doubt_into_exit_1(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decode", *files, "--strict"]) == output.NEGATIVE
    captured = capsys.readouterr()
    assert "3 frames are not trusted" in captured.err
    assert captured.out.count("\n") == 18


def test_the_summary_says_what_a_reason_means(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decode", *files]) == 0
    english = capsys.readouterr().err
    assert english.startswith("14 signed, 3 rejected\n")
    assert "2 x bad_tag: " in english
    assert cli.run(["decode", *files, "--lang", "fr"]) == 0
    french = capsys.readouterr().err
    assert "2 x bad_tag: " in french
    assert french != english
    assert cli.run(["decode", *files, "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--device", "lamp-1"], 5),
        (["--device", "70B3D57ED0000001"], 5),
        (["--device", "lamp-1", "--device", "leak-3"], 10),
        (["--kind", "bin"], 7),
        (["--status", "rejected"], 3),
        (["--status", "rejected", "--kind", "lamp"], 1),
        (["--since", "2026-01-28T20:00:14"], 3),
        (["--until", "2026-01-28T20:00:04Z"], 4),
        (["--since", "2026-01-28T21:00:01+01:00", "--until", "2026-01-28T20:00:03"], 2),
        (["--since", "2026-01-29"], 0),
        (["--where", "level_percent >= 3"], 2),
        (["--where", "type = 'leak' AND leak_state <> 'none'"], 2),
        (["--where", "reason LIKE 'bad%'", "--kind", "bin"], 1),
        (["--where", "supply_v BETWEEN 3.3015 AND 3.3035"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_filters(
    files: list[str], arguments: list[str], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(rows(capsys, *files, *arguments)) == count


@pytest.mark.parametrize(
    "expression",
    [
        "1 = 1; DROP TABLE rows",
        "1) OR (1 = 1",
        "EXISTS (SELECT 1 FROM sqlite_master)",
        "no_such_column > 1",
        "level_percent >",
        "load_extension('x')",
        "writefile('x', 'y')",
        "1 = 1 UNION SELECT 1",
        "",
        "x" * 3000,
    ],
)
def test_a_condition_can_ask_and_nothing_else(
    files: list[str], expression: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run(["decode", *files, "--where", expression])
    captured = capsys.readouterr()
    assert code == output.USAGE
    assert captured.out == ""
    assert captured.err.startswith("lanterne: --where")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "", "20:00"])
def test_a_wrong_time_is_named(files: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decode", *files, "--since", text]) == (output.USAGE if text else 0)
    if text:
        assert repr(text) in capsys.readouterr().err


def test_times_are_exact() -> None:
    assert moment("2026-01-01") == 1767225600_000000
    assert moment("2026-01-01T00:00:00.000001+00:00") == 1767225600_000001


def test_a_file_of_rows_is_chosen_by_its_name(files: list[str], tmp_path: Path) -> None:
    for name, starts in (
        ("r.csv", "device,name"),
        ("r.jsonl", '{"device"'),
        ("r.txt", "time "),
        ("r.json", "{"),
    ):
        assert cli.run(["decode", *files, "-o", name]) == 0
        assert (tmp_path / name).read_text().startswith(starts), name
    assert cli.run(["decode", *files, "-o", "r.txt", "--format", "verify"]) == 0
    assert "\n70b3d57ed0000001 1 1 lamp signed - " in (tmp_path / "r.txt").read_text()


def test_csv_cannot_start_a_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A device may be called anything; a spreadsheet must not run it."""
    evil = Device("sign1", 1, name="=cmd|' /C calc'!A0", kind="lamp")
    other = Device("sign1", 2, name="@SUM(A1),x", kind="lamp")
    capture(tmp_path / "c.pcap", evil.run(1) + other.run(1))
    keyring(tmp_path / "k.json", evil, other)
    assert cli.run(["decode", "c.pcap", "--keys", "k.json", "--format", "csv"]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [r["name"] for r in found] == ["'=cmd|' /C calc'!A0", "'@SUM(A1),x"]


def test_a_name_cannot_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = Device("sign1", 1, name="lamp", kind="lamp")
    capture(tmp_path / "c.pcap", evil.run(1))
    path = keyring(tmp_path / "k.json", evil)
    path.write_text(path.read_text().replace('"lamp"', '"la\\u001b[2Jmp"', 1))
    cli.run(["decode", "c.pcap", "--keys", "k.json"])
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err


def test_an_interrupted_or_failing_write_leaves_what_was_there(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "r.csv"
    old.write_text("old")
    from host_tools import rows as rows_of

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rows_of, "write", interrupted)
    assert cli.run(["decode", *files, "-o", "r.csv"]) == output.INTERRUPTED
    assert old.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["r.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line_and_exit_5(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decode", *files, "-o", "/dev/full"]) == output.STORE_REFUSED
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("lanterne: ")] == [
        "lanterne: cannot write /dev/full: the disk is full"
    ]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda p: None, "there is no such file"),
        (lambda p: p.mkdir(), "no capture in this folder"),
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "not a capture"),
    ],
)
def test_an_unreadable_source_is_one_line_and_exit_3(
    make: object, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "in")  # type: ignore[operator]
    assert cli.run(["decode", "in", "-o", "out.csv"]) == output.UNREADABLE
    said = capsys.readouterr().err
    assert word in said.splitlines()[0]
    assert not (tmp_path / "out.csv").exists()


def test_a_capture_that_ends_too_soon_gives_its_rows(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (sample / "capture.pcap").read_bytes()
    (tmp_path / "cut.pcap").write_bytes(whole[:-5])
    assert cli.run(["decode", "cut.pcap", "--keys", str(sample / "reader.json"), "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 16
    assert "cut" in captured.err


def test_a_folder_and_standard_input_are_sources(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ["--keys", str(sample / "reader.json")]
    whole = rows(capsys, str(sample), *keys)
    assert len(whole) == 17
    done = subprocess.run(
        [sys.executable, "-m", "host_tools.cli", "decode", "-", "--json", *keys],
        stdin=(sample / "capture.pcap").open("rb"),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == whole, done.stderr


def test_a_dry_run_writes_nothing(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["decode", *files, "-o", "r.csv", "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "17 rows would be written" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_keys_that_others_may_read_are_refused(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_to_all = tmp_path / "reader.json"
    open_to_all.write_bytes((sample / "reader.json").read_bytes())
    open_to_all.chmod(0o644)
    assert cli.run(["decode", str(sample / "capture.pcap"), "--keys", "reader.json"]) == output.UNREADABLE
    assert "chmod 600 reader.json" in capsys.readouterr().err


def test_explain_takes_a_frame_apart(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decode", *files, "--device", "lamp-1", "--status", "signed", "--explain", "2"]) == 0
    said = capsys.readouterr().out
    # Header and envelope as tests/host/synth.py packs them: lamp, address 1, number 2, Sign1 over 15 bytes.
    assert "869.525000 MHz  SF9/125  RSSI -70 dBm  SNR 5 dB" in said
    assert " 0010  0a                         type  up, port 10, reading" in said
    assert " 0014  00 02                      number  2" in said
    assert " 0019  06 43 00 00 02                 Partial IV  low 24 bits of the number: 2" in said
    assert "lamp-1 epoch 1: sign1, public key, numbers 2, 16777218: 2 fits" in said
    assert "level_percent = 2" in said


def test_explain_says_why_and_what_to_do(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decode", *files, "--status", "rejected", "--explain", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("verdict     rejected: bad_signature")
    assert len(lines) == at + 3
    assert sum(line.startswith("!") and line.endswith("<-- bad_signature") for line in lines) == 1
    assert cli.run(["decode", *files, "--status", "rejected", "--explain", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["row"] == 1
    assert found["facts"]["verdict"] == "rejected: bad_signature"


def test_explain_of_bytes_that_are_no_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture(tmp_path / "c.pcap", [b"\x00\xff" * 5, b""])
    for row, reason in (("1", "not_link"), ("2", "truncated")):
        assert cli.run(["decode", "c.pcap", "--explain", row]) == 0
        assert f"<-- {reason}\n" in capsys.readouterr().out


def test_explain_needs_a_source_that_can_be_read_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decode", "-", "--explain", "1"]) == output.USAGE
    assert "give a file" in capsys.readouterr().err


@pytest.mark.parametrize("row", ["0", "18", "x"])
def test_explain_of_a_row_that_is_not_there(files: list[str], row: str) -> None:
    assert cli.run(["decode", *files, "--explain", row]) == output.USAGE


def test_a_folder_is_searched_for_every_format(sample: Path, tmp_path: Path) -> None:
    """Not for what stands beside a conversion, nor for JSON, which may be keys or rows."""
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "a.pcapng.gz").write_bytes(gzip.compress((sample / "capture.pcap").read_bytes()))
    for name in ("a.hex.origin.pcapng", "keys.json", "rows.jsonl", "notes.txt"):
        (folder / name).write_text("nothing to decode")
    assert captures([str(folder)]) == [str(folder / "a.pcapng.gz")]
    assert len(decode.decode(captures([str(folder)])).rows) > 0


@pytest.mark.parametrize("head", [b"\x0a\x0d\x0d\x0a" + bytes(30), b'{"format": "lanterne-lorawan-keys/1"}'])
def test_rows_take_the_place_of_no_capture_and_no_keys(sample: Path, tmp_path: Path, head: bytes) -> None:
    (tmp_path / "precious.csv").write_bytes(head)
    arguments = ["decode", str(sample / "capture.pcap"), "-o", str(tmp_path / "precious.csv"), "--yes"]
    assert cli.run(arguments) == output.STORE_REFUSED
    assert (tmp_path / "precious.csv").read_bytes() == head
