"""A part on a UART whose characters may differ from the MCU's: neither end knows, and both read rubbish."""

from __future__ import annotations

from hw.virtual.chips.base import UartChip

#: Baud, data bits, parity (None, 0 even, 1 odd). Stop bits: a receiver looks at the first only.
Frame = tuple[int, int, int | None]


class FramedUart(UartChip):
    """`uart` is the MCU's, which the wiring may set. `garbled` counts the bytes that nobody could read."""

    uart = 1

    def __init__(self) -> None:
        super().__init__()
        self.garbled = 0
        self._mcu: Frame | None = None

    @property
    def frame_format(self) -> Frame:
        """How the part talks now."""
        raise NotImplementedError

    def configure(self, baud: int, bits: int, parity: int | None, stop: int) -> None:
        """Nothing that the part could notice."""
        self._mcu = baud, bits, parity

    @property
    def agreed(self) -> bool:
        """Whether both ends have the same characters; a UART that nobody has set up does not count."""
        return self._mcu is None or self._mcu == self.frame_format

    @property
    def char_us(self) -> float:
        """How long a character of the part takes."""
        baud, bits, parity = self.frame_format
        return (2 + bits + (parity is not None)) * 1e6 / baud

    def receive(self, data: bytes) -> None:
        if self.agreed:
            self.heard(data)
        else:
            self.garbled += len(data)

    def heard(self, data: bytes) -> None:
        """Bytes that came through."""

    def say(self, data: bytes) -> None:
        """Bytes whose last bit leaves now."""
        if not self.agreed and self._mcu is not None and data:
            self.garbled += len(data)
            # A faster receiver takes the low runs for characters, of which a byte has five at most.
            count = max(1, round(len(data) * min(5.0, self._mcu[0] / self.frame_format[0])))
            data = self.port.random.randbytes(count)
        self.port.uart_send(self.uart, data)
