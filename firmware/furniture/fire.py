"""Fire in a bin, by the temperature in it and by its rise. Pure; 0.1 degC, seconds.

Works on the state of `bin.Watch`, whose alarms it keeps up between two bursts.
"""

from firmware.protocols.compat import const

# Bits of the field table's alarms; emptied lasts for one burst only.
_EMPTIED = const(2)
_FIRE = const(8)
_HOT = const(1024)
_ALARMS = const(65535)

_OUT_DC = const(500)  # below it a fire is over
_HOT_DC = const(600)
_APART_S = const(600)  # a rise over more than that is the sun's

# In the state of a `Watch`, whose words 8 to 10 are used here alone.
_TEMPERATURE = const(8)
_TEMPERATURE_S = const(9)
_HITS = const(10)
_STATE = const(11)


def heat(s, rules, t_s, temperature):
    """Alarms after a temperature at time `t_s`, more often than levels; a second one in a row makes a fire of it.

    s: words of a `Watch`, which are changed; rules: of `bin.RULES`.
    """
    dt = t_s - s[_TEMPERATURE_S]
    rise = temperature - s[_TEMPERATURE]
    s[_TEMPERATURE] = temperature
    s[_TEMPERATURE_S] = t_s
    state = s[_STATE] & ~(_HOT | _EMPTIED)
    if temperature >= rules[4] or (0 < dt <= _APART_S and rise * 60 >= rules[5] * dt):
        if s[_HITS]:
            state |= _FIRE
        s[_HITS] = 1
    else:
        s[_HITS] = 0
        if temperature < _OUT_DC and rise <= 0:
            state &= ~_FIRE
    if temperature >= _HOT_DC:
        state |= _HOT
    s[_STATE] = state
    return state & _ALARMS
