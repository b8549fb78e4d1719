"""Blocking front of the radio, for tools and tests; the roles use radio_async.py."""

from firmware.drivers import radio_cad
from firmware.drivers.errors import ChipError
from firmware.drivers.sx126x import SX1262


class SyncSX1262(SX1262):
    """`send`, `recv` and `cad` block the caller for as long as the air takes."""

    def send(self, packet, tx_at_ms=None):
        """The ticks_ms of the end. `tx_at_ms` is when to start. Raises ConfigError, ChipError, BusError."""
        clock = self._clock
        self.prepare_send(packet)
        if tx_at_ms is not None:
            clock.sleep_ms(max(0, clock.ticks_diff(tx_at_ms, clock.ticks_ms())))
        self.start_send()
        clock.sleep_ms(self._air_us // 1000)
        while True:
            done = self.poll_send()
            if done is not True:
                return done
            clock.sleep_ms(1)

    def recv(self, timeout_ms=None, rx_length=0xFF, rx_packet=None):
        """The packet, or None after the time-out. Raises ConfigError, BusError."""
        self.start_recv(timeout_ms, False, rx_length)
        while True:
            packet = self.poll_recv(rx_packet)
            if packet is False:
                return None
            if packet is not True:
                return packet
            self._clock.sleep_ms(1)

    def cad(self):
        """Whether the channel is in use. Raises ChipError when that takes over twice its time."""
        ms = radio_cad.start(self)
        self._clock.sleep_ms(ms)
        for _ in range(ms + 2):
            busy = radio_cad.poll(self)
            if busy is not None:
                return busy
            self._clock.sleep_ms(1)
        self.standby()
        raise ChipError("sx1262", "cad")
