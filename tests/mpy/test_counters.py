"""Numbers across power cuts, lost copies and broken memory; the recover exchange."""

from firmware import storage
from firmware.counters import Counters, Recover
from firmware.protocols.cbor import WireError, encode
from firmware.protocols.opener import Opener
from firmware.protocols.seal import Sealer
from firmware.protocols.seqspace import MAX_SEQ
from tests.mpy.support import raises
from tests.mpy.test_keys import make_record
from tests.mpy.test_storage import Flash, PowerCut, copies, on

HEAD = b"h" * 16


def boot(flash, epoch=3, fresh=False, h0=HEAD):
    """(counters, ring, ready) after a power-up."""
    on(flash)
    flash.power()
    counters = Counters(copies(flash))
    ring = storage.FrameRing("r")
    ready = counters.start(epoch, ring, h0, fresh)
    assert ready == counters.ready
    return counters, ring, ready


def provisioned():
    flash = Flash()
    assert boot(flash, fresh=True)[2]
    return flash


def use(counters, ring, count):
    """Take numbers and commit a record for each, as the uplink does."""
    found = []
    for _ in range(count):
        seq = counters.take()
        ring.put(seq, 10, b"frame", 1, bytes(32), bytes(32))
        found.append(seq)
    return found


def refused(counters):
    return raises(WireError, counters.take).args[0]


def test_first_numbers_and_blocks():
    counters, ring, _ = boot(Flash(), fresh=True)
    assert ring.last == (0, 0, HEAD) and counters.boots == 1 and counters.epoch == 3
    assert use(counters, ring, 200) == list(range(1, 201))


def test_one_write_of_both_copies_in_64_numbers():
    flash = provisioned()
    counters, _, _ = boot(flash)
    flash.power()
    for _ in range(640):
        counters.take()
    # Each: a blob, a file opened anew, a file written.
    assert flash.writes == 3 * 9


def test_after_boot_start_at_the_mark():
    flash = provisioned()
    counters, ring, _ = boot(flash)
    assert use(counters, ring, 3) == [65, 66, 67]
    counters, ring, _ = boot(flash)
    assert ring.last[0] == 67 and counters.boots == 3
    assert use(counters, ring, 1) == [129]


def test_nothing_known_is_recover_not_one():
    counters, _, ready = boot(Flash())
    assert not ready and refused(counters) == "storage"


def test_both_copies_gone_with_keys_left():
    flash = provisioned()
    boot(flash)
    flash.blobs.clear()
    for name in list(flash.files):
        if name.startswith("s/"):
            del flash.files[name]
    counters, _, ready = boot(flash)
    assert not ready and refused(counters) == "storage"


def test_either_copy_alone_is_enough_and_is_mended():
    for lost in ("nvs", "file"):
        flash = provisioned()
        counters, ring, _ = boot(flash)
        used = use(counters, ring, 100)
        if lost == "nvs":
            flash.blobs.clear()
        else:
            for name in list(flash.files):
                if name.startswith("s/"):
                    del flash.files[name]
        counters, ring, ready = boot(flash)
        assert ready and counters.take() > used[-1]
        fresh = copies(flash)
        fresh.read()
        assert fresh.sound == storage.NVS | storage.FILE


def test_a_copy_that_cannot_be_written_gives_no_new_block():
    for broken in ("nvs", "file"):
        flash = provisioned()
        counters, _, _ = boot(flash)
        flash.broken = (broken,)
        taken = [counters.take() for _ in range(64)]
        assert taken == list(range(65, 129))
        assert refused(counters) == "storage" and not counters.ready
        flash.broken = ()
        assert refused(counters) == "storage", "until a boot or a new epoch"
        counters, _, ready = boot(flash)
        assert ready and counters.take() > 128
        flash.broken = (broken,)
        counters, _, ready = boot(flash)
        assert not ready and refused(counters) == "storage"


def test_ring_lost_is_recover():
    # A second chain from the same head would be equivocation.
    flash = provisioned()
    for name in list(flash.files):
        if name.startswith("r/"):
            del flash.files[name]
    assert not boot(flash)[2]


def test_file_system_gone_is_recover_and_no_crash():
    flash = provisioned()
    on(flash)

    def gone(*_):
        raise OSError(5)

    flash.broken = ("file",)
    flash.listdir = flash.mkdir = gone
    storage.open = gone
    counters = Counters(copies(flash))
    assert not counters.start(3, storage.FrameRing("r"), HEAD)
    flash = Flash()
    on(flash)
    flash.listdir = flash.mkdir = gone
    storage.open = gone
    assert not Counters(copies(flash)).start(3, storage.FrameRing("r"), HEAD, True)


def test_end_of_the_ring_that_cannot_be_read_is_recover():
    """The chain would go on from an older end, beside heads that were signed after it."""
    flash = provisioned()
    counters, ring, _ = boot(flash)
    use(counters, ring, 40)
    newest = max([n for n in flash.files if n.startswith("r/f")])
    real = flash.open

    def damaged(name, mode):
        if name == newest and mode == "rb":
            raise OSError(84)
        return real(name, mode)

    flash.open = damaged
    assert not boot(flash)[2]
    assert newest in flash.files, "what cannot be read is not thrown away"
    flash.open = real
    assert boot(flash)[2], "read again, it is the end"


def test_chain_of_another_profile_is_recover():
    flash = provisioned()
    assert not boot(flash, h0=b"")[2]
    flash = Flash()
    boot(flash, fresh=True, h0=b"")
    assert not boot(flash)[2] and boot(flash, h0=b"")[2]


def test_mark_older_than_the_ring_is_recover():
    flash = provisioned()
    old = (dict(flash.blobs), {n: v for n, v in flash.files.items() if n.startswith("s/")})
    counters, ring, _ = boot(flash)
    use(counters, ring, 70)
    for name in list(flash.files):
        if name.startswith("s/"):
            del flash.files[name]
    flash.blobs = old[0]
    flash.files.update(old[1])
    assert not boot(flash)[2]


def test_keys_older_than_the_numbers_are_recover():
    flash = provisioned()
    assert not boot(flash, epoch=2)[2]
    assert boot(flash, epoch=3)[2]


def test_new_epoch_begins_at_one_with_a_new_chain():
    flash = provisioned()
    counters, ring, _ = boot(flash)
    use(counters, ring, 5)
    counters.accept(0x10000005)
    counters, ring, ready = boot(flash, epoch=4, h0=b"n" * 16)
    assert ready and ring.last == (0, 0, b"n" * 16) and counters.take() == 1
    assert counters.boots == 3 and counters.last_command(1) == 0 and not counters.recovered


def test_rollover_of_seq_is_refused_by_name():
    flash = provisioned()
    counters, _, _ = boot(flash)
    counters._next = counters._mark = MAX_SEQ - 1
    assert counters.take() == MAX_SEQ - 1 and counters.take() == MAX_SEQ
    for _ in range(3):
        assert refused(counters) == "key_exhausted"
    counters, _, ready = boot(flash)
    assert ready and refused(counters) == "key_exhausted"


def test_without_a_chain():
    flash = Flash()
    counters, ring, ready = boot(flash, fresh=True, h0=b"")
    assert ready and ring.last == (0, 0, b"")
    ring.put(counters.take(), 10, b"frame")
    assert boot(flash, h0=b"")[2]


def test_boot_count_and_clock_generation_survive():
    flash = provisioned()
    counters, _, _ = boot(flash)
    counters.generation = 7
    assert counters.save()
    counters, _, _ = boot(flash)
    assert counters.boots == 3 and counters.generation == 7


# Commands


def test_cseq_strictly_rising_per_commander_and_persisted():
    flash = provisioned()
    counters, _, _ = boot(flash)
    counters.accept(0x10000005)
    counters.accept(0xF0000001)
    for cseq in (0x10000005, 0x10000004, 0x10000001, 0xF0000001):
        assert raises(WireError, counters.accept, cseq).args[0] == "cseq"
    counters, _, _ = boot(flash)
    assert counters.last_command(1) == 0x10000005 and counters.last_command(15) == 0xF0000001
    assert counters.last_command(0) == 0
    assert raises(WireError, counters.accept, 0x10000005).args[0] == "cseq"
    counters.accept(0x10000006)
    counters.accept(0x00000001)
    assert counters.last_command(0) == 1


def test_four_commanders_at_most():
    counters, _, _ = boot(Flash(), fresh=True)
    for who in range(4):
        counters.accept(who << 28 | 1)
    assert raises(WireError, counters.accept, 4 << 28 | 1).args[0] == "storage"
    counters.accept(3 << 28 | 2)


def test_command_number_that_cannot_be_kept():
    for broken in ("nvs", "file"):
        flash = provisioned()
        counters, _, _ = boot(flash)
        flash.broken = (broken,)
        assert raises(WireError, counters.accept, 0x10000009).args[0] == "storage"
        assert counters.last_command(1) == 0
        flash.broken = ()
        # The copy that took it is the newest after a boot: then the number counts as used.
        counters, _, ready = boot(flash)
        assert ready and raises(WireError, counters.accept, 0x10000009).args[0] == "cseq"


# Power cuts


def test_reserved_numbers_after_a_power_cut():
    """A cut at every write of booting and taking 130 numbers, with every tear: none is ever given twice."""
    base = provisioned()
    plan = Flash()
    plan.files, plan.blobs = dict(base.files), dict(base.blobs)
    counters, _, _ = boot(plan)
    plan.power()
    for _ in range(130):
        counters.take()
    writes = plan.writes + 4
    for keep in range(5):
        for cut in range(writes):
            flash = Flash()
            flash.files, flash.blobs = dict(base.files), dict(base.blobs)
            given = []
            for cut_at in (cut, (cut * 7 + keep) % writes, -1):
                on(flash)
                flash.power(cut_at, keep)
                try:
                    counters = Counters(copies(flash))
                    ring = storage.FrameRing("r")
                    if not counters.start(3, ring, HEAD):
                        raise AssertionError("two copies and one cut must not lead to recover")
                    while len(given) < 390:
                        given.append(counters.take())
                except PowerCut:
                    pass
            assert len(set(given)) == len(given) and given == sorted(given)


def test_first_boot_cut_anywhere_begins_once():
    for keep in range(5):
        for cut in range(12):
            flash = Flash()
            on(flash)
            flash.power(cut, keep)
            given = []
            try:
                counters = Counters(copies(flash))
                ring = storage.FrameRing("r")
                if counters.start(3, ring, HEAD, True):
                    given.append(counters.take())
            except PowerCut:
                pass
            counters, ring, ready = boot(flash, fresh=True)
            assert ready and ring.last[2] == HEAD
            given.append(counters.take())
            assert len(set(given)) == len(given)


def test_command_number_cut_at_every_write_runs_at_most_once():
    for keep in range(5):
        for cut in range(4):
            flash = provisioned()
            counters, _, _ = boot(flash)
            runs = 0
            flash.power(cut, keep)
            try:
                counters.accept(0x10000001)
                runs += 1
            except PowerCut:
                pass
            counters, _, ready = boot(flash)
            assert ready
            try:
                counters.accept(0x10000001)
                runs += 1
            except WireError:
                pass
            assert runs <= 1


# Recover


class Host:
    """Answers as the registry does."""

    def __init__(self, record):
        self.opener = Opener(record)
        self.sealer = Sealer(record, 1)

    def nonce(self, frame):
        payload = self.opener.open(4, 0, 0, frame)
        assert payload[:2] == b"\x81\x50" and len(payload) == 18
        return payload[2:]

    def answer(self, nonce, epoch=7, gps_s=1500000000):
        return self.sealer.seal(4, 0, encode((nonce, epoch, gps_s)))


def recovery():
    record = make_record()
    noise = [0]

    def urandom(size):
        noise[0] += 1
        return bytes((noise[0] * 7 & 255,)) * size

    return Recover(Sealer(record), Opener(record), urandom), Host(record)


def test_recover_exchange():
    recover, host = recovery()
    frame = recover.frame(300000)
    assert recover.answer(host.answer(host.nonce(frame))) == (7, 1500000000)


def test_recover_at_most_once_an_hour_with_jitter():
    recover, _ = recovery()
    sent = [t for t in range(0, 48 * 3600000, 5000) if recover.frame(t)]
    gaps = [sent[i + 1] - sent[i] for i in range(len(sent) - 1)]
    assert 0 < sent[0] <= 305000
    assert min(gaps) >= 3600000 and max(gaps) <= 3905000 and len(set(gaps)) > 20


def test_recover_answers_that_are_refused():
    recover, host = recovery()
    early = host.answer(bytes((14,)) * 16)
    assert raises(WireError, recover.answer, early).args[0] == "bad_nonce"
    nonce = host.nonce(recover.frame(300000))
    old = host.answer(nonce)
    nonce = host.nonce(recover.frame(10000000))
    assert raises(WireError, recover.answer, old).args[0] == "bad_nonce"
    for epoch in (3, 2, 0, -1, 1 << 32):
        bad = host.answer(nonce, epoch)
        assert raises(WireError, recover.answer, bad).args[0] == "out_of_range"
    for items in ((nonce,), (nonce, 7), (nonce, 7, b"x"), (nonce, True, 5), 5):
        bad = host.sealer.seal(4, 0, encode(items))
        assert raises(WireError, recover.answer, bad).args[0] == "wrong_shape"
    reflected = Sealer(make_record()).seal(4, 0, encode((nonce, 7, 5)))
    assert raises(WireError, recover.answer, reflected).args[0] == "bad_tag"
    good = host.answer(nonce)
    assert recover.answer(good) == (7, 1500000000)
    assert raises(WireError, recover.answer, good).args[0] == "bad_nonce"


def test_recovered_epoch_is_told_and_cuts_lead_back_to_recover():
    flash = provisioned()
    counters, ring, _ = boot(flash)
    use(counters, ring, 3)
    flash.files = {n: v for n, v in flash.files.items() if n.startswith("s/")}
    counters, _, ready = boot(flash)
    assert not ready
    assert raises(WireError, counters.new_epoch, 3).args[0] == "out_of_range"
    counters.new_epoch(7)
    # Cut before the key record of epoch 7 is written.
    assert not boot(flash, epoch=3)[2]
    counters, ring, ready = boot(flash, epoch=7, h0=b"7" * 16)
    assert ready and counters.recovered and counters.take() == 1 and ring.last == (0, 0, b"7" * 16)
    counters, _, _ = boot(flash, epoch=7)
    assert counters.recovered, "until a hello has said it"
    counters.recovered = False
    assert counters.save()
    assert not boot(flash, epoch=7)[0].recovered


def test_new_epoch_that_cannot_be_written():
    flash = Flash()
    counters, _, _ = boot(flash)
    flash.broken = ("file",)
    assert raises(WireError, counters.new_epoch, 7).args[0] == "storage"
