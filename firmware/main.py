"""Starts the application; every way out of it is a reset.

Ctrl-C goes off here because pyexec switches it on again between boot.py and main.py (measured on 1.25), and
an exception that left this file would end at the prompt.
"""

import micropython

micropython.kbd_intr(-1)

import sys  # noqa: E402
import time  # noqa: E402

import machine  # noqa: E402

try:
    import firmware.app

    firmware.app.main()
except BaseException as e:
    sys.print_exception(e)
    # A crash loop would wear the flash with boot counts: at most six starts a minute.
    time.sleep(10)
finally:
    machine.reset()
