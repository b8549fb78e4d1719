"""The virtual air alone: budget, sensitivity, locking, collisions, capture, loss, determinism, the record."""

import json
from dataclasses import replace
from typing import Any

import pytest

from hw.virtual.air import SNR_LIMIT, Air, Antenna, Radio, Reception, airtime_us
from hw.virtual.chips.base import ManualClock, ManualPort

BASE = Radio(868_100_000, 9, 125_000, 0x3444)


class Ear:
    """A listener that notes everything."""

    def __init__(self, air: Air, name: str, clock: ManualClock, **place: Any) -> None:
        self.port = ManualPort(0, clock)
        self.antenna: Antenna = air.join(name, self.port, self, **place)
        self.packets: list[Reception] = []
        self.notes: list[tuple[int, str]] = []
        self.longest = 255

    def note(self, what: str) -> None:
        self.notes.append((self.port.now_us, what))

    def heard_preamble(self) -> None:
        self.note("preamble")

    def heard_header(self, length: int, cr: int, crc_on: bool) -> bool:
        self.note("header")
        return length <= self.longest

    def heard_header_error(self) -> None:
        self.note("header error")

    def heard_packet(self, reception: Reception) -> None:
        self.note("packet")
        self.packets.append(reception)

    @property
    def payloads(self) -> list[bytes]:
        return [p.payload for p in self.packets if p.crc_ok]


class World:
    def __init__(self, names: str = "abc", **options: Any) -> None:
        self.clock = ManualClock()
        links = options.pop("links", {(x, y): 110.0 for x in names for y in names if x < y})
        self.air = Air(options.pop("seed", 1), links=links, **options)
        self.ears = {n: Ear(self.air, n, self.clock) for n in names}

    def __getitem__(self, name: str) -> Ear:
        return self.ears[name]

    def send(self, name: str, at_us: int, payload: bytes = b"12345678", radio: Radio = BASE) -> None:
        def go() -> None:
            self.ears[name].antenna.transmit(self.clock.now_us, radio, 14, payload)

        self.clock.at(at_us, go)

    def run(self, us: int = 10_000_000) -> None:
        self.clock.run_until(us)


def test_airtime_table() -> None:
    """AN1200.13 figures that four public implementations agree on, CR 4/5, preamble 8, CRC on, ms."""
    table = {
        12: (1155.072, 577.536, 288.768, 144.384, 82.432, 41.216),
        51: (2465.792, 1314.816, 616.448, 328.704, 184.832, 102.656),
        123: (4759.552, 2625.536, 1189.888, 656.384, 369.152, 205.056),
        250: (8855.552, 4919.296, 2254.848, 1229.824, 686.592, 389.376),
    }
    for length, row in table.items():
        for sf, ms in zip(range(12, 6, -1), row, strict=True):
            assert airtime_us(length, sf, 125000, 1, 8, True, True, sf > 10) == round(ms * 1000)
    assert airtime_us(12, 7, 250000, 1, 8, True, True, False) == 20608
    assert airtime_us(17, 12, 125000, 1, 8, False, True, True) == 1155072
    # SF5 and SF6 of the SX126x, preamble 12.
    assert airtime_us(20, 5, 125000, 1, 12, True, True, False) == 18240
    assert airtime_us(20, 6, 125000, 1, 12, True, True, False) == 33920


def test_link_budget() -> None:
    world = World("ab")
    world["b"].antenna.listen(BASE)
    world.send("a", 1000)
    world.run()
    (got,) = world["b"].packets
    # 14 dBm, twice 2 dBi, 110 dB; noise -174 + 51 + 6 dBm.
    assert got.payload == b"12345678" and got.crc_ok
    assert got.signal_dbm == pytest.approx(-92)
    assert got.rssi_dbm == pytest.approx(-92, abs=0.1)
    assert got.snr_db == 13  # the receiver's estimate ends there
    sent = world.air.transmissions[0]
    assert sent.heard["b"] == pytest.approx((-92, 25.03), abs=0.01)
    assert sent.end_us - sent.start_us == 123_904


def test_weak_signals_have_noise_in_their_rssi() -> None:
    world = World("ab", links={("a", "b"): 135.0})
    world["b"].antenna.listen(BASE)
    world.send("a", 0)
    world.run()
    (got,) = world["b"].packets
    assert got.signal_dbm == pytest.approx(-117)
    assert got.snr_db == pytest.approx(0.03, abs=0.01)
    assert got.rssi_dbm == pytest.approx(-114, abs=0.1)  # signal and noise alike: 3 dB more


@pytest.mark.parametrize("sf", range(7, 13))
def test_sensitivity(sf: int) -> None:
    """Heard 0.5 dB above the demodulation limit and not 0.5 dB below it."""
    limit = 14 + 4 + 117.03 - SNR_LIMIT[sf]
    for loss, heard in ((limit - 0.5, True), (limit + 0.5, False)):
        world = World("ab", links={("b", "a"): loss})
        radio = replace(BASE, sf=sf)
        world["b"].antenna.listen(radio)
        world.send("a", 0, radio=radio)
        world.run()
        assert bool(world["b"].payloads) is heard
        assert world.air.transmissions[0].lost.get("b") == (None if heard else "weak")


def test_path_loss_by_distance() -> None:
    clock = ManualClock()
    air = Air(1)
    ears = [Ear(air, str(x), clock, position=(x, 0.0), gain_db=0.0) for x in (0.0, 1000.0, 10000.0)]
    a, b, c = (e.antenna for e in ears)
    assert air.path_loss_db(a, b) == pytest.approx(128.95)
    assert air.path_loss_db(c, a) == pytest.approx(128.95 + 23.2)
    assert air.path_loss_db(a, a) == pytest.approx(128.95 - 69.6)  # not below a metre


@pytest.mark.parametrize(
    "other",
    [
        {"freq_hz": 868_300_000},
        {"sf": 8},
        {"bw_hz": 250_000},
        {"sync_word": 0x1424},
        {"iq_inverted": True},
    ],
)
def test_only_the_same_settings_hear(other: dict[str, Any]) -> None:
    world = World("ab")
    world["b"].antenna.listen(BASE)
    world.send("a", 0, radio=replace(BASE, **other))
    world.run()
    assert world["b"].packets == []
    world.send("a", world.clock.now_us)
    world.run(world.clock.now_us + 10_000_000)
    assert world["b"].payloads == [b"12345678"]


def test_a_foreign_sync_word_occupies_the_receiver_for_a_moment() -> None:
    world = World("ab")
    world["b"].antenna.listen(BASE)
    world.send("a", 0, radio=replace(BASE, sync_word=0x1424))
    world.run()
    assert [n for _, n in world["b"].notes] == ["preamble"]
    assert world.air.transmissions[0].lost["b"] == "sync word"


def test_instants_of_a_reception() -> None:
    """Preamble after 5 symbols of 4.096 ms, header 8 symbols after 8 + 4.25, packet at the end."""
    world = World("ab")
    world["b"].antenna.listen(BASE)
    world.send("a", 100_000)
    world.run()
    assert world["b"].notes == [
        (100_000 + 20_480, "preamble"),
        (100_000 + 82_944, "header"),
        (100_000 + 123_904, "packet"),
    ]


@pytest.mark.parametrize(("late_ms", "heard"), [(0, True), (12, True), (13, False), (50, False)])
def test_listening_must_begin_in_the_preamble(late_ms: int, heard: bool) -> None:
    """Five of the eight symbols are needed: the last start is after three of them, 12.288 ms."""
    world = World("ab")
    world.send("a", 100_000)
    world.clock.at(100_000 + late_ms * 1000, lambda: world["b"].antenna.listen(BASE))
    world.run()
    assert bool(world["b"].payloads) is heard


def test_stopping_loses_the_packet() -> None:
    world = World("ab")
    world["b"].antenna.listen(BASE)
    world.send("a", 0)
    world.clock.at(90_000, world["b"].antenna.deaf)
    world.run()
    assert world["b"].packets == []
    assert world.air.transmissions[0].lost["b"] == "stopped"


def test_half_duplex() -> None:
    world = World("ab")
    world["b"].antenna.listen(BASE)
    world.send("b", 1000, radio=replace(BASE, freq_hz=868_500_000))
    world.send("a", 2000)
    world.run()
    assert world["b"].packets == []
    second = world.air.transmissions[1]
    assert not second.heard and not second.lost


def collide(gap_us: int, stronger_db: float, **second: Any) -> World:
    """a is wanted by c; b starts gap_us later, weaker by stronger_db."""
    world = World("abc", links={("a", "c"): 110.0, ("b", "c"): 110.0 + stronger_db, ("a", "b"): 110.0})
    world["c"].antenna.listen(BASE)
    world.send("a", 100_000, b"wanted")
    world.send("b", 100_000 + gap_us, b"other", replace(BASE, **second))
    world.run()
    return world


def test_equal_power_destroys_both() -> None:
    world = collide(60_000, 0)
    assert world["c"].payloads == []
    assert "header error" in [n for _, n in world["c"].notes]
    assert world.air.transmissions[1].lost["c"] == "busy"


def test_capture_by_6_db() -> None:
    assert collide(60_000, 6.1)["c"].payloads == [b"wanted"]
    assert collide(60_000, 5.9)["c"].payloads == []


def test_the_header_decides_what_is_seen() -> None:
    """Hit before the header's end: header error. Hit after it: a packet with a wrong CRC."""
    early = collide(50_000, 0)
    assert [n for _, n in early["c"].notes][-1] == "header error"
    late = collide(100_000, 0)
    (got,) = late["c"].packets
    assert not got.crc_ok and len(got.payload) == 6 and got.payload != b"wanted"


def test_a_collision_in_the_first_preamble_symbols_is_harmless() -> None:
    """a's last five preamble symbols begin 12.288 ms after its start; b must be over by then."""
    world = World("abc")
    world["c"].antenna.listen(BASE)
    world.send("b", 0, b"first")
    end = airtime_us(5, 9, 125000, 1, 8, True, True, False)
    world.send("a", end - 12_000, b"wanted")
    world.run()
    assert world["c"].payloads == [b"wanted"]
    world = World("abc", links={("a", "c"): 110.0, ("b", "c"): 110.0, ("a", "b"): 110.0})
    world["c"].antenna.listen(BASE)
    world.send("b", 0, b"first", replace(BASE, sync_word=0x1424))
    world.send("a", end - 30_000, b"wanted")
    world.run()
    assert world["c"].payloads == []


def test_a_stronger_preamble_takes_over() -> None:
    """Within the first packet's preamble a packet 6 dB stronger is followed instead."""
    world = collide(10_000, -8)
    assert world["c"].payloads == [b"other"]
    assert world.air.transmissions[0].lost["c"] == "captured"


@pytest.mark.parametrize(
    "second",
    [{"freq_hz": 868_300_000}, {"iq_inverted": True}, {"sf": 7}, {"sf": 12}],
)
def test_other_channels_and_spreading_factors_do_not_disturb(second: dict[str, Any]) -> None:
    assert collide(50_000, 0, **second)["c"].payloads == [b"wanted"]


def test_spreading_factors_are_not_quite_orthogonal() -> None:
    """SF9 survives SF7 up to 27 dB stronger (Goursaud)."""
    assert collide(50_000, -26, sf=7)["c"].payloads == [b"wanted"]
    assert collide(50_000, -28, sf=7)["c"].payloads == []


def test_neighbouring_channels_of_different_width_overlap() -> None:
    """868.1 and 868.3 at 250 kHz touch; 868.2 at 250 kHz covers half of 868.1 at 125 kHz."""
    assert collide(50_000, -20, freq_hz=868_200_000, bw_hz=250_000)["c"].payloads == []
    assert collide(50_000, -20, freq_hz=868_300_000, bw_hz=250_000)["c"].payloads == [b"wanted"]


def test_delivery_off_reaches_nobody() -> None:
    world = World("abc")
    world.air.delivery = False
    for name in "bc":
        world[name].antenna.listen(BASE)
    world.send("a", 0)
    world.clock.at(50_000, lambda: seen.append(world["b"].antenna.activity(BASE, 10_000, 50_000)))
    seen: list[bool] = []
    world.run()
    assert [e.notes for e in world.ears.values()] == [[], [], []]
    assert seen == [False]
    assert world.air.transmissions[0].lost == {"b": "delivery off", "c": "delivery off"}


def test_loss_rate_and_its_independence_of_order() -> None:
    def run(names: str) -> list[str]:
        world = World(names, loss=0.3, seed=5)
        for name in names[1:]:
            world[name].antenna.listen(BASE)
        for i in range(300):
            world.send("a", i * 200_000, str(i).encode())
        world.run(70_000_000)
        return [p.decode() for p in world["b"].payloads]

    heard = run("ab")
    assert 180 < len(heard) < 240
    # A further receiver draws its own chances.
    assert run("abc") == heard
    assert len(set(heard)) == len(heard)


def test_loss_of_one_link() -> None:
    world = World("abc", loss={("a", "b"): 1.0})
    for name in "bc":
        world[name].antenna.listen(BASE)
    world.send("a", 0)
    world.run()
    assert (world["b"].payloads, world["c"].payloads) == ([], [b"12345678"])
    assert world.air.transmissions[0].lost == {"b": "loss"}


def record(seed: int) -> str:
    world = World(
        "abcd", seed=seed, shadow_db=6.0, links={(x, y): 142.0 for x in "abc" for y in "bcd" if x < y}
    )
    world["d"].antenna.listen(BASE)
    for i in range(60):
        world.send("abc"[i % 3], i * 90_000, bytes([i]))
    world.run(20_000_000)
    rows = [
        [
            t.sender,
            t.number,
            t.start_us,
            t.end_us,
            t.payload.hex(),
            sorted(t.heard.items()),
            sorted(t.lost.items()),
        ]
        for t in world.air.transmissions
    ]
    return json.dumps([rows, [p.payload.hex() for p in world["d"].packets]])


def test_same_seed_same_bytes() -> None:
    assert record(7) == record(7)
    assert record(7) != record(8)
    assert '"collision"' in record(7) or '"header"' in record(7)


def test_activity_detection() -> None:
    world = World("ab")
    seen: dict[int, bool] = {}

    def look(at: int) -> None:
        seen[at] = world["b"].antenna.activity(BASE, at - 20_000, at)

    world.send("a", 100_000)
    for at in (100_000, 103_000, 105_000, 200_000, 240_000, 250_000):
        world.clock.at(at, lambda at=at: look(at))  # type: ignore[misc]
    world.run()
    # One symbol of 4.096 ms must lie in the window; the packet ends at 223.9 ms.
    assert seen == {
        100_000: False,
        103_000: False,
        105_000: True,
        200_000: True,
        240_000: False,
        250_000: False,
    }


def test_rssi_of_a_channel() -> None:
    world = World("ab")
    levels: list[float] = []
    world.send("a", 100_000)
    for at in (50_000, 150_000, 300_000):
        world.clock.at(at, lambda: levels.append(world["b"].antenna.rssi_dbm(BASE)))
    world.run()
    assert levels == [
        pytest.approx(-117.03, abs=0.01),
        pytest.approx(-92, abs=0.1),
        pytest.approx(-117.03, abs=0.01),
    ]


def test_broken_off_transmission() -> None:
    world = World("ab")
    world["b"].antenna.listen(BASE)
    world.send("a", 0)
    world.clock.at(100_000, world["a"].antenna.abort)
    world.run()
    (got,) = world["b"].packets
    assert not got.crc_ok
    sent = world.air.transmissions[0]
    assert sent.cut and sent.end_us == 100_000 and sent.lost["b"] == "cut"


def test_implicit_headers_must_agree() -> None:
    radio = replace(BASE, implicit=8)
    for mine, ok in ((radio, True), (replace(radio, implicit=7), False), (replace(radio, cr=2), False)):
        world = World("ab")
        world["b"].antenna.listen(mine)
        world.send("a", 0, radio=radio)
        world.run()
        (got,) = world["b"].packets
        assert got.crc_ok is ok
        assert [n for _, n in world["b"].notes] == ["preamble", "packet"]
    # An explicit receiver finds no header.
    world = World("ab")
    world["b"].antenna.listen(BASE)
    world.send("a", 0, radio=radio)
    world.run()
    assert [n for _, n in world["b"].notes] == ["preamble", "header error"]


def test_without_crc_damage_goes_unnoticed() -> None:
    world = World("abc")
    world["c"].antenna.listen(BASE)
    world.send("a", 100_000, b"wanted", replace(BASE, crc_on=False))
    world.send("b", 195_000, b"other")
    world.run()
    (got,) = world["c"].packets
    assert got.crc_ok and got.payload != b"wanted"


def test_a_receiver_may_refuse_the_length() -> None:
    world = World("ab")
    world["b"].longest = 4
    world["b"].antenna.listen(BASE)
    world.send("a", 0)
    world.run()
    assert world["b"].packets == []
    assert world.air.transmissions[0].lost["b"] == "too long"


def test_names_are_unique() -> None:
    world = World("ab")
    with pytest.raises(ValueError, match="two radios are called a"):
        Ear(world.air, "a", world.clock)


def test_observer_and_named_call() -> None:
    world = World("ab")
    seen: list[str] = []
    world.air.on_transmit = lambda t: seen.append(t.sender)
    world["b"].antenna.listen(BASE)
    world.air.transmit("a", 0, 868_100_000, 9, 125_000, 1, 8, 0x3444, False, True, 14, b"12345678")
    world.run()
    assert seen == ["a"] and world["b"].payloads == [b"12345678"]
