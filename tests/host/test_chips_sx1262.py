"""The SX1262 model by hand: transcripts written from the data sheet, every wrong use, BUSY times, errata."""

from collections.abc import Callable
from typing import Any

import pytest

from hw.virtual.air import Radio
from hw.virtual.chips.sx1262 import tx_current_ma
from hw.virtual.chips.sx1262_tables import SWITCH_US, Irq, Mode
from tests.host.chips_bench import LINK, PAYLOAD, VECTORS, Bench, load

NAMES = ["reset_configure", "send_24", "receive", "sleep", "cad"]


class TestTranscripts:
    """The frozen transcripts do on the model what they say."""

    def test_every_file_is_used(self) -> None:
        assert sorted(p.stem for p in VECTORS.glob("*.json")) == sorted(NAMES)

    def play(self, name: str, bench: Bench, until: str = "") -> list[tuple[str, bytes]]:
        out = []
        for mosi, _ in load(name)["spi"]:
            out.append((mosi, bench.cmd(mosi)))
            if until and mosi.startswith(until):
                break
        return out

    def test_reset_configure(self) -> None:
        bench = Bench()
        self.play("reset_configure", bench)
        assert bench.mode() is Mode.STDBY_RC
        assert bench.chip.errors == 0
        assert bench.chip.violations == bench.chip.advisories == []

    def test_send(self) -> None:
        bench = Bench()
        bench.set_up()
        bench.far.antenna.listen(LINK)
        self.play("send_24", bench, "83")
        bench.ready()
        assert bench.mode() is Mode.TX
        bench.settle(206_000)
        assert bench.irq() == Irq.TX_DONE
        assert bench.port.pins["dio1"] == 1
        bench.cmd("020001")
        assert bench.port.pins["dio1"] == 0
        (sent,) = bench.air.transmissions
        assert sent.payload == PAYLOAD
        assert sent.end_us - sent.start_us == 205_824
        assert sent.power_dbm == 14
        assert abs(sent.radio.freq_hz - 868_100_000) <= 1
        assert [r.payload for r in bench.far.heard] == [PAYLOAD]
        assert bench.chip.violations == bench.chip.advisories == []

    def test_receive(self) -> None:
        bench = Bench()
        bench.set_up()
        bench.cmd("8000", "863643" + "1110")  # 869.525 MHz below, near enough to start
        bench.cmd("86" + f"{round(869_525_000 * 2**25 / 32e6):08x}")
        self.play("receive", bench, "82")
        bench.ready()
        far = Radio(869_525_000, 9, 125_000, 0x3444, iq_inverted=True)
        bench.far.send(PAYLOAD, far)
        bench.settle(300_000)
        assert bench.irq() == Irq.RX_DONE
        assert bench.mode() is Mode.STDBY_RC
        bench.cmd("020002")
        assert bench.cmd("13000000")[2:] == bytes([24, 0])
        assert bench.cmd("1e0000" + "00" * 24)[3:] == PAYLOAD
        rssi, snr, signal = bench.cmd("1400000000")[2:]
        assert (-rssi / 2, snr / 4, -signal / 2) == (-82, 13, -82)
        bench.cmd("0d090200", "0d094402")
        assert bench.chip.violations == bench.chip.advisories == []

    def test_sleep(self) -> None:
        bench = Bench()
        bench.set_up()
        bench.cmd("8001", "0203ff", "8404")
        assert bench.port.pins["busy"] == 1
        bench.settle(500)
        bench.raw("")
        assert bench.ready() == 340
        assert bench.mode() is Mode.STDBY_RC
        assert bench.cmd("1d07400000" + "00")[4:] == b"\x34\x44"  # kept
        assert bench.chip.violations == []

    @pytest.mark.parametrize("busy", [True, False])
    def test_cad(self, busy: bool) -> None:
        bench = Bench()
        bench.set_up()
        if busy:
            bench.far.send()
        self.play("cad", bench, "c5")
        assert bench.ready() == 62
        start = bench.clock.now_us
        while not bench.irq():
            bench.settle(100)
        assert 4 * 4096 <= bench.clock.now_us - start <= 5 * 4096
        assert bench.irq() == (0x180 if busy else 0x080)
        bench.cmd("020180")
        assert bench.mode() is Mode.STDBY_RC
        assert bench.chip.violations == bench.chip.advisories == []


WRONG: list[tuple[str, list[str], str]] = [
    ("unknown opcode", ["77"], "opcode 0x77 does not exist"),
    ("too short", ["8601"], "SET_RF_FREQUENCY takes 5"),
    ("too long", ["800000"], "SET_STANDBY takes 2"),
    ("answer read past its end", ["1200000000"], "GET_IRQ_STATUS takes 2..4"),
    ("no argument", ["9d"], "SET_DIO2_AS_RF_SWITCH takes 2"),
    ("reserved standby", ["8002"], "standbyConfig = 2 is reserved"),
    ("reserved regulator", ["9602"], "regModeParam = 2 is reserved"),
    ("reserved packet type", ["8a02"], "packetType = 2 is reserved"),
    ("sleep while receiving", ["82000000", "8404"], "SET_SLEEP in RX"),
    ("calibration on the oscillator", ["8001", "897f"], "CALIBRATE in STDBY_XOSC"),
    ("packet type on the oscillator", ["8001", "8a00"], "SET_PACKET_TYPE in STDBY_XOSC"),
    ("spreading factor 13", ["8b0d040100"], "SF = 13 is reserved"),
    ("bandwidth 7", ["8b09070100"], "BW = 7 is reserved"),
    ("coding rate 0", ["8b09040000"], "CR = 0 is reserved"),
    ("LDRO 2", ["8b09040102"], "LowDataRateOptimize = 2 is reserved"),
    ("parameters of FSK", ["8b0904010001000000"], "more than LoRa's four parameters"),
    ("no preamble", ["8c0000001001" + "00"], "PreambleLength = 0 is reserved"),
    ("header type", ["8c000802100100"], "HeaderType = 2 is reserved"),
    ("CRC type", ["8c000800100200"], "CRCType = 2 is reserved"),
    ("IQ", ["8c000800100102"], "InvertIQ = 2 is reserved"),
    ("+23 dBm", ["8e1702"], "power = 23 is reserved"),
    ("-10 dBm", ["8ef602"], "power = -10 is reserved"),
    ("ramp", ["8e1608"], "rampTime = 8 is reserved"),
    ("SX1261's PA", ["9504000101"], "deviceSel (SX1262) = 1 is reserved"),
    ("PA lookup table", ["9504070000"], "paLut = 0 is reserved"),
    ("PA duty cycle", ["9505070001"], "paDutyCycle = 5 is reserved"),
    ("2.4 GHz", ["8696000000"], "is outside 150..960 MHz"),
    ("interrupt bits", ["08ffff000000000000"], "reserved bits"),
    ("DIO2 is the switch", ["080001000100010000"], "DIO2 is the antenna switch"),
    ("DIO3 is the TCXO", ["080001000100000001"], "DIO3 supplies the TCXO"),
    ("fallback mode", ["9310"], "fallbackMode = 16 is reserved"),
    ("image band", ["98dbd7"], "freq1 below freq2"),
    ("buffer never written", ["1e800000"], "byte 128 of the buffer was read but never written"),
    ("sending what was never written", ["8c000800100100", "83000000"], "bytes that were never written"),
    ("CAD before its parameters", ["c5"], "SetCad without SetCadParams"),
    ("CAD symbols", ["88051616000000" + "00"], "cadSymbolNum = 5 is reserved"),
    ("TCXO voltage", ["9708000140"], "tcxoVoltage = 8 is reserved"),
    ("duty cycle", ["94000001000001"], "SET_RX_DUTY_CYCLE is not modelled"),
    ("errors are cleared with zeros", ["070001"], "takes zeros"),
]


@pytest.mark.parametrize(("frames", "rule"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_use(frames: list[str], rule: str) -> None:
    bench = Bench()
    bench.set_up()
    bench.cmd("8c000800ff0100")
    bench.cmd(*frames)
    assert len(bench.chip.violations) == 1, bench.chip.violations
    assert rule in bench.chip.violations[0]
    assert bench.port.violations == bench.chip.violations


def test_the_same_frames_in_order_are_right() -> None:
    """What the list above spoils is right without it."""
    bench = Bench()
    bench.set_up()
    bench.cmd(
        "8c000800ff0100", "82000000", "8000", "8001", "8b09040100", "8b0904010000000000", "8ef702", "8e1607"
    )
    bench.cmd("1200", "12000000", "9504070001", "98d7db", "88041616000000" + "00", "9330", "c000")
    assert bench.chip.violations == []


def test_commands_before_their_time() -> None:
    for frames, rule in (
        (["8b09040100"], "before SetPacketType"),
        (["8c000800100100"], "before SetPacketType"),
        (["8e1602"], "before SetPaConfig"),
        (["83000000"], "SetTx without SetTxParams"),
        (["82000000"], "SetRx without SetPacketType, SetRfFrequency, SetModulationParams, SetPacketParams"),
        (["c1"], "SetFs without SetRfFrequency"),
    ):
        bench = Bench()
        bench.cmd(*frames)
        assert len(bench.chip.violations) == 1 and rule in bench.chip.violations[0], frames
        assert bench.cmd("c000")[1] >> 1 & 7 == 5  # failure to execute


def test_bytes_while_busy() -> None:
    bench = Bench()
    bench.raw("c000")  # the start takes 3.5 ms
    assert "while BUSY is high" in bench.chip.violations[0]
    bench.ready()
    bench.chip.violations.clear()
    bench.raw("9601")
    bench.raw("9601")
    assert len(bench.chip.violations) == 1 and "96 was clocked while BUSY" in bench.chip.violations[0]


def test_command_into_sleep() -> None:
    bench = Bench()
    bench.set_up()
    bench.cmd("8404")
    bench.settle(100)
    bench.raw("")
    assert "within 500 us of SetSleep" in bench.chip.violations[0]
    bench = Bench()
    bench.set_up()
    bench.cmd("8404")
    bench.settle(600)
    bench.raw("8000")
    assert "clocked into a sleeping chip" in bench.chip.violations[0]
    # GetStatus with the waking edge is what Semtech's driver does.
    bench = Bench()
    bench.set_up()
    bench.cmd("8404")
    bench.settle(600)
    bench.raw("c000")
    bench.ready()
    assert bench.chip.violations == []


def test_cold_sleep_forgets() -> None:
    bench = Bench()
    bench.set_up()
    bench.cmd("8400")
    bench.settle(600)
    bench.raw("")
    assert bench.ready() == 3500
    assert bench.cmd("1d0740000000")[4:] == b"\x14\x24"
    assert bench.cmd("1700" + "0000")[2:] == b"\x00\x20"  # calibrated without its TCXO
    bench.cmd("82000000")
    assert "without" in bench.chip.violations[0]


def test_an_unserved_interrupt_hides_the_next() -> None:
    bench = Bench()
    bench.set_up()
    bench.cmd("8c000800ff0100", "82000040")
    bench.settle(10_000)
    assert bench.irq() == Irq.TIMEOUT
    bench.cmd("82000040")
    assert "DIO1 still high" in bench.chip.violations[0]


def test_unmodelled_leg_is_ignored_and_reset_needs_its_edge() -> None:
    bench = Bench()
    bench.set_up()
    bench.chip.pin_changed("dio1", 1)
    bench.chip.pin_changed("reset", 1)  # it was high all along
    assert bench.mode() is Mode.STDBY_RC
    assert bench.chip.packet_type == 1
    bench.chip.pin_changed("reset", 0)
    bench.settle(200)
    assert bench.port.pins["busy"] == 1
    bench.chip.pin_changed("reset", 1)
    assert bench.ready() == 3500
    assert bench.chip.packet_type is None


class TestBusy:
    """DS table 8-2, and BUSY that falls when the state is reached."""

    def test_table(self) -> None:
        assert SWITCH_US[Mode.STDBY_RC, Mode.TX] == 126 and SWITCH_US[Mode.STDBY_XOSC, Mode.RX] == 62
        assert SWITCH_US[Mode.FS, Mode.TX] == 76 and SWITCH_US[Mode.STDBY_RC, Mode.STDBY_XOSC] == 31

    @pytest.mark.parametrize("origin", ["8000", "8001", "c1"])
    @pytest.mark.parametrize(
        ("command", "mode"), [("82000000", Mode.RX), ("83000000", Mode.TX), ("c1", Mode.FS)]
    )
    def test_switching(self, origin: str, command: str, mode: Mode) -> None:
        if origin == command:
            return
        bench = Bench(tcxo=False)
        bench.set_up()
        bench.cmd("9700000000", "8000", "8c000800010100", "0e0055", "8000")
        bench.cmd(origin)
        bench.ready()
        before = bench.chip.mode
        bench.raw(command)
        assert bench.ready() == SWITCH_US[before, mode]
        assert bench.chip.mode is mode
        assert bench.chip.violations == []

    def test_tcxo_delays_every_start_of_the_oscillator(self) -> None:
        bench = Bench()
        bench.set_up()
        bench.cmd("8000", "8c000800ff0100")
        bench.ready()
        bench.raw("82000000")
        assert bench.ready() == 83 + 5000
        bench.cmd("8001")
        bench.ready()
        bench.raw("82000000")
        assert bench.ready() == 62

    def test_missing_tcxo_supply(self) -> None:
        bench = Bench()
        bench.cmd("9601", "9d01", "8a01", "8001")
        assert bench.mode() is Mode.STDBY_RC
        assert bench.cmd("17000000")[2:] == b"\x00\x20"
        assert "oscillator did not start" in bench.chip.advisories[0]

    def test_too_short_a_tcxo_delay(self) -> None:
        bench = Bench(tcxo_start_us=2000)
        bench.cmd("9702000040", "8001")  # 1 ms
        assert bench.mode() is Mode.STDBY_RC


def test_errata_omitted_are_told() -> None:
    """Each erratum left out by a driver is an advisory; none stops the run."""
    bench = Bench()
    bench.set_up()
    bench.cmd("0d08d8c8")  # 15.2 undone
    bench.cmd("0d088901")  # 15.1 missing below 500 kHz
    bench.cmd("8c000800010101")  # inverted IQ without 15.4
    bench.cmd("0e0000", "83000000")
    bench.settle(500_000)
    told = " ".join(bench.chip.advisories)
    assert "15.1" in told and "15.2" in told and "15.4" in told
    assert bench.chip.violations == []


def implicit(bench: Bench) -> None:
    """Receive 24 bytes with an implicit header within 1 s; the packet comes at once."""
    bench.cmd("8001", "8c000801180100", "0d07360d", "8200fa00")
    bench.ready()
    radio = Radio(868_100_000, 9, 125_000, 0x3444, implicit=24)
    bench.far.send(PAYLOAD, radio)
    bench.settle(300_000)
    assert bench.irq() == Irq.RX_DONE
    bench.cmd("0203ff")


def test_erratum_15_3() -> None:
    """Without the workaround the timer of an implicit-header reception fires in a later mode."""
    bench = Bench()
    bench.set_up()
    implicit(bench)
    bench.cmd("8000")
    bench.settle(1_000_000)
    assert bench.irq() == Irq.TIMEOUT
    # Half of it does not help.
    bench = Bench()
    bench.set_up()
    implicit(bench)
    bench.cmd("0d094402")
    bench.settle(1_000_000)
    assert bench.irq() == Irq.TIMEOUT
    bench = Bench()
    bench.set_up()
    implicit(bench)
    bench.cmd("0d090200", "0d094402")
    bench.settle(1_000_000)
    assert bench.irq() == 0


def test_stop_timer_on_preamble() -> None:
    bench = Bench()
    bench.set_up()
    bench.cmd("8c000800ff0100", "9f01", "82000c80")  # 50 ms
    bench.ready()
    bench.settle(20_000)
    bench.far.send()
    bench.settle(400_000)
    assert bench.irq() == Irq.RX_DONE
    # Without it 50 ms end before the header, which comes after 83 ms.
    bench.cmd("0203ff", "9f00", "8c000800ff0100", "82000c80")
    bench.ready()
    bench.settle(20_000)
    bench.far.send()
    bench.settle(400_000)
    assert bench.irq() == Irq.TIMEOUT


def test_longest_accepted_payload() -> None:
    bench = Bench()
    bench.set_up()
    bench.cmd("8c000800170100", "82000000")
    bench.ready()
    bench.far.send()
    bench.settle(400_000)
    assert bench.irq() == Irq.HEADER_ERR


def test_interrupts_only_as_masked() -> None:
    bench = Bench()
    bench.set_up()
    bench.cmd("080016000200000000", "8c000800ff0100", "82000000")  # preamble, header, RxDone; DIO1: RxDone
    bench.ready()
    bench.far.send()
    bench.settle(50_000)
    assert bench.irq() == Irq.PREAMBLE_DETECTED
    assert bench.port.pins["dio1"] == 0
    bench.settle(50_000)
    assert bench.irq() == Irq.PREAMBLE_DETECTED | Irq.HEADER_VALID
    bench.settle(300_000)
    assert bench.irq() == 0x16
    assert bench.port.pins["dio1"] == 1


def test_latency_bound() -> None:
    """No interrupt by another's packet comes sooner than promised."""
    for mask, symbols in (("03e3", 17), ("03ff", 5)):
        bench = Bench()
        bench.set_up()
        bench.cmd("08" + mask + mask + "00000000", "8c000800ff0100", "82000000")
        bench.ready()
        assert bench.chip.latency_us == symbols * 4096
        assert bench.chip.receptive
        start = bench.clock.now_us
        bench.far.antenna.transmit(start, LINK, 14, b"")
        while not bench.port.pins["dio1"]:
            bench.settle(100)
        assert bench.clock.now_us - start >= bench.chip.latency_us
        bench.cmd("8000")
        assert not bench.chip.receptive


def test_order_of_micropython_lib() -> None:
    """The commands of micropython-lib's driver in its order: set-up, receive, send, sleep, wake."""
    bench = Bench()
    bench.cmd("12000000", "9d01", "9702000040")
    bench.settle(15_000)
    bench.cmd("070000", "17000000", "080243" + "0203" + "00000000", "02ffff", "8a01")
    bench.cmd("863641999a", "0d07403444", "9502020001", "8e1602", "8b09040100", "17000000")
    bench.cmd("1d08d80000", "0d08d8de", "98d7db")
    bench.cmd("8001", "02ffff", "8fff00", "8c000800ff0100", "82000000")
    bench.ready()
    bench.far.send()
    bench.settle(300_000)
    assert bench.irq() == Irq.RX_DONE
    bench.cmd("020002")
    assert bench.cmd("13000000")[2:] == bytes([24, 0])
    assert bench.cmd("1e0000" + "ff" * 24)[3:] == PAYLOAD
    bench.cmd("8001", "02ffff", "17000000", "8c000800180100", "8f00ff", "0e00" + PAYLOAD.hex())
    bench.cmd("1d08890000", "0d088905", "83000000", "17000000")
    bench.settle(300_000)
    assert bench.irq() == Irq.TX_DONE
    bench.cmd("8001", "8404")
    bench.settle(1000)
    bench.raw("")
    bench.cmd("070000", "17000000")
    assert bench.chip.violations == []
    assert bench.air.transmissions[-1].payload == PAYLOAD


def test_currents() -> None:
    bench = Bench()
    bench.set_up()
    drawn: dict[str, int] = {}
    for name, frame in (("rc", "8000"), ("xosc", "8001"), ("fs", "c1"), ("rx", "82000000")):
        bench.cmd("8c000800010100", frame)
        bench.ready()
        drawn[name] = bench.port.current_ua
    assert drawn == {"rc": 600, "xosc": 800, "fs": 2100, "rx": 4600}
    bench.cmd("8001", "0e0000", "83000000")
    bench.ready()
    assert bench.port.current_ua == 45_000
    assert tx_current_ma(22) == 118 and tx_current_ma(-20) == 20


def test_random_register_differs_by_seed() -> None:
    def draw(seed: int) -> bytes:
        bench = Bench()
        bench.port.random.seed(seed)
        bench.set_up()
        return bench.cmd("1d08190000000000")[4:]

    assert draw(1) == draw(1) != draw(2)


@pytest.mark.parametrize("act", [lambda b: b.cmd("8000"), lambda b: b.chip.reset()])
def test_breaking_off_a_transmission(act: Callable[[Bench], Any]) -> None:
    bench = Bench()
    bench.set_up()
    bench.far.antenna.listen(LINK)
    bench.cmd("8c000800180100", "0e00" + PAYLOAD.hex(), "83000000")
    bench.ready()
    bench.settle(100_000)
    act(bench)
    bench.settle(400_000)
    assert bench.air.transmissions[0].cut
    assert [r.crc_ok for r in bench.far.heard] == [False]
