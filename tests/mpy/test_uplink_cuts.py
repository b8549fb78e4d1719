"""A power cut at every write of a run: no number twice, nothing sent that is not kept, the chain goes on."""

from firmware.protocols import cose
from tests.mpy.test_storage import Flash, PowerCut, on
from tests.mpy.test_uplink import Board, committed, leaf, verify_chain


def snapshots(frames, tears, before=0):
    """Every state of flash that a cut in a run of that many frames leaves, with what was on the air by then.

    `tears(i)`: what stays of write `i`, in quarters. `before`: frames that are made first, uncut.
    Returns (the board, [(files, blobs, frames on the air, what the torn write left)], [place of that write]).
    """
    board = Board()
    if before:
        board.hello()
        for _ in range(before):
            board.put()
            board.send()
        board.boot()
    found = []
    flash = board.flash
    real = flash.write
    count = [0]

    def write(old, new):
        for keep in tears(count[0]):
            probe = Flash()
            probe.power(0, keep)
            found.append((dict(flash.files), dict(flash.blobs), len(board.air), probe.write(old, new)[0]))
        count[0] += 1
        return real(old, new)

    flash.write = write
    where = []
    put_file, set_blob = flash.put_file, flash.set_blob

    def put_file_seen(name, new):
        at = len(found)
        put_file(name, new)
        where.extend([(1, name)] * (len(found) - at))

    def set_blob_seen(key, value):
        at = len(found)
        set_blob(key, value)
        where.extend([(0, key)] * (len(found) - at))

    flash.put_file, flash.set_blob = put_file_seen, set_blob_seen
    board.hello()
    board.send()
    for _ in range(frames - 1):
        board.put()
        board.send()
    return board, found, where


def check_cut(board, snapshot, place):
    """Boot from a snapshot, send on, and let the verifier look at all that was transmitted or committed."""
    files, blobs, sent, torn = snapshot
    target = files if place[0] else blobs
    if torn is None:
        target.pop(place[1], None)
    else:
        target[place[1]] = torn
    flash = Flash()
    flash.files, flash.blobs = files, blobs
    after = Board(flash=flash)
    assert after.ready, "one cut must not lead to recover"
    after.hello()
    after.put(2)
    after.send()
    used = {}
    for port, frame, seq in board.air[:sent] + after.air:
        assert used.setdefault(seq, (port, frame)) == (port, frame), "a number was used twice"
    assert min([f[2] for f in after.air]) > max([f[2] for f in board.air[:sent]] or [0])
    frames = committed(after, after.ring.last[0])
    for seq, frame in used.items():
        if frames[seq] != frame:
            assert frames[seq] == (0, leaf(board.record, 0, seq, cose.parse(frame[1])[3])), "not kept"
    segments, _ = verify_chain(after.record, frames)
    assert segments >= len([f for f in used.values() if f[0] == 11])
    return segments


def test_mark_lost_mid_write_200_frames_cut_at_every_write():
    # One tear for each write here, all five in tests/host/test_trust_power_cut.py.
    board, found, where = snapshots(200, lambda i: (i % 5,))
    assert len(found) > 230
    for i in range(len(found)):
        check_cut(board, found[i], where[i])


def test_cut_while_booting_twice():
    board = Board()
    board.hello()
    board.put(30)
    board.send()
    base = (dict(board.flash.files), dict(board.flash.blobs))
    for keep in range(5):
        for cut in range(12):
            board.flash.files, board.flash.blobs = dict(base[0]), dict(base[1])
            on(board.flash)
            sent = {}
            for cut_at in (cut, cut // 2, -1):
                try:
                    board.boot()
                    board.flash.power(cut_at, keep)
                    board.hello()
                    board.put(2)
                except PowerCut:
                    pass
                board.flash.power()
                frame = board.uplink.next_frame()
                while frame:
                    assert sent.setdefault(frame[2], frame) == frame
                    board.uplink.sent(frame[2])
                    frame = board.uplink.next_frame()
            assert board.boot().ready
            verify_chain(board.record, committed(board, board.ring.last[0]))
