"""The virtual air as target: the frames of a capture sent again by radios around one gateway, in virtual time.

The gateway hears every channel and spreading factor at once, as a concentrator does; the air decides by link
budget, collision and loss what it hears (hw/virtual/air.py). No board runs. What it heard can be written down.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from host_tools.capture import CaptureWriter
from host_tools.errors import UsageError
from host_tools.frames import Frame, Radio
from host_tools.targets.base import Ledger, Unfit, check_air

if TYPE_CHECKING:
    from host_tools.targets import Options
    from hw.virtual.air import Reception

_POWER_DBM = 14.0
# Between frames whose time is not known.
_GAP_US = 5_000_000
_KEPT = 2000
# Longer than any packet: by then its fate is known.
_OVER_US = 10_000_000
_LINK_MHDR = 0xE0


def _float(values: dict[str, str], name: str, default: float, high: float) -> float:
    try:
        found = float(values.get(name, default))
    except ValueError:
        found = -1.0
    if not 0 <= found <= high:
        raise UsageError(f"{name} of the air is a number of 0 to {high:g}")
    return found


class AirTarget:
    """air:[FILE][?metres=M&loss=P]. Devices stand at 0.1 to 1.0 times M metres, each at one place for a seed."""

    live = False

    def __init__(self, path: str, values: dict[str, str], options: Options) -> None:
        self._path = path
        self._seed = options.seed
        self._metres = _float(values, "metres", 300.0, 1e6)
        self._loss = _float(values, "loss", 0.0, 1.0)
        self.ledger = Ledger(timed=False)
        self._writer: CaptureWriter | None = None
        self._pending: dict[bytes, deque[int]] = {}
        self._lost: Counter[str] = Counter()
        self._started = False

    def open(self) -> None:
        from hw.virtual.air import Air
        from hw.virtual.chips.base import ManualClock, ManualPort

        self.air = Air(self._seed, loss=self._loss)
        self.clock = ManualClock()
        self.port = ManualPort(self._seed, self.clock)
        if self._path:
            self._writer = CaptureWriter(self._path)

    def send(self, number: int, frame: Frame) -> None:
        from hw.virtual.air import Radio as AirRadio

        check_air(frame)
        data, radio = frame.data, frame.radio
        # Downlinks are heard by devices, not by gateways.
        if data[1] & 0x80 if data[0] == _LINK_MHDR and len(data) > 1 else data[0] >> 5 in (1, 3, 5):
            raise Unfit("downlink")
        if not radio.freq_hz or not 5 <= radio.sf <= 12 or not radio.bw_hz:
            raise Unfit("no_radio_values")
        on_air = AirRadio(
            radio.freq_hz, radio.sf, radio.bw_hz, radio.sync_word, cr=max(radio.coding_rate - 4, 1)
        )
        if not self._started:
            self._started = True
            self.clock.now_us = max(frame.time_us - _OVER_US, 0)
        # A time of reception is that of the end.
        start_us = (frame.time_us or self.clock.now_us + _GAP_US) - on_air.airtime_us(len(data))
        self._tuned(on_air)
        sender = self._sender(data)
        self.clock.run_until(max(start_us, self.clock.now_us))
        self.ledger.sent(number)
        self._pending.setdefault(data, deque()).append(number)
        sender.transmit(self.clock.now_us, on_air, _POWER_DBM, data)
        self._account(self.clock.now_us - _OVER_US)

    def _tuned(self, radio: Any) -> None:
        """The gateway's demodulator for these settings, listening from before the first packet in them."""
        name = f"gateway {radio.freq_hz} {radio.sf} {radio.bw_hz} {radio.sync_word}"
        if name not in self.air.antennas:
            from dataclasses import replace

            antenna = self.air.join(name, self.port, _Ear(self, radio.freq_hz, radio.sync_word))
            antenna.listen(replace(radio, cr=1))

    def _sender(self, data: bytes) -> Any:
        whose = data[3:5] if data[0] == _LINK_MHDR else data[1:5]
        name = f"device {whose.hex()}"
        found = self.air.antennas.get(name)
        if found is None:
            place = random.Random(f"{self._seed} {name}").uniform(0.1, 1.0) * self._metres
            found = self.air.join(name, self.port, _Ear(None, 0, 0), (place, 0.0))
        return found

    def heard(self, reception: Reception, freq_hz: int, sync_word: int) -> None:
        numbers = self._pending.get(reception.payload)
        if not reception.crc_ok or not numbers:
            return
        self.ledger.acked(numbers.popleft())
        if not numbers:
            del self._pending[reception.payload]
        if self._writer is not None:
            sent = reception.radio
            radio = Radio(
                freq_hz,
                sent.sf,
                sent.bw_hz,
                round(reception.rssi_dbm * 4),
                round(reception.snr_db * 4),
                sync_word,
                sent.cr + 4,
                crc="ok",
            )
            self._writer.write(Frame(reception.payload, self.clock.now_us, radio))

    def _account(self, before_us: int, all_of_them: bool = False) -> None:
        """Count why packets were not heard, and forget them."""
        sent = self.air.transmissions
        if not all_of_them and len(sent) < _KEPT:
            return
        over = [t for t in sent if t.end_us < before_us]
        for t in over:
            if not t.heard:
                self._lost[next(iter(t.lost.values()), "nobody listened")] += 1
        self.air.transmissions = [t for t in sent if t.end_us >= before_us]

    def settle(self, seconds: float) -> None:
        self.clock.run_until(self.clock.now_us + 2 * _OVER_US)
        self._account(self.clock.now_us, all_of_them=True)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def told(self) -> dict[str, Any]:
        return {"not_heard": dict(sorted(self._lost.items()))}


class _Ear:
    """A demodulator of the gateway, or the deaf side of a device."""

    def __init__(self, target: AirTarget | None, freq_hz: int, sync_word: int) -> None:
        self._target, self._freq_hz, self._sync_word = target, freq_hz, sync_word

    def heard_preamble(self) -> None: ...

    def heard_header(self, length: int, cr: int, crc_on: bool) -> bool:
        return True

    def heard_header_error(self) -> None: ...

    def heard_packet(self, reception: Reception) -> None:
        if self._target is not None:
            self._target.heard(reception, self._freq_hz, self._sync_word)
