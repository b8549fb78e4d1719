"""MicroPython stand-ins for the modules of the chip; not for CPython. See ../README.md."""
