"""Node: owns the radio of a lamp, bin or leak meter; sends what the uplink has, listens, passes commands."""

import asyncio

from firmware.protocols import link, ports
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const
from firmware.roles.modem import RX_DELAY_MS

# Opened early: 50 ppm of a second is nothing, a soft interrupt and a garbage collection are not.
_GUARD_MS = const(30)
# The gateway may be late by its own collection.
_LATE_MS = const(100)
# Symbols of preamble, sync word and header: only the header stops the radio's time-out (DS 13.1.5).
_HEAD = const(21)
# No wait is longer, so that the supervisor hears from the task; without numbers, so that a request to recover
# goes out when it is due and not with everybody else's.
_ROUND_MS = const(600000)
_ASK_MS = const(5000)


class Node:
    """listen: receive whenever not sending (mains), else only one window after each uplink (battery)."""

    def __init__(self, cfg, modem, uplink, commands, k_link, listen):
        # Not `cfg` itself, which is large and needed at the start only.
        self.tag = cfg.tag
        self.address = cfg.address
        self.window_ms = _GUARD_MS + _LATE_MS + (_HEAD << cfg.sf) // 125
        self.modem = modem
        self.uplink = uplink
        self.commands = commands
        self.k_link = k_link
        self.listen = listen
        self.refused = 0
        self.answered = False  # an authentic downlink came since boot

    async def run(self, alive):
        """Send and listen for ever; calls `alive()` at least every ten minutes."""
        modem = self.modem
        # Before a radio that may be dead: a reset of the board would cost its meter's pulses, and mend nothing
        # that the radio's own reset does not.
        alive()
        modem.open()
        if self.listen:
            modem.radio.start_recv(continuous=True)
        else:
            modem.radio.sleep()
        while True:
            alive()
            self.uplink.keep_time()
            now = modem.clock.now_ms()
            wait = modem.free_ms - now
            frame = self.uplink.next_frame() if wait <= 0 else None
            if frame:
                await self._send(*frame)
                continue
            longest = _ROUND_MS if self.uplink.ready() else _ASK_MS
            await modem.wait(min(wait, longest) if wait > 0 else longest)
            if self.listen:
                self._downlink(modem.heard())

    async def _send(self, port, body, seq):
        modem = self.modem
        end_ms = await modem.send(link.pack_up(port, self.tag, self.address, seq & 0xFFFF, body))
        self.uplink.sent(seq, end_ms)
        if self.listen:
            return
        wait = end_ms + RX_DELAY_MS - _GUARD_MS - modem.clock.now_ms()
        if wait > 0:
            await asyncio.sleep_ms(wait)
        radio = modem.radio
        radio.start_recv(timeout_ms=self.window_ms)
        got = True
        while got is True:
            # A queued frame wakes this wait too; the driver ends the window by its own deadline.
            await modem.wait(self.window_ms)
            got = radio.poll_recv()
        radio.sleep()
        self._downlink(got)

    def _downlink(self, packet):
        """A received packet: what is not ours is dropped, what is forged or malformed is counted."""
        if packet is True or not packet:
            return
        try:
            down, port, tag, address, _, body = link.parse(packet)
            if not down or tag != self.tag or address != self.address:
                return
            if not link.check_down(packet, self.k_link):
                raise WireError("link_mac")
            self.answered = True
            self.commands.handle(ports.purpose(port, 1), body)
        except WireError as e:
            self.refused += 1
            print("downlink:", e.args[0])
