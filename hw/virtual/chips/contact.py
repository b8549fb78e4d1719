"""A contact on an input: door, tilt switch, auxiliary contact of a breaker, contactor or earth-leakage relay.

Leg `contact`: 0 closed (to ground), 1 open (pull-up); inverted with `closed_level` 1. The world calls `close`
and `open`; each bounces. A lost edge is the MCU's fault and is put in there (the shim's `lose_edges`).

Not modelled: contact resistance, oxide (a dry contact that no longer closes: `stuck`), the wire's capacitance.
"""

from __future__ import annotations

from hw.virtual.chips.base import PinChip


class Contact(PinChip):
    """bounces: extra changes at each movement, of 0.05 to bounce_ms milliseconds each. closed: at power-on.

    stuck: True closed (welded), False open, whatever the mechanics do; None works.
    """

    def __init__(
        self, closed: bool = False, *, closed_level: int = 0, bounces: int = 3, bounce_ms: float = 2.0
    ) -> None:
        super().__init__()
        self.closed = closed
        self.closed_level = closed_level
        self.bounces = bounces
        self.bounce_ms = bounce_ms
        self.moves = 0
        self._stuck: bool | None = None

    def reset(self) -> None:
        self._show(self._seen)

    @property
    def _seen(self) -> bool:
        return self.closed if self._stuck is None else self._stuck

    @property
    def stuck(self) -> bool | None:
        return self._stuck

    @stuck.setter
    def stuck(self, value: bool | None) -> None:
        before = self._seen
        self._stuck = value
        if self._seen != before:
            self._bounce()

    def close(self) -> None:
        self._move(True)

    def open(self) -> None:
        self._move(False)

    def _move(self, closed: bool) -> None:
        if closed == self.closed:
            return
        self.closed = closed
        self.moves += 1
        if self._stuck is None:
            self._bounce()

    def _show(self, closed: bool) -> None:
        self.port.set_pin("contact", self.closed_level if closed else 1 - self.closed_level)

    def _bounce(self) -> None:
        t = self.port.now_us
        new = self._seen
        self._show(new)
        for i in range(self.bounces * 2):
            t += round(self.port.random.uniform(0.05, self.bounce_ms) * 1000)
            state = new if i & 1 else not new
            self.port.at(t, lambda s=state: self._late(s, new))  # type: ignore[misc]

    def _late(self, state: bool, new: bool) -> None:
        """A bounce of a movement that still is the last one."""
        if self._seen == new:
            self._show(state)
