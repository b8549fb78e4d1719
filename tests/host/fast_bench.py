"""Mixed traffic for the tests of the fast path, and the receiver's word on it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools import fast
from host_tools.capture import read
from host_tools.fast import Summary
from host_tools.lorawan.keysfile import Keys, Session
from host_tools.outputs import arrow, extra
from host_tools.receiver import Receiver
from host_tools.rows import Row
from provisioning.keyring import Keyring, load_keyrings
from tests.host import lorawan_bench, synth

pa: Any = extra("pyarrow")
pq: Any = extra("pyarrow.parquet")
PROFILES = ("mac0", "encrypt0", "sign1")
KINDS = ("bin", "lamp", "leak")


@dataclass
class Field:
    """Some devices with their keys, and what they send."""

    folder: Path
    devices: list[synth.Device]
    sessions: list[Session] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    def rings(self, **changes: Any) -> list[Keyring]:
        return load_keyrings([synth.keyring(self.folder / "ring.json", *self.devices, **changes)])

    def keys(self) -> Keys:
        return Keys((), self.sessions)

    def over(
        self, device: synth.Device, frames: list[bytes], first: int = 0, odd: bool = False
    ) -> list[bytes]:
        """Link frames as LoRaWAN uplinks of one session; first: its counter. odd: with options, confirmed."""
        addr = 0x26000000 + device.address
        nwk, app = (lorawan_bench.cmac(bytes(16), b"%s%d" % (w, device.address)) for w in (b"n", b"a"))
        if not any(s.dev_addr == addr for s in self.sessions):
            self.sessions.append(Session(addr, nwk, app, device.device, device.name))
        return [
            lorawan_bench.data_frame(
                addr,
                first + n,
                nwk,
                app,
                frame[1],
                frame[7:],
                fopts=b"\x02" if odd and n % 7 == 0 else b"",
                confirmed=odd and n % 5 == 0,
            )
            for n, frame in enumerate(frames)
        ]

    def capture(self, frames: list[bytes] | None = None, name: str = "air.pcap") -> Path:
        return synth.capture(self.folder / name, self.frames if frames is None else frames)


def mixed(folder: Path, seed: int, each: int = 40, flips: float = 0.25) -> Field:
    """Nine devices of all profiles on both carriers, with checkpoints, fragments, copies and damage, shuffled."""
    dice = random.Random(seed)
    devices = [
        synth.Device(profile, n, kind=kind)
        for n, (profile, kind) in enumerate(((p, k) for p in PROFILES for k in KINDS), 1)
    ]
    made = Field(folder, devices)
    for device in devices:
        device.seq = dice.choice((0, 10, 250, 65530, 70000))
        sent = [] if device.seq else [device.hello()]
        if device.address % 3:
            sent += device.run(each, fragment=device.address % 4 == 0)
        else:
            sent += [device.send() for _ in range(each)]
        if device.address % 2:
            sent = made.over(device, sent, dice.choice((0, 65500)), odd=True)
        made.frames += sent
    dice.shuffle(made.frames)
    for _ in range(int(len(made.frames) * flips)):
        copy = bytearray(dice.choice(made.frames) or b"\0")
        if dice.random() < 0.7:
            for _ in range(dice.randint(1, 2)):
                copy[dice.randrange(len(copy))] ^= 1 << dice.randrange(8)
            if dice.random() < 0.2:
                copy = copy[: dice.randrange(len(copy))]
        made.frames.insert(dice.randrange(len(made.frames)), bytes(copy))
    return made


def careful(paths: list[Path], rings: list[Keyring], keys: Keys) -> Receiver:
    receiver = Receiver(rings, lorawan=keys)
    for path in paths:
        receiver.add_all(read(path))
    return receiver


def same(
    paths: list[Path], rings: list[Keyring], keys: Keys | None = None, workers: int = 1
) -> tuple[list[Row], Summary]:
    """Decode on both paths, compare rows, the Parquet file and the summary; gives the rows and the summary."""
    keys = keys or Keys()
    receiver = careful(paths, rings, keys)
    wanted = receiver.rows()
    got = fast.rows(paths, rings, keys, workers=workers)
    for one, other in zip(got, wanted, strict=False):
        assert one == other
    assert len(got) == len(wanted)
    out = paths[0].with_suffix(".parquet")
    summary = fast.decode(paths, rings, keys, out, workers=workers)
    told = receiver.summary(wanted)
    assert {k: getattr(summary, k) for k in told if k != "notes"} == {
        k: v for k, v in told.items() if k != "notes"
    }
    table = pq.read_table(out)
    columns = pa.Table.from_batches([arrow.batch(wanted)]) if wanted else None
    for name in table.column_names:
        expected = columns[name].to_pylist() if columns is not None else []
        assert table[name].to_pylist() == expected, name
    assert table.schema.metadata[b"lanterne.decoder"] == arrow.schema().metadata[b"lanterne.decoder"]
    if columns is not None:
        left = set(columns.column_names) - set(table.column_names)
        assert all(
            columns[n].null_count == len(wanted) for n in left if n[:7] != "lorawan" and n != "decoder"
        )
    bare = fast.decode(paths, rings, keys, out, hashes=False)
    assert (bare.states, bare.reasons, bare.rows) == (summary.states, summary.reasons, summary.rows)
    again = pq.read_table(out)
    assert again.column_names == [n for n in table.column_names if n != "frame"]
    # Frames with other numbers keep their order; of those without one the hash is part of it.
    assert again["seq"].to_pylist() == table["seq"].to_pylist()
    assert again["received_at"].to_pylist() == table["received_at"].to_pylist()
    return wanted, summary
