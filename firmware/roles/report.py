"""Readings: from a kind's values to a payload in the uplink, with the time as well as it is known."""

from firmware.protocols.cbor import WireError
from firmware.protocols.codec import blank, encode_into
from firmware.protocols.compat import const
from firmware.protocols.schema import message

_TIME = const(0)
_TIME_UNCONFIRMED = const(1)
_PAYLOAD = const(238)
_TIME_END = const(1 << 30)  # of the field table


class Report:
    """One message type's buffer and values, made once. Closed until `open`: hello is the first frame."""

    def __init__(self, cfg, uplink, clock, wake):
        self._message = message(cfg.kind)
        self.values = blank(self._message)
        self._buf = bytearray(_PAYLOAD)
        self._view = memoryview(self._buf)
        self._clear = cfg.profile != "encrypt0"
        self._uplink = uplink
        self._clock = clock
        self._wake = wake
        self._is_open = False
        self._held = False
        self.lost = 0  # readings that could not be stored
        # A kind's own: the keys that a reading too long for its carrier goes without, the first of these first.
        self.spare = b""

    def open(self):
        """After hello. A reading of before goes out now: the next one may be a day away."""
        self._is_open = True
        self._wake.set()
        if self._held:
            self._held = False
            self.send()

    def send(self, alarm=False):
        """Seal and queue the present `values`; false when nothing could be kept.

        Field errors are the kind's own (a value out of the field table's range) and are raised, as is too_long
        when nothing of `spare` is left.
        """
        if not self._is_open:
            self._held = True
            return False
        values = self.values
        at = self._clock.wire()
        quality = self._clock.quality
        if at is not None and not 0 <= at < _TIME_END:
            # A wrong date is obeyed (TRUST 4) and must not cost the reading.
            quality = 0
        values[_TIME] = at if quality > 1 else None
        values[_TIME_UNCONFIRMED] = at if quality == 1 else None
        end = 0
        while not end:
            try:
                room = self._uplink.payload_room()
                end = encode_into(self._buf, 0, self._message, values, self._clear, room)
            except WireError as e:
                if e.args[0] != "too_long" or not shorten(values, self.spare):
                    raise
        try:
            self._uplink.put(bytes(self._view[:end]), 0, alarm)
        except WireError as e:
            self.lost += 1
            print("report:", e.args[0])
            return False
        self._wake.set()
        return True


def shorten(values, spare):
    """Leave one thing out of `values`: of the first key of `spare` that has a value the value, of a vector its
    last element. False when none has one."""
    for key in spare:
        value = values[key]
        if value is not None:
            values[key] = value[:-1] or None if isinstance(value, list) else None
            return True
    return False
