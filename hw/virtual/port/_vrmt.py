# esp32.RMT as MicroPython 1.25 has it: pulses out, never in.
from array import array

import _vb as b
from machine import Pin


class RMT:
    PULSE_MAX = 32767

    def __init__(self, id, *, pin, clock_div=8, idle_level=False, tx_carrier=None):
        # The last of the channels that send (ESP32-S3: 4, else 8) belongs to machine.bitstream.
        if not 0 <= id < (3 if b.cfg[10] >> 48 & 1 else 7):
            raise ValueError("invalid channel")
        if not 1 <= clock_div <= 255:
            raise ValueError("clock_div must be between 1 and 255")
        self.p = Pin(pin).n
        self.i = 1 if idle_level else 0
        self.d = clock_div
        self.t = b.now
        Pin(pin, Pin.OUT, value=self.i)

    @staticmethod
    def source_freq():
        return 80000000

    def clock_div(self):
        return self.d

    def write_pulses(self, d, v=True):
        if isinstance(v, (list, tuple)) or isinstance(d, int):
            d, v = __import__("_vrml").runs(d, v)
        if not d:
            raise ValueError("No pulses")
        if min(d) < 1 or max(d) > 32767:
            raise ValueError("duration")  # there it is cut to 15 bits, in silence
        b.charge(60 + 2 * len(d))
        b.wait(self.t, 0)
        self.t = b.now + sum(d) * self.d // 80
        b.send(111, self.p, (1 if v else 0) | self.i << 1 | self.d << 8, bytes(array("H", d)))
        b.wrote()

    def wait_done(self, *, timeout=0):
        if b.now < self.t:
            b.wait(min(self.t, b.now + timeout * 1000), 0)
        return b.now >= self.t

    def deinit(self):
        self.t = b.now
