"""HLW8012 (CSE7759) and BL0937 energy meters with pulse outputs.  DS = HLW8012 and BL0937 data sheets.

Legs: `cf` (power), `cf1` (voltage or current), `sel` (1 voltage, 0 current; pulled down in the part). Both
outputs have 50 % duty. Frequencies follow the data sheets for `shunt_ohm` and the divider (2351 is 2 MOhm
over 851 Ohm): HLW8012 2.43 V and 3.579 MHz, BL0937 1.218 V and its own divisors. `*_error` are the board's.

Assumed: for 500 ms after SEL changes CF1 runs at the mean of both frequencies (the data sheets only say that
the first values are to be dropped). Not modelled: noise, creep threshold, negative power (counted as drawn),
the part's own averaging, the BL0937's overcurrent signal.
"""

from __future__ import annotations

from hw.virtual.chips.base import Handle, PinChip
from hw.virtual.chips.load import Load, Terminals

_SETTLE_US = 500_000


class _Output:
    """A leg that rises once per period; the phase is kept when the frequency changes."""

    def __init__(self, chip: PulseEnergy, leg: str) -> None:
        self.chip = chip
        self.leg = leg
        self.hz = 0.0
        self.pulses = 0
        self.lose = 0
        self._phase = 0.0
        self._since_us = 0
        self._rise: Handle | None = None
        self._fall: Handle | None = None

    def off(self) -> None:
        port = self.chip.port
        port.cancel(self._rise)
        port.cancel(self._fall)
        port.set_pin(self.leg, 0)
        self.hz = self._phase = 0.0
        self._rise = None
        self.pulses = 0

    def run(self, hz: float) -> None:
        """From now on at this frequency."""
        port = self.chip.port
        if hz == self.hz and self._rise is not None:
            return
        port.cancel(self._rise)
        now = port.now_us
        self._phase += (now - self._since_us) * self.hz / 1e6
        self._since_us, self.hz = now, hz
        self._plan()

    def _plan(self) -> None:
        self._rise = None
        if self.hz > 0:
            us = max(0.0, (1.0 - self._phase) * 1e6 / self.hz)
            self._rise = self.chip.port.at(self._since_us + round(us), self._up)

    def _up(self) -> None:
        port = self.chip.port
        now = port.now_us
        # The fraction of a microsecond that rounding took is kept in the phase.
        self._phase += (now - self._since_us) * self.hz / 1e6 - 1.0
        self._since_us = now
        self.pulses += 1
        if self.lose:
            self.lose -= 1
        else:
            port.set_pin(self.leg, 1)
            self._fall = port.at(now + round(5e5 / self.hz), lambda: port.set_pin(self.leg, 0))
        self._plan()


class PulseEnergy(PinChip):
    """part: "hlw8012" or "bl0937". load: see `load.py`, looked at every `step_us`.

    `cf.lose`, `cf1.lose`: as many next pulses do not come; `dead` stops both.
    """

    def __init__(
        self,
        load: Load = (230.0, 0.5, 1.0),
        part: str = "hlw8012",
        *,
        shunt_ohm: float = 0.001,
        divider: float = 2351.0,
        volt_error: float = 0.0,
        amp_error: float = 0.0,
        watt_error: float = 0.0,
        step_us: int = 200_000,
    ) -> None:
        super().__init__()
        if part == "hlw8012":
            ref, clock = 2.43, 3_579_000.0
            watts = ref * ref * divider / shunt_ohm * 64 / 24 / clock
            amps = ref / shunt_ohm * 512 / 24 / clock
            volts = ref * divider * 256 / clock
        elif part == "bl0937":
            ref = 1.218
            watts = ref * ref * divider / shunt_ohm / 1_721_506
            amps = ref / shunt_ohm / 94_638
            volts = ref * divider / 15_397
        else:
            raise ValueError(f"no part {part!r}")
        self.watts_per_hz = watts / (1 + watt_error)
        self.amps_per_hz = amps / (1 + amp_error)
        self.volts_per_hz = volts / (1 + volt_error)
        self.terminals = Terminals(load, 0)
        self.step_us = step_us if callable(load) else 0
        self.cf = _Output(self, "cf")
        self.cf1 = _Output(self, "cf1")
        self.dead = False
        self._sel = 0
        self._settled_us = 0
        self._tick: Handle | None = None
        self._settle: Handle | None = None

    def range(self, quantity: str = "watts") -> tuple[float, float, float]:
        """Lowest, highest, resolution (none: the frequency is analogue): W, or V, A."""
        return {"watts": (2.0, 2000.0, 0.001), "volts": (80.0, 264.0, 0.001), "amps": (0.02, 10.0, 0.0001)}[
            quantity
        ]

    def set_physical(self, value: float, quantity: str = "watts") -> None:
        self.terminals.set(value, quantity)
        self.touch()

    def reset(self) -> None:
        for handle in (self._tick, self._settle):
            self.port.cancel(handle)
        self._sel = 0
        self._settled_us = 0
        self.cf.off()
        self.cf1.off()
        self.terminals.power_on(self.port)
        self._ticked()

    def _ticked(self) -> None:
        self.touch()
        if self.step_us:
            self._tick = self.port.at(self.port.now_us + self.step_us, self._ticked)

    def touch(self) -> None:
        """Look at the load now."""
        p = self.terminals.touch()
        if self.dead:
            self.cf.run(0.0)
            self.cf1.run(0.0)
            return
        self.cf.run(abs(p.watts) / self.watts_per_hz)
        volts, amps = p.volts / self.volts_per_hz, abs(p.amps) / self.amps_per_hz
        if self.port.now_us < self._settled_us:
            self.cf1.run((volts + amps) / 2)
        else:
            self.cf1.run(volts if self._sel else amps)

    def floating(self, pin: str) -> None:
        if pin == "sel":
            self.pin_changed(pin, 0)  # pulled down in the part

    def pin_changed(self, pin: str, level: int) -> None:
        if pin != "sel":
            self.violate(f"{pin} is an output of the part")
            return
        if level == self._sel:
            return
        now = self.port.now_us
        if now < self._settled_us:
            self.violate("SEL changed while CF1 was settling: neither value is ever measured (DS)")
        self._sel = level
        self._settled_us = now + _SETTLE_US
        self.port.cancel(self._settle)
        self._settle = self.port.at(self._settled_us, self.touch)
        self.touch()
