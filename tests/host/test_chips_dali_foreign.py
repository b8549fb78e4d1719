"""The DALI model, frames and memory values against python-dali, which we did not write. Skipped by name where it
is not installed."""

import importlib
import itertools
import random
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import pytest

from firmware.drivers import dali_commission, dali_memory, dali_setup
from firmware.drivers.dali_gear import Gear
from firmware.protocols import dali as ours
from firmware.protocols.dali_banks import decode
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.dali_bus import DaliBus, frame_of, manchester
from hw.virtual.chips.dali_gear import DaliGear
from hw.virtual.chips.dali_memory import Bank
from tests.host.dali_bench import Line


def load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        pytest.skip("python-dali is not installed", allow_module_level=True)


address, command, frame, sequences = (load(f"dali.{n}") for n in ("address", "command", "frame", "sequences"))
general, led = load("dali.gear.general"), load("dali.gear.led")
diagnostics, energy, info, location, maintenance, oem = (
    load(f"dali.memory.{n}") for n in ("diagnostics", "energy", "info", "location", "maintenance", "oem")
)

BANKS = {
    1: oem.BANK_1,
    202: energy.BANK_202,
    203: energy.BANK_203,
    204: energy.BANK_204,
    205: diagnostics.BANK_205,
    206: diagnostics.BANK_206,
    207: maintenance.BANK_207,
}
FIXTURES = {
    202: bytes.fromhex("0f00ff01 0300000000000a 00000003e8"),
    203: bytes.fromhex("0f00ff01 ff0000000003e8 fe000003e8"),
    204: bytes.fromhex("0f00ff01 fa0000000186a0 01000003e8"),
    205: bytes.fromhex("1c00ff01 00000e10 00000a 08fc 32 5a 01 01 010a 000b 0002 0006 0002 5a 55"),
    206: bytes.fromhex("2000ff01 00012c 0001f4 000003e8 00000bb8 0258 02bc 000c 000f 0017 012d 0043 a0"),
    207: bytes.fromhex("0700ff01 325a1388"),
}


class Interface:
    """What python-dali calls a driver: its commands and sequences on the model's wires."""

    def __init__(self, *gears: DaliGear, seed: int = 1) -> None:
        self.chip = DaliBus(gears)
        self.port = ManualPort(seed)
        self.chip.attach(self.port)
        self.port.advance(1_000_000)

    def _forward(self, value: int) -> Any:
        self.port.advance(16_000)
        for t, low in manchester(value, 16, 1e6 / 2400, self.port.now_us):
            self.port.run_until(t)
            self.chip.pin_changed("tx", int(low))
        n = len(self.port.pin_log)
        self.port.advance(25_000)
        edges = [t for t, _, _ in self.port.pin_log[n:]]
        if not edges:
            return None
        got = frame_of([b - a for a, b in itertools.pairwise(edges)])
        return frame.BackwardFrame(got[0]) if got and got[1] == 8 else frame.BackwardFrameError(255)

    def send(self, cmd: Any) -> Any:
        if cmd.devicetype:
            self._forward(general.EnableDeviceType(cmd.devicetype).frame.as_integer)
        answer = self._forward(cmd.frame.as_integer)
        if cmd.sendtwice:
            assert answer is None
            answer = self._forward(cmd.frame.as_integer)
        return cmd.response(answer) if cmd.response else answer

    def run(self, sequence: Generator[Any, Any, Any]) -> Any:
        try:
            cmd = next(sequence)
            while True:
                answer = None
                if isinstance(cmd, command.Command):
                    answer = self.send(cmd)
                elif isinstance(cmd, sequences.sleep):
                    self.port.advance(int(cmd.delay * 1e6))
                cmd = sequence.send(answer)
        except StopIteration as e:
            assert self.chip.violations == [], self.chip.violations
            return e.value


def frames(*commands: Any) -> list[int]:
    """The bare frames that the commands of theirs are, those of a pair twice."""
    out = []
    for cmd in commands:
        if cmd.devicetype:
            out.append(general.EnableDeviceType(cmd.devicetype).frame.as_integer)
        out += [cmd.frame.as_integer] * (2 if cmd.sendtwice else 1)
    return out


# Frames


def targets() -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = [(a, address.GearShort(a)) for a in range(64)]
    found += [(64 + g, address.GearGroup(g)) for g in range(16)]
    return [*found, (126, address.GearBroadcastUnaddressed()), (127, address.GearBroadcast())]


def test_every_command_to_every_target() -> None:
    n = 0
    for target, theirs in targets():
        for level in range(256):
            assert target << 9 | level == general.DAPC(theirs, level).frame.as_integer
        for (kind, op), cls in general._StandardCommand._opcodes.items():
            if kind in (0, 6):
                cmd = cls(theirs, op & 15) if cls._hasparam else cls(theirs)
                assert ours.command(target, op) == cmd.frame.as_integer
                n += 1
    assert n > 82 * 100


def test_what_the_driver_sends_is_what_they_would_send() -> None:
    gear = DaliGear(5)
    line = Line(gear)
    lamp = Gear(line.bus, 5)
    a = address.GearShort(5)

    def sent(call: Any) -> list[int]:
        n = len(line.frames)
        call()
        return line.frames[n:]

    query = general.QuerySystemFailureLevel
    for call, theirs in (
        (lambda: lamp.set(500), [general.DAPC(a, 229)]),
        (lambda: lamp.set(0), [general.DAPC(a, 0)]),
        (lamp.light, [general.QueryActualLevel(a)]),
        (lamp.status, [general.QueryStatus(a)]),
        (lamp.lamp_failed, [general.QueryLampFailure(a)]),
        (
            lambda: dali_setup.store(lamp, dali_setup.FAILURE, 200),
            [general.DTR0(200), general.SetSystemFailureLevel(a), query(a)],
        ),
        (
            lambda: dali_setup.store(lamp, dali_setup.POWER_ON, 255),
            [general.DTR0(255), general.SetPowerOnLevel(a), general.QueryPowerOnLevel(a)],
        ),
        (
            lambda: dali_setup.store(lamp, dali_setup.MIN, 20),
            [general.DTR0(20), general.SetMinLevel(a), general.QueryMinLevel(a)],
        ),
        (
            lambda: dali_setup.store(lamp, dali_setup.MAX, 240),
            [general.DTR0(240), general.SetMaxLevel(a), general.QueryMaxLevel(a)],
        ),
        (
            lambda: dali_setup.fade(lamp, 4),
            [general.DTR0(4), general.SetFadeTime(a), general.QueryFadeTimeFadeRate(a)],
        ),
        (
            lambda: dali_setup.set_curve(lamp, True),
            [general.DTR0(1), led.SelectDimmingCurve(a), led.QueryDimmingCurve(a)],
        ),
        (
            lambda: dali_setup.member(lamp, 3),
            [
                general.AddToGroup(a, 3),
                general.QueryGroupsZeroToSeven(a),
                general.QueryGroupsEightToFifteen(a),
            ],
        ),
        (
            lambda: dali_setup.member(lamp, 3, False),
            [
                general.RemoveFromGroup(a, 3),
                general.QueryGroupsZeroToSeven(a),
                general.QueryGroupsEightToFifteen(a),
            ],
        ),
    ):
        assert sent(call) == frames(*theirs)


def test_every_frame_of_commissioning_and_memory_is_known_to_them() -> None:
    """Decoded by them, each frame is a command of that name."""
    line = Line(*(DaliGear() for _ in range(3)), DaliGear(9))
    dali_commission.address_all(line.bus, clock=line.clock)
    for bank in (1, 202, 205, 206, 207):
        dali_memory.values(Gear(line.bus, 9), bank)
    names = set()
    for value in line.frames:
        cmd = command.from_frame(frame.ForwardFrame(16, value))
        assert cmd.frame.as_integer == value
        names.add(type(cmd).__name__)
    assert names == {
        *("QueryControlGearPresent", "Terminate", "Initialise", "Randomise", "Compare", "SearchaddrH"),
        *("SearchaddrM", "SearchaddrL", "ProgramShortAddress", "QueryShortAddress", "VerifyShortAddress"),
        *("Withdraw", "DTR0", "DTR1", "ReadMemoryLocation", "EnableWriteMemory", "WriteMemoryLocation"),
        *("WriteMemoryLocationNoReply", "QueryContentDTR0"),
    }


# The model under their commands


def test_levels_and_settings() -> None:
    gear = DaliGear(5)
    bus = Interface(gear)
    a = address.GearShort(5)
    bus.send(general.DAPC(a, 170))
    assert gear.light == pytest.approx(10.09, abs=0.01)
    assert bus.send(general.QueryActualLevel(a)).value == 170
    for dtr, write, query, value in (
        (200, general.SetMaxLevel, general.QueryMaxLevel, 200),
        (10, general.SetMinLevel, general.QueryMinLevel, 10),
        (100, general.SetPowerOnLevel, general.QueryPowerOnLevel, 100),
        (255, general.SetSystemFailureLevel, general.QuerySystemFailureLevel, "MASK"),
    ):
        bus.send(general.DTR0(dtr))
        bus.send(write(a))
        assert bus.send(query(a)).value == value
    bus.send(general.RecallMaxLevel(a))
    assert gear.level == 200
    bus.send(general.RecallMinLevel(a))
    assert gear.level == 10
    bus.send(general.DTR0(77))
    bus.send(general.SetScene(a, 6))
    bus.send(general.GoToScene(a, 6))
    assert gear.level == 77 and bus.send(general.QuerySceneLevel(a, 6)).value == 77
    bus.send(general.RemoveFromScene(a, 6))
    assert bus.send(general.QuerySceneLevel(a, 6)).value == "MASK"
    bus.send(general.StoreActualLevelInDTR0(a))
    assert bus.send(general.QueryContentDTR0(a)).value == 77
    bus.send(general.DTR0(4))
    bus.send(general.SetFadeTime(a))
    response = bus.send(general.QueryFadeTimeFadeRate(a))
    assert (response.fade_time, response.fade_rate) == (4, 7)
    bus.send(general.DAPC(a, 200))
    status = bus.send(general.QueryStatus(a))
    # Named for its 0 in the old edition: 1 is fading.
    assert status.fade_ready and status.arc_power_on and not status.reset_state
    bus.port.advance(2_100_000)
    assert not bus.send(general.QueryStatus(a)).fade_ready and gear.level == 200
    bus.send(general.Off(a))
    assert bus.send(general.QueryLampPowerOn(a)).value is False
    gear.lamp = "open"
    assert bus.send(general.QueryLampFailure(a)).value is True
    assert bus.send(led.QueryFailureStatus(a)).open_circuit is True
    bus.send(general.Reset(a))
    assert bus.send(general.QueryResetState(a)).value is True and gear.level == 254
    assert bus.chip.violations == []


def test_their_sequences_for_types_and_groups() -> None:
    gear = DaliGear(5, types=(6, 50, 51, 52))
    bus = Interface(gear, DaliGear(6))
    a = address.GearShort(5)
    assert bus.run(sequences.QueryDeviceTypes(a)) == [6, 50, 51, 52]
    assert bus.run(sequences.QueryDeviceTypes(address.GearShort(6))) == [6]
    bus.run(sequences.SetGroups(a, {1, 9, 15}))
    assert gear.groups == {1, 9, 15} == bus.run(sequences.QueryGroups(a))
    bus.run(sequences.SetGroups(a, {9, 10}))
    assert gear.groups == {9, 10}


def test_dimming_curve() -> None:
    gear = DaliGear(5)
    bus = Interface(gear)
    a = address.GearShort(5)
    assert bus.send(led.QueryDimmingCurve(a)).raw_value.as_integer == 0
    bus.send(general.DTR0(1))
    bus.send(led.SelectDimmingCurve(a))
    assert bus.send(led.QueryDimmingCurve(a)).raw_value.as_integer == 1
    bus.send(general.DAPC(a, 127))
    assert gear.light == 50.0


@pytest.mark.parametrize("seed", range(3))
def test_their_commissioning(seed: int) -> None:
    gears = [DaliGear() for _ in range(5)] + [DaliGear(2)]
    bus = Interface(*gears, seed=seed)
    bus.run(sequences.Commissioning())
    assert sorted(g.short if g.short is not None else -1 for g in gears) == [0, 1, 2, 3, 4, 5]
    assert gears[-1].short == 2
    bus.run(sequences.Commissioning(readdress=True, available_addresses=range(10, 16)))
    assert sorted(g.short if g.short is not None else -1 for g in gears) == list(range(10, 16))


# Memory


def filled(bank: int, data: bytes, **options: Any) -> tuple[Interface, DaliGear]:
    has = {"lock": BANKS[bank].has_lock, "latch": BANKS[bank].has_latch, **options}
    gear = DaliGear(5, banks={bank: Bank(data, **has)})
    return Interface(gear), gear


def plain(theirs: Any, cls: Any) -> Any:
    """A value of theirs in the units of `dali_banks`; None for what is none."""
    if isinstance(theirs, location.FlagValue):
        return None
    if issubclass(cls, energy.ScaledNumericValue):
        return int(theirs * 1000)
    if issubclass(cls, location.FixedScaleNumericValue):
        value = Decimal(theirs) / Decimal(cls.scaling_factor)
        assert value == int(value)
        return int(value)
    return int(theirs) if isinstance(theirs, bool) else theirs


def agree(read: Any, mine: dict[int, Any]) -> int:
    n = 0
    for cls, theirs in read.items():
        at = cls.locations[0].address
        if at not in mine:
            assert at <= 3
            continue
        value = plain(theirs, cls)
        ones = value == 2 ** (8 * len(cls.locations)) - 1
        # Not programmed is all ones, which they give as a number in these.
        unknown = ones and cls in (oem.ManufacturerGTIN, oem.LuminaireID, oem.ContentFormatID)
        if unknown or value == "Part 209 implemented":
            value = None
        elif cls is oem.LightDistributionType and value == "reserved":
            assert 5 < mine[at] < 255
            continue
        elif cls is oem.LightDistributionType and value is not None:
            value = ("not specified", "Type I", "Type II", "Type III", "Type IV", "Type V").index(value)
        assert mine[at] == value, (cls.__name__, theirs, mine[at])
        n += 1
    return n


@pytest.mark.parametrize("bank", sorted(FIXTURES))
def test_their_memory_classes_decode_the_model(bank: int) -> None:
    bus, _ = filled(bank, FIXTURES[bank])
    read = bus.run(BANKS[bank].read_all(address.GearShort(5)))
    assert agree(read, decode(bank, FIXTURES[bank])) >= 2


def test_published_values() -> None:
    bus, _ = filled(202, FIXTURES[202])
    a = address.GearShort(5)
    assert bus.run(energy.ActiveEnergy.read(a)) == 10_000
    assert bus.run(energy.ActivePower.read(a)) == 1000
    bus, _ = filled(205, FIXTURES[205])
    assert bus.run(diagnostics.ControlGearExternalSupplyVoltage.read(a)) == Decimal("230.0")
    assert bus.run(diagnostics.ControlGearPowerFactor.read(a)) == Decimal("0.90")
    assert bus.run(diagnostics.ControlGearTemperature.read(a)) == 30
    bus, _ = filled(206, FIXTURES[206])
    assert bus.run(diagnostics.LightSourceCurrent.read(a)) == Decimal("0.700")


def test_decoders_agree_on_anything() -> None:
    rnd = random.Random(11)
    n = 0
    for bank in BANKS:
        last = BANKS[bank]
        size = max(cls.locations[-1].address for cls in last.values) + 1
        for _ in range(150):
            data = bytearray(
                rnd.choice((0, 1, 50, 100, 0xFA, 0xFE, 0xFF, rnd.randrange(256))) for _ in range(size)
            )
            if rnd.random() < 0.3:
                data[4:] = b"\xff" * (size - 5) + rnd.choice((b"\xfe", b"\xff"))
            raw = list(data)
            read = {cls: cls.from_list(raw) for cls in last.values}
            n += agree(read, decode(bank, bytes(data)))
    assert n > 5000


def test_they_write_the_luminaire_bank_and_the_lock_holds() -> None:
    content = [0x77, None, 0xFF, *(0xFF,) * 14, 0, 3, *(0xFF,) * 17, *bytes(84)]
    gear = DaliGear(5, banks={1: Bank(content, lock=True, writable=range(3, 0x78))})
    bus = Interface(gear)
    a = address.GearShort(5)
    bus.run(oem.LuminaireIdentification.write(a, "rue Haute 12"))
    assert bus.run(oem.LuminaireIdentification.read(a)) == "rue Haute 12"
    assert bus.run(oem.BANK_1.is_locked(a)) is True
    bus.send(general.DTR1(1))
    bus.send(general.EnableWriteMemory(a))
    bus.send(general.DTR0(0x20))
    assert bus.send(general.WriteMemoryLocation(80)).raw_value is None
    assert bus.run(oem.CRI.read(a)) == location.FlagValue.MASK
    # What they wrote, ours reads.
    line = Line(gear)
    assert dali_memory.values(Gear(line.bus, 5), 1)[0x3C] == "rue Haute 12"


def test_bank_0_of_the_model() -> None:
    bus = Interface(DaliGear(5))
    read = bus.run(info.BANK_0.read_all(address.GearShort(5)))
    assert read[info.Part102Version] == "2.0" and read[info.LastMemoryBank] == 207
    assert read[info.GTIN] == 3144845561105


def test_latch() -> None:
    count = itertools.count(0x00FFFB00, 0x101)
    bus, gear = filled(202, FIXTURES[202], live=lambda gear: {0x0C: next(count).to_bytes(4, "big")})
    a = address.GearShort(5)
    read = bus.run(energy.BANK_202.read_all(a))
    assert read[energy.ActivePower] - 0x00FFFB00 in range(0, 0x1000, 0x101)
    bus.run(energy.BANK_202.latch(a))
    first = bus.run(energy.ActivePower.read(a))
    assert bus.run(energy.ActivePower.read(a)) == first
    bus.run(energy.BANK_202.unlatch(a))
    assert bus.run(energy.ActivePower.read(a)) != first
    assert gear.banks[202].content[2] == 0xFF
