"""The two names that MicroPython has and CPython lacks, so that shared modules run on both."""

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
