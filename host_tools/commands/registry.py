"""`lanterne registry`: which devices a tenant has, and keyrings for those who may have part of its keys."""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.commands.common import FILE, Settings, command, option, tenant_option
from host_tools.commands.files import keep_from, may_replace
from host_tools.output import counted, say

COLUMNS = ("name", "kind", "device", "address", "epoch", "status", "profile", "protection", "asset")


@command("registry list")
@tenant_option
def list_devices(settings: Settings, tenant: str) -> None:
    from provisioning.registry import Registry

    registry = Registry(Path(tenant) / "registry.json")
    content = registry.to_json()
    assets = {a["device"]: a["asset"] for a in content["assets"] if a["until"] is None}
    rows = [
        {
            "name": record.name,
            "kind": record.kind,
            "device": record.device.hex(),
            "address": record.link_address,
            "epoch": record.epoch,
            "status": record.status,
            "profile": record.profile,
            "protection": record.protection,
            "asset": assets.get(record.device.hex(), ""),
        }
        for record in registry.records()
    ]
    settings.output.table(rows, COLUMNS)


@command(
    "registry show",
    "With all its epochs and assets; the registry holds no secret.",
    "Avec ses époques et ses ouvrages ; le registre ne contient aucun secret.",
)
@click.argument("device")
@tenant_option
def show(settings: Settings, device: str, tenant: str) -> None:
    from provisioning.registry import Registry

    found = Registry(Path(tenant) / "registry.json").show(device)
    settings.output.result(found, _lines(found))


def _lines(found: object, indent: int = 0) -> list[str]:
    """Nested plain data as indented lines."""
    from host_tools.output import printable

    lines = []
    items = (
        found.items() if isinstance(found, dict) else enumerate(found if isinstance(found, list) else (), 1)
    )
    for name, value in items:
        if isinstance(value, (dict, list)) and value:
            lines.append(" " * indent + f"{name}:")
            lines += _lines(value, indent + 2)
        else:
            lines.append(" " * indent + f"{name}: {'-' if value in (None, '', [], {}) else printable(value)}")
    return lines


EXPORT = """\
A keyring holds the part of the keys that a role needs and no more: `reader` verifies and decodes and can
command nothing, `commander` makes commands and reads nothing, `gateway` carries frames and can do neither.

\b
  lanterne registry export --tenant commune --role reader -o reader.json
"""
EXPORT_FR = """\
Un trousseau contient les clés qu'il faut à un rôle et rien de plus : `reader` vérifie et décode sans pouvoir
commander, `commander` commande sans pouvoir lire, `gateway` transporte les trames et ne peut ni l'un ni
l'autre.

\b
  lanterne registry export --tenant commune --role reader -o lecteur.json
"""


@command("registry export", EXPORT, EXPORT_FR)
@tenant_option
@option(
    "--role",
    type=click.Choice(("reader", "commander", "gateway")),
    required=True,
    help="Whose keyring.",
    fr="Le trousseau de qui.",
)
@option(
    "-o",
    "--out",
    type=FILE,
    required=True,
    help="File to write; readable by you alone.",
    fr="Fichier à écrire ; lisible par vous seul.",
)
@option(
    "--device",
    multiple=True,
    help="Only this device; may be given again.",
    fr="Seulement cet équipement ; peut être répété.",
)
def export(settings: Settings, tenant: str, role: str, out: str, device: tuple[str, ...]) -> None:
    from provisioning.tenant import Tenant

    owner = Tenant.open(Path(tenant))
    names = list(device) or None
    keep_from(out, "keyring")
    if settings.dry_run:
        ring = owner.keyring(role, names)
        settings.output.remark(
            say(f"would write {out}", f"écrirait {out}") + f": {len(ring.records)} x {role}"
        )
        return
    may_replace(settings, out, "keyring")
    ring = owner.export(role, Path(out), names)
    settings.output.result(
        {"file": out, "role": role, "devices": len(ring.records)},
        say(
            f"{out}: {role} keyring, {counted(len(ring.records), 'device')}; it holds keys, send it sealed",
            f"{out} : trousseau {role}, {counted(len(ring.records), 'équipement')} ; à envoyer scellé",
        ),
    )


COMMANDS = {"list": list_devices, "show": show, "export": export}
