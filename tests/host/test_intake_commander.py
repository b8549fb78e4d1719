"""Commands: their numbers are never used twice, and what a device would refuse is refused here."""

from __future__ import annotations

import json
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import cbor2
import pytest

from firmware.protocols.opener import Opener
from host_tools.commander import Commander
from host_tools.errors import InputError, StoreError, UsageError
from provisioning.keyring import Keyring
from provisioning.tenant import Tenant


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    made = Tenant.create(tmp_path / "tenant", lab=True, seed=5, clear_link=True)
    for n, profile in enumerate(("sign1", "mac0", "encrypt0")):
        made.add_device(f"d{n}", "bin", profile)
    made.export("commander", tmp_path / "c.json")
    return made


def commander(tenant: Tenant, commander_id: int = 1) -> Commander:
    folder = tenant.folder.parent
    return Commander(Keyring.load(folder / "c.json"), folder / f"state-{commander_id}.json", commander_id)


@pytest.mark.parametrize("name", ["d0", "d1", "d2"])
def test_the_device_opens_what_is_sealed(tenant: Tenant, name: str) -> None:
    record = tenant.with_keys(tenant.registry.find(name)).for_protocols()
    made = commander(tenant, 3).build(name, "light", [40, 600, 10], ref=17, ttl_s=60)
    assert made.cseq == 3 << 28 | 1
    assert (made.port, made.tag, made.address) == (12, tenant.tag, record["link"]["address"])
    assert cbor2.loads(Opener(record).open(2, 1, made.cseq, made.frame)) == [17, 60, 2, 40, 600, 10]
    # As an uplink, or under another number, it is nothing.
    for purpose, direction, seq in ((2, 0, made.cseq), (3, 1, made.cseq), (2, 1, made.cseq + 1)):
        with pytest.raises(Exception, match=r"bad_tag|wrong|no_key"):
            Opener(record).open(purpose, direction, seq, made.frame)


@pytest.mark.parametrize(
    "args", [[40, 600, 10], [40, 600, 10, 300], [40, 600, 10, 0, 60], [40, 600, 0, 85800, 3600]]
)
def test_start_and_ramp_back_of_light_may_be_left_out(tenant: Tenant, args: list[int]) -> None:
    record = tenant.with_keys(tenant.registry.find("d1")).for_protocols()
    made = commander(tenant).build("d1", "light", args, ref=17, ttl_s=60)
    payload = Opener(record).open(2, 1, made.cseq, made.frame)
    assert payload == cbor2.dumps([17, 60, 2, *args], canonical=True)


def test_numbers_rise_per_device_and_survive(tenant: Tenant) -> None:
    one = commander(tenant)
    assert [one.build("d1", "resume", ref=1).cseq & 0xFFFF for _ in range(3)] == [1, 2, 3]
    assert one.build("d2", "resume", ref=1).cseq & 0xFFFF == 1
    assert commander(tenant).build("d1", "resume", ref=1).cseq & 0xFFFF == 4


def _issue(folder: str, start: Barrier) -> None:
    ring = Keyring.load(Path(folder) / "c.json")
    start.wait(60)
    for _ in range(30):
        Commander(ring, Path(folder) / "state-1.json").build("d1", "resume", ref=1)


def test_two_programs_never_share_a_number(tenant: Tenant) -> None:
    folder = str(tenant.folder.parent)
    context = get_context("spawn")
    start = context.Barrier(2)
    workers = [context.Process(target=_issue, args=(folder, start)) for _ in range(2)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(60)
        assert w.exitcode == 0
    kept = json.loads((tenant.folder.parent / "state-1.json").read_text())
    numbers = [row["cseq"] for row in kept["issued"]]
    assert sorted(numbers) == [1 << 28 | n for n in range(1, 61)]


def test_a_sealed_command_is_sent_again_as_it_was(tenant: Tenant) -> None:
    made = commander(tenant).build("d2", "identify", [30], ref=5)
    assert commander(tenant).again(made.cseq) == made
    with pytest.raises(UsageError, match="not kept"):
        commander(tenant).again(12345)


def test_a_restored_backup_steps_over_what_was_used(tenant: Tenant) -> None:
    state = tenant.folder.parent / "state-1.json"
    one = commander(tenant)
    one.build("d1", "resume", ref=1)
    backup = state.read_bytes()
    used = {one.build(d, "resume", ref=1).cseq for d in ("d1", "d2") for _ in range(5)}
    state.write_bytes(backup)
    restored = commander(tenant)
    restored.after_restore()
    assert restored.build("d1", "resume", ref=1).cseq & 0xFFFFFFF == 1 + 4096 + 1
    assert restored.build("d2", "resume", ref=1).cseq & 0xFFFFFFF == 4096 + 1
    assert not used & {restored.build(d, "resume", ref=1).cseq for d in ("d1", "d2")}


def test_a_devices_word_on_the_last_number_is_heeded(tenant: Tenant) -> None:
    one = commander(tenant)
    device = tenant.registry.find("d1").device
    one.heard(device, 1, 1 << 28 | 7, 5, 1 << 28 | 900)
    assert one.result(1 << 28 | 7) == "stale"
    assert one.build("d1", "resume", ref=1).cseq == 1 << 28 | 901
    # Another commander's numbers are no business of this one.
    one.heard(device, 1, 2 << 28 | 7, 0, 2 << 28 | 5000)
    assert one.result(2 << 28 | 7) is None
    assert one.build("d1", "resume", ref=1).cseq == 1 << 28 | 902


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("explode", []),
        ("light", [40]),
        ("light", [101, 60, 0]),
        ("light", [40, 60, 1.5]),
        ("light", [True, 60, 0]),
        ("light", [40, 60, 0, 86401]),
        ("light", [40, 60, 0, 86341]),
        ("light", [40, 60, 0, 0, 3601]),
        ("light", [40, 60, 0, 0, None]),
        ("light", [40, 60, 0, 0, 0, 0]),
        ("shed", [40, 60, 0, 0]),
        ("raise", [100, 901]),
        ("resume", [1]),
        ("want", [17]),
        ("want", [17, list(range(1, 10))]),
        ("want", [17, [0]]),
        ("time", [2**32, 0]),
    ],
)
def test_arguments_have_ranges(tenant: Tenant, op: str, args: list[object]) -> None:
    one = commander(tenant)
    with pytest.raises(UsageError):
        one.build("d1", op, args, ref=1)
    # A refused command uses no number.
    assert one.build("d1", "resume", ref=1).cseq & 0xFFFF == 1


def test_validity_has_a_range(tenant: Tenant) -> None:
    for ttl in (0, 3601):
        with pytest.raises(UsageError, match="valid for"):
            commander(tenant).build("d1", "resume", ref=1, ttl_s=ttl)
    absolute = commander(tenant).build("d1", "resume", ref=0, ttl_s=1_480_000_000)
    record = tenant.with_keys(tenant.registry.find("d1")).for_protocols()
    assert cbor2.loads(Opener(record).open(2, 1, absolute.cseq, absolute.frame))[:2] == [0, 1_480_000_000]


def test_a_readers_keyring_commands_nothing(tenant: Tenant, tmp_path: Path) -> None:
    tenant.export("reader", tmp_path / "r.json")
    with pytest.raises(InputError, match="commander keyring"):
        Commander(Keyring.load(tmp_path / "r.json"), tmp_path / "s.json")
    with pytest.raises(UsageError, match="commands no device"):
        commander(tenant).build("nobody", "resume", ref=1)


def test_the_state_is_private_and_bound(tenant: Tenant, tmp_path: Path) -> None:
    one = commander(tenant)
    state = tmp_path / "state-1.json"
    assert state.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InputError, match="another tenant or commander"):
        Commander(Keyring.load(tmp_path / "c.json"), state, commander_id=2)
    state.chmod(0o644)
    with pytest.raises(InputError, match="open to others"):
        one.build("d1", "resume", ref=1)


def test_no_number_without_a_disk(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    one = commander(tenant)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        one.build("d1", "resume", ref=1)
