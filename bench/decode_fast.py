"""Captures to verified Parquet, against those who read LoRaWAN or verify COSE, in the same run on one core.

python -m bench.decode_fast [FRAMES]     500 000 frames of 1000 devices without a number

Whoever takes part is started five times in turn, pinned to one core; a rate is the median of frames by wall clock,
of whole processes for peers and of the decoding with its key set-up for us; the rate by processor time stands
beside it, for machines with other work. Before anything is timed, the rows of a smaller capture with frames
tampered with are compared with the receiver's.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from bench.fast_frames import City
from bench.machine import cores, state

ROOT = Path(__file__).resolve().parents[1]
REPETITIONS = 5
FRAMES = 500_000
SIGNED = 20_000
_GATE = 6_000
# What is asked for: times the peer's rate in the same run.
GOALS = {"mac0": 5.0, "encrypt0": 6.0, "lora-packet": 25.0, "clear": 0.10, "sign1": 1.3}
_FIELDS = (
    "frame.time_epoch loratap.channel.frequency loratap.rssi.packet loratap.rssi.snr lorawan.mhdr.mtype "
    "lorawan.fhdr.devaddr lorawan.fhdr.fctrl.adr lorawan.fhdr.fcnt lorawan.fport lorawan.mic.status "
    "lorawan.frmpayload"
).split()
_LORA_PACKET = """
const fs = require("fs"), lora = require("lora-packet");
const keys = JSON.parse(fs.readFileSync(process.argv[2])), data = fs.readFileSync(process.argv[3]);
for (const k in keys) keys[k] = keys[k].map((h) => Buffer.from(h, "hex"));
const codec = (b) => ({ time: b.readUInt32BE(5), fill: b[b.length - 9], size: b.length });
let at = 24, good = 0, sum = 0;
while (at < data.length) {
  const held = data.readUInt32LE(at + 8), frame = data.subarray(at + 31, at + 16 + held);
  const packet = lora.fromWire(frame), [nwk, app] = keys[packet.DevAddr.toString("hex")];
  if (lora.verifyMIC(packet, nwk)) good++;
  sum += codec(lora.decrypt(packet, app, nwk)).fill;
  at += 16 + held;
}
console.log(good);
"""


def gate(folder: Path) -> None:
    """Rows and summary of the fast path are the receiver's, tampered frames among whole ones."""
    from host_tools import fast
    from host_tools.capture import read
    from host_tools.receiver import Receiver

    for profile in ("mac0", "encrypt0", "sign1"):
        for carrier in ("lorawan", "link"):
            city = City(profile, 40)
            count = _GATE // 5 if profile == "sign1" else _GATE
            path = city.capture(folder / "gate.pcap", count, carrier, tampered=0.02)
            receiver = Receiver(city.keyrings(), lorawan=city.keys())
            receiver.add_all(read(path))
            wanted = receiver.rows()
            got = fast.rows([path], city.keyrings(), city.keys())
            if got != wanted:
                raise RuntimeError(f"{profile} over {carrier}: rows differ from the receiver's")
            states = ", ".join(f"{k} {v}" for k, v in receiver.summary(wanted)["states"].items())
            print(
                f"  {profile} over {carrier}: {len(wanted)} rows equal the receiver's ({states})", flush=True
            )


def ours(profile: str, capture: str, out: str, devices: str, workers: str = "1") -> None:
    """Decode once and tell how long it took: what the bench starts anew for each repetition."""
    from host_tools import fast
    from host_tools.outputs import extra

    # Imports are not timed.
    extra("pyarrow.parquet")
    __import__("numpy")
    city = City(profile, int(devices))
    rings, keys = city.keyrings(), city.keys()
    began, used = time.perf_counter(), _cpu()
    found = fast.decode([capture], rings, keys, out, workers=int(workers))
    seconds, used = time.perf_counter() - began, _cpu() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    below = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps([seconds, used, found.frames, found.states, peak >> 10, below >> 10]))


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


class Racer:
    """One who takes part. run: gives frames, seconds and seconds of processor."""

    def __init__(self, name: str, run: Callable[[], tuple[float, float, float]]) -> None:
        self.name, self.run = name, run
        self.walls: list[float] = []
        self.cpus: list[float] = []

    def go(self) -> None:
        count, wall, cpu = self.run()
        self.walls.append(count / wall)
        self.cpus.append(count / cpu if cpu else 0.0)

    @property
    def rate(self) -> float:
        return statistics.median(self.walls)

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpus)

    def line(self) -> str:
        return (
            f"  {self.name:34} {self.rate:11,.0f}/s  [{min(self.walls):,.0f} .. {max(self.walls):,.0f}]"
            f"   {self.cpu:11,.0f} per second of processor"
        )


def _pinned(command: list[str], two: bool = False, **more: str) -> tuple[str, float, float]:
    """Output, seconds, and seconds of processor of a command on one core."""
    if not two and shutil.which("taskset"):
        command = ["taskset", "-c", str(max(os.sched_getaffinity(0))), *command]
    before = os.times()
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, **more}
    )
    seconds = time.perf_counter() - began
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, seconds, used


def _ours(
    profile: str, capture: Path, out: Path, devices: int, workers: int = 1
) -> Callable[[], tuple[float, float, float]]:
    def run() -> tuple[float, float, float]:
        command = [sys.executable, "-m", "bench.decode_fast", "ours", profile, str(capture), str(out)]
        said, _, _ = _pinned([*command, str(devices), str(workers)], two=workers > 1)
        seconds, used, count, states, *_ = json.loads(said)
        if set(states) - {"authenticated", "signed"}:
            raise RuntimeError(f"{profile}: {states}")
        return count, seconds, used

    return run


def _tshark(capture: Path, folder: Path, count: int) -> Racer:
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields"]
    for name in _FIELDS:
        command += ["-e", name]
    print("  peer: " + " ".join(command[:6]) + " " + " ".join(f"-e {f}" for f in _FIELDS), flush=True)

    def run() -> tuple[float, float, float]:
        said, wall, cpu = _pinned(command, WIRESHARK_CONFIG_DIR=str(folder))
        lines = said.splitlines()
        if len(lines) != count or any(line.split("\t")[9] not in ("1", "Good") for line in lines[:100]):
            raise RuntimeError("tshark did not find the MICs good")
        return count, wall, cpu

    return Racer("tshark, fields and keys", run)


def _node(capture: Path, city: City, folder: Path, count: int) -> Racer | None:
    modules = ROOT / "build/peers/node_modules"
    if not (modules / "lora-packet").is_dir() or not shutil.which("node"):
        print("  peer lora-packet: not here (npm install --prefix build/peers lora-packet)")
        return None
    script, keys = folder / "peer.js", folder / "keys.json"
    script.write_text(_LORA_PACKET.replace('"lora-packet"', json.dumps(str(modules / "lora-packet"))))
    keys.write_text(json.dumps({f"{d.addr:08x}": [d.nwk.hex(), d.app.hex()] for d in city.devices}))
    found = json.loads((modules / "lora-packet/package.json").read_text())["version"]
    print(f"  peer: lora-packet {found}, fromWire + verifyMIC + decrypt + a codec in JS, {count} frames")

    def run() -> tuple[float, float, float]:
        said, wall, cpu = _pinned(["node", str(script), str(keys), str(capture)])
        if int(said) != count:
            raise RuntimeError(f"lora-packet: {said}")
        return count, wall, cpu

    return Racer("lora-packet and JS codec", run)


def _openssl(name: str, *arguments: str) -> Racer:
    command = ["openssl", "speed", "-seconds", "1", *arguments]
    print("  peer: " + " ".join(command), flush=True)

    def run() -> tuple[float, float, float]:
        said = _pinned(command)[0]
        if "ed25519" in arguments:
            found = re.search(r"ed25519.*\s([\d.]+)\s*$", said, re.I | re.M)
            assert found is not None, said
            return float(found[1]), 1.0, 1.0
        # Thousands of bytes a second, in messages of 48.
        found = re.search(r"^hmac.*\s([\d.]+)k\s*$", said, re.I | re.M)
        assert found is not None, said
        return float(found[1]) * 1000 / 48, 1.0, 1.0

    return Racer(name, run)


def _race(racers: list[Racer]) -> None:
    for _ in range(REPETITIONS):
        for racer in racers:
            racer.go()
    for racer in racers:
        print(racer.line(), flush=True)


def _ratio(name: str, one: Racer, other: Racer, goal: float) -> None:
    ratio, by_cpu = one.rate / other.rate, one.cpu / other.cpu
    word = "ok" if ratio >= goal else "MISSED"
    print(
        f"  {name}: {ratio:.2f} times {other.name} ({by_cpu:.2f} by processor time), goal {goal}: {word}",
        flush=True,
    )


def _version(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0] if done.returncode == 0 else f"{command[0]} not here"


def _lorawan(folder: Path, frames: int) -> None:
    for profile in ("mac0", "encrypt0"):
        print(f"{profile} over LoRaWAN, {frames} frames of 1000 devices, to Parquet; {state()}", flush=True)
        city = City(profile)
        capture = city.capture(folder / "air.pcap", frames, "lorawan")
        city.wireshark(folder / "wireshark")
        mine = Racer(f"lanterne {profile}", _ours(profile, capture, folder / "out.parquet", 1000))
        peers = [_tshark(capture, folder / "wireshark", frames)] if shutil.which("tshark") else []
        few = city.capture(folder / "few.pcap", 20_000, "lorawan")
        node = _node(few, city, folder, 20_000) if profile == "mac0" else None
        both = Racer("lanterne, two processes", _ours(profile, capture, folder / "out.parquet", 1000, 2))
        _race([mine, *peers, *([node] if node else []), *([both] if cores() > 1 else [])])
        for peer in peers:
            _ratio(profile, mine, peer, GOALS[profile])
        if node:
            _ratio(profile, mine, node, GOALS["lora-packet"])
        if cores() > 1:
            _ratio("two processes", both, mine, 1.6)
        print(f"  ({state()})", flush=True)


def _clear(folder: Path, frames: int) -> None:
    for profile, count, goal in (("mac0", frames, GOALS["clear"]), ("sign1", SIGNED, GOALS["sign1"])):
        print(f"{profile} in clear on private LoRa, {count} frames, to Parquet; {state()}", flush=True)
        devices = 1000 if profile == "mac0" else 100
        capture = City(profile, devices).capture(folder / "air.pcap", count, "link")
        mine = Racer(f"lanterne {profile}", _ours(profile, capture, folder / "out.parquet", devices))
        racers = [mine]
        if profile == "mac0":
            peer = _openssl("openssl hmac of 48 bytes", "-bytes", "48", "-hmac", "sha256")
        else:
            peer = _openssl("openssl ed25519 verify", "ed25519")
        if cores() > 1:
            racers.append(
                Racer("lanterne, two processes", _ours(profile, capture, folder / "out.parquet", devices, 2))
            )
        _race([*racers, peer])
        _ratio(profile, mine, peer, goal)
        if cores() > 1:
            _ratio("two processes", racers[1], mine, 1.8 if profile == "sign1" else 1.6)
        print(f"  ({state()})", flush=True)


def main(frames: int = FRAMES) -> int:
    for command in (("tshark", "--version"), ("openssl", "version"), ("node", "--version")):
        print("  " + _version(*command) if shutil.which(command[0]) else f"  {command[0]} not here")
    print("  " + ", ".join(f"{p} {version(p)}" for p in ("numpy", "pyarrow", "pynacl", "cryptography")))
    with tempfile.TemporaryDirectory(prefix="lanterne-bench-") as name:
        folder = Path(name)
        gate(folder)
        _lorawan(folder, frames)
        _clear(folder, frames)
    return 0


def memory(frames: int) -> None:
    """Peak memory of decoding many frames: python -m bench.decode_fast memory 10000000"""
    with tempfile.TemporaryDirectory(prefix="lanterne-bench-") as name:
        capture = City("mac0").capture(Path(name) / "air.pcap", frames, "lorawan")
        command = [sys.executable, "-m", "bench.decode_fast", "ours", "mac0", str(capture)]
        said, _, _ = _pinned([*command, str(Path(name) / "out.parquet"), "1000", "1"])
        seconds, _, count, states, peak, _ = json.loads(said)
        size = capture.stat().st_size >> 20
        print(f"{count} frames ({size} MB) in {seconds:.1f} s, peak {peak} MB, {states}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["ours"]:
        ours(*sys.argv[2:])
    elif sys.argv[1:2] == ["memory"]:
        memory(int(sys.argv[2]))
    else:
        sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else FRAMES))
