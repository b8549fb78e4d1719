"""The same traffic as others read it: tshark with a capture of ours, and lora-packet under Node."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from host_tools.capture import CaptureWriter
from host_tools.frames import Frame
from host_tools.lorawan import crypto, mac, phy
from host_tools.lorawan.crypto import Aes
from host_tools.lorawan.keysfile import Device, Keys, Session, load_keys
from host_tools.lorawan.sessions import Opened, Sessions
from tests.conftest import absent, peer
from tests.host.lorawan_bench import Node, frame

ROOT = Path(__file__).resolve().parents[2]
ADDR, OTHER_ADDR = 0x260B1234, 0x49BE7DF1
UP_COMMANDS = bytes.fromhex("02 0307 0505 064220 0703 0a02")
DOWN_COMMANDS = bytes.fromhex("021403 0352040211 05d3b85e84 0705b85e8452 0805")


def traffic(last: int) -> tuple[Keys, list[Frame]]:
    """A device that joins and one that never did; counters up to `last`."""
    node, abp = Node(1), Node(2).personal(OTHER_ADDR)
    frames = [frame(node.ask(), 0), frame(node.answer(ADDR, settings=0x23), 5)]
    for n, size in enumerate((0, 1, 15, 16, 17, 48, 200)):
        frames.append(frame(node.send(bytes(range(size)), 10), 10 + n))
        frames.append(frame(node.order(bytes(range(size)), 12), 10.5 + n))
    frames.append(frame(node.send(b"x", 1, fopts=UP_COMMANDS), 30))
    frames.append(frame(node.send(b"", None, fopts=UP_COMMANDS), 31))
    frames.append(frame(node.order(b"x", 1, fopts=DOWN_COMMANDS[:13]), 32))
    frames.append(frame(node.order(b"x", 1, fopts=DOWN_COMMANDS[13:]), 32.5))
    frames.append(frame(node.send(UP_COMMANDS, 0), 33))
    frames.append(frame(node.order(DOWN_COMMANDS, 0), 34))
    for fcnt in (0, 65535, 65536, 65537, 70000, 400_000, 1_000_000):
        if fcnt <= last:
            abp.up = abp.down = fcnt
            frames.append(frame(abp.send(b"abp", 223), 40))
            frames.append(frame(abp.order(b"abp", 223), 41))
    broken = bytearray(frames[4].data)
    broken[-1] ^= 1
    frames.append(frame(bytes(broken), 50))
    keys = Keys(
        [Device("", node.dev_eui, node.join_eui, node.app_key)],
        [Session(ADDR, node.nwk, node.app), Session(OTHER_ADDR, abp.nwk, abp.app)],
    )
    return keys, frames


def ours(keys: Keys, frames: list[Frame]) -> list[Opened]:
    found = Sessions(keys)
    return [found.opened(token) for token in found.add_all(frames)]


# tshark

FIELDS = (
    "lorawan.mhdr.mtype lorawan.mic.status lorawan.fhdr.devaddr lorawan.fhdr.fcnt lorawan.fport "
    "lorawan.frmpayload_decrypted lorawan.mac_command_uplink lorawan.mac_command_downlink "
    "lorawan.join_request.devnonce lorawan.link_check_answer.margin lorawan.link_check_answer.gwcnt "
    "lorawan.link_adr_request.chmaskctl lorawan.link_adr_request.nbrep "
    "lorawan.new_channel_request.frequency lorawan.rx_setup_request.frequency "
    "lorawan.device_status_response.battery lorawan.rx_timing_request.delay"
).split()


def tshark(folder: Path, keys: Keys, frames: list[Frame]) -> list[dict[str, str]]:
    """What it says of each frame, with the keys in a folder of settings that is the test's own."""
    program = peer("tshark")
    settings = folder / ".config" / "wireshark"
    settings.mkdir(parents=True)
    zero = bytes(16).hex()
    old, roots, sessions = [], [], []
    for d in keys.devices:
        old.append(f'"00000000","{zero}","{d.app_key.hex()}","{d.join_eui[::-1].hex()}"')
        roots.append(f'"{d.dev_eui.hex()}","{d.app_key.hex()}"')
    for s in keys.sessions:
        wire = s.dev_addr.to_bytes(4, "little").hex()
        rest = f'"{s.nwk_s_key.hex()}","{s.app_s_key.hex()}"'
        old.append(f'"{wire}",{rest},"0000000000000000"')
        sessions.append(f'"{s.dev_addr:08x}",{rest}')
    # Each version takes the files of its own names.
    for name, rows in (("encryption", old), ("root", roots), ("session", sessions)):
        path = settings / f"{name}_keys_lorawan"
        path.write_text("".join(row + "\n" for row in rows))
        path.chmod(0o600)
    with CaptureWriter(folder / "c.pcap") as writer:
        for f in frames:
            writer.write(f)
    columns = [part for name in FIELDS for part in ("-e", name)]
    done = subprocess.run(
        [program, "-r", str(folder / "c.pcap"), "-T", "fields", "-E", "separator=/t", *columns],
        env=os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / ".config")},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.split("\n")[:-1]
    return [dict(zip((n.partition(".")[2] for n in FIELDS), row.split("\t"), strict=True)) for row in lines]


def test_tshark_reads_the_traffic_as_we_do(tmp_path: Path) -> None:
    # Version 4.0 takes the 16 bits on the air for the counter: nothing above 65535 for it.
    keys, frames = traffic(65535)
    found = tshark(tmp_path, keys, frames)
    assert len(found) == len(frames)
    counters = set()
    for told, opened, sent in zip(found, ours(keys, frames), frames, strict=True):
        assert int(told["mhdr.mtype"], 0) == sent.data[0] >> 5
        if opened.mtype == "join_accept":
            continue
        if opened.mac_commands and opened.fport is None:
            # Version 4.0 takes the first byte of the MIC for the port that is not there.
            assert told["fport"] == f"0x{sent.data[-4]:02x}"
            continue
        # 1 is good, 0 bad.
        assert told["mic.status"] == {"good": "1", "bad": "0"}[opened.mic], opened
        if isinstance(opened.join, phy.JoinRequest):
            # Bytes as on the air.
            wire = bytes.fromhex(told["join_request.devnonce"].replace(":", ""))
            assert int.from_bytes(wire, "little") == opened.join.dev_nonce
            continue
        assert int(told["fhdr.devaddr"], 0) == opened.dev_addr
        assert told["fport"] == ("" if opened.fport is None else f"0x{opened.fport:02x}")
        if opened.mic == "good":
            assert int(told["fhdr.fcnt"]) == opened.fcnt
            counters.add(opened.fcnt)
            if opened.payload and opened.fport:
                assert told["frmpayload_decrypted"].replace(":", "") == opened.payload.hex()
    assert 65535 in counters
    # The same files are keys of ours: its older table by itself, and the two newer ones together.
    settings = tmp_path / ".config" / "wireshark"
    wanted = [o.mic for o in ours(keys, frames)]
    for names in (["encryption"], ["root", "session"]):
        read = load_keys(settings / f"{name}_keys_lorawan" for name in names)
        assert [o.mic for o in ours(read, frames)] == wanted


def test_tshark_reads_mac_commands_as_we_do(tmp_path: Path) -> None:
    keys, frames = traffic(0)
    values: dict[str, str] = {}
    mine: dict[str, Any] = {}
    for told, opened in zip(tshark(tmp_path, keys, frames), ours(keys, frames), strict=True):
        # On port 0 version 4.0 reads the commands from the bytes as they are sealed.
        if not opened.mac_commands or not opened.fport:
            continue
        column = told["mac_command_downlink" if opened.direction else "mac_command_uplink"]
        table = mac.TABLE[opened.direction or 0]
        assert [n for n, _ in opened.mac_commands] == [table[int(c, 0)][0] for c in column.split(",")]
        values.update({k: v for k, v in told.items() if v})
        mine.update({name + "." + k: v for name, fields in opened.mac_commands for k, v in fields.items()})
    assert int(values["link_check_answer.margin"]) == mine["LinkCheckAns.margin_db"] == 20
    assert int(values["link_check_answer.gwcnt"]) == mine["LinkCheckAns.gateways"] == 3
    assert int(values["link_adr_request.chmaskctl"], 0) == mine["LinkADRReq.ch_mask_cntl"] == 1
    assert int(values["link_adr_request.nbrep"], 0) == mine["LinkADRReq.nb_trans"] == 1
    assert int(values["new_channel_request.frequency"]) * 100 == mine["NewChannelReq.freq_hz"]
    assert int(values["rx_setup_request.frequency"]) * 100 == mine["RXParamSetupReq.freq_hz"]
    assert int(values["device_status_response.battery"]) == mine["DevStatusAns.battery"] == 0x42
    assert int(values["rx_timing_request.delay"], 0) == mine["RXTimingSetupReq.delay_s"] == 5


# lora-packet

SCRIPT = """
const lp = require("lora-packet");
const at = (h) => Buffer.from(h, "hex");
const rows = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(rows.map((r) => {
  const p = lp.fromWire(at(r.data));
  const hex = (b) => b ? b.toString("hex") : "";
  const out = { type: p.getMType ? p.getMType() : "" };
  if (r.app_key && p.isJoinRequestMessage())
    return { ...out, ok: lp.verifyMIC(p, null, at(r.app_key)), dev_eui: hex(p.DevEUI), nonce: hex(p.DevNonce) };
  if (r.app_key) {
    const clear = lp.decryptJoinAccept(p, at(r.app_key));
    const q = lp.fromWire(clear.length & 1 ? clear : Buffer.concat([at(r.data.slice(0, 2)), clear]));
    const keys = lp.generateSessionKeys10(at(r.app_key), q.NetID, q.AppNonce, at(r.nonce));
    return { ...out, addr: hex(q.DevAddr), nwk: hex(keys.NwkSKey), app: hex(keys.AppSKey) };
  }
  const msb = Buffer.alloc(2);
  msb.writeUInt16LE(r.msb);
  return { ...out, ok: lp.verifyMIC(p, at(r.nwk), null, msb), addr: hex(p.DevAddr), port: p.getFPort(),
    fopts: hex(p.FOpts), ack: p.getFCtrlACK(), adr: p.getFCtrlADR(), dir: p.getDir(),
    clear: p.FRMPayload && p.FRMPayload.length ? hex(lp.decrypt(p, at(r.app), at(r.nwk), msb)) : "" };
})));
"""


def lora_packet(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    program = peer("node")
    places = [
        ROOT / "build" / "peers" / "node_modules",
        *map(Path, os.environ.get("NODE_PATH", "").split(":")),
    ]
    home = next((p for p in places if (p / "lora-packet").is_dir()), None)
    if home is None:
        absent("npm package lora-packet (npm install --prefix build/peers lora-packet@0.9.3)")
    done = subprocess.run(
        [program, "-e", SCRIPT],
        input=json.dumps(rows),
        env=os.environ | {"NODE_PATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_lora_packet_reads_data_as_we_do() -> None:
    keys, frames = traffic(1_000_000)
    by_addr = {s.dev_addr: s for s in keys.sessions}
    mine = [(f, o) for f, o in zip(frames, ours(keys, frames), strict=True) if o.dev_addr and o.join is None]
    assert max(o.fcnt or 0 for _, o in mine) == 1_000_000
    rows = []
    for f, o in mine:
        session = by_addr[o.dev_addr or 0]
        high = (o.fcnt or 0) >> 16
        rows.append(
            {
                "data": f.data.hex(),
                "nwk": session.nwk_s_key.hex(),
                "app": session.app_s_key.hex(),
                "msb": high,
            }
        )
    for told, (f, o) in zip(lora_packet(rows), mine, strict=True):
        parsed = phy.parse(f.data)
        assert isinstance(parsed, phy.Data)
        assert told["ok"] == (o.mic == "good")
        assert told["addr"] == f"{o.dev_addr:08x}"
        assert (told["port"], told["fopts"]) == (o.fport, parsed.fopts.hex())
        assert (told["ack"], told["adr"]) == ("ack" in o.flags, "adr" in o.flags)
        assert told["dir"] == ("down" if o.direction else "up")
        if o.mic == "good":
            assert told["clear"] == (o.payload or b"").hex()


def test_lora_packet_joins_as_we_do() -> None:
    node = Node(7)
    asked, answered = node.ask(), node.answer(ADDR)
    root = {"app_key": node.app_key.hex(), "nonce": f"{node.nonce:04x}"}
    told = lora_packet([{"data": d.hex(), **root} for d in (asked, answered)])
    assert (told[0]["ok"], told[0]["dev_eui"]) == (True, node.dev_eui.hex())
    clear = crypto.open_join_accept(Aes(node.app_key), answered)
    assert clear is not None
    accept = phy.accept(clear)
    nwk, app = crypto.session_keys(Aes(node.app_key), accept.join_nonce, accept.net_id, node.nonce)
    assert (told[1]["addr"], told[1]["nwk"], told[1]["app"]) == (f"{ADDR:08x}", nwk.hex(), app.hex())


@pytest.mark.parametrize("fcnt", [65536, 1_000_000])
def test_lora_packet_refuses_another_upper_half(fcnt: int) -> None:
    node = Node(1).personal(ADDR)
    node.up = fcnt
    row = {"data": node.send(b"x").hex(), "nwk": node.nwk.hex(), "app": node.app.hex()}
    told = lora_packet([{**row, "msb": fcnt >> 16}, {**row, "msb": 0}])
    assert [t["ok"] for t in told] == [True, False]
