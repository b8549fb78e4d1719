"""Virtual boards: the unchanged firmware under the real MicroPython, in virtual time. See README.md."""

from .board import Board
from .lines import State
from .service import Violation
from .world import Entry, World

__all__ = ["Board", "Entry", "State", "Violation", "World"]
