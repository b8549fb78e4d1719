"""asyncio front of the radio. One task owns the object: its interrupt flag has one waiter."""

import asyncio

from firmware.drivers import radio_cad
from firmware.drivers.errors import ChipError
from firmware.drivers.sx126x import SX1262
from firmware.protocols.compat import const

# A lost edge costs at most this; the radio keeps what it received meanwhile.
_POLL_MS = const(2000)


class AsyncSX1262(SX1262):
    """`send`, `recv` and `cad` as coroutines; cancelled, they leave the radio in standby."""

    def __init__(self, *args, **kwargs):
        self._flag = asyncio.ThreadSafeFlag()
        super().__init__(*args, **kwargs)
        self._callback = self._flag.set

    async def wait(self, ms=_POLL_MS):
        """Until the next interrupt, at most `ms`; then poll whether or not it came."""
        try:
            await asyncio.wait_for_ms(self._flag.wait(), ms)
        except asyncio.TimeoutError:
            pass

    async def send(self, packet, tx_at_ms=None):
        """The ticks_ms of the end; `tx_at_ms` is when to start. A receive under way goes on afterwards.

        Raises ConfigError, ChipError, BusError.
        """
        clock = self._clock
        self.prepare_send(packet)
        done = True
        try:
            if tx_at_ms is not None:
                await asyncio.sleep_ms(max(0, clock.ticks_diff(tx_at_ms, clock.ticks_ms())))
            self._flag.clear()
            self.start_send()
            ms = self._air_us // 1000 + 5
            while done is True:
                await self.wait(ms)
                done = self.poll_send()
                ms = 5
        finally:
            if done is True:
                self.standby()
        return done

    async def recv(self, timeout_ms=None, rx_length=0xFF, rx_packet=None):
        """The packet, or None after the time-out. Raises ConfigError, BusError."""
        self._flag.clear()
        self.start_recv(timeout_ms, False, rx_length)
        packet = True
        try:
            while packet is True:
                await self.wait(min(_POLL_MS, (timeout_ms or _POLL_MS) + 5))
                packet = self.poll_recv(rx_packet)
        finally:
            if packet is True:
                self.standby()
        return None if packet is False else packet

    async def cad(self):
        """Whether the channel is in use. Raises ChipError when that takes over twice its time."""
        self._flag.clear()
        ms = radio_cad.start(self)
        busy = None
        try:
            for _ in range(3):
                await self.wait(ms)
                busy = radio_cad.poll(self)
                if busy is not None:
                    return busy
        finally:
            if busy is None:
                self.standby()
        raise ChipError("sx1262", "cad")
