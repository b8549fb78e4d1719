"""Uplink: makes the frames of purposes 0 and 3, chains, signs, keeps and sends them again (TRUST 3).

A frame is committed with its chain before anybody may transmit it; a message is sealed once and its stored
bytes are what is sent, however often. Nothing here waits or touches hardware.
"""

from firmware.protocols import chain, reasons
from firmware.protocols.airtime import max_payload, time_on_air_us
from firmware.protocols.cbor import WireError, encode
from firmware.protocols.codec import blank, encode_into
from firmware.protocols.compat import const, forget
from firmware.protocols.keyrecord import pinned
from firmware.protocols.schema import message

# When a checkpoint is due: at SF10 and slower, and at SF9 and faster (TRUST 3).
_N_SLOW = const(48)
_N_FAST = const(16)
_SLOW_MS = const(86400000)
_FAST_MS = const(21600000)
_N_MAX = const(255)
_CHECKPOINT_LEN = const(95)
# Checkpoints are a tenth of the uplink airtime: a ninth of what the frames under them take.
_SHARE = const(9)
# Airtime that may be saved up, in checkpoints: the second serves an alarm.
_SAVED = const(2)
_REFS = const(16)
# Frames that wait to be sent; older ones stay in the ring, where the store finds them by `want`.
_QUEUE = const(32)
_LINK = const(7)  # bytes of the link header around a frame
_FRAGMENT = const(3)  # bytes of a fragment's header
_PORT = b"\x0a\x0b\x00\x0c"
_ENVELOPE = b"\x12\x13\x4c"  # at most, for COSE tags 16, 17 and 18


class Uplink:
    """The one maker of uplink numbers.

    sealer: Sealer of the device; counters: Counters after `start`; ring: FrameRing; clock: has `now_ms()`;
    recover: a Recover for the state in which counters are not ready. `radio` says what the carrier takes.
    """

    def __init__(self, sealer, counters, ring, clock, sf=9, room=0, recover=None):
        self._sealer = sealer
        self._counters = counters
        self._ring = ring
        self._clock = clock
        self._recover = recover
        self._tag = pinned(sealer.record, 0)[0]
        self._queue = []  # numbers to transmit for the first time
        self._again = []  # numbers that were asked for
        self._cut = self._part = 0  # number that goes out in fragments, and its next one
        self._refs = []  # (number, end of transmission), newest last
        self._greeted = False
        self._saved_us = -1
        self.previous = self._n = 0
        self._h = b""
        if ring.last:
            self.previous, self._n, self._h = ring.last
        # Monotonic ms of the last checkpoint. How long the power was off is unknown: what a boot finds
        # unsigned counts as overdue.
        self._sealed_at = -_SLOW_MS if self._n else 0
        self.radio(sf, room)
        # Now, while the heap is in one piece: what the first frames would load.
        message(1)
        self._price_us()

    def radio(self, sf, room=0):
        """The spreading factor in use and the largest payload of the carrier, 0 for the usual one."""
        self._sf = sf
        self._room = room or max_payload(sf)

    def keep_time(self):
        """Call now and then."""
        self._counters.keep_time()

    def ready(self):
        """False in the state `recover`: `next_frame` then has something whenever a request is due."""
        return self._counters.ready

    def payload_room(self):
        """Bytes of the largest payload that fits the carrier now."""
        return self._room - _ENVELOPE[self._tag - 16]

    def hello(self, reset_cause, bundle, protection, alarms=None, plan=None):
        """Make the first frame after a boot; returns its number. Other frames are refused before it.

        `bundle`: 8 bytes of the bundle's hash; `plan`: of that of the plan in force; `reset_cause` and
        `protection` as the field table has them.
        """
        c = self._counters
        rows = message(1)
        values: list = blank(rows)
        values[3] = alarms
        values[4:13] = (
            c.boots,
            reset_cause,
            self.previous,
            bundle,
            protection,
            c.generation & 0xFFFF,
            self._ring.overwritten,
            int(c.recovered),
            plan,
        )
        buf = bytearray(64)
        end = encode_into(buf, 0, rows, values)
        if end > self.payload_room():
            # 51 bytes of the slowest data rates: the bundle's hash is what the store can do without.
            values[7] = None
            end = encode_into(buf, 0, rows, values)
        self._greeted = True
        try:
            seq = self.put(bytes(buf[:end]))
        except WireError:
            self._greeted = False
            raise
        # Told once; with the next block that is reserved the mark for it goes from storage too.
        c.recovered = False
        return seq

    def put(self, payload, purpose=0, alarm=False):
        """Seal, commit and queue a frame, and the checkpoint that it makes due; returns the frame's number.

        `purpose` 0 or 3; `alarm` makes a checkpoint due at once, as far as airtime allows. May take the time
        of a signature and its garbage.
        WireError: busy before `hello`; too_long for the carrier; storage or key_exhausted, after which
        nothing can be sent; no_memory where 255 frames wait for a signature; or the sealer's.
        """
        if not self._greeted:
            raise WireError("busy")
        if len(payload) > self.payload_room():
            raise WireError("too_long")
        # There was no memory for the signature that was due.
        if self._n >= _N_MAX and not self._signed():
            raise WireError("no_memory")
        seq = self._counters.take()
        frame = self._sealer.seal(purpose, seq, payload)
        port = _PORT[purpose]
        if self._tag == 18:
            self._ring.put(seq, port, frame)
            self._push(seq)
            return seq
        leaf = self._sealer.leaf(purpose, seq, payload)
        h = chain.step(self._h, leaf)
        self._ring.put(seq, port, frame, self._n + 1, h, leaf)
        self._h = h
        self._n += 1
        self._push(seq)
        self._earn(len(frame))
        if self._due(alarm):
            self._signed()
        return seq

    def _push(self, seq):
        if len(self._queue) >= _QUEUE:
            # Not the first, whose fragments may be under way.
            self._queue.pop(1)
        self._queue.append(seq)

    def _air_us(self, size):
        return time_on_air_us(size + _LINK, self._sf)

    def _price_us(self):
        room = self._room
        parts = _parts(_CHECKPOINT_LEN, room)
        if not parts:
            return self._air_us(_CHECKPOINT_LEN)
        rest = _CHECKPOINT_LEN - (parts - 1) * (room - _FRAGMENT)
        return (parts - 1) * self._air_us(room) + self._air_us(rest + _FRAGMENT)

    def _earn(self, size):
        earned = self._air_us(size) // _SHARE
        if self._saved_us < 0:
            # First frame after a boot: the segment's frames of before were about as long.
            self._saved_us = earned * (self._n - 1)
        self._saved_us = min(self._saved_us + earned, _SAVED * self._price_us())

    def _due(self, alarm):
        if self._n >= _N_MAX:
            return True
        if self._saved_us < self._price_us():
            return False
        slow = self._sf > 9
        if alarm or self._n >= (_N_SLOW if slow else _N_FAST):
            return True
        return self._clock.now_ms() - self._sealed_at >= (_SLOW_MS if slow else _FAST_MS)

    def _signed(self):
        """Whether there was memory for a checkpoint; if not, it is due again when its airtime is saved anew."""
        try:
            self._checkpoint()
            return True
        except MemoryError:
            print("checkpoint: no_memory")
            self._saved_us = 0
            return False

    def _checkpoint(self):
        seq = self._counters.take()
        head = self._h[:16]
        try:
            frame = self._sealer.seal(1, seq, encode((self._n, head)))
        finally:
            # 6 KB that are needed a few times a day.
            forget("protocols.ed25519")
        self._ring.checkpoint(seq, head, self._room, frame)
        self._saved_us = max(0, self._saved_us - self._price_us())
        self._h = head
        self._n = 0
        self._sealed_at = self._clock.now_ms()
        self._push(seq)

    def next_frame(self):
        """(port, bytes, number) of what to transmit next, or None. The same again until `sent`.

        New frames go before those that were asked for. A checkpoint that does not fit comes as fragments,
        of the size that was the carrier's when it was made.
        """
        if not self._counters.ready and self._recover:
            found = self._recover.frame(self._clock.now_ms())
            return found and (13, found, 0)
        for queue in (self._queue, self._again):
            while queue:
                seq = queue[0]
                port, frame, room, parts = self._stored(seq)
                if not parts and 0 < len(frame) <= self._room:
                    return port, frame, seq
                if parts and port == 11:
                    from firmware.protocols.fragment import piece

                    if self._cut != seq:
                        # The other queue's checkpoint was under way: this one begins again.
                        self._cut = seq
                        self._part = 0
                    return port, piece(frame, seq, self._part, room), seq
                # Overwritten, or longer than what the carrier takes by now.
                queue.pop(0)
        return None

    def _stored(self, seq):
        """(port, frame, room, parts) of a frame in the ring, `parts` 0 where it goes out whole."""
        port, frame, room = self._ring.get(seq) or (0, b"", 0)
        room = min(room or self._room, self._room)
        return port, frame, room, _parts(len(frame), room)

    def sent(self, seq, end_ms=None):
        """What `next_frame` gave with that number left the antenna at monotonic `end_ms` (now)."""
        queue = self._queue
        if not seq or not queue or queue[0] != seq:
            queue = self._again
            if not queue or queue[0] != seq:
                return
        parts = self._stored(seq)[3]
        if parts and self._cut == seq:
            self._part += 1
            if self._part < parts:
                return
            self._cut = 0
        queue.pop(0)
        # Which of two transmissions the store heard cannot be told: then the frame dates nothing.
        self._refs = [r for r in self._refs if r[0] != seq]
        if not parts and queue is self._queue:
            self._refs.append((seq, self._clock.now_ms() if end_ms is None else end_ms))
            self._refs = self._refs[-_REFS:]

    def age_ms(self, ref):
        """Milliseconds since the end of an uplink sent once in this boot and remembered; -1 else."""
        for seq, end_ms in self._refs:
            if seq == ref:
                return self._clock.now_ms() - end_ms
        return -1

    def want(self, cseq, k, seqs):
        """Send frames again: `seqs`, or checkpoint `k` where the list is empty.

        Of a frame that was overwritten the leaf goes out as a result frame. Returns the name of the outcome:
        done; forgotten where nothing of it is here, or ever was (the store cannot know which numbers a boot
        left unused: were that said of a part, it would not ask again for the rest); busy where too much waits.
        """
        outcome = "forgotten"
        for seq in seqs or (k,):
            if seq not in self._again and seq not in self._queue:
                if len(self._again) >= _QUEUE:
                    return "busy"
                if self._ring.get(seq):
                    self._again.append(seq)
                else:
                    leaf = self._ring.leaf(seq)
                    if not leaf:
                        continue
                    self.put(encode((cseq, reasons.number("leaf"), seq, leaf)), 3)
            outcome = "done"
        return outcome

    def again(self, seq):
        """Transmit a stored frame once more, as it is, after what waits."""
        if seq not in self._again and seq not in self._queue and len(self._again) < _QUEUE:
            self._again.append(seq)

    def hush(self, seq):
        """Not once more, after all."""
        if seq in self._again:
            self._again.remove(seq)

    def ck_ack(self, k):
        """The store has the segment of checkpoint `k`. Returns the name of the outcome."""
        return "done" if self._ring.ack(k) else "forgotten"

    def link_ack(self, seq):
        """An authenticated link acknowledgement of all frames up to `seq`: it frees frames of sign1 only."""
        if self._tag == 18:
            self._ring.release(seq)


def _parts(size, room):
    """Fragments that a frame of that size takes, 0 where it goes out whole."""
    if size <= room:
        return 0
    # Only a carrier of the slowest rates makes a node load this.
    from firmware.protocols.fragment import count

    return count(size, room)


def start_head(record):
    """The head at which the record's chain starts, empty for a profile without a chain."""
    if pinned(record, 0)[0] == 18:
        return b""
    return chain.head0(record["tenant"], record["device"], record["epoch"], record["public_key"])
