"""Gateway: hears one channel at one spreading factor, hands frames verbatim to a sink, transmits its answers.

It holds link keys only: it can carry readings and commands and can make neither (TRUST 16). Unknown senders
are carried too, counted, and get no downlink.
"""

import asyncio
import time

from firmware.protocols import gwrecord, link
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const
from firmware.roles.modem import RX_DELAY_MS

# Frames that wait for the sink; the oldest go first and are counted (a flash ring comes with MQTT).
_QUEUE = const(64)
# A downlink is handed to the radio this much before its instant, and is refused when later than this.
_LEAD_MS = const(40)
_LATE_MS = const(50)
# Who always listens does so again this long after its uplink, and waits: when 200 boards of a feeder ask for the
# time there is no airtime for all of them at once, and a time is of use for two minutes (TRUST 4).
_TURN_MS = const(200)
_WAIT_MS = const(60000)
_ROUND_MS = const(600000)
_FIRST_WAIT_MS = const(1000)
_LONGEST_WAIT_MS = const(60000)


class Gateway:
    """sink: `async send(record)` returns the peer's answer, None where the sink itself keeps the record, and
    raises OSError when it is not delivered; `boot` counts the starts of this gateway."""

    def __init__(self, cfg, modem, sink, boot):
        self.cfg = cfg
        self.modem = modem
        self.sink = sink
        self.boot = boot
        self.number = 0
        self.dropped = 0
        self.unknown = 0
        self.refused = 0
        self._down = 0
        self._queue = []
        self._plan = []  # (monotonic ms, latest, frame), earliest first
        self._ready = asyncio.Event()

    async def run(self, alive):
        """Own the radio: receive always, transmit planned downlinks at their instant."""
        modem = self.modem
        alive()
        modem.open()
        modem.radio.start_recv(continuous=True)
        while True:
            alive()
            wait = _ROUND_MS
            if self._plan:
                wait = self._plan[0][0] - _LEAD_MS - modem.clock.now_ms()
                if wait <= 0:
                    await self._transmit(*self._plan.pop(0))
                    continue
            await modem.wait(wait)
            packet = modem.heard()
            if packet is not True and packet:
                self._hear(packet)

    def _hear(self, packet):
        if not packet.valid_crc:
            self.refused += 1
            return
        cfg = self.cfg
        clock = self.modem.clock
        end_ms = clock.now_ms() - time.ticks_diff(time.ticks_ms(), packet.ticks_ms)
        self.number += 1
        if len(packet) < link.HEADER or (packet[2], packet[3] << 8 | packet[4]) not in cfg.routes:
            self.unknown += 1
        if len(self._queue) >= _QUEUE:
            self._queue.pop(0)
            self.dropped += 1
        record = gwrecord.pack(
            cfg.device,
            self.boot,
            self.number,
            clock.wire_ms(end_ms),
            clock.quality,
            end_ms * 1000 & 0xFFFFFFFF,
            cfg.freq_khz * 1000,
            cfg.sf,
            125000,
            packet.rssi,
            packet.snr,
            packet,
        )
        self._queue.append((self.number, end_ms, record))
        self._ready.set()

    async def forward(self):
        """Hand the queue to the sink in order; a record leaves it by an answer of its own, or as the oldest
        of a full queue. After a failure it is tried again with doubling waits of 1 to 60 s."""
        wait = _FIRST_WAIT_MS
        while True:
            while not self._queue:
                self._ready.clear()
                await self._ready.wait()
            number, end_ms, record = self._queue[0]
            try:
                answer = await self.sink.send(record)
                downlinks = self._check(number, answer) if answer is not None else ()
            except (OSError, WireError) as e:
                print("sink:", repr(e))
                await self.sink.close()
                await asyncio.sleep_ms(wait)
                wait = min(wait * 2, _LONGEST_WAIT_MS)
                continue
            wait = _FIRST_WAIT_MS
            if self._queue[0][0] == number:
                self._queue.pop(0)
            else:
                # The queue had overflowed meanwhile, and yet this one was delivered.
                self.dropped -= 1
            for downlink in downlinks:
                self._downlink(end_ms, *downlink)

    def _check(self, number, answer):
        """The downlinks of an answer to that record; WireError for any other, whose peer is out of step."""
        acked, downlinks = gwrecord.parse_answer(answer)
        if acked != number:
            raise WireError("wrong_shape")
        return downlinks

    def _downlink(self, end_ms, tag, address, port, body, window):
        k_link = self.cfg.routes.get((tag, address))
        if not k_link:
            # Only a sender that is routed here gets a downlink (TRUST 16).
            self.refused += 1
            print("downlink: unknown_device")
            return
        self._down = self._down + 1 & 0xFFFF
        frame = link.pack_down(port, tag, address, self._down, body, k_link)
        now = self.modem.clock.now_ms()
        if window:
            at_ms = end_ms + RX_DELAY_MS
            last_ms = at_ms + _LATE_MS
        else:
            at_ms = max(now + _LEAD_MS, end_ms + _TURN_MS)
            last_ms = now + _WAIT_MS
        if len(self._plan) >= _QUEUE:
            self.refused += 1
            return
        self._put(at_ms, last_ms, frame)
        self.modem.wake.set()

    def _put(self, at_ms, *rest):
        # Behind what has the same instant.
        at = len(self._plan)
        while at and self._plan[at - 1][0] > at_ms:
            at -= 1
        self._plan.insert(at, (at_ms,) + rest)

    async def _transmit(self, at_ms, last_ms, frame):
        modem = self.modem
        now = modem.clock.now_ms()
        if now < modem.free_ms and modem.free_ms + _LEAD_MS < last_ms:
            self._put(modem.free_ms + _LEAD_MS, last_ms, frame)
        elif now > last_ms or now < modem.free_ms:
            # Too late for the window, or no airtime left: the sender asks again with its next uplink.
            self.refused += 1
        else:
            await modem.send(frame, at_ms)
