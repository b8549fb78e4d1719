"""A received frame, as every part of the host tools passes it on, and the record of a source that it came in."""

from __future__ import annotations

from dataclasses import dataclass

# LoRaWAN's public sync word, which the link uses too, so that one radio hears both.
SYNC_PUBLIC = 0x34


@dataclass(frozen=True, slots=True)
class Radio:
    """How a frame was received. RSSI and SNR in quarters of a dB, so that no value needs a float.

    coding_rate: 5 to 8 for 4/5 to 4/8, 0 unknown. counter_us: the receiver's own 32-bit microseconds, None
    unknown. channel, chain: of a concentrator, None unknown. crc: "ok", "bad", "none" or "" unknown.
    """

    freq_hz: int = 0
    sf: int = 0
    bw_hz: int = 125000
    rssi_qdbm: int = -139 * 4
    snr_qdb: int = 0
    sync_word: int = SYNC_PUBLIC
    coding_rate: int = 0
    counter_us: int | None = None
    channel: int | None = None
    chain: int | None = None
    crc: str = ""


UNKNOWN = Radio()


@dataclass(frozen=True, slots=True)
class Network:
    """What a LoRaWAN network server says of an uplink whose header it took off; nobody else can check it.

    dev_eui: 8 bytes, b"" unknown. dev_addr, fcnt: None unknown. The frame's `data` is then FRMPayload in clear.
    """

    dev_eui: bytes = b""
    dev_addr: int | None = None
    fcnt: int | None = None
    fport: int = 0
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A received frame, verbatim. time_us: microseconds of Unix UTC.

    reason: "" or, where the record of a capture holds no whole frame, why; `data` is then the record.
    gateway: EUI of 8 bytes, b"" unknown. network: None where `data` is what was on the air.
    """

    data: bytes
    time_us: int
    radio: Radio = UNKNOWN
    reason: str = ""
    gateway: bytes = b""
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One piece of a source, verbatim, and what it holds.

    The `raw` of all records of a file, one after the other, are the file. frames: none for a file's head, a
    blank line, a message that carries no frame. others: names of what the piece says and no frame can hold.
    reason: why a piece that should hold a frame does not; it is a name of firmware/protocols/reasons.py.
    """

    raw: bytes
    frames: tuple[Frame, ...] = ()
    others: tuple[str, ...] = ()
    reason: str = ""
