"""A replay into the virtual air: what a gateway there hears, and why it does not hear the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from host_tools import capture, replay, targets
from host_tools.errors import UsageError
from host_tools.formats.pcapng import PcapngWriter
from host_tools.frames import Frame, Radio
from tests.host.lorawan_bench import START_US, Node

RADIO = Radio(868_100_000, 7, 125_000)


def frames(gap_us: int = 5_000_000, radio: Radio = RADIO) -> list[Frame]:
    nodes = [Node(n).personal(0x26010000 + n) for n in range(4)]
    return [Frame(nodes[n % 4].send(b"%03d" % n), START_US + n * gap_us, radio) for n in range(20)]


def play(
    folder: Path, found: list[Frame], url: str, seed: int = 1
) -> tuple[replay.Report, targets.Target, list[Frame]]:
    with PcapngWriter(folder / "in.pcapng") as writer:
        for frame in found:
            writer.add(frame)
    out = folder / "out.pcap"
    out.unlink(missing_ok=True)
    target = targets.make(url.replace("OUT", str(out)), targets.Options(seed=seed))
    report = replay.play(folder / "in.pcapng", target)
    return report, target, list(capture.read(out)) if out.exists() else []


def test_near_devices_are_all_heard(tmp_path: Path) -> None:
    sent = frames()
    report, _, heard = play(tmp_path, sent, "air:OUT")
    assert report.receiver is not None and report.receiver["acknowledged"] == 20
    assert report.receiver["not_heard"] == {}
    assert [f.data for f in heard] == [f.data for f in sent]
    # The time of a reception is its end, as it was.
    assert all(abs(a.time_us - b.time_us) <= 1 for a, b in zip(heard, sent, strict=True))
    # Each device has one place.
    assert len({(f.data[1:5], f.radio.rssi_qdbm) for f in heard}) == 4
    assert len({f.radio.rssi_qdbm for f in heard}) > 1
    assert {(f.radio.freq_hz, f.radio.sf, f.radio.bw_hz, f.radio.sync_word) for f in heard} == {
        (868_100_000, 7, 125_000, 0x34)
    }
    again = play(tmp_path, sent, "air:OUT")[2]
    other = play(tmp_path, sent, "air:OUT", seed=2)[2]
    assert again == heard != other


def test_far_devices_loss_and_collisions_are_told_apart(tmp_path: Path) -> None:
    report, target, _ = play(tmp_path, frames(), "air:?metres=900000")
    assert report.receiver is not None and report.receiver["acknowledged"] == 0
    assert report.receiver["not_heard"] == {"weak": 20}
    assert {s for _, s, _ in target.ledger.frames()} == {"unacknowledged"}
    lost = play(tmp_path, frames(), "air:?loss=1")[0].receiver
    assert lost is not None and lost["not_heard"] == {"loss": 20}
    # Two at a time; the stronger one may come through.
    pairs = [
        replace(f, time_us=START_US + n // 2 * 1_000_000 + (n + n // 4) % 2 * 10_000)
        for n, f in enumerate(frames())
    ]
    pairs.sort(key=lambda f: f.time_us)
    crowd = play(tmp_path, pairs, "air:")[0].receiver
    assert crowd is not None and 0 < crowd["acknowledged"] < 20
    assert set(crowd["not_heard"]) & {"collision", "busy", "header", "captured"}
    # Other channels and spreading factors do not meet.
    apart = [
        replace(f, radio=Radio(868_100_000 + 200_000 * (n % 3), 7 + n % 6, 125_000))
        for n, f in enumerate(frames(gap_us=400_000))
    ]
    found = play(tmp_path, apart, "air:?metres=100")[0].receiver
    assert found is not None and found["acknowledged"] > 14


def test_downlinks_and_frames_without_radio_values_are_told(tmp_path: Path) -> None:
    node = Node(1).personal(1)
    found = [Frame(node.order(b"x"), START_US, RADIO), Frame(b"\xe0\x8a\x01\x02\x03", START_US, RADIO)]
    found.append(Frame(node.send(b"x"), START_US))
    report, target, _ = play(tmp_path, found, "air:")
    assert target.ledger.as_dict()["unsent"] == {"downlink": 2, "no_radio_values": 1}
    assert report.records == 0


def test_an_address_that_is_none() -> None:
    for text in ("air:?metres=-1", "air:?loss=2", "air:?loss=x", "air:?wind=3"):
        with pytest.raises(UsageError):
            targets.make(text, targets.Options())
