"""DALI bus master (IEC 62386-101, one application controller) on two pins and a transceiver.

Frames leave by `esp32.RMT` at 1 us per tick: on 1.25 `RMT(0, pin=Pin(tx), clock_div=80, idle_level=1 - tx_low)`,
on versions with the new driver `RMT(pin=Pin(tx), resolution_hz=1000000, idle_level=1 - tx_low)`. Answers come
in by `machine.time_pulse_us`, run by run, and the clock between the runs: what a call takes is no error, and a
run that was slept over shows.
Not supported: several masters, 24-bit frames and events of input devices, collision detection while sending.
"""

import time
from array import array

from firmware.drivers.errors import BusError, ConfigError
from firmware.protocols.compat import const
from firmware.protocols.dali import backward, pulses

# Stop condition: 2450 us are sent, 2400 us asked for (101).
_STOP_US = const(2400)
_BLIND_US = const(290)
_RUNS = const(20)
# Answers begin 5.5 to 10.5 ms after the last edge, receivers wait 13.4 ms (101, table 20).
_ANSWER_US = const(13400 - 2400)
# Before a forward frame by priority, in 100 us: least 13.5, 14.9, 16.3, 17.9, 19.5 ms.
_SETTLE = b"\x88\x96\xa4\xb4\xc4"


class NoReply(BusError):
    """Nobody answered. To yes-or-no questions that means no; it is never a value."""


class Bus:
    """rmt: has `write_pulses` and `wait_done`; `tx_low` is its level that pulls the bus low. rx: the pin,
    None without reply path; `rx_low` its level while the bus is low. pulse: `machine.time_pulse_us`.

    `send` takes 17 ms, with the pause before it at most 37 ms; `query` up to 22 ms more, in which nothing
    else may run. Use from one task, outside radio windows.
    """

    def __init__(self, rmt, rx=None, pulse=None, tx_low=1, rx_low=0, clock=time):
        self._rmt = rmt
        self._rx = rx
        self._pulse = pulse
        self._tx_low = tx_low
        self._rx_low = rx_low
        self._clock = clock
        self._us = array("H", bytes(2 * _RUNS))
        self._end = clock.ticks_us()
        self.hears = rx is not None

    def send(self, frame, priority=2):
        """Send one 16-bit frame; back after its stop condition. Priority 1 (within a transaction) to 5.

        Raises BusError "rmt" when the transmitter does not finish.
        """
        clock = self._clock
        # Long ago may look like the future: the clock wraps.
        wait = _SETTLE[priority - 1] * 100 - clock.ticks_diff(clock.ticks_us(), self._end)
        if 0 < wait < 20000:
            clock.sleep_us(wait)
        self._rmt.write_pulses(pulses(frame), self._tx_low)
        if not self._rmt.wait_done(timeout=50):
            raise BusError("dali", "rmt")
        self._end = clock.ticks_add(clock.ticks_us(), -_STOP_US)

    def twice(self, frame, priority=3):
        """Send a configuration command: gear obeys the second of two within 100 ms."""
        self.send(frame, priority)
        self.send(frame, 1)

    def query(self, frame, priority=2):
        """Send a frame and return the answer's byte.

        Raises NoReply; BusError "frame" for an answer that is none (noise, several gears at once), "low" for
        a bus that stays low (no supply, short circuit, wrong polarity); ConfigError without reply path.
        """
        if not self.hears:
            raise ConfigError("rx")
        self.send(frame, priority)
        clock = self._clock
        pulse = self._pulse
        rx = self._rx
        us = self._us
        level = 1 - self._rx_low
        n = skip = 0
        d = pulse(rx, level, _ANSWER_US)
        if d == -1:
            raise NoReply("dali", "no reply")
        at = clock.ticks_us()
        while True:
            level = 1 - level
            d = pulse(rx, level, _STOP_US)
            now = clock.ticks_us()
            run = clock.ticks_diff(now, at)
            skip = max(skip, run - (_STOP_US if d < 0 else d))
            if d < 0 or n == _RUNS:
                break
            us[n] = min(run, 9999)
            at = now
            n += 1
        value = -1
        if d == -1 and level != self._rx_low:
            # High for so long is the stop condition. Nobody looked for `skip` at some edge: if a whole run
            # passed then (367 us at least), either that was longer or the edge before it came late.
            if skip < _BLIND_US:
                value = backward(us, n, skip > _BLIND_US // 2)
        else:
            # Several gears at once may keep the bus low for long. -2: high all the time.
            for _ in range(_RUNS):
                if pulse(rx, self._rx_low, _STOP_US) == -2:
                    break
            else:
                raise BusError("dali", "low")
        self._end = clock.ticks_add(clock.ticks_us(), -_STOP_US)
        if value < 0:
            raise BusError("dali", "frame")
        return value

    def ask(self, frame, priority=2):
        """A yes-or-no question: any answer is yes, a garbled one is several gears' yes."""
        try:
            self.query(frame, priority)
        except NoReply:
            return False
        except BusError as e:
            if e.args[1] != "frame":
                raise
        return True
