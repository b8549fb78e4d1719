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
    _, _, _, driver = element(slow=15.0)
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
    assert model.write(b"\x00") is False
    assert "after the wake" in model.violations[0]
    port.advance(1_000)
    assert model.read(2) == b"\x04\x11"
    assert model.read(4) == b"\x33\x43\xff\xff"
    model.write(b"\x00")
    assert model.read(4) == bytes.fromhex("04113343")
    assert model.write(b"\x07") is False
    assert "word address" in model.violations[1]
    # Damaged and unknown packets.
    for packet, status in (
        (b"\x07\x30\0\0\0\0\0", 0xFF),
        (b"\x07", 0xFF),
        (b"\x07\x99\0\0\0", 3),
        (b"\x07\x40\x04\0\0", 3),
    ):
        model.write(b"\x03" + (packet if status == 0xFF else packet + crc16(packet)))
        port.advance(120_000)
        assert model.read(4) == frame(bytes([status]))
    assert len(model.violations) == 2


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
