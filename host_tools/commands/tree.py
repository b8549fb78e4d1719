"""The whole command tree with one line of help each, in English and French.

This table alone serves `lanterne --help`, so that nothing else is imported for it. A command without a module
is not built yet; its line says what it will do.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One command. `module` is the part after host_tools.commands, empty while it is not built."""

    name: str
    section: str
    english: str
    french: str
    module: str = ""
    subs: tuple[Entry, ...] = ()


SECTIONS = (
    ("Boards", "Cartes"),
    ("Devices", "Équipements"),
    ("Traffic", "Trafic"),
    ("Lab", "Laboratoire"),
    ("Proof", "Preuve"),
    ("Maintain", "Maintenance"),
)


def _sub(name: str, english: str, french: str, module: str = "") -> Entry:
    return Entry(name, "", english, french, module)


TREE: tuple[Entry, ...] = (
    Entry(
        "boards",
        "Boards",
        "List the boards that are plugged in: port, chip, firmware, device id, state.",
        "Lister les cartes branchées : port, puce, micrologiciel, identifiant, état.",
    ),
    Entry(
        "flash",
        "Boards",
        "Write interpreter, firmware bundle and settings to a board.",
        "Écrire l'interpréteur, le micrologiciel et les réglages sur une carte.",
    ),
    Entry(
        "provision",
        "Boards",
        "Give one board, or a list of boards, their keys and print the labels.",
        "Donner leurs clés à une carte ou à une liste de cartes et imprimer les étiquettes.",
    ),
    Entry(
        "monitor",
        "Boards",
        "Show a board's log and budgets while it runs.",
        "Afficher le journal et les budgets d'une carte en marche.",
    ),
    Entry(
        "station",
        "Boards",
        "Flash, provision and prove boards on one screen.",
        "Flasher, provisionner et vérifier des cartes sur un seul écran.",
    ),
    Entry(
        "update",
        "Boards",
        "Update firmware over the air, one board or a fleet.",
        "Mettre à jour le micrologiciel par radio, une carte ou un parc.",
    ),
    Entry(
        "unlock",
        "Boards",
        "Open a sealed board for diagnostics, or wholly after erasing its keys.",
        "Ouvrir une carte scellée pour un diagnostic, ou entièrement après effacement de ses clés.",
    ),
    Entry(
        "send",
        "Devices",
        "Send one command to a device: lamp, identify, walk-test, reboot.",
        "Envoyer une commande à un équipement : lampe, identifier, essai de portée, redémarrer.",
    ),
    Entry(
        "plan",
        "Devices",
        "Check, show and push the lighting plan.",
        "Vérifier, afficher et envoyer le plan d'éclairage.",
        subs=(
            _sub("check", "Check a plan against the lamps.", "Vérifier un plan avec les lampes."),
            _sub("show", "Show what a plan does on one date.", "Afficher ce que fait un plan à une date."),
            _sub("push", "Send a plan to its lamps.", "Envoyer un plan à ses lampes."),
            _sub("status", "Show which lamp runs which plan.", "Afficher quel plan suit chaque lampe."),
        ),
    ),
    Entry(
        "registry",
        "Devices",
        "Who is who: devices, their keys' state, their assets.",
        "Qui est qui : équipements, état de leurs clés, ouvrages.",
        subs=(
            _sub(
                "list", "List the devices of a registry.", "Lister les équipements d'un registre.", "registry"
            ),
            _sub(
                "show",
                "Show one device; secrets stay hidden.",
                "Afficher un équipement ; les secrets restent cachés.",
                "registry",
            ),
            _sub(
                "export",
                "Write the keyring of one role to a file.",
                "Écrire le trousseau d'un rôle dans un fichier.",
                "registry",
            ),
            _sub("import", "Take in devices from a list.", "Reprendre des équipements d'une liste."),
            _sub(
                "transfer",
                "Hand a device over to another owner.",
                "Céder un équipement à un autre propriétaire.",
            ),
            _sub(
                "swap",
                "Let a new board take over a dead one's asset.",
                "Remplacer une carte morte par une neuve.",
            ),
            _sub(
                "revoke",
                "Declare a device's keys compromised.",
                "Déclarer compromises les clés d'un équipement.",
            ),
        ),
    ),
    Entry(
        "keys",
        "Devices",
        "Make and keep the keys of a tenant.",
        "Créer et garder les clés d'un propriétaire.",
        subs=(
            _sub(
                "new",
                "Make a tenant, or a device with its keys.",
                "Créer un propriétaire, ou un équipement avec ses clés.",
                "keys",
            ),
            _sub(
                "list",
                "List tenants and devices and which keys exist; never a key.",
                "Lister propriétaires et équipements et les clés présentes ; jamais une clé.",
                "keys",
            ),
            _sub(
                "rotate",
                "Give a device the keys of a new epoch.",
                "Donner à un équipement les clés d'une nouvelle époque.",
            ),
            _sub(
                "rekey-link",
                "Replace the link keys a gateway held.",
                "Remplacer les clés de liaison que détenait une passerelle.",
            ),
            _sub(
                "backup", "Write an encrypted backup of the keys.", "Écrire une sauvegarde chiffrée des clés."
            ),
            _sub("restore", "Restore keys from a backup.", "Rétablir les clés depuis une sauvegarde."),
        ),
    ),
    Entry(
        "capture",
        "Traffic",
        "Keep received frames verbatim in a capture file.",
        "Garder les trames reçues, telles quelles, dans un fichier de capture.",
        "capture",
    ),
    Entry(
        "decode",
        "Traffic",
        "Verify and decode captured frames into rows.",
        "Vérifier et décoder des trames capturées en lignes de données.",
        "decode",
    ),
    Entry(
        "replay",
        "Traffic",
        "Play a capture again, clean or with faults, and compare.",
        "Rejouer une capture, intacte ou avec des défauts, et comparer.",
        "replay",
    ),
    Entry(
        "ingest",
        "Traffic",
        "Take frames in continuously and store their readings.",
        "Recevoir les trames en continu et ranger leurs mesures.",
    ),
    Entry(
        "report",
        "Traffic",
        "Write a report of a capture or a store as one page.",
        "Écrire le rapport d'une capture ou d'une base en une page.",
    ),
    Entry(
        "serve",
        "Traffic",
        "Show a store as a live page.",
        "Montrer une base en page vivante.",
    ),
    Entry(
        "sim",
        "Lab",
        "Run the firmware on virtual boards.",
        "Faire tourner le micrologiciel sur des cartes virtuelles.",
        subs=(
            _sub(
                "run",
                "Run a scenario: boards, an air, a night in seconds.",
                "Jouer un scénario : des cartes, un air, une nuit en secondes.",
                "sim",
            ),
            _sub("list", "List the scenarios at hand.", "Lister les scénarios disponibles.", "sim"),
            _sub("new", "Begin a scenario of your own.", "Commencer un scénario à soi."),
        ),
    ),
    Entry(
        "audit",
        "Proof",
        "Try to refute what a device, a capture or a registry claims.",
        "Chercher à réfuter ce qu'affirme un équipement, une capture ou un registre.",
        subs=(
            _sub("device", "Say how well a board is sealed.", "Dire comment une carte est scellée."),
            _sub(
                "airtime",
                "Bound or refute duty-cycle compliance from a capture.",
                "Borner ou réfuter le respect du temps d'émission d'après une capture.",
            ),
            _sub(
                "registry",
                "Check the registry's chain and anchors.",
                "Vérifier la chaîne et les ancrages du registre.",
            ),
            _sub(
                "capture",
                "Check a capture for gaps and conflicts.",
                "Chercher lacunes et conflits dans une capture.",
            ),
        ),
    ),
    Entry(
        "evidence",
        "Proof",
        "Export and verify evidence that a third party can check alone.",
        "Exporter et vérifier une preuve qu'un tiers peut contrôler seul.",
        subs=(
            _sub("export", "Write the evidence for some readings.", "Écrire la preuve de certaines mesures."),
            _sub("verify", "Verify an evidence file.", "Vérifier un fichier de preuve."),
        ),
    ),
    Entry(
        "firmware",
        "Maintain",
        "Build, fetch and show firmware bundles.",
        "Construire, chercher et montrer les micrologiciels.",
        subs=(
            _sub(
                "build",
                "Build the bundle of a role and kind.",
                "Construire le paquet d'un rôle et d'un type.",
            ),
            _sub("get", "Fetch a released bundle.", "Chercher un paquet publié."),
            _sub("show", "Show what a bundle holds.", "Montrer ce que contient un paquet."),
        ),
    ),
    Entry(
        "efuse",
        "Maintain",
        "Plan, check and burn a chip's one-time fuses.",
        "Préparer, vérifier et brûler les fusibles d'une puce.",
        subs=(
            _sub("plan", "Write the plan of what would be burnt.", "Écrire le plan de ce qui serait brûlé."),
            _sub("check", "Compare a chip with a plan.", "Comparer une puce à un plan."),
            _sub("burn", "Burn a plan; cannot be undone.", "Brûler un plan ; irréversible."),
        ),
    ),
    Entry(
        "schema",
        "Maintain",
        "Show and export the wire format.",
        "Montrer et exporter le format des messages.",
        subs=(
            _sub(
                "show",
                "Show message types and their fields.",
                "Montrer les types de message et leurs champs.",
                "schema",
            ),
            _sub(
                "export", "Write the format as CDDL or JSON.", "Écrire le format en CDDL ou JSON.", "schema"
            ),
        ),
    ),
    Entry(
        "doctor",
        "Maintain",
        "Check this computer: Python, packages, interpreter, folders, ports.",
        "Vérifier ce poste : Python, paquets, interpréteur, dossiers, ports.",
        "doctor",
    ),
)


def find(*path: str) -> Entry | None:
    """The entry of a command path such as ("keys", "new")."""
    entries = TREE
    found = None
    for name in path:
        found = next((e for e in entries if e.name == name), None)
        if found is None:
            return None
        entries = found.subs
    return found


def built(entry: Entry) -> bool:
    return bool(entry.module) or any(built(s) for s in entry.subs)
