"""`lanterne sim`: a scenario from the command line, the same twice, and what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from host_tools import cli, output

pytestmark = pytest.mark.usefixtures("quiet_place")


def test_list_names_the_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sim", "list", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "demo" in [s["name"] for s in found]
    assert all(s["title"] for s in found)


@pytest.mark.slow
def test_a_run_repeats_byte_for_byte(capsys: pytest.CaptureFixture[str]) -> None:
    """Boards, air and gateway of half an hour, twice with one seed and once with another."""
    made = {}
    for folder, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        arguments = ["sim", "run", "demo", "-o", folder, "--hours", "0.5", "--sink", "file", "--seed", seed]
        assert cli.run([*arguments, "--json"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert lines[-1]["hours"] == 0.5
        assert lines[-1]["failures"] == []
        # A row for each frame while the run went on, then the result.
        assert len(lines) - 1 == lines[-1]["frames"] > 0
        made[folder] = Path(folder, "capture.pcap").read_bytes()
    assert made["a"] == made["b"] != made["c"]
    assert cli.run(["decode", "a/capture.pcap", "--keys", "a/keys.json", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {r["name"] for r in rows} == {"lamp-1", "bin-1", "leak-1"}
    assert {r["state"] for r in rows} <= {"signed", "authenticated"}


@pytest.mark.slow
def test_a_run_over_the_socket_says_what_it_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sim", "run", "demo", "-o", "a", "--hours", "0.3"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("0.3 h, ")
    assert captured.out.endswith("a/capture.pcap\n")
    assert captured.err == (
        "levels, power, fill and flow as curves: a/plots.svg\n"
        "to see every row: lanterne decode a/capture.pcap --keys a/keys.json\n"
    )
    assert Path("a/readings.db").is_file()
    assert Path("a/plots.svg").read_text().startswith("<svg ")
    # The folder is still known as one that a run made.
    assert cli.run(["sim", "run", "demo", "-o", "a", "--dry-run"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nowhere", "-o", "a"], output.UNREADABLE, "scenarios at hand: demo"),
        (["broken.toml", "-o", "a"], output.UNREADABLE, "broken.toml"),
        (["demo", "-o", "full"], output.USAGE, "holds something"),
        (["demo"], output.USAGE, "--out"),
        (["demo", "-o", "a", "--hours", "0"], output.USAGE, "--hours"),
        (["demo", "-o", "a", "--sink", "mqtt"], output.USAGE, "mqtt"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, list) else "",
)
def test_what_cannot_be_run_is_told(
    arguments: list[str], code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.toml").write_text("title = \n")
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("mine")
    assert cli.run(["sim", "run", *arguments]) == code
    assert word in capsys.readouterr().err
    assert Path("full/thesis.txt").read_text() == "mine"
    assert not Path("a").exists()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_that_fills_fits_its_terminal(width: int, sample: Path) -> None:
    """Who, when, what and how far it is to be trusted are never cut; the tally has a line of its own."""
    from rich.console import Console

    from host_tools.decode import decode
    from host_tools.live import LiveTable

    rows = [r for r in decode([sample / "capture.pcap"], [sample / "reader.json"]).rows if not r.reason]
    console = Console(width=width, force_terminal=True, record=True, file=io.StringIO())
    table = LiveTable("A night", console)
    for row in rows[:12]:
        table.row(row)
    table.progress(3600, 7200)
    console.print(table._draw())
    shown = [line.rstrip() for line in console.export_text().splitlines()]
    assert max(map(len, shown)) <= width
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in shown if "│" in line]
    assert [c[1:4] for c in cells] == [[r.name, r.type, r.state] for r in rows[:12]]
    assert any(line.startswith("1.0 h of 2 h   ") and "signed" in line for line in shown)


def test_a_dry_run_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sim", "run", "demo", "-o", "a", "--dry-run"]) == 0
    assert "would run into a" in capsys.readouterr().err
    assert not Path("a").exists()
