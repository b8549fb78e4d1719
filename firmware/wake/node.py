"""A node on a battery: takes numbers, queue and clock up after a sleep, and sleeps when nothing is left to do.

Numbers in RTC memory are a cache of what flash holds: they hold only where both copies of the mark, the count of
boots and the end of the ring are as they were when the record was written. Else the start is an ordinary one.
"""

import gc

from firmware.clock import EPOCH_GPS
from firmware.counters import Counters as _Counters
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const
from firmware.roles.node import Node as _Node
from firmware.roles.uplink import Uplink as _Uplink
from firmware.wake import rtc
from firmware.wake.rtc import DRIFT_PERCENT, NODE, WHEN

# A wake and the load of the application cost about a second of the processor: shorter waits are waited for.
_WORTH_MS = const(3000)
# After that long awake the board sleeps, whatever waits: a dead radio must not empty the cell.
_AWAKE_MS = const(30000)
# A request to recover is due once an hour (TRUST 11), the first within five minutes of the start.
_ASK_MS = const(3600000)
_ASKED_MS = const(400000)
# A clock that may be wrong by more is no better than what a network says: the age that TIME may have (TRUST 4).
_UNSURE_MS = const(120000)
# For the record, as long as the heap is in one piece; a usual one has 500 bytes.
_room = bytearray(768)


class Counters(_Counters):
    """`kept`: NODE of the record. `resumed` after `start`: the numbers go on where they were, this is no boot."""

    kept = None
    resumed = False

    def start(self, epoch, ring, h0, fresh=False):
        self._ring = ring
        return super().start(epoch, ring, h0, fresh)

    def _reserve(self):
        kept = self.kept
        self.kept = None
        # `start` has counted this boot, and stands at the mark.
        if kept and self._copies.sound == 3 and kept[:3] == [self.epoch, self.boots - 1, self._ring.last[0]]:
            if self._ring.last[0] < kept[3] <= self._mark:
                self.boots -= 1
                self._next = kept[3]
                self.resumed = True
                return True
        return super()._reserve()

    def numbers(self):
        return [self.epoch, self.boots, self._ring.last[0], self._next]


class Uplink(_Uplink):
    def queues(self):
        """What waits and what was sent, times as ages in ms."""
        now = self._clock.now_ms()
        refs = [[seq, now - end_ms] for seq, end_ms in self._refs]
        return [
            self._queue,
            self._again,
            [self._cut, self._part],
            refs,
            self._saved_us,
            now - self._sealed_at,
        ]

    def take_up(self, kept, slept):
        most = slept[1]
        now = self._clock.now_ms()
        self._greeted = True
        self._queue, self._again, cut, refs, self._saved_us, sealed = kept
        self._cut, self._part = cut
        # Older than it may be, so that no command counts as fresher than it is.
        self._refs = [(seq, now - age - most) for seq, age in refs]
        self._sealed_at = now - sealed - most

    def waits(self):
        return len(self._queue) + len(self._again) > 0


class Node(_Node):
    """Sends what there is, and puts the board to sleep: `fall(ms)` never returns. `kind`: wake/kind.py."""

    def bind(self, kind, fall, kept):
        self._kind = kind
        self._fall = fall
        # Monotonic, of staying awake. Hello, or a request to recover, is out within five minutes of a start.
        self._limit_ms = _AWAKE_MS if kept else _ASKED_MS
        self._asked = False

    def opened(self):
        """Hello is made: then sleep."""
        self._limit_ms = self.modem.clock.now_ms() + _AWAKE_MS
        self._kind.done = True

    async def run(self, alive):
        modem = self.modem
        clock = modem.clock
        alive()
        try:
            modem.open()
            modem.radio.sleep()
        except Exception:
            # The supervisor tries again, and the limit holds here too.
            if clock.now_ms() >= self._limit_ms:
                self._fall(False)
            raise
        while True:
            alive()
            now = clock.now_ms()
            wait = modem.free_ms - now
            frame = self.uplink.next_frame() if wait <= 0 else None
            if frame:
                await self._send(*frame)
                self._asked = not frame[2]
                continue
            if self._kind.done and (wait > _WORTH_MS or not self.uplink.waits()):
                self._fall(True)
            if self._asked or now >= self._limit_ms:
                self._fall(False)
            await modem.wait(max(1, min(wait if wait > 0 else 1000, self._limit_ms - now)))


def clock_state(clock):
    return [clock.quality, clock.wire_ms(), clock.uncertainty_ms]


def set_clock(clock, kept, slept):
    """The wire time after a sleep: its uncertainty grows with what the oscillator may be off."""
    quality, wire_ms, unsure = kept
    least, most = slept
    if not quality:
        return
    ms = wire_ms + (least + most) // 2
    unsure += (most - least) // 2
    if unsure > _UNSURE_MS:
        quality = 1
    try:
        clock.set(quality, ms // 1000 + EPOCH_GPS, ms % 1000, unsure)
    except WireError:
        pass


def take_up(counters_, kept):
    """Before `Counters.start`."""
    counters_.kept = kept[NODE][0]


def wire(node, boards, board, counters_, clock, kind, kept):
    """Let the node put its board to sleep; returns what is to be called after hello."""
    modem = node.modem
    if kept:
        if not counters_.resumed:
            # The record does not fit what flash holds: an ordinary start.
            boards.reboot()
        _resume(kept, boards, clock, modem, node.uplink)
    node.bind(kind, _sleeper(boards, board, counters_, clock, modem, node.uplink, kind), kept)
    return node.opened


def _resume(kept, boards, clock, modem, up):
    # Queue, clock and the silence after the last frame.
    state = kept[NODE]
    slept = rtc.slept_ms(kept[WHEN], boards.calendar_ms()) or (0, 0)
    set_clock(clock, state[1], slept)
    up.take_up(state[2], slept)
    modem.free_ms = clock.now_ms() + max(0, state[3] - slept[0])


def _sleeper(boards, board, counters_, clock, modem, up, kind):
    """The function that puts the board to sleep; given False, where it has failed or asked to recover."""

    def fall(well):
        now = boards.calendar_ms()
        try:
            modem.radio.sleep()
        except Exception:
            pass  # dead or never opened: it can do no harm
        if not counters_.ready:
            boards.memory(b"")
            print("sleeps to recover")
            board.sleep(_ASK_MS)
        when = kind.when
        kind.align(now)
        free = max(0, modem.free_ms - clock.now_ms())
        when[0] = now
        when[2] = 0
        if up.waits():
            # Later by what the oscillator may be fast; where the radio has failed, with the next measurement.
            when[2] = now + free * 100 // (100 - DRIFT_PERCENT) + 500 if well else when[1]
        state = [counters_.numbers(), clock_state(clock), up.queues(), free]
        gc.collect()
        record = rtc.record(when, kind.fit, kind.state, state)
        try:
            try:
                boards.memory(rtc.pack(record, _room))
            except WireError:
                # A long queue.
                boards.memory(rtc.pack(record))
        except (MemoryError, WireError) as e:
            # Sooner a wake that is an ordinary start than a board that stays awake.
            print("not kept:", repr(e))
            boards.memory(b"")
        board.sleep(min(when[1], when[2] or when[1]) - now)

    return fall
