"""What must survive a power cut: small blobs in two copies, and the ring of sent frames (TRUST 3, 11).

A record is whole or not there: each carries a CRC-32, and a reader stops at the first that does not fit.
"""

import os
import struct
from binascii import crc32

from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

NVS = const(1)
FILE = const(2)

# Frames are kept whole in 16 full segments of 32 and the one being filled, then as leaves, 2,048 in 8 of 256.
_FRAMES = const(32)
_FRAME_FILES = const(17)
_LEAVES = const(256)
_LEAF_FILES = const(9)
# Of checkpoints and acknowledgements the last 32 at least: one full segment and the one being filled.
_KEPT = const(32)
_MAX_RECORD = const(400)

_UNCHAINED = const(0x80)  # beside the port: no h and no leaf follow
_CHECKPOINT = const(11)


def _whole(body):
    return body + struct.pack(">I", crc32(body))


def _checked(raw):
    """The body of what `_whole` made, or None."""
    if raw is None or len(raw) < 4 or struct.unpack(">I", raw[-4:])[0] != crc32(raw[:-4]):
        return None
    return raw[:-4]


class TwoCopies:
    """One blob in NVS and in files `path`.a and `path`.b, written in turn; the newest sound one holds.

    `nvs` has the calls of esp32.NVS; `key` at most 15 characters; `size` bounds the blob.
    """

    def __init__(self, nvs, key, path, size=96):
        self._nvs = nvs
        self._key = key
        self._path = path
        self._size = size + 8
        self._generation = 0
        self._held = 0  # length of the longest that was read or written
        self.sound = 0  # NVS | FILE: which held the newest at the last read or write

    def nvs_raw(self, size=0):
        """What NVS holds, sound or not, or None; also where it is longer than `size`."""
        buf = bytearray(size or self._size)
        try:
            return bytes(buf[: self._nvs.get_blob(self._key, buf)])
        except OSError:
            return None

    def _file_raw(self, suffix, size=0):
        try:
            with open(self._path + suffix, "rb") as f:
                return f.read((size or self._size) + 1)
        except OSError:
            return None

    def read(self):
        """The newest sound blob, or None; `sound` tells which copies hold it."""
        # In a full heap there may be no room for the longest, and most are much shorter.
        best = self._newest(self._held) if self._held else None
        if best is None:
            best = self._newest(self._size)
        if best is not None:
            self._held = max(self._held, len(best) + 8)
        return best

    def _newest(self, size):
        self.sound = 0
        self._generation = 0
        best = None
        for suffix in ("", ".a", ".b"):
            body = _checked(self._file_raw(suffix, size) if suffix else self.nvs_raw(size))
            if body is None or len(body) < 4:
                continue
            kind = FILE if suffix else NVS
            generation = struct.unpack(">I", body[:4])[0]
            if best is None or generation > self._generation:
                best = body[4:]
                self._generation = generation
                self.sound = kind
            elif generation == self._generation:
                self.sound |= kind
        return best

    def write(self, blob):
        """Write both copies and read them back; True when both hold the blob. Call `read` once before."""
        # Also after a failure the number goes up: two blobs of one generation could not be told apart.
        self._generation += 1
        raw = _whole(struct.pack(">I", self._generation) + blob)
        self._held = max(self._held, len(raw))
        suffix = ".b" if self._generation & 1 else ".a"
        try:
            self._nvs.set_blob(self._key, raw)
            self._nvs.commit()
        except OSError:
            pass
        try:
            with open(self._path + suffix, "wb") as f:
                f.write(raw)
        except OSError:
            pass
        held = self.nvs_raw(len(raw)) == raw
        self.sound = (NVS if held else 0) | (FILE if self._file_raw(suffix, len(raw)) == raw else 0)
        return self.sound == NVS | FILE


def _names(path):
    """Names of the ring's files; none where the file system is gone, which then reads as a lost ring."""
    try:
        return [n for n in os.listdir(path) if len(n) == 9 and n[0] in "flck"]
    except OSError:
        return []


class Log:
    """Records of rising number in segment files `path`/`prefix`xxxxxxxx, named by their first number.

    RAM holds one number for each file. A torn tail stays where it is and the next record opens a new file. Where
    the log ends after a boot is found by `storage_start`.
    """

    def __init__(self, path, prefix, per_file):
        self._prefix = path + "/" + prefix
        self._per_file = per_file
        self.first = sorted([int(n[1:], 16) for n in _names(path) if n[0] == prefix])
        self.last = -1
        self._count = per_file
        self._torn = False
        self._failed = False

    def records(self, first):
        """(number, body) of each record of a file, up to the first that is torn."""
        self._torn = True
        self._failed = False
        try:
            with open(self._prefix + "%08x" % first, "rb") as f:
                while True:
                    head = f.read(2)
                    size = head[0] << 8 | head[1] if len(head) == 2 else 0
                    if not 8 <= size <= _MAX_RECORD:
                        self._torn = len(head) > 0
                        return
                    body = _checked(f.read(size))
                    if body is None:
                        return
                    yield struct.unpack(">I", body[:4])[0], body[4:]
        except OSError:
            self._failed = True

    def full(self):
        return self._count >= self._per_file

    def append(self, seq, body):
        """Commit a record. WireError storage: it is not there, and what is there will not be read."""
        raw = _whole(struct.pack(">I", seq) + body)
        new = self.full()
        name = seq if new else self.first[-1]
        self._count += 1
        try:
            with open(self._prefix + "%08x" % name, "ab") as f:
                f.write(struct.pack(">H", len(raw)) + raw)
        except OSError:
            self._count = self._per_file
            raise WireError("storage")
        if new:
            self.first.append(seq)
            self._count = 1
        self.last = seq

    def find(self, seq):
        """The body of a record, or None."""
        name = -1
        for first in self.first:
            if first <= seq:
                name = first
        if name >= 0:
            records = self.records(name)
            for at, body in records:
                if at == seq:
                    records.close()
                    return body
        return None

    def remove(self, index):
        try:
            os.remove(self._prefix + "%08x" % self.first.pop(index))
        except OSError:
            raise WireError("storage")

    def trim(self, low, files):
        """Remove the oldest files: those with nothing above `low`, and any beyond `files`."""
        while len(self.first) > 1 and (self.first[1] <= low + 1 or len(self.first) > files):
            self.remove(0)


class FrameRing:
    """Every frame of an epoch, committed before it is transmitted: 512 whole, 2,048 more as leaves.

    A segment goes when it is acknowledged or overwritten; `overwritten` counts the frames that were
    overwritten unacknowledged. `last` is (seq, n, h) of the newest record, h empty without a chain; None in a
    ring that was never begun or is lost. Any call may raise WireError storage.
    """

    # Set by storage_start.
    _frames: "Log"
    _leaves: "Log"
    _heads: "Log"
    _acks: "Log"
    _low: int
    _acked: list
    _open_heads: list
    overwritten: int
    last: "tuple | None"

    def __init__(self, path):
        self._path = path
        try:
            os.mkdir(path)
        except OSError:
            pass
        from firmware.storage_start import Start

        Start.take_up(self)

    def _set_last(self, seq, body):
        n = body[0]
        self.last = (seq, n, b"" if body[1] & _UNCHAINED else body[2 : 34 if n else 18])

    def begin(self, h):
        """Empty the ring and start an epoch's chain at `h`: 16 bytes, or none for no chain."""
        from firmware.storage_start import Start

        Start.empty(self, h)

    def _commit(self, seq, body):
        frames = self._frames
        if frames.full() and len(frames.first) >= _FRAME_FILES:
            self._retire()
        frames.append(seq, body)
        self._set_last(seq, body)

    def put(self, seq, port, frame, n=0, h=b"", leaf=None):
        """Commit a frame, with the chain after it where there is one."""
        if leaf is None:
            self._commit(seq, bytes((0, port | _UNCHAINED)) + frame)
        else:
            self._commit(seq, bytes((n, port)) + h + leaf + frame)

    def checkpoint(self, seq, head, room, frame):
        """Commit a checkpoint over `head`; `room` (1..255) is the largest payload of its carrier."""
        body = bytes((0, _CHECKPOINT)) + head + bytes(16) + bytes((room,)) + bytes(31) + frame
        self._commit(seq, body)
        self._heads.append(seq, body)
        self._heads.trim(self._low, 2)
        self._open_heads.append(seq)
        if len(self._open_heads) > 2 * _KEPT:
            self._open_heads.pop(0)

    def _retire(self):
        """Make room: of the oldest file's frames only leaves stay, of the acknowledged ones nothing."""
        frames = self._frames
        lost = 0
        for seq, body in frames.records(frames.first[0]):
            if body[1] & 127 == _CHECKPOINT or self._is_acked(seq):
                continue
            lost += 1
            # Not again what a cut left half done.
            if seq > self._leaves.last and not body[1] & _UNCHAINED:
                self._leaves.append(seq, body[34:66])
        self._leaves.trim(self._low, _LEAF_FILES)
        if lost:
            self.overwritten += lost
            self._note(0)
        frames.remove(0)

    def _is_acked(self, seq):
        if seq <= self._low:
            return True
        for k in self._open_heads:
            if k > seq:
                return k in self._acked
        return False

    def _note(self, k):
        self._acks.append(self._acks.last + 1, struct.pack(">III", self._low, self.overwritten, k))
        self._acks.trim(-1, 2)

    def ack(self, k):
        """The store has the segment of checkpoint `k`: it may go. False for a checkpoint that is not kept."""
        if k <= self._low or k in self._acked:
            return True
        if k not in self._open_heads:
            return False
        self._acked.append(k)
        while self._open_heads and self._open_heads[0] in self._acked:
            self._low = self._open_heads.pop(0)
            self._acked.remove(self._low)
        self._note(k)
        self._trim()
        return True

    def release(self, seq):
        """Without a chain: every frame up to `seq` may go."""
        if seq > self._low:
            self._low = seq
            self._note(0)
            self._trim()

    def _trim(self):
        self._frames.trim(self._low, _FRAME_FILES)
        self._leaves.trim(self._low, _LEAF_FILES)
        self._heads.trim(self._low, 2)

    def get(self, seq):
        """(port, frame, room) of a frame that is whole, `room` 0 for all but checkpoints; else None."""
        body = self._frames.find(seq) or self._heads.find(seq)
        if body is None or not seq:
            return None
        port = body[1]
        if port & _UNCHAINED:
            return port & 127, body[2:], 0
        return port, body[66:], body[34] if port == _CHECKPOINT else 0

    def leaf(self, seq):
        """The leaf of a frame that is whole or was overwritten; None where it is gone."""
        body = self._frames.find(seq)
        if body is None:
            return self._leaves.find(seq)
        return None if body[1] & _UNCHAINED or body[1] == _CHECKPOINT or not seq else body[34:66]
