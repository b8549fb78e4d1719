"""Numbers that are never used twice: of uplinks, of boots, of each commander's commands (TRUST 3, 4, 11)."""

import struct

from firmware.protocols.cbor import WireError, decode, encode
from firmware.protocols.compat import const
from firmware.protocols.seqspace import MAX_SEQ

# Numbers are reserved in blocks of this many, in both copies, before the first of them is used.
_BLOCK = const(64)
_RECOVERED = const(1)
# Epoch, mark, boots, clock generation, flags, last number of up to 4 commanders; then the time.
_LAYOUT = ">5I4I"
# The time is kept that often, and with whatever else is kept. 35,000 records of 52 bytes a year: at 31 of
# them in a page of NVS and 30 commits in a block of LittleFS under 1,200 erases of each, shared by their pages.
_TIME_S = const(900)
_HOUR_MS = const(3600000)
_SPREAD_MS = const(300000)


class Counters:
    """`copies` is a TwoCopies. Nothing is sealed under the epoch's keys but `recover` until `ready`."""

    def __init__(self, copies):
        self._copies = copies
        self.ready = False
        self.epoch = 0
        self.boots = 0
        self.generation = 0  # the clock's; saved with the next write
        self.recovered = False
        self.clock = None  # set by who wants the time kept
        self.time_s = 0  # the last that was kept
        self._next = self._mark = 0
        self._cseq = [0, 0, 0, 0]

    def start(self, epoch, ring, h0, fresh=False):
        """After a boot: take up the numbers at the mark, or begin an epoch. Returns `ready`.

        `epoch` is the key record's, `ring` the FrameRing, `h0` the head of the epoch's chain, empty without a
        chain. `fresh` is True only while provisioning's word stands that no number of these keys was used.
        Not ready (the state `recover`): both copies gone, one not writable, keys older than the numbers, the
        ring's chain gone, which would give one signed head two successors, or begun under another profile.
        """
        from firmware.counters_start import Start

        return Start.begin(self, epoch, ring, h0, fresh)

    def _reset(self, epoch):
        self.epoch = epoch
        self._mark = 0
        self._cseq = [0, 0, 0, 0]

    def _reserve(self):
        self._mark = self._next + _BLOCK
        return self.save()

    def save(self):
        """Write both copies and read them back; True when both hold the present state."""
        flags = _RECOVERED if self.recovered else 0
        clock = self.clock
        # What no commune has confirmed is no floor: it could shut out the right time.
        if clock and clock.quality > 1:
            self.time_s = max(0, clock.wire())
        return self._copies.write(
            struct.pack(_LAYOUT, self.epoch, self._mark, self.boots, self.generation, flags, *self._cseq)
            + struct.pack(">I", self.time_s)
        )

    def keep_time(self):
        """Call now and then: the time is kept every 15 minutes (EMBEDDED 10)."""
        clock = self.clock
        if self.ready and clock and clock.quality > 1 and not 0 <= clock.wire() - self.time_s < _TIME_S:
            self.save()

    def take(self):
        """The next uplink number; it is used up whatever becomes of it.

        WireError: storage in the state `recover`, into which a block that cannot be written leads;
        key_exhausted at the end of the epoch's numbers.
        """
        if self.ready and self._next > MAX_SEQ:
            raise WireError("key_exhausted")
        if self.ready and self._next >= self._mark:
            self.ready = self._reserve()
        if not self.ready:
            raise WireError("storage")
        self._next += 1
        return self._next - 1

    def new_epoch(self, epoch):
        """Before the key record of a recovery is written: a cut in between leads to another recovery.

        WireError: out_of_range where the epoch is not above every one known here; storage. Either way the
        old keys stay.
        """
        if epoch <= self.epoch:
            raise WireError("out_of_range")
        self.ready = False
        self._reset(epoch)
        self.recovered = True
        if not self.save():
            raise WireError("storage")

    def last_command(self, commander):
        """The last number of a commander (0..15) that was executed; 0 for none."""
        for cseq in self._cseq:
            if cseq and cseq >> 28 == commander:
                return cseq
        return 0

    def accept(self, cseq):
        """Persist a command's number before it is executed.

        WireError: cseq where it is not above the last, storage where it cannot be kept.
        """
        if cseq <= self.last_command(cseq >> 28):
            raise WireError("cseq")
        old = self._cseq
        for i in range(4):
            if not old[i] or old[i] >> 28 == cseq >> 28:
                self._cseq = old[:i] + [cseq] + old[i + 1 :]
                if self.save():
                    return
                self._cseq = old
                break
        raise WireError("storage")


class Recover:
    """Asks for a new epoch when keys are left and numbers are not (TRUST 11)."""

    def __init__(self, sealer, opener, urandom):
        self._sealer = sealer
        self._opener = opener
        self._urandom = urandom
        self._nonce = None
        # Monotonic: 200 boards of a feeder start in one second.
        self._at_ms = self._jitter(urandom(2))

    def _jitter(self, noise):
        return (noise[0] << 8 | noise[1]) * _SPREAD_MS >> 16

    def frame(self, now_ms):
        """The request to send on port 13, or None before the next is due: at most one an hour, jittered."""
        if now_ms < self._at_ms:
            return None
        self._nonce = self._urandom(16)
        self._at_ms = now_ms + _HOUR_MS + self._jitter(self._urandom(2))
        return self._sealer.seal(4, 0, encode((self._nonce,)))

    def answer(self, frame):
        """(epoch, gps_s) of an answer to the last request.

        WireError: as Opener.open; bad_nonce for another request's answer; out_of_range for an epoch that is
        not above the present one.
        """
        items = decode(self._opener.open(4, 1, 0, frame), 0, None, 1, 4)
        if not isinstance(items, list) or len(items) != 3:
            raise WireError("wrong_shape")
        nonce, epoch, gps_s = items
        if type(epoch) is not int or type(gps_s) is not int:
            raise WireError("wrong_shape")
        if nonce is None or nonce != self._nonce:
            raise WireError("bad_nonce")
        if not self._opener.record["epoch"] < epoch <= 0xFFFFFFFF:
            raise WireError("out_of_range")
        self._nonce = None
        return epoch, gps_s
