"""What is loaded into a board: two CBOR maps for the NVS blobs `cfg` and `key` (deterministic, integer keys).

    cfg   1 tenant bstr 8         2 device bstr 8        3 epoch
          4 profile (1 sign1, 2 mac0, 3 encrypt0)        5 kind (message type: 2 lamp, 3 bin ...)
          6 link tag              7 short address        8 [commander ids, at most 4]
          9 board name, text     10 role (0 node, 1 gateway)
         11 {kind-specific integers}                    12 {1: frequency kHz, 2: SF, 3: power dBm}
         13 report interval s    14 protection
         18 plan, compact (docs/decisions/0013), of a lamp or cabinet
         19 power class: 0 mains, 1 battery (bin, leak: sleep between measurements); absent: 0
         17 parts: [role, part, role, part ...], where they are not the usual ones (provisioning/parts.py)
         15 routes, gateway only: [[tag, address, link key bstr 16], ...]      16 sink, gateway only: text
    key   1 K_dev bstr 32         2 signing seed bstr 32  3 public key bstr 32

`key` is secret and `cfg` of a gateway holds link keys: neither is ever written to a file by this module, no
repr shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firmware.protocols.cbor import encode
from host_tools.errors import UsageError
from provisioning import parts
from provisioning.keyring import Keyring
from provisioning.record import KINDS, PROFILES, KeyRecord
from provisioning.tenant import Tenant

MAX_COMMANDERS = 4  # TRUST 1
POWER = ("mains", "battery")
#: Kinds that can sleep between measurements, and the parts that they then have (firmware/wake).
SLEEPERS = {"bin": ("range", "supply"), "leak": ("pulses", "supply", "rope", "pressure")}
#: Parts that work while the board is awake only.
AWAKE_ONLY = ("contact_pulses",)
MAX_CFG = 7500  # firmware/app.py: what is read from NVS


@dataclass(frozen=True)
class Radio:
    """The cell: frequency in kHz, spreading factor 7..12, conducted power in dBm."""

    freq_khz: int = 869525
    sf: int = 9
    power_dbm: int = 14


@dataclass(frozen=True)
class Options:
    """Everything in an image that does not come from the key record.

    extra: kind-specific integers (key 11). routes: keyrings of role `gateway`, for a gateway only, as is
    `sink` ("tcp:HOST:PORT" or "file:PATH").
    """

    board: str = ""
    radio: Radio = Radio()
    interval_s: int = 900
    extra: Mapping[int, int] = field(default_factory=dict)
    commanders: Sequence[int] = (1,)
    parts: Mapping[str, str] = field(default_factory=dict)
    plan: bytes = b""
    power: str = "mains"
    sink: str = ""
    routes: Sequence[Keyring] = ()


@dataclass(frozen=True)
class Image:
    """The two maps, encoded. Neither shows in a repr."""

    cfg: bytes = field(repr=False)
    key: bytes = field(repr=False)


def _check(record: KeyRecord, options: Options) -> None:
    radio = options.radio
    if not 7 <= radio.sf <= 12:
        raise UsageError(f"no spreading factor {radio.sf}: 7 to 12")
    if record.profile == "sign1" and radio.sf > 9:
        # A frame has 51 bytes from SF10 on, a signature alone 64 (TRUST 13: never below DR3, never unsigned).
        raise UsageError(
            f"{record.name} signs each frame, and a signed frame does not fit SF{radio.sf}",
            "use a cell at SF7 to SF9, or a profile with checkpoints: mac0 or encrypt0",
        )
    if not 863000 <= radio.freq_khz <= 870000:
        raise UsageError(f"{radio.freq_khz} kHz is outside the band 863000 to 870000 kHz")
    if not -9 <= radio.power_dbm <= 22:
        raise UsageError(f"{radio.power_dbm} dBm is outside what an SX1262 gives: -9 to 22")
    if not 1 <= options.interval_s <= 86400:
        raise UsageError(f"no report interval of {options.interval_s} s: 1 to 86400")
    ids = list(options.commanders)
    if len(ids) > MAX_COMMANDERS or len(set(ids)) != len(ids) or any(not 0 <= i <= 15 for i in ids):
        raise UsageError("a device obeys at most 4 commanders, with different ids of 0 to 15")
    for key, value in options.extra.items():
        if not -(2**31) <= value < 2**31 or key < 0:
            raise UsageError(f"setting {key} is outside what a board can hold")
    is_gateway = record.kind == "gateway"
    if (options.routes or options.sink) and not is_gateway:
        raise UsageError("routes and a sink belong to a gateway")
    for ring in options.routes:
        if ring.role != "gateway":
            raise UsageError(f"a gateway gets link keys, not a {ring.role} keyring")
    if options.power not in POWER:
        raise UsageError(f"no power class {options.power!r}: there are {', '.join(POWER)}")
    if options.power != "mains":
        if record.kind not in SLEEPERS:
            raise UsageError(
                f"a {record.kind} cannot sleep: only {', '.join(SLEEPERS)} can be of class battery"
            )
        for role, part in parts.opened(record.kind, options.parts):
            if role not in SLEEPERS[record.kind] or part in AWAKE_ONLY:
                raise UsageError(f"{role} ({part}) does not work on a {record.kind} that sleeps")
    if record.status != "active":
        raise UsageError(f"epoch {record.epoch} of {record.name} is {record.status}: no board gets its keys")


def build(tenant: Tenant, name: str, options: Options | None = None) -> Image:
    """The image of a device's newest epoch; UsageError for options outside their ranges."""
    options = options or Options()
    record = tenant.registry.find(name)
    _check(record, options)
    radio = options.radio
    cfg: dict[int, object] = {
        1: record.tenant,
        2: record.device,
        3: record.epoch,
        4: PROFILES[record.profile],
        5: KINDS[record.kind],
        6: record.link_tag,
        7: record.link_address,
        8: list(options.commanders),
        9: options.board,
        10: 1 if record.kind == "gateway" else 0,
        11: dict(options.extra),
        12: {1: radio.freq_khz, 2: radio.sf, 3: radio.power_dbm},
        13: options.interval_s,
        14: record.protection,
    }
    if record.kind == "gateway":
        cfg[15] = [
            [r.link_tag, r.link_address, r.keys["link"]] for ring in options.routes for r in ring.records
        ]
        cfg[16] = options.sink
    chosen = parts.chosen(record.kind, options.parts)
    if chosen:
        cfg[17] = chosen
    if options.plan:
        cfg[18] = options.plan
    if options.power != "mains":
        cfg[19] = POWER.index(options.power)
    made = bytes(encode(cfg))
    if len(made) > MAX_CFG:
        raise UsageError(
            f"the settings of {name} take {len(made)} bytes, a board holds {MAX_CFG}",
            "give each gateway fewer routes: about 300 fit",
        )
    secrets = tenant.secrets(record)
    key = {1: secrets.k_dev, 2: secrets.seed, 3: secrets.public_key}
    return Image(made, bytes(encode(key)))
