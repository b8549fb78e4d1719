"""SX1262: command lengths, registers, times and currents, from the tables of the data sheet.

DS = Semtech SX1261/2 data sheet, DS.SX1261-2.W.APP, rev 2.1, December 2021. BUSY times agree with
STMicroelectronics RM0453 table 33 (the same radio).
"""

from __future__ import annotations

from enum import IntEnum


class Op(IntEnum):
    """DS tables 11-1 to 11-5."""

    RESET_STATS = 0x00
    CLEAR_IRQ_STATUS = 0x02
    CLEAR_DEVICE_ERRORS = 0x07
    SET_DIO_IRQ_PARAMS = 0x08
    WRITE_REGISTER = 0x0D
    WRITE_BUFFER = 0x0E
    GET_STATS = 0x10
    GET_PACKET_TYPE = 0x11
    GET_IRQ_STATUS = 0x12
    GET_RX_BUFFER_STATUS = 0x13
    GET_PACKET_STATUS = 0x14
    GET_RSSI_INST = 0x15
    GET_DEVICE_ERRORS = 0x17
    READ_REGISTER = 0x1D
    READ_BUFFER = 0x1E
    SET_STANDBY = 0x80
    SET_RX = 0x82
    SET_TX = 0x83
    SET_SLEEP = 0x84
    SET_RF_FREQUENCY = 0x86
    SET_CAD_PARAMS = 0x88
    CALIBRATE = 0x89
    SET_PACKET_TYPE = 0x8A
    SET_MODULATION_PARAMS = 0x8B
    SET_PACKET_PARAMS = 0x8C
    SET_TX_PARAMS = 0x8E
    SET_BUFFER_BASE_ADDRESS = 0x8F
    SET_RX_TX_FALLBACK_MODE = 0x93
    SET_RX_DUTY_CYCLE = 0x94
    SET_PA_CONFIG = 0x95
    SET_REGULATOR_MODE = 0x96
    SET_DIO3_AS_TCXO_CTRL = 0x97
    CALIBRATE_IMAGE = 0x98
    SET_DIO2_AS_RF_SWITCH = 0x9D
    STOP_TIMER_ON_PREAMBLE = 0x9F
    SET_LORA_SYMB_NUM_TIMEOUT = 0xA0
    GET_STATUS = 0xC0
    SET_FS = 0xC1
    SET_CAD = 0xC5
    SET_TX_CONTINUOUS_WAVE = 0xD1
    SET_TX_INFINITE_PREAMBLE = 0xD2


#: Bytes of a whole transaction, opcode included; (lo, hi) with hi None = as long as the memory allows. An
#: answer may be read less far than it goes, and a packet may be empty.
LENGTH: dict[Op, tuple[int, int | None]] = {
    Op.RESET_STATS: (7, 7),
    Op.CLEAR_IRQ_STATUS: (3, 3),
    Op.CLEAR_DEVICE_ERRORS: (3, 3),
    Op.SET_DIO_IRQ_PARAMS: (9, 9),
    Op.WRITE_REGISTER: (4, None),
    Op.WRITE_BUFFER: (2, 258),
    Op.GET_STATS: (8, 8),
    Op.GET_PACKET_TYPE: (3, 3),
    Op.GET_IRQ_STATUS: (4, 4),
    Op.GET_RX_BUFFER_STATUS: (4, 4),
    Op.GET_PACKET_STATUS: (5, 5),
    Op.GET_RSSI_INST: (3, 3),
    Op.GET_DEVICE_ERRORS: (4, 4),
    Op.READ_REGISTER: (4, None),
    Op.READ_BUFFER: (3, 259),
    Op.SET_STANDBY: (2, 2),
    Op.SET_RX: (4, 4),
    Op.SET_TX: (4, 4),
    Op.SET_SLEEP: (2, 2),
    Op.SET_RF_FREQUENCY: (5, 5),
    Op.SET_CAD_PARAMS: (8, 8),
    Op.CALIBRATE: (2, 2),
    Op.SET_PACKET_TYPE: (2, 2),
    # DS 13.4.5 and 13.4.6 name eight and nine parameters; LoRa has four and six, zeros may follow.
    Op.SET_MODULATION_PARAMS: (5, 9),
    Op.SET_PACKET_PARAMS: (7, 10),
    Op.SET_TX_PARAMS: (3, 3),
    Op.SET_BUFFER_BASE_ADDRESS: (3, 3),
    Op.SET_RX_TX_FALLBACK_MODE: (2, 2),
    Op.SET_RX_DUTY_CYCLE: (7, 7),
    Op.SET_PA_CONFIG: (5, 5),
    Op.SET_REGULATOR_MODE: (2, 2),
    Op.SET_DIO3_AS_TCXO_CTRL: (5, 5),
    Op.CALIBRATE_IMAGE: (3, 3),
    Op.SET_DIO2_AS_RF_SWITCH: (2, 2),
    Op.STOP_TIMER_ON_PREAMBLE: (2, 2),
    Op.SET_LORA_SYMB_NUM_TIMEOUT: (2, 2),
    Op.GET_STATUS: (2, 2),
    Op.SET_FS: (1, 1),
    Op.SET_CAD: (1, 1),
    Op.SET_TX_CONTINUOUS_WAVE: (1, 1),
    Op.SET_TX_INFINITE_PREAMBLE: (1, 1),
}

#: DS 13.1, 13.4: commands that only these modes take.
STANDBY_ONLY = {Op.SET_SLEEP, Op.CALIBRATE_IMAGE}
STANDBY_RC_ONLY = {Op.CALIBRATE, Op.SET_REGULATOR_MODE, Op.SET_PACKET_TYPE, Op.SET_DIO3_AS_TCXO_CTRL}

#: What this model refuses to guess.
NOT_MODELLED = {Op.SET_RX_DUTY_CYCLE, Op.SET_TX_CONTINUOUS_WAVE, Op.SET_TX_INFINITE_PREAMBLE}


class Irq(IntEnum):
    """DS table 13-29."""

    TX_DONE = 1 << 0
    RX_DONE = 1 << 1
    PREAMBLE_DETECTED = 1 << 2
    SYNC_WORD_VALID = 1 << 3
    HEADER_VALID = 1 << 4
    HEADER_ERR = 1 << 5
    CRC_ERR = 1 << 6
    CAD_DONE = 1 << 7
    CAD_DETECTED = 1 << 8
    TIMEOUT = 1 << 9


class Mode(IntEnum):
    """Chip mode of the status byte (DS table 13-76); START and SLEEP have none."""

    START = 0
    SLEEP = 1
    STDBY_RC = 2
    STDBY_XOSC = 3
    FS = 4
    RX = 5
    TX = 6


class CmdStatus(IntEnum):
    """DS table 13-76. 1 is reserved and is what idle chips show."""

    IDLE = 1
    DATA_AVAILABLE = 2
    TIMEOUT = 3
    PROCESSING_ERROR = 4
    EXECUTION_FAILURE = 5
    TX_DONE = 6


#: DS 13.6.1, GetDeviceErrors.
XOSC_START_ERR = 1 << 5

#: Reset values of the registers of DS table 12-1; 0x0740 holds the private LoRa sync word.
REGISTERS: dict[int, int] = {
    0x0580: 0x00,  # DIOx output enable
    0x0583: 0x00,  # DIOx input enable
    0x0584: 0x00,  # DIOx pull-up control
    0x0585: 0x00,  # DIOx pull-down control
    **dict.fromkeys(range(0x06B8, 0x06D0), 0x00),  # (G)FSK
    0x0702: 0x00,  # payload length, LoRa
    0x0706: 0x00,  # symbol time-out
    0x0736: 0x0D,  # IQ polarity
    0x0740: 0x14,
    0x0741: 0x24,
    0x0749: 0x00,  # header CR
    0x076B: 0x00,  # header CRC
    **dict.fromkeys(range(0x0819, 0x081D), 0x00),  # random number
    0x0889: 0x01,  # TxModulation
    0x08AC: 0x94,  # Rx gain
    0x08D8: 0xC8,  # TxClampConfig
    0x08E7: 0x18,  # OCP
    0x0902: 0x00,  # RTC control
    0x0911: 0x05,  # XTA trim
    0x0912: 0x05,  # XTB trim
    0x0920: 0x01,  # DIO3 output voltage
    0x0944: 0x00,  # event mask
    **dict.fromkeys(range(0x029F, 0x02A8), 0x00),  # retention list (DS 9.6)
}
REG_IQ = 0x0736
REG_SYNC = 0x0740
REG_RANDOM = 0x0819
REG_TX_MODULATION = 0x0889
REG_CLAMP = 0x08D8
REG_OCP = 0x08E7
REG_RTC = 0x0902
REG_EVENT = 0x0944

#: DS 13.4.5.2.
BANDWIDTH_HZ = {
    0x00: 7812,
    0x08: 10417,
    0x01: 15625,
    0x09: 20833,
    0x02: 31250,
    0x0A: 41667,
    0x03: 62500,
    0x04: 125000,
    0x05: 250000,
    0x06: 500000,
}

#: DS table 13-35, DIO3 voltage in mV; 13.4.4, PA ramp in us; 13.4.7, CAD symbols.
TCXO_MV = (1600, 1700, 1800, 2200, 2400, 2700, 3000, 3300)
RAMP_US = (10, 20, 40, 80, 200, 800, 1700, 3400)
CAD_SYMBOLS = (1, 2, 4, 8, 16)

#: BUSY of a change of mode in us (DS table 8-2), from standby on RC, standby on the oscillator, FS.
SWITCH_US = {
    (Mode.STDBY_RC, Mode.STDBY_XOSC): 31,
    (Mode.STDBY_RC, Mode.FS): 50,
    (Mode.STDBY_RC, Mode.RX): 83,
    (Mode.STDBY_RC, Mode.TX): 126,
    (Mode.STDBY_XOSC, Mode.FS): 40,
    (Mode.STDBY_XOSC, Mode.RX): 62,
    (Mode.STDBY_XOSC, Mode.TX): 105,
    (Mode.FS, Mode.RX): 41,
    (Mode.FS, Mode.TX): 76,
    (Mode.RX, Mode.FS): 15,
    (Mode.RX, Mode.TX): 92,
}
COLD_START_US = 3500
WARM_START_US = 340
CALIBRATE_US = 3500  # DS 9.2, all blocks; image calibration is taken to last as long
SETTLE_SLEEP_US = 500  # DS 13.1.1
#: BUSY of a start of the oscillator that fails, where no delay is set: not in the data sheet. Its sign is a
#: BUSY of more than 7 ms (manual of micropython-lib); in a published log it is over within 10 ms.
XOSC_FAIL_US = 10_000
#: Commands that change no mode: not in the data sheet; taken from RM0453's remark that they are short.
COMMAND_US = 10

RTC_STEP_NS = 15625  # DS 13.1.4: 15.625 us
#: Symbols beyond the scan that a CAD lasts: half a symbol of processing (AN1200.48).
CAD_EXTRA_SYMBOLS = 0.5

#: Supply current in uA with the DC-DC converter (DS chapter 3, power consumption).
CURRENT_UA = {
    Mode.START: 600,
    Mode.STDBY_RC: 600,
    Mode.STDBY_XOSC: 800,
    Mode.FS: 2100,
    Mode.RX: 4600,
}
SLEEP_COLD_UA = 0.16
SLEEP_WARM_UA = 0.6
#: (dBm, mA) at 868 MHz, PA set for its level; between them linear.
TX_MA = ((-9, 20), (14, 45), (17, 58), (20, 84), (22, 118))

#: Output of the PA by (duty cycle, hpMax), when driven at +22 dBm (DS table 13-21).
PA_OPTIMAL_DBM = {(4, 7): 22, (3, 5): 20, (2, 3): 17, (2, 2): 14}
