"""The cabinet on the host: rows in words, an independent reader, keys and image, the scenario's furniture."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import cbor2
import pytest

from firmware.kinds import cabinet as kind
from firmware.protocols.schema import cabinet as table
from host_tools import decode, sim
from host_tools.errors import UsageError
from provisioning import image
from provisioning.tenant import Tenant
from tests.host import synth
from tests.host.synth import Device, det
from tests.host.test_decode import printed, verifier

EVENING = {
    0: 28000128,
    3: 0b1_0000_0001_1001,
    4: 1,
    5: 0,
    6: 3,
    7: 0,
    8: 4321,
    9: 1500,
    12: 12345678,
    13: 41203,
}
EVENING |= {14: 1461, 15: 2301, 16: 2296, 17: 2310, 18: 1}


def test_a_reading_in_words(tmp_path: Path) -> None:
    box = Device("mac0", 1, name="box", kind="cabinet")
    frames = [box.hello(), box.send(det([6, EVENING])), box.send(det([6, {1: 600}]))]
    keys = synth.keyring(tmp_path / "keys.json", box)
    capture = synth.capture(tmp_path / "air.pcap", frames)
    row, empty = sorted(
        (r for r in decode.decode([capture], [keys]).rows if r.type == "cabinet"), key=lambda r: r.seq or 0
    )
    assert row.values == {
        "alarms": ["door_open", "contactor_welded", "contactor_open", "program_invalid"],
        "contactor": "on",
        "target": "off",
        "reason": "program",
        "local": "none",
        "power_w": 4321,
        "power_l1_w": 1500,
        "energy_wh": 12345678,
        "burn_time_h": Decimal("4120.3"),
        "switches": 1461,
        "voltage_l1_v": Decimal("230.1"),
        "voltage_l2_v": Decimal("229.6"),
        "voltage_l3_v": Decimal("231.0"),
        "photocell": "dark",
    }
    assert (row.kind, row.clock) == ("cabinet", "confirmed")
    assert (empty.values, empty.clock) == ({}, "unconfirmed")
    for form in ("verify", "json", "csv"):
        assert "4321" in printed([row], form)


def test_an_independent_reader_prints_the_same(tmp_path: Path) -> None:
    box = Device("sign1", 1, name="box", kind="cabinet")
    frames = [box.send(det([6, {k: v for k, v in EVENING.items() if k != n}])) for n in EVENING]
    keys = synth.keyring(tmp_path / "keys.json", box)
    capture = synth.capture(tmp_path / "air.pcap", frames)
    ours = printed(decode.decode([capture], [keys]).rows, "verify")
    assert ours == verifier(capture, keys)
    assert ours.count("voltage_l2=229.6") == len(EVENING) - 1


def test_alarm_names_of_the_table_are_those_of_the_guide() -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs/guides/cabinet.md").read_text(encoding="utf-8")
    for _, name, *_ in table.ALARMS:
        assert f"`{name}`" in guide, name


def test_settings_have_the_numbers_that_the_board_reads() -> None:
    names = sim.SETTINGS["cabinet"]
    assert len(set(names.values())) == len(names)
    assert kind.__doc__
    for word, number in (("door", 12), ("breaker", 13), ("leakage", 14), ("feedback", 15), ("switch_on", 16)):
        assert names[f"{word}_input"] == number
    assert {names["default_on"], names["high_v"], names["meter_s"], names["phases"]} == {1, 9, 18, 19}


def test_keys_and_image_of_a_cabinet(tmp_path: Path) -> None:
    tenant = Tenant.create(tmp_path / "tenant", "lab", lab=True, seed=1, clear_link=True)
    tenant.add_device("box", "cabinet", "mac0")
    made = image.build(tenant, "box", image.Options(parts={"photocell": "photocell", "energy": "none"}))
    found = cbor2.loads(made.cfg)
    assert found[5] == 6
    assert found[17] == ["energy", "none", "photocell", "photocell"]
    for parts in ({"contactor": "dimmer"}, {"light": "dimmer"}):
        with pytest.raises(UsageError):
            image.build(tenant, "box", image.Options(parts=parts))
