"""PCF8593 as an event counter on I2C, with the contact that it counts.  DS = NXP PCF8593 and PCF8583.

Legs: I2C at `address` (0x51; the PCF8583 0x50 or 0x51), and OSCI, on which `contact` hangs: its leg `pulse` behind
a pull-up, an RC filter and a Schmitt trigger, which let pass what lasts `filter_us`. 16 registers, of a PCF8583
256; the word address counts up by itself and turns over. Power-on: control and counters 0, day and month 1, clock
mode, free bytes undefined. Reads see the counters as they were at the begin of the transaction (capture latches,
DS 7.1). Wrong use: loading counters that are not stopped, digits that are none, the test mode, alarms.

Not modelled: clock modes (pulses do nothing there), alarm, timer, INT, RESET, the PCF8593's limit of 100 kHz.
Assumed: an event is a falling edge at OSCI; 12 uA (11.3 uA in this mode were reported; DS: 1 uA typical at 2 V as
a clock), and 3.3 V over `pull_ohm` while the contact is closed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hw.virtual.chips.base import Handle, I2cChip, PinChip, Port

_CONTROL, _DAY, _MONTH, _ALARM = 0, 5, 6, 8
_STOP, _HOLD, _MODE, _ALARM_ON = 0x80, 0x40, 0x30, 0x04
_EVENTS, _TEST = 0x20, 0x30
_COUNTERS = (1, 2, 3)
OWN_UA = 12
SUPPLY_UV = 3_300_000


class _Osci:
    """The port of the contact: its time is the counter's, its leg hangs on the counter."""

    def __init__(self, port: Port, level: Callable[[int], None]) -> None:
        self._port = port
        self._level = level
        self.random = random.Random(port.random.random())

    @property
    def now_us(self) -> int:
        return self._port.now_us

    def at(self, t_us: int, fn: Callable[[], None], local: bool = False) -> Handle:
        return self._port.at(t_us, fn, local)

    def cancel(self, handle: Handle | None) -> None:
        self._port.cancel(handle)

    def set_pin(self, pin: str | int, level: int) -> None:
        if pin == "pulse":
            self._level(level)

    def uart_send(self, uart_id: int, data: bytes) -> None: ...

    def emit(self, event: str, **fields: Any) -> None:
        self._port.emit(event, **fields)

    def draw(self, current_ua: int) -> None: ...

    def violation(self, text: str) -> None:
        self._port.violation(text)


class PCF8593(I2cChip):
    """contact: what hangs on OSCI, with a leg `pulse` (PulseMeter). size: 16, or 256 of a PCF8583.

    `edges`: events at OSCI in any mode since it was soldered.
    """

    def __init__(
        self,
        contact: PinChip | None = None,
        address: int = 0x51,
        *,
        size: int = 16,
        filter_us: int = 5_000,
        pull_ohm: int = 1_000_000,
    ) -> None:
        super().__init__()
        self.contact = contact
        self.address = address
        self.filter_us = filter_us
        self.pull_ohm = pull_ohm
        self.edges = 0
        self.frozen = False
        self._registers = bytearray(size)
        self._latch = bytes(size)
        self._pointer = 0
        self._level = 1
        self._filter: Handle | None = None

    def attach(self, port: Port) -> None:
        self.port = port
        if self.contact is not None:
            self.contact.name = self.name + ".contact"
            self.contact.port = _Osci(port, self._raw)
        self.reset()

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution of the contact's flow, m3/s."""
        assert self.contact is not None
        return self.contact.range()  # type: ignore[attr-defined, no-any-return]

    def set_physical(self, value: float) -> None:
        """From now on a constant flow through the contact's meter, m3/s."""
        assert self.contact is not None
        self.contact.set_physical(value)  # type: ignore[attr-defined]

    def reset(self) -> None:
        size = len(self._registers)
        self._registers[:] = bytes(_ALARM) + self.port.random.randbytes(size - _ALARM)
        self._registers[_DAY] = self._registers[_MONTH] = 1
        self._pointer = 0
        self._draw()
        if self.contact is not None:
            self.contact.reset()

    def dip(self) -> None:
        """The counter alone is without supply for a moment; the contact is not."""
        contact, self.contact = self.contact, None
        self.reset()
        self.contact = contact

    def _draw(self) -> None:
        closed = 0 if self._level else SUPPLY_UV // self.pull_ohm
        self.port.draw(OWN_UA + closed)

    # events

    def _raw(self, level: int) -> None:
        """The contact's own level; what does not last does not pass the filter."""
        self.port.cancel(self._filter)
        self._filter = None
        if not self.filter_us:
            self._pass(level)
        elif level != self._level:
            self._filter = self.port.at(self.port.now_us + self.filter_us, lambda: self._pass(level))

    def _pass(self, level: int) -> None:
        if level == self._level:
            return
        self._level = level
        self._draw()
        if level:
            return
        self.edges += 1
        control = self._registers[_CONTROL]
        if control & _MODE == _EVENTS and not control & _STOP and not self.frozen:
            self._put_count((self.count + 1) % 1_000_000)

    @property
    def count(self) -> int:
        return int(bytes(self._registers[i] for i in reversed(_COUNTERS)).hex())

    def _put_count(self, count: int) -> None:
        digits = bytes.fromhex(f"{count:06d}")
        for i, two in zip(reversed(_COUNTERS), digits, strict=True):
            self._registers[i] = two

    # bus

    def write(self, data: bytes) -> bool:
        if not data:
            return True
        if data[0] >= len(self._registers):
            self.violate(f"word address 0x{data[0]:02X} does not exist (DS 7)")
            return False
        self._pointer = data[0]
        for byte in data[1:]:
            self._put(self._pointer, byte)
            self._pointer = (self._pointer + 1) % len(self._registers)
        return True

    def _put(self, register: int, value: int) -> None:
        if register in _COUNTERS:
            if not self._registers[_CONTROL] & _STOP:
                self.violate("counters loaded while they count (DS 7.3: stop first)")
            if value >> 4 > 9 or value & 15 > 9:
                self.violate(f"0x{value:02X} is no pair of BCD digits (DS 7.4)")
                return
        if register == _CONTROL:
            if value & _MODE == _TEST:
                self.violate("test mode (DS 7.3)")
            if value & _ALARM_ON:
                self.violate("alarms are not modelled")
            if value & _HOLD and not self._registers[_CONTROL] & _HOLD:
                self._latch = bytes(self._registers)
        self._registers[register] = value

    def read(self, n: int) -> bytes:
        held = self._registers[_CONTROL] & _HOLD
        seen = bytearray(self._registers)
        if held:
            seen[1:_ALARM] = self._latch[1:_ALARM]
        out = bytearray()
        for _ in range(n):
            out.append(seen[self._pointer])
            self._pointer = (self._pointer + 1) % len(seen)
        return bytes(out)
