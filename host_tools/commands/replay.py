"""`lanterne replay`: a capture again, as it was or with faults, into a decoder or a live receiver, and what came
of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from host_tools.commands.common import FILE, Settings, command, option
from host_tools.commands.files import distinct, keep_from, may_replace, opened, source_of
from host_tools.errors import UsageError, VerdictError
from host_tools.output import say

if TYPE_CHECKING:
    from host_tools.replay import Report
    from host_tools.rows import Row

HELP = """\
SOURCE is a capture. TARGET is a capture file that is written (pcap, or pcapng by its name), or a receiver:

\b
  udp://HOST:1700            GWMP, as a packet forwarder
  ws://HOST:PORT, wss://     LNS, as a Basics Station
  mqtt://HOST/PREFIX, mqtts:// ChirpStack gateway events (?encoding=json)
  tcp:HOST:PORT, serial:PORT records of our gateway
  air:[FILE]                 virtual air around a gateway (?metres=300&loss=0)

With --keys a capture file is decoded before and after, and compared: without faults every row must come out the
same, with faults each refused frame is listed with its reason. A receiver's acknowledgements are told for each
frame. The same seed makes the same faults and messages. docs/faults.md describes the file of faults.

\b
  lanterne replay capture.pcap again.pcap --keys reader.json
  lanterne replay capture.pcap faulty.pcap --faults faults.toml --seed 7 --keys reader.json
  lanterne replay capture.pcap udp://localhost:1700 --speed 10 --report sent.jsonl
"""
HELP_FR = """\
SOURCE est une capture. TARGET est le fichier de capture écrit (pcap, ou pcapng selon son nom), ou un récepteur :

\b
  udp://HÔTE:1700            GWMP, comme un packet forwarder
  ws://HÔTE:PORT, wss://     LNS, comme une Basics Station
  mqtt://HÔTE/PRÉFIXE, mqtts:// événements de passerelle ChirpStack (?encoding=json)
  tcp:HÔTE:PORT, serial:PORT enregistrements de notre passerelle
  air:[FICHIER]              air virtuel autour d'une passerelle (?metres=300&loss=0)

Avec --keys, un fichier de capture est décodé avant et après, et comparé : sans défauts chaque ligne doit être la
même, avec défauts chaque trame refusée est citée avec sa raison. Les accusés d'un récepteur sont donnés pour
chaque trame. La même graine fait les mêmes défauts et messages. docs/faults.md décrit le fichier de défauts.

\b
  lanterne replay capture.pcap encore.pcap --keys lecteur.json
  lanterne replay capture.pcap fautive.pcap --faults defauts.toml --seed 7 --keys lecteur.json
  lanterne replay capture.pcap udp://localhost:1700 --speed 10 --report envoi.jsonl
"""
# Lines of one kind that a person is shown; --json and --report have all.
_SHOWN = 20


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
@option(
    "--speed",
    type=click.FloatRange(min=0, max=1e6),
    default=1.0,
    show_default=True,
    help="Times as fast as it was; 0: as fast as it goes.",
    fr="Tant de fois plus vite ; 0 : aussi vite que possible.",
)
@option(
    "--loop",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="How many times over; 0: until Ctrl-C.",
    fr="Combien de fois ; 0 : jusqu'à Ctrl-C.",
)
@option(
    "--gateway",
    default="0200000000000001",
    show_default=True,
    metavar="EUI",
    help="Gateway of frames that name none.",
    fr="Passerelle des trames qui n'en nomment pas.",
)
@option(
    "--report",
    type=FILE,
    help="JSON lines: the sum, each fault, each frame's fate.",
    fr="Lignes JSON : le total, chaque défaut, le sort de chaque trame.",
)
@option(
    "--secret-file",
    type=FILE,
    help="Private file: MQTT password, or LNS Authorization.",
    fr="Fichier privé : mot de passe MQTT, ou Authorization LNS.",
)
@option(
    "--secret-env",
    metavar="NAME",
    help="The same from an environment variable.",
    fr="De même, d'une variable d'environnement.",
)
@option(
    "--ca",
    type=FILE,
    help="Certificates to trust for wss and mqtts, in place of the system's.",
    fr="Certificats de confiance pour wss et mqtts, au lieu de ceux du système.",
)
def replay(settings: Settings, source: str, target: str, faults: str | None, **options: Any) -> None:
    from host_tools import faults as faults_of
    from host_tools import targets

    plan = faults_of.load(faults) if faults else None
    # First of all, because a URL that is refused is not repeated.
    made = targets.make(target, _options(settings, plan, options))
    live = targets.is_live(target)
    written = "" if live else target
    if target.startswith("air:"):
        written = target.removeprefix("air:").partition("?")[0]
    if options["keys"] and not written:
        raise UsageError(
            say("--keys compares two captures", "--keys compare deux captures"),
            say(f"{target} writes none", f"{target} n'en écrit pas"),
        )
    if not options["loop"] and not live:
        raise UsageError(say("a file without end fills the disk", "un fichier sans fin remplit le disque"))
    if options["loop"] != 1 and source == "-":
        raise UsageError(say("standard input can be read once", "l'entrée standard ne se lit qu'une fois"))
    source_of(source)
    report_to = options["report"]
    if written:
        keep_from(written, "capture")
        if report_to:
            distinct(report_to, written)
    if settings.dry_run:
        settings.output.remark(say(f"would write {target}", f"écrirait {target}"))
        return
    if report_to:
        keep_from(report_to)
    if written:
        from host_tools.capture import refuse_same

        refuse_same(source, written)
        may_replace(settings, written, "capture")
    report = _play(settings, source, made, plan, options)
    if report.receiver is None:
        _end(report, target)
    _tell(settings, report, made, report_to, target)
    _end(report, target)
    if options["keys"]:
        _compare(settings, source, written, plan is not None, list(options["keys"]))


def _options(settings: Settings, plan: Any, options: dict[str, Any]) -> Any:
    from host_tools import targets
    from host_tools.faults.line import Answers, eui

    gateway = eui(options["gateway"])
    if gateway is None:
        raise UsageError(
            say(
                "--gateway is an EUI of 16 hexadecimal digits",
                "--gateway est un EUI de 16 chiffres hexadécimaux",
            )
        )
    return targets.Options(
        gateway=gateway,
        seed=options["seed"],
        secret=targets.secret_of(options["secret_file"] or "", options["secret_env"] or ""),
        ca=options["ca"] or "",
        answers=Answers(plan, options["seed"]),
        tell=settings.output.remark,
    )


def _play(settings: Settings, source: str, made: Any, plan: Any, options: dict[str, Any]) -> Report:
    from host_tools import replay as library

    notes: list[str] = []
    with settings.output.progress(say("frames", "trames")) as progress:
        report = library.play(
            source,
            made,
            plan,
            options["seed"],
            options["speed"],
            options["loop"],
            tell=settings.output.remark,
            step=progress.step,
            notes=notes,
        )
    for note in notes:
        settings.output.remark(note)
    return report


def _tell(settings: Settings, report: Report, made: Any, report_to: str | None, target: str) -> None:
    out = settings.output
    # A replay into a receiver may have struck thousands; who wants all of them asks for a report.
    shown = report.entries if report.receiver is None or settings.json else report.entries[:_SHOWN]
    for entry in shown:
        row = {k: entry.get(k) for k in ("fault", "input", "output")}
        out.result({"kind": "fault", **row}, f"fault {row['fault']}: frame {row['input']} -> {row['output']}")
    if len(shown) < len(report.entries):
        out.remark(
            say(
                f"and {len(report.entries) - len(shown)} more",
                f"et {len(report.entries) - len(shown)} autres",
            )
        )
    if report_to:
        with opened(report_to) as stream:
            _write(stream, report, made)
    if report.receiver is None:
        out.remark(
            say(f"{len(report.entries)} faults in {target}", f"{len(report.entries)} défauts dans {target}")
        )
        return
    lost = [n for n, state, _ in made.ledger.frames() if state != "acknowledged"]
    if settings.json:
        for number, state, took in made.ledger.frames():
            out.result({"kind": "frame", "output": number, "state": state, "ack_ms": took})
    out.result({"kind": "sum", **report.as_dict()}, _words(report))
    if lost:
        numbers = ", ".join(map(str, lost[:_SHOWN])) + (", ..." if len(lost) > _SHOWN else "")
        out.remark(say(f"not acknowledged: frames {numbers}", f"sans accusé : trames {numbers}"))


def _write(stream: Any, report: Report, made: Any) -> None:
    for value in ({"kind": "sum", **report.as_dict()}, *({"kind": "fault", **e} for e in report.entries)):
        stream.write(json.dumps(value) + "\n")
    if report.receiver is None:
        return
    for entry in report.receiver.get("downlink_entries", ()):
        stream.write(json.dumps({"kind": "downlink", **entry}) + "\n")
    for number, state, took in made.ledger.frames():
        stream.write(json.dumps({"kind": "frame", "output": number, "state": state, "ack_ms": took}) + "\n")


def _words(report: Report) -> list[str]:
    found = report.receiver or {}
    lines = [
        say(
            f"{found['sent']} frames sent, {found['acknowledged']} acknowledged, {found['unacknowledged']} not",
            f"{found['sent']} trames envoyées, avec accusé : {found['acknowledged']}, "
            f"sans : {found['unacknowledged']}",
        )
    ]
    if "ack_ms" in found:
        median, most = found["ack_ms"]["median"], found["ack_ms"]["most"]
        lines.append(
            say(f"acknowledged in {median} ms (most: {most})", f"accusé en {median} ms (au plus : {most})")
        )
    for reason, count in found.get("unsent", {}).items():
        lines.append(say(f"not sent: {count} {reason}", f"non envoyées : {count} {reason}"))
    lines += [f"{name}: {found[name]}" for name in ("resent", "reconnections") if found.get(name)]
    for title, counts in (("faults", report.counts), ("downlinks", found.get("downlinks", {}))):
        if counts:
            lines.append(f"{title}: " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))
    if found.get("not_heard"):
        lines.append("not heard: " + ", ".join(f"{n} {name}" for name, n in found["not_heard"].items()))
    return lines


def _end(report: Report, target: str) -> None:
    """Raise what ended the replay early, once its report is told."""
    if report.error is not None:
        raise report.error
    if report.interrupted:
        raise KeyboardInterrupt(
            say("interrupted", "interrompu")
            + ": "
            + say(f"{report.records} frames went to {target}", f"{report.records} trames vers {target}")
        )


def _compare(settings: Settings, source: str, target: str, faulty: bool, keys: list[str]) -> None:
    from host_tools import decode
    from host_tools import replay as library

    out = settings.output
    before, after = decode.decode([source], keys), decode.decode([target], keys)
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
    elif not faulty:
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
