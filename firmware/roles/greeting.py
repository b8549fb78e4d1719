"""When a board says hello after a start, until it hears an answer. Loaded for that, then forgotten."""

from firmware.protocols.compat import const

END_MS = const(600000)
_SPREAD_MS = const(300000)
# So that what was begun is through by then, and what waited for the silence after another frame as well.
_LAST_MS = const(590000)
_AGAIN = const(5)


def moments(quiet_ms, part):
    """The moments of hello, ms since the start: the first in the five minutes of TRUST 4 behind the silence of
    `quiet_ms`, then one in each of equal parts of what is left of ten. part(ms): a random part of a time."""
    first = quiet_ms + part(max(0, _SPREAD_MS - quiet_ms))
    step = (_LAST_MS - first) // _AGAIN
    return [first] + [first + i * step + part(step) for i in range(_AGAIN)]
