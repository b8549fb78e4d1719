"""LoRa time on air: Semtech AN1200.13, and for SF5 and 6 the SX126x data sheet (DS.SX1261-2.W.APP 6.1.4)."""

# Largest payload of an EU868 LoRaWAN uplink at SF7..12 and 125 kHz, FOpts empty, through a repeater.
_PAYLOAD = b"\xde\xde\x73\x33\x33\x33"


def time_on_air_us(length, sf, bw_hz=125000, cr=5, preamble=8, crc=True, explicit=True, ldro=None):
    """Microseconds on air, rounded up, of a frame of `length` bytes (0..255).

    `sf` 5..12; `cr` 5..8 is the denominator of the coding rate 4/cr; `preamble` in symbols; `crc` and
    `explicit` tell whether payload CRC and header are sent; `ldro` None switches low data rate
    optimisation on where a symbol lasts over 16 ms, as the radios do.
    """
    if ldro is None:
        ldro = (1000 << sf) > 16 * bw_hz
    # In quarters of a symbol; SF5 and SF6 have a longer synchronisation and no 8 header bits to spare.
    quarters = 17 if sf > 6 else 25
    bits = 8 * length - 4 * sf + (16 if crc else 0) + (20 if explicit else 0) + (8 if sf > 6 else 0)
    block = 4 * (sf - 2 if ldro else sf)
    symbols = preamble + 8
    if bits > 0:
        symbols += (bits + block - 1) // block * cr
    quarters += 4 * symbols
    return ((quarters << sf) * 250000 + bw_hz - 1) // bw_hz


def max_payload(sf):
    """Bytes that fit one frame of the slowest common carrier (EU868 LoRaWAN) at `sf`; 222 below SF7."""
    return _PAYLOAD[max(sf, 7) - 7]
