"""Composition root: builds the parts of a board from its settings and starts its tasks.

Only this module, the kinds and `board` wire things together.
"""

import asyncio
import gc
import time

from firmware import board as boards
from firmware.clock import EPOCH_GPS, Clock
from firmware.config import GATEWAY, Config, key_record
from firmware.protocols.cbor import WireError, decode, encode
from firmware.protocols.compat import const, forget
from firmware.storage import TwoCopies
from firmware.supervisor import Supervisor

_CFG_SIZE = const(1500)
_KEY_SIZE = const(120)
_LONG = const(5)
# A task that owns the radio checks in every ten minutes; a sign or a long frame comes on top.
_SILENT_MS = const(900000)
_LOADING = const(3000)
_BUNDLE = "bundle"
# Sync word 0x34 of LoRaWAN: link frames are its proprietary frames, and one radio hears both.
_SYNC = const(0x34)


def main(kept=None):
    """kept: what firmware/wake has to go on with after a deep sleep."""
    # While modules load, what they leave behind must not lie between them: later there would be room enough
    # and no piece of it long enough (measured: 105 KB free, longest piece 5 KB).
    gc.threshold(_LOADING)
    if kept:
        # What has measured.
        forget("wake.start", "wake.look", "wake.bin_look", "wake.leak_look", "parts", "furniture")
        gc.collect()
    supervisor = asyncio.run(_start(kept))
    if supervisor:
        _forget()
    gc.collect()
    gc.threshold(-1)
    asyncio.run(supervisor.watch() if supervisor else _wait())


async def _wait():
    # Keys lost: the lamp is on since boot.py; nothing is sent that could be taken for a reading.
    print("needs provisioning")
    while True:
        await asyncio.sleep_ms(_SILENT_MS)


def _forget():
    # What only the start needs would hold 8 KB of the heap for ever (measured): whoever uses it has gone.
    for name in ("_start", "_blob", "_node", "_gateway", "_radio", "_take_time", "Config", "key_record"):
        globals().pop(name, None)
    for name in ("part", "copies"):
        delattr(boards.Board, name)
    for name in ("nvs", "store", "watchdog", "rtc_ms"):
        delattr(boards, name)
    forget(
        "config", "parts", "boards", "pins", "takeover", "storage_start", "counters_start", "protocols.keys"
    )


async def _start(kept):
    """Start the tasks; returns their supervisor, or None without settings or keys."""
    # asyncio loads its parts when they are asked for.
    asyncio.wait_for_ms, asyncio.Event  # noqa: B018  # pyright: ignore[reportUnusedExpression] - loaded when asked for
    nvs = boards.nvs()
    store = boards.store()
    cfg_copies, cfg_blob, new = _blob(nvs, "cfg", store, _CFG_SIZE)
    key_copies, key_blob, new_key = _blob(nvs, "key", store, _KEY_SIZE)
    if cfg_blob is None or key_blob is None:
        return None
    cfg = Config(cfg_blob)
    board = boards.Board(cfg.board, nvs, store, cfg.owner(), cfg.parts)
    clock = Clock(time.ticks_ms, time.ticks_diff)
    supervisor = Supervisor(boards.watchdog())
    wake = asyncio.ThreadSafeFlag()
    if cfg.role == GATEWAY:
        _gateway(cfg, board, clock, supervisor, wake, new)
    else:
        record = key_record(cfg, key_blob)
        # Before the heap fills.
        del globals()["Config"], globals()["key_record"]
        forget("config", "protocols.keys")
        _node(cfg, record, board, clock, supervisor, wake, (new, cfg_copies, cfg_blob), kept)
    board.close()
    # Only after the numbers have begun: until then the bare settings of the bench say "never used".
    if new_key:
        # Twice, so that neither of the files keeps the keys of before.
        key_copies.write(key_blob)
        key_copies.write(key_blob)
    if new:
        cfg_copies.write(cfg_blob)
    return supervisor


def _take_time(clock, floor_s):
    """What the platform's clock has kept, where it is later than what this board has kept (EMBEDDED 10)."""
    clock.floor_s = floor_s
    now = boards.rtc_ms()
    try:
        if now is not None:
            clock.set(1, now // 1000 + EPOCH_GPS, now % 1000)
    except WireError as e:
        print("clock:", e.args[0])


def _blob(nvs, name, store, size):
    """(copies, blob, new); new: a bare map that the bench wrote and no boot has taken over yet, which wins
    over the copies of what this board was before."""
    # A gateway's routes may take more; a node has no memory to try that first.
    for longest in (size, _LONG * size):
        copies = TwoCopies(nvs, name, store + "/" + name, longest)
        blob = copies.read()
        bare = copies.nvs_raw()
        if blob or bare:
            break
    try:
        # A copy begins with the high byte of its generation, a map with A0 or more.
        if bare and bare[0] >= 0xA0 and isinstance(decode(bare, max_items=4096), dict):
            return copies, bare, True
    except WireError:
        pass
    if blob is not None and copies.sound != 3:
        copies.write(blob)
    return copies, blob, False


def _radio(cfg, gateway):
    # Downlinks are inverted as in LoRaWAN, so nodes do not hear each other and gateways not each other.
    return {
        "freq_khz": cfg.freq_khz,
        "sf": cfg.sf,
        "bw": 125,
        "output_power": cfg.power_dbm,
        "syncword": _SYNC,
        "invert_iq_rx": not gateway,
        "invert_iq_tx": gateway,
    }


def _gateway(cfg, board, clock, supervisor, wake, new):
    from firmware.roles.gateway import Gateway
    from firmware.roles.modem import Modem
    from firmware.roles.sink import open_sink

    _take_time(clock, 0)
    copies = board.copies("boot")
    blob = copies.read()
    # A number that an earlier start had makes the store take new frames for repeated ones.
    unknown = 1 + int.from_bytes(boards.random(3), "big")
    boot = decode(blob) + 1 if blob else 1 if new else unknown
    copies.write(encode(boot))
    if not copies.sound:
        boot = unknown
    settings = _radio(cfg, True)
    modem = Modem(lambda: board.radio(wake.set, settings), wake, clock, cfg.sf, 9, 255)
    role = Gateway(cfg, modem, open_sink(cfg.sink), boot)
    supervisor.spawn("radio", lambda: role.run(lambda: supervisor.alive("radio")), _SILENT_MS)
    supervisor.spawn("forward", role.forward)
    print("gateway", boot)


def _node(cfg, record, board, clock, supervisor, wake, saved, kept):
    fresh = None
    if cfg.power and not kept:
        # By name, as all of firmware/wake: only what can sleep has it. Before the heap fills.
        name = "firmware.wake." + _KINDS[cfg.kind] + "_setup"
        fresh = __import__(name, None, None, ("setup",)).setup(board, cfg, boards)
        forget("wake." + _KINDS[cfg.kind] + "_setup", "wake.setup", "kinds", "parts", "furniture")
    # Loaded first: every node has a radio, and later no piece of heap may be long enough for its code. What hashes
    # for a signature is machine code, which no port frees: loaded once. What signs comes and goes with a
    # checkpoint, but where each frame is signed.
    import firmware.drivers.sx126x
    import firmware.protocols.sha512

    if cfg.profile == "sign1":
        import firmware.protocols.ed25519
    if cfg.profile == "encrypt0":
        import firmware.protocols.ccm  # noqa: F401
    # Before a number is taken: settings that no board can follow must not use up numbers and flash.
    # What it is without it is not used.
    asleep = __import__("firmware.wake.node" if cfg.power else "firmware.storage", None, None, ("Node",))
    name = "firmware.wake." if cfg.power else "firmware.kinds."
    kind = __import__(name + _KINDS[cfg.kind], None, None, ("Kind",)).Kind
    from firmware.counters import Counters, Recover
    from firmware.protocols.airtime import max_payload
    from firmware.protocols.opener import Opener
    from firmware.protocols.seal import Sealer
    from firmware.roles.commands import Commands
    from firmware.roles.modem import Modem
    from firmware.roles.node import Node
    from firmware.roles.report import Report
    from firmware.roles.uplink import Uplink, start_head
    from firmware.storage import FrameRing

    new, cfg_copies, cfg_blob = saved
    if new:
        from firmware.takeover import drop_rings

        drop_rings(board.path, board.owner)
    if cfg.power:
        Counters, Uplink, Node = asleep.Counters, asleep.Uplink, asleep.Node  # noqa: N806
    counters = Counters(board.copies("count"))
    if kept:
        asleep.take_up(counters, kept)
    ring = FrameRing(board.path + "/ring" + board.owner)
    counters.start(cfg.epoch, ring, start_head(record), new)
    clock.generation = counters.generation
    _take_time(clock, counters.time_s)
    counters.clock = clock
    sealer = Sealer(record)
    opener = Opener(record)
    recover = Recover(sealer, opener, boards.random)
    # 7 bytes of link header.
    longest = max_payload(cfg.sf) + 7
    settings = _radio(cfg, False)
    modem = Modem(lambda: board.radio(wake.set, settings), wake, clock, cfg.sf, 99, longest)
    uplink = Uplink(sealer, counters, ring, clock, cfg.sf, recover=recover)
    report = Report(cfg, uplink, clock, wake)
    more = (boards, kept or fresh) if cfg.power else ()
    furniture = kind(board, cfg, clock, report, *more)

    def renew(frame):
        epoch, _ = recover.answer(frame)
        counters.new_epoch(epoch)
        changed = decode(cfg_blob)
        changed[3] = epoch
        cfg_copies.write(encode(changed))
        print("recovered")
        boards.reboot()

    commands = Commands(opener, counters, uplink, clock, furniture.execute, kind.OPS, cfg.commanders, renew)
    node = Node(cfg, modem, uplink, commands, record["keys"]["link"], kind.LISTEN)
    protection = cfg.protection
    opened = None
    if cfg.power:
        opened = asleep.wire(node, boards, board, counters, clock, furniture, kept)
        if kept:
            report.open()

    begun = clock.now_ms()

    async def until(ms):
        await asyncio.sleep_ms(max(0, begun + ms - clock.now_ms()))

    async def greet():
        from firmware.roles.greeting import END_MS, moments

        hellos = moments(modem.free_ms - begun, _part)
        forget("roles.greeting")
        await until(hellos.pop(0))
        plan = furniture.plan if hasattr(furniture, "plan") else None
        alarms = furniture.alarms if hasattr(furniture, "alarms") else 0
        seq = uplink.hello(boards.reset_cause(), boards.bundle(_BUNDLE), protection, alarms or None, plan)
        wake.set()
        report.open()
        if opened:
            opened()
        # Who sleeps has one window for an answer, and does not start together with 200 others.
        if not kind.LISTEN:
            return
        for at in hellos + [END_MS]:
            await until(at)
            if node.answered or at == END_MS:
                break
            uplink.again(seq)
            wake.set()
        # What still waits for the silence after another frame.
        uplink.hush(seq)

    supervisor.spawn("radio", lambda: node.run(lambda: supervisor.alive("radio")), _SILENT_MS)
    supervisor.spawn("furniture", lambda: furniture.run(lambda: supervisor.alive("furniture")), _SILENT_MS)
    if counters.ready and not kept:
        supervisor.spawn("hello", greet)
    print("node", cfg.epoch, counters.boots, counters.ready)


def _part(ms):
    """A random part of a time."""
    r = boards.random(2)
    return (r[0] << 8 | r[1]) * ms >> 16


_KINDS = {2: "lamp", 3: "bin", 4: "leak", 6: "cabinet"}
