"""ATECC608 secure element on I2C.  DS = Microchip ATECC608A/B, complete data sheet.

Legs: I2C at `address`; `sda` where the wiring lets a pin pull the line down. Modelled: wake (SDA low for
60 us, by whoever is talked to; 1.5 ms before it listens, 04 11 33 43), word addresses, packets with count and
CRC-16 0x8005, the output buffer and its address counter, execution times during which nothing is acknowledged,
watchdog, idle and sleep, TempKey and the message digest buffer; Info (revision, key valid, state), Random, Nonce
(random and pass-through, any target), Read, Write and Lock of the configuration zone, Lock of the data zone and of
slots, GenKey (new and public), Sign (external, of either buffer), Counter, SHA-256. P-256 is by `cryptography`,
with RFC 6979's nonce (a real part draws one), so that the same seed gives the same bytes.

Not modelled: slot policies beyond what GenKey asks (private key of P-256, GenKey allowed, slot not locked)
and external signatures, data and OTP zones, internal signatures, HMAC, all other commands (they get a parse error
as an unknown opcode does), the self-test, limited keys, power. Assumed: typical times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from hw.virtual.chips.base import Handle, I2cChip

_WAKE_US = 60
_LISTEN_US = 1500
_WATCHDOG_US = 1_300_000
OK, PARSE, ECC, SELF_TEST, EXECUTION, AWAKE, LATE, DAMAGED = 0, 3, 5, 7, 0x0F, 0x11, 0xEE, 0xFF
_READ, _WRITE, _NONCE, _LOCK, _RANDOM, _COUNTER = 0x02, 0x12, 0x16, 0x17, 0x1B, 0x24
_INFO, _GENKEY, _SIGN, _SHA = 0x30, 0x40, 0x41, 0x47
#: Typical and longest milliseconds at the fastest clock. Longest: cryptoauthlib's table of the 608. Typical:
#: assumed such that Adafruit's driver, which works with the part and waits 7 ms for a nonce and 70 ms for a
#: signature, is in time.
_TIMES_MS = {
    _READ: (1, 5),
    _WRITE: (7, 45),
    _LOCK: (8, 35),
    _COUNTER: (5, 25),
    _SHA: (7, 36),
    _NONCE: (5, 20),
    _RANDOM: (15, 23),
    _INFO: (1, 5),
    _GENKEY: (59, 115),
    _SIGN: (52, 115),
}
_IDLE_UA, _ACTIVE_UA = 800, 3000
_REVISION = bytes((0, 0, 0x60, 2))
#: Where the configuration zone has them.
_ADDRESS, _SLOT_CONFIG, _LOCK_VALUE, _LOCK_CONFIG, _SLOT_LOCKED, _KEY_CONFIG = 16, 20, 86, 87, 88, 96
_COUNTER_MAX = 2_097_151
#: SlotConfig and KeyConfig of a private key: signs external messages, GenKey may replace it; P-256, lockable.
_PRIVATE = bytes((0x83, 0x20)), bytes((0x33, 0x00))
#: What Random and Nonce give while the configuration is open.
_NOT_RANDOM = b"\xff\xff\0\0" * 8


def crc16(data: bytes) -> bytes:
    """CRC-16, polynomial 0x8005, bits of a byte from the least on, as it is sent."""
    register = 0
    for bit in (byte >> i & 1 for byte in data for i in range(8)):
        top = register >> 15
        register = (register << 1) & 0xFFFF
        if top != bit:
            register ^= 0x8005
    return register.to_bytes(2, "little")


def frame(content: bytes) -> bytes:
    """With count and checksum, as an answer."""
    framed = bytes([len(content) + 3]) + content
    return framed + crc16(framed)


class ATECC608(I2cChip):
    """keys: private keys as integers by slot; default: one in slot 0, drawn from the seed at power-on.

    config_locked, data_locked: the lock bytes, slots_locked: of single slots. slow: how much longer than typical
    commands take (1..11, the clock dividers). `faults`: functions of an answer's bytes, each next answer takes
    one. `status`: the next commands answer with these instead of running. `hangs` never answers until it sleeps.
    """

    sees_sda = True

    def __init__(
        self,
        address: int = 0x60,
        *,
        keys: Mapping[int, int] | None = None,
        serial: bytes = bytes.fromhex("0123a1b2c3d4e5f6ee"),
        config_locked: bool = True,
        data_locked: bool = True,
        slots_locked: Iterable[int] = (),
        slow: float = 1.0,
    ) -> None:
        super().__init__()
        self.address = address
        self.counters = [0, 0]
        self.zone = bytearray(128)
        self.zone[0:8] = serial[:4] + _REVISION
        self.zone[8:13] = serial[4:]
        self.zone[14] = 1
        self.zone[_ADDRESS] = address << 1
        self.config_locked, self.data_locked = config_locked, data_locked
        for slot in range(16):
            private = slot in (keys if keys is not None else (0,))
            at = _SLOT_CONFIG + 2 * slot, _KEY_CONFIG + 2 * slot
            for where, what in zip(at, _PRIVATE if private else (b"\0\0", b"\x3c\0"), strict=True):
                self.zone[where : where + 2] = what
        open_slots = 0xFFFF & ~sum(1 << slot for slot in slots_locked)
        self.zone[_SLOT_LOCKED : _SLOT_LOCKED + 2] = open_slots.to_bytes(2, "little")
        self.given = dict(keys) if keys is not None else None
        self.serial = serial
        self.slow = slow
        self.keys: dict[int, ec.EllipticCurvePrivateKey] = {}
        self.faults: list[Callable[[bytes], bytes]] = []
        self.status: list[int] = []
        self.hangs = False
        self.commands = 0
        self.wakes = 0
        self._awake = False
        self._listens_us = 0
        self._busy_until = 0
        self._sleeps_us = 0
        self._watchdog: Handle | None = None
        self._out = b""
        self._next = 0
        self._temp: bytes | None = None
        self._temp_random = False  # its source
        self._message: bytes | None = None  # the message digest buffer
        self._sha: bytes | None = None  # hashed so far
        self._low_us: int | None = None

    def reset(self) -> None:
        if not self.keys:
            chosen = self.given
            if chosen is None:
                chosen = {0: self.port.random.randrange(1, 1 << 255)}
            self.keys = {slot: ec.derive_private_key(k, ec.SECP256R1()) for slot, k in chosen.items()}
        self._low_us = None
        self._sleep()

    # power states

    def _sleep(self) -> None:
        self.port.cancel(self._watchdog)
        self._awake = False
        self._temp = self._message = self._sha = None
        self._out = b""
        self.hangs = False
        self.port.draw(0)

    def _idle(self) -> None:
        kept = self._temp, self._message, self._sha
        self._sleep()
        self._temp, self._message, self._sha = kept
        self.port.draw(_IDLE_UA)

    def sda_low(self, us: float) -> None:
        if self._awake or us < _WAKE_US:
            return
        self.wakes += 1
        now = self.port.now_us
        self._awake = True
        self.address = self.zone[_ADDRESS] >> 1
        self._listens_us = now + _LISTEN_US
        self._busy_until = 0
        self._sleeps_us = now + _WATCHDOG_US
        self._watchdog = self.port.at(self._sleeps_us, self._sleep)
        self._load(frame(bytes([AWAKE])))
        self.port.draw(_ACTIVE_UA)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin != "sda":
            return
        if not level:
            self._low_us = self.port.now_us
        elif self._low_us is not None:
            self.sda_low(self.port.now_us - self._low_us)
            self._low_us = None

    def floating(self, pin: str) -> None:
        self.pin_changed(pin, 1)  # the bus has pull-ups

    def _answers(self) -> bool:
        now = self.port.now_us
        return self._awake and now >= max(self._listens_us, self._busy_until) and not self.hangs

    # bus

    def _load(self, answer: bytes) -> None:
        self._out = answer
        self._next = 0

    def write(self, data: bytes) -> bool:
        if not self._answers():
            return False
        if not data:
            return True
        if data[0] == 0:
            self._next = 0
        elif data[0] == 1:
            self._sleep()
        elif data[0] == 2:
            self._idle()
        elif data[0] == 3:
            self._command(data[1:])
        else:
            self.violate(f"word address 0x{data[0]:02X}: only 0 to 3 (DS: I2C word address)")
            return False
        return True

    def read(self, n: int) -> bytes:
        """Empty is a refused address: asleep, at work, or nothing to say."""
        if not self._answers() or not self._out:
            return b""
        out = self._out[self._next : self._next + n]
        self._next += n
        return out.ljust(n, b"\xff")

    def _command(self, packet: bytes) -> None:
        self.commands += 1
        body, check = packet[:-2], packet[-2:]
        if len(packet) < 7 or packet[0] != len(packet) or crc16(body) != check:
            answer, code = frame(bytes([DAMAGED])), None
        else:
            code = packet[1]
            answer = frame(self._execute(code, packet[2], packet[3] | packet[4] << 8, body[5:]))
        if self.faults:
            answer = self.faults.pop(0)(answer)
        if code in _TIMES_MS:
            typical, longest = _TIMES_MS[code]
            took = self.port.random.uniform(typical, max(typical, min(longest, typical * 1.3))) * self.slow
            self._busy_until = self.port.now_us + round(took * 1000)
            if self._busy_until >= self._sleeps_us:
                answer = frame(bytes([LATE]))
                self._busy_until = self.port.now_us + 1000
        self._load(answer)

    # commands

    def _execute(self, code: int, p1: int, p2: int, data: bytes) -> bytes:
        if self.status:
            return bytes([self.status.pop(0)])
        if code == _INFO:
            return self._info(p1, p2)
        if code == _RANDOM:
            return self._random()
        if code == _READ:
            return self._read_zone(p1, p2)
        if code == _WRITE:
            return bytes([self._write_zone(p1, p2, data)])
        if code == _LOCK:
            return bytes([self._lock(p1, p2)])
        if code == _NONCE:
            return self._nonce(p1, p2, data)
        if code == _COUNTER:
            return self._counter(p1, p2)
        if code == _SHA:
            return self._hash(p1, p2, data)
        if code == _GENKEY:
            return self._generate(p1, p2)
        if code == _SIGN:
            return self._signature(p1, p2)
        return bytes([PARSE])

    @property
    def config_locked(self) -> bool:
        return self.zone[_LOCK_CONFIG] != 0x55

    @config_locked.setter
    def config_locked(self, locked: bool) -> None:
        self.zone[_LOCK_CONFIG] = 0 if locked else 0x55

    @property
    def data_locked(self) -> bool:
        return self.zone[_LOCK_VALUE] != 0x55

    @data_locked.setter
    def data_locked(self, locked: bool) -> None:
        self.zone[_LOCK_VALUE] = 0 if locked else 0x55

    def _word(self, at: int, slot: int) -> int:
        return int.from_bytes(self.zone[at + 2 * slot : at + 2 * slot + 2], "little")

    def _slot_open(self, slot: int) -> bool:
        return bool(self._word(_SLOT_LOCKED, 0) >> slot & 1)

    def _info(self, mode: int, slot: int) -> bytes:
        if mode == 0:
            return _REVISION
        if mode == 1 and slot < 16:
            return bytes((slot in self.keys, 0, 0, 0))
        if mode == 2:
            return bytes(((not self._temp_random) << 4, (self._temp is not None) << 7, 0, 0))
        return bytes([PARSE])

    def _random(self) -> bytes:
        """Not before the configuration is locked (DS: random command)."""
        return self.port.random.randbytes(32) if self.config_locked else _NOT_RANDOM

    def _nonce(self, mode: int, p2: int, data: bytes) -> bytes:
        kind, target = mode & 3, mode & 0xC0
        if mode & 0x1C or target == 0xC0 or p2:
            return bytes([PARSE])
        if kind == 3:
            if len(data) != (64 if mode & 0x20 else 32) or (mode & 0x20 and target == 0x80):
                return bytes([PARSE])
            if target == 0x40:
                self._message = data
            elif target == 0:
                self._temp, self._temp_random = data, False
            return bytes([OK])
        if kind == 2 or mode & 0xFC or len(data) != 20:
            return bytes([PARSE])
        drawn = self._random()
        self._temp = hashlib.sha256(drawn + data + bytes((_NONCE, mode, 0))).digest()
        self._temp_random = True
        return drawn

    def _counter(self, mode: int, which: int) -> bytes:
        if mode > 1 or which > 1:
            return bytes([PARSE])
        if mode:
            if self.counters[which] >= _COUNTER_MAX:
                return bytes([EXECUTION])
            self.counters[which] += 1
        return self.counters[which].to_bytes(4, "little")

    def _hash(self, mode: int, length: int, data: bytes) -> bytes:
        step, target = mode & 7, mode & 0xC0
        if step == 0 and not data:
            self._sha = b""
            return bytes([OK])
        if step not in (1, 2) or len(data) != length or length > 64 or (step == 1 and length != 64):
            return bytes([PARSE])
        if self._sha is None:
            return bytes([EXECUTION])
        self._sha += data
        if step == 1:
            return bytes([OK])
        digest, self._sha = hashlib.sha256(self._sha).digest(), None
        if target == 0:
            self._temp, self._temp_random = digest, False
        elif target == 0x40:
            self._message = digest
        return digest

    def _generate(self, mode: int, slot: int) -> bytes:
        if slot > 15 or mode not in (0, 4):
            return bytes([PARSE])
        config = self._word(_KEY_CONFIG, slot)
        # Private, of P-256.
        if not self.config_locked or config & 0x1D != 0x11:
            return bytes([EXECUTION])
        if mode == 4:
            allowed = not self.data_locked or self._word(_SLOT_CONFIG, slot) & 0x2000
            if not allowed or not self._slot_open(slot):
                return bytes([EXECUTION])
            number = self.port.random.randrange(1, 1 << 255)
            self.keys[slot] = ec.derive_private_key(number, ec.SECP256R1())
        key = self.keys.get(slot)
        if key is None:
            return bytes([EXECUTION])
        public = key.public_key().public_numbers()
        return public.x.to_bytes(32, "big") + public.y.to_bytes(32, "big")

    def _signature(self, mode: int, slot: int) -> bytes:
        if slot > 15 or mode not in (0x80, 0xA0):
            return bytes([PARSE])
        key = self.keys.get(slot)
        digest = self._temp if mode == 0x80 else self._message
        if key is None or not self.config_locked or digest is None or not self._word(_SLOT_CONFIG, slot) & 1:
            return bytes([EXECUTION])
        self._temp = self._message = None
        signature = key.sign(digest[:32], ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True))
        r, s = decode_dss_signature(signature)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    # configuration zone

    @property
    def configuration(self) -> bytes:
        """The zone's 128 bytes as they are read."""
        zone = bytearray(self.zone)
        for i, count in enumerate(self.counters):
            zone[52 + 8 * i : 56 + 8 * i] = count.to_bytes(4, "little")
        return bytes(zone)

    def _place(self, p1: int, p2: int) -> tuple[int, int]:
        """First byte and length that a zone parameter and an address mean."""
        return (p2 >> 3 & 3) * 32 + (0 if p1 & 0x80 else (p2 & 7) * 4), 32 if p1 & 0x80 else 4

    def _read_zone(self, p1: int, p2: int) -> bytes:
        if p1 & 3:
            return bytes([EXECUTION])
        at, size = self._place(p1, p2)
        return self.configuration[at : at + size] if p2 < 32 else bytes([PARSE])

    def _write_zone(self, p1: int, p2: int, data: bytes) -> int:
        if p1 & 3 or self.config_locked:
            return EXECUTION
        at, size = self._place(p1, p2)
        if p1 & 0x7C or p2 > 31 or len(data) != size:
            return PARSE
        if at < 16 or at <= _LOCK_VALUE < at + size:
            return EXECUTION  # serial number and lock bytes
        for i, value in enumerate(data, at):
            if not 52 <= i < 68:  # the counters only count
                self.zone[i] = value
        return OK

    def _lock(self, mode: int, check: int) -> int:
        zone, slot = mode & 3, mode >> 2 & 15
        if zone == 3 or mode & 0x40 or (zone < 2 and slot):
            return PARSE
        if zone == 0:
            if self.config_locked or (
                not mode & 0x80 and crc16(self.configuration) != check.to_bytes(2, "little")
            ):
                return EXECUTION
            self.zone[_LOCK_CONFIG] = 0
        elif zone == 1:
            if not self.config_locked or self.data_locked or not mode & 0x80:
                return EXECUTION  # its check sum is over zones that are not modelled
            self.zone[_LOCK_VALUE] = 0
        else:
            if (
                not self.config_locked
                or not self._word(_KEY_CONFIG, slot) & 0x20
                or not self._slot_open(slot)
            ):
                return EXECUTION
            left = self._word(_SLOT_LOCKED, 0) & ~(1 << slot)
            self.zone[_SLOT_LOCKED : _SLOT_LOCKED + 2] = left.to_bytes(2, "little")
        return OK
