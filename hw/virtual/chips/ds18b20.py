"""DS18B20 thermometer on a 1-Wire line (leg `wire`).  DS = Maxim 19-7487.

Modelled: ROM search, read, match and skip; convert (with its busy slots), read, write, copy and recall of the
scratchpad; CRC-8; 85.0 degC at power-on; resolution and its times.

Not modelled: what `onewire.py` leaves out (the supply pin is connected), alarm search, the limit of EEPROM
writes. Assumed: a conversion takes its whole specified time (750 ms at 12 bits).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from hw.virtual.chips.onewire import OneWireChip

_CONVERT_US = (93_750, 187_500, 375_000, 750_000)
_POWER_ON = 85 * 16
_SEARCH, _READ_ROM, _MATCH, _SKIP = 0xF0, 0x33, 0x55, 0xCC
_CONVERT, _READ, _WRITE, _COPY, _RECALL, _POWER = 0x44, 0xBE, 0x4E, 0x48, 0xB8, 0xB4
_CURRENT_UA = (1, 1000)


def crc8(data: bytes) -> int:
    """Dallas/Maxim CRC-8 by long division, x^8 + x^5 + x^4 + 1, bits from the least on."""
    register = 0
    for bit in (byte >> i & 1 for byte in data for i in range(8)):
        feedback = (register ^ bit) & 1
        register >>= 1
        if feedback:
            register ^= 0b1000_1100
    return register


class DS18B20(OneWireChip):
    """celsius: a number, or a function of the virtual time in us. serial: 48 bits. family: 0x28.

    `present` False is a broken wire. `flip` is a set of bit numbers of the next scratchpad reading that arrive
    wrong.
    """

    def __init__(
        self,
        celsius: float | Callable[[int], float] = 20.0,
        serial: int = 0x0000_0A1B_2C3D,
        family: int = 0x28,
    ) -> None:
        super().__init__()
        self.celsius = celsius
        body = bytes([family]) + serial.to_bytes(6, "little")
        self.rom = body + bytes([crc8(body)])
        self.present = True
        self.flip: set[int] = set()
        self.conversions = 0
        self._eeprom = b"\x4b\x46\x7f"  # alarms 75 and 70 degC, 12 bits
        self._pad = bytearray(9)
        self._done_us: int | None = None
        self.deselect()

    def range(self) -> tuple[float, float, float]:
        """Degrees Celsius: lowest, highest, resolution."""
        return -55.0, 125.0, 0.0625

    def set_physical(self, value: float) -> None:
        self.celsius = value

    def reset(self) -> None:
        self._pad[0:2] = _POWER_ON.to_bytes(2, "little")
        self._pad[2:5] = self._eeprom
        self._pad[5:8] = b"\xff\x0c\x10"
        self._done_us = None
        self.deselect()
        self.port.draw(_CURRENT_UA[0])

    def deselect(self) -> None:
        self._stage = ""
        self._bits: list[int] = []
        self._position = 0

    # slots

    def line_reset(self) -> bool:
        self.deselect()
        self._finish()
        if self.present:
            self._stage = "rom"
        return self.present

    def pull(self) -> int:
        self._finish()
        if not self.present:
            return 1
        if self._stage == "search":
            bit = self._rom_bit(self._position // 3)
            step = self._position % 3
            if step < 2:
                self._position += 1
                return bit ^ step
        elif self._stage == "out":
            if self._position < len(self._bits):
                self._position += 1
                return self._bits[self._position - 1]
        elif self._stage == "busy":
            return 0 if self._done_us is not None else 1
        return 1

    def take(self, bit: int) -> None:
        self._finish()
        if not self.present or not self._stage:
            return
        if self._stage == "search":
            if self._position % 3 != 2:
                self.violate("a write slot where the search wants a read slot (DS: search ROM)")
            elif bit != self._rom_bit(self._position // 3):
                self.deselect()
            else:
                self._position += 1
                if self._position == 192:
                    self._stage = ""
            return
        self._bits.append(bit)
        if self._stage == "match":
            self._matching()
        elif self._stage == "write":
            if len(self._bits) == 24:
                data = self._byte(0), self._byte(8), self._byte(16)
                self._pad[2:5] = bytes((*data[:2], data[2] & 0x60 | 0x1F))
                self._stage = ""
        elif len(self._bits) == 8 and self._stage in ("rom", "function"):
            value = self._byte(0)
            self._bits = []
            if self._stage == "rom":
                self._rom_command(value)
            else:
                self._function(value)

    def _rom_bit(self, i: int) -> int:
        return self.rom[i // 8] >> i % 8 & 1

    def _byte(self, at: int) -> int:
        return sum(b << i for i, b in enumerate(self._bits[at : at + 8]))

    def _matching(self) -> None:
        i = len(self._bits) - 1
        if self._bits[i] != self._rom_bit(i):
            self.deselect()
        elif i == 63:
            self._stage = "function"
            self._bits = []

    def _rom_command(self, value: int) -> None:
        stages = {_SEARCH: "search", _MATCH: "match", _SKIP: "function", _READ_ROM: "out"}
        if value not in stages:
            self.violate(f"ROM command 0x{value:02X} (DS: search, read, match, skip)")
        self._stage = stages.get(value, "")
        self._position = 0
        if value == _READ_ROM:
            self._say(self.rom)

    def _say(self, data: bytes) -> None:
        self._stage = "out"
        self._position = 0
        self._bits = [b >> i & 1 for b in data for i in range(8)]

    def _function(self, value: int) -> None:
        if value == _CONVERT:
            self._stage = "busy"
            self._done_us = self.port.now_us + _CONVERT_US[self._pad[4] >> 5 & 3]
            self.port.draw(_CURRENT_UA[1])
        elif value == _READ:
            self._pad[8] = crc8(bytes(self._pad[:8]))
            self._say(bytes(self._pad))
            for i in self.flip:
                self._bits[i] ^= 1
            self.flip = set()
        elif value == _WRITE:
            self._stage = "write"
        elif value in (_COPY, _RECALL):
            if value == _COPY:
                self._eeprom = bytes(self._pad[2:5])
            self._pad[2:5] = self._eeprom
            self._stage = "busy"
        elif value == _POWER:
            self._say(b"\xff")  # not parasite
        else:
            self.violate(f"function command 0x{value:02X} (DS: function commands)")
            self._stage = ""

    def _finish(self) -> None:
        """The conversion that has ended by now puts its result into the scratchpad."""
        if self._done_us is None or self.port.now_us < self._done_us:
            return
        value = self.celsius(self._done_us) if callable(self.celsius) else self.celsius
        step = 1 << 3 - (self._pad[4] >> 5 & 3)
        sixteenths = max(-55 * 16, min(125 * 16, math.floor(value * 16 / step + 0.5) * step))
        self._pad[0:2] = (sixteenths & 0xFFFF).to_bytes(2, "little")
        self._done_us = None
        self.conversions += 1
        self.port.draw(_CURRENT_UA[0])
