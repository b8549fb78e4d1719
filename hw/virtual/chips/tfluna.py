"""Benewake TF-Luna laser range sensor with UART.  DS = SJ-PM-TF-Luna A05.

Legs: UART (the MCU's `uart`), `power` when the wiring has a switch for it (`switched`). Frames 59 59 distance
amplitude temperature sum at 115200 baud 8N1, 100 a second, in centimetres (`mm`: set to millimetres).

Not modelled: commands (a byte to the sensor is a violation), I2C, the other formats, the cone of 2 degrees, the
mean over the 5 ranges behind a frame. Assumed, as the manual does not say: first frame 300 ms after power-on;
distance 0 with too little light; amplitude 30000 / (1 + d/m)^2 unless `amplitude` is set, 20 beyond 8 m.
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import Handle, UartChip

_FRAME_US = round(9 * 10 * 1_000_000 / 115_200)
_FIRST_US = 300_000
_PERIOD_US = 10_000
_CURRENT_UA = 70_000


class TFLuna(UartChip):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    temperature_c: of the chip. amplitude: what every frame says, 0..65535. `faults` is a list of functions
    bytes -> bytes; each next frame takes one and sends what it gives.
    """

    def __init__(
        self,
        uart: int = 1,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        mm: bool = False,
        noise_m: float = 0.0,
        amplitude: int | None = None,
        temperature_c: float = 35.0,
        switched: bool = False,
        power_on_level: int = 1,
    ) -> None:
        super().__init__()
        self.uart = uart
        self.distance_m = distance_m
        self.mm = mm
        self.noise_m = noise_m
        self.amplitude = amplitude
        self.temperature_c = temperature_c
        self.switched = switched
        self.power_on_level = power_on_level
        self.faults: list[Callable[[bytes], bytes]] = []
        self.frames = 0
        self._next: Handle | None = None

    def range(self) -> tuple[float, float, float]:
        """Lowest, highest, resolution, in metres."""
        return 0.2, 8.0, 0.001 if self.mm else 0.01

    def set_physical(self, value: float) -> None:
        self.distance_m = value

    def reset(self) -> None:
        self.port.cancel(self._next)
        self._next = None
        self._power(not self.switched)

    def _power(self, on: bool) -> None:
        self.port.cancel(self._next)
        self._next = self.port.at(self.port.now_us + _FIRST_US, self._send) if on else None
        self.port.draw(_CURRENT_UA if on else 0)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "power" and self.switched and (level == self.power_on_level) != (self._next is not None):
            self._power(level == self.power_on_level)

    def configure(self, baud: int, bits: int, parity: int | None, stop: int) -> None:
        if (baud, bits, parity, stop) != (115_200, 8, None, 1):
            self.violate(f"UART at {baud} {bits} {parity} {stop}, the sensor talks 115200 8N1 (DS)")

    def receive(self, data: bytes) -> None:
        self.violate("commands are not modelled")

    def frame(self) -> bytes:
        """What the sensor would say now."""
        metres = self.distance_m(self.port.now_us) if callable(self.distance_m) else self.distance_m
        if self.noise_m:
            metres += self.port.random.gauss(0.0, self.noise_m)
        metres = max(metres, 0.0)
        amplitude = round(30_000 / (1 + metres) ** 2) if self.amplitude is None else self.amplitude
        if metres > 8.0 and self.amplitude is None:
            amplitude = 20  # little comes back from beyond
        value = 0 if amplitude < 100 else round(metres / (0.001 if self.mm else 0.01))
        raw = round((self.temperature_c + 256) * 8)
        data = b"\x59\x59" + b"".join(x.to_bytes(2, "little") for x in (value, amplitude, raw))
        return data + bytes([sum(data) & 0xFF])

    def _send(self) -> None:
        frame = self.frame()
        if self.faults:
            frame = self.faults.pop(0)(frame)
        self.frames += 1
        self.port.at(self.port.now_us + _FRAME_US, lambda: self.port.uart_send(self.uart, frame))
        self._next = self.port.at(self.port.now_us + _PERIOD_US, self._send)
