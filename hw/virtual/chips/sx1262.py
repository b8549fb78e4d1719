"""SX1262 LoRa radio: a behavioural model, strict about the data sheet.

DS = Semtech SX1261/2 data sheet, DS.SX1261-2.W.APP, rev 2.1, December 2021.
Tables are in sx1262_tables.py, the SPI and the settings in sx1262_core.py.
Legs: SPI and `cs`; in `reset`; out `busy`, `dio1`. Wrong use (bytes while BUSY is high, wrong lengths,
reserved values, commands in the wrong mode, sending what was never set, reading bytes that nobody wrote) is a
violation; what only costs quality (an erratum not worked round, an uncalibrated band) goes to `advisories`.

Not modelled: FSK and LR-FHSS, SetRxDutyCycle, SetTxContinuousWave, SetTxInfinitePreamble, symbol time-out,
RTC wake-up from sleep, CAD with LBT exit, PA ramp in the envelope, temperature, harmonics, current beyond a
mean per mode. Undocumented and assumed: commands that change no mode hold BUSY for 10 us; a header error
or a too long packet ends a single reception and goes to standby (as Semtech's driver expects); with an
implicit header the RX timer runs on until the packet ends; the command status stays until the next change of
mode; a CAD lasts half a symbol longer than its symbols; a start of the oscillator that fails holds BUSY for
10 ms where no delay is set.
"""

from __future__ import annotations

import itertools

from hw.virtual.air import (
    DETECT_SYMBOLS,
    HEADER_SYMBOLS,
    SYNC_QUARTERS,
    Air,
    Antenna,
    Radio,
    Reception,
    symbol_us,
)
from hw.virtual.chips import sx1262_tables as t
from hw.virtual.chips.base import Handle, Port
from hw.virtual.chips.sx1262_core import SX1262Core, freq_hz
from hw.virtual.chips.sx1262_tables import CmdStatus, Irq, Mode, Op


class SX1262(SX1262Core):
    """air: None is a radio in a screened box. name: on the air, one for each radio (default: the part's).

    position in metres, gain of the antenna in dBi; tcxo: the board has one, supplied by DIO3, that needs
    tcxo_start_us; rf_switch: DIO2 drives the antenna switch.
    """

    shared = True

    def __init__(
        self,
        air: Air | None = None,
        *,
        name: str = "",
        position: tuple[float, float] = (0.0, 0.0),
        gain_db: float = 2.0,
        tcxo: bool = True,
        tcxo_start_us: int = 1000,
        rf_switch: bool = True,
    ) -> None:
        self.antenna: Antenna | None = None
        self._end: Handle | None = None
        self._continuous = False
        self._rx_pointer = 0
        super().__init__(tcxo=tcxo, tcxo_start_us=tcxo_start_us, rf_switch=rf_switch)
        self.air = air or Air(0)
        self.air_name = name
        self.position = position
        self.gain_db = gain_db

    def attach(self, port: Port) -> None:
        self.port = port
        if not self.air_name:
            self.air_name = self.name
        self.antenna = self.air.join(self.air_name, port, self, self.position, self.gain_db)
        self.reset()

    def latency(self) -> int:
        """Microseconds from the start of another's packet to the first interrupt it can raise here."""
        if self.modulation is None:
            return 0
        symbols = DETECT_SYMBOLS
        if not self.masks[0] & Irq.PREAMBLE_DETECTED:
            symbols += HEADER_SYMBOLS + SYNC_QUARTERS // 4
        return int(symbols * symbol_us(self.modulation[0], self.modulation[1]))

    def leave(self) -> None:
        for handle in (self._timer, self._end):
            self.port.cancel(handle)
        self._to_rx = False
        if self.antenna is not None:
            self.antenna.abort()
            self.antenna.deaf()

    def current_ua(self) -> int:
        if self.mode is Mode.TX:
            return round(1000 * tx_current_ma(self._power_dbm()))
        return t.CURRENT_UA[self.mode]

    def operate(self, op: Op, timeout: int) -> None:
        self.leave()
        if op is Op.SET_TX:
            self._set_tx(timeout)
        elif op is Op.SET_RX:
            self._set_rx(timeout)
        else:
            self._set_cad()

    def _radio(self) -> Radio:
        assert self.rffreq is not None and self.modulation is not None and self.packet is not None
        sf, bw_hz, cr, ldro = self.modulation
        preamble, implicit, length, crc_on, inverted = self.packet
        sync = self.registers[t.REG_SYNC] << 8 | self.registers[t.REG_SYNC + 1]
        return Radio(
            freq_hz(self.rffreq),
            sf,
            bw_hz,
            sync,
            bool(inverted),
            cr,
            preamble,
            bool(crc_on),
            length if implicit else None,
            bool(ldro),
        )

    def _ready(self, what: str) -> bool:
        """The order of DS 14.2 and 14.3 was kept, and the next interrupt can be seen."""
        missing = [
            name
            for name, value in (
                ("SetPacketType", self.packet_type),
                ("SetRfFrequency", self.rffreq),
                ("SetModulationParams", self.modulation),
                ("SetPacketParams", self.packet),
            )
            if value is None
        ]
        if missing:
            self._fail(f"{what} without {', '.join(missing)} (DS 14)")
            return False
        if self.irq & self.masks[1]:
            self.violate(f"{what} with DIO1 still high from an interrupt nobody cleared: no edge can follow")
        assert self.packet is not None and self.modulation is not None
        if self.rf_switch and not self.dio2_switch:
            self._fail(f"{what} with the antenna switch not driven (DS 13.3.5)")
            return False
        if bool(self.registers[t.REG_IQ] & 4) == bool(self.packet[4]):
            self.advise("erratum DS 15.4 (inverted IQ) is not worked round")
        if self.modulation[0] < 7 and self.packet[0] < 12:
            self.advise("SF5 and SF6 want 12 preamble symbols (DS 6.1.1.1)")
        return True

    def _set_tx(self, timeout: int) -> None:
        if self.tx_params is None:
            self._fail("SetTx without SetTxParams (DS 14.2)")
            return
        if not self._ready("SetTx"):
            return
        assert self.packet is not None and self.modulation is not None
        if (self.registers[t.REG_TX_MODULATION] & 4 == 0) != (self.modulation[1] == 500000):
            self.advise("erratum DS 15.1 (modulation quality) is not worked round")
        if self.registers[t.REG_CLAMP] & 0x1E != 0x1E:
            self.advise("erratum DS 15.2 (antenna mismatch) is not worked round")
        if tx_current_ma(self._power_dbm()) > self.registers[t.REG_OCP] * 2.5:
            self.advise("the over-current protection would trip (DS table 12-1, OCP)")
        indexes = [(self.bases[0] + i) & 0xFF for i in range(self.packet[2])]
        if not all(self.written[i] for i in indexes):
            self.violate("SetTx sends bytes that were never written to the buffer (DS 7.1)")
        payload = bytes(self.buffer[i] for i in indexes)
        if self._go(Mode.TX, lambda: self._send(payload, timeout)):
            # The one timer is programmed anew, so what erratum 15.3 left running ends.
            self.port.cancel(self._stray)

    def _power_dbm(self) -> float:
        if self.tx_params is None or self.pa is None:
            return 0.0
        best = t.PA_OPTIMAL_DBM.get(self.pa)
        if best is None:
            self.advise(f"PA settings {self.pa} are not in DS table 13-21")
            best = 22
        return self.tx_params[0] - 22 + best

    def _send(self, payload: bytes, timeout: int) -> None:
        assert self.antenna is not None
        power = self._power_dbm()
        sent = self.antenna.transmit(self.port.now_us, self._radio(), power, payload)
        self.port.emit(
            "transmit",
            name=self.air_name,
            start_us=sent.start_us,
            end_us=sent.end_us,
            freq_hz=sent.radio.freq_hz,
            sf=sent.radio.sf,
            bw_hz=sent.radio.bw_hz,
            power_dbm=power,
            payload=payload,
        )
        self._end = self.port.at(sent.end_us, self._sent)
        if timeout:
            self._timer = self.port.at(self.port.now_us + rtc_us(timeout), self._timed_out)

    def _sent(self) -> None:
        self.port.cancel(self._timer)
        assert self.antenna is not None
        self.antenna.sending = None
        self._enter(self.fallback)
        self.status = CmdStatus.TX_DONE
        self._raise_irq(Irq.TX_DONE)

    def _timed_out(self) -> None:
        self.leave()
        self._enter(Mode.STDBY_RC)
        self.status = CmdStatus.TIMEOUT
        self._raise_irq(Irq.TIMEOUT)

    def _set_rx(self, timeout: int) -> None:
        if not self._ready("SetRx"):
            return
        assert self.rffreq is not None
        mhz = freq_hz(self.rffreq) / 1e6
        if not self.image_mhz[0] <= mhz <= self.image_mhz[1]:
            self.advise("receiving in a band whose image was not calibrated (DS 9.2.1)")
        self._continuous = timeout == 0xFFFFFF
        self._rtc_stopped = False
        if self._go(Mode.RX, lambda: self._listen(timeout)):
            self.port.cancel(self._stray)

    def _listen(self, timeout: int) -> None:
        assert self.antenna is not None and self.modulation is not None
        self._rx_pointer = self.bases[1]
        if timeout not in (0, 0xFFFFFF):
            self._timer = self.port.at(self.port.now_us + rtc_us(timeout), self._timed_out)
        self.antenna.listen(self._radio())

    def _finish_rx(self) -> None:
        """The end of a single reception."""
        if self._continuous:
            return
        assert self.antenna is not None
        self.antenna.deaf()
        self._enter(self.fallback)

    def heard_preamble(self) -> None:
        self._raise_irq(Irq.PREAMBLE_DETECTED)
        if self.stop_on_preamble:
            self.port.cancel(self._timer)

    def heard_header(self, length: int, cr: int, crc_on: bool) -> bool:
        assert self.packet is not None
        if length > self.packet[2]:
            self.heard_header_error()
            return False
        self.port.cancel(self._timer)  # DS 13.1.5: the header ends the time-out
        self.registers[0x0749] = cr << 4
        self.registers[0x076B] = int(crc_on) << 4
        self._raise_irq(Irq.HEADER_VALID)
        return True

    def heard_header_error(self) -> None:
        self.stats[2] += 1
        if not self._continuous:
            self.port.cancel(self._timer)
            self._finish_rx()
        self._raise_irq(Irq.HEADER_ERR)

    def heard_packet(self, reception: Reception) -> None:
        assert self.packet is not None
        self.rx_start, self.rx_length = self._rx_pointer, len(reception.payload)
        self._set_buffer(bytes([self.rx_start]) + reception.payload)
        self._rx_pointer = (self.rx_start + self.rx_length) & 0xFF
        self.packet_status = (
            clamp(-2 * reception.rssi_dbm),
            round(4 * reception.snr_db) & 0xFF,
            clamp(-2 * reception.signal_dbm),
        )
        self.stats[0 if reception.crc_ok else 1] += 1
        if self.packet[1] and self._timer is not None and self._timer.alive:
            # Erratum DS 15.3: with an implicit header the timer runs on after RxDone.
            self._stray, self._timer = self._timer, None
        self._finish_rx()
        self.status = CmdStatus.DATA_AVAILABLE
        self._raise_irq(Irq.RX_DONE | (0 if reception.crc_ok else Irq.CRC_ERR))

    def _set_cad(self) -> None:
        if self.cad_params is None:
            self._fail("SetCad without SetCadParams (DS 13.4.7)")
        elif self._ready("SetCad"):
            self._go(Mode.RX, self._scan)

    def _scan(self) -> None:
        assert self.modulation is not None and self.cad_params is not None
        symbol = symbol_us(self.modulation[0], self.modulation[1])
        start = self.port.now_us
        end = start + round((self.cad_params[0] + t.CAD_EXTRA_SYMBOLS) * symbol)
        self._end = self.port.at(end, lambda: self._scanned(start, end))

    def _scanned(self, start: int, end: int) -> None:
        assert self.antenna is not None and self.cad_params is not None
        _, stay, timeout = self.cad_params
        found = self.antenna.activity(self._radio(), start, end)
        if found and stay:
            self._continuous = False
            self._listen(timeout)
        else:
            self._enter(Mode.STDBY_RC)
        self._raise_irq(Irq.CAD_DONE | (Irq.CAD_DETECTED if found else 0))

    def rssi_inst(self) -> bytes:
        if self.mode is not Mode.RX or self.antenna is None:
            return b"\x00"
        return bytes([clamp(-2 * self.antenna.rssi_dbm(self._radio()))])


def rtc_us(steps: int) -> int:
    return steps * t.RTC_STEP_NS // 1000


def clamp(value: float) -> int:
    return max(0, min(255, round(value)))


def tx_current_ma(dbm: float) -> float:
    """Supply current at this output power, between the points of the table."""
    points = t.TX_MA
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if dbm <= x1:
            return y0 + (y1 - y0) * (max(dbm, x0) - x0) / (x1 - x0)
    return float(points[-1][1])
