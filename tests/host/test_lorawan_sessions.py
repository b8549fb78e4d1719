"""Sessions from keys and from joins, counters of 32 bits, and verdicts that no order changes."""

from __future__ import annotations

import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from host_tools.frames import Frame, Network
from host_tools.lorawan import joining, phy, sessions
from host_tools.lorawan.keysfile import Device, Keys, Session
from host_tools.lorawan.sessions import Opened, Sessions
from tests.host import lorawan_bench as bench
from tests.host.lorawan_bench import Node, frame

ADDR = 0x260B1234


def keys_of(*nodes: Node, personal: bool = False) -> Keys:
    if personal:
        return Keys(sessions=[Session(n.addr, n.nwk, n.app, n.dev_eui) for n in nodes])
    return Keys(devices=[Device(f"lamp-{n.number}", n.dev_eui, n.join_eui, n.app_key) for n in nodes])


def verdicts(keys: Keys, frames: list[Frame]) -> dict[bytes, Opened]:
    """By frame, after all were taken in."""
    found = Sessions(keys)
    tokens = found.add_all(frames)
    found.settle()
    return {f.data: found.opened(t) for f, t in zip(frames, tokens, strict=True)}


def test_a_personalised_device() -> None:
    node = Node(1).personal(ADDR)
    up = node.send(b"hello", 10, fopts=b"\x02", bits=0b1010)
    down = node.order(b"on", 12)
    mine = node.order(b"\x06\x04\x03", 0)
    found = Sessions(keys_of(node, personal=True))
    opened = [found.opened(found.add(frame(d))) for d in (up, down, mine)]
    assert opened[0] == Opened(
        "unconfirmed_up",
        0,
        "good",
        ADDR,
        node.dev_eui,
        "",
        0,
        10,
        frozenset(("adr", "ack")),
        [("LinkCheckReq", {})],
        b"hello",
    )
    assert (opened[1].direction, opened[1].mic, opened[1].fcnt, opened[1].payload) == (1, "good", 0, b"on")
    # Port 0 is under the network's key.
    assert opened[2].payload == b"\x06\x04\x03"
    assert [name for name, _ in opened[2].mac_commands] == ["DevStatusReq", "DutyCycleReq"]


def test_a_published_frame() -> None:
    # lora-packet, README.
    nwk = bytes.fromhex("44024241ed4ce9a68c6a8bc055233fd3")
    app = bytes.fromhex("ec925802ae430ca77fd3dd73cb2cc588")
    found = Sessions(Keys(sessions=[Session(0x49BE7DF1, nwk, app)]))
    opened = found.opened(found.add(frame(bytes.fromhex("40F17DBE4900020001954378762B11FF0D"))))
    assert (opened.mic, opened.fcnt, opened.fport, opened.payload) == ("good", 2, 1, b"test")


def test_what_is_not_known_is_said() -> None:
    node, other = Node(1).personal(ADDR), Node(2).personal(ADDR + 1)
    good = node.send(b"x")
    cases = {
        good[:-1] + bytes((good[-1] ^ 1,)): ("bad", ""),
        other.send(b"x"): ("unchecked", ""),
        b"\x40" + bytes(5): ("unchecked", "truncated"),
        b"\xe0\x0a\x01": ("unchecked", ""),
        bench.request(bytes(16), bytes(8), bytes(8), 1): ("unchecked", ""),
        bench.accept(bytes(16), 1, 1, ADDR): ("unchecked", ""),
        b"\xc0\x00" + bytes(17): ("unchecked", ""),
    }
    found = verdicts(keys_of(node, personal=True), [frame(d) for d in cases])
    for data, (mic, reason) in cases.items():
        assert (found[data].mic, found[data].reason) == (mic, reason)
        assert (found[data].fcnt, found[data].dev_eui) in ((None, b""), (None, bytes(8)))
    assert found[b"\xe0\x0a\x01"].payload == b"\x0a\x01"


def test_frames_that_are_none_and_those_a_network_server_opened() -> None:
    node = Node(1).personal(ADDR)
    good = node.send(b"x")
    found = Sessions(keys_of(Node(1)))
    # The same bytes as a whole frame, as the rest of a broken record, and as a payload in clear.
    told = Network(node.dev_eui, ADDR, 70000, 10, True)
    tokens = found.add_all([frame(good), Frame(good, 5, reason="truncated"), Frame(good, 5, network=told)])
    assert len(set(tokens)) == 3
    plain, broken, clear = (found.opened(t) for t in tokens)
    assert (plain.mic, broken.reason) == ("unchecked", "truncated")
    assert (clear.mic, clear.mtype, clear.fcnt, clear.fport) == ("network", "confirmed_up", 70000, 10)
    assert (clear.payload, clear.dev_eui, clear.name) == (good, node.dev_eui, "lamp-1")
    told = Network(fport=0)
    opened = found.opened(found.add(Frame(b"\x02", 5, network=told)))
    assert opened.mac_commands == [("LinkCheckReq", {})]


def test_a_join_and_what_follows() -> None:
    node = Node(1)
    asked, answered = node.ask(), node.answer(ADDR, settings=0x23)
    up = node.send(b"hello")
    found = Sessions(keys_of(node))
    tokens = found.add_all([frame(asked, 0), frame(answered, 5), frame(up, 20)])
    request, accept, data = (found.opened(t) for t in tokens)
    assert (request.mic, request.name, request.dev_eui) == ("good", "lamp-1", node.dev_eui)
    assert isinstance(request.join, phy.JoinRequest)
    assert request.join.dev_nonce == 1
    assert (accept.mic, accept.dev_addr, accept.dev_eui, accept.name) == (
        "good",
        ADDR,
        node.dev_eui,
        "lamp-1",
    )
    assert isinstance(accept.join, phy.Accept)
    assert (accept.join.join_nonce, accept.join.rx1_dr_offset, accept.join.rx2_dr) == (1, 2, 3)
    assert (data.mic, data.fcnt, data.payload, data.name) == ("good", 0, b"hello", "lamp-1")
    assert found.joined() == [Session(ADDR, node.nwk, node.app, node.dev_eui, "lamp-1")]
    assert node.nwk.hex() not in repr(found.joined())
    assert found.summary() == {"frames": 3, "distinct": 3, "found": {"good": 3}}


def test_a_request_under_another_key_is_bad() -> None:
    node = Node(1)
    forged = bench.request(bytes(16), node.join_eui, node.dev_eui, 9)
    found = Sessions(keys_of(node))
    assert found.opened(found.add(frame(forged))).mic == "bad"


@pytest.mark.parametrize("ids", ["both", "dev_eui", "join_eui"])
def test_keys_of_a_device_anywhere_and_of_anyone_there(ids: str) -> None:
    node = Node(1)
    dev_eui = b"" if ids == "join_eui" else node.dev_eui
    join_eui = b"" if ids == "dev_eui" else node.join_eui
    keys = Keys([Device("", b"", node.join_eui, bytes(16)), Device("x", dev_eui, join_eui, node.app_key)])
    frames = [frame(node.ask(), 0), frame(node.answer(ADDR), 5), frame(node.send(b"a"), 9)]
    assert [o.mic for o in verdicts(keys, frames).values()] == ["good"] * 3


def test_the_accept_may_answer_any_of_several_requests() -> None:
    node = Node(1)
    asked = [frame(node.ask(), 10 * n) for n in range(5)]
    answered = frame(node.answer(ADDR, nonce=3), 26)
    frames = [*asked, answered, frame(node.send(b"x"), 60)]
    found = verdicts(keys_of(node), frames)
    assert found[frames[-1].data].payload == b"x"


def test_more_requests_than_are_tried() -> None:
    node = Node(1)
    asked = [frame(node.ask(), n) for n in range(3 * joining.MAX_REQUESTS)]
    # Answered is the one 5 s before the accept, in the middle of all.
    answered = frame(node.answer(ADDR, nonce=13), 12 + 5)
    frames = [*asked, answered, frame(node.send(b"x"), 60)]
    for _ in range(5):
        random.Random(1).shuffle(frames)
        assert {o.mic for o in verdicts(keys_of(node), frames).values()} == {"good"}


def test_an_accept_far_from_every_request_is_nobodys() -> None:
    node = Node(1)
    asked, answered = node.ask(), node.answer(ADDR)
    for away, mic in ((59, "good"), (61, "unchecked"), (-59, "good"), (-61, "unchecked")):
        found = verdicts(keys_of(node), [frame(asked, 100), frame(answered, 100 + away)])
        assert found[answered].mic == mic
    # Without a time it may be.
    found = verdicts(keys_of(node), [frame(asked, 100), frame(answered, -1)])
    assert found[answered].mic == "good"


def test_devices_that_share_an_app_key() -> None:
    nodes = [Node(n, bytes(range(16))) for n in range(3)]
    # All joins at once, each under another DevNonce, as devices of some years do.
    frames = []
    for n, node in enumerate(nodes):
        node.nonce, node.join_nonce = 10 * n, 100 * n
        frames += [frame(node.ask(), n), frame(node.answer(ADDR + n), n + 5), frame(node.send(b"%d" % n), 30)]
    found = verdicts(keys_of(*nodes), frames)
    for n, node in enumerate(nodes):
        opened = found[frames[3 * n + 2].data]
        assert (opened.payload, opened.dev_eui) == (b"%d" % n, node.dev_eui)
        # Which of them was meant the accept does not say.
        assert (found[frames[3 * n + 1].data].dev_eui, found[frames[3 * n + 1].data].mic) == (b"", "good")


def test_one_accept_in_two_versions_begins_one_session() -> None:
    node = Node(1)
    asked = frame(node.ask(), 0)
    first = frame(node.answer(ADDR), 5)
    second = frame(
        bench.accept(node.app_key, node.join_nonce, node.net_id, ADDR, settings=0x55), 6
    )  # other settings for the second window
    frames = [asked, first, second, frame(node.send(b"x"), 20)]
    found = Sessions(keys_of(node))
    tokens = found.add_all(frames)
    assert [found.opened(t).mic for t in tokens] == ["good"] * 4
    assert len(found.joined()) == 1


def test_a_session_given_and_derived_is_one() -> None:
    node = Node(1)
    frames = [frame(node.ask(), 0), frame(node.answer(ADDR), 5), frame(node.send(b"x"), 20)]
    both = Keys(keys_of(node).devices, [Session(ADDR, node.nwk, node.app)])
    found = verdicts(both, frames)[frames[2].data]
    assert (found.dev_eui, found.name, found.payload) == (node.dev_eui, "lamp-1", b"x")
    # Whoever may not read gets everything but the payload.
    found = verdicts(Keys(sessions=[Session(ADDR, node.nwk, b"")]), frames)[frames[2].data]
    assert (found.mic, found.fcnt, found.payload, found.fport) == ("good", 0, None, 10)


def test_several_sessions_of_one_address() -> None:
    nodes = [Node(n).personal(ADDR) for n in range(5)]
    frames = [frame(node.send(b"%d" % n), n) for n, node in enumerate(nodes) for _ in range(3)]
    found = verdicts(keys_of(*nodes, personal=True), frames)
    for n, f in enumerate(frames):
        opened = found[f.data]
        assert (opened.payload, opened.dev_eui) == (b"%d" % (n // 3), nodes[n // 3].dev_eui)


def test_counters_of_32_bits() -> None:
    node = Node(1).personal(ADDR)
    counters = [0, 1, 65534, 65535, 65536, 70000, 131072, 1_048_575, 1_048_576, 1_114_112, 1_179_649]
    frames = []
    for n in counters:
        node.up = node.down = n
        frames += [frame(node.send(b"u")), frame(node.order(b"d"))]
    keys = keys_of(node, personal=True)
    for seed in range(3):
        random.Random(seed).shuffle(frames)
        found = verdicts(keys, frames)
        for way in (0, 1):
            assert sorted(o.fcnt or 0 for o in found.values() if o.direction == way) == counters


def test_a_counter_out_of_reach_waits_for_one_near_it() -> None:
    node = Node(1).personal(ADDR)
    first_out = sessions.FIRST_BANDS << 16
    node.up = first_out + 65536
    far = frame(node.send(b"far"))
    node.up = first_out
    middle = frame(node.send(b"middle"))
    node.up = first_out - 1
    near = frame(node.send(b"near"))
    found = Sessions(keys_of(node, personal=True))
    tokens = [found.add(far), found.add(middle)]
    assert [found.opened(t).mic for t in tokens] == ["bad", "bad"]
    tokens.append(found.add(near))
    assert [found.opened(t).fcnt for t in tokens] == [first_out + 65536, first_out, first_out - 1]
    assert found.changed() == tokens[:2]
    assert found.changed() == []


def test_a_counter_that_is_told() -> None:
    node = Node(1).personal(ADDR)
    node.up = node.down = 0xFFFFFFFF
    frames = [frame(node.send(b"u")), frame(node.order(b"d"))]
    keys = Keys(sessions=[Session(ADDR, node.nwk, node.app, fcnt_up=0xFFFE0000, fcnt_down=0xFFFF0000)])
    assert [o.fcnt for o in verdicts(keys, frames).values()] == [0xFFFFFFFF] * 2
    assert {o.mic for o in verdicts(keys_of(node, personal=True), frames).values()} == {"bad"}


def test_counters_below_one_that_is_told() -> None:
    node = Node(1).personal(ADDR)
    frames = []
    for band in (100, 99, 98, 97):
        node.up = band << 16
        frames.append(frame(node.send(b"u")))
    keys = Keys(sessions=[Session(ADDR, node.nwk, node.app, fcnt_up=100 << 16)])
    for some in (frames, frames[::-1]):
        assert {o.mic for o in verdicts(keys, some).values()} == {"good"}
    # Two bands away from everything known.
    assert {o.mic for o in verdicts(keys, frames[2:]).values()} == {"bad"}


def test_live_traffic_hears_of_what_changed() -> None:
    node = Node(1)
    asked, answered = frame(node.ask(), 0), frame(node.answer(ADDR), 5)
    data = [frame(node.send(b"%d" % n), 10 + n) for n in range(3)]
    found = Sessions(keys_of(node))
    early = [found.add(data[0]), found.add(answered), found.add(data[1])]
    assert [found.opened(t).mic for t in early] == ["unchecked"] * 3
    assert found.changed() == []
    found.add(asked)
    assert found.changed() == early
    assert [found.opened(t).mic for t in early] == ["good"] * 3
    last = found.add(data[2])
    assert found.opened(last).payload == b"2"
    assert found.changed() == []


def test_a_frame_heard_twice_is_one() -> None:
    node = Node(1).personal(ADDR)
    sent = node.send(b"x")
    found = Sessions(keys_of(node, personal=True))
    token = found.add(frame(sent, 3))
    assert found.add(frame(sent, 1)) == token
    assert (found.count(token), found.frames) == (2, 2)


def test_more_joins_under_one_address_than_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    node = Node(1)
    frames = []
    for n in range(8):
        at = 1000 * n
        frames += [
            frame(node.ask(), at),
            frame(node.answer(ADDR), at + 5),
            frame(node.send(b"%d" % n), at + 9),
        ]
    # And one that comes so late that three others are nearer: its session has no say any more.
    node.join_nonce, node.nonce = 0, 0
    node.ask()
    node.answer(ADDR)
    node.up = 7
    late = frame(node.send(b"late"), 7500)
    for seed in range(4):
        mixed = [*frames, late]
        random.Random(seed).shuffle(mixed)
        found = verdicts(keys_of(node), mixed)
        assert [found[f.data].mic for f in frames] == ["good"] * len(frames)
        assert found[late.data].mic == "bad"


def test_a_session_that_loses_its_turn_takes_its_counters_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 1)
    monkeypatch.setattr(sessions, "FIRST_BANDS", 1)
    node = Node(1)
    first = [frame(node.ask(), 0), frame(node.answer(ADDR), 5)]
    node.up = 2 << 16
    far = frame(node.send(b"far"), 10)
    node.up = 1 << 16
    bridge = frame(node.send(b"bridge"), 3000)
    second = [frame(node.ask(), 3100), frame(node.answer(ADDR), 3105)]
    assert verdicts(keys_of(node), [*first, bridge, far])[far.data].mic == "good"
    # The second join is nearer to the bridge, and without it nothing leads as far.
    for frames in ([*first, far, bridge, *second], [*second, *first, bridge, far]):
        found = verdicts(keys_of(node), frames)
        assert [found[f.data].mic for f in (far, bridge)] == ["bad", "bad"]


def test_a_session_given_comes_before_those_of_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 1)
    for number in range(8):
        node, abp = Node(number), Node(99).personal(ADDR)
        keys = Keys(keys_of(node).devices, keys_of(abp, personal=True).sessions)
        frames = [frame(node.ask(), 0), frame(node.answer(ADDR), 5)]
        frames += [frame(abp.send(b"x"), 6), frame(abp.send(b"x"), -1)]
        assert [o.mic for o in verdicts(keys, frames).values()] == ["good"] * 4


def test_a_reception_that_becomes_known_later() -> None:
    node = Node(1)
    asked, answered, data = node.ask(), frame(node.answer(ADDR), 105), frame(node.send(b"x"), 200)
    for early, late, mic in ((100, 190, "good"), (1, 100, "unchecked")):
        found = Sessions(keys_of(node))
        token = found.add_all([frame(asked, late), answered, data])[2]
        found.add(frame(asked, early))
        assert found.opened(token).mic == mic
        assert verdicts(keys_of(node), [frame(asked, early), answered, data])[data.data].mic == mic


def test_one_of_two_accepts_that_goes_leaves_the_session_to_the_other() -> None:
    node = Node(1)
    asked, first = frame(node.ask(), 100), frame(node.answer(ADDR), 105)
    again = bench.accept(node.app_key, node.join_nonce, node.net_id, ADDR, settings=0x55)
    data = frame(node.send(b"x"), 120)
    found = Sessions(keys_of(node))
    token = found.add_all([asked, first, frame(again, 106), data])[3]
    # It was on the air long before: it answers nothing that was heard.
    found.add(frame(again, 1))
    opened = found.opened(token)
    assert (opened.mic, opened.dev_eui) == ("good", node.dev_eui)


def test_requests_beyond_the_most_that_are_tried() -> None:
    node = Node(1)
    asked = [frame(node.ask(), n) for n in range(joining.MAX_REQUESTS + 1)]
    answered, data = frame(node.answer(ADDR, nonce=1), 30), frame(node.send(b"x"), 60)
    assert verdicts(keys_of(node), [*asked, answered, data])[data.data].mic == "bad"
    assert verdicts(keys_of(node), [*asked[:-1], answered, data])[data.data].mic == "good"


# Orders


def town(seed: int) -> tuple[Keys, list[Frame]]:
    """Devices that join, join again, share addresses and keys, lose frames and counters; repeats and junk."""
    chance = random.Random(seed)
    shared = bytes(chance.randbytes(16))
    nodes = [Node(n, shared if n < 3 else b"") for n in range(7)]
    frames: list[Frame] = []
    at = 0.0
    for _ in range(4):
        for node in nodes[:5]:
            at += chance.choice((1, 20, 400))
            for _ in range(chance.choice((1, 1, 4))):
                frames.append(frame(node.ask(), at))
                at += chance.choice((0.1, 7))
            addr = ADDR + chance.randrange(3)
            frames.append(
                frame(node.answer(addr, chance.choice((node.nonce, max(node.nonce - 1, 1)))), at + 5)
            )
            for _ in range(4):
                node.up += chance.choice((0, 1, 40000, 65000, 900_000))
                payload = chance.randbytes(chance.randrange(20))
                frames.append(
                    frame(node.send(payload, chance.choice((10, 0, None))), at + chance.random() * 50)
                )
                node.down += chance.choice((0, 70000))
                frames.append(frame(node.order(payload), at + 30))
    for node in nodes[5:]:
        node.personal(ADDR + node.number % 2)
        for up in (3, 65540, 1_048_570, 1_100_000, 1_160_000, 1_230_000):
            node.up = up
            frames.append(frame(node.send(b"abp"), at))
    for _ in range(10):
        broken = bytearray(chance.choice(frames).data)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        frames.append(frame(bytes(broken), chance.random() * at))
    # Other gateways hear some of them earlier, or with no clock.
    for _ in range(20):
        heard = chance.choice(frames)
        frames.append(
            frame(heard.data, chance.choice((-1, max(heard.time_us / 1e6 - bench.START_US / 1e6 - 2, 0))))
        )
    keys = keys_of(*nodes[:5])
    return Keys(keys.devices, keys_of(*nodes[5:], personal=True).sessions), frames


@given(st.integers(0, 2**32), st.sampled_from((2, 64)), st.sampled_from((1, 8)), st.sampled_from((1, 3)))
# A town is not shrunk: its seed tells all.
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_no_order_changes_a_verdict(seed: int, most: int, requests: int, bands: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "MAX_SESSIONS", most)
        patch.setattr(joining, "MAX_REQUESTS", requests)
        patch.setattr(sessions, "FIRST_BANDS", bands)
        keys, frames = town(seed)
        wanted = verdicts(keys, frames)
        for n in range(3):
            mixed = frames[:]
            random.Random(seed + n).shuffle(mixed)
            # Settled at every step, as live traffic is, or at the end only.
            found = Sessions(keys)
            tokens: dict[bytes, int] = {}
            told: dict[int, Opened] = {}
            for f in mixed:
                tokens[f.data] = token = found.add(f)
                if n:
                    if token not in told:
                        told[token] = found.opened(token)
                    told.update((t, found.opened(t)) for t in found.changed())
            assert {data: found.opened(t) for data, t in tokens.items()} == wanted
            if n:
                assert {data: told[t] for data, t in tokens.items()} == wanted


def test_the_town_is_worth_it() -> None:
    keys, frames = town(1)
    found = list(verdicts(keys, frames).values())
    assert sum(o.mic == "good" for o in found) > 100
    assert {o.mtype for o in found if o.mic == "good"} >= {"join_request", "join_accept", "unconfirmed_down"}
    assert max(o.fcnt or 0 for o in found) > 1_000_000


@given(st.lists(st.binary(max_size=60), max_size=30))
@settings(max_examples=40, deadline=None)
def test_hostile_bytes(datas: list[bytes]) -> None:
    keys, _ = town(1)
    found = Sessions(keys)
    for data in datas:
        opened = found.opened(found.add(frame(data)))
        assert opened.mic in ("unchecked", "bad")
    found.settle()
