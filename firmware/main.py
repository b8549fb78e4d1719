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
    kept = None
    if machine.reset_cause() == machine.DEEPSLEEP_RESET:
        # By name: only what can sleep has this module.
        kept = __import__("firmware.wake.start", None, None, ("wake",)).wake()
    import firmware.app

    firmware.app.main(kept)
except BaseException as e:
    sys.print_exception(e)
    # A crash loop would wear the flash with boot counts: at most six starts a minute.
    time.sleep(10)
finally:
    machine.reset()
