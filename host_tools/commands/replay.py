"""`lanterne replay`: a capture again, as it was or with faults, into a fresh decoder, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from host_tools.commands.common import FILE, Settings, command, option
from host_tools.commands.files import keep_from, may_replace, source_of
from host_tools.errors import UsageError, VerdictError
from host_tools.output import say

if TYPE_CHECKING:
    from host_tools.rows import Row

HELP = """\
SOURCE is a capture; TARGET is the capture file that is written. With --keys both are decoded from scratch and
compared: without faults every row must come out the same, with faults each refused frame is listed with its
reason. The same seed makes the same faults.

\b
  lanterne replay capture.pcap again.pcap --keys reader.json
  lanterne replay capture.pcap faulty.pcap --faults faults.toml --seed 7 --keys reader.json
"""
HELP_FR = """\
SOURCE est une capture ; TARGET le fichier de capture écrit. Avec --keys, les deux sont décodées à neuf et
comparées : sans défauts chaque ligne doit être la même, avec défauts chaque trame refusée est citée avec sa
raison. La même graine fait les mêmes défauts.

\b
  lanterne replay capture.pcap encore.pcap --keys lecteur.json
  lanterne replay capture.pcap fautive.pcap --faults defauts.toml --seed 7 --keys lecteur.json
"""


@command("replay", HELP, HELP_FR)
@click.argument("source")
@click.argument("target")
@option(
    "--faults",
    type=FILE,
    help="File that says which faults to make, and how often.",
    fr="Fichier qui dit quels défauts faire, et combien.",
)
@option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Start of the chance that places the faults.",
    fr="Départ du hasard qui place les défauts.",
)
@option(
    "-k",
    "--keys",
    multiple=True,
    type=FILE,
    help="Keyring of a reader: decode before and after, and compare.",
    fr="Trousseau d'un lecteur : décoder avant et après, et comparer.",
)
def replay(
    settings: Settings, source: str, target: str, faults: str | None, seed: int, keys: tuple[str, ...]
) -> None:
    from host_tools import decode
    from host_tools import faults as faults_of
    from host_tools import replay as library
    from host_tools.capture import refuse_same

    if ":" in target and not target.endswith(".pcap"):
        raise UsageError(
            say(f"not built yet: to send into {target}", f"pas encore construit : envoyer vers {target}"),
            say("TARGET is a capture file", "TARGET est un fichier de capture"),
        )
    source_of(source)
    plan = faults_of.load(faults) if faults else None
    keep_from(target, "capture")
    if settings.dry_run:
        settings.output.remark(say(f"would write {target}", f"écrirait {target}"))
        return
    refuse_same(source, target)
    may_replace(settings, target, "capture")
    report = library.replay(source, target, plan, seed)
    out = settings.output
    for entry in report.entries:
        shown = {k: entry.get(k) for k in ("fault", "input", "output")}
        out.result(
            {"kind": "fault", **shown}, f"fault {shown['fault']}: frame {shown['input']} -> {shown['output']}"
        )
    if not keys:
        out.remark(
            say(f"{len(report.entries)} faults in {target}", f"{len(report.entries)} défauts dans {target}")
        )
        return
    before, after = decode.decode([source], list(keys)), decode.decode([target], list(keys))
    comparison = library.compare(before.rows, after.rows)
    for row in after.rows:
        if row.state in ("rejected", "contested", "unverified"):
            out.result(
                _refused(row), f"{row.state} {row.name or row.device or '?'} seq {row.seq}: {row.reason}"
            )
    for line in comparison.lines:
        out.remark(line)
    if comparison.same:
        out.remark(
            say(f"{len(after.rows)} rows, all the same", f"{len(after.rows)} lignes, toutes les mêmes")
        )
    elif plan is None:
        raise VerdictError(say("the rows differ", "les lignes diffèrent"))


def _refused(row: Row) -> dict[str, Any]:
    return {
        "kind": "row",
        "device": row.device,
        "name": row.name,
        "seq": row.seq,
        "state": row.state,
        "reason": row.reason,
        "frame": row.frame,
    }


COMMANDS = {"replay": replay}
