"""`lanterne schema`: the wire format, from the one field table that firmware and host run from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from host_tools.commands.common import FILE, Settings, command, option
from host_tools.commands.files import opened
from host_tools.errors import InputError, UsageError
from host_tools.output import say

FIELDS = ("key", "name", "shape", "unit", "decimals", "low", "high", "privacy", "ucifi", "talq")
SHOWN = ("key", "name", "shape", "unit", "low", "high", "privacy")


def messages() -> Iterator[dict[str, Any]]:
    """Every message type as plain data. `low` and `high` are scaled: value = integer / 10^decimals."""
    from importlib import import_module

    from firmware.protocols import schema

    for mtype, (name, module) in sorted(schema.TYPES.items()):
        table = import_module("firmware.protocols.schema." + module)
        states = dict(getattr(table, "STATES", ()))
        fields = []
        for row in schema.rows(mtype):
            field = dict(zip(FIELDS, row, strict=True))
            if field["name"] in states:
                field["states"] = list(states[field["name"]])
            fields.append(field)
        alarms = [{"bit": row[0], "name": row[1]} for row in getattr(table, "ALARMS", ())]
        yield {"type": mtype, "name": name, "fields": fields, "alarms": alarms}


def _scaled(value: int, decimals: int) -> str:
    """A scaled integer as a decimal number, exactly."""
    if not decimals:
        return str(value)
    digits = str(abs(value)).rjust(decimals + 1, "0")
    return ("-" if value < 0 else "") + digits[:-decimals] + "." + digits[-decimals:]


@command("schema show", "With NAME, one message type.", "Avec NAME, un seul type.")
@click.argument("name", required=False)
def show(settings: Settings, name: str | None) -> None:
    found = list(messages())
    chosen = [m for m in found if name in (None, m["name"], str(m["type"]))]
    if not chosen:
        raise UsageError(
            say(f"no message type {name!r}", f"aucun type de message {name!r}"),
            ", ".join(m["name"] for m in found),
        )
    for message in chosen:
        if settings.json:
            settings.output.result(message)
            continue
        print(f"{message['type']} {message['name']}")
        rows = [
            {
                **f,
                "low": _scaled(f["low"], f["decimals"]),
                "high": _scaled(f["high"], f["decimals"]),
            }
            for f in message["fields"]
        ]
        settings.output.table(rows, SHOWN)
        for field in message["fields"]:
            if field.get("states"):
                print(f"{field['name']}: " + ", ".join(f"{n} {s}" for n, s in enumerate(field["states"])))
        if message["alarms"]:
            print("alarms: " + ", ".join(f"bit {a['bit']} {a['name']}" for a in message["alarms"]))
        print()


def cddl_file() -> Path:
    """The generated CDDL: in docs/ of a clone, packed beside host_tools in an installed wheel."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "docs", here.parent / "docs"):
        if (folder / "wire-format.cddl").is_file():
            return folder / "wire-format.cddl"
    raise InputError(say("wire-format.cddl is missing from this installation", "wire-format.cddl manque ici"))


@command(
    "schema export",
    "For programs that are not ours; CDDL is RFC 8610.",
    "Pour d'autres programmes ; le CDDL est celui de la RFC 8610.",
)
@click.argument("format", type=click.Choice(("cddl", "json")))
@option(
    "-o",
    "--out",
    type=FILE,
    help="File to write (default: standard output).",
    fr="Fichier à écrire (par défaut : sortie standard).",
)
def export(settings: Settings, format: str, out: str | None) -> None:
    import json

    if format == "cddl":
        text = cddl_file().read_text(encoding="utf-8")
    else:
        text = json.dumps({"format": "lanterne-schema/1", "messages": list(messages())}, indent=1) + "\n"
    if settings.dry_run:
        settings.output.remark(say(f"would write {len(text)} characters", f"écrirait {len(text)} caractères"))
        return
    with opened(out) as stream:
        stream.write(text)


COMMANDS = {"show": show, "export": export}
