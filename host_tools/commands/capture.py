"""`lanterne capture`: what a gateway hands over goes verbatim into a capture, verified rows into a store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from host_tools.commands.common import FILE, Settings, command, option
from host_tools.commands.files import distinct, keep_from, may_replace, source_of
from host_tools.errors import StoreError, ToolError, UsageError
from host_tools.output import error_line, say

if TYPE_CHECKING:
    from host_tools.commander import Commander

HELP = """\
SOURCE is tcp:HOST:PORT, where this computer listens for a gateway (port 0 takes a free one), or a file of
gateway records, which is converted. Refused frames are kept, too. Ctrl-C ends a capture; what was received is
kept.

\b
  lanterne capture tcp:0.0.0.0:7700 -o capture.pcap
  lanterne capture tcp:127.0.0.1:7700 -o capture.pcap --keys reader.json --store readings.db
  lanterne capture gateway.rec -o capture.pcap
"""
HELP_FR = """\
SOURCE est tcp:HÔTE:PORT, où ce poste attend une passerelle (le port 0 en prend un libre), ou un fichier
d'enregistrements de passerelle, qui est converti. Les trames refusées sont gardées aussi. Ctrl-C termine la
capture ; ce qui a été reçu est gardé.

\b
  lanterne capture tcp:0.0.0.0:7700 -o capture.pcap
  lanterne capture tcp:127.0.0.1:7700 -o capture.pcap --keys lecteur.json --store mesures.db
  lanterne capture passerelle.rec -o capture.pcap
"""


def address(source: str) -> tuple[str, int]:
    """(host, port) of tcp:HOST:PORT; an IPv6 host stands in brackets."""
    host, _, port = source.removeprefix("tcp:").rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(
            say(f"{source!r} is no address to listen on", f"{source!r} n'est pas une adresse d'écoute"),
            "tcp:127.0.0.1:7700",
        )
    return host.strip("[]"), int(port)


@command("capture", HELP, HELP_FR)
@click.argument("source")
@option(
    "-o",
    "--out",
    type=FILE,
    required=True,
    help="Capture file to write (pcap, LoRaTap).",
    fr="Fichier de capture à écrire (pcap, LoRaTap).",
)
@option(
    "-k",
    "--keys",
    multiple=True,
    type=FILE,
    help="Keyring of a reader: verify and decode while capturing.",
    fr="Trousseau d'un lecteur : vérifier et décoder pendant la capture.",
)
@option(
    "--store",
    type=FILE,
    help="SQLite file that receives the verified readings.",
    fr="Fichier SQLite qui reçoit les mesures vérifiées.",
)
@option(
    "--commander",
    type=FILE,
    help="Keyring of a commander: answer devices with time and acknowledgements.",
    fr="Trousseau d'un commandeur : répondre aux équipements (heure, accusés).",
)
@option(
    "--append",
    is_flag=True,
    help="Go on with a capture file that is there.",
    fr="Continuer un fichier de capture existant.",
)
@option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    help="Stop after this time.",
    fr="S'arrêter après ce temps.",
)
def capture(
    settings: Settings,
    source: str,
    out: str,
    keys: tuple[str, ...],
    store: str | None,
    commander: str | None,
    append: bool,
    seconds: float | None,
) -> None:
    if source.startswith("tcp:"):
        where = address(source)
        if store:
            distinct(store, out)
        if settings.dry_run:
            settings.output.remark(
                say(f"would listen on {source} and write {out}", f"écouterait {source} et écrirait {out}")
            )
            return
        if append:
            keep_from(out, "capture")
        else:
            may_replace(settings, out, "capture")
        _listen(settings, where, out, keys, store, commander, append, seconds)
        return
    if keys or store or commander or append or seconds:
        raise UsageError(
            say(
                "--keys, --store, --commander, --append and --seconds go with tcp:HOST:PORT",
                "--keys, --store, --commander, --append et --seconds vont avec tcp:HÔTE:PORT",
            ),
            say(
                "a converted file is decoded by `lanterne decode`", "un fichier converti : `lanterne decode`"
            ),
        )
    _convert(settings, source, out)


def _convert(settings: Settings, source: str, out: str) -> None:
    from host_tools import capture as library

    source_of(source)
    library.refuse_same(source, out)
    if settings.dry_run:
        settings.output.remark(say(f"would convert {source} to {out}", f"convertirait {source} en {out}"))
        return
    may_replace(settings, out, "capture")
    summary = library.convert_records(source, out)
    settings.output.result(summary, ", ".join(f"{k} {v}" for k, v in summary.items()))


def _listen(
    settings: Settings,
    where: tuple[str, int],
    out: str,
    keys: tuple[str, ...],
    store: str | None,
    commander: str | None,
    append: bool,
    seconds: float | None,
) -> None:
    from host_tools import rows as rows_of
    from host_tools.intake import Intake, IntakeServer
    from provisioning.keyring import load_keyrings

    remarks = settings.output
    count = 0
    with remarks.progress(say("frames", "trames")) as progress:

        def seen(row: Any) -> None:
            nonlocal count
            count += 1
            if settings.json:
                print(rows_of.to_json(row), flush=True)
            remarks.detail(f"{row.name or row.device} {row.type} {row.state} {row.reason}")
            progress.step(count, row.name or row.device)

        fresh = not Path(out).exists()
        intake = Intake(
            load_keyrings(keys),
            out,
            store,
            commander=_commander(commander) if commander else None,
            on_row=seen,
            append=append,
        )
        try:
            server = IntakeServer(intake, *where, on_error=lambda e: error_line(str(e), e.hint))
        except ToolError:
            intake.close()
            if fresh:
                Path(out).unlink(missing_ok=True)
            raise
        interrupted = False
        try:
            with server:
                remarks.remark(say("listening on", "à l'écoute sur") + f" {where[0]}:{server.port}")
                end = None if seconds is None else time.monotonic() + seconds
                while intake.row_error is None and (end is None or time.monotonic() < end):
                    time.sleep(0.05)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            intake.close()
    kept = say(f"{count} frames kept in {out}", f"{count} trames gardées dans {out}")
    if intake.unreadable:
        kept += say(f", {intake.unreadable} unreadable records", f", {intake.unreadable} illisibles")
    if intake.refused and server.error is not None:
        raise StoreError(
            kept + say(f", {intake.refused} refused", f", {intake.refused} refusées"), str(server.error)
        )
    if intake.row_error is not None:
        raise intake.row_error
    if interrupted:
        raise KeyboardInterrupt(say("interrupted", "interrompu") + ": " + kept)
    remarks.remark(kept)


def _commander(path: str) -> Commander:
    from host_tools.commander import Commander
    from provisioning.keyring import load_keyrings

    [ring] = load_keyrings([path], "commander")
    # The counters stay beside the keys they belong to: a counter that starts again would repeat numbers.
    return Commander(ring, Path(path + ".state"))


COMMANDS = {"capture": capture}
