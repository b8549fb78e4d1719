"""Benewake TF-Luna laser range sensor with UART (with I2C: tfluna_i2c).  DS = SJ-PM-TF-Luna A05.

Legs: UART (the MCU's `uart`), `power` when the wiring has a switch for it (`switched`). Frames 59 59 distance
amplitude temperature sum at 115200 baud 8N1, 100 a second, in centimetres (`mm`: set to millimetres). Commands
5A length code data sum: version, reset, frame rate (0: on request), one range, format (9 bytes in cm or mm), baud,
output on and off, factory settings, save. What is not saved is gone with the supply; a command with a wrong sum,
or of another code, is not answered.

Not modelled: the other formats, thresholds and low power, the cone of 2 degrees, the mean over the 5 ranges behind
a frame. Assumed, as the manual does not say: first frame 300 ms after power-on or reset; an answer after 1 ms;
distance 0 with too little light; amplitude 30000 / (1 + d/m)^2 unless `amplitude` is set, 20 beyond 8 m; version
3.3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hw.virtual.chips.framing import Frame
from hw.virtual.chips.uart_ranger import UartRanger

VERSION = bytes((1, 3, 3))  # the last place first
_VERSION, _RESET, _RATE, _ONCE, _FORMAT, _BAUD, _OUTPUT, _FACTORY, _SAVE = 1, 2, 3, 4, 5, 6, 7, 0x10, 0x11
_CM, _MM = 1, 6
_ANSWER_US = 1000


class Settings(NamedTuple):
    """What the sensor keeps: frames per second (0: on request), format, baud, whether it speaks."""

    rate: int = 100
    form: int = _CM
    baud: int = 115_200
    output: bool = True


def light(metres: float, amplitude: int | None) -> tuple[bool, int]:
    """Whether there is enough of it for a range, and the amplitude that the sensor says."""
    if amplitude is None:
        # Little comes back from beyond 8 m.
        amplitude = 20 if metres > 8.0 else round(30_000 / (1 + metres) ** 2)
    return amplitude >= 100, amplitude


class TFLuna(UartRanger):
    """See `UartRanger`; temperature_c: of the chip. amplitude: what every frame says, 0..65535."""

    BAUD = 115_200
    FIRST_US = 300_000
    CURRENT_UA = 70_000

    def __init__(
        self,
        uart: int = 1,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        mm: bool = False,
        amplitude: int | None = None,
        temperature_c: float = 35.0,
        **options: Any,
    ) -> None:
        super().__init__(uart, distance_m, **options)
        self.saved = Settings(form=_MM if mm else _CM)
        self.settings = self.saved
        self.amplitude = amplitude
        self.temperature_c = temperature_c
        self.refused = 0
        self._input = b""

    @property
    def frame_format(self) -> Frame:
        return self.settings.baud, 8, None

    @property
    def mm(self) -> bool:
        return self.settings.form == _MM

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution, in metres."""
        return 0.2, 8.0, 0.001 if self.mm else 0.01

    def frame(self) -> bytes:
        """What the sensor would say now."""
        metres = max(self.metres(), 0.0)
        enough, amplitude = light(metres, self.amplitude)
        value = round(metres / (0.001 if self.mm else 0.01)) if enough else 0
        raw = round((self.temperature_c + 256) * 8)
        data = b"\x59\x59" + b"".join(x.to_bytes(2, "little") for x in (value, amplitude, raw))
        return data + bytes([sum(data) & 0xFF])

    def _power(self, on: bool) -> None:
        self.settings = self.saved
        self._input = b""
        super()._power(on)

    def _begin(self) -> None:
        rate = self.settings.rate
        if rate and self.settings.output:
            self._frame(self.frame())
        self._again(1_000_000 // (rate or 100), self._begin)

    # commands

    def heard(self, data: bytes) -> None:
        if self._next is None:
            return  # without supply
        self._input += data
        while (at := self._input.find(0x5A)) >= 0:
            packet = self._input[at:]
            if len(packet) < 2:
                break
            length = packet[1]
            if not 4 <= length <= 8:
                self._input = packet[1:]
                continue
            if len(packet) < length:
                break
            self._input = packet[length:]
            if sum(packet[: length - 1]) & 0xFF == packet[length - 1]:
                self._command(packet[2], packet[3 : length - 1])
            else:
                self.refused += 1
        else:
            self._input = b""

    def _command(self, code: int, data: bytes) -> None:
        value = int.from_bytes(data, "little")
        wants = {_RATE: 2, _FORMAT: 1, _BAUD: 4, _OUTPUT: 1}.get(code, 0)
        if len(data) != wants or code not in (*range(1, 8), _FACTORY, _SAVE):
            self.refused += 1
            return
        if code == _ONCE:
            self._frame(self.frame())
            return
        if code == _FORMAT and value not in (_CM, _MM):
            self.violate(f"output format {value} is not modelled")
            return
        packet = bytes((0x5A, 0, code)) + (VERSION if code == _VERSION else data or b"\0")
        packet = packet[:1] + bytes([len(packet) + 1]) + packet[2:]
        packet += bytes([sum(packet) & 0xFF])
        us = _ANSWER_US + round(len(packet) * self.char_us)
        self.port.at(self.port.now_us + us, lambda: self._answered(packet, code, value))

    def _answered(self, packet: bytes, code: int, value: int) -> None:
        """The answer is out: what was asked for begins."""
        self.say(packet)
        now = self.settings
        if code == _RATE:
            self.settings = now._replace(rate=min(value, 250))
        elif code == _FORMAT:
            self.settings = now._replace(form=value)
        elif code == _BAUD:
            self.settings = now._replace(baud=value)
        elif code == _OUTPUT:
            self.settings = now._replace(output=bool(value))
        elif code == _FACTORY:
            self.settings = Settings()
        elif code == _SAVE:
            self.saved = now
        elif code == _RESET and self._next is not None:
            self._power(True)
