"""When a downlink may come: a lamp and a cabinet always listen, whoever sleeps has one window after its uplink."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_tools.commander import Commander
from host_tools.intake import Intake
from provisioning.tenant import Tenant
from tests.host.synth import Device
from tests.host.test_intake import answer, record


@pytest.mark.parametrize(("kind", "window"), [("lamp", 0), ("cabinet", 0), ("bin", 1), ("leak", 1)])
def test_who_always_listens_may_hear_later(tmp_path: Path, kind: str, window: int) -> None:
    tenant = Tenant.create(tmp_path / "tenant", lab=True, seed=3, clear_link=True)
    held = tenant.with_keys(tenant.add_device("d1", kind, "mac0"))
    secrets = tenant.secrets(held)
    device = Device(
        "mac0",
        1,
        tenant=tenant.id,
        tag=tenant.tag,
        device=held.device,
        secret=secrets.k_dev,
        seed=secrets.seed,
    )
    commander = Commander(tenant.export("commander", tmp_path / "c.json"), tmp_path / "state.json")
    intake = Intake(
        [tenant.export("reader", tmp_path / "keys.json")], tmp_path / "c.pcap", tmp_path / "s.db", commander
    )
    (downlink,) = answer(intake.handle(record(1, device.hello())))[1]
    assert (downlink[1], downlink[4]) == (device.address, window)
