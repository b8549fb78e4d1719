"""Faults: each kind by itself, from the examples of docs/faults.md, and the file of faults when it is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from host_tools import faults
from host_tools.errors import InputError
from host_tools.faults import Fault, Faults, Item, apply
from host_tools.faults.line import Answer, Answers
from host_tools.frames import Frame, Radio
from host_tools.lorawan.keysfile import Keys, Session
from provisioning.tenant import Tenant
from tests.host.lorawan_bench import Node, data_frame
from tests.host.synth import START_US, Device

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
EXAMPLES = dict(re.findall(r"### (\w+)\n.*?```toml\n(.*?)```", PAGE.read_text(), re.DOTALL))
HERE, THERE = bytes.fromhex("70b3d57ed0000001"), bytes.fromhex("70b3d57ed0000002")
NODE = Node(7).personal(0x26010203)


def source() -> list[Item]:
    """A minute between frames; ten of ours, then ten of LoRaWAN with numbers from 65530."""
    device = Device("mac0", 2)
    NODE.up = 65530
    data = [device.send() for _ in range(10)] + [NODE.send(b"lamp %d" % n) for n in range(10)]
    radio = Radio(868_100_000, 9, 125_000, -80 * 4, 20, counter_us=1000)
    times = [START_US + 60_000_000 * n for n in range(20)]
    return [
        Item(Frame(d, t, radio, gateway=HERE), n, t)
        for n, (d, t) in enumerate(zip(data, times, strict=True), 1)
    ]


def struck(text: str, folder: Path, seed: int = 7) -> list[Item]:
    path = folder / "faults.toml"
    path.write_text(text)
    return list(apply(source(), faults.load(path), seed))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder with a lab tenant and, in it, the session of the device."""
    Tenant.create(tmp_path / "lab", lab=True)
    Keys([], [Session(NODE.addr, NODE.nwk, NODE.app)]).dump(tmp_path / "lab" / "sessions.json")
    return tmp_path


def numbers(items: list[Item]) -> list[int]:
    return [i.origin for i in items]


def hit(items: list[Item]) -> list[Item]:
    return [i for i in items if i.struck]


def signed(fcnt: int, n: int) -> bytes:
    """What the device itself would send as its nth frame under another number."""
    return data_frame(NODE.addr, fcnt, NODE.nwk, NODE.app, 10, b"lamp %d" % n, bits=8)


def check_drop(items: list[Item]) -> None:
    assert 0 < len(hit(items)) < 10 and all(i.lost for i in hit(items))


def check_bit_flip(items: list[Item]) -> None:
    assert numbers(hit(items)) == [10, 20]
    for i in hit(items):
        before = i.struck[0][1]
        xor = int.from_bytes(before, "big") ^ int.from_bytes(i.frame.data, "big")
        assert xor.bit_count() == 1 and len(before) == len(i.frame.data)


def check_truncate(items: list[Item]) -> None:
    assert numbers(hit(items)) == [4, 9]
    assert all(i.struck[0][1].startswith(i.frame.data) and i.frame.data != i.struck[0][1] for i in hit(items))


def check_wrong_mic(items: list[Item]) -> None:
    assert numbers(hit(items)) == [5, 10, 15, 20]
    for i in hit(items):
        before = i.struck[0][1]
        assert before[:-4] == i.frame.data[:-4] and before[-4:] != i.frame.data[-4:]


def check_duplicate(items: list[Item]) -> None:
    assert hit(items) and all(i.added for i in hit(items))
    for i in hit(items):
        first = items[i.origin - 1 + sum(j.added for j in items[: items.index(i)])]
        assert i.frame.data == i.struck[0][1] and i.frame.gateway == THERE != first.frame.gateway
        assert (
            i.frame.radio.rssi_qdbm <= -80 * 4 and i.due_us - START_US == (i.origin - 1) * 60_000_000 + 40_000
        )


def check_reorder(items: list[Item]) -> None:
    assert sorted(numbers(items)) == list(range(1, 21)) != numbers(items)
    for place, i in enumerate(items):
        assert place - i.origin + 1 <= 8
        assert i.frame.time_us == START_US + 60_000_000 * (i.origin - 1)


def check_wrong_key(items: list[Item]) -> None:
    # The LoRaWAN ones cannot be forged.
    assert [(i.origin, i.added) for i in hit(items)] == [(6, True)]
    before = hit(items)[0].struck[0][1]
    assert hit(items)[0].frame.data[:7] == before[:7] and hit(items)[0].frame.data != before


def check_foreign_device(items: list[Item]) -> None:
    [added] = hit(items)
    assert added.origin == 5 and added.frame.data[3:5] == b"\xff\xfe"


def check_counter_jump(items: list[Item]) -> None:
    assert [(i.origin, i.frame.data) for i in hit(items)] == [(13, signed(65532 + 20000, 2))]


def check_counter_rollback(items: list[Item]) -> None:
    assert numbers(hit(items)) == [17, 18, 19, 20]
    # Across the end of the 16 bits that travel.
    assert [i.frame.data for i in hit(items)] == [signed(65536 + n - 4, n + 6) for n in range(4)]


def check_clock_drift(items: list[Item]) -> None:
    assert hit(items) == []
    for i in items:
        run_us = 60_000_000 * (i.origin - 1)
        assert i.due_us == START_US + run_us
        by_us = -1_500_000 + run_us * 40 // 1_000_000
        assert i.frame.time_us == START_US + run_us + by_us
        assert i.frame.radio.counter_us == (1000 + by_us) & 0xFFFFFFFF


def check_backhaul_cut(items: list[Item]) -> None:
    assert numbers(hit(items)) == [*range(6, 16)]
    assert numbers(items) == [*range(1, 21)]
    assert {i.due_us for i in hit(items)} == {START_US + 900_000_000}
    assert [i.frame.time_us for i in items] == [i.frame.time_us for i in source()]


def check_answers(items: list[Item]) -> None:
    assert items == source()


CHECKS: dict[str, Callable[[list[Item]], None]] = {
    name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")
}


@pytest.mark.parametrize("kind", faults.KINDS)
def test_the_example_of_the_page(kind: str, lab: Path) -> None:
    text = EXAMPLES[kind]
    assert [row["kind"] for row in tomllib.loads(text)["fault"]] == [kind]
    items = struck(text, lab)
    CHECKS["answers" if kind in faults.ANSWERS else kind](items)
    assert struck(text, lab) == items


def test_the_page_has_every_kind_and_no_other() -> None:
    assert set(EXAMPLES) == set(faults.KINDS)


def test_a_fault_that_does_nothing_would_be_seen() -> None:
    for kind, check in CHECKS.items():
        if kind != "answers":
            with pytest.raises((AssertionError, ValueError)):
                check(source())


def test_the_answers_of_the_page() -> None:
    found = [tomllib.loads(EXAMPLES[kind]) for kind in faults.ANSWERS]
    late, error = (faults.of(f, "page") for f in found)
    answers = Answers(Faults(late.faults + error.faults), 1)
    assert [answers.next() for _ in range(4)] == [
        Answer("COLLISION_PACKET", 0),
        Answer("", 80),
        Answer("", 0),
        Answer("", 80),
    ]
    by_chance = Faults((Fault("tx_ack", rate=0.5),))
    runs = []
    for seed in (1, 1, 2):
        answers = Answers(by_chance, seed)
        runs.append([answers.next().error for _ in range(64)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {"", "TOO_LATE"}


# Counters


def test_a_jump_is_signed_again(lab: Path) -> None:
    for at, by, number in ((11, 20000, 85530), (17, 3, 65539), (3, 20000, 0)):
        text = EXAMPLES["counter_jump"].replace("at = [13]", f"at = [{at}]").replace("20000", str(by))
        items = struck(text, lab)
        # The third frame is ours, which has no such counter.
        assert [i.frame.data for i in hit(items)] == ([signed(number, at - 11)] if number else [])
        left = [(i.origin, i.frame) for i in items if not i.struck]
        assert left == [(i.origin, i.frame) for i in source() if i.origin not in numbers(hit(items))]


def test_a_rollback_ends_at_zero(lab: Path) -> None:
    far = EXAMPLES["counter_rollback"].replace("at = [17]", "at = [11]").replace("by = 4", "by = 70000")
    assert hit(struck(far, lab))[0].frame.data == signed(0, 0)


def test_without_keys_the_mic_is_wrong(lab: Path) -> None:
    items = struck('[[fault]]\nkind = "counter_jump"\nnth = 15\nby = 10\n', lab)
    [i] = hit(items)
    before = i.struck[0][1]
    assert i.frame.data == before[:6] + (65534 + 10 & 0xFFFF).to_bytes(2, "little") + before[8:]


def test_keys_that_are_not_at_hand_leave_frames_alone(lab: Path) -> None:
    Keys([], [Session(NODE.addr, bytes(16), NODE.app)]).dump(lab / "lab" / "sessions.json")
    assert hit(struck(EXAMPLES["counter_jump"].replace("at = [13]", "nth = 1"), lab)) == []
    # Who may not read payloads cannot encrypt them again.
    Keys([], [Session(NODE.addr, NODE.nwk, b"")]).dump(lab / "lab" / "sessions.json")
    assert hit(struck(EXAMPLES["counter_jump"].replace("at = [13]", "nth = 1"), lab)) == []


def test_only_keys_of_a_lab_sign(lab: Path) -> None:
    from host_tools.errors import UsageError

    Tenant.create(lab / "real", "Commune")
    Keys([], [Session(NODE.addr, NODE.nwk, NODE.app)]).dump(lab / "real" / "sessions.json")
    with pytest.raises(UsageError, match="no lab tenant"):
        struck(EXAMPLES["counter_jump"].replace('"lab"', '"real"'), lab)
    for name in ("../real/sessions.json", str(lab / "real" / "sessions.json")):
        with pytest.raises(UsageError, match="not in the folder"):
            struck(EXAMPLES["counter_jump"].replace("sessions.json", name), lab)


# The line


def test_a_cut_may_lose_and_may_be_of_one_gateway(tmp_path: Path) -> None:
    text = EXAMPLES["backhaul_cut"] + "lost = true\n"
    assert [i.origin for i in struck(text, tmp_path) if i.lost] == [*range(6, 16)]
    assert hit(struck(text + f'gateway = "{THERE.hex()}"\n', tmp_path)) == []
    mixed = [replace(i, frame=replace(i.frame, gateway=THERE if i.origin % 2 else HERE)) for i in source()]
    cut = Faults((Fault("backhaul_cut", start_s=300, end_s=900, gateway=THERE),))
    items = list(apply(mixed, cut, 1))
    assert numbers(items) == [1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 7, 9, 11, 13, 15, 16, 17, 18, 19, 20]
    # A cut that outlasts the source gives what it held at its end.
    cut = Faults((Fault("backhaul_cut", start_s=300, end_s=9e6),))
    assert numbers(list(apply(source(), cut, 1))) == list(range(1, 21))


def test_several_faults_on_one_frame_are_all_told() -> None:
    wanted = Faults((Fault("bit_flip", nth=4), Fault("wrong_mic", nth=4), Fault("drop", nth=8)))
    items = list(apply(source(), wanted, 1))
    assert [k for k, _ in items[3].struck] == ["bit_flip", "wrong_mic"] and not items[3].lost
    assert [k for k, _ in items[7].struck] == ["bit_flip", "wrong_mic", "drop"] and items[7].lost
    assert items[3].struck[1][1] != items[3].struck[0][1] == source()[3].frame.data


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('kind = "drop"\nnth = 3\nby = 2\n', "drop has no 'by'"),
        ('kind = "clock_drift"\nnth = 3\nppm = 1\n', "clock_drift has no 'nth'"),
        ('kind = "clock_drift"\n', "ppm or offset_ms"),
        ('kind = "clock_drift"\nppm = nan\n', "ppm is"),
        ('kind = "clock_drift"\nppm = 1e9\n', "ppm is"),
        ('kind = "backhaul_cut"\nfrom = 5\nto = 5\n', "the second one later"),
        ('kind = "backhaul_cut"\nfrom = 5\n', "the second one later"),
        ('kind = "backhaul_cut"\nfrom = -5\nto = 5\n', "from is"),
        ('kind = "tx_ack"\nnth = 1\nerror = "NO"\n', "error is one of"),
        ('kind = "late_rx1"\nnth = 1\nms = 0\n', "ms is"),
        ('kind = "late_rx1"\nms = 5\n', "one of rate, nth and at"),
        ('kind = "duplicate"\nnth = 1\ngateway = "1"\n', "gateway is an EUI"),
        ('kind = "counter_jump"\nnth = 1\nkeys = "k"\n', "both tenant and keys"),
        ('kind = "counter_jump"\nnth = 1\nlasting = 1\n', "lasting is true or false"),
        ('kind = ["drop"]\nnth = 1\n', "no kind of fault"),
    ],
)
def test_a_wrong_member_is_one_line(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("[[fault]]\n" + text)
    with pytest.raises(InputError, match=re.escape(word)) as e:
        faults.load(path)
    assert "\n" not in str(e.value)
