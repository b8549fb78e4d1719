"""`lanterne decode`: captures and keys in, verified rows out. Read-only, and blind to earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import click

from host_tools import outputs
from host_tools.commands.common import FILE, Settings, command, option
from host_tools.errors import UsageError, VerdictError
from host_tools.output import counted, printable, say, terminal_width

if TYPE_CHECKING:
    from host_tools.rows import Row

FORMATS = ("table", "jsonl", "csv", "verify", *outputs.FORMATS)
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", **outputs.SUFFIXES}
STATES = ("signed", "authenticated", "unverified", "contested", "rejected")

HELP = """\
SOURCE is a capture file, a folder of them, or - for standard input. Without keys every frame is `unverified`.
Each row says how far it can be trusted: signed, authenticated, unverified, contested, or rejected with a
reason.

\b
  lanterne decode capture.pcap --keys reader.json
  lanterne decode capture.pcap --keys reader.json -o rows.csv --status signed --since 2026-11-20
  lanterne decode capture.pcap --keys reader.json -o rows.parquet --where "fill_percent > 80"
  lanterne decode capture.pcap --keys reader.json --explain 3
  lanterne decode - --format jsonl < capture.pcap | head

--where takes comparisons, arithmetic, AND, OR, NOT, IS, IN, BETWEEN, LIKE, CASE and functions such as
lower and coalesce over the columns of the rows; times are text, as in JSON. Values with decimals are exact in
every file: DECIMAL in Parquet and DuckDB, and in SQLite whole numbers whose column says so (power_w_x10).
"""
HELP_FR = """\
SOURCE est un fichier de capture, un dossier de captures, ou - pour l'entrée standard. Sans clés, chaque trame
est `unverified`. Chaque ligne dit quelle confiance elle mérite : signed (signée), authenticated
(authentifiée), unverified (non vérifiée), contested (contestée) ou rejected (refusée, avec la raison).

\b
  lanterne decode capture.pcap --keys lecteur.json
  lanterne decode capture.pcap --keys lecteur.json -o lignes.csv --status signed --since 2026-11-20
  lanterne decode capture.pcap --keys lecteur.json -o lignes.parquet --where "fill_percent > 80"
  lanterne decode capture.pcap --keys lecteur.json --explain 3
  lanterne decode - --format jsonl < capture.pcap | head

--where accepte comparaisons, calculs, AND, OR, NOT, IS, IN, BETWEEN, LIKE, CASE et des fonctions comme lower
et coalesce sur les colonnes des lignes ; les heures sont du texte, comme en JSON. Les valeurs décimales restent
exactes partout : DECIMAL en Parquet et DuckDB, et en SQLite des entiers dont la colonne le dit (power_w_x10).
"""


def moment(text: str) -> int:
    """Microseconds of Unix time for an ISO date or date-time; without a zone it counts as UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            say(f"{text!r} is no date or time", f"{text!r} n'est ni une date ni une heure"),
            "2026-11-20, 2026-11-20T18:30, 2026-11-20T18:30:00+01:00",
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return int(found.timestamp()) * 1_000_000 + found.microsecond


def keep(
    device: Sequence[str],
    kind: Sequence[str],
    status: Sequence[str],
    since: str | None,
    until: str | None,
) -> Callable[[Row], bool]:
    """The filter that the simple options make; each option narrows, several values of one option widen."""
    first = moment(since) if since else None
    last = moment(until) if until else None
    devices = {d.lower() for d in device}

    def wanted(row: Row) -> bool:
        at = row.received_at
        return (
            (not devices or row.device.lower() in devices or row.name.lower() in devices)
            and (not kind or row.kind in kind)
            and (not status or row.state in status)
            and (first is None or at >= first)
            and (last is None or at < last)
        )

    return wanted


def table(rows: Iterable[Row], decoder: bool = False) -> Iterator[str]:
    """Rows for a person: the columns that every row has, then its values as name=value; the decoder too."""
    from host_tools import rows as rows_of
    from host_tools.output import table_lines

    last = (rows_of.decoder(),) if decoder else ()

    body = []
    for row in rows:
        what = row.state if not row.reason else f"{row.state}: {row.reason}"
        # What every kind has comes last, where the edge of a terminal may cut it off.
        names = sorted(row.values, key=lambda name: name == "supply_v")
        values = " ".join(f"{name}={_short(row.values[name])}" for name in names)
        of = row.type or str(row.lorawan.get("mtype", ""))
        body.append((when(row), row.name or row.device, of, row.seq, what, values, *last))
    columns = ("time", "device", "type", "seq", "state", "values", *(("decoder",) if decoder else ()))
    return table_lines(columns, body)


def when(row: Row) -> str:
    """The row's own time where the device had a clock, else the time of reception, in UTC."""
    if row.time:
        return row.time + ("?" if row.clock == "unconfirmed" else "")
    return datetime.fromtimestamp(row.received_at // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") + " rx"


def _short(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(str(v) for v in value) + "]"
    return printable(value)


def write(rows: Sequence[Row], stream: IO[str], form: str, stored: bool = False) -> int:
    """Write the rows; returns how many lines of a table were cut at the edge of a terminal.

    stored: for later, so that a table names the decoder in each line, too.
    """
    from host_tools import rows as rows_of

    width = terminal_width(stream) if form == "table" else None
    cut = 0
    if form == "table":
        for line in table(rows, decoder=stored):
            long = width is not None and len(line) > width
            cut += long
            print(line[: (width or 0) - 1] + "…" if long else line, file=stream)
    else:
        rows_of.write(rows, stream, "json" if form == "jsonl" else form)
    return cut


def summarise(summary: dict[str, Any]) -> Iterator[str]:
    """The counts of a decode for standard error: one line of states, one per reason, gap or remark."""
    states = summary.get("states", {})
    yield ", ".join(f"{states[s]} {s}" for s in STATES if states.get(s)) or say("no frame", "aucune trame")
    for reason, count in sorted(summary.get("reasons", {}).items()):
        yield f"  {count} x {reason}: {sentence(reason)}"
    for gap in summary.get("gaps", []):
        yield "  " + say("missing", "manque") + f": {gap}"
    for remark in [*summary.get("alarms", []), *summary.get("notes", [])]:
        yield f"  {remark}"


def sentence(reason: str) -> str:
    """What a reason means, in the language of the run."""
    try:
        from firmware.protocols import reasons_text
    except ImportError:
        return reason
    found = reasons_text.TEXTS.get(reason)
    return say(*found[:2]) if found else reason


@command("decode", HELP, HELP_FR)
@click.argument("source", nargs=-1, required=True)
@option(
    "-o",
    "--out",
    type=FILE,
    help="Write rows here, not to standard output; .csv, .jsonl, .parquet, .sqlite and .duckdb choose a format.",
    fr="Écrire les lignes ici ; .csv, .jsonl, .parquet, .sqlite et .duckdb choisissent un format.",
)
@option(
    "-k",
    "--keys",
    multiple=True,
    type=FILE,
    help="Keyring of a reader, as written by `lanterne registry export`; may be given again.",
    fr="Trousseau d'un lecteur, écrit par `lanterne registry export` ; peut être répété.",
)
@option(
    "--where",
    metavar="SQL",
    help="Only rows for which this holds, for example \"fill_percent > 80 AND state = 'signed'\".",
    fr="Seulement les lignes qui vérifient cette condition SQL, par exemple « fill_percent > 80 ».",
)
@option("--device", multiple=True, help="Only this device, by name or EUI.", fr="Seulement cet équipement.")
@option("--kind", multiple=True, help="Only this kind: lamp, bin, leak ...", fr="Seulement ce type.")
@option(
    "--status",
    multiple=True,
    type=click.Choice(STATES),
    help="Only rows in this state of trust.",
    fr="Seulement les lignes dans cet état de confiance.",
)
@option(
    "--since", metavar="TIME", help="Only frames received from this time on (UTC).", fr="À partir de (UTC)."
)
@option("--until", metavar="TIME", help="Only frames received before this time (UTC).", fr="Jusqu'à (UTC).")
@option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    help="Format of the rows (default: table, or what --out ends in).",
    fr="Format des lignes (par défaut : table, ou la fin du nom de --out).",
)
@option(
    "--explain",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take the frame of row N apart instead, byte by byte: layers, envelope, values, verdict and why.",
    fr="Démonter plutôt la trame de la ligne N, octet par octet : couches, enveloppe, valeurs, verdict.",
)
@option(
    "--strict",
    is_flag=True,
    help="Exit 1 when a frame is rejected, contested or unverified.",
    fr="Code de sortie 1 si une trame est refusée, contestée ou non vérifiée.",
)
def decode(
    settings: Settings,
    source: tuple[str, ...],
    out: str | None,
    keys: tuple[str, ...],
    where: str | None,
    device: tuple[str, ...],
    kind: tuple[str, ...],
    status: tuple[str, ...],
    since: str | None,
    until: str | None,
    format: str | None,
    explain: int | None,
    strict: bool,
) -> None:
    from pathlib import Path

    from host_tools import decode as library
    from host_tools.commands.explain import refuse_stream, show
    from host_tools.commands.files import captures, opened

    wanted = keep(device, kind, status, since, until)
    if where is not None:
        from host_tools.outputs.where import parse

        parse(where)  # before an hour of work
    form = format or ("jsonl" if settings.json else SUFFIXES.get(Path(out or "").suffix, "table"))
    if explain is not None:
        refuse_stream(captures(source))
    elif form in outputs.FORMATS:
        outputs.check(form, out)
    with settings.output.progress(say("frames", "trames")) as progress:
        result = library.decode(captures(source), list(keys), progress.step)
    chosen = [row for row in result.rows if wanted(row)]
    if where is not None:
        from host_tools.outputs.where import select

        chosen = select(where, chosen)
    remarks = settings.output
    if explain is not None:
        show(settings, captures(source), result, chosen, explain)
        return
    if settings.dry_run:
        remarks.remark(say(f"{len(chosen)} rows would be written", f"{len(chosen)} lignes seraient écrites"))
    elif form in outputs.FORMATS:
        outputs.write(chosen, out or "", form)
    else:
        with opened(out) as stream:
            cut = write(chosen, stream, form, stored=out not in (None, "-"))
        if cut:
            remarks.remark(
                say(
                    f"{counted(cut, 'line')} cut at the edge of the terminal: | less -S, or --format jsonl",
                    f"{counted(cut, 'ligne')} au-delà du bord du terminal : | less -S, ou --format jsonl",
                )
            )
    for line in summarise(result.summary):
        remarks.remark(line)
    if form == "table" and out in (None, "-"):
        from host_tools.rows import decoder

        remarks.detail(say("decoded by ", "décodé par ") + decoder())
    doubtful = sum(
        result.summary.get("states", {}).get(s, 0) for s in ("unverified", "contested", "rejected")
    )
    if strict and doubtful:
        raise VerdictError(
            say(
                f"{doubtful} frames are not trusted (--strict)",
                f"{doubtful} trames sans confiance (--strict)",
            )
        )


COMMANDS = {"decode": decode}
