"""The command line as a whole: the tree, help, options and their origin, exit codes, ways to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from host_tools import cli, output
from host_tools.commands import tree
from host_tools.commands.common import Option
from host_tools.errors import InputError, PeerError, StoreError, ToolError, UsageError, VerdictError

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("quiet_place")


def entries(
    found: tuple[tree.Entry, ...] = tree.TREE, path: tuple[str, ...] = ()
) -> Iterator[tuple[tree.Entry, tuple[str, ...]]]:
    for entry in found:
        yield entry, (*path, entry.name)
        yield from entries(entry.subs, (*path, entry.name))


PATHS = [path for _, path in entries()]
BUILT = [path for entry, path in entries() if entry.module]
MISSING = [path for entry, path in entries() if not tree.built(entry)]


def test_the_whole_tree_is_there() -> None:
    tops = {e.name for e in tree.TREE}
    assert tops == set(
        "boards flash provision monitor station update unlock send plan registry keys capture decode replay "
        "ingest report serve sim audit evidence firmware efuse schema doctor".split()
    )
    assert {" ".join(p) for p in BUILT} == {
        *(
            "sim run",
            "sim list",
            "keys new",
            "keys list",
            "registry list",
            "registry show",
            "registry export",
        ),
        *("capture", "decode", "replay", "schema show", "schema export", "doctor"),
    }


def test_help_names_every_command_under_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    said = capsys.readouterr().out
    for section, _ in tree.SECTIONS:
        assert f"{section}:\n" in said
    for entry in tree.TREE:
        assert f"  {entry.name} " in said
    assert cli.run([]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
@pytest.mark.parametrize("language", output.LANGUAGES)
def test_every_command_has_help_in_both_languages(
    path: tuple[str, ...], language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["--lang", language, *path, "--help"]) == 0
    said = capsys.readouterr().out
    entry = tree.find(*path)
    assert entry
    words = " ".join(said.split())
    first = (entry.english if language == "en" else entry.french).split(":")[0].split(";")[0]
    assert first.rstrip(".")[:40] in words
    assert ("Everywhere:" if language == "en" else "Partout :") in said
    # No line of French begins with the sign that a space stands before.
    assert not any(line.lstrip().startswith((";", ":", "?", "!", "»")) for line in said.splitlines())


@pytest.mark.parametrize("path", BUILT, ids=" ".join)
def test_every_option_has_help_in_both_languages(path: tuple[str, ...]) -> None:
    command: click.Command = cli.root()
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found
        command = found
    for param in command.params:
        if isinstance(param, Option):
            assert param.help, param.name
            assert param.fr, param.name


@pytest.mark.parametrize("path", MISSING, ids=" ".join)
def test_what_is_not_built_says_so(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is asked of it; a noun of which nothing is built prints its help."""
    entry = tree.find(*path)
    assert entry
    code = cli.run([*path, "--whatever", "x"] if not entry.subs else [*path])
    captured = capsys.readouterr()
    assert code == output.USAGE
    assert captured.out == ""
    if not entry.subs:
        assert captured.err == f"lanterne: {' '.join(path)}: not built yet: {entry.english}\n"


def test_an_unknown_command_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["decod"]) == output.USAGE
    said = capsys.readouterr().err.splitlines()
    assert said == ["lanterne: no command 'decod'; did you mean `lanterne decode`?", "  see: lanterne --help"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["deocde"], "lanterne decode"),
        (["keys", "lst"], "lanterne keys list"),
        (["export"], "lanterne registry export` or `lanterne schema export"),
        (["qqqq"], ""),
        # What is not built is suggested for its own misspelling, and for nothing else.
        (["new"], "lanterne keys new"),
    ],
)
def test_a_misspelt_verb_is_guessed(typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(typed) == output.USAGE
    [line, hint] = capsys.readouterr().err.splitlines()
    assert (f"; did you mean `{meant}`?" in line) if meant else line.endswith(f"no command '{typed[-1]}'")
    assert hint == "  see: " + " ".join(["lanterne", *typed[:-1], "--help"])
    assert cli.run(["--lang", "fr", *typed]) == output.USAGE
    assert capsys.readouterr().err.startswith("lanterne: aucune commande")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["decode"], "il manque 'SOURCE...'"),
        (["sim", "run", "demo"], "il manque '-o' / '--out'"),
        (["decode", "--statsu", "x"], "aucune option --statsu"),
        (
            ["decode", "x", "--status", "y"],
            "possibles signed, authenticated, unverified, contested, rejected",
        ),
        (["capture", "x", "-o", ""], "valeur refusée pour '-o' / '--out' : un nom vide"),
        (["keys"], "il manque une sous-commande"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, list) else "",
)
def test_what_is_wrong_with_a_command_line_is_said_in_french(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["--lang", "fr", *arguments]) == output.USAGE
    said = capsys.readouterr().err
    assert line in said
    assert "Missing" not in said and "No such" not in said and "Invalid" not in said


# Origin of values


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[object, str]]:
    assert cli.run([*arguments, "--show-config", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row["option"]: (row["value"], row["origin"]) for row in rows}


def test_flag_beats_environment_beats_file_beats_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert shown(capsys, "replay", "a", "b")["--seed"] == (1, "default")
    (tmp_path / "lanterne.toml").write_text("seed = 2\n")
    assert shown(capsys, "replay")["--seed"] == (2, "lanterne.toml")
    (tmp_path / "lanterne.toml").write_text("seed = 2\n[replay]\nseed = 3\n")
    assert shown(capsys, "replay")["--seed"] == (3, "lanterne.toml")
    monkeypatch.setenv("LANTERNE_SEED", "4")
    assert shown(capsys, "replay")["--seed"] == (4, "LANTERNE_SEED")
    assert shown(capsys, "replay", "--seed", "5")["--seed"] == (5, "command line")


def test_options_count_before_and_behind_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["--dry-run", "schema", "show"],
        ["schema", "--dry-run", "show"],
        ["schema", "show", "--dry-run"],
    ):
        assert shown(capsys, *arguments)["--dry-run"] == (True, "command line")


def test_paths_of_a_settings_file_count_from_its_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "l.toml").write_text('tenant = "commune"\n')
    found = shown(capsys, "registry", "list", "--config", str(place / "l.toml"))
    assert found["--tenant"] == (str(place / "commune"), str(place / "l.toml"))
    assert found["--config"] == (str(place / "l.toml"), "command line")


@pytest.mark.parametrize("text", ['keys = "a.json"', 'keys = ["a.json"]', '[decode]\nkeys = ["a.json"]'])
def test_an_option_that_may_be_given_again_takes_one_or_a_list(
    text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "l.toml").write_text(text)
    found = shown(capsys, "decode", "--config", str(tmp_path / "l.toml"))
    assert found["--keys"] == ([str(tmp_path / "a.json")], str(tmp_path / "l.toml"))


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("sede = 1\n", output.USAGE, "sede"),
        ("[decode]\nkyes = 'x'\n", output.USAGE, "kyes"),
        ("seed = = 1\n", output.UNREADABLE, "lanterne.toml"),
        ("lang = 'klingon'\n", output.USAGE, "klingon"),
    ],
)
def test_a_wrong_settings_file_is_one_line(
    text: str, code: int, word: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "lanterne.toml").write_text(text)
    assert cli.run(["decode", "x.pcap"]) == code
    said = capsys.readouterr().err
    assert word in said.splitlines()[0]
    assert "Traceback" not in said


def test_a_named_settings_file_must_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema", "show", "--config", "nowhere.toml"]) == output.UNREADABLE
    assert "nowhere.toml" in capsys.readouterr().err


def test_the_names_a_settings_file_may_hold_are_those_of_the_options() -> None:
    names = set()
    for path in BUILT:
        command: click.Command = cli.root()
        for name in path:
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), name)
            assert found
            command = found
        names |= {p.name for p in command.params if isinstance(p, Option)}
    assert names - {"config", "show_config", "version"} == set(cli.OPTION_NAMES)


def test_the_language_is_the_systems_unless_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for environment, arguments, french in (
        ({"LANG": "fr_FR.UTF-8"}, [], True),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, [], False),
        ({"LANG": "fr_FR.UTF-8", "LANTERNE_LANG": "en"}, [], False),
        ({"LANTERNE_LANG": "en"}, ["--lang", "fr"], True),
        ({"LANTERNE_LANG": "en"}, ["--lang=fr"], True),
        ({}, [], False),
    ):
        with monkeypatch.context() as m:
            for name, value in environment.items():
                m.setenv(name, value)
            assert cli.run([*arguments, "keys", "--help"]) == 0
        assert ("Utilisation" in capsys.readouterr().out) is french


# Ways to end


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (VerdictError("no"), 1),
        (UsageError("no"), 2),
        (InputError("no"), 3),
        (PeerError("no"), 4),
        (StoreError("no"), 5),
        (OSError(28, "No space left on device"), 5),
        (OSError(2, "No such file", "x"), 3),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 70),
        (click.UsageError("no"), 2),
    ],
)
def test_every_way_out_has_its_code(error: BaseException, code: int) -> None:
    assert cli.describe(error)[0] == code
    assert code in output.EXIT_CODES


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make `lanterne doctor` end in an exception."""
    from host_tools.commands import doctor

    def arm(error: BaseException) -> None:
        def check() -> Iterator[doctor.Finding]:
            raise error
            yield

        monkeypatch.setattr(doctor, "CHECKS", (check,))

    return arm


def test_an_error_is_a_line_and_a_hint_and_a_trace_only_on_request(
    breaking: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    breaking(ToolError("it broke\x1b[31m", "mend it"))
    assert cli.run(["doctor"]) == 1
    assert capsys.readouterr().err == "lanterne: it broke\\x1b[31m\n  mend it\n"
    assert cli.run(["doctor", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert cli.run(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().err) == {"error": "it broke\x1b[31m", "hint": "mend it", "exit": 1}


def test_a_defect_of_ours_is_told_apart(
    breaking: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    breaking(ValueError("oops"))
    assert cli.run(["doctor"]) == output.DEFECT
    said = capsys.readouterr().err
    assert "ValueError: oops" in said
    assert "Traceback" not in said


def test_an_interrupted_run_is_one_line(
    breaking: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    breaking(KeyboardInterrupt())
    assert cli.run(["doctor"]) == output.INTERRUPTED
    assert capsys.readouterr().err == "lanterne: interrupted\n"


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    for command in ("schema show --json", "--help", "schema export json"):
        done = subprocess.run(
            [
                "bash",
                "-c",
                f'"{sys.executable}" -m host_tools.cli {command} | head -c 1; exit ${{PIPESTATUS[0]}}',
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command


def test_results_and_remarks_part_ways(capsys: pytest.CaptureFixture[str]) -> None:
    out = output.Output()
    out.result({"a": 1}, "one")
    out.remark("two\x07")
    out.detail("three")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("one\n", "two\\x07\n")
    output.Output(as_json=True, quiet=True).result({"a": b"\x01"}, "one")
    output.Output(quiet=True).remark("two")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ('{"a": "01"}\n', "")


def test_a_table_aligns_and_escapes() -> None:
    lines = list(output.table_lines(("n", "name"), [(1, "a\x1b[2J"), (100, None)]))
    assert lines == ["  n  name", "  1  a\\x1b[2J", "100"]


class Terminal:
    def isatty(self) -> bool:
        return True


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.colour(Terminal())  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.colour(Terminal())  # type: ignore[arg-type]


def test_no_bar_when_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output.Output().progress("frames") as bar:
        bar.step(1)
    assert capsys.readouterr().err == ""


# Start-up: modules, not milliseconds, so that a busy machine fails nobody. The time is in bench/.

ALLOWED = {"click", "host_tools", "errno", "__future__", "signal"}
HEAVY = {
    "cryptography",
    "cbor2",
    "rich",
    "sqlite3",
    "asyncio",
    "json",
    "ssl",
    "tomllib",
    "firmware",
    "provisioning",
}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["decode", "--help"], ["keys", "--help"], ["boards"]], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "host_tools.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LANTERNE_LANG": "en"},
    )
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line
    }
    assert "host_tools" in loaded
    third = loaded - set(sys.stdlib_module_names) - {"click", "host_tools", "imported package"}
    assert not {n for n in third if (ROOT / n).is_dir()}, third
    assert not loaded & (HEAVY - {"json"}), loaded & HEAVY
