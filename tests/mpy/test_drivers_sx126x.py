"""The radio driver against the frozen transcripts of tests/vectors/spi, and its answers to a broken bus."""

from firmware.drivers import radio_cad
from firmware.drivers.errors import BusError, ChipError, ConfigError, NotReady
from firmware.drivers.sx126x import SX1262, RxPacket
from tests.mpy.support import heap_locked, load_json, raises
from tests.mpy.ticks import Micros, Rising

_MODES = ("80", "82", "83", "84", "89", "c1", "c5")


class Clock(Micros):
    """Time that passes by sleeping, and a little by looking."""

    look_us = 5


class Bus:
    """Logs what is clocked; answers by table: hex of what was written -> replies, the last one repeats."""

    def __init__(self, answers):
        self.answers = {}
        for key in answers:
            self.answers[key] = [bytes.fromhex(a) for a in answers[key]]
        self.log = []
        self.error = None
        self._out = None

    def cs(self, level):
        if level:
            if self._out is not None:
                self.log.append(self._out.hex() if self._out else "")  # b"".hex() is b"" on 1.25
            self._out = None
        else:
            self._out = b""

    def write(self, data):
        if self.error:
            raise OSError(self.error)
        self._out += bytes(data)

    def readinto(self, into, filler=0):
        replies = self.answers.get(self._out.hex(), [bytes(len(into))])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        assert len(reply) == len(into), self._out.hex()
        into[:] = reply
        self._out += bytes([filler]) * len(into)


def canonical(transactions):
    """Mode commands in order; what lies between two of them as a sorted group without reads of state."""
    groups = []
    group = []
    for mosi in transactions:
        if mosi[:2] in ("12", "1d"):
            continue
        if mosi[:2] in _MODES or mosi == "":
            groups.append(sorted(group))
            groups.append(mosi)
            group = []
        else:
            group.append(mosi)
    groups.append(sorted(group))
    return groups


def vector(name):
    return load_json("tests/vectors/spi/" + name + ".json")


def build(v, answers=None):
    """(driver, bus, busy, dio1, clock), with the log emptied unless `answers` are those of the start."""
    start = vector("reset_configure")["answers"]
    bus = Bus(answers or start)
    busy = Rising()
    dio1 = Rising()
    clock = Clock()
    board = v["board"]
    radio = SX1262(
        bus,
        bus.cs,
        busy,
        dio1,
        reset=Rising(),
        dio2_rf_sw=board["dio2"],
        dio3_tcxo_millivolts=board["tcxo_mv"],
        dio3_tcxo_start_time_us=board["tcxo_start_us"],
        lora_cfg=v["config"],
        clock=clock,
    )
    if answers is None:
        bus.log = []
        bus.answers = Bus(v["answers"]).answers
    return radio, bus, busy, dio1, clock


def check(v, bus):
    want = canonical([row[0] for row in v["spi"]])
    got = canonical(bus.log)
    assert got == want, "\n".join(["got", str(got), "want", str(want)])


def test_reset_and_configure():
    v = vector("reset_configure")
    _, bus, _, dio1, _ = build(v, v["answers"])
    assert bus.log.pop(0) == "12000000"  # the mode is looked at before anything else
    check(v, bus)
    assert dio1.handler


def test_send():
    v = vector("send_24")
    radio, bus, _, dio1, clock = build(v)
    payload = bytes.fromhex(v["payload"])
    radio.prepare_send(payload)
    assert radio.start_send() is dio1
    assert not radio.irq_triggered()
    polls = 0
    while True:
        done = radio.poll_send()
        if done is not True:
            break
        polls += 1
        clock.sleep_ms(100)
    assert polls == 3 and isinstance(done, int)
    assert radio.poll_send() is False
    check(v, bus)
    assert radio.get_time_on_air_us(24) == 205824


def test_receive():
    v = vector("receive")
    radio, bus, _, dio1, clock = build(v)
    assert radio.start_recv(timeout_ms=v["timeout_ms"]) is dio1
    assert radio.poll_recv() is True
    assert radio.poll_recv() is True
    clock.us = 7654321
    dio1.handler(dio1)
    assert radio.irq_triggered()
    packet = radio.poll_recv()
    assert isinstance(packet, RxPacket)
    assert bytes(packet) == bytes.fromhex(v["payload"])
    assert packet.valid_crc
    assert (packet.rssi, packet.snr) == (v["packet"]["rssi"], v["packet"]["snr"])
    assert packet.ticks_ms == 7654
    assert radio.poll_recv() is False
    check(v, bus)


def test_packet_buffer_is_used_again():
    v = vector("receive")
    radio, bus, _, _, _ = build(v)
    mine = RxPacket(24)
    bus.answers["12"] = [bytes.fromhex("240002")]
    radio.start_recv(timeout_ms=3000)
    assert radio.poll_recv(mine) is mine
    assert bytes(mine) == bytes.fromhex(v["payload"])


def test_negative_snr():
    v = vector("receive")
    radio, bus, _, _, _ = build(v)
    bus.answers["12"] = [bytes.fromhex("240002")]
    bus.answers["14"] = [bytes.fromhex("24ebd8f0")]
    radio.start_recv(timeout_ms=3000)
    packet = radio.poll_recv()
    assert (packet.rssi, packet.snr) == (-117, -40)


def test_sleep():
    v = vector("sleep")
    radio, bus, _, _, clock = build(v)
    before = clock.us
    radio.sleep()
    assert clock.us - before >= 500
    assert radio.is_idle()
    radio.standby()
    check(v, bus)


def test_cad():
    v = vector("cad")
    radio, bus, _, _, _ = build(v)
    # Five symbols of 4.096 ms at most.
    assert 20 <= radio_cad.start(radio) <= 22
    found = None
    while found is None:
        found = radio_cad.poll(radio)
    assert found is v["activity"]
    check(v, bus)


def test_a_crc_error_is_no_packet_and_the_radio_listens_again():
    v = vector("receive")
    radio, bus, _, _, _ = build(v)
    bus.answers["12"] = [bytes.fromhex(a) for a in ("320000", "240042", "520000")]
    radio.start_recv(timeout_ms=3000)
    radio._irq()
    bus.log = []
    assert radio.poll_recv() is True
    assert radio.crc_errors == 1
    assert [m for m in bus.log if m[:2] == "82"]
    assert radio.poll_recv() is True
    # On request damaged packets come through, marked.
    radio, bus, _, _, _ = build(v)
    bus.answers["12"] = [bytes.fromhex("240042")]
    radio.rx_crc_error = True
    radio.start_recv(timeout_ms=3000)
    packet = radio.poll_recv()
    assert packet.valid_crc is False and len(packet) == 24


def test_a_lost_time_out_ends_the_reception():
    """The chip stays in RX although its time-out and the longest packet are over."""
    v = vector("receive")
    radio, bus, _, _, clock = build(v)
    bus.answers["12"] = [bytes.fromhex("520000")]
    radio.start_recv(timeout_ms=3000)
    clock.sleep_ms(3100)
    assert radio.poll_recv() is True  # a packet whose header came in time may still be under way
    clock.sleep_ms(3000)
    assert radio.poll_recv() is False
    assert "8001" in bus.log


def test_a_transmission_that_never_ends_is_an_error():
    v = vector("send_24")
    radio, bus, _, _, clock = build(v)
    bus.answers["12"] = [bytes.fromhex("620000")]
    radio.prepare_send(b"x" * 24)
    radio.start_send()
    assert radio.poll_send() is True
    clock.sleep_ms(600)
    assert raises(ChipError, radio.poll_send).args == ("sx1262", "tx")
    assert radio.poll_send() is False
    # The chip's own time-out is the same error, and the next send works.
    bus.answers["12"] = [bytes.fromhex("260200")]
    radio.prepare_send(b"x" * 24)
    radio.start_send()
    raises(ChipError, radio.poll_send)
    bus.answers["12"] = [bytes.fromhex("2c0001")]
    radio.prepare_send(b"x" * 24)
    radio.start_send()
    assert radio.poll_send() is not True


def test_busy_stuck():
    radio, _, busy, _, clock = build(vector("send_24"))
    busy.level = 1
    before = clock.us
    assert raises(BusError, radio.standby).args == ("sx1262", "busy")
    # 30 ms for the longest command and 5 ms of oscillator.
    assert 35000 <= clock.us - before < 40000
    busy.level = 0
    radio.standby()


def test_dead_bus():
    radio, bus, _, _, _ = build(vector("send_24"))
    for stuck in ("000000", "ffffff"):
        bus.answers["12"] = [bytes.fromhex(stuck)]
        radio.prepare_send(b"x")
        radio.start_send()
        raises(BusError, radio.poll_send)
        radio.standby()
    bus.error = 5
    assert raises(BusError, radio.standby).args == ("sx1262", 5)
    bus.error = None
    radio.standby()


def test_no_chip_at_the_start():
    for reply in ("000000", "ffffff", "d20000"):
        raises(BusError, build, vector("cad"), {"12": [reply]})


def test_calibration_that_fails():
    answers = dict(vector("reset_configure")["answers"])
    answers["17"] = ["220020"]
    assert raises(ChipError, build, vector("cad"), answers).args == ("sx1262", 0x20)


def test_bad_settings_send_nothing():
    radio, bus, _, _, _ = build(vector("send_24"))
    before = radio.get_time_on_air_us(24)
    for key, value in (
        ("sf", 4),
        ("sf", 13),
        ("bw", 126),
        ("coding_rate", 4),
        ("coding_rate", 9),
        ("output_power", 23),
        ("output_power", -10),
        ("preamble_len", 65536),
        ("preamble_len", 0),
        ("syncword", -1),
        ("freq_khz", 868),
        ("freq_khz", 2400000),
        ("pa_ramp_us", 5000),
        ("spreading", 7),
    ):
        assert raises(
            ConfigError, radio.configure, {key: value, "sf": 9} if key != "sf" else {key: value}
        ).args == (key,), key
    assert bus.log == []
    assert radio.get_time_on_air_us(24) == before
    assert raises(ConfigError, radio.prepare_send, b"").args == ("packet",)
    assert raises(ConfigError, radio.prepare_send, bytes(256)).args == ("packet",)
    assert raises(ConfigError, radio.start_recv, 5, True).args == ("timeout_ms",)
    assert raises(ConfigError, radio.start_recv, 300000).args == ("timeout_ms",)
    assert raises(
        ConfigError, build, {"board": {"dio2": 1, "tcxo_mv": 1500, "tcxo_start_us": 1}, "config": {}}
    ).args


def test_settings_wait_for_the_end_of_an_operation():
    radio, _, _, _, _ = build(vector("send_24"))
    radio.prepare_send(b"x")
    radio.start_send()
    raises(NotReady, radio.configure, {"sf": 7})
    raises(NotReady, radio_cad.start, radio)
    radio.standby()
    radio.configure({"sf": 7})


def test_every_bandwidth_power_and_ramp():
    radio, bus, _, _, _ = build(vector("send_24"))
    for bw, code, ldro in (("62.5", "03", "01"), (125, "04", "01"), ("250", "05", "00"), (500, "06", "00")):
        bus.log = []
        radio.configure({"bw": bw, "sf": 11})
        assert "8b0b" + code + "01" + ldro in bus.log, bw
    for dbm, pa, tx in (
        (22, "9504070001", "8e16"),
        (20, "9503050001", "8e16"),
        (17, "9502030001", "8e16"),
        (14, "9502020001", "8e16"),
        (10, "9504070001", "8e0a"),
        (-9, "9504070001", "8ef7"),
    ):
        bus.log = []
        radio.configure({"output_power": dbm, "pa_ramp_us": 200})
        assert pa in bus.log and tx + "04" in bus.log, dbm
    bus.log = []
    radio.configure({"syncword": 0x12, "rx_boost": True})
    assert "0d07401424" in bus.log and "0d08ac96" in bus.log
    radio.configure({"syncword": 0x2414})
    assert "0d07402414" in bus.log


def test_erratum_15_1_at_500_khz():
    radio, bus, _, _, _ = build(vector("send_24"))
    radio.configure({"bw": 500})
    bus.answers["1d088900"] = [b"\x05"]
    radio.prepare_send(b"x")
    assert "0d088901" in bus.log


def test_polling_allocates_nothing():
    radio, _, _, dio1, _ = build(vector("receive"))
    radio.start_recv(continuous=True)
    quiet = Quiet()
    radio._spi = quiet
    radio._cs = quiet.cs
    radio._clock = None
    poll = radio.poll_recv
    heap_locked(poll)
    heap_locked(poll)
    assert heap_locked(poll) is True
    radio._clock = Clock()
    handler = dio1.handler
    heap_locked(lambda: handler(None))


class Quiet:
    """A bus that allocates nothing: RX mode, no interrupt."""

    def __init__(self):
        self.reply = b"\x52\x00\x00"

    def cs(self, level):
        pass

    def write(self, data):
        pass

    def readinto(self, into, filler):
        i = 0
        while i < 3:
            into[i] = self.reply[i]
            i += 1
