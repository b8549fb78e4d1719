"""Key files of the command line, each told by what it holds: readers' keyrings, and keys of LoRaWAN."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from host_tools.lorawan.keysfile import Keys, is_keys, load_keys
from provisioning.keyring import Keyring, load_keyrings


def load(paths: Iterable[Path | str]) -> tuple[list[Keyring], Keys]:
    """The keys in some files; InputError where one is neither, or two contradict each other."""
    paths = list(paths)
    lorawan = [p for p in paths if is_keys(p)]
    return load_keyrings([p for p in paths if p not in lorawan]), load_keys(lorawan)
