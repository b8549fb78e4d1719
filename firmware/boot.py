"""First code after reset: the lamp goes on before anything of ours is imported.

The file `lamp` beside this one holds the output's pin number and the level that means full light; a board
without that file drives no lamp. A damaged file must not stop the start.
"""

from machine import Pin

try:
    with open("lamp") as f:
        pin, on = f.read().split()
    Pin(int(pin), Pin.OUT, value=int(on))
except (OSError, ValueError):
    print("boot: no lamp")
