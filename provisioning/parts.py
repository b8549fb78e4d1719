"""Which parts may do what on a board of each kind; the first of a role is the usual one.

A part is a module of firmware/parts and of the same name; the settings of a device name the unusual ones
(configuration entry 17), `none` leaves a role empty. What a part needs of the board is checked by the board
itself (firmware/pins.py); `lanterne boards` will tell before.
"""

from __future__ import annotations

from collections.abc import Mapping

from host_tools.errors import UsageError

PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "lamp": {"light": ("dimmer",)},
    "bin": {"range": ("a02yyuw",), "supply": ("supply",)},
    "leak": {"pulses": ("contact_pulses",), "supply": ("supply",)},
    "gateway": {},
}


def names(kind: str) -> list[str]:
    """Every part that a board of this kind can have, sorted."""
    return sorted({part for parts in PARTS[kind].values() for part in parts})


def chosen(kind: str, wanted: Mapping[str, str]) -> list[str]:
    """Entry 17 of the configuration: role, part, role, part ...; UsageError for what this kind cannot have."""
    known = PARTS[kind]
    found: list[str] = []
    for role, part in sorted(wanted.items()):
        if role not in known:
            raise UsageError(f"a {kind} has no part {role!r}", f"it has {', '.join(known)}" if known else "")
        if part != "none" and part not in known[role]:
            raise UsageError(
                f"no {part!r} as {role} of a {kind}", f"there are {', '.join(known[role])}, none"
            )
        found += [role, part]
    return found
