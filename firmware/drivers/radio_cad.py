"""Channel activity detection with the SX1262, for whoever listens before talking.

DS as in sx126x.py; thresholds from Semtech AN1200.48 (125 kHz; taken for the other bandwidths too).
"""

from firmware.drivers.errors import ConfigError, NotReady
from firmware.protocols.compat import const

_CAD_DONE = const(0x080)
_CAD_DETECTED = const(0x100)
# Peak threshold for SF7..SF12; 2 symbols up to SF8, 4 above.
_PEAK = b"\x16\x16\x17\x18\x19\x1c"


def start(radio):
    """Listen for LoRa symbols of the radio's configuration (SF7..SF12); how many ms that takes.

    Raises NotReady while it sends or receives, ConfigError("sf"), BusError.
    """
    sf = radio._c["sf"]
    if sf < 7:
        raise ConfigError("sf")
    if radio._tx is not False or radio._rx is not False:
        raise NotReady("sx1262", "cad")
    radio._stand()
    symbols = 1 if sf < 9 else 2
    radio._packet(0xFF, bool(radio._c["invert_iq_rx"]))
    radio._set(">BBBBBBH", 0x88, symbols, _PEAK[sf - 7], 10, 0, 0, 0)
    radio._xfer(b"\xc5")
    return (1000 << sf) * ((1 << symbols) + 1) // radio._bw + 1


def poll(radio):
    """None while listening, then whether there was activity. Raises BusError."""
    flags = radio._irq()
    if not flags & _CAD_DONE:
        return None
    radio._clear(flags)
    return bool(flags & _CAD_DETECTED)
