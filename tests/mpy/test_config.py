"""A board's settings: what provisioning writes is read, and every entry out of range is named."""

from firmware import config
from firmware.protocols import cbor
from tests.mpy.support import raises

TENANT = bytes(range(0xF8, 0x100))
DEVICE = bytes.fromhex("70b3d57ed0001234")


def settings(**changes):
    found = {
        1: TENANT,
        2: DEVICE,
        3: 1,
        4: 2,
        5: 3,
        6: 0xA5,
        7: 2,
        8: [1],
        9: "heltec_wifi_lora_32_v3",
        10: 0,
        11: {1: 1200, 2: 200},
        12: {1: 869525, 2: 9, 3: 14},
        13: 600,
        14: 0,
    }
    for name in changes:
        key = int(name[1:])
        if changes[name] is None:
            del found[key]
        else:
            found[key] = changes[name]
    return cbor.encode(found)


def test_settings_are_read():
    cfg = config.Config(settings())
    assert (cfg.tenant, cfg.device, cfg.epoch, cfg.profile, cfg.kind) == (TENANT, DEVICE, 1, "mac0", 3)
    assert (cfg.tag, cfg.address, cfg.commanders, cfg.role) == (0xA5, 2, [1], config.NODE)
    assert (cfg.freq_khz, cfg.sf, cfg.power_dbm, cfg.interval_s) == (869525, 9, 14, 600)
    assert cfg.extra[2] == 200
    assert cfg.routes == {}


def test_routes_of_a_gateway():
    cfg = config.Config(settings(_10=1, _5=7, _15=[[0xA5, 2, bytes(16)]], _16="tcp:127.0.0.1:1700"))
    assert cfg.role == config.GATEWAY
    assert cfg.routes[(0xA5, 2)] == bytes(16)
    assert cfg.sink == "tcp:127.0.0.1:1700"


def test_each_bad_entry_is_named():
    cases = (
        (1, b"short"),
        (1, None),
        (2, 7),
        (3, 0),
        (4, 4),
        (5, True),
        (6, 256),
        (7, -1),
        (10, 2),
        (12, {1: 869525, 2: 13, 3: 14}),
        (12, 5),
        (8, 1),
        (11, []),
        (15, [[1, 2]]),
        (13, 0),
        (14, 3),
        (8, [16]),
        (8, ["1"]),
        (9, 5),
        (11, {1: "x"}),
        (11, {1: -1}),
        (11, {1: 1 << 30}),
        (11, {2: [1]}),
        (15, [[1, 2, 3]]),
        (15, [[1, 2, b"short"]]),
        (15, [[256, 2, bytes(16)]]),
        (15, [[1, -2, bytes(16)]]),
        (15, {}),
        (16, 1),
    )
    for key, value in cases:
        e = raises(cbor.WireError, config.Config, settings(**{"_%d" % key: value}))
        assert e.args[0] == "config", (key, value)
        assert e.args[1] in (key, 2), (key, value, e.args)


def test_what_a_device_keeps_is_marked_as_its_own():
    cfg = config.Config(settings())
    assert len(cfg.owner()) == 8, "with a name of 7 characters it fits an NVS key"
    assert cfg.owner() == config.Config(settings(_3=2, _13=60, _4=1)).owner()
    others = (settings(_1=bytes(8)), settings(_2=bytes(8)))
    assert cfg.owner() not in [config.Config(o).owner() for o in others]


def place(number, interval_ms):
    return config.Config(settings(_2=DEVICE[:6] + bytes((number >> 8 & 255, number & 255)))).phase_ms(
        interval_ms
    )


def test_each_device_has_its_place_in_an_interval():
    for number, ms in ((0, 0), (1, 74163), (0x1234, 549), (0xFFFF, 45836)):
        assert place(number, 120000) == ms, number
    for number in range(0, 65536, 257):
        for interval_ms in (1, 1000, 900000, 86400000):
            assert 0 <= place(number, interval_ms) < interval_ms


def test_neighbours_fill_an_interval_evenly():
    for first in (0, 0x1234, 0x7FFF, 0xFFC0):
        for interval_ms in (120000, 600000, 86400000):
            found = sorted([place(first + i, interval_ms) for i in range(200)])
            gaps = [b - a for a, b in zip(found, found[1:] + [found[0] + interval_ms])]
            even = interval_ms / 200
            assert even * 0.8 < min(gaps) and max(gaps) < even * 1.75, (first, interval_ms)


def test_a_blob_that_is_no_map_is_refused():
    raises(cbor.WireError, config.Config, b"\x01")
    raises(cbor.WireError, config.Config, b"")
    raises(cbor.WireError, config.Config, settings()[:-1])


def test_key_record_pins_the_profile():
    cfg = config.Config(settings())
    secret = cbor.encode({1: bytes(range(32)), 2: bytes(32), 3: bytes(32)})
    record = config.key_record(cfg, secret)
    assert record["purposes"][0]["structure"] == "mac0"
    assert record["purposes"][1]["structure"] == "sign1"
    assert len(record["keys"]["mac-up"]) == 32
    assert len(record["keys"]["link"]) == 16
    e = raises(
        cbor.WireError, config.key_record, cfg, cbor.encode({1: bytes(32), 2: bytes(31), 3: bytes(32)})
    )
    assert e.args == ("config", 2)
