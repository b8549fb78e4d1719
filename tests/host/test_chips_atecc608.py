"""The secure element's model and its driver: data sheet frames, signatures checked by `cryptography`, faults."""

import errno
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from firmware.drivers import atecc608 as driver_module
from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from hw.virtual.chips.atecc608 import ATECC608, crc16, frame
from hw.virtual.chips.base import ManualPort
from hw.virtual.chips.shim import OutPin, Time
from tests.host.adafruit_shim import I2CBus, MachineI2C, load

DIGEST = hashlib.sha256(b"a reading").digest()


class Wires:
    """On a bus: address 0 is heard as a low level of its eight bits, an empty answer is a refused address."""

    def _go(self: Any, address: int, out: bytes | None, count: int | None, stop: bool = True) -> bytes:
        if address == 0:
            for model in self.models:
                model.sda_low(8_000_000 / self.freq)
            self.clock.advance(9_000_000 // self.freq)
            raise OSError(errno.ENODEV, "no answer to the address")
        got = super()._go(address, out, count, stop)  # type: ignore[misc]
        if self.open_line:
            return bytes(got)
        if count and not self.asked:
            raise OSError(errno.ENODEV, "no answer to the address")
        return bytes(got)


class Bus(Wires, MachineI2C):
    open_line = False
    asked = b""


class AdafruitBus(Wires, I2CBus):
    """Their driver waits 1 ms for a wake of 1.5 ms; the rest comes from the time its interpreter takes."""

    open_line = False
    asked = b""

    def try_lock(self) -> bool:
        assert self.clock is not None
        self.clock.advance(1000)
        return super().try_lock()


def bus_of(kind: type, model: ATECC608, port: ManualPort, freq: int = 100_000) -> Any:
    bus = kind([model], port.clock, freq)
    read = model.read

    def remember(n: int) -> bytes:
        bus.asked = read(n)
        return bytes(bus.asked)

    model.read = remember  # type: ignore[method-assign]
    return bus


def element(freq: int = 100_000, **options: Any) -> tuple[ATECC608, ManualPort, Any, Any]:
    model = ATECC608(**options)
    port = ManualPort(11)
    model.attach(port)
    bus = bus_of(Bus, model, port, freq)
    return model, port, bus, driver_module.ATECC608(bus, clock=Time(port.clock))


def verify(public: bytes, digest: bytes, signature: bytes) -> None:
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big"), ec.SECP256R1()
    )
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    numbers.public_key().verify(der, digest, ec.ECDSA(Prehashed(SHA256())))


def test_wake_frame_of_the_data_sheet() -> None:
    """04 11 33 43."""
    assert frame(b"\x11") == bytes.fromhex("04113343")
    assert driver_module.crc16(bytes.fromhex("0411")) == 0x4333
    # Info's packet as logic analysers show it: 07 30 00 00 00 03 5D.
    assert crc16(bytes.fromhex("0730000000")) == bytes.fromhex("035d")


def test_signs() -> None:
    model, port, _, driver = element()
    public = driver.public_key()
    assert len(public) == 64
    start = port.now_us
    signature = driver.sign(DIGEST)
    assert len(signature) == 64 and port.now_us - start < 200_000
    verify(public, DIGEST, signature)
    with pytest.raises(InvalidSignature):
        verify(public, hashlib.sha256(b"another").digest(), signature)
    assert port.current_ua == 0  # asleep
    assert model.violations == []


def test_signs_with_a_known_key() -> None:
    """RFC 6979 A.2.5, P-256, SHA-256, "sample"."""
    _, _, _, driver = element(keys={2: 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721})
    assert driver.public_key(2).hex() == (
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    )
    assert driver.sign(hashlib.sha256(b"sample").digest(), 2).hex() == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )
    with pytest.raises(ChipError) as e:
        driver.sign(DIGEST, 5)
    assert e.value.args == ("atecc608", 0x0F)


def test_identity_and_locks() -> None:
    model, _, _, driver = element()
    assert driver.info() == bytes((0, 0, 0x60, 2))
    assert driver.serial() == model.serial
    for config, data in ((True, True), (True, False), (False, False)):
        model.config_locked, model.data_locked = config, data
        assert driver.locked() == (config, data)
    with pytest.raises(ChipError) as e:
        driver.random()
    assert e.value.args == ("atecc608", "unlocked")
    with pytest.raises(ChipError) as e:
        driver.sign(DIGEST)
    assert e.value.args == ("atecc608", 0x0F)
    model.config_locked = True
    first = driver.random()
    assert len(first) == 32 and first != driver.random()
    assert model.violations == []


def test_same_seed_same_bytes() -> None:
    def run() -> tuple[bytes, bytes, bytes]:
        _, _, _, driver = element()
        return driver.public_key(), driver.random(), driver.sign(DIGEST)

    assert run() == run()


@pytest.mark.parametrize("slow", [1.0, 2.0, 5.0])
def test_clock_dividers(slow: float) -> None:
    model, _, _, driver = element(slow=slow)
    verify(driver.public_key(), DIGEST, driver.sign(DIGEST))
    assert model.violations == []


def test_too_slow_for_the_watchdog() -> None:
    _, _, _, driver = element(slow=25.0)
    with pytest.raises(NotReady) as e:
        driver.sign(DIGEST)
    assert e.value.args == ("atecc608", 0xEE)


def test_wake_needs_a_slow_bus_or_a_pin() -> None:
    """At 400 kHz a byte 00 is low for 20 us only."""
    model, port, bus, driver = element(freq=400_000)
    with pytest.raises(BusError) as e:
        driver.info()
    assert e.value.args == ("atecc608", "busy")
    time = Time(port.clock)
    pin = OutPin(lambda level: model.pin_changed("sda", level))

    def pulse() -> None:
        pin(0)
        time.sleep_us(80)
        pin(1)

    driver = driver_module.ATECC608(bus, wake=pulse, clock=time)
    assert driver.info()[2] == 0x60
    assert model.violations == []
    model.floating("sda")
    assert not model._awake


def test_awake_from_before_our_reset() -> None:
    """A reset of the MCU in the middle of a session: it neither wakes nor says so."""
    model, port, _, driver = element()
    for after_us in (3_000, 30_000, 400_000, 1_200_000, 1_299_000):
        model.sda_low(80)
        port.advance(2_000)
        assert model.read(4) == bytes.fromhex("04113343")
        assert model.write(b"\x03" + bytes.fromhex("0730000000035d"))
        port.advance(after_us - 2_000)
        assert driver.info() == bytes((0, 0, 0x60, 2))
        port.advance(10_000)
    assert model.violations == []


def test_awake_and_at_work() -> None:
    _, port, _, driver = element()
    driver._wake()
    driver._i2c.writeto(0x60, b"\x03" + (p := bytes.fromhex("0740000000")) + crc16(p))
    with pytest.raises(BusError):
        driver.info()
    port.advance(100_000)
    assert driver.info()[2] == 0x60


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "bit in data": lambda f: f[:1] + bytes([f[1] ^ 4]) + f[2:],
    "bit in count": lambda f: bytes([f[0] ^ 1]) + f[1:],
    "bit in sum": lambda f: f[:-1] + bytes([f[-1] ^ 0x80]),
    "short": lambda f: f[: len(f) // 2],
    "one byte": lambda f: f[:1],
    "zeros": lambda f: bytes(len(f)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_answers(fault: str) -> None:
    model, _, _, driver = element()
    public = driver.public_key()
    for call in (lambda: driver.sign(DIGEST), driver.info, driver.random, driver.locked):
        model.faults.append(FAULTS[fault])
        with pytest.raises(BusError):
            call()
        assert driver.info()[2] == 0x60
    model.faults += [lambda f: f, FAULTS[fault]]  # the signature's, after the digest's
    with pytest.raises(BusError):
        driver.sign(DIGEST)
    verify(public, DIGEST, driver.sign(DIGEST))
    assert model.violations == []


@pytest.mark.parametrize("status", [3, 5, 7, 0x0F, 0xEE, 0xFF, 1])
def test_status_codes(status: int) -> None:
    model, _, _, driver = element()
    kind = {0xFF: BusError, 0xEE: NotReady}.get(status, ChipError)
    for place in (0, 1):
        model.status = [0] * place + [status]
        with pytest.raises(kind) as e:
            driver.sign(DIGEST)
        assert e.value.args == ("atecc608", status)
    model.status = [0, 0]  # "done" is no signature
    with pytest.raises(BusError) as b:
        driver.sign(DIGEST)
    assert b.value.args == ("atecc608", "count")
    assert len(driver.sign(DIGEST)) == 64


@pytest.mark.parametrize("transaction", range(8))
@pytest.mark.parametrize("kind", ["nack", "stuck"])
def test_bus_faults(kind: str, transaction: int) -> None:
    """Each transaction of a signature refused once: an error or the signature, and the next one is good."""
    model, port, bus, driver = element()
    public = driver.public_key()
    count = 0
    go = bus._go

    def faulty(address: int, out: bytes | None, n: int | None, stop: bool = True) -> bytes:
        nonlocal count
        count += 1
        if count == transaction + 1:
            port.advance(200)
            raise OSError(errno.ENODEV if kind == "nack" else errno.ETIMEDOUT)
        return bytes(go(address, out, n, stop))

    bus._go = faulty
    try:
        verify(public, DIGEST, driver.sign(DIGEST))
    except BusError as e:
        assert e.args[0] == "atecc608"
    bus._go = go
    verify(public, DIGEST, driver.sign(DIGEST))
    assert model.violations == []


@pytest.mark.parametrize("open_line", [False, True])
def test_no_answer_has_an_end(open_line: bool) -> None:
    """Nobody there, or one that hangs: with the address refused, and with FF from an open line."""
    model, port, bus, driver = element()
    bus.open_line = open_line
    assert driver.info()[2] == 0x60
    bus.models.clear()
    start = port.now_us
    with pytest.raises(BusError):
        driver.info()
    assert port.now_us - start < 100_000
    bus.models.append(model)
    send = driver._send

    def hang(*args: Any) -> None:
        model.hangs = False
        write = driver._i2c.writeto

        def then_hang(address: int, data: bytes) -> int:
            n = int(write(address, data))
            model.hangs = True
            return n

        driver._i2c.writeto = then_hang
        try:
            send(*args)
        finally:
            driver._i2c.writeto = write

    driver._send = hang
    start = port.now_us
    with pytest.raises(BusError) as e:
        driver.info()
    assert e.value.args == ("atecc608", "busy")
    assert port.now_us - start < 1_000_000
    driver._send = send
    port.advance(1_300_000)  # its watchdog
    assert driver.info()[2] == 0x60


def test_refuses_another_digest() -> None:
    _, _, _, driver = element()
    for bad in (b"", bytes(31), bytes(33)):
        with pytest.raises(ConfigError):
            driver.sign(bad)


def test_model_is_strict() -> None:
    model, port, _, _ = element()
    assert model.write(b"\x00") is False and model.read(4) == b""  # asleep
    model.sda_low(59)
    assert not model._awake
    model.sda_low(60)
    port.advance(1_000)
    assert model.write(b"\x00") is False and model.read(4) == b""  # not yet
    assert model.violations == []
    port.advance(1_000)
    assert model.read(2) == b"\x04\x11"
    assert model.read(4) == b"\x33\x43\xff\xff"
    model.write(b"\x00")
    assert model.read(4) == bytes.fromhex("04113343")
    assert model.write(b"\x07") is False
    assert "word address" in model.violations[0]
    # Damaged and unknown packets.
    for packet, status in (
        (b"\x07\x30\0\0\0\0\0", 0xFF),
        (b"\x07", 0xFF),
        (b"\x07\x99\0\0\0", 3),
        (b"\x07\x40\x05\0\0", 3),
    ):
        model.write(b"\x03" + (packet if status == 0xFF else packet + crc16(packet)))
        port.advance(120_000)
        assert model.read(4) == frame(bytes([status]))
    assert len(model.violations) == 1


def test_model_power_states() -> None:
    model, port, _, _ = element()

    def run(packet: bytes) -> bytes:
        assert model.write(b"\x03" + packet + crc16(packet))
        assert model.write(b"\x00") is False and model.read(4) == b""  # at work
        port.advance(120_000)
        return model.read(4)

    nonce = bytes([39, 0x16, 3, 0, 0]) + DIGEST
    sign = bytes([7, 0x41, 0x80, 0, 0])
    for word, kept in ((b"\x02", True), (b"\x01", False), (b"", False)):
        model.sda_low(80)
        port.advance(2_000)
        assert run(nonce)[:2] == b"\x04\x00"
        if word:
            assert model.write(word)
            assert model.write(b"") is False
        else:
            port.advance(1_300_000)  # the watchdog
        model.sda_low(80)
        port.advance(2_000)
        assert (run(sign)[0] == 67) == kept
        model.write(b"\x01")
    assert model.violations == []


def test_adafruit_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their driver, unmodified: identity, random, public key, and a signature that verifies."""
    model = ATECC608()
    port = ManualPort(5)
    model.attach(port)
    source = load("adafruit_atecc.adafruit_atecc", monkeypatch, port.clock)
    driver = source.ATECC(bus_of(AdafruitBus, model, port))
    assert driver.version() == 0x6002
    assert driver.locked is True
    # It reads bytes 0-3, 8-11 and then one of word 3, where the number's end is at byte 12.
    assert driver.serial_number == (model.serial[:8] + model.configuration[12:13]).hex().upper()
    assert 0 <= driver.random(0, 1000) < 1000
    public = bytes(driver.gen_key(bytearray(64), 0))
    verify(public, DIGEST, bytes(driver.ecdsa_sign(0, bytearray(DIGEST))))
    assert model.violations == []


def talk(model: ATECC608, port: ManualPort, code: int, p1: int, p2: int = 0, data: bytes = b"") -> bytes:
    """One command of a part that is awake, and the content of its answer."""
    body = bytes((7 + len(data), code, p1, p2 & 255, p2 >> 8)) + data
    assert model.write(b"\x03" + body + crc16(body))
    port.advance(120_000)
    count = model.read(1)[0]
    rest = model.read(count - 1)
    assert crc16(bytes([count]) + rest[:-2]) == rest[-2:]
    return rest[:-2]


def awake(**options: Any) -> tuple[ATECC608, ManualPort, Callable[..., bytes]]:
    """Each command of the callable finds it freshly woken, with what idling keeps."""
    model = ATECC608(**options)
    port = ManualPort(7)
    model.attach(port)

    def command(code: int, p1: int, p2: int = 0, data: bytes = b"") -> bytes:
        model.write(b"\x02")
        model.sda_low(80)
        port.advance(1500)
        return talk(model, port, code, p1, p2, data)

    return model, port, command


def test_signs_as_cryptoauthlib_asks() -> None:
    """calib_sign of a 608: random to renew the seed, the digest into the message digest buffer, signature."""
    _, _, command = awake()
    public = command(0x40, 0)
    assert len(command(0x1B, 0)) == 32
    assert command(0x16, 0x43, 0, DIGEST) == b"\0"
    assert command(0x41, 0x80) == b"\x0f"  # not there
    verify(public, DIGEST, command(0x41, 0xA0))
    assert command(0x41, 0xA0) == b"\x0f"  # used up
    for wrong in (0x23, 0x07, 0xC3, 0x13):
        assert command(0x16, wrong, 0, DIGEST) == b"\x03"
    assert command(0x16, 0x23, 0, DIGEST * 2) == b"\0"


def test_nonce_with_random() -> None:
    """TempKey is SHA-256 of what was drawn, the input, and the command (DS: nonce command)."""
    for mode in (0, 1):
        _, _, command = awake()
        public = command(0x40, 0)
        drawn = command(0x16, mode, 0, bytes(range(20)))
        assert len(drawn) == 32 and command(0x30, 2) == b"\0\x80\0\0"
        key = hashlib.sha256(drawn + bytes(range(20)) + bytes((0x16, mode, 0))).digest()
        verify(public, key, command(0x41, 0x80))
        assert command(0x30, 2)[1] == 0
    _, _, command = awake(config_locked=False)
    assert command(0x16, 0, 0, bytes(20)) == b"\xff\xff\0\0" * 8


def test_new_keys() -> None:
    model, _, command = awake(keys={0: 5, 2: 6}, slots_locked=[2])
    first = command(0x40, 0)
    second = command(0x40, 4)
    assert second != first and len(second) == 64 and command(0x40, 0) == second
    assert command(0x30, 1) == b"\1\0\0\0" and command(0x30, 1, 1) == bytes(4)
    command(0x16, 3, 0, DIGEST)
    verify(second, DIGEST, command(0x41, 0x80))
    assert command(0x40, 4, 2) == b"\x0f"  # its slot is locked
    assert command(0x40, 4, 1) == b"\x0f"  # no private key goes there
    assert command(0x17, 2) == b"\0" and command(0x40, 4) == b"\x0f" and command(0x40, 0) == second
    assert command(0x17, 2) == b"\x0f"
    model.reset()  # without supply
    assert command(0x40, 0) == second and command(0x40, 4) == b"\x0f"


def test_counters_and_hashes() -> None:
    _, port, command = awake()
    assert [command(0x24, mode, which) for mode, which in ((0, 0), (1, 0), (1, 0), (0, 0), (0, 1))] == [
        n.to_bytes(4, "little") for n in (0, 1, 2, 2, 0)
    ]
    assert command(0x02, 0, 13) == b"\2\0\0\0"  # in the configuration zone
    assert command(0x24, 2) == command(0x24, 0, 2) == b"\x03"
    assert command(0x47, 1, 64, bytes(64)) == b"\x0f"  # not begun
    assert command(0x47, 0) == b"\0" and command(0x47, 1, 64, b"a" * 64) == b"\0"
    assert command(0x47, 1, 3, b"abc") == b"\x03"
    assert command(0x47, 0x42, 3, b"abc") == hashlib.sha256(b"a" * 64 + b"abc").digest()
    public = command(0x40, 0)
    verify(public, hashlib.sha256(b"a" * 64 + b"abc").digest(), command(0x41, 0xA0))
    assert command(0x47, 0) == b"\0"
    port.advance(1_400_000)  # asleep
    assert command(0x47, 2) == b"\x0f"


def test_a_part_is_personalised() -> None:
    """As it comes, open: configured, locked, a key made in it."""
    model, _, command = awake(config_locked=False, data_locked=False)
    assert command(0x1B, 0) == b"\xff\xff\0\0" * 8 and command(0x40, 4) == b"\x0f"
    assert command(0x12, 0, 8, b"\x83\x20\0\0") == b"\0"  # SlotConfig 6
    assert command(0x12, 0, 0x1B, b"\x33\0\x3c\0") == b"\0"  # KeyConfig 6
    assert command(0x12, 0, 4, bytes((0x6A, 0, 0, 0))) == b"\0"  # I2C address
    assert command(0x12, 0x80, 0x18, model.configuration[96:]) == b"\0"
    assert (
        command(0x12, 0, 0x15, bytes(4)) == command(0x12, 0, 3, bytes(4)) == b"\x0f"
    )  # locks, serial number
    assert command(0x12, 0x80, 0x10, bytes(32)) == b"\x0f"  # would reach the lock bytes
    assert command(0x12, 0, 5, bytes(3)) == b"\x03"
    zone = model.configuration
    assert command(0x02, 0x80, 0x18) == zone[96:] and zone[108:110] == b"\x33\0"
    assert command(0x17, 1, 0) == b"\x0f"  # first the configuration
    assert command(0x17, 0, 0x1234) == b"\x0f"  # another check sum
    assert command(0x17, 0, int.from_bytes(crc16(zone), "little")) == b"\0"
    assert command(0x12, 0, 8, bytes(4)) == command(0x17, 0x80) == b"\x0f"
    public = command(0x40, 4, 6)
    assert command(0x17, 0x81) == b"\0" and command(0x40, 4, 6) != public
    public = command(0x40, 0, 6)
    command(0x16, 3, 0, DIGEST)
    verify(public, DIGEST, command(0x41, 0x80, 6))
    assert model.address == 0x35 and model.violations == []


def test_adafruit_driver_on_a_new_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of their examples, with a configuration whose first slot takes a key; also with a bus that gives
    FF where nobody answers, as their driver is then in time too."""
    for open_line in (False, True):
        model = ATECC608(config_locked=False, data_locked=False)
        port = ManualPort(5)
        model.attach(port)
        source = load("adafruit_atecc.adafruit_atecc", monkeypatch, port.clock)
        bus = bus_of(AdafruitBus, model, port)
        bus.open_line = open_line
        driver = source.ATECC(bus)
        assert driver.locked is False
        driver.write_config(bytearray(model.configuration))
        driver.lock_all_zones()
        assert driver.locked is True and model.data_locked
        public = bytes(driver.gen_key(bytearray(64), 0, private_key=True))
        assert bytes(driver.gen_key(bytearray(64), 0)) == public
        verify(public, DIGEST, bytes(driver.ecdsa_sign(0, bytearray(DIGEST))))
        assert len(driver.nonce(bytearray(20))) == 32
        assert bytes(driver.counter(0, increment_counter=True)) == b"\1\0\0\0"
        driver.sha_start()
        driver.sha_update(bytes(64))
        assert bytes(driver.sha_digest(bytearray(b"abc"))) == hashlib.sha256(bytes(64) + b"abc").digest()
        assert model.violations == []
