"""Two copies and the frame ring, on a flash that loses its supply at a chosen write."""

import os
import struct
from binascii import crc32

from firmware import storage
from firmware.protocols.cbor import WireError
from tests.mpy.support import MICROPYTHON, raises


class PowerCut(Exception):  # noqa: N818 - an event
    pass


class Flash:
    """Files and NVS in RAM. Write number `cut` keeps a part and raises PowerCut; so does all after it.

    A write is a file write, creation, removal or NVS blob; `keep` is what stays of the one that is cut, in
    quarters: 0 nothing, 4 all. `broken` holds "nvs" or "file": those writes then fail with OSError; "half": a
    file write stores half of what it was given first, as a full disk does.
    """

    def __init__(self):
        self.files = {}
        self.blobs = {}
        self.writes = 0
        self.cut = -1
        self.keep = 0
        self.broken = ()
        self.nvs_commits = 0

    def power(self, cut=-1, keep=0):
        """Power on again."""
        self.writes = 0
        self.cut = cut
        self.keep = keep

    def write(self, old, new):
        """What one write from `old` to `new` leaves; None is "not there"."""
        if self.cut >= 0 and self.writes >= self.cut:
            first = self.writes == self.cut
            self.writes += 1
            if not first or self.keep == 0:
                return old, True
            if self.keep == 4 or new is None or len(new) < 2:
                return new, True
            start = len(old) if old is not None and new[: len(old)] == old else 0
            return new[: start + (len(new) - start) * self.keep // 4], True
        self.writes += 1
        return new, False

    def put_file(self, name, new):
        if "file" in self.broken:
            raise OSError(28)
        if "half" in self.broken and new:
            old = self.files.get(name, b"")
            self.files[name] = new[: (len(old) + len(new)) // 2]
            raise OSError(28)
        left, cut = self.write(self.files.get(name), new)
        if left is None:
            self.files.pop(name, None)
        else:
            self.files[name] = left
        if cut:
            raise PowerCut

    # What `storage` takes from os and builtins.

    def open(self, name, mode):
        return _File(self, name, mode)

    def listdir(self, path):
        return [n[len(path) + 1 :] for n in self.files if n.startswith(path + "/")]

    def mkdir(self, path):
        pass

    def remove(self, name):
        if name not in self.files:
            raise OSError(2)
        self.put_file(name, None)

    # esp32.NVS

    def set_blob(self, key, value):
        assert len(key) <= 15
        if "nvs" in self.broken:
            raise OSError(-4357)
        left, cut = self.write(self.blobs.get(key), bytes(value))
        if left is not None:
            self.blobs[key] = left
        if cut:
            raise PowerCut

    def get_blob(self, key, buf):
        if key not in self.blobs:
            raise OSError(-4354)
        blob = self.blobs[key]
        if len(blob) > len(buf):
            raise OSError(-4364)
        buf[: len(blob)] = blob
        return len(blob)

    def commit(self):
        self.nvs_commits += 1


class _File:
    def __init__(self, flash, name, mode):
        self.flash = flash
        self.name = name
        self.mode = mode
        self.at = 0
        if mode == "rb":
            if name not in flash.files:
                raise OSError(2)
        elif mode == "wb":
            flash.put_file(name, b"")
        elif name not in flash.files:
            flash.put_file(name, b"")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        pass

    def read(self, size):
        data = self.flash.files[self.name][self.at : self.at + size]
        self.at += len(data)
        return data

    def write(self, data):
        assert self.mode in ("ab", "wb")
        self.flash.put_file(self.name, self.flash.files[self.name] + bytes(data))


def on(flash):
    """Make `storage` live on this flash; returns it."""
    storage.os = flash
    storage.open = flash.open
    return flash


def copies(flash):
    return storage.TwoCopies(flash, "ctr", "s/ctr")


def record(i, size=20):
    """The arguments of FrameRing.put for frame `i`."""
    return (
        i,
        10,
        bytes((i & 255,)) * size,
        i % 48 + 1,
        bytes((i & 255, i >> 8)) * 16,
        bytes((i >> 8, i & 255)) * 16,
    )


def filled(flash, count, start=1):
    ring = storage.FrameRing("r")
    if ring.last is None:
        ring.begin(bytes(16))
    for i in range(start, start + count):
        ring.put(*record(i))
    return ring


# TwoCopies


def test_a_short_blob_needs_a_short_buffer():
    flash = on(Flash())
    c = copies(flash)
    assert c.read() is None and c.write(b"x" * 90) and c.write(b"short")
    sizes = []
    get_blob = flash.get_blob

    def noted(key, buf):
        sizes.append(len(buf))
        return get_blob(key, buf)

    flash.get_blob = noted
    c = copies(flash)
    assert c.read() == c.read() == b"short" and sizes == [104, 13]
    # What is newest is lost: then the longer one of before is found.
    flash.blobs.clear()
    flash.files["s/ctr.a"] = b"rotten"
    assert c.read() == b"x" * 90 and sizes == [104, 13, 13, 104]
    assert c.read() == b"x" * 90 and sizes[4:] == [98]


def test_nothing_reads_as_none():
    c = copies(on(Flash()))
    assert c.read() is None and c.sound == 0


def test_both_copies_written_and_read_back():
    flash = on(Flash())
    c = copies(flash)
    c.read()
    assert c.write(b"one") and c.sound == storage.NVS | storage.FILE
    assert flash.nvs_commits == 1
    assert c.write(b"two")
    again = copies(flash)
    assert again.read() == b"two" and again.sound == storage.NVS | storage.FILE


def test_layout_is_generation_body_crc():
    flash = on(Flash())
    c = copies(flash)
    c.read()
    c.write(b"body")
    raw = b"\0\0\0\x01body"
    assert flash.blobs["ctr"] == raw + struct.pack(">I", crc32(raw))
    assert flash.files["s/ctr.b"] == flash.blobs["ctr"]
    c.write(b"next")
    assert sorted(flash.files) == ["s/ctr.a", "s/ctr.b"]


def test_one_copy_lost_is_enough_and_told():
    flash = on(Flash())
    c = copies(flash)
    c.read()
    for i in range(3):
        c.write(bytes((i,)))
    kept = dict(flash.blobs)
    flash.blobs.clear()
    c = copies(flash)
    assert c.read() == b"\x02" and c.sound == storage.FILE
    flash.blobs.update(kept)
    flash.files.clear()
    c = copies(flash)
    assert c.read() == b"\x02" and c.sound == storage.NVS
    assert c.write(b"\x03") and c.sound == storage.NVS | storage.FILE


def test_every_flipped_bit_is_seen():
    flash = on(Flash())
    c = copies(flash)
    c.read()
    c.write(b"abc")
    good = flash.blobs["ctr"]
    flash.files.clear()
    for i in range(len(good) * 8):
        bad = bytearray(good)
        bad[i // 8] ^= 1 << i % 8
        flash.blobs["ctr"] = bytes(bad)
        assert copies(flash).read() is None


def test_a_cut_at_every_write_leaves_old_or_new():
    for keep in range(5):
        for cut in range(6):
            flash = on(Flash())
            c = copies(flash)
            c.read()
            c.write(b"old" * 8)
            flash.power(cut, keep)
            try:
                c.write(b"new" * 8)
            except PowerCut:
                pass
            flash.power()
            found = copies(flash).read()
            assert found in (b"old" * 8, b"new" * 8), (cut, keep, found)


def test_a_copy_that_cannot_be_written_is_told():
    for broken in ("nvs", "file"):
        flash = on(Flash())
        c = copies(flash)
        c.read()
        assert c.write(b"old")
        flash.broken = (broken,)
        assert not c.write(b"new")
        assert c.sound == (storage.FILE if broken == "nvs" else storage.NVS)
        flash.broken = ()
        assert copies(flash).read() == b"new"


def test_a_copy_that_lies_is_told():
    # A worn cell: the write succeeds, reading gives something else.
    flash = on(Flash())
    c = copies(flash)
    c.read()
    flash.set_blob = lambda key, value: flash.blobs.update({key: b"\0" * len(value)})
    assert not c.write(b"x") and c.sound == storage.FILE


# FrameRing


def test_last_record_survives_a_reboot():
    flash = on(Flash())
    assert storage.FrameRing("r").last is None
    filled(flash, 40)
    _, port, frame, n, h, leaf = record(40)
    ring = storage.FrameRing("r")
    assert ring.last == (40, n, h)
    assert ring.get(40) == (port, frame, 0)
    assert ring.leaf(40) == leaf
    assert ring.get(41) is None and ring.leaf(41) is None and ring.get(0) is None and ring.leaf(0) is None


def test_begin_gives_the_head_and_wipes():
    flash = on(Flash())
    filled(flash, 70)
    ring = storage.FrameRing("r")
    ring.begin(b"H" * 16)
    assert ring.last == (0, 0, b"H" * 16) and len(flash.files) == 1
    assert storage.FrameRing("r").last == (0, 0, b"H" * 16)
    ring.begin(b"")
    assert storage.FrameRing("r").last == (0, 0, b"")


def test_512_frames_then_leaves_then_gone():
    flash = on(Flash())
    count = 3000
    ring = filled(flash, count)
    for _ in range(2):
        frames = [i for i in range(1, count + 1) if ring.get(i)]
        assert frames == list(range(frames[0], count + 1)) and 512 <= len(frames) <= 544
        leaves = [i for i in range(1, count + 1) if ring.leaf(i)]
        assert leaves == list(range(leaves[0], count + 1))
        assert 2048 <= len(leaves) - len(frames) <= 2304
        for i in (leaves[0], leaves[300], frames[0] - 1, frames[0], count):
            assert ring.leaf(i) == record(i)[5]
        assert ring.overwritten == frames[0] - 1
        ring = storage.FrameRing("r")


def test_last_32_checkpoints_are_kept():
    flash = on(Flash())
    ring = filled(flash, 0)
    seq = 0
    for _ in range(100):
        for _ in range(20):
            seq += 1
            ring.put(*record(seq))
        seq += 1
        ring.checkpoint(seq, bytes((seq & 255,)) * 16, 51, b"ck%d" % seq)
    for _ in range(2):
        kept = [k for k in range(21, seq + 1, 21) if ring.get(k)]
        assert kept == list(range(kept[0], seq + 1, 21)) and 32 <= len(kept) <= 64
        for k in kept:
            assert ring.get(k) == (11, b"ck%d" % k, 51)
        assert ring.leaf(kept[0]) is None
        assert ring.last == (seq, 0, bytes((seq & 255,)) * 16)
        ring = storage.FrameRing("r")


def segments(ring, count, size=40):
    """`count` segments of `size` frames; returns their checkpoints."""
    seq = ring.last[0]
    found = []
    for _ in range(count):
        for _ in range(size):
            seq += 1
            ring.put(*record(seq))
        seq += 1
        ring.checkpoint(seq, bytes(16), 255, b"c")
        found.append(seq)
    return found


def test_ck_ack_lets_segments_go_in_order():
    flash = on(Flash())
    ring = filled(flash, 0)
    ks = segments(ring, 5)
    before = len(flash.files)
    assert ring.ack(ks[1])
    # An older segment still open: nothing may go.
    assert len([n for n in flash.files if n[2] == "f"]) == len([1 for n in range(0, ks[4], 32)])
    assert ring.get(1) and ring.get(ks[0] + 1)
    assert ring.ack(ks[0])
    assert not ring.get(1) and len(flash.files) <= before
    assert ring.get(ks[1] + 1), "a segment that was not acknowledged"
    ring = storage.FrameRing("r")
    assert ring.ack(ks[0]) and ring.ack(ks[1])
    assert not ring.ack(ks[2] + 1), "no checkpoint"
    for k in ks:
        assert ring.ack(k)
    assert ring.overwritten == 0 and len([n for n in flash.files if n[2] == "f"]) == 1
    assert ring.last[0] == ks[4]


def test_acknowledged_frames_are_not_counted_as_overwritten():
    flash = on(Flash())
    ring = filled(flash, 0)
    ks = segments(ring, 3, 40)
    assert ring.ack(ks[1]) and ring.ack(ks[2])
    segments(ring, 20, 40)
    ring = storage.FrameRing("r")
    # Checkpoints are kept apart, so what cannot be had any more is frames.
    lost = [i for i in range(1, ring.last[0]) if i not in ks and not ring.get(i)]
    assert ring.overwritten == len([i for i in lost if i < ks[0] or i > ks[2]]) > 200


def test_release_frees_frames_without_a_chain():
    on(Flash())
    ring = storage.FrameRing("r")
    ring.begin(b"")
    for i in range(1, 101):
        ring.put(i, 10, b"frame%d" % i)
    assert ring.get(5) == (10, b"frame5", 0) and ring.leaf(5) is None and ring.last == (100, 0, b"")
    ring.release(70)
    assert ring.get(100) and ring.get(71) and not ring.get(5)
    for i in range(101, 700):
        ring.put(i, 10, b"f")
    assert storage.FrameRing("r").overwritten > 0


def test_torn_tail_is_left_behind():
    for keep in range(5):
        flash = on(Flash())
        ring = filled(flash, 10)
        flash.power(0, keep)
        try:
            ring.put(*record(11))
        except PowerCut:
            pass
        flash.power()
        ring = storage.FrameRing("r")
        assert ring.last[0] == (11 if keep == 4 else 10)
        for i in range(1, 11):
            assert ring.get(i)
        for i in range(75, 110):
            ring.put(*record(i))
        ring = storage.FrameRing("r")
        assert ring.last[0] == 109
        assert [i for i in range(1, 120) if ring.get(i)] == list(range(1, 11 + keep // 4)) + list(
            range(75, 110)
        )


def test_a_full_disk_is_one_error_and_loses_nothing():
    for broken in ("file", "half"):
        flash = on(Flash())
        ring = filled(flash, 10)
        flash.broken = (broken,)
        assert raises(WireError, ring.put, *record(11)).args[0] == "storage"
        flash.broken = ()
        ring.put(*record(12))
        for _ in range(2):
            assert ring.get(10) and ring.get(11) is None and ring.get(12) and ring.last[0] == 12
            ring = storage.FrameRing("r")


def test_cut_between_the_two_commits_of_a_checkpoint():
    for cut in range(4):
        flash = on(Flash())
        ring = filled(flash, 3)
        flash.power(cut, 0)
        try:
            ring.checkpoint(4, b"h" * 16, 51, b"frame")
        except PowerCut:
            pass
        flash.power()
        ring = storage.FrameRing("r")
        if ring.last[0] == 4:
            assert ring.get(4) == (11, b"frame", 51) and ring.ack(4)
        else:
            assert ring.last[0] == 3 and not ring.ack(4)


def test_booting_on_a_flash_that_cannot_be_written():
    # With a torn first record to remove and a checkpoint's second record to write: no exception, no loss.
    flash = on(Flash())
    ring = filled(flash, 31)
    flash.power(1, 2)
    raises(PowerCut, ring.put, *record(32))
    flash.power()
    flash.broken = ("file",)
    ring = storage.FrameRing("r")
    assert ring.last[0] == 31 and ring.get(31) and len(flash.files) == 2
    flash = on(Flash())
    ring = filled(flash, 3)
    flash.power(1, 0)
    raises(PowerCut, ring.checkpoint, 4, b"h" * 16, 51, b"frame")
    flash.power()
    flash.broken = ("file",)
    ring = storage.FrameRing("r")
    assert ring.last[0] == 4 and ring.get(4) == (11, b"frame", 51)
    flash.broken = ()
    assert storage.FrameRing("r").ack(4)


def test_a_cut_anywhere_in_a_retirement_loses_no_leaf():
    # The write that makes the oldest of 17 files leaves: 32 leaves, the count, the removal, the new record.
    base = on(Flash())
    filled(base, 543)
    for cut in range(37):
        flash = on(Flash())
        flash.files = dict(base.files)
        ring = storage.FrameRing("r")
        flash.power(cut, cut % 5)
        try:
            ring.put(*record(544))
        except PowerCut:
            pass
        flash.power()
        ring = storage.FrameRing("r")
        ring.put(*record(600))
        for i in range(1, 544):
            assert ring.leaf(i) == record(i)[5], (cut, i)
        assert ring.get(32) or ring.overwritten >= 31


def test_steady_state_keeps_no_memory_on_real_files():
    path = (os.getenv("TMPDIR") or "/tmp") + "/lanterne-ring"
    storage.os = os
    storage.open = open
    ring = storage.FrameRing(path)
    try:
        ring.begin(bytes(16))
        for i in range(1, 801):
            ring.put(*record(i))
        if MICROPYTHON:
            import gc

            gc.collect()
            before = gc.mem_alloc()
        for i in range(801, 1100):
            ring.put(*record(i))
        if MICROPYTHON:
            gc.collect()
            # One more leaf file's number in a list.
            assert gc.mem_alloc() - before < 128, gc.mem_alloc() - before
        ring = storage.FrameRing(path)
        assert ring.last[0] == 1099 and ring.get(700) and ring.leaf(1)
    finally:
        for name in os.listdir(path):
            os.remove(path + "/" + name)
        os.rmdir(path)
