"""What a board's requests do to its chips, memories and lines.

Each function serves one operation of `ipc` at the instant `world.now_us` and returns the payload of the
answer and the microseconds the board is busy with it. Refusals are raised as `Refused` and become the
exception that MicroPython on ESP32 raises."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import ipc
from .chips.base import Chip, I2cChip, SpiChip
from .chips.onewire import Line, OneWireChip
from .flash import BLOCK, PAGE
from .nvs import NvsError

if TYPE_CHECKING:
    from .board import Board

Reply = tuple[bytes, int]
ENODEV, ETIMEDOUT, ENETUNREACH = 19, 116, 118
_DONE: Reply = (b"", 0)
#: Data that is not acknowledged: ESP_FAIL of the chip's driver as for an address, and so ENODEV (machine_i2c.c).
_DATA = -1
#: Microseconds of a 1-Wire reset with its presence pulse, of a read and of a write slot (MicroPython 1.25,
#: extmod/modonewire.c).
_RESET_US, _READ_US, _WRITE_US = 960, 50, 70


class Refused(Exception):  # noqa: N818
    """The board's call ends in OSError(code, text) or ValueError(text)."""

    def __init__(self, code: int | None, text: str = "") -> None:
        super().__init__(f"O {code} {text}".rstrip() if code is not None else f"V {text}")


def shared(board: Board, m: ipc.Message) -> bool:
    """Whether the request touches what several boards share and so waits for its turn in global time."""
    if not board.shared_chips:
        return False
    if m.op in (ipc.SPI, ipc.SPI_WRITE):
        return any(c.touches_shared(_mosi(m)) for c in _selected(board, m.a) if c.shared)
    if m.op in (ipc.PIN_OUT, ipc.PIN_MODE):
        return any(c.shared and _pin_shared(c, leg, m.x) for c, leg in board.out_legs.get(m.a, ()))
    return m.op in (ipc.DEEPSLEEP, ipc.RESET)


def _pin_shared(chip: Chip, leg: str, level: int) -> bool:
    if leg == "cs" and isinstance(chip, SpiChip) and level <= 1:
        return chip.select_touches_shared(not level)
    return True


def _mosi(m: ipc.Message) -> bytes:
    if m.data or not m.x:
        return m.data
    return bytes([m.x & 255]) * (m.x >> 8)


def _selected(board: Board, bus: int) -> list[SpiChip]:
    return [c for b, cs, c in board.spi if cs in board.selected and (b == bus or bus == 255 or b == 255)]


def spi(board: Board, m: ipc.Message) -> Reply:
    mosi = _mosi(m)
    chips = _selected(board, m.a)
    if len(chips) > 1:
        names = " and ".join(c.name for c in chips)
        board.world.violated(board, f"{names}: two chips selected on one SPI bus")
    miso = chips[0].transfer(mosi) if chips else b"\xff" * len(mosi)
    return (b"" if m.op == ipc.SPI_WRITE else miso.ljust(len(mosi), b"\0")[: len(mosi)]), 0


def i2c(board: Board, m: ipc.Message) -> Reply:
    """a: number (2 bits; 3 is a bus in software) | SCL << 2 | SDA << 8."""
    address, count, how, freq = m.x & 0xFF, m.x >> 8 & 0xFFFFFF, m.x >> 32 & 3, m.x >> 34
    wired = board.i2c_bus(m.a & 3, m.a >> 2 & 63, m.a >> 8)
    if wired in board.stuck_i2c:
        raise Refused(ETIMEDOUT)
    bus = [c for number, c in board.i2c if number == wired]
    chip = next((c for c in bus if c.address == address), None)
    out, error = _transaction(chip, m.data, count, how) if chip else (b"", ENODEV)
    reads = bool(how & 2)
    low = _low_bits(address << 1 | reads, out, error)
    if m.data or not reads:
        low = max(low, _low_bits(address << 1, m.data, error))
    for each in bus:
        if each is not chip or error:  # one that answered was awake
            each.sda_low(low * 1_000_000 / freq)
    if error == _DATA and m.a & 3 == 3 and not reads and chip and chip.write(b""):
        return b"\0", 0  # the software counts acknowledgements and makes no error of a missing one
    if error:
        raise Refused(ENODEV)
    return out, 0


def _transaction(chip: I2cChip, data: bytes, count: int, how: int) -> tuple[bytes, int]:
    """What was read, and the error or 0. how: 1 no STOP at the end, 2 the call reads (a write of nothing before it
    is none)."""
    out, error = b"", 0
    if (data or not how & 2) and not chip.write(data):
        error = _DATA if data else ENODEV
    elif how & 2:
        got = chip.read(count)
        if count and not got:
            error = ENODEV  # no answer to the address
        else:
            out = got.ljust(count, b"\xff")[:count]
    if error or not how & 1:
        chip.stop()
    return out, error


def _low_bits(head: int, data: bytes, error: int) -> int:
    """The longest low level on SDA, in bits: each byte is acknowledged low, an error is an address that is not."""
    sent = bytes([head]) if error else bytes([head]) + data
    bits = "".join(f"{byte:08b}{1 if error else 0}" for byte in sent)
    return max(len(run) for run in bits.split("1"))


def onewire(board: Board, m: ipc.Message) -> Reply:
    """x: slots (8 bits) | how << 8 | value << 16; how: 0 a reset, 1 read, 2 write. The slots of one request are
    all at its instant."""
    slots, how, value = m.x & 255, m.x >> 8 & 255, m.x >> 16
    legs = board.out_legs.get(m.a, ())
    devices = (c for c, leg in legs if leg == "wire" and isinstance(c, OneWireChip))
    line = Line(*devices, short=board.levels_in.get(m.a) == 0)
    board.output(m.a, 1)  # between the slots the pull-up has it
    if how == 0:
        return bytes([line.reset()]), _RESET_US
    if how == 1:
        return bytes([sum(line.read_bit() << i for i in range(slots))]), slots * _READ_US
    for i in range(slots):
        line.write_bit(value >> i & 1)
    return b"\0", slots * _WRITE_US


def adc(board: Board, m: ipc.Message) -> Reply:
    leg = board.adc_legs.get(m.a)
    microvolt = leg[0].adc_uv(leg[1]) if leg else 0
    return max(0, microvolt).to_bytes(8, "little"), 0


def uart_read(board: Board, m: ipc.Message) -> Reply:
    uart = board.uart(m.a)
    count = m.x if m.x < 1 << 63 else m.x - (1 << 64)
    if count == -1:
        return len(uart.rx).to_bytes(4, "little"), 0
    if count == -2:
        return bytes([board.world.now_us < uart.busy_until]), 0
    out = bytes(uart.rx[:count])
    del uart.rx[:count]
    return out, 0


def uart_conf(board: Board, m: ipc.Message) -> Reply:
    uart = board.uart(m.a)
    uart.baud = m.x & 0xFFFFFFFF
    uart.size = m.x >> 44
    parity = m.x >> 36 & 15
    tx, rx = (None if pin == 255 else pin for pin in m.data or b"\xff\xff")
    uart.pins = tx, rx
    for chip in board.uart_hears(m.a):
        chip.configure(uart.baud, m.x >> 32 & 15, None if parity == 2 else parity, m.x >> 40 & 15)
    return _DONE


def uart_tx(board: Board, m: ipc.Message) -> Reply:
    uart = board.uart(m.a)
    if not m.data:
        return _DONE  # nothing goes over the wire
    begin = max(board.world.now_us, uart.busy_until)
    uart.busy_until = begin + len(m.data) * 10_000_000 // uart.baud
    for chip in board.uart_hears(m.a):
        data = m.data
        board.ports[chip.name].at(uart.busy_until, lambda c=chip, d=data: c.receive(d))  # type: ignore[misc]
    return _DONE


def nvs(board: Board, m: ipc.Message) -> Reply:
    space_raw, _, rest = m.data.partition(b"\0")
    key_raw, _, data = rest.partition(b"\0")
    space, key = space_raw.decode(), key_raw.decode()
    store = board.nvs
    draw = board.draw
    try:
        match m.a:
            case 0:
                store.open(space)
            case 1:
                n = store.set(space, key, int.from_bytes(data, "little", signed=True))
                return b"", draw("nvs_write", n)
            case 2:
                value = store.get(space, key, int)
                assert isinstance(value, int)
                return value.to_bytes(4, "little", signed=True), draw("nvs_read")
            case 3:
                return b"", draw("nvs_write", store.set(space, key, data))
            case 4:
                blob = store.get(space, key, bytes)
                assert isinstance(blob, bytes)
                if len(blob) > int.from_bytes(data, "little"):
                    raise Refused(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
                return blob, draw("nvs_read", 1 + len(blob) // 256)
            case 5:
                return b"", draw("nvs_write", store.erase(space, key))
    except NvsError as e:
        raise Refused(-e.args[0], e.args[1]) from None
    return _DONE


def flash(board: Board, m: ipc.Message) -> Reply:
    chip = board.flash
    cost = 0
    if m.a in (1, 3):
        n = len(m.data) if m.a == 1 else BLOCK
        if m.x % BLOCK or n % BLOCK:
            raise Refused(-0x102, "ESP_ERR_INVALID_ARG")
        for block in range(m.x // BLOCK, (m.x + n) // BLOCK):
            chip.erase(block)
            cost += board.draw("flash_erase")
    if m.a in (1, 2):
        chip.program(m.x, m.data)
        cost += board.draw("flash_program", -(-(m.x % PAGE + len(m.data)) // PAGE))
    return b"", cost


def parts(board: Board, m: ipc.Message) -> Reply:
    rows = [f"{p.kind} {p.subtype} {p.offset} {p.size} {p.label}" for p in board.flash.table]
    return "\n".join(rows).encode(), 0


def urandom(board: Board, m: ipc.Message) -> Reply:
    return board.random.randbytes(m.x), 0


def printed(board: Board, m: ipc.Message) -> Reply:
    # The text itself came over fd 1 and has just been read by the scheduler.
    return b"", board.take_console_cost()


def con_write(board: Board, m: ipc.Message) -> Reply:
    board.printed(m.data)
    return b"", board.take_console_cost()


def con_read(board: Board, m: ipc.Message) -> Reply:
    out = bytes(board.console_in[: m.x])
    del board.console_in[: m.x]
    return out, 0


def import_(board: Board, m: ipc.Message) -> Reply:
    """New modules: charge their size, answer with the functions that cost time in them. They come by name, or as
    all of sys.modules, of which those are new that were never told."""
    us = 0
    rows: list[str] = []
    told = set(m.data.decode().split("\n")) - {""}
    for name in sorted(told if m.a else told - board.modules):
        board.modules.add(name)
        size, source = board.module_size(name, m.x)
        if not size:
            continue
        board.world.log(board, "import", (name, size))
        us += board.draw("import_source" if source else "import") * size // 1024
        rows += [f"{name} {q} {t} {w}" for q, t, w in board.world.costs.functions(name)]
    return "\n".join(rows).encode(), us


def network(board: Board, m: ipc.Message) -> Reply:
    which, op = m.a & 1, m.a & ~1
    link = board.link[which]
    if op == 2:
        link |= 1
        if which:
            op = 6
    elif op == 4:
        link = 0
    elif op == 8:
        link &= 1
    board.link[which] = link
    if op == 6 and board.options.network and not link & 4:
        board.link[which] |= 2
        board.link_up_at = board.world.now_us + board.options.network_ms * 1000
    if board.link[which] & 2 and board.options.network and board.world.now_us >= board.link_up_at:
        board.link[which] = 5
    if not board.options.network:
        board.link[which] &= 3
    return bytes([board.link[which]]), 0


def cost(board: Board, m: ipc.Message) -> Reply:
    return b"", board.draw(m.data.decode())


def pin_out(board: Board, m: ipc.Message) -> Reply:
    if m.data:
        # A waveform of the pulse generator: 16-bit ticks of its divided clock of 80 MHz.
        ticks = [int.from_bytes(m.data[i : i + 2], "little") for i in range(0, len(m.data), 2)]
        ends = [0, *((end * (m.x >> 8) + 40) // 80 for end in itertools.accumulate(ticks))]
        board.wave(m.a, [b - a for a, b in itertools.pairwise(ends)], m.x & 1, m.x >> 1 & 1)
        return _DONE
    board.output(m.a, m.x & 1)
    return _DONE


def pin_mode(board: Board, m: ipc.Message) -> Reply:
    mode, pull, value, hold = m.x & 255, m.x >> 8 & 255, m.x >> 16 & 1, m.x >> 24 & 3
    if pull != 15:
        board.pulls[m.a] = pull
    if hold == 0:
        board.holds.discard(m.a)
    if mode and m.a not in board.holds:
        (board.open_drain.add if mode & 4 else board.open_drain.discard)(m.a)
    if mode & 2:
        board.output(m.a, value)
    elif mode and m.a in board.levels_out:
        board.release(m.a)
    if hold == 1:
        board.holds.add(m.a)
    return _DONE


def irq(board: Board, m: ipc.Message) -> Reply:
    board.triggers[m.a] = m.x
    return _DONE


def pwm(board: Board, m: ipc.Message) -> Reply:
    board.set_pwm(m.a, m.x >> 16, m.x & 0xFFFF)
    return _DONE


def dac(board: Board, m: ipc.Message) -> Reply:
    board.set_dac(m.a, m.x)
    return _DONE


def rtc_set(board: Board, m: ipc.Message) -> Reply:
    offset = m.x if m.x < 1 << 63 else m.x - (1 << 64)
    board.rtc_us = offset + m.t_us - board.world.now_us
    return _DONE


def rtc_read(board: Board, m: ipc.Message) -> Reply:
    return board.rtc_memory, 0


def rtc_write(board: Board, m: ipc.Message) -> Reply:
    board.rtc_memory = m.data
    return _DONE


def wake(board: Board, m: ipc.Message) -> Reply:
    if m.a == 2:
        board.deep_hold = bool(m.x)
    else:
        board.wake_pins[m.a] = m.x & (1 << 56) - 1
        board.wake_any[m.a] = m.x >> 56
    return _DONE


def kbd(board: Board, m: ipc.Message) -> Reply:
    board.kbd = bool(m.a)
    return _DONE


def memory(board: Board, m: ipc.Message) -> Reply:
    if m.a:
        board.gc_passes += 1
        if m.a == 1:
            board.heap_live = max(board.heap_live, m.x)
    else:
        board.heap_peak = max(board.heap_peak, m.x)
    return _DONE


def watchdog(board: Board, m: ipc.Message) -> Reply:
    board.watchdog_us = board.to_global(m.x)
    return _DONE


SERVICES: dict[int, Callable[[Board, ipc.Message], Reply]] = {
    ipc.SPI: spi,
    ipc.SPI_WRITE: spi,
    ipc.I2C: i2c,
    ipc.ONEWIRE: onewire,
    ipc.ADC: adc,
    ipc.UART_READ: uart_read,
    ipc.UART_CONF: uart_conf,
    ipc.UART_TX: uart_tx,
    ipc.NVS: nvs,
    ipc.FLASH: flash,
    ipc.PARTS: parts,
    ipc.URANDOM: urandom,
    ipc.PRINTED: printed,
    ipc.CON_WRITE: con_write,
    ipc.CON_READ: con_read,
    ipc.IMPORT: import_,
    ipc.NETWORK: network,
    ipc.COST: cost,
    ipc.PIN_OUT: pin_out,
    ipc.PIN_MODE: pin_mode,
    ipc.IRQ: irq,
    ipc.PWM: pwm,
    ipc.DAC: dac,
    ipc.RTC_SET: rtc_set,
    ipc.RTC_READ: rtc_read,
    ipc.RTC_WRITE: rtc_write,
    ipc.WAKE: wake,
    ipc.KBD: kbd,
    ipc.MEMORY: memory,
    ipc.WDT: watchdog,
}
