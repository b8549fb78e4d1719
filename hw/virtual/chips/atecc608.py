"""ATECC608 secure element on I2C.  DS = Microchip ATECC608A/B, complete data sheet.

Legs: I2C at `address`; `sda` where the wiring lets a pin pull the line down. Modelled: wake (SDA low for
60 us, 1.5 ms before it listens, 04 11 33 43), word addresses, packets with count and CRC-16 0x8005, the output
buffer and its address counter, execution times during which nothing is acknowledged, watchdog, idle and
sleep, TempKey; Info, Random, Nonce (pass-through), Read and lock bytes of the configuration zone, GenKey, Sign
(external). P-256 is by `cryptography`, with RFC 6979's nonce (a real part draws one), so that the same seed
gives the same bytes.

Not modelled: slot policies beyond "private key or not", data zone, Write, Lock, counters, all other commands
(they get a parse error as an unknown opcode does), the self-test, the message digest buffer, power.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from hw.virtual.chips.base import Handle, I2cChip

_WAKE_US = 60
_LISTEN_US = 1500
_WATCHDOG_US = 1_300_000
OK, PARSE, ECC, SELF_TEST, EXECUTION, AWAKE, LATE, DAMAGED = 0, 3, 5, 7, 0x0F, 0x11, 0xEE, 0xFF
_READ, _NONCE, _RANDOM, _INFO, _GENKEY, _SIGN = 0x02, 0x16, 0x1B, 0x30, 0x40, 0x41
#: Typical and longest milliseconds at the fastest clock (cryptoauthlib: tables of the 608 and the 608-M0).
_TIMES_MS = {
    _READ: (1, 5),
    _NONCE: (17, 20),
    _RANDOM: (15, 23),
    _INFO: (1, 5),
    _GENKEY: (59, 115),
    _SIGN: (60, 115),
}
_IDLE_UA, _ACTIVE_UA = 800, 3000


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

    config_locked, data_locked: the lock bytes. slow: how much longer than typical commands take (1..11, the
    clock dividers). `faults`: functions of an answer's bytes, each next answer takes one. `status`: the next
    commands answer with these instead of running. `hangs` never answers until it sleeps.
    """

    def __init__(
        self,
        address: int = 0x60,
        *,
        keys: Mapping[int, int] | None = None,
        serial: bytes = bytes.fromhex("0123a1b2c3d4e5f6ee"),
        config_locked: bool = True,
        data_locked: bool = True,
        slow: float = 1.0,
    ) -> None:
        super().__init__()
        self.address = address
        self.given = dict(keys) if keys is not None else None
        self.serial = serial
        self.config_locked = config_locked
        self.data_locked = data_locked
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
        self._temp = None
        self._out = b""
        self.hangs = False
        self.port.draw(0)

    def _idle(self) -> None:
        temp = self._temp
        self._sleep()
        self._temp = temp
        self.port.draw(_IDLE_UA)

    def sda_low(self, us: float) -> None:
        """SDA was low for `us`: a byte 00 at 100 kHz makes 80."""
        if self._awake or us < _WAKE_US:
            return
        self.wakes += 1
        now = self.port.now_us
        self._awake = True
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
        if not self._awake:
            return False
        if now < self._listens_us:
            self.violate(
                f"addressed {_LISTEN_US - self._listens_us + now} us after the wake, wants {_LISTEN_US}"
            )
            return False
        return now >= self._busy_until and not self.hangs

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
            return bytes((0, 0, 0x60, 2)) if p1 == 0 else bytes([PARSE])
        if code == _RANDOM:
            # Until the configuration is locked (DS: random command).
            return self.port.random.randbytes(32) if self.config_locked else b"\xff\xff\0\0" * 8
        if code == _READ:
            return self._read_zone(p1, p2)
        if code == _NONCE:
            if p1 != 3 or p2 or len(data) != 32:
                return bytes([PARSE])
            self._temp = data
            return bytes([OK])
        if code in (_GENKEY, _SIGN):
            return self._ecc(code, p1, p2)
        return bytes([PARSE])

    def _ecc(self, code: int, p1: int, slot: int) -> bytes:
        key = self.keys.get(slot)
        if slot > 15 or p1 != (0 if code == _GENKEY else 0x80):
            return bytes([PARSE])
        if key is None or not self.config_locked:
            return bytes([EXECUTION])
        if code == _GENKEY:
            public = key.public_key().public_numbers()
            return public.x.to_bytes(32, "big") + public.y.to_bytes(32, "big")
        if self._temp is None:
            return bytes([EXECUTION])
        digest, self._temp = self._temp, None
        signature = key.sign(digest, ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True))
        r, s = decode_dss_signature(signature)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    @property
    def configuration(self) -> bytes:
        """The zone's 128 bytes: serial, revision, I2C address and lock bytes; the rest is 0."""
        zone = bytearray(128)
        zone[0:4] = self.serial[:4]
        zone[4:8] = bytes((0, 0, 0x60, 2))
        zone[8:13] = self.serial[4:]
        zone[14] = 1
        zone[16] = self.address << 1
        zone[86] = 0 if self.data_locked else 0x55
        zone[87] = 0 if self.config_locked else 0x55
        return bytes(zone)

    def _read_zone(self, p1: int, p2: int) -> bytes:
        if p1 & 3:
            return bytes([EXECUTION])
        size, at = (32, (p2 >> 3 & 3) * 32) if p1 & 0x80 else (4, p2 * 4)
        if at + size > 128:
            return bytes([PARSE])
        return self.configuration[at : at + size]
