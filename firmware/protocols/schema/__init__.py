"""The field table: one file per message type, read by the codec on both sides and by the generator.

Row: (key, name, shape, unit, decimals, lo, hi, privacy, ucifi, talq). `lo` and `hi` are scaled integers
(value = integer / 10^decimals); for `bytes` they bound the length. Privacy (TRUST 14): 0 technical,
1 behavioural. Shapes: gauge, counter, aggregate, state, occupancy, actuator, vector, and bytes.
A `reserved` row holds the place of a key that is planned or was retired: numbers are never reused.
"""

from array import array

from firmware.protocols.compat import const

# Message type: (name, module).
TYPES = {
    1: ("hello", "hello"),
    2: ("lamp", "lamp"),
    3: ("bin", "bin"),
    4: ("leak", "leak"),
    5: ("site", "site"),
    6: ("cabinet", "cabinet"),
}

MAX_COUNT = const(24)  # elements of a vector: hours of a day; more would not fit a frame anyway
PAD = const(23)  # the key that brings a message to its fixed length

# Words of a compiled message: type number, words in all, 1 where a field is of class 1, the two fixed lengths
# or 0, the most that its plain integers take; then three for each key from 0: key | privacy << 5 | kind << 8,
# -lo, hi. A kind other than 0 has | n << 12: the most that the plain integers behind it take.
# No word is negative: viper reads them as unsigned where a machine word has 64 bits.
HEADER = const(6)

_compiled = {}


def message(mtype):
    """Message type `mtype` compiled for the encoder; KeyError for a type that nobody defined."""
    found = _compiled.get(mtype)
    if found is None:
        module = load(TYPES[mtype][1])
        # On a board the bundle builder has done the work: the words as bytes.
        words = module.TABLE if hasattr(module, "TABLE") else load("reader").compiled(mtype)
        found = _compiled[mtype] = array("i", words)
    return found


def load(name):
    """The module `name` of this package."""
    # With something to import from it, the leaf module comes back. By name, so that no bundle takes along
    # what its board has no use for.
    return __import__("firmware.protocols.schema." + name, None, None, ["ROWS"])


def rows(mtype):
    """All rows of a message type in the order of their keys, reserved ones and the pad too; for hosts."""
    return load("reader").rows(mtype)


def index(mtype, name):
    """Place of the field `name` in the list of values, which is its key; KeyError where there is none."""
    return load("reader").index(mtype, name)
