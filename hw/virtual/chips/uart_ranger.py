"""What range sensors that talk by themselves over a UART have in common.

Legs: UART (the MCU's `uart`), `power` when the wiring has a switch for it (`switched`).
"""

from __future__ import annotations

from collections.abc import Callable

from hw.virtual.chips.base import Handle
from hw.virtual.chips.framing import Frame, FramedUart


class UartRanger(FramedUart):
    """distance_m: a number, or a function of the virtual time in us. noise_m: standard deviation.

    `faults` is a list of functions bytes -> bytes; each next frame takes one and sends what it gives.
    """

    BAUD = 9600
    FIRST_US = 0  # from power-on to the first call of `_begin`
    CURRENT_UA = 0
    #: Why a byte to the sensor is a violation.
    TAKES_NOTHING = ""

    def __init__(
        self,
        uart: int = 1,
        distance_m: float | Callable[[int], float] = 1.0,
        *,
        noise_m: float = 0.0,
        switched: bool = False,
        power_on_level: int = 1,
    ) -> None:
        super().__init__()
        self.uart = uart
        self.distance_m = distance_m
        self.noise_m = noise_m
        self.switched = switched
        self.power_on_level = power_on_level
        self.faults: list[Callable[[bytes], bytes]] = []
        self.frames = 0
        self._next: Handle | None = None

    @property
    def frame_format(self) -> Frame:
        return self.BAUD, 8, None

    def set_physical(self, value: float) -> None:
        self.distance_m = value

    def reset(self) -> None:
        self._power(not self.switched)

    def _power(self, on: bool) -> None:
        self.port.cancel(self._next)
        self._next = None
        if on:
            self._again(self.FIRST_US, self._begin)
        self.port.draw(self.CURRENT_UA if on else 0)

    def _again(self, us: int, fn: Callable[[], None]) -> None:
        """What the sensor does next, unless its supply goes."""
        self._next = self.port.at(self.port.now_us + us, fn)

    def pin_changed(self, pin: str, level: int) -> None:
        if pin == "power" and self.switched and (level == self.power_on_level) != (self._next is not None):
            self._power(level == self.power_on_level)

    def heard(self, data: bytes) -> None:
        self.violate(self.TAKES_NOTHING)

    def metres(self) -> float:
        """The distance now, with its noise."""
        metres = self.distance_m(self.port.now_us) if callable(self.distance_m) else self.distance_m
        if self.noise_m:
            metres += self.port.random.gauss(0.0, self.noise_m)
        return metres

    def _begin(self) -> None:
        raise NotImplementedError

    def _frame(self, frame: bytes) -> None:
        """One more frame, with its fault."""
        chars = len(frame)
        if self.faults:
            frame = self.faults.pop(0)(frame)
        self.frames += 1
        self._say(frame, chars)

    def _say(self, data: bytes, chars: int) -> None:
        """They arrive when so many characters have been on the wire."""
        self.port.at(self.port.now_us + round(chars * self.char_us), lambda: self.say(data))
