"""What drivers other than ours do to the radio, and what the chip answers them: forms and orders of commands
that are used in the field, and states that they run into. Status bytes are those of published traces."""

import pytest

from hw.virtual.air import Radio
from hw.virtual.chips.sx1262_tables import Irq, Mode
from tests.host.chips_bench import LINK, PAYLOAD, Bench


def status(bench: Bench, mosi: str) -> list[int]:
    """The bytes after the opcode's."""
    bench.ready()
    return list(bench.raw(mosi)[1:])


class TestStart:
    def test_the_first_command_shows_that_the_tcxo_had_no_supply(self) -> None:
        """Modules with a TCXO answer 0xAA to whatever comes first; the status ends with SetStandby."""
        bench = Bench()
        assert status(bench, "1200") == [0xAA]
        assert status(bench, "070000") == [0xAA, 0xAA]
        assert status(bench, "8000") == [0xAA]
        assert status(bench, "8000") == [0xA2]
        assert bench.chip.violations == []

    def test_a_crystal_starts_clean(self) -> None:
        bench = Bench(tcxo=False)
        assert status(bench, "8000") == [0xA2]
        assert bench.cmd("17000000")[2:] == b"\0\0"

    @pytest.mark.parametrize("start", ["8001", "c1", "82000000", "8940", "8904", "98d7db"])
    def test_without_its_supply_busy_stays_high_and_the_chip_in_standby(self, start: str) -> None:
        """Status 0x2A in traces: failed, in STDBY_RC. Until then BUSY is high longer than the 7 ms a driver
        waits. Every mode but STDBY_RC needs the oscillator, and the calibration of PLL, ADC and image."""
        bench = Bench(rf_switch=False)
        bench.cmd("8a01", "8000", "070000", "8b09040100", "8c000800ff0100", "863641999a")
        bench.ready()
        bench.raw(start)
        assert bench.ready() == 10_000
        assert bench.cmd("c000")[1] & 0x7F == 0x2A
        assert bench.cmd("17000000")[2:] == b"\x00\x20"
        assert bench.chip.violations == []

    def test_a_delay_too_short_fails_when_it_is_over(self) -> None:
        """DS 13.3.6: the oscillator is looked for at the end of the delay."""
        bench = Bench(tcxo_start_us=3000)
        bench.cmd("9702000040", "8000", "070000")  # 1 ms
        bench.ready()
        bench.raw("8001")
        assert bench.ready() == 1000
        assert bench.mode() is Mode.STDBY_RC
        assert bench.cmd("17000000")[2:] == b"\x00\x20"

    def test_rc_oscillators_calibrate_without_it(self) -> None:
        bench = Bench()
        bench.cmd("8000", "070000", "8903")
        assert bench.cmd("17000000")[2:] == b"\0\0"


class TestSleep:
    @pytest.mark.parametrize("config", ["8404", "8400"])
    def test_a_command_may_follow_in_the_selection_that_wakes(self, config: str) -> None:
        """DS 8.2.2: once BUSY has gone low the host can send its command; NSS need not rise before."""
        bench = Bench()
        bench.set_up()
        bench.cmd(config)
        bench.settle(600)
        bench.spi.cs(0)
        assert bench.ready() == (340 if config == "8404" else 3500)
        answer = bytearray(3)
        bench.spi.write_readinto(b"\x11\0\0", answer)
        bench.spi.cs(1)
        assert answer[2] == (1 if config == "8404" else 0)
        assert bench.mode() is Mode.STDBY_RC
        assert bench.chip.violations == []

    def test_bytes_before_busy_falls_are_no_command(self) -> None:
        bench = Bench()
        bench.set_up()
        bench.cmd("8404")
        bench.settle(600)
        bench.spi.cs(0)
        bench.spi.write(b"\x80")
        bench.ready()
        bench.spi.write(b"\x01")
        bench.spi.cs(1)
        assert "clocked into a sleeping chip" in bench.chip.violations[0]
        assert bench.mode() is Mode.STDBY_RC


class TestForms:
    def test_an_empty_packet(self) -> None:
        """Nothing to write to the buffer, nothing to read from it."""
        bench = Bench()
        bench.set_up()
        bench.far.antenna.listen(LINK)
        bench.cmd("8c000800000100", "0e00", "83000000")
        bench.settle(300_000)
        assert bench.irq() == Irq.TX_DONE
        assert [r.payload for r in bench.far.heard] == [b""]
        bench.cmd("0203ff", "8c000800ff0100", "82000000")
        bench.ready()
        bench.far.send(b"")
        bench.settle(300_000)
        assert bench.irq() == Irq.RX_DONE
        assert bench.cmd("13000000")[2] == 0
        bench.cmd("1e0000", "1d074000")
        assert bench.chip.violations == []

    def test_lora_may_be_said_again_on_the_oscillator(self) -> None:
        """DS 13.4.2 wants STDBY_RC for the switch from one type to another; this is none."""
        bench = Bench()
        bench.set_up()
        bench.cmd("8001", "8a01")
        assert bench.mode() is Mode.STDBY_XOSC
        assert bench.chip.violations == []
        assert bench.chip.modulation is not None
        bench.cmd("8a00")
        assert "SET_PACKET_TYPE in STDBY_XOSC" in bench.chip.violations[0]

    def test_all_interrupts_are_cleared_with_reserved_bits(self) -> None:
        bench = Bench()
        bench.set_up()
        bench.cmd("02ffff", "0243ff")
        assert bench.chip.violations == []

    def test_without_masks_no_interrupt_is_ever_seen(self) -> None:
        """DS 13.3.1: IrqMask is all zeros after reset, and it rules the status register too: who polls
        without having set it waits for ever."""
        bench = Bench()
        bench.set_up()
        bench.cmd("08" + "00" * 8, "8c000800180100", "0e00" + PAYLOAD.hex(), "83000000")
        bench.settle(300_000)
        assert bench.irq() == 0
        assert bench.mode() is Mode.STDBY_RC
        assert len(bench.air.transmissions) == 1

    def test_a_masked_error_passes_for_a_good_packet(self) -> None:
        """Without CrcErr in IrqMask a damaged packet shows RxDone alone."""
        bench = Bench()
        bench.set_up()
        bench.cmd("080202020200000000", "8c000800ff0100", "82ffffff")
        bench.ready()
        bench.far.send()
        bench.clock.at(bench.clock.now_us + 150_000, bench.far.antenna.abort)
        bench.settle(400_000)
        assert bench.irq() == Irq.RX_DONE
        assert bench.chip.stats[1] == 1

    def test_tx_done_stays_in_the_status_until_standby(self) -> None:
        """0xAC while and after the interrupts are cleared, in traces; then SetStandby ends it."""
        bench = Bench()
        bench.set_up()
        bench.cmd("8c000800010100", "0e0055", "83000000")
        bench.settle(300_000)
        assert status(bench, "0243ff") == [0xAC, 0xAC]
        assert status(bench, "c000") == [0xAC]
        assert status(bench, "8000") == [0xAC]
        assert status(bench, "c000") == [0xA2]

    def test_continuous_reception_moves_on_in_the_buffer_and_starts_anew(self) -> None:
        """DS 7.2: each packet begins where the last one ended; a new SetRx begins at RxBaseAddress."""
        bench = Bench()
        bench.set_up()
        bench.cmd("8fff00", "8c000800ff0100", "82ffffff")
        bench.ready()
        for at in (0, 24, 48):
            bench.far.send()
            bench.settle(300_000)
            assert bench.cmd("13000000")[2:] == bytes([24, at])
            bench.cmd("020002")
        bench.cmd("8001", "8f0080", "82ffffff")
        bench.ready()
        bench.far.send()
        bench.settle(300_000)
        assert bench.cmd("13000000")[2:] == bytes([24, 0x80])
        assert bench.chip.violations == []


def test_answer_and_poll_race() -> None:
    """A driver that asks for interrupts and only then for the mode must not take the standby of a packet that
    came between for a lost reception: both answers are true at their instants."""
    bench = Bench()
    bench.set_up()
    bench.cmd("8c000800ff0100", "82000000")
    bench.ready()
    bench.far.send()
    end = bench.air.transmissions[-1].end_us
    bench.clock.run_until(end - 20)
    assert status(bench, "12000000") == [0xD2, 0, 0]
    bench.clock.run_until(end)
    assert status(bench, "12000000") == [0xA4, 0, 2]


@pytest.mark.parametrize(
    ("bandwidth", "hz"),
    [
        (0, 7812),
        (8, 10417),
        (1, 15625),
        (9, 20833),
        (2, 31250),
        (10, 41667),
        (3, 62500),
        (5, 250000),
        (6, 500000),
    ],
)
def test_every_bandwidth_carries_a_packet(bandwidth: int, hz: int) -> None:
    bench = Bench()
    bench.set_up()
    bench.cmd(f"8b07{bandwidth:02x}0100", "8c000800ff0100", "82000000")
    bench.ready()
    bench.far.send(PAYLOAD, Radio(868_100_000, 7, hz, 0x3444))
    bench.settle(4_000_000)
    assert bench.irq() == Irq.RX_DONE
    assert bench.chip.violations == []
