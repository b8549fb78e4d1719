"""Our radio driver, as it is, on the SX1262 model: every operation, and a broken bus."""

import itertools
from typing import Any

import pytest

from firmware.drivers.errors import BusError, ChipError
from firmware.drivers.radio_sync import SyncSX1262
from hw.virtual.air import Radio, airtime_us
from hw.virtual.chips.shim import InPin, Time
from tests.host.chips_bench import LINK, PAYLOAD, Bench, Far, rig


def test_time_out_stops_at_the_header() -> None:
    """DS 13.1.5: a packet that begins within the time-out is received past it."""
    bench, driver, _ = rig()
    bench.far.send_in(150_000)
    assert driver.recv(timeout_ms=250) == PAYLOAD


class TestDriver:
    def done(self, bench: Bench) -> None:
        assert bench.chip.violations == []
        assert bench.chip.advisories == []

    def test_send(self) -> None:
        bench, driver, _ = rig()
        bench.far.antenna.listen(LINK)
        for i in range(3):
            driver.send(bytes([i]) * (1 + 100 * i))
        assert [len(r.payload) for r in bench.far.heard] == [1, 101, 201]
        assert {t.power_dbm for t in bench.air.transmissions} == {14}
        self.done(bench)

    def test_send_at_an_instant(self) -> None:
        bench, driver, _ = rig()
        driver.send(b"now", tx_at_ms=500)
        assert 500_000 <= bench.air.transmissions[0].start_us <= 501_500
        self.done(bench)

    def test_receive(self) -> None:
        bench, driver, _ = rig()
        bench.far.send_in(500_000 - bench.clock.now_us)
        packet = driver.recv(timeout_ms=2000)
        assert packet == PAYLOAD
        assert (packet.rssi, packet.snr) == (-82, 52)
        assert 705 <= packet.ticks_ms <= 708
        assert driver.is_idle()
        self.done(bench)

    def test_receive_nothing(self) -> None:
        bench, driver, _ = rig()
        start = bench.clock.now_us
        assert driver.recv(timeout_ms=300) is None
        assert 300_000 <= bench.clock.now_us - start <= 310_000
        assert driver.is_idle()
        self.done(bench)

    def test_continuous_with_wrapping_buffer(self) -> None:
        bench, driver, _ = rig()
        driver.start_recv(continuous=True)
        for i in range(5):
            sent = bytes([i]) * 100
            bench.far.send(sent)
            bench.settle(1_000_000)
            assert driver.poll_recv() == sent
            assert driver.poll_recv() is True
        assert bench.chip.rx_start == 400 % 256
        self.done(bench)

    def test_sending_pauses_receiving(self) -> None:
        bench, driver, _ = rig()
        driver.start_recv(continuous=True)
        driver.send(b"x" * 20)
        assert not driver.is_idle()
        bench.settle(1000)
        bench.far.send()
        bench.settle(500_000)
        assert driver.poll_recv() == PAYLOAD
        self.done(bench)

    def test_inverted_iq_both_ways(self) -> None:
        bench, driver, _ = rig()
        driver.configure({"invert_iq_rx": True})
        inverted = Radio(868_100_000, 9, 125_000, 0x3444, iq_inverted=True)
        bench.far.antenna.listen(LINK)
        driver.send(b"up")
        assert len(bench.far.heard) == 1
        bench.far.send_in(50_000, PAYLOAD, inverted)
        assert driver.recv(timeout_ms=1000) == PAYLOAD
        self.done(bench)

    def test_damaged_packet_is_counted_and_not_given(self) -> None:
        bench, driver, _ = rig()
        jam = Far(bench.air, bench.clock, "jam")
        bench.air.links["jam", "near"] = 100.0
        driver.start_recv(continuous=True)
        bench.far.send()
        bench.settle(150_000)
        jam.send(b"jam")
        bench.settle(500_000)
        assert driver.poll_recv() is True
        assert driver.crc_errors == 1
        bench.far.send()
        bench.settle(500_000)
        assert driver.poll_recv() == PAYLOAD
        self.done(bench)

    def test_single_reception_goes_on_after_a_damaged_header(self) -> None:
        bench, driver, _ = rig()
        jam = Far(bench.air, bench.clock, "jam")
        bench.air.links["jam", "near"] = 100.0

        def both() -> None:
            bench.far.send()
            jam.send(b"jam")

        bench.clock.at(bench.clock.now_us + 100_000, both)
        bench.far.send_in(600_000, b"again")
        assert driver.recv(timeout_ms=2000) == b"again"
        assert driver.crc_errors == 1
        self.done(bench)

    def test_lost_edges(self) -> None:
        bench, driver, dio1 = rig()
        dio1.lose_edges = 2
        driver.send(b"unheard interrupt")
        bench.far.send_in(50_000)
        assert driver.recv(timeout_ms=1000) == PAYLOAD
        assert dio1.lose_edges == 0
        self.done(bench)

    @pytest.mark.parametrize("activity", [True, False])
    @pytest.mark.parametrize("sf", [7, 8, 9, 12])
    def test_cad(self, sf: int, activity: bool) -> None:
        bench, driver, _ = rig()
        driver.configure({"sf": sf})
        if activity:
            radio = Radio(868_100_000, sf, 125_000, 0x1424)
            bench.far.send(PAYLOAD, radio)
        start = bench.clock.now_us
        assert driver.cad() is activity
        symbol_us = (1 << sf) * 8
        assert bench.clock.now_us - start < 6 * symbol_us + 10_000
        self.done(bench)

    def test_sleep_draws_little_and_wakes_by_itself(self) -> None:
        bench, driver, _ = rig()
        bench.far.antenna.listen(LINK)
        driver.sleep()
        assert bench.port.current_ua <= 1
        bench.settle(10_000_000)
        driver.send(b"awake")
        assert len(bench.far.heard) == 1
        driver.sleep()
        driver.sleep()
        self.done(bench)

    def test_without_reset_pin(self) -> None:
        bench = Bench()
        driver = SyncSX1262(
            bench.spi,
            bench.spi.cs,
            InPin(bench.port, "busy"),
            dio3_tcxo_millivolts=1800,
            clock=Time(bench.clock),
        )
        bench.far.antenna.listen(Radio(868_100_000, 7, 125_000, 0x1424))
        driver.send(b"polled")
        assert len(bench.far.heard) == 1
        self.done(bench)

    def test_crystal_board(self) -> None:
        bench = Bench(tcxo=False, rf_switch=False)
        driver = SyncSX1262(
            bench.spi,
            bench.spi.cs,
            InPin(bench.port, "busy"),
            dio2_rf_sw=False,
            clock=Time(bench.clock),
        )
        driver.send(b"x")
        assert len(bench.air.transmissions) == 1
        self.done(bench)

    def test_forgotten_antenna_switch_is_a_violation(self) -> None:
        bench = Bench(tcxo=False)
        driver = SyncSX1262(
            bench.spi, bench.spi.cs, InPin(bench.port, "busy"), dio2_rf_sw=False, clock=Time(bench.clock)
        )
        with pytest.raises(ChipError):
            driver.send(b"x")
        assert any("antenna switch" in v for v in bench.chip.violations)

    def test_air_time_agrees_with_the_model(self) -> None:
        """Two formulas written apart: the driver's and the model's own."""
        _, driver, _ = rig()
        for sf, bw, cr, crc, length in itertools.product(
            range(5, 13), (62.5, 125, 250, 500), (5, 8), (True, False), (1, 24, 51, 255)
        ):
            driver.configure(
                {"sf": sf, "bw": bw, "coding_rate": cr, "crc_en": crc, "preamble_len": 12 if sf < 7 else 8}
            )
            hz = int(bw * 1000)
            ldro = (1 << sf) / hz > 0.016
            model = airtime_us(length, sf, hz, cr - 4, 12 if sf < 7 else 8, crc, True, ldro)
            assert abs(driver.get_time_on_air_us(length) - model) <= 1, (sf, bw, cr, crc, length)


class TestBrokenBus:
    """After each fault the right exception; then the next operation works."""

    def works(self, bench: Bench, driver: SyncSX1262) -> None:
        bench.far.heard.clear()
        bench.far.antenna.listen(LINK)
        driver.send(b"still here")
        assert [r.payload for r in bench.far.heard] == [b"still here"]

    def test_busy_stuck(self) -> None:
        bench, driver, _ = rig()
        busy = driver._busy
        busy.stuck = 1
        with pytest.raises(BusError):
            driver.send(b"x")
        busy.stuck = None
        self.works(bench, driver)

    @pytest.mark.parametrize("stuck", [0x00, 0xFF])
    def test_miso_dead_while_sending(self, stuck: int) -> None:
        bench, driver, _ = rig()
        driver.prepare_send(b"x")
        driver.start_send()
        bench.spi.fault = lambda miso: bytes([stuck]) * len(miso)
        with pytest.raises(BusError):
            driver.poll_send()
        bench.spi.fault = None
        driver.standby()
        self.works(bench, driver)

    def test_bus_error_of_the_controller(self) -> None:
        bench, driver, _ = rig()

        def refuse(miso: bytes) -> bytes:
            raise OSError(116)

        bench.spi.fault = refuse
        with pytest.raises(BusError) as e:
            driver.prepare_send(b"x")
        assert e.value.args == ("sx1262", 116)
        assert not bench.spi.selected  # chip select is let go
        bench.spi.fault = None
        self.works(bench, driver)

    def test_every_single_bit_flip_while_polling(self) -> None:
        """One flipped bit in the answer of a poll: never a hang, never a packet that is not there."""
        for bit in range(24):
            bench, driver, _ = rig()
            driver.start_recv(timeout_ms=200)
            hits: list[int] = []

            def flip(miso: bytes, bit: int = bit, hits: list[int] = hits) -> bytes:
                if len(miso) == 3 and not hits:
                    hits.append(1)
                    return (int.from_bytes(miso, "big") ^ 1 << bit).to_bytes(3, "big")
                return miso

            bench.spi.fault = flip
            got: Any = True
            for _ in range(400):
                try:
                    got = driver.poll_recv()
                except (BusError, ChipError):
                    break
                if got is not True:
                    break
                bench.settle(1000)
            assert got is True or not got or len(got) == 0, bit
            bench.spi.fault = None
            driver.standby()
            bench.chip.violations.clear()
            self.works(bench, driver)

    def test_chip_resets_under_us(self) -> None:
        """A brown-out of the radio: the send fails, a new object works."""
        bench, driver, _ = rig()
        driver.prepare_send(b"x")
        bench.chip.reset()
        with pytest.raises((BusError, ChipError)):
            driver.start_send()
            while driver.poll_send() is True:
                bench.settle(10_000)
