"""One night, run once and looked at by many tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_tools import sim


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> sim.Result:
    """The demonstration over a socket, seed 1."""
    folder = tmp_path_factory.mktemp("night") / "out"
    return sim.run("demo", folder, sim.Options(seed=1))


@pytest.fixture(scope="session")
def keys(night: sim.Result) -> Path:
    return night.folder / "keys.json"
