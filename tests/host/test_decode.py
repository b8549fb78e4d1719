"""Rows and their text forms, decoding of files, and an independent program that comes to the same."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from host_tools import decode, rows
from host_tools.errors import InputError, UsageError
from host_tools.rows import Row
from tests.host import synth
from tests.host.synth import Device
from tests.host.test_receiver import flipped

ROOT = Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "tests/verifier.py"


def printed(found: list[Row], form: str) -> str:
    out = io.StringIO()
    rows.write(found, out, form)
    return out.getvalue()


def verifier(capture: Path, *keys: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(VERIFIER), str(capture), *map(str, keys)],
        cwd=capture.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def site() -> list[Device]:
    return [
        Device("sign1", 1, kind="lamp"),
        Device("mac0", 2),
        Device("encrypt0", 3, kind="leak"),
        Device("mac0", 4, name="far"),
    ]


def traffic(chance: random.Random) -> tuple[list[Device], list[bytes]]:
    """A night of four devices: hello, readings, results, checkpoints, some in fragments."""
    devices, frames = site(), []
    for d in devices:
        frames.append(d.hello())
        frames += d.run(chance.randint(10, 40), chance.choice([5, 16]), fragment=d.address == 4)
        frames.append(d.send(synth.det([1 << 28 | 1, chance.choice([0, 5, 14]), 1 << 28 | 1]), purpose=3))
        frames.append(d.send(synth.det([3, {1: 77, 3: 5, 10: [100, -20, 3]}])))
    return devices, frames


def damaged(chance: random.Random, frames: list[bytes]) -> list[bytes]:
    found = list(frames)
    stranger = Device("mac0", 2, tenant=bytes.fromhex("ff99999999999977"))
    found += [*stranger.run(4), Device("encrypt0", 99).send(), Device("mac0", 2, tag=3).send()]
    for _ in range(chance.randint(0, 30)):
        n = chance.randrange(len(found))
        what = chance.random()
        if what < 0.5:
            bad = flipped(found[n], chance.randrange(8 * len(found[n]) or 1)) if found[n] else b""
        elif what < 0.7:
            bad = found[n][: chance.randrange(len(found[n]) or 1)]
        elif what < 0.8:
            bad = found[n] + b"\x00"
        elif what < 0.9:
            bad = found[n]
        else:
            del found[n]
            continue
        if what < 0.35:
            found[n] = bad
        else:
            found.append(bad)
    chance.shuffle(found)
    return found


def test_the_verifier_is_independent_and_short() -> None:
    text = VERIFIER.read_text()
    assert len(text.splitlines()) <= 200
    imported = re.findall(r"^(?:import|from) +([\w, .]+?)(?: import.*)?$", text, re.MULTILINE)
    names = {name.strip().split(".")[0] for line in imported for name in line.split(",")}
    assert names - set(sys.stdlib_module_names) == {"cbor2", "cryptography"}


@pytest.mark.parametrize("seed", range(6))
def test_an_independent_verifier_prints_the_same_rows(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    devices, frames = traffic(chance)
    keys = synth.keyring(tmp_path / "keys.json", *devices)
    clean = synth.capture(tmp_path / "clean.pcap", frames)
    for capture in (clean, synth.capture(tmp_path / "faulty.pcap", damaged(chance, frames))):
        ours = printed(decode.decode([capture], [keys]).rows, "verify")
        assert ours == verifier(capture, keys)
        assert " signed " in ours


@pytest.mark.long
def test_the_verifier_agrees_on_many_captures(tmp_path: Path) -> None:
    for seed in range(100, 400):
        chance = random.Random(seed)
        devices, frames = traffic(chance)
        keys = synth.keyring(tmp_path / "keys.json", *devices)
        capture = synth.capture(tmp_path / "faulty.pcap", damaged(chance, frames))
        assert printed(decode.decode([capture], [keys]).rows, "verify") == verifier(capture, keys), seed


def test_the_verifier_agrees_on_revoked_and_conflicting(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = device.run(40)
    frames += [device.seal(0, 5, device.reading(900)), device.seal(0, 41, device.reading(900))]
    capture = synth.capture(tmp_path / "c.pcap", frames)
    keys = synth.keyring(tmp_path / "keys.json", device)
    text = verifier(capture, keys)
    assert printed(decode.decode([capture], [keys]).rows, "verify") == text
    assert "rejected conflict" in text
    assert text.count("contested equivocation") == 2
    twice = [*frames[:36], device.seal(1, 34, synth.det([16, bytes(16)]))]
    capture = synth.capture(tmp_path / "d.pcap", twice)
    assert printed(decode.decode([capture], [keys]).rows, "verify") == verifier(capture, keys)
    revoked = synth.keyring(tmp_path / "revoked.json", device, status="revoked")
    assert printed(decode.decode([capture], [revoked]).rows, "verify") == verifier(capture, revoked)


def test_values_are_exact_decimals(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    frames = [device.send(synth.det([3, {0: 28000128, 2: 3300, 4: 7, 5: 1, 8: -5, 10: [1000, -1, 20]}]))]
    capture = synth.capture(tmp_path / "c.pcap", frames)
    found = decode.decode([capture], [synth.keyring(tmp_path / "k.json", device)])
    line = printed(found.rows, "json")
    assert (
        '"values": {"supply_v": 3.300, "fill_percent": 7, "distance_m": 0.001, "temperature_degc": -0.5, '
        '"distances_m": [1.000, 0.999, 1.019]}' in line
    )
    read = json.loads(line, parse_float=Decimal)
    assert read["values"]["supply_v"] == Decimal("3.300")
    assert list(read) == list(rows.COLUMNS)
    # 28,000,128 s after 2026-01-01, with no leap second since.
    assert read["time"] == "2026-11-21T01:48:48Z"


def test_states_and_alarms_are_words(tmp_path: Path) -> None:
    device = Device("sign1", 2, kind="lamp")
    frames = [device.send(synth.det([2, {1: 60, 3: 0b1000_0000_0000_0101, 4: 100, 6: 3}])), device.hello(7)]
    capture = synth.capture(tmp_path / "c.pcap", frames)
    lamp, hello = decode.decode([capture], [synth.keyring(tmp_path / "k.json", device)]).rows
    assert dict(lamp.values) == {
        "alarms": ["lamp_failure", "relay_failure", "bit_15"],
        "level_percent": 100,
        "reason": "program",
    }
    assert (lamp.clock, lamp.time) == ("unconfirmed", "2026-01-01T00:01:00Z")
    assert hello.values["reset_cause"] == "power_on"
    assert rows.flat(lamp)["value_reason"] == "program"
    assert rows.flat(lamp)["reason"] == ""


@pytest.mark.parametrize(
    ("gen", "protection", "words"),
    [
        (0, 0, "key known to provisioner; key readable by whoever holds the board"),
        (1, 1, "key made on the device; key in encrypted flash"),
        (2, 2, "key made in a secure element; key in a secure element"),
    ],
)
def test_key_origin_stands_beside_signed(tmp_path: Path, gen: int, protection: int, words: str) -> None:
    device = Device("sign1", 1)
    capture = synth.capture(tmp_path / "c.pcap", [device.send()])
    keys = synth.keyring(tmp_path / "k.json", device, gen=gen, protection=protection)
    [row] = decode.decode([capture], [keys]).rows
    assert (row.state, row.key) == ("signed", words)
    assert words in printed([row], "json")


def test_wire_time_is_gps_without_leap_seconds() -> None:
    assert rows.wire_utc(0) == "2026-01-01T00:00:00Z"
    assert rows.wire_to_unix_us(1) == 1767225600_001_000
    assert rows.unix_us_to_wire_ms(rows.wire_to_unix_us(123456789)) == 123456789


def test_csv_takes_no_formula(tmp_path: Path) -> None:
    device = Device("mac0", 2, name='=HYPERLINK("x")')
    capture = synth.capture(tmp_path / "c.pcap", [device.send(synth.det([3, {8: -5, 10: [1, 2]}]))])
    found = decode.decode([capture], [synth.keyring(tmp_path / "k.json", device)]).rows
    [cells] = csv.DictReader(io.StringIO(printed(found, "csv")))
    assert cells["name"] == '\'=HYPERLINK("x")'
    assert (cells["temperature_degc"], cells["distances_m"]) == ("-0.5", "0.001 0.003")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="no format 'xml'"):
        rows.write([], io.StringIO(), "xml")


def test_decoding_is_read_only_and_repeats_itself(tmp_path: Path) -> None:
    devices, frames = traffic(random.Random(1))
    keys = synth.keyring(tmp_path / "keys.json", *devices)
    capture = synth.capture(tmp_path / "c.pcap", frames)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()}
    first, second = decode.decode([capture], [keys]), decode.decode([capture], [keys])
    assert printed(first.rows, "json") == printed(second.rows, "json")
    assert first.summary == second.summary
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()} == before


def test_files_one_after_the_other_in_any_order(tmp_path: Path) -> None:
    devices, frames = traffic(random.Random(2))
    keys = synth.keyring(tmp_path / "keys.json", *devices)
    a = synth.capture(tmp_path / "a.pcap", frames[::2])
    b = synth.capture(tmp_path / "b.pcap", frames[1::2])
    assert printed(decode.decode([a, b], [keys]).rows, "json") == printed(
        decode.decode([b, a], [keys]).rows, "json"
    )


def test_a_damaged_file_is_told_in_the_notes(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    capture = synth.capture(tmp_path / "c.pcap", device.run(5))
    capture.write_bytes(capture.read_bytes()[:-3])
    found = decode.decode([capture], [synth.keyring(tmp_path / "k.json", device)])
    assert len(found.rows) == 4
    assert found.summary["notes"] == [f"{capture} is cut in the middle of record 5"]
    assert found.summary["states"] == {"authenticated": 4}


def test_bad_paths_are_one_line(tmp_path: Path) -> None:
    device = Device("mac0", 2)
    capture = synth.capture(tmp_path / "c.pcap", device.run(5))
    with pytest.raises(InputError, match="no such file"):
        decode.decode([capture], [tmp_path / "none.json"])
    with pytest.raises(InputError, match="not a JSON file"):
        capture.chmod(0o600)
        decode.decode([capture], [capture])
    keys = synth.keyring(tmp_path / "k.json", device)
    keys.chmod(0o644)
    with pytest.raises(InputError, match="open to others"):
        decode.decode([capture], [keys])
