"""Who may import whom. Each rule is first shown to bite on a file that breaks it."""

from __future__ import annotations

import ast

import pytest

from host_tools.bundle import imports_of
from tests.rules.project import read, sources

OURS = ("firmware", "host_tools", "provisioning", "hw", "tests", "tools", "bench")
HARDWARE = ("machine", "esp32", "network", "esp", "espnow", "bluetooth")
PROTOCOLS = "firmware.protocols"

# First match counts: part of the tree, what it may import of ours. An entry covers everything below it.
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("firmware/protocols/", (PROTOCOLS,)),
    ("firmware/drivers/", (PROTOCOLS, "firmware.drivers")),
    ("firmware/furniture/", (PROTOCOLS, "firmware.furniture")),
    ("firmware/roles/", (PROTOCOLS, "firmware.furniture", "firmware.roles")),
    # A kind is the wiring of one piece of furniture.
    (
        "firmware/kinds/",
        (PROTOCOLS, "firmware.drivers", "firmware.furniture", "firmware.roles", "firmware.kinds"),
    ),
    # As a kind, and what starts it.
    (
        "firmware/wake/",
        (
            PROTOCOLS,
            "firmware.drivers",
            "firmware.furniture",
            "firmware.roles",
            "firmware.kinds",
            "firmware.wake",
            "firmware.board",
            "firmware.clock",
            "firmware.counters",
        ),
    ),
    ("firmware/boards/", ()),
    ("firmware/parts/", (PROTOCOLS, "firmware.drivers", "firmware.pins", "firmware.parts")),
    ("firmware/boot.py", ()),
    ("firmware/main.py", ("firmware.app",)),
    # These wire things together.
    ("firmware/app.py", ("firmware",)),
    ("firmware/board.py", ("firmware",)),
    ("firmware/", ("firmware",)),
    ("host_tools/", ("host_tools", "provisioning", PROTOCOLS, "hw.virtual")),
    ("provisioning/", ("provisioning", "host_tools", PROTOCOLS, "hw.virtual")),
    # A chip model never uses the code it checks.
    ("hw/virtual/chips/", ("hw.virtual",)),
    ("hw/virtual/port/", ()),
    ("hw/", ("hw", PROTOCOLS, "host_tools", "provisioning")),
)
WIRING = ("firmware/app.py", "firmware/board.py", "firmware/main.py", "firmware/pins.py")
WIRED = ("firmware.drivers", "firmware.furniture", "firmware.roles")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def package_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".").rpartition(".")[0]


def offences(path: str, text: str) -> list[str]:
    """What a file imports and must not."""
    names = imports_of(ast.parse(text, path), package_of(path))
    found = []
    allowed = next((a for top, a in LAYERS if path.startswith(top)), None)
    if allowed is not None:
        for name in names:
            # `from firmware import protocols` names the bare package on its way to an allowed one.
            passing = any(n != name and within(n, name) for n in names) and "." not in name
            if name.partition(".")[0] in OURS and not passing and not any(within(name, a) for a in allowed):
                found.append(f"{path} imports {name}")
    if path.startswith("firmware/") and path not in WIRING and path.count("/") == 1:
        found += [f"{path} wires {n}" for n in names if any(within(n, w) for w in WIRED)]
    if path.startswith("firmware/"):
        free: tuple[str, ...] = HARDWARE if path.startswith(("firmware/board.py", "firmware/parts/")) else ()
        if path in ("firmware/boot.py", "firmware/main.py"):
            free = ("machine",)
        found += [
            f"{path} imports {n}"
            for n in names
            if n.partition(".")[0] in HARDWARE and n.partition(".")[0] not in free
        ]
    if path.startswith(("host_tools/", "provisioning/", "hw/", "tools/")):
        found += [f"{path} imports {n}" for n in names if within(n, "firmware.drivers")]
    if not path.startswith("tests/"):
        found += [f"{path} imports {n}" for n in names if within(n, "tests")]
    return sorted(set(found))


BAD = [
    ("firmware/protocols/x.py", "import firmware.config"),
    ("firmware/protocols/x.py", "def f():\n    from firmware.drivers import sx126x"),
    ("firmware/protocols/x.py", "from ..drivers import sx126x"),
    ("firmware/protocols/x.py", "import machine"),
    ("firmware/drivers/x.py", "from machine import Pin"),
    ("firmware/drivers/x.py", "from firmware.furniture import lamp"),
    ("firmware/drivers/x.py", "from firmware import board"),
    ("firmware/furniture/x.py", "import firmware.roles.node"),
    ("firmware/furniture/x.py", "from firmware import drivers"),
    ("firmware/roles/x.py", "from firmware.drivers.sx126x import SX126x"),
    ("firmware/roles/x.py", "import network"),
    ("firmware/storage.py", "import esp32"),
    ("firmware/storage.py", "from firmware.roles import node"),
    ("firmware/app.py", "import machine"),
    ("firmware/kinds/x.py", "from machine import Pin"),
    ("firmware/kinds/x.py", "from firmware import board"),
    ("firmware/app.py", "import host_tools"),
    ("firmware/boot.py", "import firmware.protocols.const"),
    ("firmware/main.py", "import esp32"),
    ("host_tools/x.py", "from firmware.drivers import sx126x"),
    ("host_tools/x.py", "import firmware.app"),
    ("host_tools/x.py", "from tests import support"),
    ("provisioning/x.py", "import firmware.storage"),
    ("hw/virtual/chips/x.py", "from firmware.protocols import airtime"),
    ("hw/virtual/port/machine.py", "from hw.virtual import air"),
    ("tools/x.py", "import firmware.drivers.sx126x"),
]


@pytest.mark.parametrize(("path", "text"), BAD)
def test_the_rule_bites(path: str, text: str) -> None:
    assert offences(path, text), f"{text!r} in {path} was let through"


GOOD = [
    ("firmware/protocols/x.py", "from firmware.protocols.compat import const"),
    ("firmware/protocols/x.py", "from . import cbor"),
    ("firmware/protocols/x.py", "from firmware.protocols import cbor"),
    ("firmware/roles/x.py", "from firmware.furniture import lamp\nfrom firmware.protocols import link"),
    ("firmware/board.py", "import machine, esp32, network"),
    ("firmware/main.py", "import machine\nimport firmware.app"),
    ("host_tools/x.py", "from firmware.protocols import cose\nimport hw.virtual"),
    ("hw/virtual/x.py", "from host_tools.bundle import build"),
]


@pytest.mark.parametrize(("path", "text"), GOOD)
def test_the_rule_lets_through(path: str, text: str) -> None:
    assert offences(path, text) == []


@pytest.mark.parametrize("path", sources("firmware", "host_tools", "provisioning", "hw", "tools", "bench"))
def test_imports(path: str) -> None:
    assert offences(path, read(path)) == []


def test_machine_comes_before_anything_of_ours() -> None:
    """boot.py and main.py must be able to light the lamp or reset when the rest of the tree is damaged."""
    for path in ("firmware/boot.py", "firmware/main.py"):
        order = [n for n in ast.walk(ast.parse(read(path))) if isinstance(n, (ast.Import, ast.ImportFrom))]
        order.sort(key=lambda n: n.lineno)
        names = [n.module if isinstance(n, ast.ImportFrom) else n.names[0].name for n in order]
        ours = [n for n in names if n and n.startswith("firmware")]
        assert "machine" in names
        if ours:
            assert names.index("machine") < names.index(ours[0])


def test_the_independent_verifier_imports_nothing_of_ours() -> None:
    import sys

    text = read("tests/verifier.py")
    tops = {n.partition(".")[0] for n in imports_of(ast.parse(text), "")}
    assert tops - set(sys.stdlib_module_names) <= {"cbor2", "cryptography"}
    assert len(text.splitlines()) <= 200


def test_the_copyleft_flasher_stays_in_its_worker() -> None:
    """docs/decisions: importing esptool would make the whole program a combined work."""
    for path in sources("firmware", "host_tools", "provisioning", "hw", "tools"):
        if path == "host_tools/flash_worker.py":
            continue
        names = imports_of(ast.parse(read(path)), package_of(path))
        assert not {n.partition(".")[0] for n in names} & {"esptool", "espefuse", "espsecure"}, path
