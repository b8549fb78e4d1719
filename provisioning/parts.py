"""Which parts may do what on a board of each kind; the first of a role is the usual one.

A part is a module of firmware/parts and of the same name; the settings of a device name the unusual ones
(configuration entry 17), `none` leaves a role empty. A board opens them in the order of this table. What a part
needs of the board is checked by the board itself (firmware/pins.py); which ones go together on which board is
in hw/boards/<name>/board.toml.
"""

from __future__ import annotations

from collections.abc import Mapping

from host_tools.errors import UsageError

_METERS = ("bl0942", "cse7766", "hlw8012", "bl0937")
_TILT = ("none", "lis3dh")
_TEMPERATURE = ("none", "ds18b20")
_PHOTOCELL = ("none", "photocell", "photocell_ads1115")
# What is free of them by then.
_CONTACTS = ("none", "contacts")

PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "lamp": {
        # `relay` alone as well as beside a dimmer, and then as `light-switch`.
        "light": ("dimmer", "dali", "relay"),
        "light-switch": ("none", "relay"),
        "energy": ("none", *_METERS, "ina219"),
        "photocell": _PHOTOCELL,
        "contacts": _CONTACTS,
    },
    "bin": {
        "range": ("a02yyuw", "hcsr04", "jsnsr04t", "maxbotix", "tfluna", "vl53l1x"),
        "supply": ("supply",),
        "tilt": _TILT,
        "temperature": _TEMPERATURE,
        "hatch": ("none", "hatch"),
        "compactor": ("none", "compactor"),
        "contacts": (*_CONTACTS, "contacts5"),
    },
    "leak": {
        "pulses": ("contact_pulses", "pcf8593"),
        "supply": ("supply",),
        "rope": ("none", "leak_rope"),
        "pressure": ("none", "pressure", "pressure_ads1115"),
        "contacts": _CONTACTS,
    },
    "cabinet": {
        "contactor": ("relay",),
        "energy": ("modbus_meter", *_METERS),
        "photocell": _PHOTOCELL,
        "contacts": ("contacts",),
    },
    "gateway": {},
}
#: Parts that no kind opens: nothing that a board sends is signed by ES256 yet.
APART = frozenset({"atecc608"})
#: Parts that the module `i2c` opens the bus for.
ON_I2C = frozenset(
    {"vl53l1x", "lis3dh", "ina219", "photocell_ads1115", "pressure_ads1115", "atecc608", "pcf8593"}
)


def roles(kind: str) -> dict[str, tuple[str, ...]]:
    """The roles of a kind with their parts; none for a kind without any."""
    return PARTS.get(kind, {})


def names(kind: str) -> list[str]:
    """Modules of firmware/parts that a board of this kind can want, sorted."""
    found = {part for parts in roles(kind).values() for part in parts} - {"none"}
    return sorted(found | ({"i2c"} if found & ON_I2C else set()))


def chosen(kind: str, wanted: Mapping[str, str]) -> list[str]:
    """Entry 17 of the configuration: role, part, role, part ...; UsageError for what this kind cannot have."""
    known = roles(kind)
    found: list[str] = []
    for role, part in sorted(wanted.items()):
        if role not in known:
            raise UsageError(f"a {kind} has no part {role!r}", f"it has {', '.join(known)}" if known else "")
        if part != "none" and part not in known[role]:
            others = [p for p in known[role] if p != "none"]
            raise UsageError(f"no {part!r} as {role} of a {kind}", f"there are {', '.join(others)}, none")
        found += [role, part]
    return found


def opened(kind: str, wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    """(role, part) in the order in which a board of this kind opens them."""
    found = [(role, wanted.get(role, parts[0])) for role, parts in roles(kind).items()]
    return [(role, part) for role, part in found if part != "none"]
