"""What node and gateway share: one task owns the radio and waits on one flag with a time-out.

The flag is set by the radio's interrupt and by whoever has work for the task, so a wait can end early; after
every wait the chip itself is asked.
"""

import asyncio
import gc
import time

from firmware.protocols.airtime import time_on_air_us
from firmware.protocols.compat import const

# The answer to an uplink starts one second after its end, as LoRaWAN's RX1 does.
RX_DELAY_MS = const(1000)


class Modem:
    """`open_radio()` resets and configures the chip; it is called again when the owning task starts again.

    duty: how many times its airtime a frame is followed by silence (99 for 1 %, 9 for 10 %). Airtime is
    charged before the frame starts. Nothing tells what was sent before a boot or when: so it begins with the
    silence after a frame of `longest` bytes, and no row of resets sends more than the law allows.
    """

    def __init__(self, open_radio, wake, clock, sf, duty, longest):
        self._open = open_radio
        self.wake = wake
        self.clock = clock
        self._sf = sf
        self._duty = duty
        self.free_ms = clock.now_ms() + self._air_ms(longest) * duty
        self.radio = None

    def _air_ms(self, size):
        return time_on_air_us(size, self._sf) // 1000 + 1

    def open(self):
        self.radio = self._open()

    async def wait(self, timeout_ms):
        """Until the flag is set, at most `timeout_ms`; true when it was set."""
        try:
            await asyncio.wait_for_ms(self.wake.wait(), max(timeout_ms, 1))
            return True
        except asyncio.TimeoutError:
            return False

    def heard(self):
        """What came in while receiving without end, True for nothing. Raises OSError where the chip does not
        receive any more: a dip of its supply has reset it, and it would be deaf for ever in its first state."""
        if self.radio.is_idle():
            raise OSError("radio idle")
        return self.radio.poll_recv()

    async def send(self, packet, at_ms=None):
        """Transmit now or at monotonic `at_ms`; returns the monotonic end. Raises ChipError, BusError, as
        every use of the radio: its task then starts again.

        Not to be cancelled: a cancelled send would leave the chip transmitting.
        """
        clock = self.clock
        radio = self.radio
        air_ms = self._air_ms(len(packet))
        gc.collect()
        radio.prepare_send(packet)
        if at_ms is not None:
            wait = at_ms - clock.now_ms()
            if wait > 0:
                await asyncio.sleep_ms(wait)
        self.free_ms = clock.now_ms() + air_ms * (self._duty + 1)
        radio.start_send()
        # The driver raises when the chip's own time-out, twice the airtime, has passed as well.
        end = True
        while end is True:
            await self.wait(air_ms + 20)
            end = radio.poll_send()
        # Of the interrupt: another task may have held this one up since.
        return clock.now_ms() - time.ticks_diff(time.ticks_ms(), end)
