"""What an energy meter's terminals see: volts, amperes and power factor over virtual time.

A load is (volts, amps, power factor), or a function of the virtual time in us that gives it, for instance
from the present power of a lamp's model. A negative power factor is power fed back.

A function is asked for the present only: every `step_us` of virtual time (0: never by itself) and whenever
the meter is asked or `touch` is called; between, the last answer holds. So energy is exact for a load that
changes in steps and calls `touch` at each, and off by at most one step otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hw.virtual.chips.base import Handle, Port


class Point(NamedTuple):
    """One instant at the terminals."""

    volts: float = 230.0
    amps: float = 0.0
    pf: float = 1.0

    @property
    def watts(self) -> float:
        return self.volts * self.amps * self.pf


Load = tuple[float, float, float] | Callable[[int], tuple[float, float, float]]


class Terminals:
    """Integrates a load. `joules` is energy in either direction, `imported_j` only what is drawn."""

    def __init__(self, load: Load, step_us: int = 1_000_000) -> None:
        self._load = load
        self._step_us = step_us
        self._port: Port | None = None
        self._tick: Handle | None = None
        self._since_us = 0
        self.point = Point()
        self.joules = 0.0
        self.imported_j = 0.0

    def power_on(self, port: Port) -> None:
        """From now on count from zero."""
        port.cancel(self._tick)
        self._port = port
        self._since_us = port.now_us
        self.joules = self.imported_j = 0.0
        self._look()
        self._plan()

    def _look(self) -> None:
        assert self._port is not None
        self.point = Point(*(self._load(self._port.now_us) if callable(self._load) else self._load))

    def _plan(self) -> None:
        self._tick = None
        if self._port is not None and self._step_us and callable(self._load):
            self._tick = self._port.at(self._port.now_us + self._step_us, self._ticked)

    def _ticked(self) -> None:
        self.touch()
        self._plan()

    def touch(self) -> Point:
        """Energy up to now at the last point; the point of now."""
        assert self._port is not None
        now = self._port.now_us
        joules = self.point.watts * (now - self._since_us) / 1e6
        self.joules += abs(joules)
        self.imported_j += max(0.0, joules)
        self._since_us = now
        self._look()
        return self.point

    def change(self, load: Load) -> None:
        """Another load from now on."""
        if self._port is None:
            self._load = load
            return
        self.touch()
        self._load = load
        self._look()
        if self._tick is None:
            self._plan()

    def set(self, value: float, quantity: str) -> None:
        """A constant load from now on: `volts`, `amps`, `pf`, or `watts` (then the current follows)."""
        p = self.touch() if self._port is not None else self.point
        if quantity == "watts":
            if not p.volts * p.pf:
                raise ValueError("no power without voltage and power factor")
            p = p._replace(amps=value / (p.volts * p.pf))
        elif quantity in p._fields:
            p = p._replace(**{quantity: value})
        else:
            raise ValueError(f"no quantity {quantity!r}")
        self.change((p.volts, p.amps, p.pf))
