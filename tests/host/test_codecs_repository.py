"""codecs/device-repository: its files against what the repository's schema and README ask for, every example run.

The schema's rules are written down here from schema.json and README.md of TheThingsNetwork/lorawan-devices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from firmware.protocols import schema
from tests.conftest import package
from tests.host.codec_bench import ROOT, SCRIPT, by_host, call

TOP = ROOT / "codecs/device-repository/vendor"
VENDOR = TOP / "lanterne"
#: definitions/identifier
IDENTIFIER = re.compile(r"(?=.{1,36}$)[a-z0-9](?:-?[a-z0-9]){2,}")
#: definitions/endDevice, the part of each list that we could be in.
SENSORS = set(
    "accelerometer battery current digital_input distance energy level light motion power pressure "
    "pulse_count temperature tilt voltage water".replace("_", "\0").split()
)
PROGRAMMING = {"bluetooth", "nfc", "wifi", "serial", "firmware"}
#: definitions/endDeviceProfile: versions that go together.
REGIONAL = {"1.0.4": {"RP002-1.0.0", "RP002-1.0.1"}}


def load(path: Path) -> Any:
    """YAML with the digits of its numbers."""
    yaml = package("yaml")

    class Exact(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        pass

    def number(loader: Any, node: Any) -> Decimal:
        return Decimal(loader.construct_scalar(node))

    Exact.add_constructor("tag:yaml.org,2002:float", number)
    return yaml.load(path.read_text(encoding="utf-8"), Exact)


INDEX = VENDOR / "index.yaml"
KINDS = [name for name, _ in schema.TYPES.values() if name != "hello"]


def test_the_vendor_and_its_index() -> None:
    (vendor,) = load(TOP / "index.yaml")["vendors"]
    assert IDENTIFIER.fullmatch(vendor["id"]) and vendor["id"] == VENDOR.name and vendor["name"]
    # Issued by the LoRa Alliance; nobody has asked for one.
    assert "vendorID" not in vendor
    index = load(INDEX)
    assert sorted(index["endDevices"]) == sorted(KINDS)
    profiles = index["profileIDs"]
    assert list(profiles) == [str(n) for n in range(1, len(KINDS) + 1)]
    for row in profiles.values():
        assert (VENDOR / f"{row['id']}.yaml").is_file() and (VENDOR / f"{row['codec']}.yaml").is_file()
    named = {"index.yaml", "lanterne.js"} | {f"{kind}.yaml" for kind in KINDS}
    named |= {f"{row[part]}.yaml" for row in profiles.values() for part in ("id", "codec")}
    assert {path.name for path in VENDOR.iterdir()} == named
    assert (VENDOR / "lanterne.js").read_bytes() == SCRIPT.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_device(kind: str) -> None:
    device = load(VENDOR / f"{kind}.yaml")
    assert IDENTIFIER.fullmatch(kind)
    assert device["name"] and "lanterne" not in device["name"].lower()
    assert {word.replace(" ", "\0") for word in device["sensors"]} <= SENSORS
    assert set(device["keyProgramming"]) <= PROGRAMMING
    (version,) = device["firmwareVersions"]
    assert isinstance(version["version"], str)
    for region, profile in version["profiles"].items():
        assert region == "EU863-870"
        assert IDENTIFIER.fullmatch(profile["id"]) and IDENTIFIER.fullmatch(profile["codec"])
        assert profile["lorawanCertified"] is False
        known = load(VENDOR / f"{profile['id']}.yaml")
        assert known["regionalParametersVersion"] in REGIONAL[known["macVersion"]]
        assert known["supportsJoin"] is True and known["supports32bitFCnt"] is True
        assert known["supportsClassB"] is False and isinstance(known["maxEIRP"], int)
        assert ("classCTimeout" in known) is known["supportsClassC"]


def examples(kind: str, part: str) -> Iterator[dict[str, Any]]:
    script = load(VENDOR / f"{kind}-codec.yaml")[part]
    assert script["fileName"] == "lanterne.js"
    for example in script["examples"]:
        assert example["description"] and set(example) <= {
            "description",
            "input",
            "output",
            "normalizedOutput",
        }
        yield example


def check_bytes(found: Any) -> None:
    assert 1 <= len(found) <= 256 and all(isinstance(b, int) and 0 <= b <= 255 for b in found)


@pytest.mark.parametrize("engine", ["node", "quickjs"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_true(kind: str, engine: str) -> None:
    ups = list(examples(kind, "uplinkDecoder"))
    down = list(examples(kind, "downlinkEncoder"))
    back = list(examples(kind, "downlinkDecoder"))
    calls = [("decodeUplink", e["input"]) for e in ups]
    calls += [("encodeDownlink", e["input"]) for e in down]
    calls += [("decodeDownlink", e["input"]) for e in back]
    assert call(calls, engine) == [e["output"] for e in [*ups, *down, *back]]
    normal = [e for e in ups if "normalizedOutput" in e]
    told = (
        call([("normalizeUplink", {"data": e["output"]["data"]}) for e in normal], engine) if normal else []
    )
    assert told == [e["normalizedOutput"] for e in normal]
    assert bool(normal) == (kind in ("bin", "leak"))
    assert any(e["output"].get("data", {}).get("type") == kind for e in ups)
    assert {bool(e["output"].get("errors")) for e in ups} == {True, False}


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_say_what_the_host_says(kind: str) -> None:
    for example in examples(kind, "uplinkDecoder"):
        given = example["input"]
        check_bytes(given["bytes"])
        reason, data = by_host(given["fPort"], bytes(given["bytes"]))
        wanted = {k: v for k, v in example["output"].get("data", {}).items() if k != "privacy"}
        assert data == wanted
        assert [e.partition(":")[0] for e in example["output"].get("errors", [])] == (
            [reason] if reason else []
        )
    for example in examples(kind, "downlinkDecoder"):
        # What is decoded encodes to the same again: the repository asks for that.
        check_bytes(example["input"]["bytes"])
        (again,) = call([("encodeDownlink", {"data": example["output"]["data"]})])
        assert again == {"bytes": example["input"]["bytes"], "fPort": example["input"]["fPort"]}
