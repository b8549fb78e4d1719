"""`lanterne keys` and `registry`: a tenant from nothing to a reader's keyring, and no key on the way."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from host_tools import cli, output
from host_tools.commands.keys import eui
from host_tools.errors import UsageError

pytestmark = pytest.mark.usefixtures("quiet_place")


@pytest.fixture(autouse=True)
def named_tenant(quiet_place: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANTERNE_TENANT", "commune")


def run(*arguments: str) -> None:
    assert cli.run(list(arguments)) == 0


@pytest.fixture
def tenant(capsys: pytest.CaptureFixture[str]) -> Path:
    run("keys", "new", "--lab", "--seed", "7", "--clear-link", "--name", "Ville")
    run("keys", "new", "--device", "lamp-1", "--kind", "lamp", "--profile", "sign1", "--asset", "M12")
    run("keys", "new", "--device", "leak-3", "--kind", "leak")
    capsys.readouterr()
    return Path("commune")


def secrets(folder: Path) -> set[str]:
    """Every long hex string of the tenant's secret files."""
    texts = [(folder / "root.json").read_text(), *(p.read_text() for p in (folder / "devices").iterdir())]
    return {found for text in texts for found in re.findall(r"[0-9a-f]{64}", text)}


def test_a_tenant_and_devices_are_made(tenant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("registry", "list", "--json")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(d["name"], d["kind"], d["profile"], d["address"], d["asset"]) for d in found] == [
        ("lamp-1", "lamp", "sign1", 1, "M12"),
        ("leak-3", "leak", "encrypt0", 2, ""),
    ]
    run("registry", "show", "lamp-1", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown["device"] == found[0]["device"]
    assert shown["assets"][0]["asset"] == "M12"
    run("registry", "show", found[0]["device"])
    assert "asset: M12" in capsys.readouterr().out


def test_no_command_prints_a_key(tenant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = secrets(tenant)
    assert len(keys) >= 3
    run("registry", "export", "--role", "reader", "-o", "reader.json")
    keys |= {k for d in json.loads(Path("reader.json").read_text())["devices"] for k in d["keys"].values()}
    for arguments in (
        ["keys", "list"],
        ["keys", "list", "--json"],
        ["registry", "list", "-vv"],
        ["registry", "show", "lamp-1", "--json"],
        ["doctor", "--json"],
        ["keys", "new", "--device", "lamp-1", "--kind", "lamp", "--debug"],
    ):
        cli.run(arguments)
        captured = capsys.readouterr()
        assert not {k for k in keys if k in captured.out + captured.err}, arguments


def test_keys_list_names_the_keys(tenant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("keys", "list", "--json")
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    assert "Ville" in captured.err
    assert {"mac-up", "enc-up", "leaf", "link"} <= set(found[0]["keys"].split())


def test_a_keyring_holds_what_its_role_needs(tenant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    allowed = {
        "reader": {"mac-up", "enc-up", "leaf"},
        "commander": {"mac-down", "enc-down"},
        "gateway": {"link"},
    }
    for role, labels in allowed.items():
        run("registry", "export", "--role", role, "-o", f"{role}.json")
        path = Path(f"{role}.json")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        found = json.loads(path.read_text())
        assert found["role"] == role
        assert {label for d in found["devices"] for label in d["keys"]} <= labels
        assert not {s for s in secrets(tenant) if s in path.read_text()}
    run("registry", "export", "--role", "reader", "-o", "one.json", "--device", "leak-3")
    assert [d["name"] for d in json.loads(Path("one.json").read_text())["devices"]] == ["leak-3"]


def test_a_file_that_is_there_is_replaced_on_request_only(
    tenant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("reader.json").write_text("mine")
    arguments = ["registry", "export", "--role", "reader", "-o", "reader.json"]
    assert cli.run(arguments) == output.STORE_REFUSED
    assert "--yes" in capsys.readouterr().err
    assert Path("reader.json").read_text() == "mine"
    assert cli.run([*arguments, "--yes"]) == 0
    assert json.loads(Path("reader.json").read_text())["role"] == "reader"


def test_a_tenant_is_never_overwritten(tenant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = secrets(tenant)
    assert cli.run(["keys", "new", "--yes"]) == output.STORE_REFUSED
    assert "exists" in capsys.readouterr().err
    assert secrets(tenant) == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--device", "x"], "--kind"),
        (["--kind", "lamp"], "--device"),
        (["--device", "x", "--kind", "lamp", "--lab"], "--lab"),
        (["--device", "lamp-1", "--kind", "lamp"], "lamp-1"),
        (["--device", "x", "--kind", "boat"], "boat"),
        (["--device", "x", "--kind", "lamp", "--eui", "1234"], "EUI-64"),
        (["--device", "x\x1b[2J", "--kind", "lamp"], "printable"),
        (["--tenant", "other", "--seed", "7"], "lab"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(
    tenant: Path, arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["keys", "new", *arguments]) == output.USAGE
    said = capsys.readouterr().err
    assert word in said
    assert "\x1b" not in said
    assert "Traceback" not in said


def test_a_dry_run_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("keys", "new", "--dry-run")
    assert "would make a tenant" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_tenant_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["keys", "list"], ["registry", "list"], ["registry", "show", "x"]):
        assert cli.run(arguments) == output.UNREADABLE
        assert "commune" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["70b3d57ed0001234", "70-B3-D5-7E-D0-00-12-34", "70:b3:d5:7e:d0:00:12:34"])
def test_an_eui_is_read_as_it_is_printed_on_labels(text: str) -> None:
    assert eui(text) == bytes.fromhex("70b3d57ed0001234")


@pytest.mark.parametrize("text", ["", "70b3d57ed00012", "70b3d57ed00012zz", "70b3d57ed000123400"])
def test_what_is_no_eui_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="EUI-64"):
        eui(text)
