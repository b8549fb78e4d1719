"""Flash and NVS: the rules of NOR, wear, and power cuts that tear."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.virtual import Violation, World
from hw.virtual.flash import BLOCK, DATA, PAGE, Flash, FlashRule, Partition, PowerCut, check_table, read_table
from hw.virtual.nvs import Nvs, NvsError
from hw.virtual.testing import add_script, run_script


def small(seed: int = 0) -> Flash:
    return Flash(
        0x20000, [Partition("nvs", DATA, 2, 0, 0x6000), Partition("p", DATA, 0x83, 0x8000, 0x8000)], seed
    )


def test_programming_only_clears_bits() -> None:
    flash = small()
    flash.program(0x8000, b"\xf0\x0f")
    flash.program(0x8000, b"\xc0\x0f")
    with pytest.raises(FlashRule, match="0x8000"):
        flash.program(0x8000, b"\xc1")
    flash.erase(8)
    assert flash.image("p")[:2] == b"\xff\xff"
    assert flash.wear("p") == (1, 1)
    flash.close()


@given(st.integers(0, 2**32), st.binary(min_size=1, max_size=1000), st.integers(0, 600), st.integers(0, 5))
def test_a_torn_program_is_a_prefix_and_clears_no_other_bit(
    seed: int, data: bytes, at: int, cut: int
) -> None:
    flash = small(seed)
    flash.cut_after(cut)
    pages = -(-(at % PAGE + len(data)) // PAGE)
    try:
        flash.program(0x8000 + at, data)
        assert cut >= pages
    except PowerCut:
        assert cut < pages
    got = flash.image("p")
    assert got[:at] == b"\xff" * at and got[at + len(data) :] == b"\xff" * (0x8000 - at - len(data))
    part = got[at : at + len(data)]
    n = next((i for i in range(len(data)) if part[i] != data[i]), len(data))
    assert part[n + 1 :] == b"\xff" * (len(data) - n - 1) or n == len(data)
    if n < len(data):
        assert part[n] | data[n] == part[n]
    flash.close()


@given(st.integers(0, 2**32))
def test_a_torn_erase_sets_bits_only(seed: int) -> None:
    flash = small(seed)
    old = random.Random(seed).randbytes(BLOCK)
    flash.load(old, 0x8000)
    flash.cut_after(0)
    with pytest.raises(PowerCut):
        flash.erase(8)
    new = flash.image("p")[:BLOCK]
    assert all(a & b == a for a, b in zip(old, new, strict=True))
    assert new != b"\xff" * BLOCK
    flash.close()


def test_partition_tables() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        check_table([Partition("a", 1, 2, 0, 0x2000), Partition("b", 1, 2, 0x1000, 0x1000)])
    with pytest.raises(ValueError, match="whole blocks"):
        check_table([Partition("a", 1, 2, 0, 100)])


def test_partition_table_in_csv(tmp_path: object) -> None:
    path = tmp_path / "t.csv"  # type: ignore[operator]
    path.write_text("# name, type\nnvs, data, nvs, 0x9000, 24K,\nring, data, 0x40, , 1M\n")
    assert read_table(path) == (
        Partition("nvs", 1, 2, 0x9000, 0x6000),
        Partition("ring", 1, 0x40, 0xF000, 1 << 20),
    )


def test_nvs_keeps_old_or_new_or_loses_the_entry_under_the_cut() -> None:
    seen = set()
    for seed in range(60):
        flash = small(seed)
        store = Nvs(flash)
        store.preset({"a": {"x": 1, "y": b"kept"}})
        flash.cut_after(0)
        with pytest.raises(PowerCut):
            store.set("a", "x", 2)
        seen.add(store.data.get(("a", "x")))
        assert store.get("a", "y", bytes) == b"kept"
        flash.close()
    assert seen == {1, 2, None}


def test_nvs_space_and_wear() -> None:
    flash = small()
    store = Nvs(flash)
    for i in range(126 * 10):
        store.set("a", "counter", i)
    assert flash.wear("nvs")[1] == 10
    assert store.dump() == {"a": {"counter": 126 * 10 - 1}}
    assert store.set("a", "counter", 126 * 10 - 1) == 0  # ESP-IDF does not write what is there
    with pytest.raises(NvsError):
        store.get("a", "none", int)
    flash.close()


def test_the_two_forms_of_writeblocks() -> None:
    board = run_script(
        """
        import esp32
        p = esp32.Partition("ring")
        buf = bytearray(8)
        p.writeblocks(3, b"abc", 5)
        p.readblocks(3, buf, 4)
        print(buf)
        p.writeblocks(3, b"\\x11" * 4096)
        p.readblocks(3, buf, 4088)
        print(buf, p.ioctl(4, 0), p.ioctl(5, 0))
        for f, a in ((p.readblocks, (256, buf)), (p.writeblocks, (0, b"short")), (esp32.Partition, ("?",))):
            try:
                f(*a)
            except OSError as e:
                print(e.args)
        """
    )
    assert board.failures == []
    assert board.console == [
        r"bytearray(b'\xffabc\xff\xff\xff\xff')",
        r"bytearray(b'\x11\x11\x11\x11\x11\x11\x11\x11') 256 4096",
        "(-260, 'ESP_ERR_INVALID_SIZE')",
        "(-258, 'ESP_ERR_INVALID_ARG')",
        "(2,)",
    ]


def test_programming_cells_that_are_not_erased_ends_the_run() -> None:
    with World() as world:
        add_script(
            world,
            "b",
            """
            import esp32
            p = esp32.Partition("ring")
            p.writeblocks(0, b"\\x00", 0)
            p.writeblocks(0, b"\\x01", 0)
            """,
        )
        with pytest.raises(Violation, match=r"board b.*flash: program at 0x300000"):
            world.run(5)


RING = """
import vfs, esp32, os, machine
part = esp32.Partition("store")
try:
    fs = vfs.VfsLfs2(part)
except OSError:
    assert machine.reset_cause() == 1 and esp32.NVS("t").get_i32("formatted") == 0
    vfs.VfsLfs2.mkfs(part)
    fs = vfs.VfsLfs2(part)
    esp32.NVS("t").set_i32("formatted", 1)
vfs.mount(fs, "/store")
def load():
    try:
        with open("/store/a", "rb") as f:
            return f.read()
    except OSError:
        return b"none"
# A file replaced by rename holds the old or the new content, never anything else.
old = load()
n = int(old) if old != b"none" else 0
assert old == b"none" or (len(old) == 300 and n > 0), old
print("found", n)
for i in range(n + 1, n + 6):
    with open("/store/b", "wb") as f:
        f.write(b"%300d" % i)
    os.rename("/store/b", "/store/a")
    print("wrote", i)
"""


def cut_everywhere(cuts: range) -> int:
    """Cut the power at unit n of the work, again and again; the number of cuts that fell into it."""
    fell = 0
    for n in cuts:
        with World(seed=n) as world:
            board = add_script(world, "b", RING, nvs={"t": {"formatted": 0}}, restart_s=0.5)
            world.run(10)  # formats and writes 1..5
            board.flash.cut_after(n)
            world.power_cut(board, back_s=0.1)
            world.run(30)
            assert board.failures == [], (n, board.failures)
            fell += board.boots == 3
            wrote = [int(line.split()[1]) for line in board.console if line.startswith("wrote")]
            found = [int(line.split()[1]) for line in board.console if line.startswith("found")]
            assert wrote[-1] >= 10
            if board.boots == 3:
                assert found[2] in (wrote_before(board.console), wrote_before(board.console) + 1)
    return fell


def wrote_before(console: list[str]) -> int:
    """The last number written before the last boot."""
    last = max(i for i, line in enumerate(console) if line.startswith("found"))
    return max(int(line.split()[1]) for line in console[:last] if line.startswith("wrote"))


def test_a_file_system_survives_cuts_at_some_writes() -> None:
    assert cut_everywhere(range(0, 30, 3)) >= 8


@pytest.mark.slow
def test_a_file_system_survives_a_cut_at_every_write() -> None:
    fell = cut_everywhere(range(120))
    assert 20 < fell < 120  # the last ones come after the work is done
