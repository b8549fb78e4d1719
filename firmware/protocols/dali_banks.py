"""Values in the memory banks of D4i gear: DiiA parts 251 (bank 1), 252 (202..204), 253 (205..207).

Used when asked for, then dropped. Numbers are integers in the units below, None for MASK (not there, not
programmed), TMASK (not now) and what the part does not allow; never the raw pattern.

    1    03 GTIN, 09 id, 11 format, 13 year, 14 week, 15 W nominal, 17 W at minimum, 19/1B lowest and highest
         V, 1D lm, 20 CRI, 21 K, 23 distribution, 24 colour, 3C identification (text)
    202  04 mWh, 0B mW (active; 203 apparent, 204 load side)
    205  04 s operated, 08 starts, 0B 0.1 V, 0D Hz, 0E power factor 0.01, 0F failure, 10 how often, then flag
         and count of 11 undervoltage, 13 overvoltage, 15 power limit, 17 derating, 19 shutdown; 1B degC, 1C %
    206  04 starts since reset, 07 starts, 0A s since reset, 0E s on, 12 0.1 V, 14 mA, then flag and count of
         16 failure, 18 short, 1A open, 1C derating, 1E shutdown; 20 degC
    207  04 useful life in 1000 h, 05 degC at 25 degC ambient, 06 useful starts in 100
"""

# Rows of offset, length, form. Forms: 0 number, 1 scale and number, 2 degC + 60, 3 flag, 4 number without
# TMASK, 5 text, 6 mains voltage, 7 colour temperature; from 50 on: number up to the form, 53 from 1 on.
_ENERGY = b"\x04\x07\x01\x0b\x05\x01"
_BANKS = {
    1: b"\x03\x06\x04\x09\x08\x04\x11\x02\x04\x13\x01\x63\x14\x01\x35\x15\x02\x04\x17\x02\x04\x19\x02\x06"
    b"\x1b\x02\x06\x1d\x03\x04\x20\x01\x64\x21\x02\x07\x23\x01\x04\x24\x18\x05\x3c\x3c\x05",
    202: _ENERGY,
    203: _ENERGY,
    204: _ENERGY,
    205: b"\x04\x04\x00\x08\x03\x00\x0b\x02\x00\x0d\x01\x00\x0e\x01\x64\x0f\x01\x03\x10\x01\x00\x11\x01\x03"
    b"\x12\x01\x00\x13\x01\x03\x14\x01\x00\x15\x01\x03\x16\x01\x00\x17\x01\x03\x18\x01\x00\x19\x01\x03"
    b"\x1a\x01\x00\x1b\x01\x02\x1c\x01\x64",
    206: b"\x04\x03\x00\x07\x03\x00\x0a\x04\x00\x0e\x04\x00\x12\x02\x00\x14\x02\x00\x16\x01\x03\x17\x01\x00"
    b"\x18\x01\x03\x19\x01\x00\x1a\x01\x03\x1b\x01\x00\x1c\x01\x03\x1d\x01\x00\x1e\x01\x03\x1f\x01\x00"
    b"\x20\x01\x02",
    207: b"\x04\x01\x00\x05\x01\x02\x06\x02\x00",
}


def last(bank):
    """The last location that `decode` looks at; 0 for a bank that it does not know."""
    rows = _BANKS.get(bank)
    return rows[-3] + rows[-2] - 1 if rows else 0


def _value(raw, form):
    if form == 5:
        raw = raw.split(b"\0")[0]
        return None if any(c > 127 for c in raw) else str(raw, "ascii")
    scale = 3
    if form == 1:
        scale += raw[0] - (raw[0] >> 7 << 8)
        raw = raw[1:]
    n = int.from_bytes(raw, "big")
    top = 1 << 8 * len(raw)
    if (
        n == top - 1
        or (n == top - 2 and form not in (4, 6))
        or (form == 3 and n > 1)
        or (form == 6 and not 90 <= n <= 480)
        or (form == 7 and n > 17000)
        or (form >= 50 and n > form)
        or (form == 53 and not n)
    ):
        return None
    if form == 1:
        if not -3 <= scale <= 9:
            return None
        return n * 10**scale if scale >= 0 else n // 10**-scale
    return n - 60 if form == 2 else n


def decode(bank, data):
    """{offset: value} of a bank's content from location 0 on; what lies beyond its end is absent."""
    rows = _BANKS[bank]
    found = {}
    for i in range(0, len(rows), 3):
        at, n = rows[i], rows[i + 1]
        if at + n <= len(data):
            found[at] = _value(bytes(data[at : at + n]), rows[i + 2])
    return found
