"""Markers, the data folder, a sample capture; a missing peer fails where LANTERNE_REQUIRE is set."""

import importlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored (POSIX XCU 2.11), and so would each program
    that a test interrupts."""
    # A board forgets modules and loads them again, thousands of times in these tests: compiled once, then.
    sys.pycache_prefix = str(ROOT / "build/pycache")
    sys.dont_write_bytecode = False
    if threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Names what fails at once: a run that is cut off prints no summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nFAILED {report.nodeid} ({report.when})", file=sys.__stderr__, flush=True)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Files that need the interpreter itself run under it only, in tests/host/test_under_micropython.py."""
    if collection_path.parent.name == "mpy" and collection_path.suffix == ".py":
        return collection_path.read_text().startswith("# runs: micropython") or None
    return None


def peer(program: str) -> str:
    """Path of a peer program; without it the test skips by name, or fails where LANTERNE_REQUIRE is set."""
    return shutil.which(program) or absent(f"peer program {program}")


def package(name: str) -> Any:
    """A package of other people that a test is held against; without it as for a peer program."""
    try:
        return importlib.import_module(name)
    except ImportError:
        absent(name.partition(".")[0])


def absent(name: str, what: str = "not installed") -> NoReturn:
    if os.environ.get("LANTERNE_REQUIRE"):
        pytest.fail(f"{name} is required here and {what}")
    pytest.skip(f"{name} is {what}")


@pytest.fixture
def data() -> Path:
    """The folder of real data and vectors named by LANTERNE_DATA."""
    top = os.environ.get("LANTERNE_DATA")
    if not top:
        pytest.skip("LANTERNE_DATA is not set")
    return Path(top)


@pytest.fixture
def quiet_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty working folder and no settings of the person who runs the tests; messages in English."""
    from host_tools import output

    for name in list(os.environ):
        if name.startswith(("LANTERNE_", "LC_")) or name == "LANG":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    yield
    output.set_language("en")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with capture.pcap and reader.json: a lamp, a bin, a leak meter, one frame of each gone bad.

    Made by tests/host/synth.py, which shares no code with what is tested.
    """
    from tests.host.synth import Device, capture, keyring

    lamp = Device("sign1", 1, name="lamp-1", kind="lamp")
    bin_ = Device("mac0", 2, name="bin-2", kind="bin")
    leak = Device("encrypt0", 3, name="leak-3", kind="leak")
    frames = lamp.run(4) + bin_.run(5, every=5) + leak.run(3, every=3)
    for n in (1, 5, 10):
        frames.append(frames[n][:-1] + bytes((frames[n][-1] ^ 1,)))
    folder = tmp_path_factory.mktemp("sample")
    capture(folder / "capture.pcap", frames)
    keyring(folder / "reader.json", lamp, bin_, leak)
    return folder
