"""What readings cost on the air: bytes, airtime and charge of the radio, and what a node on a battery draws in
all: the tables of docs/guides/air.md.

usage: python -m tools.figures_air [--check]

Frames are made by the firmware's own encoder and sealer from the values below; airtime is the formula of
firmware/protocols/airtime.py, currents those of the radio's data sheet (hw/virtual/chips/sx1262_tables.py).
What a whole node draws is that of bench/battery.py, some days of a virtual board, which take a minute or two.
Model figures: nothing here was measured on hardware. `--check` writes nothing and fails when the page is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

from bench import battery
from firmware.kinds import bin as bin_kind
from firmware.kinds import lamp, leak_meter
from firmware.protocols import codec, link, schema
from firmware.protocols.airtime import max_payload, time_on_air_us
from firmware.protocols.cbor import WireError
from firmware.protocols.keys import derive, purposes
from firmware.protocols.seal import Sealer
from firmware.roles.report import shorten
from hw.virtual.chips.sx1262 import tx_current_ma
from tools.figures_water import put, table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/guides/air.md"
POWER_DBM = 14
SHOWN = (7, 9, 12)
TIME = 28_000_128
#: Message type, values of an ordinary reading, readings a day at the usual settings, and why so many.
KINDS: dict[str, tuple[int, dict[str, Any], float, str]] = {
    "lamp": (
        2,
        {
            "time": TIME,
            "supply": 230100,
            "level": 40,
            "target": 40,
            "reason": 3,
            "power": 247,
            "energy": 51234,
        }
        | {"burn_time": 12345, "switch_count": 812},
        96 + 4,
        "every 15 min, and 4 changes",
    ),
    "bin": (
        3,
        {"time": TIME, "supply": 3698, "fill": 63, "distance": 571, "quality": 100, "fill_class": 3},
        24,
        "every hour",
    ),
    "leak": (
        4,
        {
            "time": TIME,
            "supply": 3698,
            "index": 322846,
            "flow": 610,
            "hourly": [61, 48, 25, 12],
            "leak_state": 0,
        },
        24,
        "every hour, in fixed slots",
    ),
}
#: What a reading leaves out first where there is no room for all.
SPARE = {"lamp": lamp.SPARE, "bin": bin_kind.SPARE, "leak": leak_meter.SPARE}
PROFILES = ("sign1", "mac0", "encrypt0")


class Cost(NamedTuple):
    payload: int
    frame: int  # link frame, bytes
    ms: dict[int, float | None]  # at each spreading factor, None where it does not go


def record(profile: str) -> dict[str, Any]:
    """A key record of a device of the golden vectors."""
    tenant, device, k_dev = bytes(range(8)), bytes(range(8, 16)), bytes(range(32))
    rows = purposes(profile)
    labels = {"leaf", *(row["key"] for row in rows.values())} - {"sign"}
    keys = {label: derive(k_dev, tenant, label, device, 1) for label in labels}
    from firmware.protocols import ed25519_verify

    public = ed25519_verify.public_key(k_dev)
    return {
        "tenant": tenant,
        "device": device,
        "epoch": 1,
        "profile": profile,
        "public_key": public,
        "keys": {**keys, "sign": k_dev},
        "purposes": rows,
    }


def cost(kind: str, profile: str) -> Cost | None:
    """Of one reading; None where the encoder refuses the kind in clear."""
    mtype, values, _, _ = KINDS[kind]
    if kind == "leak" and profile != "encrypt0":
        return None
    message = schema.message(mtype)
    row = codec.blank(message)
    for name, value in values.items():
        row[schema.index(mtype, name)] = value
    sealer = Sealer(record(profile))

    def frame(room: int) -> tuple[int, int]:
        short = list(row)
        buf = bytearray(255)
        while True:
            try:
                end = codec.encode_into(buf, 0, message, short, profile != "encrypt0", room)
                if end <= room:
                    break
            except WireError:
                pass
            if not shorten(short, SPARE[kind]):
                raise WireError("too_long")
        return end, link.HEADER + len(sealer.seal(0, 70_000, bytes(buf[:end])))

    payload, size = frame(222 - 18)
    ms: dict[int, float | None] = {}
    for sf in SHOWN:
        room = max_payload(sf)
        envelope = size - link.HEADER - payload
        ms[sf] = time_on_air_us(frame(room - envelope)[1], sf) / 1000 if envelope + 20 < room else None
    return Cost(payload, size, ms)


def uah(ms: float) -> float:
    """Charge of a transmission in microampere-hours."""
    return float(tx_current_ma(POWER_DBM)) * ms / 3600


def rows() -> list[list[str]]:
    found = []
    for kind, (_, _, a_day, _) in KINDS.items():
        for profile in PROFILES:
            c = cost(kind, profile)
            if c is None:
                continue
            cells = [kind, f"`{profile}`", str(c.payload), str(c.frame)]
            cells += ["-" if c.ms[sf] is None else f"{c.ms[sf]:.0f}" for sf in SHOWN]
            at = c.ms[9]
            assert at is not None
            cells += [f"{a_day:g}", f"{a_day * at / 1000:.1f}", f"{a_day * at / 864000:.3f}"]
            cells += [f"{uah(at):.1f}", f"{a_day * uah(at) / 1000:.2f}"]
            found.append(cells)
    return found


def battery_page(text: str) -> str:
    """`text` with the table of nodes on a battery."""
    return put(text, "batteries", table(battery.HEAD, battery.table()))


def page(text: str) -> str:
    """`text` with the table of the readings."""
    head = ["kind", "profile", "payload, bytes", "link frame, bytes"]
    head += [f"ms at SF{sf}" for sf in SHOWN]
    head += ["readings a day", "s a day at SF9", "% of the time", "uAh each at SF9", "mAh a day at SF9"]
    return put(text, "readings", table(head, rows()))


def main(arguments: list[str]) -> int:
    old = PAGE.read_text()
    new = battery_page(page(old))
    if arguments == ["--check"]:
        if new != old:
            print(f"{PAGE.relative_to(ROOT)} is stale: python -m tools.figures_air")
        return int(new != old)
    if new != old:
        PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
