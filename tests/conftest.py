"""Markers, the data folder and the rule that a missing peer program fails where LANTERNE_REQUIRE is set."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = Path(str(item.fspath))
        if path.parent.name == "mpy" and path.read_text().startswith("# runs: micropython"):
            item.add_marker(
                pytest.mark.skip(reason="runs under MicroPython only: tests/host/test_under_micropython.py")
            )


def peer(program: str) -> str:
    """Path of a peer program; without it the test skips by name, or fails where LANTERNE_REQUIRE is set."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("LANTERNE_REQUIRE"):
            pytest.fail(f"peer program {program} is required here and not installed")
        pytest.skip(f"peer program {program} is not installed")
    return found


@pytest.fixture
def data() -> Path:
    """The folder of real data and vectors named by LANTERNE_DATA."""
    top = os.environ.get("LANTERNE_DATA")
    if not top:
        pytest.skip("LANTERNE_DATA is not set")
    return Path(top)
