"""`lanterne capture`: what a gateway hands over goes verbatim into a capture, verified rows into a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host_tools.commands.common import FILE, Settings, command, option
from host_tools.commands.files import distinct, keep_from, may_replace, source_of
from host_tools.errors import UsageError
from host_tools.output import say

if TYPE_CHECKING:
    from host_tools.convert import Converted

# As of host_tools/convert.py, which is loaded when used.
FORMATS = ("pcap", "pcapng", "gwrecord", "gwmp", "lns", "chirpstack", "protobuf", "tts", "hex")
HELP = """\
SOURCE is live, or a file, which is converted. Refused frames are kept, too. Ctrl-C ends a capture; what was
received is kept.

\b
  tcp:HOST:PORT              listens for our gateways (port 0 takes a free one)
  udp://HOST:PORT            listens for packet forwarders (Semtech UDP, GWMP)
  ws://HOST:PORT             listens for Basics Stations (LNS, EU868)
  mqtt://HOST[:PORT]/TOPICS  ChirpStack v4 and The Things Stack; mqtts:// with TLS,
                             USER@HOST with LANTERNE_MQTT_PASSWORD
  serial:PORT[@BAUD]         gateway records and hex lines

OUT is a capture in pcapng, with the original messages beside their frames, or in pcap; or a folder. With --rotate
files follow each other, and are listed at the end.

\b
  lanterne capture tcp:127.0.0.1:7700 -o capture.pcap --keys reader.json --store readings.db
  lanterne capture udp://0.0.0.0:1700 -o captures/ --rotate 1h --keep 48 --view
  lanterne capture mqtt://localhost/eu868 -o city.pcapng --rotate 100MB --keep 2GB
  lanterne capture gateway.rec -o capture.pcap
"""
HELP_FR = """\
SOURCE est en direct, ou un fichier, qui est converti. Les trames refusées sont gardées aussi. Ctrl-C termine la
capture ; ce qui a été reçu est gardé.

\b
  tcp:HÔTE:PORT              attend nos passerelles (le port 0 en prend un libre)
  udp://HÔTE:PORT            attend des « packet forwarders » (Semtech UDP, GWMP)
  ws://HÔTE:PORT             attend des Basics Stations (LNS, EU868)
  mqtt://HÔTE[:PORT]/SUJETS  ChirpStack v4 et The Things Stack ; mqtts:// avec TLS,
                             UTILISATEUR@HÔTE avec LANTERNE_MQTT_PASSWORD
  serial:PORT[@BAUD]         enregistrements de passerelle et lignes hexadécimales

OUT est une capture en pcapng, les messages d'origine à côté de leurs trames, ou en pcap ; ou un dossier. Avec
--rotate, des fichiers se suivent ; leur liste est donnée à la fin.

\b
  lanterne capture tcp:127.0.0.1:7700 -o capture.pcap --keys lecteur.json --store mesures.db
  lanterne capture udp://0.0.0.0:1700 -o captures/ --rotate 1h --keep 48 --view
  lanterne capture mqtt://localhost/eu868 -o ville.pcapng --rotate 100MB --keep 2GB
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
    help="Capture file to write (.pcap or .pcapng, LoRaTap); of a live source also a folder.",
    fr="Fichier de capture à écrire (.pcap ou .pcapng, LoRaTap) ; en direct, aussi un dossier.",
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
    "--rotate",
    metavar="SIZE|TIME",
    help="Begin another file at this size or time: 100MB, 1h, or 100MB,1h.",
    fr="Changer de fichier à cette taille ou à cette heure : 100MB, 1h ou 100MB,1h.",
)
@option(
    "--keep",
    metavar="N|SIZE",
    help="With --rotate: delete the oldest files beyond this number or size.",
    fr="Avec --rotate : supprimer les plus anciens fichiers au-delà de ce nombre ou de cette taille.",
)
@option(
    "--view",
    is_flag=True,
    help="Show rates, devices, gateways and refusals on the terminal.",
    fr="Montrer débits, équipements, passerelles et refus dans le terminal.",
)
@option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    help="Of a converted file: format to write (default: what --out ends in).",
    fr="D'un fichier converti : format à écrire (par défaut, la fin du nom de --out).",
)
@option(
    "--loratap",
    type=click.Choice(("0", "1")),
    default="0",
    show_default=True,
    help="Of a converted file: version of the LoRaTap header; tshark 4.0 reads 0 only.",
    fr="D'un fichier converti : version de l'en-tête LoRaTap ; tshark 4.0 ne lit que 0.",
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
    rotate: str | None,
    keep: str | None,
    view: bool,
    format: str | None,
    loratap: str,
    seconds: float | None,
) -> None:
    from host_tools.sources import is_live

    gateway = source.startswith("tcp:")
    if gateway or is_live(source):
        if not gateway and (store or commander):
            raise UsageError(
                say(
                    "--store and --commander go with tcp:HOST:PORT",
                    "--store et --commander vont avec tcp:HÔTE:PORT",
                ),
                say(
                    "`lanterne decode` reads what was captured", "`lanterne decode` lit ce qui a été capturé"
                ),
            )
        if format:
            raise UsageError(
                say("--format goes with a file to convert", "--format va avec un fichier à convertir"),
                say("OUT ends in .pcap or .pcapng", "OUT se termine par .pcap ou .pcapng"),
            )
        _live(settings, source, out, keys, store, commander, append, (rotate, keep), view, seconds)
        return
    if keys or store or commander or append or rotate or keep or view or seconds:
        raise UsageError(
            say(
                "--keys, --store, --commander, --append, --rotate, --keep, --view and --seconds go with a live "
                "source such as tcp:HOST:PORT",
                "--keys, --store, --commander, --append, --rotate, --keep, --view et --seconds vont avec une "
                "source en direct, par exemple tcp:HÔTE:PORT",
            ),
            say(
                "a converted file is decoded by `lanterne decode`", "un fichier converti : `lanterne decode`"
            ),
        )
    _convert(settings, source, out, format or "", loratap)


def _live(
    settings: Settings,
    source: str,
    out: str,
    keys: tuple[str, ...],
    store: str | None,
    commander: str | None,
    append: bool,
    rotation: tuple[str | None, str | None],
    view: bool,
    seconds: float | None,
) -> None:
    from host_tools import rotation as files
    from host_tools import sources
    from host_tools.commands import capturing

    gateway = source.startswith("tcp:")
    where = address(source) if gateway else ("", 0)
    if not gateway:
        sources.address(source)
    rule = files.rule(*rotation)
    if store:
        distinct(store, out)
    if settings.dry_run:
        settings.output.remark(
            say(f"would listen on {source} and write {out}", f"écouterait {source} et écrirait {out}")
        )
        return
    if rule is None and not Path(out).is_dir():
        if append:
            keep_from(out, "capture")
        else:
            may_replace(settings, out, "capture")
    live = capturing.Live(settings, source, out, rule, append, view, seconds)
    if gateway:
        capturing.from_gateway(live, where, keys, store, commander)
    else:
        capturing.from_source(live, source, keys)


def _convert(settings: Settings, source: str, out: str, fmt: str, loratap: str) -> None:
    from host_tools import convert as library
    from host_tools.capture import refuse_same

    source_of(source)
    refuse_same(source, out)
    keep_from(out, "capture")
    target = library.target_of(out, fmt)
    if settings.dry_run:
        settings.output.remark(
            say(f"would convert {source} to {out} ({target})", f"convertirait {source} en {out} ({target})")
        )
        return
    may_replace(settings, out, "capture")
    with settings.output.progress(say("frames", "trames")) as progress:
        done = library.convert(source, out, fmt, int(loratap), progress.step)
    settings.output.result(asdict(done), _told(done, out))


def _told(done: Converted, out: str) -> Iterator[str]:
    if done.restored:
        yield say(f"{out} is the original, byte for byte", f"{out} est l'original, octet pour octet")
        return
    yield say(f"{done.frames} frames in {out}", f"{done.frames} trames dans {out}")
    if done.unreadable:
        yield say(f"{done.unreadable} unreadable records", f"{done.unreadable} enregistrements illisibles")
    if done.lost:
        words = ", ".join(f"{name} {count}" for name, count in done.lost.items())
        yield say(f"not held by this format: {words}", f"que ce format ne peut pas contenir : {words}")
    if done.original:
        yield say(f"the original is in {done.original}", f"l'original est dans {done.original}")
    yield from done.notes


COMMANDS = {"capture": capture}
