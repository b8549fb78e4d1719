"""Tenants, registry, keyrings, board images: what is kept, what is refused, and that no secret leaks."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from host_tools.commander import Commander
from host_tools.errors import InputError, StoreError, ToolError, UsageError
from provisioning import files, image, record
from provisioning.keyring import Keyring, load_keyrings
from provisioning.record import RecordError
from provisioning.registry import Registry
from provisioning.tenant import Tenant

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    made = Tenant.create(tmp_path / "commune", "Commune", lab=True, seed=7, clear_link=True)
    made.add_device("lamp-1", "lamp", "sign1")
    made.add_device("bin-1", "bin", "mac0")
    made.add_device("leak-1", "leak")
    made.add_device("gw", "gateway")
    return made


def secrets_of(tenant: Tenant) -> list[bytes]:
    found = [bytes.fromhex(json.loads((tenant.folder / "root.json").read_text())["root"])]
    for r in tenant.records():
        s = tenant.secrets(r)
        found += [s.k_dev, s.seed, *r.keys.values()]
    return found


def test_every_file_is_private(tenant: Tenant, tmp_path: Path) -> None:
    tenant.export("reader", tmp_path / "reader.json")
    for path in [*tenant.folder.rglob("*"), tmp_path / "reader.json"]:
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.is_dir() or path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["root.json", "tenant.json", "registry.json"])
def test_looser_permissions_are_refused_on_read(tenant: Tenant, name: str) -> None:
    (tenant.folder / name).chmod(0o640)
    with pytest.raises(InputError, match="open to others") as e:
        Tenant.open(tenant.folder).records()
    assert e.value.hint.startswith("chmod 600")


def test_an_open_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loose").mkdir(mode=0o755)
    with pytest.raises(InputError, match="open to others"):
        Tenant.create(tmp_path / "loose")


def test_an_existing_tenant_is_not_overwritten(tenant: Tenant) -> None:
    before = {p: p.read_bytes() for p in tenant.folder.rglob("*") if p.is_file()}
    with pytest.raises(StoreError, match="exists already"):
        Tenant.create(tenant.folder, lab=True, seed=8)
    assert {p: p.read_bytes() for p in before} == before


def test_lab_and_production_ids(tmp_path: Path) -> None:
    assert not Tenant.create(tmp_path / "a").lab
    assert Tenant.create(tmp_path / "b", lab=True).lab
    with pytest.raises(UsageError, match="FF"):
        Tenant.create(tmp_path / "c", tenant=b"\xff" + bytes(7))
    with pytest.raises(UsageError, match="FF"):
        Tenant.create(tmp_path / "d", lab=True, tenant=bytes(8))
    with pytest.raises(UsageError, match="only a lab tenant"):
        Tenant.create(tmp_path / "e", seed=1)


def test_roots_are_independent_and_random(tmp_path: Path) -> None:
    roots = {(Tenant.create(tmp_path / str(n)).folder / "root.json").read_text() for n in range(3)}
    assert len(roots) == 3


def test_a_seeded_lab_tenant_repeats_itself(tmp_path: Path) -> None:
    def make(name: str, seed: int) -> list[bytes]:
        t = Tenant.create(tmp_path / name, lab=True, seed=seed)
        t.add_device("a", "bin")
        return secrets_of(t)

    assert make("x", 1) == make("y", 1)
    assert not set(make("z", 2)) & set(make("w", 1))


def test_unseeded_seeds_are_never_derived(tmp_path: Path) -> None:
    # Two devices with one identity under one root differ in nothing but their signing seeds.
    a = Tenant.create(tmp_path / "a", lab=True)
    first = a.secrets(a.add_device("a", "bin", device=b"\x02" + bytes(7)))
    (a.folder / "registry.json").unlink()
    for p in (a.folder / "devices").iterdir():
        p.unlink()
    Registry.create(a.folder / "registry.json", a.id)
    second = a.secrets(a.add_device("a", "bin", device=b"\x02" + bytes(7)))
    assert first.k_dev == second.k_dev
    assert first.seed != second.seed


def test_keys_follow_the_text_of_the_specification(tenant: Tenant) -> None:
    for r in tenant.records():
        s = tenant.secrets(r)
        for label, key in r.keys.items():
            info = cbor2.dumps(["lanterne/1", label, r.device, r.epoch])
            assert key == HKDF(SHA256(), len(key), r.tenant, info).derive(s.k_dev)
        public = Ed25519PrivateKey.from_private_bytes(s.seed).public_key()
        assert public.public_bytes(Encoding.Raw, PublicFormat.Raw) == r.public_key


def test_addresses_are_given_and_unique(tenant: Tenant) -> None:
    records = tenant.registry.records()
    assert sorted(r.link_address for r in records) == [1, 2, 3, 4]
    with pytest.raises(UsageError, match="address 2 is taken"):
        tenant.add_device("x", "bin", address=2)
    assert tenant.add_device("y", "bin", address=40).link_address == 40
    assert tenant.add_device("z", "bin").link_address == 41


def test_clear_profiles_need_the_tenants_word(tmp_path: Path) -> None:
    strict = Tenant.create(tmp_path / "s", lab=True)
    for profile in ("sign1", "mac0"):
        with pytest.raises(UsageError, match="readable by anyone"):
            strict.add_device("a", "bin", profile)
    assert strict.add_device("a", "bin").profile == "encrypt0"


def test_a_failed_registration_leaves_no_seed(tenant: Tenant) -> None:
    before = sorted((tenant.folder / "devices").iterdir())
    with pytest.raises(UsageError, match="taken"):
        tenant.add_device("bin-1", "bin")
    assert sorted((tenant.folder / "devices").iterdir()) == before


def test_rotation_supersedes_and_keeps_the_address(tenant: Tenant) -> None:
    old = tenant.registry.find("bin-1")
    new = tenant.rotate("bin-1")
    assert (new.epoch, new.link_address) == (2, old.link_address)
    assert new.public_key != old.public_key
    assert tenant.registry.find("bin-1", 1).status == "superseded"
    assert {r.epoch for r in tenant.keyring("commander", ["bin-1"]).records} == {2}
    assert {r.epoch for r in tenant.keyring("reader", ["bin-1"]).records} == {1, 2}


def test_roles_hold_the_fewest_keys(tenant: Tenant) -> None:
    labels = {
        role: {r.name: set(r.keys) for r in tenant.keyring(role).records}
        for role in ("reader", "commander", "gateway")
    }
    assert labels["reader"] == {
        "lamp-1": {"leaf"},
        "bin-1": {"mac-up", "leaf"},
        "leak-1": {"enc-up", "leaf"},
        "gw": {"enc-up", "leaf"},
    }
    assert labels["commander"]["bin-1"] == {"mac-down"}
    assert labels["commander"]["leak-1"] == {"enc-down"}
    assert set(map(tuple, labels["gateway"].values())) == {("link",)}


@pytest.mark.parametrize("label", ["mac-down", "enc-down", "recover", "kcv", "link", "root", "k_dev", "seed"])
def test_a_reader_keyring_refuses_other_keys_by_name(tenant: Tenant, label: str, tmp_path: Path) -> None:
    good = tenant.keyring("reader", ["bin-1"]).records[0]
    with pytest.raises(UsageError, match=label):
        Keyring("reader", tenant.id, [good.with_keys({**good.keys, label: bytes(32)})])
    # Nor is such a file read.
    path = tmp_path / "k.json"
    tenant.export("reader", path, ["bin-1"])
    found = json.loads(path.read_text())
    found["devices"][0]["keys"][label] = bytes(record.KEY_LENGTHS.get(label, 32)).hex()
    files.write_private(path, files.dump_json(found))
    with pytest.raises(InputError):
        Keyring.load(path)


def test_a_keyring_of_another_role_is_refused(tenant: Tenant, tmp_path: Path) -> None:
    tenant.export("gateway", tmp_path / "g.json")
    with pytest.raises(InputError, match="gateway keyring; a reader keyring is needed"):
        load_keyrings([tmp_path / "g.json"])


def test_records_survive_a_file(tenant: Tenant, tmp_path: Path) -> None:
    written = tenant.export("reader", tmp_path / "k.json")
    assert Keyring.load(tmp_path / "k.json").to_json() == written.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"header": "explicit"},
        {"profile": "mac1"},
        {"epoch": 0},
        {"epoch": True},
        {"device": "00"},
        {"public_key": bytes(32).hex()},
        {"public_key": (2**255 - 18).to_bytes(32, "little").hex()},
        {"purposes": {"0": {"structure": "mac0", "alg": 5, "key": "mac-up"}}},
        {"purposes": {"0": {"structure": "sign1", "alg": -7, "key": "sign"}}},
        {"purposes": {"11": {"structure": "mac0", "alg": 4, "key": "mac-up"}}},
        {"link": {"tag": "77", "address": 0}},
        {"status": "fine"},
        {"keys": {"mac-up": "00"}},
    ],
)
def test_a_broken_record_is_refused(tenant: Tenant, change: dict[str, object]) -> None:
    good = tenant.keyring("reader", ["bin-1"]).records[0].to_json()
    record.from_json(good)
    with pytest.raises(RecordError):
        record.from_json({**good, **change})


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 100000, '{"format":"lanterne-keyring/1","format":"x"}']
)
def test_a_foreign_keyring_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k.json"
    files.write_private(path, text.encode())
    with pytest.raises(InputError) as e:
        Keyring.load(path)
    assert "\n" not in str(e.value)
    assert str(path) in str(e.value)


def test_duplicate_and_weak_public_keys_are_refused(tenant: Tenant) -> None:
    old = tenant.registry.find("bin-1")
    with pytest.raises(UsageError, match="public key"):
        tenant.registry.add(record.from_json({**old.to_json(), "name": "copy", "device": "00" * 8}))
    assert record.is_weak_public_key(bytes(32))
    assert not record.is_weak_public_key(old.public_key)


def test_registry_status_and_assets(tenant: Tenant) -> None:
    revoked = tenant.registry.revoke("bin-1", compromised_from="2026-11-01T00:00:00+01:00")
    assert (revoked.status, revoked.compromised_from) == ("revoked", "2026-10-31T23:00:00Z")
    assert revoked.known_at
    tenant.registry.assign("lamp-1", "L-017", "2026-01-01T00:00:00Z")
    tenant.add_device("lamp-2", "lamp", "sign1")
    tenant.registry.assign("lamp-2", "L-017", "2026-06-01T00:00:00Z")
    assert tenant.registry.show("lamp-1")["assets"][0]["until"] == "2026-06-01T00:00:00Z"
    assert tenant.registry.show("lamp-2")["assets"][0]["until"] is None
    with pytest.raises(UsageError, match="time zone"):
        tenant.registry.assign("lamp-1", "L-018", "2026-01-01T00:00:00")
    with pytest.raises(InputError, match="no device"):
        tenant.registry.show("nobody")


def test_a_registry_with_secrets_is_refused(tenant: Tenant) -> None:
    path = tenant.registry.path
    found = json.loads(path.read_text())
    found["devices"][0]["keys"] = {"mac-up": bytes(32).hex()}
    files.write_private(path, files.dump_json(found))
    with pytest.raises(InputError, match="secret"):
        tenant.registry.records()


def _operator(folder: str, who: int) -> None:
    tenant = Tenant.open(folder)
    for n in range(8):
        tenant.add_device(f"bin-{who}-{n}", "bin")


def test_two_operators_at_once_lose_nothing(tmp_path: Path) -> None:
    tenant = Tenant.create(tmp_path / "t", lab=True)
    workers = [get_context("spawn").Process(target=_operator, args=(str(tenant.folder), n)) for n in range(2)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(60)
        assert w.exitcode == 0
    records = tenant.registry.records()
    assert len(records) == 16
    assert sorted(r.link_address for r in records) == list(range(1, 17))
    assert tenant.registry.generation == 16


def test_a_lock_that_is_held_is_told(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    with files.locked(target), pytest.raises(StoreError, match="in use"), files.locked(target, 0.1):
        pass


def test_a_cut_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    files.write_private(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="the disk is full"):
        files.write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".x.json.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="symbolic link"), files.locked(tmp_path / "x.json"):
        pass


def test_the_image_is_the_documented_map(tenant: Tenant) -> None:
    made = image.build(
        tenant,
        "leak-1",
        image.Options(board="heltec", interval_s=600, extra={1: 12}, radio=image.Radio(868100, 10, 13)),
    )
    r = tenant.registry.find("leak-1")
    s = tenant.secrets(r)
    expected = {1: tenant.id, 2: r.device, 3: 1, 4: 3, 5: 4, 6: tenant.tag, 7: 3, 8: [1], 9: "heltec"}
    expected |= {10: 0, 11: {1: 12}, 12: {1: 868100, 2: 10, 3: 13}, 13: 600, 14: 0}
    assert cbor2.loads(made.cfg) == expected
    assert cbor2.loads(made.key) == {1: s.k_dev, 2: s.seed, 3: s.public_key}


def test_a_gateways_image_holds_link_keys_only(tenant: Tenant) -> None:
    routes = tenant.keyring("gateway", ["lamp-1", "bin-1", "leak-1"])
    made = image.build(tenant, "gw", image.Options(sink="tcp:127.0.0.1:1", routes=[routes]))
    cfg = cbor2.loads(made.cfg)
    assert cfg[10] == 1
    assert cfg[15] == [[tenant.tag, r.link_address, r.keys["link"]] for r in routes.records]
    others = [k for r in tenant.records() for label, k in r.keys.items() if label != "link"]
    assert not [k for k in others if k in made.cfg]
    with pytest.raises(UsageError, match="link keys"):
        image.build(tenant, "gw", image.Options(routes=[tenant.keyring("reader")]))
    with pytest.raises(UsageError, match="belong to a gateway"):
        image.build(tenant, "bin-1", image.Options(sink="tcp:x:1"))


@pytest.mark.parametrize(
    "options",
    [
        image.Options(interval_s=0),
        image.Options(radio=image.Radio(sf=6)),
        image.Options(radio=image.Radio(freq_khz=433000)),
        image.Options(radio=image.Radio(power_dbm=30)),
        image.Options(commanders=(1, 2, 3, 4, 5)),
        image.Options(extra={1: 2**31}),
    ],
)
def test_image_options_have_ranges(tenant: Tenant, options: image.Options) -> None:
    with pytest.raises(UsageError):
        image.build(tenant, "bin-1", options)


def test_a_revoked_device_gets_no_image(tenant: Tenant) -> None:
    tenant.registry.revoke("bin-1")
    with pytest.raises(UsageError, match="revoked"):
        image.build(tenant, "bin-1")


def test_no_secret_in_repr_or_message(tenant: Tenant, tmp_path: Path) -> None:
    ring = tenant.keyring("reader")
    shown = [repr(x) for x in (tenant, ring, *tenant.records(), image.build(tenant, "bin-1"))]
    shown += [repr(tenant.secrets(r)) for r in tenant.records()]
    for broken in ('{"format": "lanterne-root/1", "root": "%s0"}', '{"root": "%s'):
        secret = json.loads((tenant.folder / "root.json").read_text())["root"]
        path = tmp_path / "copy" / "root.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        files.write_private(path, (broken % secret).encode())
        files.write_private(path.with_name("tenant.json"), (tenant.folder / "tenant.json").read_bytes())
        try:
            Tenant.open(path.parent)
        except ToolError:
            shown.append(traceback.format_exc())
    assert len(shown) > 12
    text = "\n".join(shown)
    for secret_bytes in secrets_of(tenant):
        assert secret_bytes.hex() not in text
        assert repr(secret_bytes)[2:-1] not in text


def test_no_secret_in_argv(tenant: Tenant, tmp_path: Path) -> None:
    # The library takes folders and names; a program that exports needs nothing secret on its command line.
    code = (
        "import sys; from provisioning.tenant import Tenant as T; T.open(sys.argv[1]).export(*sys.argv[2:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tenant.folder), "reader", str(tmp_path / "r.json")],
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0
    assert Keyring.load(tmp_path / "r.json").role == "reader"


ODD: tuple[Any, ...] = (None, [], {}, [[]], "x", "\u00b2", "", -1, 1.5, True, 10**30, {"tag": []})


def variants(found: Any) -> Iterator[Any]:
    """A JSON value with each of its parts replaced by each odd value, or left out."""
    yield from ODD
    if isinstance(found, dict):
        for name, value in found.items():
            yield {k: v for k, v in found.items() if k != name}
            for odd in variants(value):
                yield {**found, name: odd}
    elif isinstance(found, list):
        for n, value in enumerate(found):
            for odd in variants(value):
                yield [*found[:n], odd, *found[n + 1 :]]


def test_a_damaged_file_is_refused_or_read_but_never_a_traceback(tenant: Tenant, tmp_path: Path) -> None:
    tenant.export("commander", tmp_path / "c.json", ["bin-1"])
    tenant.export("reader", tmp_path / "r.json", ["bin-1"])
    commander = Commander(Keyring.load(tmp_path / "c.json"), tmp_path / "state.json")
    commander.build("bin-1", "resume", ref=1)
    tenant.registry.assign("bin-1", "B-1", "2026-01-01T00:00:00Z")

    def registry() -> None:
        tenant.registry.to_json()
        tenant.registry.show("bin-1")
        tenant.registry.assign("bin-1", "B-2", "2026-02-01T00:00:00Z")

    def state() -> None:
        Commander(Keyring.load(tmp_path / "c.json"), tmp_path / "state.json").build("bin-1", "resume", ref=1)

    readers: list[tuple[Path, Callable[[], object]]] = [
        (tmp_path / "r.json", lambda: Keyring.load(tmp_path / "r.json")),
        (tenant.folder / "tenant.json", lambda: Tenant.open(tenant.folder).id),
        (tenant.folder / "root.json", lambda: Tenant.open(tenant.folder)),
        (tenant.registry.path, registry),
        (tmp_path / "state.json", state),
    ]
    for path, reader in readers:
        whole = path.read_bytes()
        refused = 0
        for odd in variants(json.loads(whole)):
            path.write_bytes(json.dumps(odd).encode())
            try:
                reader()
            except ToolError as e:
                refused += 1
                assert "\n" not in str(e), odd
        assert refused > 20, path
        path.write_bytes(whole)
        reader()


def test_a_device_that_signs_each_frame_is_refused_in_a_slow_cell(tmp_path: Path) -> None:
    tenant = Tenant.create(tmp_path / "t", lab=True, seed=1, clear_link=True)
    tenant.add_device("lamp-1", "lamp", "sign1")
    tenant.add_device("bin-1", "bin", "mac0")
    slow = image.Options(board="x", radio=image.Radio(sf=10))
    with pytest.raises(UsageError, match="does not fit SF10"):
        image.build(tenant, "lamp-1", slow)
    assert image.build(tenant, "bin-1", slow).cfg
    assert image.build(tenant, "lamp-1", image.Options(board="x", radio=image.Radio(sf=9))).cfg
