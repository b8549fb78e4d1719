"""A disk that is full after any number of bytes: one line, exit code 5, and nothing is lost that was there, or
received and answered, before. RLIMIT_FSIZE stands for the disk: no file grows beyond it."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cbor2
import pytest

from host_tools import cli, decode
from host_tools.capture import read
from host_tools.errors import StoreError, ToolError
from host_tools.intake import Intake
from host_tools.store import Store
from provisioning.keyring import Keyring
from provisioning.tenant import Tenant
from tests.host import synth
from tests.host.synth import Device

pytestmark = pytest.mark.usefixtures("quiet_place")


@contextmanager
def disk(size: int) -> Iterator[None]:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def run(capsys: pytest.CaptureFixture[str], size: int, *arguments: str) -> int:
    """Exit code of a command on such a disk; a refusal is one line and its hint."""
    with disk(size):
        code = cli.run(list(arguments))
    said = capsys.readouterr().err
    assert code in (0, 5), said
    assert code == 0 or ("has reached the size allowed here" in said and len(said.splitlines()) <= 2)
    return code


def fresh(name: str) -> Path:
    shutil.rmtree(name, ignore_errors=True)
    Path(name).mkdir()
    return Path(name)


def test_results_appear_whole_or_not_at_all(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["decode", f"{sample}/capture.pcap", "-k", f"{sample}/reader.json", "-q", "-o"]
    assert cli.run([*arguments, "whole.csv"]) == 0
    whole = Path("whole.csv").read_bytes()
    folder = fresh("d")
    for size in [*range(40), *range(40, len(whole), 97), len(whole) - 1, len(whole)]:
        (folder / "out.csv").write_text("of before")
        code = run(capsys, size, *arguments, "d/out.csv")
        assert code == (0 if size == len(whole) else 5)
        assert (folder / "out.csv").read_bytes() == (b"of before" if code else whole)
        assert [p.name for p in folder.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("verb", [("capture", "-o"), ("replay",)], ids=lambda v: str(v[0]))
def test_captures_end_after_a_whole_frame(
    sample: Path, verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    source = sample / "capture.pcap"
    frames = [f.data for f in read(source)]
    counts = set()
    for size in range(0, source.stat().st_size + 1, 11):
        fresh("d")
        code = run(capsys, size, verb[0], str(source), *verb[1:], "d/c.pcap", "-q")
        if size < 24:
            assert code == 5 and Path("d/c.pcap").stat().st_size == 0
            continue
        notes: list[str] = []
        kept = [f.data for f in read("d/c.pcap", notes)]
        assert kept == frames[: len(kept)] and notes == []
        assert code == (0 if len(kept) == len(frames) else 5)
        counts.add(len(kept))
    assert counts >= set(range(len(frames)))


def test_keys_are_those_of_before_or_the_new_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """No change of a tenant is half made, wherever the disk ends."""
    Tenant.create("t", "Commune").add_device("lamp-1", "lamp")
    before = {p.relative_to("t"): p.read_bytes() for p in Path("t").rglob("*.json")}
    codes = []
    for size in range(0, 3000, 60):
        shutil.rmtree("u", ignore_errors=True)
        shutil.copytree("t", "u")
        codes.append(run(capsys, size, "keys", "new", "-t", "u", "--device", "bin-2", "--kind", "bin", "-q"))
        owner = Tenant.open("u")
        names = [r.name for r in owner.registry.records()]
        assert names == (["lamp-1"] if codes[-1] else ["bin-2", "lamp-1"])
        for record in owner.registry.records():
            assert len(owner.secrets(record).seed) == 32
        there = {p.relative_to("u"): p.read_bytes() for p in Path("u").rglob("*.json")}
        registry = Path("registry.json")
        assert {p: there[p] for p in before if p != registry or codes[-1]} == {
            p: before[p] for p in before if p != registry or codes[-1]
        }
        # Nothing is left that holds half a secret.
        assert all(p.name.endswith((".json", ".lock")) for p in Path("u").rglob("*") if p.is_file())
    assert codes == sorted(codes, reverse=True) and set(codes) == {0, 5}


def test_a_tenant_that_could_not_be_made_whole_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    for size in range(0, 400, 10):
        shutil.rmtree("t", ignore_errors=True)
        codes.append(run(capsys, size, "keys", "new", "-t", "t", "--name", "Commune", "-q"))
        if codes[-1]:
            with pytest.raises(ToolError):
                Tenant.open("t").registry.records()
        else:
            assert Tenant.open("t").name == "Commune"
    assert codes == sorted(codes, reverse=True) and set(codes) == {0, 5}


FRAMES = 16


def record(number: int, frame: bytes) -> bytes:
    at = 2_404_800_000 + 1000 * number
    return cbor2.dumps([1, b"gateway1", 1, number, at, 1, 0, 869525000, 9, 125000, -80, 20, frame])


def send(intake: Intake, frames: list[bytes]) -> set[int]:
    """Hand every frame over once; the numbers of those that were answered."""
    answered = set()
    for number, frame in enumerate(frames, 1):
        try:
            intake.handle(record(number, frame))
            answered.add(number)
        except StoreError as e:
            assert "\n" not in str(e) and e.exit_code == 5
    return answered


@pytest.mark.parametrize("store", [False, True], ids=["capture alone", "with a store"])
def test_what_was_answered_is_there(store: bool) -> None:
    """Nothing is answered that the disk does not hold; the gateway's second try brings the rest."""
    device = Device("mac0", 2)
    frames = device.run(FRAMES)
    keys = synth.keyring(Path("k.json"), device)
    ring = Keyring.load(keys)
    wanted = [(seq, "signed") for seq in range(1, FRAMES + 2)]
    begun = []
    answered_at = []
    for size in range(4096, 1_200_000, 66_973) if store else range(0, 2000, 119):
        fresh("d")
        where = Path("d/s.db") if store else None
        answered: set[int] = set()
        with disk(size):
            try:
                intake = Intake([ring], "d/c.pcap", where)
            except StoreError:
                assert not Path("d/c.pcap").exists() or not Path("d/c.pcap").stat().st_size
                begun.append(False)
            else:
                answered = send(intake, frames)
                assert intake.refused == len(frames) - len(answered)
                intake.close()
                begun.append(True)
                answered_at.append(len(answered))
        if Path("d/c.pcap").exists() and Path("d/c.pcap").stat().st_size:
            assert answered <= {r.seq for r in decode.decode(["d/c.pcap"], [keys]).rows}
        if where is not None and begun[-1]:
            with Store(where) as kept:
                stored = kept.rows([ring])
                assert answered <= {r.seq for r in stored}
                assert [s[-1] for s in kept.states()] == [r.state for r in stored]
        with_all = Intake([ring], "d/c.pcap", where, append=True)
        assert send(with_all, frames) == set(range(1, FRAMES + 2))
        with_all.close()
        assert [(r.seq, r.state) for r in decode.decode(["d/c.pcap"], [keys]).rows] == wanted
        if where is not None:
            with Store(where, readonly=True) as kept:
                assert [(s[2], s[-1]) for s in kept.states()] == wanted
    assert begun == sorted(begun) and set(begun) == {False, True}
    assert answered_at == sorted(answered_at) and len(set(answered_at)) > 3
    assert max(answered_at) == FRAMES + 1
