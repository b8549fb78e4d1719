"""SX1262: the digital half of the model: reset, BUSY, interrupts, SPI, registers, settings, sleep.

DS = Semtech SX1261/2 data sheet, DS.SX1261-2.W.APP, rev 2.1, December 2021 (tables in sx1262_tables.py).
What the radio half (sx1262.py) is asked for stands in the methods that raise NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips import sx1262_tables as t
from hw.virtual.chips.base import Handle, SpiChip
from hw.virtual.chips.sx1262_tables import CmdStatus, Mode, Op


class SX1262Core(SpiChip):
    """See SX1262. `violations` and `advisories` collect what the driver does wrong, or not well."""

    def __init__(self, *, tcxo: bool, tcxo_start_us: int, rf_switch: bool) -> None:
        super().__init__()
        self.tcxo = tcxo
        self.tcxo_start_us = tcxo_start_us
        self.rf_switch = rf_switch
        self.advisories: list[str] = []
        self._held = False
        self._forget()

    def leave(self) -> None:
        """Stop sending, receiving or scanning; the timers of it end."""
        raise NotImplementedError

    def current_ua(self) -> int:
        """Supply current in the present mode."""
        raise NotImplementedError

    def latency(self) -> int:
        """See Chip.latency_us."""
        raise NotImplementedError

    def rssi_inst(self) -> bytes:
        """Answer of GetRssiInst."""
        raise NotImplementedError

    def operate(self, op: Op, timeout: int) -> None:
        """SetRx, SetTx or SetCad; the time-out in steps of 15.625 us."""
        raise NotImplementedError

    @property
    def receptive(self) -> bool:
        return self.mode is Mode.RX or self._to_rx

    def _forget(self) -> None:
        """State after power-on, reset and cold sleep."""
        self.mode = Mode.START
        self.busy = True
        self.asleep = False
        self.errors = 0
        self.irq = 0
        self.status = CmdStatus.IDLE
        self.registers = dict(t.REGISTERS)
        self.buffer = bytearray(256)
        self.written = bytearray(256)  # which bytes of the buffer hold something
        self.masks = (0, 0, 0, 0)
        self.packet_type: int | None = None
        self.rffreq: int | None = None
        self.modulation: tuple[int, int, int, int] | None = None
        self.packet: tuple[int, int, int, int, int] | None = None
        self.tx_params: tuple[int, int] | None = None
        self.pa: tuple[int, int] | None = None
        self.cad_params: tuple[int, int, int] | None = None
        self.bases = (0, 0)
        self.fallback = Mode.STDBY_RC
        self.stop_on_preamble = False
        self.dcdc = False
        self.dio2_switch = False
        self.tcxo_us: int | None = None
        self.image_mhz = (900, 932)  # DS 9.2.1: calibrated for 902-928 MHz at power-on
        self.rx_length = 0
        self.rx_start = 0
        self.stats = [0, 0, 0]
        self.packet_status = (0, 0, 0)
        self._mosi = bytearray()
        self._waking = False
        self._refused = False
        self._settled_us = 0
        self._busy_handle: Handle | None = None
        self._timer: Handle | None = None
        self._stray: Handle | None = None
        self._to_rx = False
        self._warm = False
        self._rtc_stopped = False

    # Power, reset, BUSY, interrupts

    def reset(self) -> None:
        self._held = False
        self._halt()
        self._forget()
        self._drive_dio1()
        self.port.set_pin("busy", 1)
        self._draw()
        self._start(t.COLD_START_US)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin != "reset":
            return
        if level:
            if self._held:
                self.reset()
        else:
            self._held = True
            self._halt()
            self._forget()
            self._drive_dio1()
            self.port.set_pin("busy", 1)

    def _halt(self) -> None:
        self.leave()
        for handle in (self._busy_handle, self._stray):
            self.port.cancel(handle)

    def _start(self, us: int) -> None:
        """Cold start: all blocks are calibrated, which a TCXO without supply spoils (DS 13.3.6): modules
        with one answer the first command with 0xAA, whatever it is."""

        def ready() -> None:
            self._enter(Mode.STDBY_RC)
            if self.tcxo:
                self.errors |= t.XOSC_START_ERR
                self.status = CmdStatus.EXECUTION_FAILURE

        self._hold(us, ready)

    def _hold(self, us: int, then: Callable[[], None] | None = None, local: bool = True) -> None:
        """BUSY for `us` from now; `then` happens as it falls, and is not local if the air notices it."""
        self.port.cancel(self._busy_handle)
        self.busy = True
        self.port.set_pin("busy", 1)

        def fall() -> None:
            self.busy = False
            if then is not None:
                then()
            self.port.set_pin("busy", int(self.busy))

        self._busy_handle = self.port.at(self.port.now_us + us, fall, local)

    def _raise_irq(self, bits: int) -> None:
        self.irq |= bits & self.masks[0]
        self._drive_dio1()

    def _drive_dio1(self) -> None:
        self.port.set_pin("dio1", int(bool(self.irq & self.masks[1])))

    def _enter(self, mode: Mode) -> None:
        self.mode = mode
        self._draw()

    def _draw(self) -> None:
        self.port.draw(1 if self.asleep else self.current_ua())

    def advise(self, text: str) -> None:
        note = f"{self.name} at {self.port.now_us} us: {text}"
        if not any(n.endswith(text) for n in self.advisories):
            self.advisories.append(note)
            self.port.emit("advisory", text=text)

    # SPI

    def touches_shared(self, mosi: bytes) -> bool:
        return self.receptive

    def select_touches_shared(self, active: bool) -> bool:
        """A command runs at the rising edge. One that starts something shows on the air only as BUSY falls,
        which has its own place in the order; one that breaks off a transmission shows at once."""
        if active:
            return False
        return self.receptive or (self.mode is Mode.TX and self._mosi[:1] not in _POLLS)

    def select(self, active: bool) -> None:
        if active:
            self._mosi.clear()
            self._refused = False
            self._waking = self.asleep
            if self.asleep:
                self._wake()
            return
        if self._mosi and not self._waking and not self._refused:
            self._execute(bytes(self._mosi))
        self._mosi.clear()
        self._waking = False

    def transfer(self, mosi: bytes) -> bytes:
        if self._waking and not self.busy and not self._mosi:
            # DS 8.2.2: NSS may stay low until BUSY falls, and then the command follows.
            self._waking = False
        if self._waking:
            # DS 8.2.2: only the edge counts; Semtech's own driver clocks GetStatus with it.
            self._mosi += mosi
            if bytes(self._mosi) not in (b"\xc0", b"\xc0\x00"):
                self.violate("a command was clocked into a sleeping chip (DS 8.2.2)")
            return bytes(len(mosi))
        if self.busy:
            if not self._refused:
                self.violate(f"{mosi[:1].hex()} was clocked while BUSY is high (DS 8.3.1)")
            self._refused = True
            return bytes(len(mosi))
        miso = bytearray()
        for byte in mosi:
            self._mosi.append(byte)
            miso.append(self._answer(len(self._mosi) - 1))
        return bytes(miso)

    def status_byte(self) -> int:
        """Mode and command status; reserved bit 7 reads as 1 on real chips."""
        return 0x80 | self.mode << 4 | self.status << 1

    def _answer(self, i: int) -> int:
        """MISO of byte `i` of the transaction under way."""
        status = self.status_byte()
        op = self._mosi[0]
        if op == Op.READ_REGISTER:
            return status if i < 4 else self._read_register((self._mosi[1] << 8 | self._mosi[2]) + i - 4)
        if op == Op.READ_BUFFER:
            return status if i < 3 else self._read_buffer(self._mosi[1] + i - 3)
        if i < 2 or op not in _GETTERS:
            return status
        data = _GETTERS[op](self)
        return data[i - 2] if i - 2 < len(data) else 0

    def _read_register(self, address: int) -> int:
        if t.REG_RANDOM <= address < t.REG_RANDOM + 4:
            return self.port.random.randrange(256)
        if address not in self.registers:
            self.advise(f"register 0x{address:04X} is not in the data sheet (DS table 12-1)")
        return self.registers.get(address, 0)

    def _read_buffer(self, index: int) -> int:
        index &= 0xFF
        if not self.written[index]:
            self.violate(f"byte {index} of the buffer was read but never written (DS 7.1)")
        return self.buffer[index]

    # Commands

    def _execute(self, frame: bytes) -> None:
        try:
            op = Op(frame[0])
        except ValueError:
            self.violate(f"opcode 0x{frame[0]:02X} does not exist (DS 11)")
            self.status = CmdStatus.PROCESSING_ERROR
            return
        low, high = t.LENGTH[op]
        if op in _GETTERS:
            low = 2
        if len(frame) < low or (high is not None and len(frame) > high):
            self.violate(f"{op.name} takes {low}..{high} bytes, not {len(frame)} (DS 11)")
            self.status = CmdStatus.PROCESSING_ERROR
            return
        if op in t.NOT_MODELLED:
            self.violate(f"{op.name} is not modelled")
            return
        standby = self.mode in (Mode.STDBY_RC, Mode.STDBY_XOSC)
        # DS 13.4.2 speaks of the switch from one type to another; to say the same again is none.
        same = op is Op.SET_PACKET_TYPE and standby and frame[1] == self.packet_type
        if op in t.STANDBY_RC_ONLY and self.mode is not Mode.STDBY_RC and not same:
            self._fail(f"{op.name} in {self.mode.name}, wants STDBY_RC (DS 13)")
        elif op in t.STANDBY_ONLY and not standby:
            self._fail(f"{op.name} in {self.mode.name}, wants standby (DS 13)")
        else:
            if op not in _READS:
                self._hold(t.COMMAND_US)
            if op in _COMMANDS:
                _COMMANDS[op](self, frame[1:])
            elif op in (Op.SET_RX, Op.SET_TX, Op.SET_CAD):
                self.operate(op, int.from_bytes(frame[1:], "big"))

    def _fail(self, rule: str) -> None:
        self.violate(rule)
        self.status = CmdStatus.EXECUTION_FAILURE

    def _in(self, name: str, value: int, allowed: object) -> bool:
        """Whether a parameter has one of its documented values."""
        if value in allowed:  # type: ignore[operator]
            return True
        self._fail(f"{name} = {value} is reserved (DS 13)")
        return False

    def _set_sleep(self, args: bytes) -> None:
        if not self._in("sleepConfig", args[0], (0, 1, 4, 5)):
            return
        if args[0] & 1:
            self.advise("wake-up by the RTC is not modelled")
        if not args[0] & 4:
            self._halt()
            self._forget()
        # DS 7.1: the buffer does not survive sleep.
        self.written = bytearray(256)
        self.port.cancel(self._busy_handle)
        self.mode, self.busy, self.asleep = Mode.SLEEP, True, True
        self._warm = bool(args[0] & 4)
        self._settled_us = self.port.now_us + t.SETTLE_SLEEP_US
        self.port.set_pin("busy", 1)
        self._drive_dio1()
        self._draw()

    def _wake(self) -> None:
        if self.port.now_us < self._settled_us:
            self.violate("NSS fell within 500 us of SetSleep (DS 13.1.1)")
        self.asleep = False
        if self._warm:
            self.mode = Mode.START
            self._hold(t.WARM_START_US, lambda: self._enter(Mode.STDBY_RC))
        else:
            self.mode = Mode.START
            self._start(t.COLD_START_US)

    def _oscillator(self) -> int | None:
        """Microseconds until the 32 MHz clock runs, or None when it cannot start."""
        if self.mode not in (Mode.STDBY_RC, Mode.START):
            return 0
        if not self.tcxo:
            return self.tcxo_us or 0
        if self.tcxo_us is None or self.tcxo_us < self.tcxo_start_us:
            self.errors |= t.XOSC_START_ERR
            self.status = CmdStatus.EXECUTION_FAILURE
            self.advise("the oscillator did not start: SetDIO3AsTCXOCtrl is missing or its delay too short")
            self._hold(t.XOSC_FAIL_US if self.tcxo_us is None else self.tcxo_us)
            return None
        return self.tcxo_us

    def _go(self, mode: Mode, then: Callable[[], None] | None = None) -> bool:
        """Switch with BUSY high for the time of DS table 8-2; False when the oscillator does not start."""
        xosc = self._oscillator()
        if xosc is None:
            return False
        origin = Mode.STDBY_XOSC if self.mode is mode else self.mode
        us = t.SWITCH_US.get((origin, mode), t.COMMAND_US) + xosc
        self._to_rx = mode is Mode.RX
        if self._to_rx:
            self.latency_us = self.latency()
        self.status = CmdStatus.IDLE

        def arrive() -> None:
            self._to_rx = False
            self._enter(mode)
            if then is not None:
                then()

        self._hold(us, arrive, local=then is None)
        return True

    def _set_standby(self, args: bytes) -> None:
        if not self._in("standbyConfig", args[0], (0, 1)):
            return
        self.leave()
        self.status = CmdStatus.IDLE
        if args[0] == 0:
            self._enter(Mode.STDBY_RC)
        elif self.mode is Mode.STDBY_RC:
            self._go(Mode.STDBY_XOSC)
        else:
            self._enter(Mode.STDBY_XOSC)

    def _set_fs(self, args: bytes) -> None:
        self.leave()
        if self.rffreq is None:
            self._fail("SetFs without SetRfFrequency (DS 14.2)")
            return
        self._go(Mode.FS)

    def _set_register(self, args: bytes) -> None:
        address = args[0] << 8 | args[1]
        for i, value in enumerate(args[2:], address):
            if i not in self.registers:
                self.advise(f"register 0x{i:04X} is not in the data sheet (DS table 12-1)")
            self.registers[i] = value
            if i == t.REG_RTC and value == 0:
                self._rtc_stopped = True
        if self.registers[t.REG_EVENT] & 2:
            # DS 15.3: the two writes stop the timer that an implicit-header reception leaves running.
            if self._rtc_stopped:
                self.port.cancel(self._stray)
            self.registers[t.REG_EVENT] &= ~2

    def _set_buffer(self, args: bytes) -> None:
        for i, value in enumerate(args[1:], args[0]):
            self.buffer[i & 0xFF] = value
            self.written[i & 0xFF] = 1

    def _set_irq(self, args: bytes) -> None:
        words = [args[i] << 8 | args[i + 1] for i in (0, 2, 4, 6)]
        if any(w & ~0x3FF for w in words):
            self._fail("SetDioIrqParams with reserved bits (DS table 13-29)")
            return
        if words[2] and self.dio2_switch:
            self._fail("DIO2 is the antenna switch, not an interrupt (DS 13.3.5)")
        if words[3] and self.tcxo_us is not None:
            self._fail("DIO3 supplies the TCXO, not an interrupt (DS 13.3.6)")
        self.masks = (words[0], words[1], words[2], words[3])
        self.latency_us = self.latency()
        self._drive_dio1()

    def _clear_irq(self, args: bytes) -> None:
        self.irq &= ~(args[0] << 8 | args[1])
        self._drive_dio1()

    def _clear_errors(self, args: bytes) -> None:
        if args != b"\x00\x00":
            self._fail("ClearDeviceErrors takes zeros (DS 13.6.2)")
        self.errors = 0

    def _set_tcxo(self, args: bytes) -> None:
        if self._in("tcxoVoltage", args[0], range(8)):
            self.tcxo_us = int.from_bytes(args[1:], "big") * t.RTC_STEP_NS // 1000

    def _calibrate(self, args: bytes) -> None:
        if args[0] & 0x80:
            self.advise("calibParam with its reserved bit set (DS 13.1.12)")
        if args[0] & 0x7C and self._oscillator() is None:  # PLL, ADC and image need the 32 MHz
            return
        self._hold(t.CALIBRATE_US + (self.tcxo_us or 0))

    def _calibrate_image(self, args: bytes) -> None:
        if args[0] >= args[1]:
            self._fail("CalibrateImage wants freq1 below freq2 (DS 13.1.13)")
            return
        if self._oscillator() is None:
            return
        self.image_mhz = (args[0] * 4, args[1] * 4)
        self._hold(t.CALIBRATE_US + (self.tcxo_us or 0 if self.mode is Mode.STDBY_RC else 0))

    def _set_packet_type(self, args: bytes) -> None:
        if self._in("packetType", args[0], (0, 1, 3)):
            # DS 13.4.2: the parameters of the other type are lost.
            if args[0] != self.packet_type:
                self.modulation = self.packet = None
            self.packet_type = args[0]
            if args[0] != 1:
                self.violate("only LoRa is modelled")

    def _set_frequency(self, args: bytes) -> None:
        rffreq = int.from_bytes(args, "big")
        if not 150_000_000 <= freq_hz(rffreq) <= 960_000_000:
            self._fail(f"{freq_hz(rffreq)} Hz is outside 150..960 MHz (DS 13.4.1)")
            return
        self.rffreq = rffreq

    def _set_pa(self, args: bytes) -> None:
        duty, hp, device, lut = args
        ok = self._in("paDutyCycle", duty, range(5)) and self._in("hpMax", hp, range(8))
        if ok and self._in("deviceSel (SX1262)", device, (0,)) and self._in("paLut", lut, (1,)):
            self.pa = (duty, hp)
            self.registers[t.REG_OCP] = 0x38  # 140 mA for the SX1262 (DS table 12-1)

    def _set_tx_params(self, args: bytes) -> None:
        power = args[0] - 256 if args[0] > 127 else args[0]
        if self.pa is None:
            self._fail("SetTxParams before SetPaConfig (DS 14.2)")
        elif self._in("power", power, range(-9, 23)) and self._in("rampTime", args[1], range(8)):
            self.tx_params = (power, t.RAMP_US[args[1]])

    def _set_modulation(self, args: bytes) -> None:
        if self.packet_type != 1:
            self._fail("SetModulationParams before SetPacketType (DS 14.2)")
            return
        sf, bw, cr, ldro = args[:4]
        if any(args[4:]):
            self._fail("SetModulationParams with more than LoRa's four parameters (DS 13.4.5)")
            return
        ok = self._in("SF", sf, range(5, 13)) and self._in("BW", bw, t.BANDWIDTH_HZ)
        if ok and self._in("CR", cr, range(1, 5)) and self._in("LowDataRateOptimize", ldro, (0, 1)):
            self.modulation = (sf, t.BANDWIDTH_HZ[bw], cr, ldro)
            if (1 << sf) * 1000 > 16 * t.BANDWIDTH_HZ[bw] and not ldro:
                self.advise("symbols over 16 ms without low data rate optimisation (DS 6.1.1.4)")

    def _set_packet(self, args: bytes) -> None:
        if self.packet_type != 1:
            self._fail("SetPacketParams before SetPacketType (DS 14.2)")
            return
        if any(args[6:]):
            self._fail("SetPacketParams with more than LoRa's six parameters (DS 13.4.6)")
            return
        preamble = args[0] << 8 | args[1]
        ok = self._in("PreambleLength", preamble, range(1, 65536)) and self._in("HeaderType", args[2], (0, 1))
        if ok and self._in("CRCType", args[4], (0, 1)) and self._in("InvertIQ", args[5], (0, 1)):
            self.packet = (preamble, args[2], args[3], args[4], args[5])

    def _set_cad_params(self, args: bytes) -> None:
        if args[3] == 0x10:
            self._fail("CAD with LBT exit is not modelled")
        elif self._in("cadSymbolNum", args[0], range(5)) and self._in("cadExitMode", args[3], (0, 1)):
            self.cad_params = (t.CAD_SYMBOLS[args[0]], args[3], int.from_bytes(args[4:7], "big"))

    def _set_bases(self, args: bytes) -> None:
        self.bases = (args[0], args[1])

    def _set_fallback(self, args: bytes) -> None:
        modes = {0x20: Mode.STDBY_RC, 0x30: Mode.STDBY_XOSC, 0x40: Mode.FS}
        if self._in("fallbackMode", args[0], modes):
            self.fallback = modes[args[0]]

    def _set_regulator(self, args: bytes) -> None:
        if self._in("regModeParam", args[0], (0, 1)):
            self.dcdc = bool(args[0])

    def _set_dio2(self, args: bytes) -> None:
        if self._in("enable", args[0], (0, 1)):
            self.dio2_switch = bool(args[0])

    def _set_stop_on_preamble(self, args: bytes) -> None:
        if self._in("StopOnPreambleParam", args[0], (0, 1)):
            self.stop_on_preamble = bool(args[0])

    def _set_symbol_timeout(self, args: bytes) -> None:
        if args[0]:
            self.advise("SetLoRaSymbNumTimeout is not modelled")

    def _reset_stats(self, args: bytes) -> None:
        self.stats = [0, 0, 0]


def freq_hz(rffreq: int) -> int:
    """DS 13.4.1: RF frequency = RfFreq * 32 MHz / 2^25."""
    return round(rffreq * 32_000_000 / (1 << 25))


_GETTERS: dict[int, Callable[[SX1262Core], bytes]] = {
    Op.GET_STATUS: lambda c: b"",
    Op.GET_PACKET_TYPE: lambda c: bytes([c.packet_type or 0]),
    Op.GET_IRQ_STATUS: lambda c: c.irq.to_bytes(2, "big"),
    Op.GET_RX_BUFFER_STATUS: lambda c: bytes([c.rx_length, c.rx_start]),
    Op.GET_PACKET_STATUS: lambda c: bytes(c.packet_status),
    Op.GET_RSSI_INST: lambda c: c.rssi_inst(),
    Op.GET_DEVICE_ERRORS: lambda c: c.errors.to_bytes(2, "big"),
    Op.GET_STATS: lambda c: b"".join((n & 0xFFFF).to_bytes(2, "big") for n in c.stats),
}
_POLLS = [bytes([op]) for op in (Op.GET_STATUS, Op.GET_IRQ_STATUS, Op.GET_DEVICE_ERRORS)]
_READS = {*_GETTERS, Op.READ_REGISTER, Op.READ_BUFFER}
_COMMANDS: dict[int, Callable[[SX1262Core, bytes], None]] = {
    Op.RESET_STATS: SX1262Core._reset_stats,
    Op.CLEAR_IRQ_STATUS: SX1262Core._clear_irq,
    Op.CLEAR_DEVICE_ERRORS: SX1262Core._clear_errors,
    Op.SET_DIO_IRQ_PARAMS: SX1262Core._set_irq,
    Op.WRITE_REGISTER: SX1262Core._set_register,
    Op.WRITE_BUFFER: SX1262Core._set_buffer,
    Op.SET_STANDBY: SX1262Core._set_standby,
    Op.SET_SLEEP: SX1262Core._set_sleep,
    Op.SET_RF_FREQUENCY: SX1262Core._set_frequency,
    Op.SET_CAD_PARAMS: SX1262Core._set_cad_params,
    Op.CALIBRATE: SX1262Core._calibrate,
    Op.SET_PACKET_TYPE: SX1262Core._set_packet_type,
    Op.SET_MODULATION_PARAMS: SX1262Core._set_modulation,
    Op.SET_PACKET_PARAMS: SX1262Core._set_packet,
    Op.SET_TX_PARAMS: SX1262Core._set_tx_params,
    Op.SET_BUFFER_BASE_ADDRESS: SX1262Core._set_bases,
    Op.SET_RX_TX_FALLBACK_MODE: SX1262Core._set_fallback,
    Op.SET_PA_CONFIG: SX1262Core._set_pa,
    Op.SET_REGULATOR_MODE: SX1262Core._set_regulator,
    Op.SET_DIO3_AS_TCXO_CTRL: SX1262Core._set_tcxo,
    Op.CALIBRATE_IMAGE: SX1262Core._calibrate_image,
    Op.SET_DIO2_AS_RF_SWITCH: SX1262Core._set_dio2,
    Op.STOP_TIMER_ON_PREAMBLE: SX1262Core._set_stop_on_preamble,
    Op.SET_LORA_SYMB_NUM_TIMEOUT: SX1262Core._set_symbol_timeout,
    Op.SET_FS: SX1262Core._set_fs,
}
