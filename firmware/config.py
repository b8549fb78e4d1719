"""The board's settings and keys: two CBOR maps that provisioning wrote (layout: provisioning/image.py).

Everything is range-checked here; the application sees attributes and a key record, never the maps.
"""

from binascii import crc32

from firmware.protocols import cbor
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const
from firmware.protocols.keys import derive, purposes

PROFILES = ("", "sign1", "mac0", "encrypt0")
NODE = const(0)
GATEWAY = const(1)

# (key, lowest, highest) of the integers; lengths of the byte strings.
_RANGES = ((3, 1, 0xFFFFFFFF), (4, 1, 3), (5, 2, 255), (6, 0, 255), (7, 0, 65535), (10, 0, 1))
_RANGES2 = ((13, 1, 86400), (14, 0, 2))
_RADIO = ((1, 863000, 870000), (2, 7, 12), (3, -9, 22))


def _is(value, low, high):
    return type(value) is int and low <= value <= high


def _ints(found, rows):
    for key, low, high in rows:
        if not _is(found.get(key), low, high):
            raise WireError("config", key)


def _blob(value, key, size):
    if not isinstance(value, bytes) or len(value) != size:
        raise WireError("config", key)
    return value


def _typed(found, key, empty):
    value = found.get(key, empty)
    if type(value) is not type(empty):
        raise WireError("config", key)
    return value


class Config:
    """WireError("config", key) names the entry that is missing, of the wrong kind or out of range."""

    def __init__(self, blob):
        found = cbor.decode(blob, max_items=4096)
        if not isinstance(found, dict):
            raise WireError("config", 0)
        _ints(found, _RANGES)
        _ints(found, _RANGES2)
        radio = _typed(found, 12, {})
        _ints(radio, _RADIO)
        self.tenant = _blob(found.get(1), 1, 8)
        self.device = _blob(found.get(2), 2, 8)
        self.epoch = found[3]
        self.profile = PROFILES[found[4]]
        self.kind = found[5]
        self.tag = found[6]
        self.address = found[7]
        self.commanders = _typed(found, 8, [])
        for who in self.commanders:
            if not _is(who, 0, 15):
                raise WireError("config", 8)
        self.board = _typed(found, 9, "")
        self.role = found[10]
        self.extra = _typed(found, 11, {})
        for value in self.extra.values():
            # What furniture is set to: minutes, per cent, millimetres, litres of an index.
            if not _is(value, 0, 0x3FFFFFFF):
                raise WireError("config", 11)
        self.freq_khz = radio[1]
        self.sf = radio[2]
        self.power_dbm = radio[3]
        self.interval_s = found[13]
        self.protection = found[14]
        self.routes = {}
        for route in _typed(found, 15, []):
            if type(route) is not list or len(route) != 3:
                raise WireError("config", 15)
            tag, address, k_link = route
            if not _is(tag, 0, 255) or not _is(address, 0, 65535):
                raise WireError("config", 15)
            self.routes[(tag, address)] = _blob(k_link, 15, 16)
        # 0 awake all day, 1 a battery: sleeps between measurements. Bin and leak meter can.
        self.power = found.get(19, 0)
        if not _is(self.power, 0, 1 if self.kind in (3, 4) and self.role == NODE else 0):
            raise WireError("config", 19)
        self.sink = _typed(found, 16, "")
        self.plan = _typed(found, 18, b"")
        self.parts = _typed(found, 17, [])
        for name in self.parts:
            if not isinstance(name, str):
                raise WireError("config", 17)

    def owner(self):
        """Names what belongs to this device alone: a board may have been another one before."""
        return "%08x" % crc32(self.tenant + self.device)

    def phase_ms(self, interval_ms):
        """This device's own place in an interval: a street that gets power in one second reports spread."""
        # 40503 / 65536 is the golden ratio: numbers in a row lie evenly, however many they are.
        return ((self.device[6] << 8 | self.device[7]) * 40503 & 0xFFFF) * interval_ms >> 16


def key_record(cfg, blob):
    """The key record of TRUST 13 with the derived keys that its purposes use, from the secret map.
    WireError("config", key)."""
    found = cbor.decode(blob)
    if not isinstance(found, dict):
        raise WireError("config", 0)
    k_dev = _blob(found.get(1), 1, 32)
    seed = _blob(found.get(2), 2, 32)
    public = _blob(found.get(3), 3, 32)
    rows = purposes(cfg.profile)
    keys = {"sign": seed}
    for label in ["leaf", "link"] + [row["key"] for row in rows.values()]:
        if label not in keys:
            keys[label] = derive(k_dev, cfg.tenant, label, cfg.device, cfg.epoch)
    return {
        "tenant": cfg.tenant,
        "device": cfg.device,
        "epoch": cfg.epoch,
        "profile": cfg.profile,
        "public_key": public,
        "keys": keys,
        "purposes": rows,
    }
