"""How numbers are taken up at a boot. Forgotten afterwards."""

import struct

from firmware.counters import Counters
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

_RECOVERED = const(1)
_LAYOUT = ">5I4I"


class Start(Counters):
    """Of the family of Counters for its private names; nobody makes one."""

    def begin(self: "Counters", epoch, ring, h0, fresh):
        """`Counters.start`."""
        self.ready = False
        blob = self._copies.read()
        size = struct.calcsize(_LAYOUT)
        # Without the time it is of an older bundle.
        if blob is not None and len(blob) in (size, size + 4):
            f = struct.unpack(_LAYOUT, blob[:size])
            self.time_s = int.from_bytes(blob[size:], "big")
            self.epoch, self._mark, self.boots, self.generation = f[:4]
            self.recovered = f[4] & _RECOVERED > 0
            self._cseq = list(f[5:])
        elif not fresh:
            return False
        if self.epoch > epoch:
            return False
        if self.epoch < epoch:
            self._reset(epoch)
        if not self._mark:
            try:
                ring.begin(h0)
            except WireError:
                return False
            self._mark = 1
        elif ring.last is None or ring.last[0] >= self._mark or (not ring.last[2]) != (not h0):
            return False
        self.boots += 1
        self._next = self._mark
        self.ready = self._reserve()
        return self.ready
