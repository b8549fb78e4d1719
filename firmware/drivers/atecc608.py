"""ATECC608 secure element as an ES256 signer, I2C.  DS = Microchip ATECC608A/B, complete data sheet.

Wakes for each call and sleeps after it, since its watchdog puts it to sleep 1.3 s after it woke (DS: watchdog).
Supported: Info, serial number, lock state, Random, GenKey(public), Sign(external). Not supported: writing
and locking zones, creating keys (a device gets them once, on the bench), everything else.
"""

import time

from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.protocols.compat import const

_READ = const(0x02)
_NONCE = const(0x16)
_RANDOM = const(0x1B)
_INFO = const(0x30)
_GENKEY = const(0x40)
_SIGN = const(0x41)
# Longest command at the slowest clock divider, Sign, 665 ms (cryptoauthlib's table), and some.
_LONGEST_MS = const(700)
_POLL_MS = const(2)


def crc16(data):
    """CRC-16 0x8005 with the bits of each byte least first, started at 0; sent least byte first (DS: CRC)."""
    crc = 0
    for byte in data:
        for i in range(8):
            bit = byte >> i & 1 ^ crc >> 15
            crc = crc << 1 & 0xFFFF ^ (0x8005 if bit else 0)
    return crc


class ATECC608:
    """i2c: bus with `writeto` and `readfrom_into`; `wake`: a callable that holds SDA low for 60 us or more.

    Without `wake` the bus writes to address 0, which does that at up to 133 kHz and not above.
    """

    def __init__(self, i2c, address=0x60, wake=None, clock=time):
        self._i2c = i2c
        self._address = address
        self._pulse = wake
        self._clock = clock
        self._buf = bytearray(67)

    def _put(self, address, data):
        """Write what need not be acknowledged."""
        try:
            self._i2c.writeto(address, data)
        except OSError:
            pass

    def _wake(self):
        for last in (False, True):
            # Long lows of others on the bus wake it too, and our reset may have left it awake: its watchdog goes
            # on from there, so it sleeps first.
            self._put(self._address, b"\x01")
            if self._pulse:
                self._pulse()
            else:
                self._put(0, b"\0")  # nobody answers there: the low level is all it is about
            self._clock.sleep_ms(2)  # tWHI is 1.5 ms
            try:
                if self._answer(4, 20) == 0x11:
                    return
            except BusError:
                if last:
                    raise
        raise BusError("atecc608", "wake")

    def _answer(self, size, wait_ms):
        """Fetch `size` bytes into the buffer; the status when they are one. Checks count and checksum."""
        b = memoryview(self._buf)[:size]
        end = self._clock.ticks_ms()
        while True:
            try:
                self._i2c.readfrom_into(self._address, b)
                if b[0] != 0xFF:  # an open line: it does not answer while it works
                    break
            except OSError:
                pass
            if not 0 <= self._clock.ticks_diff(self._clock.ticks_ms(), end) < wait_ms:
                raise BusError("atecc608", "busy")
            self._clock.sleep_ms(_POLL_MS)
        n = b[0]
        if n not in (4, size):
            raise BusError("atecc608", "count")
        if crc16(b[: n - 2]) != b[n - 2] | b[n - 1] << 8:
            raise BusError("atecc608", "crc")
        return b[1] if n == 4 else 0

    def _send(self, opcode, p1, p2, data, size):
        n = 7 + len(data)
        packet = bytearray(n + 1)
        packet[0] = 3  # word address of a command
        packet[1] = n
        packet[2] = opcode
        packet[3] = p1
        packet[4] = p2 & 0xFF
        packet[5] = p2 >> 8
        packet[6:-2] = data
        crc = crc16(memoryview(packet)[1:-2])
        packet[n - 1] = crc & 0xFF
        packet[n] = crc >> 8
        try:
            self._i2c.writeto(self._address, packet)
        except OSError as e:
            raise BusError("atecc608", e.args[0])
        self._clock.sleep_ms(1)
        status = self._answer(size, _LONGEST_MS)
        # A result of one word comes in four bytes more: only a lone byte is a status.
        if self._buf[0] == 4 and status:
            if status == 0xFF:
                raise BusError("atecc608", status)  # our packet came damaged
            if status == 0xEE:
                raise NotReady("atecc608", status)  # too little time left before its watchdog
            raise ChipError("atecc608", status)
        if self._buf[0] != size:
            raise BusError("atecc608", "count")

    def _run(self, opcode, p1, p2, size, digest=None):
        """One session: wake, the command (after a digest, if any), sleep; the result without its frame."""
        self._wake()
        try:
            if digest is not None:
                self._send(_NONCE, 3, 0, digest, 4)
            self._send(opcode, p1, p2, b"", size)
        finally:
            self._put(self._address, b"\x01")  # if that is lost, its watchdog does it
        return bytes(self._buf[1 : size - 2])

    def info(self):
        """Revision, 4 bytes; the third is 0x60 for this family."""
        return self._run(_INFO, 0, 0, 7)

    def serial(self):
        """Serial number, 9 bytes."""
        data = self._run(_READ, 0x80, 0, 35)
        return data[:4] + data[8:13]

    def locked(self):
        """(configuration locked, data and OTP locked); a part with either False is not provisioned."""
        data = self._run(_READ, 0, 0x15, 7)
        return data[3] == 0, data[2] == 0

    def random(self):
        """32 random bytes. Raises ChipError "unlocked": until then it gives a fixed pattern."""
        data = self._run(_RANDOM, 0, 0, 35)
        if data[:4] == b"\xff\xff\0\0" and data[4:8] == data[:4]:
            raise ChipError("atecc608", "unlocked")
        return data

    def public_key(self, slot=0):
        """X and Y, 64 bytes, of the private key in the slot."""
        return self._run(_GENKEY, 0, slot, 67)

    def sign(self, digest, slot=0):
        """r and s, 64 bytes (ES256), over a SHA-256 digest. Blocks 0.1 s, at most 1.4 s.

        All calls raise BusError when the part does not answer or a frame is damaged, NotReady when its
        watchdog was too near, ChipError with its status (3 parse, 5 ECC, 7 self-test, 0xF execution).
        """
        if len(digest) != 32:
            raise ConfigError("digest")
        return self._run(_SIGN, 0x80, slot, 67, digest)
