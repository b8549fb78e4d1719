"""What shared modules ask of the interpreter: the two names that MicroPython has and CPython lacks, and a way to
take modules out of memory again."""

import sys

try:
    import micropython  # pyright: ignore[reportAssignmentType] - the class below stands in for it
    from micropython import const  # pyright: ignore[reportAssignmentType] - the stub's argument has no name
except ImportError:  # CPython

    def const(value):
        return value

    class micropython:  # noqa: N801 - stands in for the module of that name
        """Code emitters are no-ops on CPython; viper types are `int` and buffers there."""

        @staticmethod
        def native(function):
            return function

        @staticmethod
        def viper(function):
            return function


def forget(*names):
    """Take modules of firmware/, and all below a package, out of memory: on a board that is full, what only the
    start or one step needs. What they made stays as long as somebody holds it."""
    for name in names:
        home, _, last = ("firmware." + name).rpartition(".")
        if hasattr(sys.modules.get(home), last):
            delattr(sys.modules[home], last)
        found = "firmware." + name
        below = found + "."
        while found:
            sys.modules.pop(found, None)
            found = None
            # No list of them all: it would want a long piece of heap.
            for other in sys.modules:
                if other.startswith(below):
                    found = other
                    break
