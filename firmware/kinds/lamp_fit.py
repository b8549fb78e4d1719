"""What a lamp adds when the start is over and what only that needs has gone: it looks at its settings and loads
what they ask for. Loaded for that, then dropped."""

import gc

from firmware.kinds.programme import Programme
from firmware.protocols.compat import const

# Of hello: settings that this board cannot follow.
_CONFIG = const(1 << 4)
_CATEGORIES = const(10)  # of the decree
_DAY_MIN = const(1440)
_LOADING = const(3000)
# Number, least and most of settings that have bounds. Beyond them a level is full light, anything else the usual.
_BOUNDS = (
    ("default_level", 1, 0, 100),
    ("floor", 5, 0, 100),
    ("shed_floor", 6, 0, 100),
    ("full_output", 7, 1, 100),
    ("least_output", 8, 0, 100),
    ("power_gradient", 10, 1, 100000),
    ("warm_up_s", 11, 0, 86400),
    ("switched", 15, 0, 1),
)


def fit(kind, lamp, blob, e, plan, copies, clock, cell, contacts, night, watched):
    """(Programme, Eye, LampWatch, Feeder, Inputs, Law) of a lamp with the settings `e`, None for what it has not;
    blob: what the plan's `copies` hold. What cannot be is named on the console and in hello."""

    def refuse(*why):
        print("config:", *why)
        kind.alarms = _CONFIG

    for name, key, least, most in _BOUNDS:
        if key in e and not least <= e[key] <= most:
            refuse(name, e[key])

    def loading(n):
        # As while the board starts: what that leaves behind must not lie between what stays.
        if hasattr(gc, "threshold"):
            gc.threshold(n)

    loading(_LOADING)
    programme = Programme(plan, copies, clock, blob)
    eye = watch = feeder = inputs = law = None
    if night:
        from firmware.kinds.feeder import Feeder

        feeder = Feeder(night, clock, programme, plan)
    if e.get(9) or watched:
        from firmware.furniture.lamp_watch import LampWatch, gradient_table

        table = gradient_table(e[9], e.get(10) or 1000) if e.get(9) else None
        watch = LampWatch(table, warm_ms=e.get(11, 60) * 1000)
    if cell:
        from firmware.kinds.eye import Eye

        low = e.get(2, 35)
        high = e.get(3, max(70, low))
        if low > high:
            refuse("dark_lux", low, high)
            low, high = 35, 70
        eye = Eye(cell, low, high)
    if e.get(16) or e.get(17):
        from firmware.kinds.lamp_inputs import Inputs

        inputs = Inputs(contacts, e, lamp, clock, refuse)
    rule = (e.get(12, 0), e.get(13, 0), e.get(14, 0))
    if rule[0] >= _CATEGORIES or max(rule[1:]) > _DAY_MIN:
        refuse("category", *rule)
    elif rule[0]:
        from firmware.kinds.lamp_law import Law

        law = Law(rule, programme, clock, lamp, plan)
    loading(-1)
    gc.collect()
    return programme, eye, watch, feeder, inputs, law
