"""Hours in which the law forbids light, by category of installation: decree of 27 December 2018 (NOR
TREP1831126A, amended 29 May 2019), and for illuminated advertising that of October 2022.

The commune decides what is lit and when; the guard refuses a programme or override that is against the law.
Ordinary road lighting has no switch-off time there. Not covered: what a mayor or prefect may grant (eves of
holidays, Christmas, events); categories c and f, for which no hours are known here; light technique.
"""

from firmware.protocols.compat import const

# Bits 0..1: dark from so many hours after closing, 0 when closing is of no matter.
_SUNSET = const(4)  # not lit before sunset
_ONE = const(8)  # dark from 01:00, or after closing where that is known
_LATER = const(16)  # from the later of the two
_SEVEN = const(32)  # lit again at 07:00, or an hour before the activity if that is sooner
_SIX = const(64)  # lit again at 06:00
_RULES = bytes(
    (
        0,  # 0 road
        1 | _SEVEN,  # 1 a: outdoor lighting of an economic activity
        _SUNSET | _ONE,  # 2 b: heritage
        1 | _SUNSET | _ONE,  # 3 b: parks and gardens
        _SUNSET | _ONE,  # 4 d: facades
        1 | _SEVEN,  # 5 d: offices
        1 | _ONE | _LATER | _SEVEN,  # 6 d: shop windows
        2 | _SUNSET,  # 7 e: car parks of an activity
        1 | _SUNSET,  # 8 g: worksites
        _ONE | _SIX,  # 9 advertising
    )
)
_HOUR = const(3600)
_DAY = const(86400)
SLACK_S = const(60)  # a clock, a ramp and a rounded sunset may be off by this much


class Guard:
    """category: 0 (road, no limits) to 9, see the table above. IndexError for an unknown one."""

    def __init__(self, category):
        self._rule = _RULES[category]

    def night(self, midnight, sunset, closing=None, opening=None, shift=0):
        """The lighting day around the local `midnight`; all in wire seconds. sunset: of its evening; closing:
        end of the activity or occupation, None without one: where the law knows no hour, dark from sunset;
        opening: start of the next morning's activity; shift: seconds that summer time adds after midnight."""
        rule = self._rule
        self._first = sunset if rule & _SUNSET else midnight - _DAY
        off = midnight + _HOUR
        hours = rule & 3
        if hours and (closing is not None or not rule & _ONE):
            end = sunset if closing is None else closing + hours * _HOUR
            off = max(off, end) if rule & _LATER else end
        self._off = off
        on = _DAY
        if rule & _SEVEN:
            on = 7 * _HOUR
        elif rule & _SIX:
            on = 6 * _HOUR
        self._on = midnight + on - shift
        if opening is not None and rule & _SEVEN:
            self._on = min(self._on, opening - _HOUR)

    def dark(self, begin, end):
        """[(from, to), ...]: when light is forbidden in begin..end, wire seconds within this lighting day."""
        first = self._first
        night = (max(begin, self._off, first), min(end, self._on))
        return [s for s in ((begin, min(end, first)), night) if self._rule and s[0] < s[1]]


def lit(spans, *nights):
    """Seconds of `spans` in which one of the nights (`night.Night`, all of one day) lights."""
    total = 0
    for t, end in spans:
        while t < end:
            stop = end
            level = 0
            for night in nights:
                found = night.at(t)
                level = max(level, found[0])
                stop = min(stop, found[2])
            if level:
                total += stop - t
            t = stop
    return total
