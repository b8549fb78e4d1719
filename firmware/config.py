"""The board's settings and keys: two CBOR maps that provisioning wrote (layout: provisioning/image.py).

Everything is range-checked here; the application sees attributes and a key record, never the maps.
"""

from firmware.protocols import cbor
from firmware.protocols.cbor import WireError
from firmware.protocols.keys import LABELS, derive, purposes

PROFILES = ("", "sign1", "mac0", "encrypt0")
NODE = 0
GATEWAY = 1

# (key, lowest, highest) of the integers; lengths of the byte strings.
_RANGES = ((3, 1, 0xFFFFFFFF), (4, 1, 3), (5, 2, 255), (6, 0, 255), (7, 0, 65535), (10, 0, 1))
_RANGES2 = ((13, 1, 86400), (14, 0, 2))
_RADIO = ((1, 863000, 870000), (2, 7, 12), (3, -9, 22))


def _ints(found, rows):
    for key, low, high in rows:
        value = found.get(key)
        if type(value) is not int or not low <= value <= high:
            raise WireError("config", key)


def _blob(found, key, size):
    value = found.get(key)
    if not isinstance(value, bytes) or len(value) != size:
        raise WireError("config", key)
    return value


def _list(found, key):
    value = found.get(key, [])
    if not isinstance(value, list):
        raise WireError("config", key)
    return value


class Config:
    """WireError("config", key) names the entry that is missing, of the wrong kind or out of range."""

    def __init__(self, blob):
        found = cbor.decode(blob, max_items=1024)
        if not isinstance(found, dict):
            raise WireError("config", 0)
        _ints(found, _RANGES)
        _ints(found, _RANGES2)
        radio = found.get(12)
        if not isinstance(radio, dict):
            raise WireError("config", 12)
        _ints(radio, _RADIO)
        self.tenant = _blob(found, 1, 8)
        self.device = _blob(found, 2, 8)
        self.epoch = found[3]
        self.profile = PROFILES[found[4]]
        self.kind = found[5]
        self.tag = found[6]
        self.address = found[7]
        self.commanders = _list(found, 8)
        self.board = found.get(9, "")
        self.role = found[10]
        self.extra = found.get(11, {})
        if not isinstance(self.extra, dict) or not isinstance(self.board, str):
            raise WireError("config", 11)
        self.freq_khz = radio[1]
        self.sf = radio[2]
        self.power_dbm = radio[3]
        self.interval_s = found[13]
        self.protection = found[14]
        self.routes = {}
        for route in _list(found, 15):
            if not isinstance(route, list) or len(route) != 3 or len(route[2]) != 16:
                raise WireError("config", 15)
            self.routes[(route[0], route[1])] = route[2]
        self.sink = found.get(16, "")

    def phase_ms(self, interval_ms):
        """This device's own place in an interval: a street that gets power in one second reports spread."""
        return (self.device[6] << 8 | self.device[7]) * (interval_ms // 1000) // 65536 * 1000


def key_record(cfg, blob):
    """The key record of TRUST 13 with every derived key, from the secret map. WireError("config", key)."""
    found = cbor.decode(blob)
    if not isinstance(found, dict):
        raise WireError("config", 0)
    k_dev = _blob(found, 1, 32)
    seed = _blob(found, 2, 32)
    public = _blob(found, 3, 32)
    keys = {"sign": seed}
    for label in LABELS:
        keys[label] = derive(k_dev, cfg.tenant, label, cfg.device, cfg.epoch)
    return {
        "tenant": cfg.tenant,
        "device": cfg.device,
        "epoch": cfg.epoch,
        "profile": cfg.profile,
        "public_key": public,
        "keys": keys,
        "purposes": purposes(cfg.profile),
    }
