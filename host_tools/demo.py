"""`make demo`: a night from the sensors to verified rows, then the capture replayed clean and with faults."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from host_tools import cli, sim
from host_tools.commands.sim import made_by_a_run
from host_tools.errors import ToolError
from host_tools.live import LiveTable, clock, name_of, rest, values

if TYPE_CHECKING:
    from host_tools.decode import Result
    from host_tools.replay import Report
    from host_tools.rows import Row

SEED = 1
FAULTS = Path(__file__).with_name("demo-faults.toml")
_LAST = 4


def _readings(console: Console, rows: list[Row]) -> None:
    """The last readings of each device: what somebody looks at first."""
    table = Table(title="The last readings of each board", title_justify="left", expand=True)
    for name, width in (("heard", 8), ("device", 7), ("seq", 3), ("state", 13)):
        table.add_column(name, no_wrap=True, min_width=width)
    rest(table, "values")
    for device in dict.fromkeys(r.device for r in rows):
        for row in [r for r in rows if r.device == device and r.type in ("lamp", "bin", "leak")][-_LAST:]:
            table.add_row(clock(row.received_at), name_of(row), str(row.seq), row.state, values(row))
    console.print(table)


def _refused(console: Console, found: Result, report: Report) -> int:
    """Every refused frame with what was done to it and the reason it got, then the reasons in words."""
    from firmware.protocols.reasons_text import TEXTS

    rows = [r for r in found.rows if r.reason]
    table = Table(title="Refused in the faulty replay", title_justify="left", expand=True)
    done = {e["frame_after"]: e["fault"] for e in report.entries}
    for name, width in (("claims to be", 12), ("what was done", 14), ("reason", 14)):
        table.add_column(name, no_wrap=True, min_width=width)
    rest(table, "frame")
    for row in rows:
        who = name_of(row) if row.name else "nobody"
        table.add_row(who, done.get(row.frame, "nothing"), row.reason, row.frame)
    console.print(table)
    for reason in sorted({r.reason for r in rows}):
        # A terminal breaks lines between words; a file keeps them whole.
        console.print(f"  {reason}: {TEXTS[reason][0]}", markup=False, soft_wrap=not console.is_terminal)
    return len(rows)


def _replay(console: Console, out: Path, first: list[Row]) -> tuple[bool, int]:
    from host_tools import decode, faults, replay

    keys = [out / "keys.json"]
    replay.replay(out / "capture.pcap", out / "replay-clean.pcap")
    clean = decode.decode([out / "replay-clean.pcap"], keys)
    same = replay.compare(first, clean.rows)
    console.print(f"Clean replay: {'the same' if same.same else 'NOT the same'} {len(first)} rows.")
    for line in same.lines[:10]:
        console.print("  " + line, markup=False)
    report = replay.replay(out / "capture.pcap", out / "replay-faults.pcap", faults.load(FAULTS), SEED)
    (out / "replay-faults.json").write_text(report.as_json() + "\n")
    faulty = decode.decode([out / "replay-faults.pcap"], keys)
    return same.same, _refused(console, faulty, report)


def main(arguments: list[str]) -> int:
    out = Path(arguments[0] if arguments else "demo-out")
    console = Console()
    scenario = sim.load("demo")
    began = time.monotonic()
    try:
        made_by_a_run(out)
        with LiveTable(scenario["title"], console) as table:
            options = sim.Options(seed=SEED, on_row=table.row, on_progress=table.progress)
            run = sim.run("demo", out, options)
        took = time.monotonic() - began
        _readings(console, run.rows)
        states = run.summary["states"]
        console.print(
            f"{run.hours:g} h of {len(run.consoles)} boards in {took:.1f} s: {len(run.rows)} frames, "
            + ", ".join(f"{n} {state}" for state, n in states.items())
            + f". Water: {run.water}.",
            markup=False,
            soft_wrap=not console.is_terminal,
        )
        same, refused = _replay(console, out, run.rows)
    except ToolError as e:
        print(f"demo: {e}", file=sys.stderr)
        if e.hint:
            print(e.hint, file=sys.stderr)
        return e.exit_code
    except KeyboardInterrupt:
        heard = f"; what was heard before is in {out}/capture.pcap" if (out / "capture.pcap").exists() else ""
        print(f"demo: stopped{heard}", file=sys.stderr)
        return 130
    (out / "summary.json").write_text(json.dumps({**run.summary, "refused": refused}, indent=1) + "\n")
    # Where `make demo` has just made it; an installed wheel has it on the path.
    lanterne = ".venv/bin/lanterne" if Path(".venv/bin/lanterne").exists() else "lanterne"
    for line in (
        f"{out}/capture.pcap        every frame as heard, for tshark or Wireshark",
        f"{out}/readings.db         the same in SQLite, readings with their states",
        f"{out}/keys.json           the reader's keys; they can command nothing",
        f"{out}/replay-faults.json  which frame got which fault, as in the table",
        f"{lanterne} decode {out}/capture.pcap -k {out}/keys.json  all rows",
    ):
        print(line)
    if run.failures or not same or not run.rows:
        for text in run.failures:
            print(f"demo: {text}", file=sys.stderr)
        return 1
    return 0


def run(arguments: list[str]) -> int:
    """`main`, with every other way out told in one line."""
    try:
        code = main(arguments)
        sys.stdout.flush()
        return code
    except BaseException as e:
        return cli.ending(e)


if __name__ == "__main__":
    cli.ready_streams()
    sys.exit(run(sys.argv[1:]))
