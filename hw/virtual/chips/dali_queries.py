"""What a DALI gear answers: queries of IEC 62386-102:2014, those of -207:2009 after ENABLE DEVICE TYPE 6, and the
version of each DiiA part it declares (50, 51, 52) after that.

207's constants are those of a driver with a built-in mains supply for an LED string of its own: current control by
amplitude, short and open circuit seen, no current protector, no load or thermal detection. Assumed: version 1.1 of
the DiiA parts, in the two fields of 102's version (major << 2 | minor).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hw.virtual.chips.dali_gear import DaliGear

MASK = 255
YES = 255
LED = 6
#: Light source of 102, table 17, and device types of the D4i parts.
_LIGHT_SOURCE_LED = 6
_D4I = (50, 51, 52)
_VERSION_102, _VERSION_207, _VERSION_DIIA = 8, 1, 5
MIN_FAST_FADE = 1
# Gear type: supply integrated, AC possible. Modes: amplitude, controlled current. Features: short, open circuit.
_GEAR_TYPE, _MODES, _FEATURES = 0x05, 0x06, 0x03
_NOT_LOGARITHMIC = 0x10


def _yes(condition: bool) -> int | None:
    return YES if condition else None


def _groups(gear: DaliGear, first: int) -> int:
    return sum(1 << g - first for g in gear.groups if first <= g < first + 8)


def status(gear: DaliGear) -> int:
    """Bits of QUERY STATUS."""
    bits = (
        *(gear.failed, gear.lamp != "ok", bool(gear.level) and gear.lamp == "ok", gear.limit_error),
        *(gear.fading, gear.reset_state, gear.short is None, gear.power_cycle_seen),
    )
    return sum(bit << i for i, bit in enumerate(bits))


def _device_type(gear: DaliGear) -> int:
    if len(gear.types) != 1:
        gear.next_types = [*sorted(gear.types), 254] if gear.types else []
        return MASK if gear.types else 254
    return gear.types[0]


def answer(gear: DaliGear, op: int) -> int | None:
    """The answer to a query 90..C4 of 102; None is silence, which is NO."""
    if op == 0x99:
        return _device_type(gear)
    if op == 0xA7:
        return gear.next_types.pop(0) if gear.next_types else None
    if 0xB0 <= op < 0xC0:
        return gear.scenes[op & 15]
    bits = status(gear)
    return {
        0x90: bits,
        0x91: YES,
        0x92: _yes(gear.lamp != "ok"),
        0x93: _yes(bool(bits & 4)),
        0x94: _yes(gear.limit_error),
        0x95: _yes(gear.reset_state),
        0x96: _yes(gear.short is None),
        0x97: _VERSION_102,
        0x98: gear.dtr[0],
        0x9A: gear.physical_min,
        0x9B: _yes(gear.power_cycle_seen),
        0x9C: gear.dtr[1],
        0x9D: gear.dtr[2],
        0x9E: 0,
        0x9F: _LIGHT_SOURCE_LED,
        0xA0: MASK if gear.level and gear.lamp != "ok" else gear.level,
        0xA1: gear.max_level,
        0xA2: gear.min_level,
        0xA3: gear.power_on_level,
        0xA4: gear.failure_level,
        0xA5: gear.fade_time << 4 | gear.fade_rate,
        0xA8: gear.extended_fade,
        0xAA: _yes(gear.failed),
        0xC0: _groups(gear, 0),
        0xC1: _groups(gear, 8),
        0xC2: gear.random >> 16,
        0xC3: gear.random >> 8 & 255,
        0xC4: gear.random & 255,
    }.get(op)


def extended(gear: DaliGear, kind: int, op: int) -> int | None:
    """The answer to E0..FF after ENABLE DEVICE TYPE `kind`, one of the gear's types."""
    if op == 0xFF:
        return {LED: _VERSION_207, **dict.fromkeys(_D4I, _VERSION_DIIA)}.get(kind)
    if kind != LED:
        return None
    curve = _NOT_LOGARITHMIC if gear.linear else 0
    return {
        0xED: _GEAR_TYPE,
        0xEE: int(gear.linear),
        0xEF: _MODES,
        0xF0: _FEATURES,
        0xF1: (gear.lamp == "short") | (gear.lamp == "open") << 1,
        0xF2: _yes(gear.lamp == "short"),
        0xF3: _yes(gear.lamp == "open"),
        0xFC: _MODES | curve,
        0xFD: gear.fast_fade,
        0xFE: MIN_FAST_FADE,
    }.get(op)
