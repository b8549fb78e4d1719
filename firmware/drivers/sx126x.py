"""SX1262 LoRa radio.  DS = Semtech SX1261/2 data sheet, DS.SX1261-2.W.APP, rev 2.1, December 2021.

Call shape of micropython-lib's `lora` modems: `configure`, `prepare_send`, `start_send`, `poll_send`,
`start_recv`, `poll_recv`, `standby`, `sleep`, `calibrate`, `RxPacket`, in this module, with sx126x_setup.py, which
may be forgotten once the radio is open; `send`, `recv` in
radio_sync.py (blocking) and radio_async.py (asyncio), which also have `cad` (radio_cad.py).
Pins are callables, the bus has `write` and `readinto`; the clock is MicroPython's `time` or its like.
Not supported: FSK, LR-FHSS, bandwidths below 62.5 kHz (they want better than crystal accuracy), an antenna
switch on MCU pins, RX duty cycle.
"""

import struct
import time

from firmware.drivers.errors import BusError, ChipError, ConfigError
from firmware.protocols.airtime import time_on_air_us
from firmware.protocols.compat import const

# DS table 13-29: interrupts.
_TX_DONE = const(0x001)
_RX_DONE = const(0x002)
_HEADER_ERR = const(0x020)
_CRC_ERR = const(0x040)
_TIMEOUT = const(0x200)

# DS table 12-1: registers.
_REG_IQ = const(0x0736)
_REG_MODULATION = const(0x0889)
_REG_RTC = const(0x0902)
_REG_EVENT = const(0x0944)


class RxPacket(bytearray):
    """A received payload; snr in 0.25 dB, rssi in dBm, ticks_ms of the interrupt."""

    ticks_ms = None
    snr = None
    rssi = None
    valid_crc = True


class SX1262:
    """Raises BusError (BUSY, MISO dead), ChipError (calibration, time-out the chip did not notice).

    spi: mode 0, at most 16 MHz. tcxo: voltage on DIO3 1600..3300 mV, None for a crystal.
    """

    # Set by sx126x_setup.
    _timeout_us: int
    _bw: int
    _band: int
    _c: dict

    def __init__(
        self,
        spi,
        cs,
        busy,
        dio1=None,
        reset=None,
        dio2_rf_sw=True,
        dio3_tcxo_millivolts=None,
        dio3_tcxo_start_time_us=5000,
        lora_cfg=None,
        clock=time,
    ):
        self._spi = spi
        self._cs = cs
        self._busy = busy
        self._dio1 = dio1
        self._clock = clock
        self._asleep = reset is None  # unknown: waking does no harm
        self._rx = False  # True, or the deadline in ms
        self._tx = False  # or the deadline in ms
        self._at = None
        self._callback = None
        self.crc_errors = 0
        self.rx_crc_error = False
        buf = memoryview(bytearray(9))
        self._v = [buf[:n] for n in range(10)]
        from firmware.drivers.sx126x_setup import Setup

        Setup.begin(self, reset, dio2_rf_sw, dio3_tcxo_millivolts, dio3_tcxo_start_time_us)
        if dio1:
            dio1.irq(self._isr, dio1.IRQ_RISING)
        self.configure(lora_cfg or {})

    # Traffic

    def _wait(self):
        if not self._busy():
            return
        clock = self._clock
        start = clock.ticks_us()
        while self._busy():
            if clock.ticks_diff(clock.ticks_us(), start) > self._timeout_us:
                raise BusError("sx1262", "busy")
            clock.sleep_us(20)

    def _xfer(self, out, data=None, into=None):
        """One transaction: `out`, then `data`, then read into `into`; returns `into`."""
        if self._asleep:
            self._cs(0)  # the falling edge wakes (DS 8.2.2)
            self._clock.sleep_us(20)
            self._cs(1)
            self._asleep = False
        self._wait()
        self._cs(0)
        try:
            self._spi.write(out)
            if data is not None:
                self._spi.write(data)
            if into is not None:
                self._spi.readinto(into, 0)
        except OSError as e:
            raise BusError("sx1262", e.args[0])
        finally:
            self._cs(1)
        return into

    def _set(self, fmt, *values):
        out = self._v[struct.calcsize(fmt)]
        struct.pack_into(fmt, out, 0, *values)
        self._xfer(out)

    def _get(self, reg):
        out = self._v[4]
        struct.pack_into(">BHB", out, 0, 0x1D, reg, 0)
        return self._xfer(out, None, self._v[1])[0]

    def _put(self, reg, value):
        self._set(">BHB", 0x0D, reg, value)

    def _irq(self):
        """Interrupt bits. GetStatus itself is not used: after SetRx it can start an endless TX
        (micropython-lib); the status byte here is the same.
        """
        v = self._xfer(b"\x12", None, self._v[3])
        if not 2 <= v[0] >> 4 & 7 <= 6:
            raise BusError("sx1262", v[0])
        self._status = v[0]
        return v[1] << 8 | v[2]

    def _mode(self):
        self._irq()
        return self._status >> 4 & 7

    def _clear(self, flags=0x3FF):
        self._set(">BH", 0x02, flags)

    # Errata

    def _bits(self, reg, mask, on):
        v = self._get(reg)
        self._put(reg, v | mask if on else v & ~mask)

    def _modulation_quality(self):
        # DS 15.1: bit 2 clear at 500 kHz only, before each transmission.
        self._bits(_REG_MODULATION, 4, self._bw < 500000)

    def _stop_timer(self):
        # DS 15.3: after any timed RX, else a time-out can come in a later mode.
        self._put(_REG_RTC, 0)
        self._bits(_REG_EVENT, 2, True)

    def _iq_polarity(self, inverted):
        # DS 15.4: bit 2 is the inverse of InvertIQ.
        self._bits(_REG_IQ, 4, not inverted)

    # Configuration

    def calibrate(self):
        """Calibrate all blocks (DS 13.1.12), 3.5 ms; ends in standby on RC. Raises ChipError(.., errors)."""
        from firmware.drivers.sx126x_setup import Setup

        Setup.blocks(self)

    def calibrate_image(self):
        """Calibrate for the band in use (DS 9.2.1); `configure` does it when the band changes."""
        from firmware.drivers.sx126x_setup import Setup

        Setup.image(self)

    def configure(self, lora_cfg):
        """Change the given settings, keep the others. Raises ConfigError(key) before anything is sent.

        freq_khz, sf 5..12, bw 62.5|125|250|500 kHz, coding_rate 5..8, preamble_len, output_power -9..22 dBm,
        syncword 0x12|0x34 (or 16 bits as the registers have them), crc_en, implicit_header, invert_iq_rx,
        invert_iq_tx, pa_ramp_us 10..3400, rx_boost.
        """
        from firmware.drivers.sx126x_setup import Setup

        Setup.change(self, lora_cfg)

    def _packet(self, length, inverted):
        c = self._c
        self._set(
            ">BHBBBB",
            0x8C,
            c["preamble_len"],
            bool(c["implicit_header"]),
            length,
            bool(c["crc_en"]),
            inverted,
        )
        self._iq_polarity(inverted)

    def get_time_on_air_us(self, length):
        """Microseconds on the air of a packet with `length` bytes of payload, as now configured."""
        c = self._c
        return time_on_air_us(
            length,
            c["sf"],
            self._bw,
            c["coding_rate"],
            c["preamble_len"],
            c["crc_en"],
            not c["implicit_header"],
        )

    # States

    def _isr(self, _):
        self._at = self._clock.ticks_ms()
        if self._callback:
            self._callback()

    def set_irq_callback(self, callback):
        """`callback()` at each interrupt; it must not allocate."""
        self._callback = callback

    def irq_triggered(self):
        """Whether DIO1 rose since the operation began; an edge can be lost, so poll also without it."""
        return self._at is not None

    def is_idle(self):
        return self._asleep or self._mode() < 4

    def _stand(self):
        self._xfer(b"\x80\x01")  # on the oscillator: the next TX or RX starts without its start-up time
        self._clear()
        self._at = None

    def standby(self):
        """Cancel what goes on; wakes the radio."""
        self._stand()
        self._tx = False
        if self._rx is not False:
            self._end()

    def _end(self):
        timed = self._rx is not True
        self._rx = False
        if timed:
            self._stop_timer()

    def sleep(self, warm_start=True):
        """Lowest power; the next call wakes it. A cold start forgets the configuration: make a new object."""
        self.standby()
        self._xfer(b"\x84\x04" if warm_start else b"\x84\x00")
        self._clock.sleep_us(500)  # DS 13.1.1: deaf meanwhile
        self._asleep = True

    # Send

    def prepare_send(self, packet):
        """Load 1..255 bytes; a receive under way pauses. Raises ConfigError("packet")."""
        if not 0 < len(packet) < 256:
            raise ConfigError("packet")
        self._stand()
        self._packet(len(packet), bool(self._c["invert_iq_tx"]))
        self._xfer(b"\x0e\x00", packet)
        self._modulation_quality()
        self._air_us = self.get_time_on_air_us(len(packet))

    def start_send(self):
        """Send what was loaded; the preamble starts when BUSY falls, 0.1 ms from here (DS table 8-2)."""
        air = self._air_us
        clock = self._clock
        # The chip's own time-out is twice the time on air; ours is later.
        n = air * 16 // 125
        self._set(">BBH", 0x83, n >> 16, n & 0xFFFF)
        self._tx = clock.ticks_add(clock.ticks_ms(), air // 400 + 20)
        return self._dio1

    def poll_send(self):
        """True while sending, the ticks_ms of its end once, then False. Raises ChipError."""
        if self._tx is False:
            return False
        clock = self._clock
        now = clock.ticks_ms() if self._at is None else self._at
        flags = self._irq()
        if not flags & (_TX_DONE | _TIMEOUT):
            if clock.ticks_diff(now, self._tx) < 0:
                return True
            self._stand()
        else:
            self._clear(flags)
            self._at = None
        self._tx = False
        if not flags & _TX_DONE:
            raise ChipError("sx1262", "tx")
        self._resume()
        return now

    # Receive

    def start_recv(self, timeout_ms=None, continuous=False, rx_length=0xFF):
        """Receive one packet, within timeout_ms (1..262000) if given, or continuously.

        rx_length: exact with an implicit header, else the longest accepted. Begins after a send under way.
        """
        if timeout_ms is not None and (continuous or not 0 < timeout_ms <= 262000):
            raise ConfigError("timeout_ms")
        clock = self._clock
        if self._rx is not False:
            self.standby()
        self._rx = True if timeout_ms is None else clock.ticks_add(clock.ticks_ms(), timeout_ms)
        self._continuous = continuous
        self._length = rx_length
        if self._tx is False:
            self._listen(timeout_ms)
        return self._dio1

    def _listen(self, timeout_ms):
        self._stand()
        self._packet(self._length, bool(self._c["invert_iq_rx"]))
        n = 0xFFFFFF if self._continuous else (timeout_ms or 0) * 64
        self._set(">BBH", 0x82, n >> 16, n & 0xFFFF)

    def _resume(self):
        """Go on receiving if that was interrupted; False when there is nothing to resume."""
        rx = self._rx
        if rx is False:
            return False
        left = None
        if rx is not True:
            left = self._clock.ticks_diff(rx, self._clock.ticks_ms())
            if left <= 0:
                self._end()
                return False
        self._listen(left)
        return True

    def poll_recv(self, rx_packet=None):
        """False: not receiving (any more), True: receiving, else a RxPacket (`rx_packet` if it fits)."""
        if self._rx is False:
            return False
        if self._tx is not False:
            return True
        flags = self._irq()
        idle = self._status & 0x40 == 0  # FS, RX and TX are 4 to 6
        packet = None
        if flags:
            self._clear(flags)
            if flags & (_CRC_ERR | _HEADER_ERR):
                self.crc_errors += 1
            if flags & _RX_DONE and (self.rx_crc_error or not flags & _CRC_ERR):
                packet = self._read(rx_packet)
                packet.valid_crc = not flags & _CRC_ERR
            self._at = None
        if packet is not None:
            if not self._continuous:
                self._end()
            return packet
        if flags & _TIMEOUT:
            self._end()
            return False
        if idle:
            return self._resume()
        if self._rx is not True:
            # A header stops the chip's timer (DS 13.1.5): what follows lasts at most one packet.
            late = self._clock.ticks_diff(self._clock.ticks_ms(), self._rx)
            if late > self.get_time_on_air_us(self._length) // 1000 + 10:
                self.standby()
                return False
        return True

    def _read(self, packet):
        at = self._clock.ticks_ms() if self._at is None else self._at
        v = self._xfer(b"\x13", None, self._v[3])
        n = v[1]
        start = v[2]
        if packet is None or len(packet) != n:
            packet = RxPacket(n)
        out = self._v[3]
        struct.pack_into("BBB", out, 0, 0x1E, start, 0)
        self._xfer(out, None, packet)
        v = self._xfer(b"\x14", None, self._v[4])
        packet.ticks_ms = at
        packet.rssi = -(v[1] >> 1)
        packet.snr = (v[2] ^ 128) - 128
        return packet
