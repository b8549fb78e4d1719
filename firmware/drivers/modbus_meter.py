"""Three-phase energy meter on RS-485, Modbus RTU master.  DS = Modbus over Serial Line V1.02; meter's own map.

Energy result: `read()` (raises), then voltage_mv, current_ma, power_mw, energy_mwh, frequency_mhz or None.

voltage_mv is the mean, current_ma the sum of the phases; phase_mv, phase_ma, phase_mw are lists of three.
energy_mwh is the meter's import total; one that falls (exchanged, reset) goes on from where it stood.
A map is (function 3 or 4, ((first register, count), ..), rows); each row has five bytes: field (0-2 V, 3-5 A,
6-8 W of the phases, 9 W, 10 Hz, 11 import), register (2), form, exponent of ten to mV, mA, mW, mHz, mWh.
Form: 0 float32, 2 int32 (1, 3: low word first), 4 int16. NaN and the greatest integer are None.
Not supported: writing, broadcast, ASCII, unsigned integers with the top bit set.
"""

import struct
import time

from firmware.drivers.errors import BusError, ChipError, ConfigError

# Eastron SDM630-Modbus protocol, input registers.
SDM630 = (
    4,
    ((0, 18), (52, 22)),
    b"\x00\x00\x00\x00\x03\x01\x00\x02\x00\x03\x02\x00\x04\x00\x03"
    b"\x03\x00\x06\x00\x03\x04\x00\x08\x00\x03\x05\x00\x0a\x00\x03"
    b"\x06\x00\x0c\x00\x03\x07\x00\x0e\x00\x03\x08\x00\x10\x00\x03"
    b"\x09\x00\x34\x00\x03\x0a\x00\x46\x00\x03\x0b\x00\x48\x00\x06",
)


def crc16(data, n):
    """Modbus CRC of the first n bytes; 0 over a frame with its CRC."""
    crc = 0xFFFF
    for i in range(n):
        crc ^= data[i]
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def value(b, i, form, exponent):
    """The number at b[i], times 10^exponent, rounded; exact without floats. None where there is none."""
    v = b[i] << 8 | b[i + 1]
    bits = 16
    if form < 4:
        w = b[i + 2] << 8 | b[i + 3]
        v = w << 16 | v if form & 1 else v << 16 | w
        bits = 32
    k = 10**exponent
    if form > 1:
        if v == (1 << bits - 1) - 1:
            return None
        return (v - (v >> bits - 1 << bits)) * k
    e = v >> 23 & 0xFF
    if e == 255:
        return None
    m = (v & 0x7FFFFF | 0x800000) * k if e else 0
    e -= 150
    m = m << e if e >= 0 else m + (1 << -e - 1) >> -e
    return -m if v >> 31 else m


def _known(x):
    return [i for i in x if i is not None]


class ModbusMeter:
    """uart: `any`, `readinto`, `write`, at `baud` with 10 or 11 bits per character. unit: 1..247.

    de: callable pin, 1 drives the line (both DE and /RE; an echo is thrown away). timeout_ms: the meter's
    time to think, beside the length of its answer.
    """

    def __init__(self, uart, meter=SDM630, unit=1, de=None, baud=9600, timeout_ms=200, clock=time):
        if not 1 <= unit <= 247:
            raise ConfigError("unit", unit)
        self._function, self._blocks, self._rows = meter
        size = max([0] + [count for _, count in self._blocks])
        if self._function not in (3, 4) or not 0 < size <= 125 or len(self._rows) % 5:
            raise ConfigError("meter")
        self._uart = uart
        self._unit = unit
        self._de = de
        self._clock = clock
        self._char = 11000000 // baud
        # DS 2.5.1.1: 3.5 characters of silence, above 19200 baud 1.75 ms.
        self._gap = max(1750, self._char * 7 // 2)
        self._timeout = timeout_ms
        self._b = memoryview(bytearray(5 + 2 * size))
        self._req = bytearray(8)
        self._x = [None] * 12
        self._seen = self._offset = None
        self.phase_mv = [None] * 3
        self.phase_ma = [None] * 3
        self.phase_mw = [None] * 3
        self.voltage_mv = self.current_ma = self.power_mw = self.energy_mwh = self.frequency_mhz = None

    def _take(self, view, start, ms):
        u = self._uart
        c = self._clock
        while u.any() < len(view):
            if c.ticks_diff(c.ticks_ms(), start) > ms:
                raise BusError("modbus", "short" if u.any() or len(view) != 5 else "timeout")
            c.sleep_ms(1)
        u.readinto(view)

    def registers(self, first, count):
        """`count` registers from `first`, high byte first, in a buffer that the next call overwrites.

        BusError: timeout, short, frame (not an answer to this), crc, busy (the line never rests).
        ChipError: the exception code (1 function, 2 register, 3 count, 4 device, 6 busy).
        """
        u = self._uart
        c = self._clock
        b = self._b
        q = self._req
        struct.pack_into(">BBHH", q, 0, self._unit, self._function, first, count)
        struct.pack_into("<H", q, 6, crc16(q, 6))
        for _ in range(50):
            c.sleep_us(self._gap)
            if not u.any():
                break
            u.readinto(b)
        else:
            raise BusError("modbus", "busy")
        if self._de:
            self._de(1)
        u.write(q)
        # Its 8 characters, and one more so as not to cut the last; the meter waits for 3.5.
        c.sleep_us(9 * self._char)
        for _ in range(8):
            if not u.any():
                break
            u.readinto(b)
        if self._de:
            self._de(0)
        need = 5 + 2 * count
        start = c.ticks_ms()
        ms = self._timeout + need * self._char // 1000
        self._take(b[:5], start, ms)
        if b[0] != self._unit or b[1] & 0x7F != self._function:
            raise BusError("modbus", "frame")
        if b[1] & 0x80:
            if crc16(b, 5):
                raise BusError("modbus", "crc")
            raise ChipError("modbus", b[2])
        if b[2] != 2 * count:
            raise BusError("modbus", "frame")
        self._take(b[5:need], start, ms)
        if crc16(b, need):
            raise BusError("modbus", "crc")
        return b[3 : need - 2]

    def read(self):
        """All blocks of the map, some 50 to 100 ms each at 9600 baud; as `registers`, then nothing changes."""
        x = self._x
        rows = self._rows
        for first, count in self._blocks:
            b = self.registers(first, count)
            for i in range(0, len(rows), 5):
                at = (rows[i + 1] << 8 | rows[i + 2]) - first
                form = rows[i + 3]
                if 0 <= at < count - (form < 4):
                    x[rows[i]] = value(b, 2 * at, form, rows[i + 4])
        self.phase_mv[:] = x[0:3]
        self.phase_ma[:] = x[3:6]
        self.phase_mw[:] = x[6:9]
        v = _known(self.phase_mv)
        self.voltage_mv = sum(v) // len(v) if v else None
        v = _known(self.phase_ma)
        self.current_ma = sum(v) if v else None
        self.power_mw = x[9]
        self.frequency_mhz = x[10]
        e = x[11]
        if e is not None:
            if self._seen is None:
                self._offset = 0
            elif e < self._seen:
                self._offset += self._seen - e
            self._seen = e
            self.energy_mwh = e + self._offset
