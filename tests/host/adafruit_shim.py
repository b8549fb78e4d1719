"""Stand-ins for what Adafruit's CircuitPython drivers expect of their interpreter, on top of chip models.

`I2CBus` is a `busio.I2C`; `MachineI2C` is the same bus with the calls of MicroPython's `machine.I2C`, so that
our drivers and theirs meet the same model. `load` imports one of their modules unmodified, with fake
`busio`, `micropython`, `digitalio`, `board` and `circuitpython_typing` beneath it, or skips by name.
Errors are those of a virtual board: ENODEV without an answer to the address or for a refused
byte.
"""

import errno
import importlib
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hw.virtual.chips.base import I2cChip, ManualClock


class I2CBus:
    """busio.I2C over models on one bus; each has its 7-bit `address`. `clock`: bits take their time on it.

    Faults: `nack` next transactions find nobody, `stuck` next ones end in ETIMEDOUT, `fault(read bytes)` gives
    what arrives instead (shorter than asked: the open line reads FF). `log` holds (address, written, read).
    """

    def __init__(
        self, models: Iterable[I2cChip], clock: ManualClock | None = None, freq: int = 400_000
    ) -> None:
        self.models = list(models)
        self.clock = clock
        self.freq = freq
        self.nack = 0
        self.stuck = 0
        self.fault: Callable[[bytes], bytes] | None = None
        self.log: list[tuple[int, bytes, bytes]] = []
        self._locked = False

    def try_lock(self) -> bool:
        if self._locked:
            return False
        self._locked = True
        return True

    def unlock(self) -> None:
        self._locked = False

    def deinit(self) -> None: ...

    def scan(self) -> list[int]:
        return sorted(m.address for m in self.models)

    def _go(self, address: int, out: bytes | None, count: int | None, stop: bool = True) -> bytes:
        """One transaction: a write (None: none), then a read (None: none) after a repeated start."""
        if self.clock is not None:
            self.clock.advance((len(out or b"") + (count or 0) + 2) * 9_000_000 // self.freq)
        if self.stuck:
            self.stuck -= 1
            raise OSError(errno.ETIMEDOUT, "bus stuck")
        chips = [m for m in self.models if m.address == address]
        assert len(chips) < 2, f"two chips at 0x{address:02x}"
        if self.nack or not chips:
            self.nack = max(0, self.nack - 1)
            raise OSError(errno.ENODEV, "no answer to the address")
        chip = chips[0]
        got = b""
        try:
            if out is not None and not chip.write(out):
                raise OSError(errno.ENODEV, "not acknowledged")
            if count is not None:
                got = chip.read(count)
                if self.fault is not None:
                    got = self.fault(got)
                got = got.ljust(count, b"\xff")[:count]
        except OSError:
            chip.stop()
            raise
        if stop:
            chip.stop()
        self.log.append((address, out or b"", got))
        return got

    def writeto(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        self._go(address, bytes(buffer)[start:end], None)

    def readfrom_into(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        view = memoryview(buffer)[start:end]
        view[:] = self._go(address, None, len(view))

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: Any,
        in_buffer: Any,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        view = memoryview(in_buffer)[in_start:in_end]
        view[:] = self._go(address, bytes(out_buffer)[out_start:out_end], len(view))


class MachineI2C(I2CBus):
    """machine.I2C over the same models: positional `stop`, and the `_mem_` calls."""

    def writeto(self, addr: int, buf: Any, stop: bool = True) -> int:  # type: ignore[override]
        self._go(addr, bytes(buf), None, stop)
        return len(buf)

    def readfrom_into(self, addr: int, buf: Any, stop: bool = True) -> None:  # type: ignore[override]
        memoryview(buf)[:] = self._go(addr, None, len(buf), stop)

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        return self._go(addr, None, nbytes, stop)

    def readfrom_mem_into(self, addr: int, memaddr: int, buf: Any, *, addrsize: int = 8) -> None:
        memoryview(buf)[:] = self._go(addr, memaddr.to_bytes(addrsize // 8, "big"), len(buf))

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int, *, addrsize: int = 8) -> bytes:
        return self._go(addr, memaddr.to_bytes(addrsize // 8, "big"), nbytes)

    def writeto_mem(self, addr: int, memaddr: int, buf: Any, *, addrsize: int = 8) -> None:
        self._go(addr, memaddr.to_bytes(addrsize // 8, "big") + bytes(buf), None)


def _module(name: str, **content: Any) -> Any:
    module: Any = types.ModuleType(name)
    for key, value in content.items():
        setattr(module, key, value)
    return module


class _Time(types.ModuleType):
    """The module `time` with virtual sleep and monotonic; everything else is the real one's."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__("time")
        self._clock = clock

    def sleep(self, seconds: float) -> None:
        self._clock.advance(round(seconds * 1e6))

    def monotonic(self) -> float:
        self._clock.advance(1)  # so that loops that wait end
        return self._clock.now_us / 1e6

    def monotonic_ns(self) -> int:
        self._clock.advance(1)
        return self._clock.now_us * 1000


def load(name: str, monkeypatch: pytest.MonkeyPatch, clock: ManualClock | None = None) -> Any:
    """The module `name` of an Adafruit package, freshly imported; skips by name where it is not installed.

    With `clock` the `time` of all modules of that package is virtual.
    """
    # Ours first: it must not take the stand-in for the real `micropython`.
    importlib.import_module("firmware.protocols.compat")
    own = name.partition(".")[0]
    typing_parts: Any = types.ModuleType("circuitpython_typing")
    typing_parts.__path__ = []
    for part in ("ReadableBuffer", "WriteableBuffer"):
        setattr(typing_parts, part, Any)
    for package in (own, "adafruit_bus_device", "adafruit_register"):
        for loaded in [m for m in sys.modules if m == package or m.startswith(package + ".")]:
            monkeypatch.delitem(sys.modules, loaded)
    fakes = {
        "busio": _module("busio", I2C=I2CBus, SPI=object, UART=object),
        "micropython": _module("micropython", const=lambda value: value),
        "digitalio": _module("digitalio", DigitalInOut=object, Direction=object, Pull=object),
        "board": _module("board"),
        "circuitpython_typing": typing_parts,
        "circuitpython_typing.device_drivers": _module(
            "circuitpython_typing.device_drivers", I2CDeviceDriver=Any
        ),
    }
    for fake, module in fakes.items():
        monkeypatch.setitem(sys.modules, fake, module)
    try:
        source: Any = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        pytest.skip(f"{missing} is not installed")
    if clock is not None:
        for loaded, module in list(sys.modules.items()):
            if (loaded == own or loaded.startswith(own + ".")) and hasattr(module, "time"):
                monkeypatch.setattr(module, "time", _Time(clock))
    return source
