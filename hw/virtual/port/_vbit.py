# machine.bitstream: bits as pulses, the high part first; timing is (high, low) ns of a 0, then of a 1.
from array import array

import _vb as b


def bitstream(pin, encoding, timing, buf):
    if encoding:
        raise ValueError("encoding")
    ticks = [ns * 80 // 1000 for ns in timing]
    d = array("H")
    for v in b.buf(buf):
        for i in range(7, -1, -1):
            j = (v >> i & 1) * 2
            d.append(ticks[j])
            d.append(ticks[j + 1])
    b.charge(60)
    b.send(111, pin.n, 1 | 1 << 8, bytes(d))
    b.wrote()
    b.wait(b.now + sum(d) // 80, 0)
