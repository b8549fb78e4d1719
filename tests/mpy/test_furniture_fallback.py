"""What a lamp goes by when its time is in doubt: the order, power-on of a switched feeder, nights without time."""

from firmware.furniture import fallback
from firmware.furniture.fallback import Fallback, power_on

NIGHT_S = 46800


def test_order_of_the_clues():
    it = Fallback()
    assert it.look(10, 1000, 1800) == fallback.TIME
    assert (it.time_s, it.error_s) == (1000, 1800)
    assert it.look(10, 1000, 1801) == fallback.NOTHING and it.time_s is None
    assert it.look(10, 1000, 1801, False) == fallback.PHOTOCELL and it.time_s is None
    assert it.look(10, None, 0, True) == fallback.PHOTOCELL and it.time_s is None
    assert it.look(10) == fallback.NOTHING and it.time_s is None
    it.on_s, it.on_error_s = 86400, 60
    assert it.look(10, None, 0, True) == fallback.PHOTOCELL
    assert it.look(10) == fallback.NIGHT and (it.time_s, it.error_s) == (86410, 60)
    assert it.look(10, 1000, 0) == fallback.TIME and it.time_s == 1000


def test_power_on_tells_the_evening():
    it = Fallback()
    dusk = 300 * 86400 + 61000
    # Lit last night for 13 hours; today the sun sets 110 s earlier.
    it.on_s, it.on_error_s = power_on(dusk, dusk + NIGHT_S - 900, 5, NIGHT_S, -110)
    assert it.look(0) == fallback.NIGHT
    assert it.time_s == dusk + 86400 - 110 and it.error_s == 65
    assert it.look(7200) == fallback.NIGHT
    assert it.time_s == dusk + 93600 - 110
    assert it.look(86400) == fallback.NOTHING, "no feeder that is off by day"


def test_nights_without_time_become_too_uncertain():
    """Each night counts from the one before; a minute is added each time."""
    it = Fallback()
    dusk, error, nights = 61000, 0, 0
    while True:
        it.on_s, it.on_error_s = power_on(dusk, dusk + NIGHT_S, error, NIGHT_S, 0)
        if it.look(0) != fallback.NIGHT:
            break
        dusk, error = it.time_s, it.error_s
        nights += 1
    assert nights == 30 and it.look(0) == fallback.NOTHING


def test_a_night_that_was_cut_short_tells_nothing():
    assert power_on(61000, 61000 + 20000, 0, NIGHT_S, 0) is None
    assert power_on(61000, 61000 + NIGHT_S - 3601, 0, NIGHT_S, 0) is None
    assert power_on(61000, 61000 + NIGHT_S - 3600, 0, NIGHT_S, 0)
