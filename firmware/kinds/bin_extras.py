"""Tilt, thermometer and lid of a bin; loaded where one of them is fitted, looked at once a minute.

Settings: 17 to 19 what the tilt sensor says of x, y and z upright, mg and 2048 (0, 0, 1000: flat, face up), 20
the contact that closes when the lid opens, 100 more where it opens then (0: none), 21 minutes that a lid may be
open (10).
"""

from firmware.drivers.errors import DriverError, NotReady
from firmware.protocols.compat import const

_TILTED = const(16)
_LID_OPEN = const(32)
_FAILURE = const(128)
_TILT_DEG = const(30)
_UPRIGHT_DEG = const(20)
_BOUNCE_MS = const(40)
_FAILED = const(6)  # looks in a row


class Extras:
    """found: tilt, thermometer, -, -, list of contacts, or None each; refuse(name) is told what cannot be.

    After `look`: `tilt` degrees and `ddegc` 0.1 degC, None where not known, `lid` whether it is open, and `mask`:
    tilted in two looks (a bin that is emptied is tilted for seconds), lid open for too long, a part that fails.
    """

    def __init__(self, e, found, refuse):
        self._chip, self._ds = found[:2]
        self._up = [e.get(k, 3048 if k == 19 else 2048) - 2048 for k in (17, 18, 19)]
        x, y, z = self._up
        if not 722500 <= x * x + y * y + z * z <= 1322500:
            refuse("upright")
            self._up = (0, 0, 1000)
        self._lid, self._opens = contact(found[4], e.get(20, 0), refuse)
        self._open_ms = e.get(21, 10) * 60000
        self._rom = self._since = self.tilt = self.ddegc = None
        self.lid = False
        self._n = self._bad = 0
        self.mask = 0

    async def look(self, nap, now):
        """One look at monotonic `now`, ms; nap(ms) is awaited."""
        failed = False
        if self._lid:
            self._lid.update()
            await nap(_BOUNCE_MS)
            self.lid = self._lid.update() == self._opens
            if not self.lid:
                self._since = None
                self.mask &= ~_LID_OPEN
            elif self._since is None:
                self._since = now
            elif now - self._since >= self._open_ms:
                self.mask |= _LID_OPEN
        if self._chip:
            try:
                await nap(self._chip.start())
                self.tilt = self._chip.tilt(self._up)
                self._judge()
            except NotReady:
                pass  # shaken: it stands as it stood
            except DriverError:
                self.tilt = None
                failed = True
        if self._ds:
            self.ddegc = None
            try:
                if not self._rom:
                    self._rom = (self._ds.scan() or (None,))[0]
                await nap(self._ds.start())
                t = self._ds.read(self._rom)
                # The field table begins there; so does no bin.
                if t >= -400:
                    self.ddegc = t
            except DriverError:
                failed = True
        self._bad = min(self._bad + 1, _FAILED) if failed else 0
        self.mask = self.mask & ~_FAILURE | (_FAILURE if self._bad == _FAILED else 0)

    def _judge(self):
        was = self.mask & _TILTED
        if (self.tilt >= (_UPRIGHT_DEG if was else _TILT_DEG)) == bool(was):
            self._n = 0
        else:
            self._n += 1
            if self._n == 2:
                self._n = 0
                self.mask ^= _TILTED


def contact(contacts, n, refuse):
    """(contact, its state that says yes) of number `n`, 100 more for one that opens; (None, False) without."""
    at = n % 100
    found = contacts[at - 1] if contacts and 0 < at <= len(contacts) else None
    if n and not found:
        refuse("contact", n)
    return found, n < 100
