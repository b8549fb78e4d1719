"""The virtual air between radio models: who hears what, how strong, and what collides.

Deterministic: all chance comes from the seed, the sender's name, the number of its transmission and the
receiver's name, never from the order in which boards are served. Times are integer microseconds.

Sources: sensitivity and noise from the SX1261/2 data sheet (SNR limits of table 6-1) and thermal noise of
-174 dBm/Hz with a noise figure; mean path loss measured in Oulu at 868 MHz (Petajajarvi et al., 2015); 6 dB
capture within one spreading factor and the rejection between them from Goursaud and Gorce (2015); a collision
in the first symbols of a preamble does no harm as long as five remain (Bor et al., 2016).

Not modelled: Doppler, multipath in time, drift of carrier and clock, neighbouring-channel leakage,
interference from other systems, saturation, different bandwidths rejecting each other better than different
spreading factors do. Chirps of inverted and of normal IQ ignore each other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from hw.virtual.chips.base import Handle, Port

#: Preamble symbols a receiver needs to lock: CAD detects on 2 to 4 (AN1200.48), one more is assumed.
DETECT_SYMBOLS = 5
#: Sync word of two symbols and the quarter of the start delimiter, sent as 4.25 (data sheet 6.1.4).
SYNC_QUARTERS = 17
HEADER_SYMBOLS = 8

#: Demodulation limits in dB, SF5 to SF12 (data sheet table 6-1).
SNR_LIMIT = {5: -2.5, 6: -5.0, 7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}

#: Signal over interference in dB that survives: row the wanted SF 7..12, column the other's.
REJECTION = (
    (6, -16, -18, -19, -19, -20),
    (-24, 6, -20, -22, -22, -22),
    (-27, -27, 6, -23, -25, -25),
    (-30, -30, -30, 6, -26, -28),
    (-33, -33, -33, -33, 6, -29),
    (-36, -36, -36, -36, -36, 6),
)
CAPTURE_DB = 6.0
#: Between bandwidths nothing was measured: the worst figure of the table.
OTHER_BANDWIDTH_DB = -16.0

#: Longest packet: 255 bytes at SF12 and 7.8 kHz, rounded up; how long a transmission can still interfere.
_MEMORY_US = 200_000_000


def airtime_us(
    length: int, sf: int, bw_hz: int, cr: int, preamble: int, crc_on: bool, explicit: bool, ldro: bool
) -> int:
    """Time on air, SX1261/2 data sheet 6.1.4, rounded to the nearest microsecond. `cr` 1..4 is 4/(4+cr)."""
    bits = 8 * length + (16 if crc_on else 0) - 4 * sf + (20 if explicit else 0)
    if sf in (5, 6):
        head = preamble + 6.25 + 8
        per = 4 * sf
    else:
        bits += 8
        head = preamble + 4.25 + 8
        per = 4 * (sf - 2) if ldro else 4 * sf
    symbols = head + math.ceil(max(bits, 0) / per) * (cr + 4)
    return round(symbols * symbol_us(sf, bw_hz))


def symbol_us(sf: int, bw_hz: int) -> float:
    return (1 << sf) * 1e6 / bw_hz


@dataclass(frozen=True)
class Radio:
    """What sender and receiver must agree on, and the rest of a packet's form."""

    freq_hz: int
    sf: int
    bw_hz: int
    sync_word: int
    iq_inverted: bool = False
    cr: int = 1
    preamble: int = 8
    crc_on: bool = True
    #: Length of the payload with an implicit header, None with an explicit one.
    implicit: int | None = None
    ldro: bool = False

    def airtime_us(self, length: int) -> int:
        explicit = self.implicit is None
        return airtime_us(
            length, self.sf, self.bw_hz, self.cr, self.preamble, self.crc_on, explicit, self.ldro
        )


@dataclass
class Transmission:
    """One packet on the air; `end_us` is earlier than planned when the sender broke it off."""

    sender: str
    number: int
    start_us: int
    end_us: int
    radio: Radio
    power_dbm: float
    payload: bytes
    cut: bool = False
    #: Receivers that got it whole, with RSSI and SNR: filled as they finish.
    heard: dict[str, tuple[float, float]] = field(default_factory=dict)
    #: Receivers that listened for it and did not, with the reason: loss, weak, busy, collision, cut ...
    lost: dict[str, str] = field(default_factory=dict)

    @property
    def symbol(self) -> float:
        return symbol_us(self.radio.sf, self.radio.bw_hz)

    @property
    def preamble_end_us(self) -> int:
        return self.start_us + round(self.radio.preamble * self.symbol)

    @property
    def sync_end_us(self) -> int:
        quarters = SYNC_QUARTERS if self.radio.sf > 6 else SYNC_QUARTERS + 8
        return self.preamble_end_us + round(quarters * self.symbol / 4)

    @property
    def header_end_us(self) -> int:
        return min(self.end_us, self.sync_end_us + round(HEADER_SYMBOLS * self.symbol))

    @property
    def critical_us(self) -> int:
        """From here on another packet can spoil this one."""
        return max(self.start_us, self.preamble_end_us - round(DETECT_SYMBOLS * self.symbol))


@dataclass(frozen=True)
class Reception:
    """A packet as a receiver has it; `rssi_dbm` is of signal and noise, `signal_dbm` of the signal alone."""

    payload: bytes
    crc_ok: bool
    rssi_dbm: float
    snr_db: float
    signal_dbm: float
    radio: Radio


class Listener(Protocol):
    """What a radio model offers the air; called at the virtual instant of the event."""

    def heard_preamble(self) -> None: ...

    def heard_header(self, length: int, cr: int, crc_on: bool) -> bool:
        """An explicit header; False refuses the packet (too long)."""

    def heard_header_error(self) -> None: ...

    def heard_packet(self, reception: Reception) -> None: ...


class Antenna:
    """One radio's place on the air. `listen` and `deaf` say what it is tuned to and since when."""

    def __init__(
        self,
        air: Air,
        name: str,
        port: Port,
        listener: Listener,
        position: tuple[float, float],
        gain_db: float,
    ) -> None:
        self.air = air
        self.name = name
        self.port = port
        self.listener = listener
        self.position = position
        self.gain_db = gain_db
        self.radio: Radio | None = None
        self.since_us = 0
        self.wanted: Transmission | None = None
        self._handles: list[Handle] = []
        self._sent = 0
        self.sending: Transmission | None = None

    def listen(self, radio: Radio) -> None:
        """Receive with these settings from now on."""
        self.deaf()
        self.radio = radio
        self.since_us = self.port.now_us
        for t in self.air.on_air(self.since_us):
            self._offer(t)

    def deaf(self) -> None:
        """Stop receiving; a packet under way is lost."""
        if self.wanted is not None:
            self.wanted.lost[self.name] = "stopped"
        self.radio = None
        self.wanted = None
        self._drop()

    def _drop(self) -> None:
        for handle in self._handles:
            self.port.cancel(handle)
        self._handles.clear()

    def transmit(self, start_us: int, radio: Radio, power_dbm: float, payload: bytes) -> Transmission:
        """Put a packet on the air from `start_us` (now); half duplex: the receiver is off meanwhile."""
        self.deaf()
        end_us = start_us + radio.airtime_us(len(payload))
        t = Transmission(self.name, self._sent, start_us, end_us, radio, power_dbm, payload)
        self._sent += 1
        self.sending = t
        self.air.put(self, t)
        return t

    def abort(self) -> None:
        """Break off what is being sent."""
        t = self.sending
        if t is not None and t.end_us > self.port.now_us:
            t.end_us = max(t.start_us, self.port.now_us)
            t.cut = True
        self.sending = None

    def activity(self, radio: Radio, start_us: int, end_us: int) -> bool:
        """Channel activity detection: a symbol's worth of a fitting packet within the interval."""
        need = symbol_us(radio.sf, radio.bw_hz)
        for t in self.air.on_air(start_us):
            overlap = min(t.end_us, end_us) - max(t.start_us, start_us)
            if overlap >= need and t.sender != self.name and self._fits(t, radio) and self._audible(t):
                return True
        return False

    def rssi_dbm(self, radio: Radio) -> float:
        """Power in the channel now, noise included."""
        now = self.port.now_us
        level = dbm_to_mw(self.air.noise_dbm(radio.bw_hz))
        for t in self.air.on_air(now):
            if t.start_us <= now and t.sender != self.name and in_channel(t.radio, radio):
                level += dbm_to_mw(self.air.signal_dbm(t, self))
        return mw_to_dbm(level)

    def _audible(self, t: Transmission) -> bool:
        return self.air.refusal(t, self) is None

    def _fits(self, t: Transmission, radio: Radio) -> bool:
        """Chirps alike: the receiver's correlator sees them."""
        return (
            t.radio.sf == radio.sf
            and t.radio.bw_hz == radio.bw_hz
            and t.radio.iq_inverted == radio.iq_inverted
            # A receiver is taken to follow a carrier that is off by up to a quarter of the bandwidth.
            and abs(t.radio.freq_hz - radio.freq_hz) * 4 <= radio.bw_hz
        )

    def _offer(self, t: Transmission) -> None:
        """A packet that may still be locked on to: decide at the instant it would be."""
        if self.radio is None or t.sender == self.name or not self._fits(t, self.radio):
            return
        lock_us = max(t.start_us, self.since_us) + round(DETECT_SYMBOLS * t.symbol)
        if lock_us > t.preamble_end_us:
            t.lost[self.name] = "late"
            return
        self._at(lock_us, partial(self._lock, t))

    def _at(self, t_us: int, fn: Callable[[], None]) -> None:
        self._handles = [h for h in self._handles if h.alive]
        self._handles.append(self.port.at(t_us, fn))

    def _lock(self, t: Transmission) -> None:
        refused = self.air.refusal(t, self)
        if refused is None and t.cut and t.end_us <= self.port.now_us:
            refused = "cut"
        if refused is not None:
            t.lost[self.name] = refused
            return
        held = self.wanted
        if held is not None:
            stronger = self.air.signal_dbm(t, self) - self.air.signal_dbm(held, self)
            if self.port.now_us > held.sync_end_us or stronger < CAPTURE_DB:
                t.lost[self.name] = "busy"
                return
            held.lost[self.name] = "captured"
        self.wanted = t
        self.listener.heard_preamble()
        if self.wanted is t:
            self._at(t.sync_end_us, partial(self._sync, t))

    def _sync(self, t: Transmission) -> None:
        if self.wanted is not t or self.radio is None:
            return
        if t.radio.sync_word != self.radio.sync_word:
            self._release(t, "sync word")
            return
        if self.radio.implicit is None:
            self._at(max(t.header_end_us, self.port.now_us), partial(self._header, t))
        else:
            self._at(max(t.end_us, self.port.now_us), partial(self._end, t, t.critical_us))

    def _header(self, t: Transmission) -> None:
        if self.wanted is not t:
            return
        damaged = t.radio.implicit is not None or self._spoiled(t, t.critical_us, t.header_end_us)
        if damaged or (t.cut and t.end_us <= self.port.now_us):
            self._release(t, "header")
            self.listener.heard_header_error()
            return
        if not self.listener.heard_header(len(t.payload), t.radio.cr, t.radio.crc_on):
            if self.wanted is t:
                self._release(t, "too long")
            return
        if self.wanted is t:
            self._at(max(t.end_us, self.port.now_us), partial(self._end, t, t.header_end_us))

    def _end(self, t: Transmission, from_us: int) -> None:
        if self.wanted is not t or self.radio is None:
            return
        mine = self.radio
        self.wanted = None
        damaged = t.cut or self._spoiled(t, from_us, t.end_us)
        crc_on = t.radio.crc_on
        if mine.implicit is not None:
            crc_on = mine.crc_on
            same = (len(t.payload), t.radio.cr, t.radio.crc_on) == (mine.implicit, mine.cr, mine.crc_on)
            damaged = damaged or t.radio.implicit is None or not same
        signal = self.air.signal_dbm(t, self)
        noise = self.air.noise_dbm(t.radio.bw_hz)
        snr = signal - noise
        payload = t.payload
        if damaged:
            t.lost[self.name] = "cut" if t.cut else "collision"
            payload = self.air.garble(t, self, mine.implicit)
        else:
            t.lost.pop(self.name, None)
            t.heard[self.name] = (signal, snr)
        rssi = mw_to_dbm(dbm_to_mw(signal) + dbm_to_mw(noise))
        self.listener.heard_packet(
            Reception(payload, not (damaged and crc_on), rssi, min(snr, SNR_CEILING), signal, t.radio)
        )

    def _release(self, t: Transmission, reason: str) -> None:
        t.lost[self.name] = reason
        self.wanted = None
        self.since_us = self.port.now_us

    def _spoiled(self, t: Transmission, from_us: int, to_us: int) -> bool:
        """Whether others' power in the interval exceeds what the spreading factors keep apart."""
        levels: dict[tuple[int, int], float] = {}
        for o in self.air.on_air(from_us):
            if o is t or o.sender == self.name or o.start_us >= to_us or o.end_us <= from_us:
                continue
            if not in_channel(o.radio, t.radio) or o.radio.iq_inverted != t.radio.iq_inverted:
                continue
            key = (o.radio.sf, o.radio.bw_hz)
            levels[key] = levels.get(key, 0.0) + dbm_to_mw(self.air.signal_dbm(o, self))
        signal = self.air.signal_dbm(t, self)
        return any(signal - mw_to_dbm(mw) < threshold_db(t.radio, sf, bw) for (sf, bw), mw in levels.items())


#: The receiver's SNR estimate ends there: it is measured against its own quantisation (seen up to 10..13 dB).
SNR_CEILING = 13.0


class Air:
    """All antennas and everything sent.

    seed: any int. links: path loss in dB per pair of names, either order, before positions. loss: chance that
    a receiver misses a packet for no other reason, or a mapping per (sender, receiver). shadow_db: standard
    deviation of a loss drawn per packet and receiver. `delivery = False`: nothing ever reaches a receiver.
    """

    def __init__(
        self,
        seed: int,
        *,
        links: Mapping[tuple[str, str], float] | None = None,
        loss: float | Mapping[tuple[str, str], float] = 0.0,
        shadow_db: float = 0.0,
        noise_figure_db: float = 6.0,
        loss_at_1km_db: float = 128.95,
        exponent: float = 2.32,
        delivery: bool = True,
    ) -> None:
        self.seed = seed
        self.links = dict(links or {})
        self.loss = loss
        self.shadow_db = shadow_db
        self.noise_figure_db = noise_figure_db
        self.loss_at_1km_db = loss_at_1km_db
        self.exponent = exponent
        self.delivery = delivery
        self.antennas: dict[str, Antenna] = {}
        #: Everything ever sent, in the order it began: what an audit reads.
        self.transmissions: list[Transmission] = []
        self.on_transmit: Callable[[Transmission], None] | None = None
        self._recent: list[Transmission] = []
        self._drawn: dict[tuple[str, int, str], tuple[float, float]] = {}

    def join(
        self,
        name: str,
        port: Port,
        listener: Listener,
        position: tuple[float, float] = (0.0, 0.0),
        gain_db: float = 2.0,
    ) -> Antenna:
        """A radio's antenna; position in metres, gain in dBi. ValueError for a name that is taken."""
        if name in self.antennas:
            raise ValueError(f"two radios are called {name} on the air")
        antenna = Antenna(self, name, port, listener, position, gain_db)
        self.antennas[name] = antenna
        return antenna

    def transmit(
        self,
        chip: str,
        t_start_us: int,
        freq_hz: int,
        sf: int,
        bw_hz: int,
        cr: int,
        preamble: int,
        sync_word: int,
        iq_inverted: bool,
        crc_on: bool,
        power_dbm: float,
        payload: bytes,
        **more: Any,
    ) -> Transmission:
        """The same for callers that have a name and not an antenna; `more`: implicit, ldro."""
        radio = Radio(freq_hz, sf, bw_hz, sync_word, iq_inverted, cr, preamble, crc_on, **more)
        return self.antennas[chip].transmit(t_start_us, radio, power_dbm, payload)

    def put(self, sender: Antenna, t: Transmission) -> None:
        self.transmissions.append(t)
        self._recent = [o for o in self._recent if o.end_us + _MEMORY_US > t.start_us]
        self._recent.append(t)
        if self.on_transmit is not None:
            self.on_transmit(t)
        for antenna in self.antennas.values():
            if antenna is not sender:
                antenna._offer(t)

    def on_air(self, since_us: int) -> list[Transmission]:
        """Transmissions that had not ended at `since_us`."""
        return [t for t in self._recent if t.end_us > since_us]

    def path_loss_db(self, a: Antenna, b: Antenna) -> float:
        """From the link table, else by distance (not below 1 m)."""
        explicit = self.links.get((a.name, b.name), self.links.get((b.name, a.name)))
        if explicit is not None:
            return explicit
        metres = max(1.0, math.dist(a.position, b.position))
        return self.loss_at_1km_db + 10 * self.exponent * math.log10(metres / 1000)

    def noise_dbm(self, bw_hz: int) -> float:
        return -174 + 10 * math.log10(bw_hz) + self.noise_figure_db

    def signal_dbm(self, t: Transmission, receiver: Antenna) -> float:
        """Power of a packet at a receiver."""
        sender = self.antennas[t.sender]
        level = t.power_dbm + sender.gain_db + receiver.gain_db - self.path_loss_db(sender, receiver)
        if self.shadow_db:
            level += self.shadow_db * self._chance(t, receiver)[0]
        return level

    def refusal(self, t: Transmission, receiver: Antenna) -> str | None:
        """Why a receiver does not notice a packet at all, or None."""
        if not self.delivery:
            return "delivery off"
        if self.signal_dbm(t, receiver) - self.noise_dbm(t.radio.bw_hz) < SNR_LIMIT[t.radio.sf]:
            return "weak"
        loss = (
            self.loss if isinstance(self.loss, float | int) else self.loss.get((t.sender, receiver.name), 0.0)
        )
        if loss and self._chance(t, receiver)[1] < loss:
            return "loss"
        return None

    def garble(self, t: Transmission, receiver: Antenna, length: int | None) -> bytes:
        """The payload of a damaged packet: of the expected length, wrong in some bytes."""
        dice = random.Random(f"{self.seed}/{t.sender}/{t.number}/{receiver.name}/garble")
        size = len(t.payload) if length is None else length
        wrong = bytearray(t.payload[:size].ljust(size, b"\0"))
        for i in range(size):
            if dice.random() < 0.3:
                wrong[i] ^= dice.randrange(1, 256)
        if size and bytes(wrong) == t.payload[:size]:
            wrong[dice.randrange(size)] ^= 0x55
        return bytes(wrong)

    def _chance(self, t: Transmission, receiver: Antenna) -> tuple[float, float]:
        """(normal deviate, uniform) of one packet at one receiver."""
        key = (t.sender, t.number, receiver.name)
        if key not in self._drawn:
            if len(self._drawn) > 10000:
                self._drawn.clear()
            dice = random.Random(f"{self.seed}/{t.sender}/{t.number}/{receiver.name}")
            self._drawn[key] = (dice.gauss(0.0, 1.0), dice.random())
        return self._drawn[key]


def dbm_to_mw(dbm: float) -> float:
    return float(10 ** (dbm / 10))


def mw_to_dbm(mw: float) -> float:
    return 10 * math.log10(mw)


def in_channel(other: Radio, mine: Radio) -> bool:
    """Whether the two occupy common spectrum."""
    return 2 * abs(other.freq_hz - mine.freq_hz) < other.bw_hz + mine.bw_hz


def threshold_db(wanted: Radio, sf: int, bw_hz: int) -> float:
    """Signal over interference that `wanted` needs against packets of that spreading factor and bandwidth."""
    if bw_hz != wanted.bw_hz:
        return OTHER_BANDWIDTH_DB
    if sf == wanted.sf:
        return CAPTURE_DB
    if wanted.sf < 7 or sf < 7:
        return OTHER_BANDWIDTH_DB
    return REJECTION[wanted.sf - 7][sf - 7]
