"""Whether a container and its thresholds can be; a board asks once."""

from firmware.furniture.bin import RULES
from firmware.protocols.cbor import WireError
from firmware.protocols.compat import const

_OUT_DC = const(500)  # below it `fire.heat` takes a fire for over


def check(shape, rules=RULES):
    """WireError("config", which of the two) for a container or thresholds that cannot be."""
    what = "shape"
    try:
        high = shape[0] - shape[1]
        n = len(shape)
        # 20 m is the end of the field table; a lying cylinder's full mark may be below its crown.
        if (
            n in (2, 3, 6)
            and min(shape) > 0
            and max(shape) <= 20000
            and 0 < high <= shape[2 if n == 3 else 0]
        ):
            what = "rules"
            full, not_full, empty, not_empty, fire, rise = rules
            if 100 >= full > not_full > not_empty > empty >= 0 and 1250 >= fire > _OUT_DC and rise > 0:
                return
    except (TypeError, ValueError, IndexError):
        pass
    raise WireError("config", what)
