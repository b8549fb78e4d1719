"""`lanterne keys`: makes a tenant and its devices' keys, and tells which exist. Never shows one."""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.commands.common import Settings, command, option, tenant_option
from host_tools.errors import UsageError
from host_tools.output import say

KINDS = ("lamp", "bin", "leak", "site", "cabinet", "gateway")
PROFILES = ("encrypt0", "mac0", "sign1")

NEW = """\
Without --device this makes a tenant: the owner of devices and of their keys, kept in one folder. With
--device it adds a device to a tenant that is there.

\b
  lanterne keys new --tenant commune --name "Ville de Sainte-Lumière"
  lanterne keys new --tenant commune --device lamp-12 --kind lamp
"""
NEW_FR = """\
Sans --device, crée un propriétaire : celui à qui sont les équipements et leurs clés, gardés dans un dossier.
Avec --device, ajoute un équipement à un propriétaire existant.

\b
  lanterne keys new --tenant commune --name "Ville de Sainte-Lumière"
  lanterne keys new --tenant commune --device lampe-12 --kind lamp
"""


def eui(text: str | None) -> bytes | None:
    """Eight bytes from 16 hex digits, with or without separators."""
    if text is None:
        return None
    try:
        found = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        found = b""
    if len(found) != 8:
        raise UsageError(
            say(f"{text!r} is no EUI-64", f"{text!r} n'est pas un EUI-64"),
            say("16 hex digits", "16 chiffres hexa"),
        )
    return found


@command("keys new", NEW, NEW_FR)
@tenant_option
@option("--name", help="Name of the tenant.", fr="Nom du propriétaire.")
@option(
    "--lab",
    is_flag=True,
    help="A tenant for tests and demonstrations; its id begins with FF and real registries refuse it.",
    fr="Un propriétaire d'essai ; son identifiant commence par FF, refusé par les registres réels.",
)
@option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    help="With --lab: all keys follow from this number, so that a run can be repeated.",
    fr="Avec --lab : toutes les clés découlent de ce nombre, pour répéter un essai.",
)
@option(
    "--clear-link",
    is_flag=True,
    help="Allow the profiles sign1 and mac0, which anyone near the antenna can read.",
    fr="Autoriser les profils sign1 et mac0, lisibles par quiconque est près de l'antenne.",
)
@option("--device", metavar="NAME", help="Add a device of this name.", fr="Ajouter un équipement de ce nom.")
@option("--kind", type=click.Choice(KINDS), help="What the device is.", fr="Ce qu'est l'équipement.")
@option(
    "--profile",
    type=click.Choice(PROFILES),
    help="How its frames are protected (default: encrypt0).",
    fr="Protection de ses trames (par défaut : encrypt0).",
)
@option(
    "--eui", metavar="HEX", help="Its EUI-64 (default: made up).", fr="Son EUI-64 (par défaut : inventé)."
)
@option(
    "--asset",
    help="The asset it stands for, such as a pole number.",
    fr="L'ouvrage, par exemple un numéro de mât.",
)
def new(
    settings: Settings,
    tenant: str,
    name: str | None,
    lab: bool,
    seed: int | None,
    clear_link: bool,
    device: str | None,
    kind: str | None,
    profile: str | None,
    eui: str | None,
    asset: str | None,
) -> None:
    if device is None:
        if kind or profile or eui or asset:
            raise UsageError(say("a device needs a name", "un équipement doit avoir un nom"), "--device NAME")
        _new_tenant(settings, Path(tenant), name or "", lab, seed, clear_link)
        return
    if name or lab or clear_link or seed is not None:
        raise UsageError(
            say(
                "--name, --lab, --seed and --clear-link are for a new tenant, without --device",
                "--name, --lab, --seed et --clear-link créent un propriétaire, sans --device",
            )
        )
    if kind is None:
        raise UsageError(say("what is the device?", "qu'est l'équipement ?"), "--kind " + " | ".join(KINDS))
    _new_device(settings, Path(tenant), device, kind, profile or "encrypt0", eui, asset or "")


def _new_tenant(
    settings: Settings, folder: Path, name: str, lab: bool, seed: int | None, clear_link: bool
) -> None:
    from provisioning.tenant import Tenant

    if settings.dry_run:
        settings.output.remark(
            say(f"would make a tenant in {folder}", f"créerait un propriétaire dans {folder}")
        )
        return
    made = Tenant.create(folder, name, lab=lab, seed=seed, clear_link=clear_link)
    settings.output.result(
        {"tenant": made.id.hex(), "name": made.name, "folder": str(folder), "lab": made.lab},
        say(
            f"tenant {made.id.hex()} ({made.name}) is in {folder}",
            f"le propriétaire {made.id.hex()} ({made.name}) est dans {folder}",
        ),
    )
    settings.output.remark(
        say(
            "whoever holds this folder holds the keys: keep it, and a copy, out of reach",
            "qui a ce dossier a les clés : le garder, avec une copie, hors d'atteinte",
        )
    )


def _new_device(
    settings: Settings,
    folder: Path,
    name: str,
    kind: str,
    profile: str,
    given_eui: str | None,
    asset: str,
) -> None:
    from provisioning.tenant import Tenant

    identity = eui(given_eui)
    owner = Tenant.open(folder)
    if any(r.name == name for r in owner.registry.records()):
        raise UsageError(say(f"the name {name} is taken", f"le nom {name} est pris"))
    if settings.dry_run:
        settings.output.remark(say(f"would add {name} to {owner.name}", f"ajouterait {name} à {owner.name}"))
        return
    record = owner.add_device(name, kind, profile, device=identity, asset=asset)
    settings.output.result(
        {
            "device": record.device.hex(),
            "name": record.name,
            "kind": record.kind,
            "profile": record.profile,
            "epoch": record.epoch,
            "address": record.link_address,
        },
        say(
            f"{record.name}: device {record.device.hex()}, {record.profile}, address {record.link_address}",
            f"{record.name} : EUI {record.device.hex()}, {record.profile}, adresse {record.link_address}",
        ),
    )


LIST = "Names of keys only: no command prints a key."
LIST_FR = "Les noms des clés seulement : aucune commande n'affiche une clé."


@command("keys list", LIST, LIST_FR)
@tenant_option
def list_keys(settings: Settings, tenant: str) -> None:
    from provisioning.tenant import Tenant

    owner = Tenant.open(Path(tenant))
    settings.output.remark(f"{owner.name} ({owner.id.hex()})")
    rows = [
        {
            "name": record.name,
            "device": record.device.hex(),
            "epoch": record.epoch,
            "status": record.status,
            "profile": record.profile,
            "keys": " ".join(sorted(record.keys)),
        }
        for record in owner.records()
    ]
    settings.output.table(rows, ("name", "device", "epoch", "status", "profile", "keys"))


COMMANDS = {"new": new, "list": list_keys}
