"""`lanterne schema` and `lanterne doctor`: what they show, and what a report must not."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools import cli, output
from host_tools.commands import doctor, schema
from host_tools.commands.doctor import Finding, cut

pytestmark = pytest.mark.usefixtures("quiet_place")


def test_show_has_every_message_and_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema", "show", "--json"]) == 0
    found = {m["type"]: m for m in map(json.loads, capsys.readouterr().out.splitlines())}
    names = ["hello", "lamp", "bin", "leak", "site", "cabinet"]
    assert {n: m["name"] for n, m in found.items()} == dict(enumerate(names, 1))
    lamp = {f["name"]: f for f in found[2]["fields"]}
    assert (lamp["power"]["key"], lamp["power"]["unit"], lamp["power"]["decimals"]) == (7, "W", 1)
    assert lamp["reason"]["states"] == ["default", "override", "sensor", "program", "local"]
    leak = {f["name"]: f for f in found[4]["fields"]}
    assert leak["flow"]["privacy"] == 1
    cabinet = {f["name"]: f for f in found[6]["fields"]}
    assert cabinet["voltage_l3"]["unit"] == "V" and cabinet["local"]["states"] == ["none", "off", "on"]
    assert {a["name"] for a in found[6]["alarms"]} >= {"contactor_welded", "contactor_open", "door_open"}


@pytest.mark.parametrize("name", ["lamp", "2"])
def test_show_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema", "show", name]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 lamp\n")
    assert "0.0" in said
    assert "fill" not in said


def test_show_of_what_is_not_there_names_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema", "show", "boat"]) == output.USAGE
    said = capsys.readouterr().err
    assert "'boat'" in said
    assert "hello, lamp, bin, leak, site" in said


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0, 0, "0"), (5, 1, "0.5"), (-5, 1, "-0.5"), (-400, 1, "-40.0"), (1234, 3, "1.234"), (7, 3, "0.007")],
)
def test_scaled_numbers_are_exact(value: int, decimals: int, text: str) -> None:
    assert schema._scaled(value, decimals) == text


def test_export_writes_what_the_clone_has(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.run(["schema", "export", "cddl", "-o", "w.cddl"]) == 0
    clone = Path(cli.__file__).parents[1] / "docs/wire-format.cddl"
    assert (tmp_path / "w.cddl").read_bytes() == clone.read_bytes()
    assert cli.run(["schema", "export", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["messages"]) == 6
    assert cli.run(["schema", "export", "xml"]) == output.USAGE


def test_the_doctor_is_well_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    states = {f["what"]: f["state"] for f in found["findings"]}
    assert found["format"] == "lanterne-doctor/1"
    assert states["python"] == states["cbor2"] == states["micropython"] == "ok"
    assert states["LANTERNE_DATA"] == "note"


def test_something_bad_is_exit_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def check() -> Iterator[Finding]:
        yield Finding("python", "bad", "2.7", "3.11 or newer")
        yield Finding("rest", "ok", "fine")

    monkeypatch.setattr(doctor, "CHECKS", (check,))
    assert cli.run(["doctor"]) == output.NEGATIVE
    captured = capsys.readouterr()
    assert "3.11 or newer" in captured.out
    assert captured.err == "lanterne: to mend: python\n"


def test_a_folder_of_data_that_is_gone_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANTERNE_DATA", "/nowhere/at/all")
    [found] = [f for f in doctor.folders() if f.what == "LANTERNE_DATA"]
    assert found.state == "bad"


@pytest.mark.parametrize(
    "secret",
    [
        "469617a9d7c6c6935dc2ad83df914f3af0258c3460a0af6955fd240d13136d77",
        "000102030405060708090A0B0C0D0E0F",
        "RpYXqdfGxpNdwq2D35FPOvAljDRgoK9pVf0kDRMTbXc=",
    ],
)
def test_what_looks_like_a_key_is_cut(secret: str) -> None:
    assert secret not in cut(f"key={secret} end")
    assert "end" in cut(f"key={secret} end")


def test_credentials_and_names_are_cut() -> None:
    assert "hunter2" not in cut("mqtts://bob:hunter2@broker.example/x")
    assert "alice" not in cut("/home/" + "alice/keys and /Users/" + "alice/x")
    assert str(Path.home()) + "/" not in cut(f"{Path.home()}/lanterne.toml")


def test_the_report_names_no_user(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.run(["doctor", "--json"]) == 0
    said = capsys.readouterr().out
    if getpass.getuser() not in ("root", "user", "nobody", "runner"):
        assert f"/{getpass.getuser()}/" not in said


def test_ports_are_looked_at_and_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a port can reset a board."""
    opened = []
    monkeypatch.setattr(os, "open", lambda *a, **k: opened.append(a))
    list(doctor.ports())
    assert not [a for a in opened if "tty" in str(a[0])]
